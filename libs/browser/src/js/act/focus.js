// Gives the element the focus, with its caret at the end, and empties it if asked to. Keys are typed afterwards, but a control
// without a text to type into takes a value of its own kind at once.
const act = (el, { clear, value, again }) => {
  // After a look into a frame WebKit types into it, though the focus seems to be here.
  window.focus();
  const form = el instanceof HTMLInputElement || el instanceof HTMLTextAreaElement;
  if (form && el.type === 'file') return { file: true };
  if (form && ['color', 'date', 'datetime-local', 'month', 'range', 'time', 'week'].includes(el.type)) {
    const now = el.value;
    if (again && now === value) return { set: true };
    el.focus();
    el.value = value;
    if (el.value.toLowerCase() !== value.toLowerCase()) {
      // A person spells a date otherwise than a page does.
      el.value = clear ? '' : now;
      return {};
    }
    el.dispatchEvent(new Event('input', { bubbles: true }));
    el.dispatchEvent(new Event('change', { bubbles: true }));
    return { set: true };
  }
  const wordless = !form || ['button', 'checkbox', 'hidden', 'image', 'radio', 'reset', 'submit'].includes(el.type);
  if (clear && wordless && !el.isContentEditable) return { refused: 'it has no text to replace' };
  // The page itself has the focus when nothing in it does.
  if (el === document.body || el === document.documentElement) document.activeElement?.blur();
  else {
    el.focus();
    const focused = el.getRootNode().activeElement;
    if (!el.isContentEditable && focused !== el && focused !== el.control) return { refused: 'it does not take the focus' };
  }
  if (form) {
    const now = el.value;
    if (clear && now !== '') {
      el.value = '';
      return { cleared: true };
    }
    try { el.setSelectionRange(now.length, now.length); } catch (error) { /* Numbers and mail addresses have no caret to set. */ }
  } else if (el.isContentEditable) {
    if (clear) el.textContent = '';
    const range = document.createRange();
    range.selectNodeContents(el);
    range.collapse(false);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }
  return {};
};

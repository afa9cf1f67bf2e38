// Gives the control the focus, with its caret at the end, and empties it if asked to. Keys are typed afterwards, but a control
// without a text to type into takes the whole value at once.
const act = (el, { clear, value, again }) => {
  // After a look into a frame WebKit types into it, though the focus seems to be here.
  window.focus();
  const form = el instanceof HTMLInputElement || el instanceof HTMLTextAreaElement;
  if (form && el.type === 'file') return { file: true };
  if (form && ['color', 'date', 'datetime-local', 'month', 'range', 'time', 'week'].includes(el.type)) {
    if (again && el.value === value) return { set: true };
    el.focus();
    el.value = value;
    if (el.value.toLowerCase() !== value.toLowerCase()) return { refused: `a ${el.type} input refuses the value` };
    el.dispatchEvent(new Event('input', { bubbles: true }));
    el.dispatchEvent(new Event('change', { bubbles: true }));
    return { set: true };
  }
  el.focus();
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

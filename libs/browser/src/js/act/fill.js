// Makes the control take the value, or ready to have it typed. After a dialog has swallowed the first answer, `again` keeps a
// value that is there already from being told to the page twice.
const act = (el, { value, again }) => {
  const typeable = new Set(['textarea', 'text', 'url', 'tel', 'search', 'password', 'number', 'email']);
  if (el instanceof HTMLSelectElement) {
    const option = [...el.options].find((each) => each.value === value);
    if (!option) return { refused: 'it has no such option', has: [...el.options].slice(0, 20).map((each) => each.value) };
    if (option.disabled) return { refused: 'the option is disabled' };
    if (again && option.selected) return {};
    if (el.multiple) for (const each of el.options) each.selected = each === option;
    else el.value = value;
    option.selected = true;
    el.dispatchEvent(new Event('input', { bubbles: true }));
    el.dispatchEvent(new Event('change', { bubbles: true }));
    el.blur();
    el.focus();
    return {};
  }
  // Every text turns a box on, even `false`; none turns it off.
  if (toggles(el)) {
    const said = el.getAttribute('aria-checked');
    const mixed = el.indeterminate || said === 'mixed';
    return { click: mixed || (el.checked || said === 'true') !== (value !== '') };
  }
  // After a look into a frame WebKit types into it, though the focus seems to be here.
  window.focus();
  const form = el instanceof HTMLInputElement || el instanceof HTMLTextAreaElement;
  if (form && el.type === 'file') return { file: true };
  if ((form && typeable.has(el.type)) || el.isContentEditable) {
    // Typed, a tab would go on to the next control.
    if (value.includes('\t')) {
      el.focus();
      if (form) el.value = value;
      else el.textContent = value;
      el.dispatchEvent(new Event('input', { bubbles: true }));
      el.dispatchEvent(new Event('change', { bubbles: true }));
      return {};
    }
    const now = form ? el.value : el.innerText;
    const keep = now !== '' && value.length > now.length && value.startsWith(now);
    el.focus();
    if (form) {
      el.value = '';
      if (keep) el.value = now;
    } else {
      if (!keep) el.textContent = '';
      const range = document.createRange();
      range.selectNodeContents(el);
      range.collapse(false);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
    return { type: keep ? value.slice(now.length) : value, cleared: value === '' && now !== '' };
  }
  if (!form) return { refused: 'it is no form control' };
  if (again && el.value.toLowerCase() === value.toLowerCase()) return {};
  el.focus();
  try { el.value = value; } catch (error) { return { refused: 'the browser does not let a script set it' }; }
  if (el.value.toLowerCase() !== value.toLowerCase()) return { refused: `a ${el.type} input refuses the value` };
  el.dispatchEvent(new Event('input', { bubbles: true }));
  el.dispatchEvent(new Event('change', { bubbles: true }));
  return {};
};

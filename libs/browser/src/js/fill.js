const [el, value] = arguments;
const typeable = new Set(['textarea', 'text', 'url', 'tel', 'search', 'password', 'number', 'email']);
if (el instanceof HTMLSelectElement) {
  const option = [...el.options].find((each) => each.value === value);
  if (!option) return { why: 'no such option', has: [...el.options].slice(0, 20).map((each) => each.value) };
  if (option.disabled) return { why: 'the option is disabled' };
  if (el.multiple) for (const each of el.options) each.selected = each === option;
  else el.value = value;
  option.selected = true;
  el.dispatchEvent(new Event('input', { bubbles: true }));
  el.dispatchEvent(new Event('change', { bubbles: true }));
  el.blur();
  el.focus();
  return { done: true };
}
const form = el instanceof HTMLInputElement || el instanceof HTMLTextAreaElement;
if ((form && typeable.has(el.type)) || el.isContentEditable) {
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
if (!form) return { why: 'not a form control' };
el.focus();
try { el.value = value; } catch (error) { return { why: 'the browser does not let a script set it' }; }
if (el.value.toLowerCase() !== value.toLowerCase()) return { why: `a ${el.type} input refuses the value` };
el.dispatchEvent(new Event('input', { bubbles: true }));
el.dispatchEvent(new Event('change', { bubbles: true }));
return { done: true };

// What can be read of an element, as WebDriver reads it.
const shown = (el) => {
  if (el instanceof HTMLOptionElement && el.closest('select')) return shown(el.closest('select'));
  if (!el.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
  const box = el.getBoundingClientRect();
  return (box.width > 0 && box.height > 0) || [...el.children].some(shown) || [...el.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.nodeValue.trim() !== '');
};
// For finding links by their text; a check asks the driver.
const said = (el) => (shown(el) ? (el.innerText ?? el.textContent) : '').replace(/\u00A0/g, ' ').split('\n').map((line) => line.trim()).join('\n').trim();
const flags = new Set(['allowfullscreen', 'async', 'autofocus', 'autoplay', 'checked', 'controls', 'default', 'defer', 'disabled', 'formnovalidate', 'hidden', 'ismap', 'itemscope', 'loop', 'multiple', 'muted', 'nomodule', 'novalidate', 'open', 'readonly', 'required', 'reversed', 'selected']);
const attribute = (el, key) => {
  const lower = key.toLowerCase();
  if (lower === 'value' && 'value' in el) return el.value === null ? null : String(el.value);
  if (lower === 'checked' && el instanceof HTMLInputElement) return el.checked ? 'true' : null;
  if (lower === 'selected' && el instanceof HTMLOptionElement) return el.selected ? 'true' : null;
  if (flags.has(lower)) return el.hasAttribute(key) ? 'true' : null;
  if (lower === 'style') return el.style ? el.style.cssText : null;
  if ((lower === 'href' || lower === 'src') && el.hasAttribute(key) && typeof el[lower] === 'string') return el[lower];
  const has = el.getAttribute(key);
  if (has !== null) return has;
  const property = el[key];
  return property === undefined || property === null || typeof property === 'object' || typeof property === 'function' ? null : String(property);
};
// What a click turns on or off, whatever its value is.
const toggles = (el) => (el instanceof HTMLInputElement ? ['checkbox', 'radio'].includes(el.type) : ['checkbox', 'radio', 'switch'].includes(el.getAttribute('role')));
const editable = (el) => !el.disabled && !el.readOnly;
const checked = (el) => (el instanceof HTMLOptionElement ? el.selected : el instanceof HTMLInputElement ? el.checked : el.getAttribute('aria-checked') === 'true');

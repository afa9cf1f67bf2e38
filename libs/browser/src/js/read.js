// What Selenium's clients call an attribute: what the element is now, and only where that is no text what its page wrote.
const flags = new Set(['allowfullscreen', 'allowpaymentrequest', 'allowusermedia', 'async', 'autofocus', 'autoplay', 'checked', 'compact', 'complete', 'controls', 'declare', 'default', 'defaultchecked', 'defaultselected', 'defer', 'disabled', 'ended', 'formnovalidate', 'hidden', 'indeterminate', 'iscontenteditable', 'ismap', 'itemscope', 'loop', 'multiple', 'muted', 'nohref', 'nomodule', 'noresize', 'noshade', 'novalidate', 'nowrap', 'open', 'paused', 'playsinline', 'pubdate', 'readonly', 'required', 'reversed', 'scoped', 'seamless', 'seeking', 'selected', 'truespeed', 'typemustmatch', 'willvalidate']);
const attribute = (el, key) => {
  const lower = key.toLowerCase();
  const written = el.getAttribute(lower);
  const property = el[{ class: 'className', readonly: 'readOnly' }[lower] || key];
  if (lower === 'style') return el.style ? el.style.cssText : null;
  if ((lower === 'checked' || lower === 'selected') && (el instanceof HTMLOptionElement || el.matches('input[type=checkbox], input[type=radio]'))) return checked(el) ? 'true' : null;
  if ((lower === 'href' && el instanceof HTMLAnchorElement) || (lower === 'src' && el instanceof HTMLImageElement)) return written ? property : written;
  if (lower === 'spellcheck') return /^(true|false)$/i.test(written) ? written.toLowerCase() : String(el.spellcheck);
  if (flags.has(lower)) return written !== null || property ? 'true' : null;
  const plain = property !== undefined && property !== null && typeof property !== 'object' && typeof property !== 'function';
  return plain && !(lower === 'value' && el instanceof HTMLLIElement) ? String(property) : written;
};
// What a click turns on or off, whatever its value is.
const toggles = (el) => (el instanceof HTMLInputElement ? ['checkbox', 'radio'].includes(el.type) : ['checkbox', 'radio', 'switch'].includes(el.getAttribute('role')));
const editable = (el) => !el.disabled && !el.readOnly;
const checked = (el) => (el instanceof HTMLOptionElement ? el.selected : el instanceof HTMLInputElement ? el.checked : el.getAttribute('aria-checked') === 'true');

// Keeps what has this name by the specification, as Chromium has it: others also read what is in it, and the titles of plain text.
const [found, name] = arguments;
const authored = ':is(label, legend, dd, li):not([role]), [role=definition], [role=listitem], [role=row]';
const plain = ':is(a:not([href]), b, bdi, bdo, caption, cite, code, data, del, div, em, i, ins, kbd, mark, p, pre, q, s, samp, small, span, strong, sub, sup, time, u, var):not([role], [tabindex], [contenteditable])';
const isNamed = (el) => {
  if (el.getAttribute('aria-label')?.trim() || el.hasAttribute('aria-labelledby')) return true;
  if (el.matches(authored)) return el.title.trim() === name;
  return !el.matches(plain);
};
return found.filter(isNamed);

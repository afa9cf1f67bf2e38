// Reads one thing of the first alternative that finds anything: { index, found, value }, or { why } if none does. What can be
// seen of an element, and the text that can, is the driver's to say.
const [alternatives, subject, key] = arguments;
const reads = {
  value: (el) => attribute(el, 'value'),
  attribute: (el) => attribute(el, key),
  checked,
  editable,
  present: () => true,
  // A select's value, and the text of the option that has it.
  label: (el) => (el.selectedOptions && el.selectedOptions.length ? el.selectedOptions[0].text : null),
  count: (el, all) => all.length,
};
const why = [];
for (const [index, alternative] of alternatives.entries()) {
  let found;
  try { found = hits(alternative); } catch (error) { why.push(String(error.message)); continue; }
  if (found.length) return { index, value: reads[subject]?.(found[0], found), found: found[0] };
}
return { why };

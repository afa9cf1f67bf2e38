// Reads one thing of the first alternative that finds anything: { index, found, value }, or { why } if none does. What can be
// seen of an element, and the text that can, is the driver's to say.
const [alternatives, subject, key] = arguments;
const reads = {
  value: (el) => attribute(el, 'value'),
  attribute: (el) => attribute(el, key),
  checked,
  editable,
  present: () => true,
  count: (el, all) => all.length,
};
const why = [];
for (const [index, alternative] of alternatives.entries()) {
  let found;
  try { found = hits(alternative); } catch (error) { why.push(String(error.message)); continue; }
  if (subject === 'label' && found.length) {
    // What is read is the option that is selected.
    const [option] = found[0].selectedOptions || [];
    if (!option) { why.push(`${name(found[0])} has no option that is selected`); continue; }
    found = [option];
  }
  if (found.length) return { index, value: reads[subject]?.(found[0], found), found: found[0] };
}
return { why };

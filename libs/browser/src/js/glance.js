// Where the element is that probably is meant: the first that any of the alternatives finds.
const [alternatives] = arguments;
for (const alternative of alternatives) {
  let el;
  try { el = hits(alternative)[0]; } catch (error) { continue; }
  if (!el) continue;
  const { x, y, width, height } = rect(el);
  return { element: el, box: { x, y, width, height }, at: performance.now() };
}
return null;

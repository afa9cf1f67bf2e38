// Counts what the first alternative finds that finds anything, again and again until it is what is waited for or time is up.
return (async (alternatives, wanted, budget) => {
const matches = (want, has) => {
  if (want === null || typeof want !== 'object') return Object.is(want, has);
  if (has === null || has === undefined || (typeof has !== 'object' && typeof has !== 'function')) return false;
  if (Array.isArray(want) && want.length !== has.length) return false;
  return Object.keys(want).every((key) => matches(want[key], has[key]));
};
const look = () => {
  const why = [];
  for (const [index, alternative] of alternatives.entries()) {
    let found;
    try { found = hits(alternative); } catch (error) { why.push(String(error.message)); continue; }
    if (!found.length) continue;
    const counted = wanted.visible ? found.filter(visible) : found;
    for (const el of counted) {
      for (const [key, value] of wanted.attributes) {
        const has = el.getAttribute(key);
        if (has !== value) return { index, count: counted.length, differs: `attribute ${key} is ${JSON.stringify(has)}` };
      }
      for (const key of Object.keys(wanted.properties)) {
        if (!matches(wanted.properties[key], el[key])) return { index, count: counted.length, differs: `property ${key} is ${String(el[key]).slice(0, 200)}` };
      }
    }
    return { index, count: counted.length, hidden: found.length - counted.length };
  }
  return { count: 0, why };
};
const holds = ({ count, differs }) => {
  const enough = { '>=': count >= wanted.count, '<=': count <= wanted.count, '==': count === wanted.count }[wanted.operator];
  return (enough && !differs) !== wanted.not;
};
const until = performance.now() + (alternatives.some((each) => each.elements) ? 0 : budget);
for (;;) {
  const seen = look();
  if (holds(seen) || performance.now() >= until) return seen;
  await new Promise((done) => setTimeout(done, 15));
}
})(...arguments);

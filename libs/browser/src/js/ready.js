return (async (alternatives, want, offset, given, budget, glance) => {
// The time of the next frame that is drawn. Between two frames nothing moves, so on a busy machine a timer alone would find
// everything at rest; only a hidden page, which draws none, goes by time.
const frame = () => new Promise((done) => {
  if (document.hidden) { setTimeout(() => done(performance.now()), 50); return; }
  requestAnimationFrame(done);
  setTimeout(() => done(null), 1000);
});
// A busy browser draws frames in a hurry that show the same moment: only frames this far apart show whether something moves.
const apart = 10;
const same = (a, b) => a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;
const deepest = (doc, x, y) => {
  let hit = doc.elementFromPoint(x, y);
  while (hit && hit.shadowRoot) {
    const inner = hit.shadowRoot.elementFromPoint(x, y);
    if (!inner || inner === hit) break;
    hit = inner;
  }
  return hit;
};
const up = (node) => node.assignedSlot || node.parentNode || node.host || null;
const holds = (el, node) => {
  for (let at = node; at; at = up(at)) {
    if (at === el) return true;
    if (at instanceof HTMLLabelElement && at.control === el) return true;
  }
  return false;
};
// An icon in a button is pressed with the button: whatever of it is hit is right. Selenium wants the element itself.
const active = 'a[href], button, label, summary, [role=button], [role=link], [role=checkbox], [role=radio], [role=switch], [role=tab], [role=menuitem], [role=option]';
const pressed = (el) => (given.opaque ? el : el.closest(active) || el);
const covered = (el, x, y) => {
  const hit = deepest(document, x, y);
  // A shape does not fill its box: where there is none of it, its own drawing is hit, and nothing lies above.
  const beside = hit instanceof SVGSVGElement && hit === el.ownerSVGElement;
  if (!hit || !(beside || holds(pressed(el), hit))) return `covered by ${name(hit)}`;
  try {
    for (let win = window; win !== win.parent && win.frameElement; win = win.parent) {
      const host = win.frameElement;
      const box = host.getBoundingClientRect();
      x += box.x + host.clientLeft;
      y += box.y + host.clientTop;
      const above = deepest(host.ownerDocument, x, y);
      if (above !== host) return `its frame is covered by ${name(above)}`;
    }
  } catch (error) { /* A frame of another origin cannot see its host. */ }
  return null;
};
// Why the mouse goes through an element.
const deaf = (el) => (el.closest('[inert]') ? 'inert' : getComputedStyle(el).pointerEvents === 'none' ? 'not for the mouse (pointer-events: none)' : null);
const point = (el) => {
  const box = rect(el);
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2, inside: true };
  if (!offset) return middle;
  const { from, x, y } = offset;
  if (from === 'centre') return { x: middle.x + x, y: middle.y + y, inside: Math.abs(x) * 2 <= box.width && Math.abs(y) * 2 <= box.height };
  const out = (at, size) => at < -2 || at > size + 2;
  if (out(x, box.width) || out(y, box.height)) {
    return { why: `missed: the offset (${x},${y}) lies outside of its ${Math.round(box.width)} x ${Math.round(box.height)} pixels` };
  }
  const clamp = (at, size) => Math.max(0, Math.min(at, size - 1));
  return { x: box.x + clamp(x, box.width), y: box.y + clamp(y, box.height), inside: true };
};
// The driver measures offsets from the middle of the visible part of the first box, and finds the frame's place itself.
const centre = (el) => {
  const box = el.getClientRects()[0] || el.getBoundingClientRect();
  const middle = (from, to, size) => Math.floor((Math.max(0, from) + Math.min(size, to)) / 2);
  return { x: middle(box.left, box.right, innerWidth), y: middle(box.top, box.bottom, innerHeight) };
};
const check = async (el) => {
  // A page may hide the control that takes files, and show something prettier.
  if (want === 'present' || (want === 'fill' && el instanceof HTMLInputElement && el.type === 'file')) return { x: 0, y: 0 };
  if (!visible(el)) return { why: 'not visible' };
  if (given.opaque && !el.checkVisibility({ opacityProperty: true })) return { why: 'transparent' };
  if ((want === 'click' || want === 'fill') && el.matches(':disabled')) return { why: 'disabled' };
  if (want === 'fill' && el.readOnly && !toggles(el)) return { why: 'read-only' };
  let at = point(el);
  if (at.why) return at;
  const seen = () => at.x >= 0 && at.y >= 0 && at.x < innerWidth && at.y < innerHeight;
  // A box that scrolls, or hides what is too much for it, may hold it outside of what it shows. What only lies below something
  // else is among these elements; of a shape, which does not fill its box, its drawing.
  const shown = () => seen() && el.getRootNode().elementsFromPoint(at.x, at.y).some((hit) => holds(el, hit) || hit === el.ownerSVGElement);
  if (window !== window.parent) {
    if (el.scrollIntoViewIfNeeded) el.scrollIntoViewIfNeeded(true);
    else if (!seen() || covered(el, at.x, at.y)) el.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  }
  else if (!shown()) el.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  // What a script moves is seen between two frames, too. But there Chromium guesses the time of the next one, and an animation
  // seems to stand still: then both looks are in a frame.
  const animated = document.getAnimations().some((each) => each.playState === 'running');
  // What was seen while the browser was asked for a name is a first look, too.
  const glanced = !animated && glance && glance.element === el && same(glance.box, rect(el));
  const first = animated ? await frame() : glanced ? glance.at : performance.now();
  if (first === null) return { why: 'not drawn' };
  const before = rect(el);
  let now = first;
  while (now - first < apart) {
    now = await frame();
    if (now === null) return { why: 'not drawn' };
  }
  if (!el.isConnected) return { why: 'removed from the page' };
  if (!same(before, rect(el))) return { why: 'moving' };
  at = point(el);
  if (at.why) return at;
  if (want === 'click' || want === 'hover') {
    if (!seen()) return { why: 'outside the viewport' };
    const why = at.inside && covered(el, at.x, at.y);
    if (why) return { why: shown() ? why : deaf(el) || 'hidden by a box around it' };
  }
  return at;
};
const look = async () => {
  const why = [];
  let refused = null;
  for (const [index, alternative] of alternatives.entries()) {
    let el;
    try { el = hits(alternative)[0]; } catch (error) { why.push(String(error.message)); continue; }
    if (!el) { why.push(null); continue; }
    const state = await check(el);
    if (state.why) why.push(`${name(el)} is ${state.why}`);
    else {
      const middle = centre(el);
      const done = act(el, given);
      if (!done || !done.refused) return { index, element: el, x: Math.round(state.x - middle.x), y: Math.round(state.y - middle.y), left: state.x, top: state.y, done };
      why.push(`${name(el)} is not right: ${done.refused}`);
      refused = refused || done;
    }
    // What is found is meant, though it may take its time: another selector may find something else. Only an accessible name,
    // which more than one element may have, gives way.
    if (!alternative.elements) break;
  }
  return { why, refused };
};
// Looking again in the page is cheaper than asking again, but an `aria/` alternative was resolved before, and only once.
const until = performance.now() + (alternatives.some((each) => each.elements) ? 0 : budget);
for (;;) {
  const seen = await look();
  if (seen.element || performance.now() >= until) return seen;
  await new Promise((done) => setTimeout(done, 15));
}
})(...arguments);

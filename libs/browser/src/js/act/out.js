// Finds a place just beside the element, in the middle of one of its sides, where the pointer is over it no more.
const act = (el) => {
  const box = el.getBoundingClientRect();
  const [x, y] = [Math.ceil(box.width / 2) + 1, Math.ceil(box.height / 2) + 1];
  if (box.top > 1) return { x: 0, y: -y };
  if (box.right + 1 < innerWidth) return { x, y: 0 };
  if (box.bottom + 1 < innerHeight) return { x: 0, y };
  if (box.left > 1) return { x: -x, y: 0 };
  return { refused: 'it fills the whole window' };
};

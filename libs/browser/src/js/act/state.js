// Tells what is clicked to change it, and whether it is as wanted already.
const act = (el) => {
  const box = el instanceof HTMLLabelElement && el.control ? el.control : el;
  if (box instanceof HTMLOptionElement) return { on: box.selected };
  if (box instanceof HTMLInputElement && (box.type === 'checkbox' || box.type === 'radio')) return { on: box.checked };
  const said = box.getAttribute('aria-checked');
  return said === null ? { refused: 'it is nothing that can be checked' } : { on: said === 'true' };
};

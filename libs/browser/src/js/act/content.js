// Replaces what an editable element says.
const act = (el, { value, again }) => {
  if (el.contentEditable !== 'true') return { refused: 'it is not editable content' };
  if (again && el.innerText === value) return {};
  el.focus();
  el.innerText = value;
  el.dispatchEvent(new InputEvent('input', { bubbles: true, inputType: 'insertReplacementText', data: value }));
  return {};
};

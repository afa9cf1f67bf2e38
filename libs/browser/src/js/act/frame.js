// Finds which of the window's frames the element holds.
const act = (el) => {
  for (let index = 0; index < window.length; index++) if (window[index] === el.contentWindow) return { index };
  return { refused: 'it holds no frame' };
};

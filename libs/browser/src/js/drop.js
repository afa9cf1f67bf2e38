// Tells the page of a drag and drop if the element is one to be dragged; returns whether it is.
const [from, onto] = arguments;
const held = from.closest('[draggable=true],a[href],img');
if (!held || !held.draggable) return false;
const dataTransfer = new DataTransfer();
const tell = (el, kind) => {
  const box = el.getBoundingClientRect();
  const at = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
  return el.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, composed: true, dataTransfer, ...at }));
};
if (!tell(held, 'dragstart')) return true;
tell(held, 'drag');
tell(onto, 'dragenter');
// A place takes a drop by preventing what would happen otherwise.
if (!tell(onto, 'dragover')) tell(onto, 'drop');
tell(held, 'dragend');
return true;

// Chooses an option as a user would, and tells the page. `how` is set, click, add or remove; each of the `ways` to find the option
// names what a value is compared with. A click on one of several also takes it away.
const act = (el, { how, ways, again }) => {
  if (!(el instanceof HTMLSelectElement)) return { refused: 'it is no select' };
  if (how === 'remove' && !el.multiple) return { refused: 'it takes one option only, which cannot be taken away' };
  const plain = (text) => text.replace(/\u00A0/g, ' ').replace(/\s+/g, ' ').trim();
  const fits = {
    label: (option, value) => option.text === value || option.textContent === value,
    text: (option, value) => plain(option.text) === plain(value),
    value: (option, value) => option.value === value,
    id: (option, value) => option.id === value,
    // Counts siblings from 1, as CSS does.
    child: (option, value) => [...option.parentNode.children].indexOf(option) + 1 === Number(value),
  };
  const options = [...el.options];
  const option = ways.map(([by, value]) => options.find((each) => fits[by](each, value))).find(Boolean);
  if (!option) return { refused: 'it has no such option', has: options.slice(0, 20).map((each) => each.text) };
  if (option.disabled || (option.parentNode instanceof HTMLOptGroupElement && option.parentNode.disabled)) return { refused: 'the option is disabled' };
  const wanted = how === 'click' && el.multiple ? again || !option.selected : how !== 'remove';
  if (option.selected === wanted) return {};
  el.focus();
  option.selected = wanted;
  el.dispatchEvent(new Event('input', { bubbles: true }));
  el.dispatchEvent(new Event('change', { bubbles: true }));
  return {};
};

// What may have this role or name: never fewer than those that do, for the browser is asked about each.
const [root, label, role, most] = arguments;
const implied = {
  button: 'button,summary,input[type=button],input[type=submit],input[type=reset],input[type=image]',
  link: 'a[href],area[href]',
  checkbox: 'input[type=checkbox]',
  radio: 'input[type=radio]',
  textbox: 'input,textarea,[contenteditable]',
  searchbox: 'input[type=search]',
  combobox: 'select,input[list]',
  listbox: 'select',
  option: 'option',
  slider: 'input[type=range]',
  spinbutton: 'input[type=number]',
  heading: 'h1,h2,h3,h4,h5,h6',
  img: 'img,svg',
  image: 'img,svg',
  list: 'ul,ol,menu',
  listitem: 'li',
  table: 'table',
  row: 'tr',
  cell: 'td',
  columnheader: 'th',
  rowheader: 'th',
  navigation: 'nav',
  main: 'main',
  form: 'form',
  dialog: 'dialog',
  paragraph: 'p',
};
const flat = (text) => (text || '').replace(/\s+/g, ' ').trim();
const says = (el) => [
  el.textContent, el.value, ...['aria-label', 'title', 'alt', 'placeholder'].map((key) => el.getAttribute(key)),
  ...[...(el.labels || [])].map((label) => label.textContent),
  ...(el.getAttribute('aria-labelledby') || '').split(/\s+/).filter(Boolean).map((id) => el.getRootNode().getElementById(id)?.textContent),
];
const roles = (el) => (el.getAttribute('role') || '').split(/\s+/);
const fits = (el) => {
  if (role && !roles(el).includes(role) && !(implied[role] && el.matches(implied[role]))) return false;
  return label === null || says(el).some((text) => flat(text).includes(flat(label)));
};
const all = root === document.documentElement ? deep(root) : [root, ...deep(inside(root))];
return [...all].filter(fits).slice(0, most);

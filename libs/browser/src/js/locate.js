const visible = (el) => {
  const style = getComputedStyle(el);
  if (style.visibility !== 'visible') return false;
  const box = el.getBoundingClientRect();
  return (box.width > 0 && box.height > 0) || (style.display === 'contents' && el.textContent.trim() !== '');
};
const deep = function* (root) {
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    yield node;
    if (node.shadowRoot) yield* deep(node.shadowRoot);
  }
};
const unsaid = new Set(['SCRIPT', 'STYLE', 'NOSCRIPT', 'HEAD', 'TITLE', 'META', 'LINK', 'TEMPLATE']);
const texts = (cache, node) => {
  if (cache.has(node)) return cache.get(node);
  let said = '';
  if (node instanceof HTMLInputElement && ['submit', 'button', 'reset'].includes(node.type)) said = node.value;
  else if (node instanceof HTMLInputElement || node instanceof HTMLTextAreaElement) said = ['checkbox', 'radio', 'hidden', 'password', 'file'].includes(node.type) ? '' : node.value;
  else {
    for (const child of node.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) said += child.nodeValue;
      else if (child.nodeType === Node.ELEMENT_NODE && !unsaid.has(child.nodeName)) said += texts(cache, child);
    }
    if (node.shadowRoot) said += texts(cache, node.shadowRoot);
  }
  cache.set(node, said);
  return said;
};
const byText = (root, text) => {
  const cache = new Map();
  const down = (node) => {
    const hits = [];
    const children = [...node.children, ...(node.shadowRoot ? node.shadowRoot.children : [])];
    for (const child of children) {
      if (unsaid.has(child.nodeName) || !texts(cache, child).includes(text)) continue;
      const inner = down(child);
      if (inner.length) hits.push(...inner);
      else hits.push(child);
    }
    return hits;
  };
  const inner = down(root === document ? document.documentElement : root);
  if (inner.length || root === document) return inner;
  const self = root instanceof ShadowRoot ? root.host : root;
  return texts(cache, self).includes(text) ? [self] : [];
};
const byXPath = (root, path) => {
  const hits = document.evaluate(path, root, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null);
  const all = [];
  for (let i = 0; i < hits.snapshotLength; i++) if (hits.snapshotItem(i).nodeType === Node.ELEMENT_NODE) all.push(hits.snapshotItem(i));
  return all;
};
const words = (text) => text.replace(/\s+/g, ' ').trim().toLowerCase();
const part = (root, { kind, value, text }) => {
  if (kind === 'css') return [...root.querySelectorAll(value)];
  if (kind === 'pierce') return [...deep(root)].filter((el) => el.matches(value));
  if (kind === 'xpath') return byXPath(root, value);
  if (kind === 'text') return byText(root, value);
  if (kind === 'has') return [...root.querySelectorAll(value)].filter((el) => words(el.textContent).includes(words(text)));
  throw new Error('unknown selector kind ' + kind);
};
const inside = (el) => el.shadowRoot || el;
const chain = (roots, parts) => {
  let found = roots;
  parts.forEach((each, index) => {
    const from = index ? found.map(inside) : found;
    found = [...new Set(from.flatMap((root) => part(root, each)))];
  });
  return found;
};
const hits = ({ elements, parts, unique }) => {
  const found = elements ? elements.filter((el) => el.isConnected) : chain([document], parts);
  if (unique && found.length > 1) throw new Error(`finds ${found.length} elements instead of one`);
  return found;
};
const rect = (el) => [...el.getClientRects()].find((box) => box.width >= 1 && box.height >= 1) || el.getBoundingClientRect();
const name = (el) => (el ? el.nodeName.toLowerCase() + (el.id ? '#' + el.id : '') : 'nothing');

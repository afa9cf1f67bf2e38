// The same recordings as a person would write them for Playwright: what `bench browser` is compared with.
//
// `perform` does one recording (Recorder JSON) with calls of page.*; a kind of step that no suite uses is refused. Run as a
// program it is one worker without a test runner: it says "ready" once its browser is up, begins at a line of input, and
// prints a line of JSON for each test. `playwright.spec.mjs` runs the same below Playwright's own runner.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const BUTTONS = { primary: 'left', auxiliary: 'middle', secondary: 'right' };

/** Controls that a value is chosen in, instead of filled in; asked for once, as the author of a script would know it. */
const tags = new Map();

/** What `getByLabel` with an exact name makes of it. */
function label(name) {
  if (name.includes('[')) throw new Error(`no selector that Playwright takes: aria/${name}`);
  return `internal:label=${JSON.stringify(name)}s`;
}

function part(text) {
  const [, kind, rest] = /^(aria|text|xpath|pierce)\/(.*)$/s.exec(text) ?? [, 'css', text];
  if (kind === 'aria') return label(rest);
  if (kind === 'text') return `text=${rest}`;
  if (kind === 'xpath') return `xpath=${rest}`;
  return rest;
}

/** The first alternative without an accessible name if there is one: the cheapest that a script would use. */
function selector(step) {
  const chains = step.selectors.map((one) => [one].flat());
  const chosen = chains.find((chain) => chain.every((one) => !one.startsWith('aria/'))) ?? chains[0];
  return chosen.map(part).join(' >> ');
}

function holds(elements, { operator, count, visible, properties, attributes }) {
  const seen = (el) => { const at = el.getBoundingClientRect(); return at.width > 0 && at.height > 0 && getComputedStyle(el).visibility !== 'hidden'; };
  const enough = { '==': elements.length === count, '>=': elements.length >= count, '<=': elements.length <= count }[operator];
  return enough
    && elements.every((el) => visible === undefined || elements.length === 0 || seen(el) === visible)
    && elements.every((el) => Object.entries(properties).every(([name, value]) => el[name] === value))
    && elements.every((el) => Object.entries(attributes).every(([name, value]) => el.getAttribute(name) === value));
}

async function waitForElement(frame, step, timeout) {
  const { operator = '>=', count = 1, visible, properties = {}, attributes = {} } = step;
  const found = frame.locator(selector(step));
  if (operator === '>=' && count === 1 && visible && !Object.keys({ ...properties, ...attributes }).length) {
    return found.first().waitFor({ state: 'visible', timeout });
  }
  const end = Date.now() + timeout;
  while (!(await found.evaluateAll(holds, { operator, count, visible, properties, attributes }))) {
    if (Date.now() > end) throw new Error(`waitForElement ${JSON.stringify(step)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function change(frame, step, timeout) {
  const which = selector(step);
  const found = frame.locator(which).first();
  const key = `${new URL(frame.url()).pathname} ${which}`;
  if (!tags.has(key)) tags.set(key, await found.evaluate((el) => el.tagName, null, { timeout }));
  return tags.get(key) === 'SELECT' ? found.selectOption(step.value, { timeout }) : found.fill(step.value, { timeout });
}

async function act(page, frame, step, timeout) {
  const element = () => frame.locator(selector(step)).first();
  const click = { position: { x: step.offsetX, y: step.offsetY }, button: BUTTONS[step.button ?? 'primary'], timeout };
  switch (step.type) {
    case 'setViewport': return page.setViewportSize({ width: step.width, height: step.height });
    case 'navigate': return page.goto(step.url, { timeout });
    case 'click': return element().click(click);
    case 'doubleClick': return element().dblclick(click);
    case 'hover': return element().hover({ timeout });
    case 'change': return change(frame, step, timeout);
    case 'keyDown': return page.keyboard.down(step.key);
    case 'keyUp': return page.keyboard.up(step.key);
    case 'scroll': return frame.evaluate(([x, y]) => scrollTo(x, y), [step.x ?? 0, step.y ?? 0]);
    case 'waitForElement': return waitForElement(frame, step, timeout);
    case 'waitForExpression': return frame.waitForFunction(step.expression, null, { timeout });
    default: throw new Error(`a step of kind ${step.type} has no counterpart here`);
  }
}

/** Performs a recording in a page of its own context. */
export async function perform(page, recording) {
  page.on('dialog', (dialog) => dialog.accept(dialog.defaultValue()));
  for (const step of recording.steps) {
    const timeout = step.timeout ?? recording.timeout ?? 5000;
    const frame = (step.frame ?? []).reduce((frame, index) => frame.childFrames()[index], page.mainFrame());
    const arrives = step.type !== 'navigate' && (step.assertedEvents ?? []).some((event) => event.type === 'navigation');
    const arrival = arrives ? page.waitForNavigation({ timeout }) : null;
    await Promise.all([act(page, frame, step, timeout), arrival]);
  }
}

/** The recordings of this worker, in the order of their tests. */
export function recordings() {
  return JSON.parse(readFileSync(process.env.BENCH_RECORDINGS, 'utf8'));
}

if (process.argv[2] === 'worker') {
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({ executablePath: process.env.BENCH_BROWSER });
  console.log('ready');
  const input = createInterface({ input: process.stdin });
  await new Promise((begin) => input.once('line', begin));
  input.close();
  for (const recording of recordings()) {
    const context = await browser.newContext();
    let passed = true;
    try {
      await perform(await context.newPage(), recording);
    } catch (error) {
      passed = false;
      console.error(recording.title, error);
    }
    await context.close();
    console.log(JSON.stringify({ title: recording.title, passed }));
  }
  await browser.close();
}

// A real Chromium, page by page.
import { chromium } from 'playwright-core';
import { serve } from './jsonlines.mjs';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--mute-audio',
  ],
});
const pages = new Map();

function page(name) {
  const found = pages.get(name);
  if (!found) throw new Error(`no page ${name}`);
  return found;
}

serve({
  async open({ page: name, url, width = 1280, height = 800 }) {
    const context = await browser.newContext({ viewport: { width, height } });
    const view = await context.newPage();
    const errors = [];
    view.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    view.on('pageerror', (error) => errors.push(String(error)));
    pages.set(name, { context, view, errors });
    await view.goto(url);
  },
  async waitFor({ page: name, selector, state = 'visible', count, timeoutMs = 10_000 }) {
    const { view } = page(name);
    if (count === undefined) return void (await view.waitForSelector(selector, { state, timeout: timeoutMs }));
    const matches = ([css, expected]) => document.querySelectorAll(css).length === expected;
    await view.waitForFunction(matches, [selector, count], { timeout: timeoutMs });
  },
  click: async ({ page: name, selector }) => void (await page(name).view.click(selector)),
  fill: async ({ page: name, selector, text }) => void (await page(name).view.fill(selector, text)),
  text: async ({ page: name, selector }) => ({ text: await page(name).view.innerText(selector) }),
  attribute: async ({ page: name, selector, name: attribute }) => ({
    value: await page(name).view.getAttribute(selector, attribute),
  }),
  count: async ({ page: name, selector }) => ({ count: await page(name).view.locator(selector).count() }),
  evaluate: async ({ page: name, script }) => ({ value: await page(name).view.evaluate(script) }),
  offline: async ({ page: name, offline }) => void (await page(name).context.setOffline(offline)),
  screenshot: async ({ page: name, path }) => void (await page(name).view.screenshot({ path })),
  errors: ({ page: name }) => ({ errors: page(name).errors }),
  close: async ({ page: name }) => void (await page(name).context.close()),
});

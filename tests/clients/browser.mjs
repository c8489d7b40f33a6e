// A real Chromium, page by page.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { Failure, serve } from './jsonlines.mjs';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    // A page that no server sent (`script` below) counts as one from afar, which may not reach this machine.
    '--disable-features=LocalNetworkAccessChecks',
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

function view(name) {
  return page(name).view;
}

// With `script`, the address has a page of that script alone, without any server behind it.
async function open({ page: name, url, script, folder, credentials, dark = false, width = 1280, height = 800 }) {
  if (pages.has(name)) await close({ page: name });
  const context = await browser.newContext({
    viewport: { width, height },
    httpCredentials: credentials,
    colorScheme: dark ? 'dark' : 'light',
  });
  const opened = await context.newPage();
  const [errors, pageErrors] = [[], []];
  opened.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  opened.on('pageerror', (error) => {
    errors.push(String(error));
    pageErrors.push(String(error));
  });
  pages.set(name, { context, view: opened, errors, pageErrors });
  if (script) {
    const body = `<!doctype html><meta charset="utf-8"><body><div id="page"></div><script type="module">${await scriptText(script)}</script>`;
    await opened.route(url.split('#')[0], (route) => route.fulfill({ contentType: 'text/html', body }));
  }
  // The address's host stands for a folder of files, as a web server has them.
  if (folder) {
    const { origin } = new URL(url);
    await opened.route(`${origin}/**`, (route) => {
      const path = new URL(route.request().url()).pathname;
      return route.fulfill({ path: join(folder, path === '/' ? 'index.html' : path) });
    });
  }
  await opened.goto(url);
}

// An end tag inside a string would end the script.
async function scriptText(path) {
  return (await readFile(path, 'utf8')).replaceAll('</script', '<\\/script');
}

async function close({ page: name }) {
  const { context } = page(name);
  pages.delete(name);
  await context.close();
}

async function waitForCount(locator, expected, timeoutMs) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const count = await locator.count();
    if (count === expected) return;
    if (performance.now() > deadline) throw new Failure('timeout', { count });
    await sleep(25);
  }
}

async function waitFor({ page: name, selector, state = 'visible', count, timeoutMs = 10_000 }) {
  if (count !== undefined) await waitForCount(view(name).locator(selector), count, timeoutMs);
  else await view(name).waitForSelector(selector, { state, timeout: timeoutMs });
}

const operations = {
  open,
  goto: async ({ page: name, url }) => void (await view(name).goto(url)),
  waitFor,
  click: async ({ page: name, selector }) => void (await view(name).click(selector)),
  fill: async ({ page: name, selector, text }) => void (await view(name).fill(selector, text)),
  text: async ({ page: name, selector }) => ({ text: await view(name).innerText(selector) }),
  attribute: async ({ page: name, selector, name: attribute }) => ({
    value: await view(name).getAttribute(selector, attribute),
  }),
  count: async ({ page: name, selector }) => ({ count: await view(name).locator(selector).count() }),
  evaluate: async ({ page: name, script }) => ({ value: await view(name).evaluate(script) }),
  waitUntil: async ({ page: name, script, timeoutMs = 30_000 }) =>
    void (await view(name).waitForFunction(script, undefined, { timeout: timeoutMs })),
  offline: async ({ page: name, offline }) => void (await page(name).context.setOffline(offline)),
  press: async ({ page: name, key }) => void (await view(name).keyboard.press(key)),
  screenshot: async ({ page: name, path }) => void (await view(name).screenshot({ path })),
  // A lost connection is an error on the console, but none of the page's.
  errors: ({ page: name }) => ({ errors: page(name).errors, pageErrors: page(name).pageErrors }),
  close,
};

serve(operations, () => browser.close());

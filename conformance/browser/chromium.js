import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

/** With other flags beside those that every test wants. */
export function launchChromium(flags = []) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    // Chromium's own sandbox refuses to run as root, as which containers run.
    chromiumSandbox: process.getuid() !== 0,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...flags,
    ],
  });
}

/** A tab of its own browser profile, with what went wrong in it (violations of the page's policy are console errors). */
export async function openTab(browser, options = {}) {
  const context = await browser.newContext({ viewport: VIEWPORT, ignoreHTTPSErrors: true, ...options });
  return tabOf(context, await context.newPage());
}

/** Collects what goes wrong in a tab, which is alone in its profile. */
export function tabOf(context, tab) {
  tab.problems = [];
  // Each browser has a word of its own for a warning.
  const wrong = ["error", "warning", "warn"];
  tab.on("console", (message) => wrong.includes(message.type()) && tab.problems.push(message.text()));
  tab.on("pageerror", (error) => tab.problems.push(error.message));
  tab.close = () => context.close();
  return tab;
}

/** The page in a tab, once its three WebSockets are open. */
export async function openPage(browser, url, options) {
  const tab = await openTab(browser, options);
  await tab.goto(url);
  await whenOpen(tab);
  return tab;
}

export async function whenOpen(tab) {
  for (const part of ["echo", "live", "chat"]) {
    await tab.locator(`#${part}-state[data-state=open]`).waitFor();
  }
}

/** Waits for an element that shows this text or pattern. */
export async function shows(tab, selector, text) {
  await tab.locator(selector).filter({ hasText: text }).first().waitFor();
}

/** What axe finds in the way of people who cannot see, point or hear. */
export async function barriers(tab) {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await tab.evaluate(`${axe}; undefined`);
  const { violations } = await tab.evaluate(() => window.axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
}

const VIEWPORT = { width: 1280, height: 900 };

import { launch } from "puppeteer-core";
import { tabOf } from "./chromium.js";

/** Firefox itself, by WebDriver BiDi: it needs no driver beside it. It takes any certificate, and has a profile of its own. */
export function launchFirefox(preferences = {}) {
  return launch({
    browser: "firefox",
    executablePath: process.env.FIREFOX,
    headless: true,
    acceptInsecureCerts: true,
    extraPrefsFirefox: preferences,
  });
}

/** A tab of its own container, with what went wrong in it. */
export async function openTab(browser) {
  const context = await browser.createBrowserContext();
  return tabOf(context, await context.newPage());
}

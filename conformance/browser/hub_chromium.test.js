import { launchChromium, openTab } from "./chromium.js";
import { describeHub } from "./hub.js";

describeHub("the hub's client in Chromium", {
  launch: () => launchChromium(),
  async open(browser, url, cookies) {
    const tab = await openTab(browser);
    await tab.context().addCookies(cookies.map((cookie) => ({ ...cookie, url })));
    await tab.goto(url);
    return tab;
  },
});

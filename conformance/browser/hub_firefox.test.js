import { launchFirefox, openTab } from "./firefox.js";
import { describeHub } from "./hub.js";

describeHub("the hub's client in Firefox", {
  launch: () => launchFirefox(),
  async open(browser, url, cookies) {
    const tab = await openTab(browser);
    const { hostname } = new URL(url);
    await tab.browserContext().setCookie(...cookies.map((cookie) => ({ ...cookie, domain: hostname, path: "/" })));
    await tab.goto(url);
    return tab;
  },
});

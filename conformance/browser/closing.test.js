import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchChromium, openPage, shows, whenOpen } from "./chromium.js";
import { startWharf } from "../wharf.mjs";

let browser;
let wharf;

before(async () => {
  [browser, wharf] = await Promise.all([launchChromium(), startWharf()]);
});

after(async () => {
  await browser?.close();
  await wharf?.end();
});

test("Disconnect closes with 1000, and Connect opens again", async () => {
  const tab = await openPage(browser, wharf.url);
  await tab.getByRole("button", { name: "Disconnect" }).click();
  await shows(tab, "#echo-outcome", "Closed cleanly with 1000");
  await shows(tab, "#echo-state", "closed");
  await tab.getByRole("button", { name: "Connect", exact: true }).click();
  await shows(tab, "#echo-state", "open");
  assert.equal(await tab.locator("#echo-outcome").isVisible(), false);
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

test("a code and a reason of the visitor's own come back", async () => {
  const tab = await openPage(browser, wharf.url);
  await tab.getByLabel("Close", { exact: true }).fill("4001");
  await tab.getByLabel("Reason for closing").fill("tide is out");
  await tab.getByRole("button", { name: "Close", exact: true }).click();
  await shows(tab, "#echo-outcome", "Closed cleanly with 4001, “tide is out”: a code of the application’s own.");
  await tab.close();
});

test("a code that a page may not send, or a reason too long, is refused before it is sent", async () => {
  const tab = await openPage(browser, wharf.url);
  await tab.getByLabel("Close", { exact: true }).fill("1001");
  await tab.getByRole("button", { name: "Close", exact: true }).click();
  await shows(tab, "#echo-close-hint.wrong", "1000 or with 3000 to 4999");
  await tab.getByLabel("Close", { exact: true }).fill("4000");
  await tab.getByLabel("Reason for closing").fill("ü".repeat(62));
  await tab.getByRole("button", { name: "Close", exact: true }).click();
  await shows(tab, "#echo-close-hint.wrong", "123 bytes; this one takes 124");
  await shows(tab, "#echo-state", "open");
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

test("a message above the server's limit is answered with 1009, in words, and the next one goes through", async () => {
  const tab = await openPage(browser, wharf.url);
  await tab.getByLabel("Binary").selectOption("4 MiB, random");
  await tab.getByRole("button", { name: "Send bytes" }).click();
  await shows(tab, "#echo-outcome", /with 1009.*too big for this server.*--max-received-frame-size/);
  await shows(tab, "#echo-state", "closed");
  await tab.locator("#echo-message").fill("smaller");
  await tab.locator("#echo-message").press("Enter");
  await shows(tab, "#log .received", "smaller");
  await tab.close();
});

test("a stopping server says 1001 to all, ends with status 0, and the page waits until it is back", async (t) => {
  const first = await startWharf();
  t.after(() => first.end());
  const tab = await openPage(browser, first.url);
  const codes = tab.evaluate(async () => {
    const open = (path) =>
      new Promise((resolve) => {
        const socket = new WebSocket(path);
        socket.onopen = () => resolve(socket);
      });
    const sockets = await Promise.all(["/echo", "/echo", "/chat", "/live"].map(open));
    const endings = sockets.map((socket) => new Promise((resolve) => (socket.onclose = resolve)));
    document.documentElement.dataset.ready = "yes";
    return (await Promise.all(endings)).map(({ code, wasClean }) => ({ code, wasClean }));
  });
  await tab.locator("html[data-ready=yes]").waitFor();

  const ending = await first.end();
  assert.deepEqual(ending, { status: 0, signal: null });
  assert.deepEqual(await codes, Array(4).fill({ code: 1001, wasClean: true }));
  await shows(tab, "#echo-outcome", "Closed cleanly with 1001");
  await shows(tab, "#live-state[data-state=away]", /Server is away\s*, trying again in \d+ s/);
  await shows(tab, "#chat-state[data-state=away]", /server is away/);
  await tab.getByLabel("Message", { exact: true }).fill("anybody?");
  await tab.getByLabel("Message", { exact: true }).press("Enter");
  await shows(tab, "#chat-refused", "Not sent: the server is away.");
  assert.equal(await tab.getByLabel("Message", { exact: true }).inputValue(), "anybody?", "what could not be sent is not lost");

  const second = await startWharf({ port: first.port });
  t.after(() => second.end());
  // Straight at the element: by the time a pointer is there, the page may have come back by itself and hidden it.
  await tab.locator("#live-retry").dispatchEvent("click");
  await tab.locator("#live-state[data-state=open]").waitFor();
  await tab.getByRole("button", { name: "Connect", exact: true }).click();
  await whenOpen(tab);
  await tab.close();
});

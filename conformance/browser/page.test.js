import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { barriers, launchChromium, openPage, openTab, shows, whenOpen } from "./chromium.js";
import { startProxy } from "./proxy.js";
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

test("the page opens without an error, under a policy that allows nothing inline and nothing foreign", async () => {
  const tab = await openTab(browser);
  const responses = [];
  tab.on("response", (response) => responses.push(response));
  const page = await tab.goto(wharf.url);
  await whenOpen(tab);

  const policy = page.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  const loaded = responses.filter((response) => !response.url().startsWith("data:"));
  assert.ok(loaded.length >= 3, "a page, a style sheet and a script at least");
  for (const response of loaded) {
    const path = new URL(response.url()).pathname;
    const kind = path.endsWith(".js") ? "text/javascript" : path.endsWith(".css") ? "text/css" : "text/html";
    assert.equal(response.status(), 200, path);
    assert.equal(response.headers()["content-type"], `${kind}; charset=utf-8`, path);
    assert.equal(new URL(response.url()).origin, new URL(wharf.url).origin);
  }
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

test("a text comes back with its round-trip time", async () => {
  const tab = await openPage(browser, wharf.url);
  await tab.getByLabel("Text", { exact: true }).fill("Grüße, 世界 🌊 <b>&amp;</b>");
  await tab.locator("#echo").getByRole("button", { name: "Send", exact: true }).click();
  await shows(tab, "#log .received", "Grüße, 世界 🌊 <b>&amp;</b>");
  assert.match(await tab.locator("#log .received .trip").first().textContent(), / ms$/);
  assert.equal(await tab.locator("#log .received .size").first().textContent(), "33 B");
  for (const figure of ["#trip-last", "#trip-min", "#trip-median"]) {
    assert.match(await tab.locator(figure).textContent(), / ms$/);
  }
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

test("an empty text comes back too", async () => {
  const tab = await openPage(browser, wharf.url);
  await tab.getByLabel("Text", { exact: true }).press("Enter");
  await shows(tab, "#log .received .size", "0 B");
  await tab.close();
});

test("a keyboard alone reaches the message, sends it, and shows where it is", async () => {
  const tab = await openPage(browser, wharf.url);
  const focused = () => tab.evaluate(() => document.activeElement.id);
  for (let steps = 0; (await focused()) !== "echo-message"; steps += 1) {
    assert.ok(steps < 12, "the message is a few tab stops away");
    await tab.keyboard.press("Tab");
    const outline = await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid", "what has the focus shows it");
  }
  await tab.keyboard.type("typed");
  await tab.keyboard.press("Enter");
  await shows(tab, "#log .received", "typed");
  await shows(tab, "#announcer", "Echo: typed");
  assert.equal(await focused(), "echo-message", "ready for the next one");
  await tab.close();
});

test("a file of 1 MiB comes back byte for byte", async () => {
  const tab = await openPage(browser, wharf.url);
  const file = { name: "cargo.bin", mimeType: "application/octet-stream", buffer: randomBytes(1024 * 1024) };
  await tab.getByLabel("Send a file").setInputFiles(file);
  await shows(tab, "#log .sent", "cargo.bin");
  await shows(tab, "#log .received", "equal, byte for byte");
  assert.equal(await tab.locator("#log .received .size").first().textContent(), "1 MiB");
  await tab.close();
});

test("random bytes of the chosen size come back byte for byte", async () => {
  const tab = await openPage(browser, wharf.url);
  for (const size of ["1 KiB", "64 KiB", "1 MiB"]) {
    await tab.getByLabel("Binary").selectOption(`${size}, random`);
    await tab.getByRole("button", { name: "Send bytes" }).click();
    await shows(tab, `#log .received:has-text("equal, byte for byte") .size`, size);
  }
  await tab.close();
});

test("an answer that is not what was sent is shown as wrong", async () => {
  const tab = await openTab(browser);
  await tab.routeWebSocket(/\/echo$/, (socket) => {
    socket.onMessage((message) => socket.send(typeof message === "string" ? `${message}!` : Buffer.alloc(message.length)));
  });
  await tab.goto(wharf.url);
  await whenOpen(tab);
  await tab.getByLabel("Text", { exact: true }).press("Enter");
  await shows(tab, "#log .received.wrong .what", "not what was sent");
  await tab.getByRole("button", { name: "Clear" }).click();
  await tab.getByRole("button", { name: "Send bytes" }).click();
  await shows(tab, "#log .received.wrong .what", "not what was sent");
  await tab.getByRole("button", { name: "Send at once" }).click();
  await shows(tab, "#log .received.wrong .what", "1,000 differ from what was sent");
  await tab.close();
});

test("a burst of ten thousand messages comes back whole, with its rate", async () => {
  const tab = await openPage(browser, wharf.url);
  await tab.getByLabel("Burst").selectOption("10,000 messages");
  await tab.getByRole("button", { name: "Send at once" }).click();
  await shows(tab, "#log .received", "all equal to what was sent");
  assert.match(await tab.locator("#echo-rate").textContent(), /^[\d,.]+M? messages\/s, .* m?s$/);
  await tab.close();
});

test("the log keeps its newest two hundred rows", async () => {
  const tab = await openPage(browser, wharf.url);
  for (let index = 1; index <= 110; index += 1) {
    await tab.locator("#echo-message").fill(`row ${index}`);
    await tab.locator("#echo-message").press("Enter");
  }
  await shows(tab, "#log .received", "row 110");
  assert.equal(await tab.locator("#log li").count(), 200);
  assert.equal(await tab.locator("#log li", { hasText: /row 5$/ }).count(), 0);
  await tab.close();
});

test("two tabs hear each other in the chat, and what they say stays text", async () => {
  const ann = await openPage(browser, wharf.url);
  const bob = await openPage(browser, wharf.url);
  await shows(ann, "#chat-words", /people here/);
  await ann.getByLabel("Name", { exact: true }).fill("Ann");
  await ann.getByLabel("Message", { exact: true }).fill("<img src=x onerror=alert(1)>");
  await ann.getByRole("button", { name: "Say" }).click();
  for (const tab of [ann, bob]) {
    await shows(tab, "#chat-messages li:has(b:text-is('Ann')) p", "<img src=x onerror=alert(1)>");
  }
  await bob.getByLabel("Name", { exact: true }).fill("Bob");
  await bob.getByLabel("Message", { exact: true }).fill("hello Ann");
  await bob.getByLabel("Message", { exact: true }).press("Enter");
  for (const tab of [ann, bob]) {
    await shows(tab, "#chat-messages li:has(b:text-is('Bob')) p", "hello Ann");
    assert.equal(await tab.locator("#chat-messages li").count(), 2);
    assert.deepEqual(tab.problems, []);
  }
  await Promise.all([ann.close(), bob.close()]);
});

test("a chat message that the server refuses is said to be refused, and why", async () => {
  const tab = await openPage(browser, wharf.url);
  await tab.getByLabel("Name", { exact: true }).fill(" ");
  await tab.getByLabel("Message", { exact: true }).fill(" ");
  await tab.getByRole("button", { name: "Say" }).click();
  await shows(tab, "#chat-refused", /^Not sent: .+\.$/);
  await tab.close();
});

test("two tabs hear each other on a topic of the hub, and see who is there", async () => {
  const ann = await openPage(browser, wharf.url);
  const bob = await openPage(browser, wharf.url);
  for (const [tab, name, topic] of [
    [ann, "Ann", "rooms.lobby"],
    [bob, "Bob", "rooms.*"],
  ]) {
    await tab.getByLabel("Name", { exact: true }).fill(name);
    await tab.getByLabel("Topic").fill(topic);
    await tab.getByRole("button", { name: "Subscribe", exact: true }).click();
    await shows(tab, "#hub-log .note .what", /^subscribed$/);
    await tab.locator("#hub-state[data-state=open]").waitFor();
  }
  await bob.getByLabel("Topic").fill("rooms.lobby");
  await bob.getByLabel("Data").fill('{"text": "<b>ahoy</b>"}');
  await bob.getByRole("button", { name: "Publish" }).click();
  for (const tab of [ann, bob]) {
    await shows(tab, "#hub-log .received .what", '{"text":"<b>ahoy</b>"}');
  }
  await bob.getByRole("button", { name: "Who is there?" }).click();
  await shows(bob, "#hub-log .note .what", "1 connection, Ann");
  await ann.getByRole("button", { name: "Unsubscribe from rooms.lobby" }).click();
  assert.equal(await ann.locator("#hub-subscriptions li").count(), 0);
  await bob.getByRole("button", { name: "Who is there?" }).click();
  await shows(bob, "#hub-log .note .what", "0 connections");
  await bob.getByLabel("Topic").fill("no..topic");
  await bob.getByRole("button", { name: "Publish" }).click();
  await shows(bob, "#hub-refused", /^Not done: .*empty token/);
  for (const tab of [ann, bob]) {
    assert.deepEqual(tab.problems, []);
  }
  assert.deepEqual(await barriers(ann), []);
  await Promise.all([ann.close(), bob.close()]);
});

test("the live numbers follow what the server does", async (t) => {
  const own = await startWharf();
  t.after(() => own.end());
  const first = await openPage(browser, own.url);
  await shows(first, "#live-connections", /^3$/);
  const second = await openPage(browser, own.url);
  await shows(first, "#live-connections", /^6$/);
  await second.close();
  await shows(first, "#live-connections", /^3$/);
  await shows(first, "#live-accepted", "6 since the start");

  assert.equal(await first.locator("#live-in-total").textContent(), "0 in all");
  await first.getByLabel("Burst").selectOption("100 messages");
  await first.getByRole("button", { name: "Send at once" }).click();
  await shows(first, "#live-in-total", "100 in all");
  await shows(first, "#live-out", /^\d+\/s$/);
  const label = await first.locator("#live-graph").getAttribute("aria-label");
  assert.match(label, /at most [1-9]\d*$/);
  await first.close();
});

test("nothing is wider than a screen of 320 pixels, whatever is shown on it", async () => {
  const tab = await openPage(browser, wharf.url, { viewport: { width: 320, height: 640 } });
  const fits = () => tab.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
  assert.ok(await fits());
  const long = "unbroken".repeat(40);
  await tab.locator("#echo-message").fill(long);
  await tab.locator("#echo-message").press("Enter");
  await shows(tab, "#log .received", long.slice(0, 100));
  await tab.getByRole("button", { name: "Send at once" }).click();
  await shows(tab, "#echo-rate", "messages/s");
  await tab.getByLabel("Name", { exact: true }).fill("W".repeat(32));
  await tab.getByLabel("Message", { exact: true }).fill(long);
  await tab.getByLabel("Message", { exact: true }).press("Enter");
  await shows(tab, "#chat-messages", long);
  await tab.locator("#echo-code").fill("4001");
  await tab.locator("#echo-reason").fill("x".repeat(123));
  await tab.locator("#echo-reason").press("Enter");
  await shows(tab, "#echo-outcome", "4001");
  assert.ok(await fits());
  await tab.close();
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds no barrier in the ${colorScheme} scheme`, async () => {
    const tab = await openPage(browser, wharf.url, { colorScheme });
    await tab.getByRole("button", { name: "Send at once" }).click();
    await shows(tab, "#echo-rate", "messages/s");
    await tab.getByLabel("Message", { exact: true }).fill("hello");
    await tab.getByLabel("Message", { exact: true }).press("Enter");
    await shows(tab, "#chat-messages", "hello");
    await tab.getByLabel("Binary").selectOption("16 MiB, random");
    await tab.getByRole("button", { name: "Send bytes" }).click();
    await tab.locator("#echo-outcome").waitFor();
    assert.deepEqual(await barriers(tab), []);
    await tab.close();
  });
}

test("who wants less motion is not scrolled about", async () => {
  const scrolling = async (reducedMotion) => {
    const tab = await openPage(browser, wharf.url, { reducedMotion });
    const behaviour = await tab.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior);
    await tab.close();
    return behaviour;
  };
  assert.equal(await scrolling("no-preference"), "smooth");
  assert.equal(await scrolling("reduce"), "auto");
});

test("the JavaScript to copy has this server's address, and works in the page's own console", async () => {
  const tab = await openPage(browser, wharf.url, { permissions: ["clipboard-read", "clipboard-write"] });
  await tab.getByRole("button", { name: "Copy the JavaScript" }).click();
  await shows(tab, "[data-copy=snippet-javascript]", "Copied");
  const copied = await tab.evaluate(() => navigator.clipboard.readText());
  assert.ok(copied.includes(`"${wharf.socketUrl}echo"`), copied);
  const answer = tab.waitForEvent("console", (message) => message.text() === "ahoy");
  await tab.evaluate(`${copied}; undefined`);
  await answer;
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

test("the page works under a path of a proxy", async (t) => {
  const proxy = await startProxy(wharf.url, "/behind/a/proxy/");
  t.after(() => proxy.end());
  const tab = await openPage(browser, proxy.url);
  await tab.locator("#echo-message").fill("through");
  await tab.locator("#echo-message").press("Enter");
  await shows(tab, "#log .received", "through");
  assert.deepEqual(tab.problems, []);
  await tab.close();
});

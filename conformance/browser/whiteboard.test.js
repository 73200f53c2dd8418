// The example `whiteboard` in two pages, and what a third one sees that comes later.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { barriers, launchChromium, openTab, shows } from "./chromium.js";
import { startServer } from "../wharf.mjs";

let browser;
let whiteboard;

before(async () => {
  [browser, whiteboard] = await Promise.all([launchChromium(), startServer(process.env.WHARF_WHITEBOARD, ["127.0.0.1:0"])]);
});

after(async () => {
  await browser?.close();
  await whiteboard?.end();
});

async function openBoard(url = whiteboard.url, options = {}) {
  const tab = await openTab(browser, options);
  await tab.goto(url);
  await tab.locator("#state[data-state=open]").waitFor();
  return tab;
}

async function stroke(tab, from, to) {
  const box = await tab.locator("#board").boundingBox();
  const at = ([x, y]) => [box.x + (x * box.width) / 1000, box.y + (y * box.height) / 600];
  await tab.mouse.move(...at(from));
  await tab.mouse.down();
  await tab.mouse.move(...at(to), { steps: 5 });
  await tab.mouse.up();
}

/** The colour of a place on the board, as soon as it is this one. */
async function hasColor(tab, [x, y], expected) {
  await tab.waitForFunction(
    ([x, y, expected]) => {
      // Through a canvas of our own: reading the page's own one often is what Chromium warns its author of.
      const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
      copy.drawImage(document.getElementById("board"), -x, -y);
      return [...copy.getImageData(0, 0, 1, 1).data].join() === expected;
    },
    [x, y, expected.join()],
  );
}

const BLUE = [29, 78, 216, 255];
const RED = [255, 0, 0, 255];
const NOTHING = [0, 0, 0, 0];

test("what one draws the other sees, and whoever comes later sees it too", async () => {
  const ann = await openBoard();
  const bob = await openBoard();
  for (const tab of [ann, bob]) {
    await shows(tab, "#state", "2 people are here");
  }

  await stroke(ann, [100, 100], [300, 100]);
  await hasColor(bob, [200, 100], BLUE);
  await hasColor(ann, [200, 100], BLUE);

  await bob.locator("#color").fill("#ff0000");
  await bob.locator("#width").fill("20");
  await stroke(bob, [200, 50], [200, 150]);
  for (const tab of [ann, bob]) {
    await hasColor(tab, [200, 100], RED);
    await hasColor(tab, [207, 75], RED);
    await hasColor(tab, [110, 100], BLUE);
    await hasColor(tab, [500, 500], NOTHING);
  }

  const late = await openBoard();
  await hasColor(late, [200, 100], RED);
  await hasColor(late, [110, 100], BLUE);
  await shows(ann, "#state", "3 people are here");

  await late.getByRole("button", { name: "Clear" }).click();
  for (const tab of [ann, bob, late]) {
    await hasColor(tab, [200, 100], NOTHING);
    assert.deepEqual(tab.problems, []);
  }
  await Promise.all([bob.close(), late.close()]);
  await shows(ann, "#state", "nobody else is here");
  await ann.close();
});

test("a page whose server comes back connects anew and sees what is drawn then", async () => {
  const first = await startServer(process.env.WHARF_WHITEBOARD, ["127.0.0.1:0"]);
  const tab = await openBoard(first.url);
  await stroke(tab, [100, 100], [300, 100]);
  await hasColor(tab, [200, 100], BLUE);
  await first.end();
  await tab.locator("#state[data-state=closed]").waitFor();

  const second = await startServer(process.env.WHARF_WHITEBOARD, [new URL(first.url).host]);
  await tab.locator("#state[data-state=open]").waitFor();
  await hasColor(tab, [200, 100], NOTHING);
  await stroke(tab, [100, 200], [300, 200]);
  await hasColor(tab, [200, 200], BLUE);
  await tab.close();
  await second.end();
});

test("a finger draws, and a tap leaves a dot, on a screen of 320 pixels", async () => {
  const tab = await openBoard(whiteboard.url, { hasTouch: true, viewport: { width: 320, height: 640 } });
  const other = await openBoard();
  const box = await tab.locator("#board").boundingBox();
  const at = (x, y) => ({ x: box.x + (x * box.width) / 1000, y: box.y + (y * box.height) / 600 });
  await tab.locator("#width").fill("20");

  const dot = at(500, 450);
  await tab.touchscreen.tap(dot.x, dot.y);
  const screen = await tab.context().newCDPSession(tab);
  const touch = (type, ...touchPoints) => screen.send("Input.dispatchTouchEvent", { type, touchPoints });
  await touch("touchStart", at(600, 400));
  for (const x of [650, 700, 750]) {
    await touch("touchMove", at(x, 400));
  }
  await touch("touchEnd");
  for (const board of [tab, other]) {
    await hasColor(board, [500, 450], BLUE);
    await hasColor(board, [675, 400], BLUE);
    assert.deepEqual(board.problems, []);
  }
  assert.ok(await tab.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
  await Promise.all([tab.close(), other.close()]);
});

test("a keyboard alone reaches every control, clears the board, and axe finds no barrier", async () => {
  const tab = await openBoard();
  await stroke(tab, [100, 500], [300, 500]);
  await hasColor(tab, [200, 500], BLUE);
  assert.deepEqual(await barriers(tab), []);
  const reached = [];
  while (reached.at(-1) !== "clear") {
    assert.ok(reached.length < 8, `the way to Clear is short: ${reached}`);
    await tab.keyboard.press("Tab");
    reached.push(await tab.evaluate(() => document.activeElement.id));
  }
  assert.ok(reached.includes("color") && reached.includes("width"), `${reached}`);
  await tab.keyboard.press("Enter");
  await hasColor(tab, [200, 500], NOTHING);
  await tab.close();
});

test("what is no drawing ends its own connection alone", async () => {
  const tab = await openBoard();
  const closed = await tab.evaluate(
    (url) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, "whiteboard");
        socket.onopen = () => socket.send('{"type":"line","points":[0,0,1,1],"color":"url(x)","width":3}');
        socket.onclose = ({ code, reason }) => resolve({ code, reason });
      }),
    new URL("/board", whiteboard.url.replace("http", "ws")).href,
  );
  assert.deepEqual(closed, { code: 1008, reason: "a colour is #rrggbb" });
  await stroke(tab, [100, 300], [300, 300]);
  await hasColor(tab, [200, 300], BLUE);
  await tab.close();
});

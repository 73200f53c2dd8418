import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { launchChromium, openTab, shows } from "./chromium.js";
import { startWharf } from "../wharf.mjs";

const example = fileURLToPath(new URL("../../examples/whiteboard/", import.meta.url));
let browser;
let nats;
let pages;
let nodes;

before(async () => {
  [browser, nats, pages] = await Promise.all([launchChromium(), startNats(), servePages()]);
  nodes = await Promise.all([startNode(), startNode()]);
});

after(async () => {
  await browser?.close();
  await Promise.all((nodes ?? []).map((node) => node.end()));
  await nats?.end();
  pages?.close();
});

test("what is drawn at one node is seen at the other, and by whoever comes later", async () => {
  const [ann, bob] = [await openBoard(nodes[0]), await openBoard(nodes[1])];
  await shows(ann, "#state", "2 people are here");
  await stroke(ann, [100, 100], [300, 100]);
  await hasColor(bob, [200, 100], BLUE);
  await bob.locator("#color").fill("#ff0000");
  await stroke(bob, [100, 200], [300, 200]);
  await hasColor(ann, [200, 200], RED);
  const late = await openBoard(nodes[1]);
  await hasColor(late, [200, 100], BLUE);
  await hasColor(late, [200, 200], RED);
  for (const tab of [ann, bob, late]) {
    assert.deepEqual(tab.problems, []);
    await tab.close();
  }
});

test("a page whose node was stopped and comes back shows what it missed", async () => {
  const [ann, bob] = [await openBoard(nodes[0]), await openBoard(nodes[1])];
  await nodes[1].end();
  await shows(bob, "#state", "away");
  await stroke(ann, [100, 300], [300, 300]);
  nodes[1] = await startNode(nodes[1].port);
  await hasColor(bob, [200, 300], BLUE);
  await Promise.all([ann.close(), bob.close()]);
});

test("a board takes a node of this machine alone, since it runs what that gives it", async () => {
  const tab = await openTab(browser);
  for (const node of ["http://example.test", "http://127.0.0.1.example.test", "http://127.0.0.1@example.test"]) {
    await tab.goto(`${pages.origin}/?node=${node}`);
    await shows(tab, "#state", "example.test is not this machine");
  }
  await tab.close();
});

function startNode(port = 0) {
  const options = ["--config", join(example, "wharf.toml"), "--allowed-origins", pages.origin, "--broker", nats.url];
  return startWharf({ port, options });
}

async function openBoard(node) {
  const tab = await openTab(browser);
  await tab.goto(`${pages.origin}/?node=${node.url}`);
  await shows(tab, "#state", /here, you at/);
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

/** Waits until a place on the board has this colour. */
async function hasColor(tab, [x, y], expected) {
  await tab.waitForFunction(
    ([x, y, expected]) => {
      const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
      copy.drawImage(document.getElementById("board"), -x, -y);
      return [...copy.getImageData(0, 0, 1, 1).data].join() === expected;
    },
    [x, y, expected.join()],
  );
}

async function startNats() {
  const folder = mkdtempSync(join(tmpdir(), "wharf-nats-"));
  const port = await freePort();
  const options = ["-js", "-a", "127.0.0.1", "-p", `${port}`, "-sd", folder];
  const program = spawn(process.env.NATS_SERVER, options, { stdio: "ignore" });
  const exit = once(program, "exit");
  await answers(port);
  return {
    url: `nats://127.0.0.1:${port}`,
    async end() {
      program.kill();
      await exit;
      rmSync(folder, { recursive: true });
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Waits until somebody listens there. */
async function answers(port) {
  for (const deadline = Date.now() + 20_000; ; ) {
    const socket = connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      if (Date.now() > deadline) {
        throw error;
      }
      await wait(50);
    } finally {
      socket.destroy();
    }
  }
}

/** As `python3 -m http.server` does. */
async function servePages() {
  const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
  const server = createHttpServer(({ url }, response) => {
    const { pathname } = new URL(url, "http://127.0.0.1");
    const name = pathname === "/" ? "index.html" : pathname.slice(1);
    response.setHeader("content-type", types[extname(name)]);
    response.end(readFileSync(join(example, name)));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

const BLUE = [29, 78, 216, 255];
const RED = [255, 0, 0, 255];

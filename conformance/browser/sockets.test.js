import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launchChromium, openTab } from "./chromium.js";
import { LIMIT, startWharf } from "../wharf.mjs";

let browser;
let wharf;
let tab;

before(async () => {
  [browser, wharf] = await Promise.all([launchChromium(), startWharf()]);
  tab = await openTab(browser);
  await tab.goto(wharf.url);
  await tab.evaluate(() => {
    /** The answers to these messages on a connection of their own: texts as they are, binary ones as arrays of bytes. */
    window.echoes = (messages) =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket("/echo");
        socket.binaryType = "arraybuffer";
        const answers = [];
        socket.onopen = () => messages.forEach((message) => socket.send(message));
        socket.onmessage = ({ data }) => {
          answers.push(typeof data === "string" ? data : new Uint8Array(data));
          if (answers.length === messages.length) {
            socket.onclose = null;
            socket.close();
            resolve(answers);
          }
        };
        socket.onclose = ({ code }) => reject(new Error(`closed with ${code} after ${answers.length} answers`));
      });
    window.pattern = (length) => Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
    window.same = (one, other) => one.length === other.length && one.every((byte, index) => byte === other[index]);
    window.closeEvent = (act) =>
      new Promise((resolve) => {
        const socket = new WebSocket("/echo");
        socket.onopen = () => act(socket);
        socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
      });
  });
});

after(async () => {
  await browser?.close();
  await wharf?.end();
});

test("texts come back as texts, in order, empty ones and all planes of Unicode included", async () => {
  const texts = ["one", "", "Grüße", "世界", "🌊", "\u0000", "\ufeffmark", "\u{10ffff}", "last"];
  assert.deepEqual(await tab.evaluate((messages) => window.echoes(messages), texts), texts);
});

test("messages that the browser and the server compress come back, by themselves and one after the other", async () => {
  const echoed = await tab.evaluate(async () => {
    const text = JSON.stringify(Array.from({ length: 2000 }, (_, id) => ({ id, name: `user ${(id * 7919) % 1000}` })));
    const messages = ["", text, text, text.repeat(10), window.pattern(200_000), text];
    const answers = await window.echoes(messages);
    return answers.every((answer, at) => typeof answer === "string" ? answer === messages[at] : window.same(answer, messages[at]));
  });
  assert.ok(echoed);
});

test("the browser's own offer of compression is taken", async () => {
  const extensions = await tab.evaluate(
    () =>
      new Promise((resolve) => {
        const socket = new WebSocket("/echo");
        socket.onopen = () => (resolve(socket.extensions), socket.close());
      }),
  );
  assert.equal(extensions, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
});

test("binary messages come back as binary, at every length where the frame header changes", async () => {
  const lengths = [0, 1, 125, 126, 127, 128, 65_535, 65_536, 65_537, 1024 * 1024];
  const equal = await tab.evaluate(async (all) => {
    const sent = all.map(window.pattern);
    const answers = await window.echoes(sent);
    return answers.map((answer, index) => answer instanceof Uint8Array && window.same(answer, sent[index]));
  }, lengths);
  assert.deepEqual(equal, lengths.map(() => true));
});

test("text and binary keep their order among each other", async () => {
  const kinds = await tab.evaluate(async () => {
    const answers = await window.echoes(["a", window.pattern(3), "b", new Blob(["blob"]), "c"]);
    return answers.map((answer) => (typeof answer === "string" ? answer : `${answer.length} bytes`));
  });
  assert.deepEqual(kinds, ["a", "3 bytes", "b", "4 bytes", "c"]);
});

test("a message exactly as large as the limit comes back", async () => {
  const equal = await tab.evaluate(async (limit) => {
    const sent = window.pattern(limit);
    return window.same((await window.echoes([sent]))[0], sent);
  }, LIMIT);
  assert.equal(equal, true);
});

test("a message one byte above the limit is answered with 1009", async () => {
  const event = await tab.evaluate((length) => window.closeEvent((socket) => socket.send(window.pattern(length))), LIMIT + 1);
  assert.equal(event.code, 1009);
});

test("64 sockets at once each get their own answers", async () => {
  const right = await tab.evaluate(async () => {
    const messages = (socket) => Array.from({ length: 20 }, (_, index) => `socket ${socket}, message ${index}`);
    const all = await Promise.all(Array.from({ length: 64 }, (_, socket) => window.echoes(messages(socket))));
    return all.filter((answers, socket) => answers.join() === messages(socket).join()).length;
  });
  assert.equal(right, 64);
});

test("a close is answered with its own code and reason", async () => {
  const closing = (...words) => tab.evaluate((all) => window.closeEvent((socket) => socket.close(...all)), words);
  assert.deepEqual(await closing(1000), { code: 1000, reason: "", wasClean: true });
  assert.deepEqual(await closing(4001, "tide is out"), { code: 4001, reason: "tide is out", wasClean: true });
  const longest = "ü".repeat(61);
  assert.deepEqual(await closing(3000, longest), { code: 3000, reason: longest, wasClean: true });
});

test("a close without a code is answered without one", async () => {
  const event = await tab.evaluate(() => window.closeEvent((socket) => socket.close()));
  assert.deepEqual(event, { code: 1005, reason: "", wasClean: true });
});

test("an endpoint that does not exist opens no socket", async () => {
  const event = await tab.evaluate(
    () =>
      new Promise((resolve) => {
        const socket = new WebSocket("/nowhere");
        socket.onopen = () => resolve("open");
        socket.onclose = ({ code, wasClean }) => resolve({ code, wasClean });
      }),
  );
  assert.deepEqual(event, { code: 1006, wasClean: false });
});

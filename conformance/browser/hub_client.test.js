import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, mock, test } from "node:test";

const source = readFileSync(new URL("../../crates/wharf-cli/src/page/hub-client.js", import.meta.url), "utf8");
const { Hub } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

/** What a test has in place of a connection: `sockets` are all that were opened. */
class Socket {
  static sockets = [];
  asked = [];

  constructor() {
    Socket.sockets.push(this);
  }

  send(text) {
    this.asked.push(JSON.parse(text));
  }

  close() {}

  says(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  /** Answers the last request: with an error, if there is a code. */
  async answers({ code, ...done } = {}) {
    const { id } = this.asked.at(-1);
    this.says(code ? { type: "error", id, code, message: code } : { type: "ok", id, ...done });
    await settled();
  }
}

/** Promises have told who waits for them. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function open(state = () => {}) {
  const hub = new Hub("ws://127.0.0.1/hub", { state });
  return { hub, socket: await welcomed() };
}

async function welcomed() {
  await settled();
  const socket = Socket.sockets.at(-1);
  socket.says({ type: "welcome" });
  return socket;
}

const topics = ({ asked }) => asked.filter(({ type }) => type === "subscribe").map(({ topic }) => topic);

/** One second after the other: a timer that is set by another one counts from then. */
function pass(seconds) {
  for (let second = 0; second < seconds; second += 1) {
    mock.timers.tick(1000);
  }
}

let reported;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(performance, "now", () => Date.now());
  reported = [];
  globalThis.reportError = (error) => reported.push(error);
  globalThis.WebSocket = Socket;
  Socket.sockets = [];
});

afterEach(() => mock.reset());

test("a subscription that fails for now is asked for again on the same connection, less and less often", async () => {
  const { hub, socket } = await open();
  const told = [];
  hub.subscribe("a", { subscribed: () => told.push("subscribed"), failed: ({ code }) => told.push(code) });
  for (const [code, longest] of [
    ["broker", 500],
    ["busy", 1000],
    ["ended", 2000],
  ]) {
    const before = topics(socket).length;
    await socket.answers({ code });
    mock.timers.tick(longest / 2 - 1);
    assert.equal(topics(socket).length, before, code);
    mock.timers.tick(longest / 2 + 1);
    assert.equal(topics(socket).length, before + 1, code);
  }
  await socket.answers();
  assert.deepEqual(told, ["subscribed"]);
  assert.equal(Socket.sockets.length, 1);
});

test("one that is ended while it waits to be asked for again is not", async () => {
  const { hub, socket } = await open();
  const subscription = hub.subscribe("a", {});
  await socket.answers({ code: "broker" });
  subscription.unsubscribe();
  mock.timers.tick(20_000);
  assert.deepEqual(topics(socket), ["a"]);
});

test("a subscription that may not be fails at once, and refused presence leaves it", async () => {
  const { hub, socket } = await open();
  const told = [];
  const failed = ({ code }) => told.push(code);
  hub.subscribe("a", { failed });
  await socket.answers({ code: "not_permitted" });
  assert.deepEqual(told, ["not_permitted"]);
  hub.subscribe("b", { failed, joined() {}, message: ({ data }) => told.push(data), presenceFailed: () => told.push("presence") });
  const [{ id }] = socket.asked.filter(({ topic }) => topic === "b");
  await socket.answers({ code: "not_permitted" });
  socket.says({ type: "ok", id });
  socket.says({ type: "message", topic: "b", data: 1 });
  assert.deepEqual(told, ["not_permitted", "presence", 1]);
});

test("what a callback throws keeps no other from being told", async () => {
  const { hub, socket } = await open(() => {
    throw new Error("state");
  });
  const heard = [];
  hub.subscribe("a", {
    message() {
      throw new Error("message");
    },
  });
  await socket.answers();
  hub.subscribe("a", { message: ({ data }) => heard.push(data) });
  socket.says({ type: "message", topic: "a", data: 1 });
  assert.deepEqual(heard, [1]);
  const messages = reported.map(({ message }) => message);
  assert.deepEqual(messages, ["state", "state", "message"]);
});

test("a server that closes at once is asked less and less often, and one that was there for a while soon", async () => {
  const waits = [];
  await open((state, { milliseconds }) => state === "away" && waits.push(milliseconds));
  for (let attempt = 0; attempt < 6; attempt += 1) {
    Socket.sockets.at(-1).onclose({ code: 1006, reason: "" });
    mock.timers.tick(Math.ceil(waits.at(-1)));
    await welcomed();
  }
  waits.forEach((wait, failures) => assert.ok(wait >= 250 * 2 ** failures, `${waits}`));
  mock.timers.tick(10_000);
  Socket.sockets.at(-1).onclose({ code: 1006, reason: "" });
  assert.ok(waits.at(-1) <= 500, `${waits}`);
});

test("what a pattern was told already it is not told again when its topic is recovered", async () => {
  const { hub, socket } = await open();
  const [byPattern, byName] = [[], []];
  hub.subscribe("kept.*", { message: ({ data }) => byPattern.push(data) });
  await socket.answers();
  hub.subscribe("kept.a", { message: ({ data }) => byName.push(data) });
  await socket.answers({ position: "e-1" });
  socket.says({ type: "message", topic: "kept.a", position: "e-2", data: 2 });
  socket.onclose({ code: 1006, reason: "" });
  mock.timers.tick(500);
  const again = await welcomed();
  const [pattern, name] = again.asked;
  assert.equal(name.since, "e-2");
  again.says({ type: "ok", id: pattern.id });
  again.says({ type: "message", topic: "kept.a", position: "e-4", data: 4 });
  again.says({ type: "ok", id: name.id, position: "e-4", recovered: 2 });
  for (const offset of [3, 4]) {
    again.says({ type: "message", topic: "kept.a", position: `e-${offset}`, data: offset });
  }
  again.says({ type: "message", topic: "kept.a", position: "f-1", data: "another history" });
  assert.deepEqual(byPattern, [2, 4, "another history"]);
  assert.deepEqual(byName, [2, 3, 4, "another history"]);
});

test("a connection on which nothing comes, though it is asked, is given up", async () => {
  const states = [];
  const { socket } = await open((state, { reason }) => states.push([state, reason]));
  pass(20);
  socket.says({ type: "message", topic: "a", data: 1 });
  pass(29);
  assert.deepEqual(socket.asked, []);
  pass(1);
  assert.equal(socket.asked.at(-1).type, "ping");
  await socket.answers();
  pass(39);
  assert.equal(socket.asked.length, 2);
  assert.equal(states.length, 2);
  pass(1);
  assert.deepEqual(states.at(-1), ["away", "the server does not answer"]);
  pass(1);
  await welcomed();
  assert.equal(Socket.sockets.length, 2);
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, afterEach, before, test } from "node:test";
import { startWharf } from "../wharf.mjs";
import { clients } from "./clients.js";
import { HANDSHAKE, answerOn, answerTo, halfOpen, head } from "./raw.js";

let wharf;
before(async () => (wharf = await startWharf({ options: ["--handshake-timeout", "500ms"] })));
after(() => wharf.end());

// Whatever a peer sent, the next one is served.
afterEach(async () => {
  const socket = await clients[0].connect(`${wharf.socketUrl}echo`);
  socket.send("still there?");
  assert.equal(await socket.next(), "still there?");
  socket.close(1000);
  await socket.closed;
});

const GET = "GET /echo HTTP/1.1";
const refused = [
  ["without a Host", 400, head(GET, { ...HANDSHAKE, Host: null })],
  ["without a key", 400, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Key": null })],
  ["with an empty key", 400, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Key": "" })],
  ["with a key of three characters", 400, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Key": "abc" })],
  ["without a version", 400, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Version": null })],
  ["with a version that is no number", 400, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Version": "13abc" })],
  ["with a key of 15 bytes", 400, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA" })],
  ["with version 7", 426, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Version": "7" })],
  ["with version 14", 426, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Version": "14" })],
  ["with POST", 400, head("POST /echo HTTP/1.1", { ...HANDSHAKE, "Content-Length": "0" })],
  ["with HTTP/1.0", 400, head("GET /echo HTTP/1.0", HANDSHAKE)],
  ["to another protocol", 400, head(GET, { ...HANDSHAKE, Upgrade: "foo" })],
  ["with a subprotocol that is no token", 400, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Protocol": "a b" })],
  ["on a path without an endpoint", 404, head("GET /nowhere HTTP/1.1", HANDSHAKE)],
  ["with a head of 20 KB", 431, head(GET, { ...HANDSHAKE, "X-Long": "x".repeat(20_000) })],
  ["with 200 fields", 431, head(GET, { ...HANDSHAKE, ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`X-${i}`, "x"])) })],
  ["of no HTTP at all", 400, Buffer.from("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "latin1")],
];

for (const [what, status, bytes] of refused) {
  test(`a handshake ${what} gets ${status} and the end of TCP`, async () => {
    const answer = await answerTo(wharf.port, bytes);
    assert.match(answer, new RegExp(`^HTTP/1\\.[01] ${status} `));
    assert.match(answer, /\r\n\r\n$/);
  });
}

test("a refusal of the version names those that are spoken", async () => {
  const answer = await answerTo(wharf.port, head(GET, { ...HANDSHAKE, "Sec-WebSocket-Version": "7" }));
  assert.match(answer, /\r\nsec-websocket-version: 13, 8\r\n/i);
});

test("a handshake that drips is cut at --handshake-timeout, however steadily its bytes come", async () => {
  const socket = halfOpen(wharf.port);
  const bytes = head(GET, { ...HANDSHAKE, "X-Long": "x".repeat(15_000) });
  let sent = 0;
  const drip = setInterval(() => socket.write(bytes[sent++]), 20);
  const began = performance.now();
  const answer = await answerOn(socket).finally(() => clearInterval(drip));
  assertInTime(performance.now() - began);
  assert.match(answer, /^HTTP\/1\.1 408 [^]*\r\n\r\n$/);
});

test("a connection that says nothing is ended at --handshake-timeout, without an answer", async () => {
  const began = performance.now();
  assert.equal(await answerOn(halfOpen(wharf.port)), "");
  assertInTime(performance.now() - began);
});

test("a handshake that comes in segments of one byte each is served", async () => {
  const socket = halfOpen(wharf.port);
  socket.setNoDelay(true);
  for (const byte of Buffer.from(head(GET, HANDSHAKE))) {
    await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
  }
  const [answer] = await once(socket, "data");
  // The answer to this key (RFC 6455 §1.3).
  assert.match(answer.toString(), /^HTTP\/1\.1 101 [^]*\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  socket.destroy();
});

test("a handshake in two pieces with frames behind it is served", async () => {
  const socket = connect({ port: wharf.port, host: "127.0.0.1" });
  const bytes = Buffer.from(head(GET, HANDSHAKE));
  // A masked "Hello" (RFC 6455 §5.7) in the same segment as the handshake's end, then a close without a code.
  const frames = Buffer.from("818537fa213d7f9f4d5158888000000000", "hex");
  const answered = [];
  socket.on("data", (chunk) => answered.push(chunk));
  socket.write(bytes.subarray(0, 50));
  socket.write(Buffer.concat([bytes.subarray(50), frames]));
  await once(socket, "close");
  const answer = Buffer.concat(answered);
  assert.match(answer.toString("latin1"), /^HTTP\/1\.1 101 /);
  assert.equal(answer.subarray(answer.indexOf("\r\n\r\n") + 4).toString("hex"), "810548656c6c6f8800");
});

/** At the deadline of these tests: not before it, and well before the ten seconds that are the default. */
function assertInTime(took) {
  assert.ok(took > 400 && took < 5_000, `ended after ${took} ms`);
}

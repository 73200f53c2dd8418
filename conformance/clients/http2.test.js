// WebSockets as streams of HTTP/2 (RFC 8441), as node's own client sees them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, afterEach, before, describe, test } from "node:test";
import { ENCRYPTED, startWharf } from "../wharf.mjs";
import { CANCEL, NO_ERROR, handshakeOn, openSession, openSocket } from "./http2.js";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
// Of HTTP/1.1 alone (RFC 9113 §8.2.2).
const OF_A_CONNECTION = ["connection", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding"];

for (const [way, options] of [["by prior knowledge", undefined], ["over TLS", ENCRYPTED]]) {
  describe(`HTTP/2 ${way}`, () => {
    let wharf;
    let session;

    before(async () => {
      wharf = await startWharf({ options });
      session = await openSession(wharf.url);
    });

    // Whatever came before on this connection, it serves.
    afterEach(async () => {
      const socket = await openSocket(session, "/echo");
      socket.send("still there?");
      assert.equal(await socket.next(), "still there?");
      socket.close(1000);
      await socket.closed;
    });

    after(async () => {
      session.close();
      await wharf.end();
    });

    test("the server's settings allow an extended CONNECT", () => {
      assert.equal(session.remoteSettings.enableConnectProtocol, true);
    });

    test("an accepted handshake is answered with 200 and without what HTTP/2 has no place for", async () => {
      const { stream, headers, status } = await handshakeOn(session, "/echo");
      assert.equal(status, 200);
      for (const field of [...OF_A_CONNECTION, "sec-websocket-accept", "content-length"]) {
        assert.equal(headers[field], undefined, field);
      }
      stream.close(CANCEL);
    });

    test("a key, which RFC 8441 does without, is answered by those who send one", async () => {
      const { stream, headers } = await handshakeOn(session, "/echo", { "sec-websocket-key": KEY });
      // The answer to this key (RFC 6455 §1.3).
      assert.equal(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
      stream.close(CANCEL);
    });

    for (const [what, statuses, path, fields] of [
      ["on a path without an endpoint", [404], "/nowhere", {}],
      ["without a version", [400], "/echo", { "sec-websocket-version": undefined }],
      ["with a version that is no number", [400], "/echo", { "sec-websocket-version": "13abc" }],
      // 426 wants an Upgrade field (RFC 9110 §15.5.22), which HTTP/2 does not have.
      ["with version 7", [400, 426], "/echo", { "sec-websocket-version": "7" }],
      ["with a subprotocol that is no token", [400], "/echo", { "sec-websocket-protocol": "a b" }],
      ["with a protocol that is no WebSocket", [400, 404, 405, 501], "/echo", { ":protocol": "connect-udp" }],
    ]) {
      test(`a handshake ${what} is refused with ${statuses.join(" or ")}, and its stream ends`, async (t) => {
        const { stream, headers, status } = await handshakeOn(session, path, fields);
        t.after(() => stream.close(CANCEL));
        assert.ok(statuses.includes(status), `${status}`);
        for (const field of OF_A_CONNECTION) {
          assert.equal(headers[field], undefined, field);
        }
        stream.resume();
        await once(stream, "end");
      });
    }

    test("a refusal of the version names those that are spoken", async () => {
      const { stream, headers } = await handshakeOn(session, "/echo", { "sec-websocket-version": "7" });
      assert.equal(headers["sec-websocket-version"], "13, 8");
      stream.close(CANCEL);
    });

    test("100 WebSockets on one connection echo at once, and ordinary requests are answered beside them", async () => {
      const sockets = await Promise.all(Array.from({ length: 100 }, () => openSocket(session, "/echo")));
      const answered = sockets.map(async (socket, number) => {
        const messages = Array.from({ length: 20 }, (_, at) => `${number}:${at}`);
        messages.forEach((message) => socket.send(message));
        for (const message of messages) {
          assert.equal(await socket.next(), message);
        }
      });
      const pages = Array.from({ length: 20 }, () => get(session, "/"));
      for (const { status, body } of await Promise.all(pages)) {
        assert.equal(status, 200);
        assert.match(body, /<\/html>\s*$/);
      }
      await Promise.all(answered);
      sockets.forEach((socket) => socket.close(1000));
      for (const { code } of await Promise.all(sockets.map((socket) => socket.closed))) {
        assert.equal(code, 1000);
      }
    });

    test("a large message does not keep the others of its connection waiting for its end", async () => {
      const [large, small] = await Promise.all([openSocket(session, "/echo"), openSocket(session, "/echo")]);
      // What comes back of it is not read, so that its stream stands still.
      large.stream.pause();
      large.send(Buffer.alloc(2 * 1024 * 1024, "x"));
      for (let at = 0; at < 100; at += 1) {
        small.send(`${at}`);
        assert.equal(await small.next(), `${at}`);
      }
      large.stream.resume();
      assert.equal((await large.next()).length, 2 * 1024 * 1024);
      large.close(1000);
      small.close(1000);
      await Promise.all([large.closed, small.closed]);
    });

    test("after the closing handshake the server ends the stream, and without an error", async () => {
      const socket = await openSocket(session, "/echo");
      socket.close(4001, "tide is out");
      assert.deepEqual(await socket.closed, { code: 4001, reason: "tide is out" });
      assert.deepEqual(socket.ending(), { ended: true, error: NO_ERROR });
    });

    test("a stream that its client ended without a Close frame is ended by the server too", async () => {
      const socket = await openSocket(session, "/echo");
      socket.stream.end();
      await socket.closed;
      await connections(session, 1);
    });

    test("a stream that its client reset is no longer counted, and the others of its connection go on", async () => {
      const [leaving, staying] = await Promise.all([openSocket(session, "/echo"), openSocket(session, "/echo")]);
      await connections(session, 3);
      leaving.stream.close(CANCEL);
      await connections(session, 2);
      staying.send("still here");
      assert.equal(await staying.next(), "still here");
      staying.close(1000);
      await staying.closed;
    });

    test("a connection that its client drops takes all its WebSockets along", async () => {
      const other = await openSession(wharf.url);
      other.on("error", () => {});
      for (let at = 0; at < 10; at += 1) {
        (await openSocket(other, "/echo")).closed.catch(() => {});
      }
      await connections(session, 11);
      other.destroy();
      await connections(session, 1);
    });

    test("an ordinary request has its answer: the page, what is not there, and a method that is not allowed", async () => {
      assert.equal((await get(session, "/style.css")).status, 200);
      assert.equal((await get(session, "/nowhere")).status, 404);
      const head = await get(session, "/", { ":method": "HEAD" });
      assert.deepEqual([head.status, head.body], [200, ""]);
      assert.equal((await get(session, "/", { ":method": "DELETE" })).status, 405);
    });

    test("told to stop, the server says 1001 on every stream, then GOAWAY, and ends with status 0", async () => {
      const leaving = await startWharf({ options });
      const own = await openSession(leaving.url);
      const away = once(own, "goaway");
      const sockets = await Promise.all(["/echo", "/chat", "/live", "/echo"].map((path) => openSocket(own, path)));
      const [ending, [error], ...closed] = await Promise.all([leaving.end(), away, ...sockets.map(({ closed }) => closed)]);
      assert.deepEqual(ending, { status: 0, signal: null });
      assert.equal(error, NO_ERROR);
      assert.deepEqual(closed.map(({ code }) => code), [1001, 1001, 1001, 1001]);
      assert.deepEqual(sockets.map((socket) => socket.ending()), Array(4).fill({ ended: true, error: NO_ERROR }));
    });
  });
}

/** An ordinary request and its whole answer. */
async function get(session, path, fields = {}) {
  const stream = session.request({ ":path": path, ...fields }).setEncoding("utf8");
  const [headers] = await once(stream, "response");
  let body = "";
  for await (const piece of stream) {
    body += piece;
  }
  return { status: headers[":status"], body };
}

/** Waits until the server counts so many WebSockets, with the one that asks. */
async function connections(session, expected) {
  const watcher = await openSocket(session, "/live");
  let counted;
  // It tells one each second.
  for (let told = 0; told < 15 && counted !== expected; told += 1) {
    counted = JSON.parse(await watcher.next()).connections;
  }
  assert.equal(counted, expected);
  watcher.close(1000);
  await watcher.closed;
}

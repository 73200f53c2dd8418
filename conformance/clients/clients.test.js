import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { ENCRYPTED, LIMIT, startWharf } from "../wharf.mjs";
import { clients } from "./clients.js";
import { http2 } from "./http2.js";
import { undici } from "./undici.js";

// Each with the version of HTTP that it speaks, and with the program's options.
const WAYS = [
  ...clients.map((client) => ({ ...client, version: "HTTP/1.1" })),
  ...clients.map((client) => ({ ...client, name: `${client.name} over TLS`, version: "HTTP/1.1", options: ENCRYPTED })),
  { ...http2, name: "node http2 by prior knowledge", version: "HTTP/2.0" },
  { ...http2, name: "node http2 over TLS", version: "HTTP/2.0", options: ENCRYPTED },
  { ...undici, name: "undici over TLS", version: "HTTP/2.0", options: ENCRYPTED },
];

// The lengths at which the form of a frame's header changes, and one that the server sends back in fragments.
const LENGTHS = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];

for (const { name, connect, version, options, cannot = [] } of WAYS) {
  const onlyWith = (call) => ({ skip: cannot.includes(call) && `it has no call for ${call}` });
  describe(name, () => {
    let wharf;
    before(async () => (wharf = await startWharf({ options })));
    after(() => wharf.end());
    const echo = (asked) => connect(`${wharf.socketUrl}echo`, asked);

    test(`the server sees ${version}`, async () => {
      const socket = await connect(`${wharf.socketUrl}whoami`);
      assert.equal(JSON.parse(await socket.next()).http_version, version);
      socket.close(1000);
      await socket.closed;
    });

    test("texts come back as texts, in order, empty ones and astral characters included", async () => {
      const socket = await echo();
      const texts = ["", "hello", "κόσμε", "😀 \u{10ffff}", "x".repeat(70_000), "last"];
      texts.forEach((text) => socket.send(text));
      for (const text of texts) {
        assert.equal(await socket.next(), text);
      }
      socket.close(1000);
      await socket.closed;
    });

    for (const length of LENGTHS) {
      test(`${length} random bytes come back as they were`, async () => {
        const socket = await echo();
        const bytes = randomBytes(length);
        socket.send(bytes);
        assert.deepEqual(await socket.next(), bytes);
        socket.close(1000);
        await socket.closed;
      });
    }

    test("a message in fragments comes back whole", onlyWith("fragments"), async () => {
      const socket = await echo();
      socket.sendInFragments(["frag", "ment", "ed"]);
      assert.equal(await socket.next(), "fragmented");
      socket.close(1000);
      await socket.closed;
    });

    test("a ping is answered with its payload", onlyWith("ping"), async () => {
      const socket = await echo();
      socket.ping(Buffer.from("are you there?"));
      assert.equal((await socket.pong()).toString(), "are you there?");
      socket.close(1000);
      await socket.closed;
    });

    test("of the subprotocols that are asked for, the first is spoken", async () => {
      const socket = await echo({ protocols: ["chat", "superchat"] });
      assert.equal(socket.protocol(), "chat");
      socket.send("hello");
      assert.equal(await socket.next(), "hello");
      socket.close(1000);
      await socket.closed;
    });

    test("an origin does no harm", async () => {
      const socket = await echo({ origin: "https://elsewhere.example" });
      socket.send("hello");
      assert.equal(await socket.next(), "hello");
      socket.close(1000);
      await socket.closed;
    });

    test("a client's code and reason are answered as they are", async () => {
      const socket = await echo();
      socket.close(4001, "why not ⚓");
      assert.deepEqual(await socket.closed, { code: 4001, reason: "why not ⚓" });
    });

    test("64 connections at once get 200 messages each, in order", async () => {
      const sockets = await Promise.all(Array.from({ length: 64 }, () => echo()));
      await Promise.all(
        sockets.map(async (socket, i) => {
          for (let j = 0; j < 200; j++) {
            socket.send(`${i}:${j}`);
          }
          for (let j = 0; j < 200; j++) {
            assert.equal(await socket.next(), `${i}:${j}`);
          }
          socket.close(1000);
          await socket.closed;
        }),
      );
    });

    test("a message above the limit is told with 1009", onlyWith("fragments"), async () => {
      const socket = await echo();
      // In one frame: the limit on frames is the one that it meets.
      socket.sendInFragments(["x".repeat(LIMIT + 1)]);
      assert.equal((await socket.closed).code, 1009);
    });

    test("a path without an endpoint is refused with 404", onlyWith("status"), async () => {
      await assert.rejects(connect(`${wharf.socketUrl}nowhere`), { status: 404 });
    });

    test("told to stop, the server says 1001 and ends with status 0", async () => {
      const leaving = await startWharf({ options });
      const sockets = await Promise.all(
        ["echo", "chat", "live", "echo"].map((path) => connect(`${leaving.socketUrl}${path}`)),
      );
      const [ending, ...closed] = await Promise.all([leaving.end(), ...sockets.map((socket) => socket.closed)]);
      assert.deepEqual(ending, { status: 0, signal: null });
      assert.deepEqual(closed.map(({ code }) => code), [1001, 1001, 1001, 1001]);
    });
  });
}

describe("among each other", () => {
  let wharf;
  before(async () => (wharf = await startWharf()));
  after(() => wharf.end());

  test("a client that has left is no longer counted", async () => {
    const [ws, other] = clients;
    const watcher = await ws.connect(`${wharf.socketUrl}live`);
    const leaving = await other.connect(`${wharf.socketUrl}echo`);
    const count = async (expected) => {
      for (;;) {
        if (JSON.parse(await watcher.next()).connections === expected) {
          return;
        }
      }
    };
    await count(2);
    leaving.close(1000);
    await count(1);
    watcher.close(1000);
    await watcher.closed;
  });
});

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { LIMIT, startWharf } from "../wharf.mjs";
import { proxies } from "./proxies.js";
import { open, whoami } from "./sockets.js";

// What a proxy sees of a client here, and what no other process has.
const CLIENT = "127.0.0.5";
const PROXY = "127.0.0.1";

for (const { name, version, start } of proxies) {
  describe(`${name} in front of wharf`, () => {
    let wharf, proxy;
    before(async () => {
      wharf = await startWharf();
      proxy = await start({ servers: [wharf.port] });
    });
    after(async () => {
      await proxy?.end();
      await wharf?.end();
    });

    test("texts and bytes come back as they were, in order, up to the longest that is allowed", async () => {
      // Random bytes are longer when they are compressed, and would be beyond the limit.
      const socket = await open(`${proxy.url}/echo`, { perMessageDeflate: false });
      const messages = ["", "κόσμε 😀", randomBytes(1), randomBytes(65_536), "x".repeat(300_000), randomBytes(LIMIT), "last"];
      messages.forEach((message) => socket.send(message));
      for (const message of messages) {
        assert.deepEqual(await socket.next(), message);
      }
      socket.close(1000);
      assert.equal((await socket.closed).code, 1000);
    });

    test("messages in fragments arrive whole, and pings are answered", async () => {
      const socket = await open(`${proxy.url}/echo`);
      socket.send("frag", { fin: false });
      const pong = socket.pong();
      socket.ping("there?");
      socket.send("mented", { fin: true });
      assert.equal(await pong, "there?");
      assert.equal(await socket.next(), "fragmented");
      socket.close(1000);
      await socket.closed;
    });

    test("wharf sees path, query, host, origin and subprotocol, and its choice comes back", async () => {
      const options = { protocols: ["chat", "superchat"], origin: "https://example.com" };
      const socket = await open(`${proxy.url}/whoami?room=1`, options);
      assert.equal(socket.protocol, "chat");
      const { resource, host, origin, protocol, http_version } = JSON.parse(await socket.next());
      const expected = [`/whoami?room=1`, `127.0.0.1:${proxy.port}`, "https://example.com", "chat", version];
      assert.deepEqual([resource, host, origin, protocol, http_version], expected);
      assert.deepEqual(await socket.closed, { code: 1000, reason: "Normal connection closure" });
    });

    test("compression is agreed on from end to end, and what passes is compressed both ways", async () => {
      const { extensions } = await whoami(proxy.url, { perMessageDeflate: true });
      assert.match(extensions.join(), /^permessage-deflate/);
      assert.deepEqual((await whoami(proxy.url, { perMessageDeflate: false })).extensions, []);

      const socket = await open(`${proxy.url}/echo`, { perMessageDeflate: true });
      assert.match(socket.extensions, /^permessage-deflate/);
      const text = "the tide comes in, the tide goes out. ".repeat(10_000);
      socket.send(text);
      assert.equal(await socket.next(), text);
      const { bytesWritten, bytesRead } = socket.tcp;
      assert.ok(bytesWritten < 20_000 && bytesRead < 20_000, `${bytesWritten} bytes sent, ${bytesRead} received`);
      socket.close(1000);
      await socket.closed;
    });

    for (const [code, reason] of [
      [1000, "done"],
      [3000, "κόσμε"],
      [4999, "the last"],
    ]) {
      test(`a client's close with ${code} and its reason is answered with the same`, async () => {
        const socket = await open(`${proxy.url}/echo`);
        socket.close(code, reason);
        assert.deepEqual(await socket.closed, { code, reason });
      });
    }

    test("wharf's close of a connection that broke a limit arrives with its code and reason", async () => {
      const socket = await open(`${proxy.url}/echo`);
      // The header alone: a proxy that ends while more comes from the client resets it, and the Close with it.
      socket.tcp.write(headerOfLength(LIMIT + 1));
      const { code, reason } = await socket.closed;
      assert.equal(code, 1009);
      assert.match(reason, /./);
    });

    test("a rejected request comes with its own status, and an ordinary one is answered", async () => {
      await assert.rejects(open(`${proxy.url}/nowhere`), { status: 404 });
      const key = { "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "12" };
      const headers = { Connection: "Upgrade", Upgrade: "websocket", ...key };
      const [answer] = await once(http.get({ port: proxy.port, path: "/echo", headers }), "response");
      assert.equal(answer.statusCode, 426);
      assert.equal(answer.headers["sec-websocket-version"], "13, 8");
      answer.resume();
      const page = await fetch(`http://127.0.0.1:${proxy.port}/`);
      assert.equal(page.status, 200);
      assert.match(await page.text(), /<title>/);
    });

    test("of a client that is gone without a word, wharf hears at once", async () => {
      const watcher = await open(`${proxy.url}/live`);
      const socket = await open(`${proxy.url}/echo`);
      await counted(watcher, 2);
      socket.tcp.resetAndDestroy();
      await counted(watcher, 1);
      watcher.close(1000);
      await watcher.closed;
    });
  });

  describe(`the client's address behind ${name}`, () => {
    /** What wharf with these options knows of a client that sends these values of X-Forwarded-For. */
    const told = async (options, values, use) => {
      const wharf = await startWharf({ options });
      const proxy = await start({ servers: [wharf.port] });
      try {
        for (const value of values) {
          const headers = value === null ? {} : { "X-Forwarded-For": value };
          use(await whoami(proxy.url, { localAddress: CLIENT, headers }), value);
        }
      } finally {
        await proxy.end();
        await wharf.end();
      }
    };

    test("with the proxy named, it is the one that the proxy saw, whatever the client claims", async () => {
      const claims = [null, "1.2.3.4", "1.2.3.4, 127.0.0.1", "127.0.0.1", ["1.2.3.4", "5.6.7.8"], "::1", "1.2.3.4:80"];
      await told(["--trusted-proxies", PROXY], claims, ({ remote_address, remote_addresses, socket_address }, claim) => {
        assert.equal(remote_address, CLIENT, `${claim}`);
        assert.deepEqual(remote_addresses.slice(-2), [CLIENT, PROXY]);
        assert.match(socket_address, /^127\.0\.0\.1:\d+$/);
      });
    });

    test("values that are no addresses never keep a client out, nor change who it is", async () => {
      const values = ["", ",", ", ,,", "unknown", "[::1", "a b", '"', "\x80\xff", "%00", "x".repeat(4000), "1,".repeat(1500)];
      await told(["--trusted-proxies", PROXY], values, ({ remote_address, remote_addresses }, value) => {
        assert.equal(remote_address, CLIENT, JSON.stringify(value));
        assert.ok(remote_addresses.length <= 33, `${remote_addresses.length} addresses`);
        assert.match(remote_addresses.join(""), /^[!-~]*$/, "visible characters only");
      });
    });

    test("without a named proxy the first claim is believed, and none where all are ignored", async () => {
      await told([], [null, "1.2.3.4"], ({ remote_address }, claim) => assert.equal(remote_address, claim ?? CLIENT));
      await told(["--ignore-x-forwarded-for", "true"], [null, "1.2.3.4"], ({ remote_addresses }) => {
        assert.deepEqual(remote_addresses, [PROXY]);
      });
    });

    test("a proxy that is not named speaks for nobody", async () => {
      await told(["--trusted-proxies", "10.0.0.0/8"], [null, "1.2.3.4"], ({ remote_addresses }) => {
        assert.deepEqual(remote_addresses, [PROXY]);
      });
    });
  });

  describe(`silence behind ${name}`, () => {
    test("wharf's pings keep an idle connection for longer than the proxy bears silence", async (t) => {
      const wharf = await startWharf({ options: ["--keepalive-interval", "200ms"] });
      t.after(() => wharf.end());
      const proxy = await start({ servers: [wharf.port], timeout: "1s" });
      t.after(() => proxy.end());
      const socket = await open(`${proxy.url}/echo`);
      // Two seconds, and more where the machine has much else to do.
      for (let pings = 0; pings < 10; pings++) {
        await Promise.race([socket.pinged(), socket.closed.then(({ code }) => assert.fail(`closed with ${code}`))]);
      }
      socket.send("still here");
      assert.equal(await socket.next(), "still here");
      socket.close(1000);
      await socket.closed;
    });

    test("pings that come later than that come too late", async (t) => {
      const wharf = await startWharf({ options: ["--keepalive-interval", "1m"] });
      t.after(() => wharf.end());
      const proxy = await start({ servers: [wharf.port], timeout: "300ms" });
      t.after(() => proxy.end());
      const socket = await open(`${proxy.url}/echo`);
      assert.equal((await socket.closed).code, 1006);
    });
  });
}

/** Waits until the server counts so many connections. */
async function counted(watcher, connections) {
  while (JSON.parse(await watcher.next()).connections !== connections) {
    // Told once a second.
  }
}

/** The header of a masked binary frame (RFC 6455 §5.2) that announces so many bytes, more than 65,535. */
function headerOfLength(length) {
  const header = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

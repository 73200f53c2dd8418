import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import websocket from "websocket";
import { WebSocketServer } from "ws";
import { callsOfWebsocket, callsOfWs, Queue } from "./clients.js";

// Wharf's client, driven by the example `scripted_client`, against the servers of others.
const CLIENT = process.env.WHARF_CLIENT;
const LENGTHS = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
const LONGEST_END = 20_000;

/**
 * The servers, each behind the same few calls. `attach(httpServer, decide)` answers its handshakes as `decide(request)`
 * says, `{ protocol }` or `{ status, headers }`, and calls `connected` with each socket, behind the calls that clients have.
 */
const servers = [
  { name: "node ws", attach: attachWs },
  { name: "node websocket", attach: attachWebsocket },
];

function attachWs(httpServer, decide, connected) {
  let chosen;
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: 1 << 24,
    handleProtocols: () => chosen ?? false,
  });
  httpServer.on("upgrade", (request, socket, head) => {
    const { protocol, status, headers = {} } = decide(request);
    if (status !== undefined) {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.end(`HTTP/1.1 ${status} No\r\n${lines.join("")}Content-Length: 0\r\n\r\n`);
      return;
    }
    chosen = protocol;
    server.handleUpgrade(request, socket, head, (socket) => connected(callsOfWs(socket)));
  });
}

function attachWebsocket(httpServer, decide, connected) {
  const server = new websocket.server({
    httpServer,
    maxReceivedFrameSize: 1 << 24,
    maxReceivedMessageSize: 1 << 24,
  });
  server.on("request", (request) => {
    const { protocol, status, headers } = decide(request.httpRequest);
    if (status !== undefined) {
      request.reject(status, "no", headers);
      return;
    }
    connected(callsOfWebsocket(request.accept(protocol, request.origin)));
  });
}

/** Starts wharf's client. `says()` is the next line it says, `does(line)` tells it what to do, `ended` is its status. */
function startClient(url, ...options) {
  const program = spawn(CLIENT, [url, ...options], { stdio: ["pipe", "pipe", "inherit"], timeout: LONGEST_END });
  const said = new Queue();
  createInterface({ input: program.stdout }).on("line", (line) => said.push(line));
  return {
    says: () => said.next(),
    does: (line) => program.stdin.write(`${line}\n`),
    ended: once(program, "exit").then(([status]) => status),
  };
}

/** A certificate that lasts as long as the tests. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), "wharf-certificate-"));
  execFileSync(join(dirname(CLIENT), "certificate"), [folder]);
  return {
    root: join(folder, "root.pem"),
    server: { cert: readFileSync(join(folder, "chain.pem")), key: readFileSync(join(folder, "key.pem")) },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

for (const { name, attach } of servers) {
  describe(`wharf's client and ${name}`, () => {
    let httpServer, url, sockets, decide, asked;
    before(async () => {
      sockets = new Queue();
      httpServer = http.createServer((request, response) => response.writeHead(404).end());
      attach(httpServer, (request) => ((asked = request), decide(request)), (socket) => sockets.push(socket));
      httpServer.listen(0, "127.0.0.1");
      await once(httpServer, "listening");
      url = `ws://127.0.0.1:${httpServer.address().port}/chat?room=1`;
    });
    after(() => httpServer.close());

    const open = async ({ protocol, options = [] } = {}) => {
      decide = () => ({ protocol });
      const client = startClient(url, ...options);
      assert.equal(await client.says(), `open ${protocol ?? ""}`);
      return [client, await sockets.next()];
    };
    const end = async (client, socket) => {
      client.does("close 1000");
      assert.equal((await socket.closed).code, 1000);
      assert.equal(await client.says(), "closed 1000 Normal connection closure");
      assert.equal(await client.ended, 0);
    };

    test("texts come back as texts, in order, empty ones and astral characters included", async () => {
      const [client, socket] = await open();
      const texts = ["", "hello", "κόσμε", "😀 \u{10ffff}", "x".repeat(70_000), "last"];
      texts.forEach((text) => socket.send(text));
      for (const text of texts) {
        assert.equal(await socket.next(), text);
      }
      await end(client, socket);
    });

    for (const length of LENGTHS) {
      test(`${length} random bytes come back as they were`, async () => {
        const [client, socket] = await open();
        const bytes = randomBytes(length);
        socket.send(bytes);
        assert.deepEqual(await socket.next(), bytes);
        await end(client, socket);
      });
    }

    test("messages in fragments arrive whole, both ways", async () => {
      const [client, socket] = await open();
      socket.sendInFragments(["frag", "ment", "ed"]);
      assert.equal(await socket.next(), "fragmented");
      client.does("binary 100000");
      assert.deepEqual(await socket.next(), Buffer.alloc(100_000, 0xa5));
      await end(client, socket);
    });

    test("pings are answered with their payload, both ways", async () => {
      const [client, socket] = await open();
      socket.ping("are you there?");
      assert.equal((await socket.pong()).toString(), "are you there?");
      client.does("ping and you?");
      assert.equal(await client.says(), "pong and you?");
      await end(client, socket);
    });

    test("the server sees path, origin, headers and subprotocols, and chooses", async () => {
      const options = ["--protocol", "chat", "--protocol", "superchat", "--origin", "https://example.com"];
      const [client, socket] = await open({ protocol: "superchat", options: [...options, "--header", "Cookie", "a=b"] });
      assert.equal(asked.url, "/chat?room=1");
      assert.equal(asked.headers["sec-websocket-protocol"], "chat, superchat");
      assert.equal(asked.headers.origin, "https://example.com");
      assert.equal(asked.headers.cookie, "a=b");
      assert.equal(asked.headers.host, new URL(url).host);
      await end(client, socket);
    });

    for (const [code, reason] of [
      [1000, "done"],
      [1001, "κόσμε"],
      [3000, "ours"],
      [4999, "the last"],
    ]) {
      test(`code ${code} and its reason arrive, both ways`, async () => {
        const [client, socket] = await open();
        client.does(`close ${code} ${reason}`);
        assert.deepEqual(await socket.closed, { code, reason });
        assert.equal(await client.says(), `closed ${code} ${reason}`);
        assert.equal(await client.ended, 0);

        const [other, otherSocket] = await open();
        otherSocket.close(code, reason);
        assert.equal(await other.says(), `closed ${code} ${reason}`);
        assert.equal((await otherSocket.closed).code, code);
        assert.equal(await other.ended, 0);
      });
    }

    test("a refusal is told with its status", async () => {
      decide = () => ({ status: 401, headers: { "WWW-Authenticate": "Basic" } });
      const client = startClient(url);
      assert.equal(await client.says(), "status 401 ");
      assert.equal(await client.ended, 0);
    });

    test("a redirect is told with its target, and not followed", async () => {
      decide = () => ({ status: 302, headers: { Location: url } });
      const client = startClient(url);
      assert.equal(await client.says(), `status 302 ${url}`);
      assert.equal(await client.ended, 0);
    });

    test("a subprotocol that the server does not choose fails the connection", async () => {
      decide = () => ({});
      const client = startClient(url, "--protocol", "chat");
      assert.equal(await client.says(), "failed the server chose none of the subprotocols chat");
      await sockets.next();
      assert.equal(await client.ended, 0);
    });

    test("wss carries all of it, to a server that is believed", async () => {
      const { root, server, remove } = certificate();
      const secured = https.createServer(server);
      try {
        attach(secured, () => ({ protocol: "chat" }), (socket) => sockets.push(socket));
        secured.listen(0, "127.0.0.1");
        await once(secured, "listening");
        const address = `wss://localhost:${secured.address().port}/`;
        const client = startClient(address, "--root", root, "--protocol", "chat");
        assert.equal(await client.says(), "open chat");
        const socket = await sockets.next();
        const bytes = randomBytes(1 << 20);
        socket.send(bytes);
        assert.deepEqual(await socket.next(), bytes);
        await end(client, socket);

        const doubting = startClient(address);
        assert.match(await doubting.says(), /^failed TLS: /);
        assert.equal(await doubting.ended, 0);
      } finally {
        secured.close();
        remove();
      }
    });
  });
}

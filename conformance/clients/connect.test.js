// `wharf connect` in a pipe, against the servers of node `ws` and node `websocket`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import websocket from "websocket";
import { WebSocketServer } from "ws";

/**
 * The servers, each behind the same calls: `start(serve)` gives `{ url, end }`, and `serve` gets each connection with
 * `onMessage(listener)`, `send`, `ping`, `onPong(listener)`, `close(code, reason)`, `destroy()` and `closed`, a promise.
 */
const servers = [
  { name: "node ws", start: startWs },
  { name: "node websocket", start: startWebsocket },
];

async function listening(http) {
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return `ws://127.0.0.1:${http.address().port}/`;
}

async function startWs(serve) {
  const http = createServer();
  const server = new WebSocketServer({
    server: http,
    handleProtocols: (protocols) => [...protocols].at(-1),
    verifyClient: ({ req }) => req.headers.authorization !== "Basic bm9ib2R5Og==",
  });
  server.on("connection", (socket) =>
    serve({
      onMessage: (listener) => socket.on("message", (data, isBinary) => listener(isBinary ? data : data.toString())),
      onPong: (listener) => socket.on("pong", listener),
      send: (message) => socket.send(message),
      ping: (payload) => socket.ping(payload),
      close: (code, reason) => socket.close(code, reason),
      destroy: () => socket.terminate(),
      closed: once(socket, "close").then(([code, reason]) => ({ code, reason: reason.toString() })),
    }),
  );
  return { url: await listening(http), end: () => http.close() };
}

async function startWebsocket(serve) {
  const http = createServer();
  const server = new websocket.server({ httpServer: http, maxReceivedFrameSize: 1 << 24, maxReceivedMessageSize: 1 << 24 });
  server.on("request", (request) => {
    if (request.httpRequest.headers.authorization === "Basic bm9ib2R5Og==") {
      request.reject(401);
      return;
    }
    const socket = request.accept(request.requestedProtocols.at(-1));
    serve({
      onMessage: (listener) =>
        socket.on("message", ({ type, utf8Data, binaryData }) => listener(type === "utf8" ? utf8Data : binaryData)),
      onPong: (listener) => socket.on("pong", listener),
      send: (message) => socket.send(message),
      ping: (payload) => socket.ping(payload),
      close: (code, reason) => socket.close(code, reason),
      destroy: () => socket.socket.destroy(),
      closed: once(socket, "close").then(([code, reason]) => ({ code, reason })),
    });
  });
  return { url: await listening(http), end: () => http.close() };
}

/** Runs `wharf connect` to its end, with an input that ends, or one that stays open. */
async function connect(args, { input = "", staysOpen = false } = {}) {
  const program = spawn(process.env.WHARF_BIN, ["connect", ...args]);
  const [stdout, stderr] = [[], []];
  program.stdout.on("data", (data) => stdout.push(data));
  program.stderr.on("data", (data) => stderr.push(data));
  // It need not read all of it.
  program.stdin.on("error", () => {});
  program.stdin.write(input);
  if (!staysOpen) {
    program.stdin.end();
  }
  const [status] = await once(program, "close");
  return { status, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
}

const echo = (connection) => connection.onMessage((message) => connection.send(message));

for (const { name, start } of servers) {
  const withServer = (title, serve, run) =>
    test(`${name}: ${title}`, async (t) => {
      const { url, end } = await start(serve);
      t.after(end);
      await run(url);
    });

  withServer("lines come back as lines, in order", echo, async (url) => {
    const input = Array.from({ length: 5000 }, (_, number) => `line ${number} κόσμε\n`).join("");
    const { status, stdout, stderr } = await connect(["-n", "5000", url], { input });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.equal(stdout.toString(), input);
  });

  for (const length of [0, 125, 126, 65_535, 65_536, 1 << 20]) {
    withServer(`${length} bytes come back as they were`, echo, async (url) => {
      const input = Buffer.alloc(length, "\x00\xff\n", "latin1");
      const args = length === 0 ? ["-m", ""] : ["--whole"];
      const { status, stdout } = await connect(["--binary", "--raw", "-n", "1", ...args, url], { input });
      assert.equal(status, 0);
      assert.ok(stdout.equals(input));
    });
  }

  withServer("an answer that takes longer than the input is waited for", (connection) => {
    // Sent when the client has answered a ping that followed its message: the input has ended long before.
    connection.onMessage(() => connection.ping("now"));
    connection.onPong(() => connection.send("late"));
  }, async (url) => {
    const { status, stdout } = await connect(["--wait", "4s", url], { input: "hi\n" });
    assert.deepEqual({ status, stdout: stdout.toString() }, { status: 0, stdout: "late\n" });
  });

  test(`${name}: the server sees 1000 when the program is done`, async (t) => {
    let closed;
    const { url, end } = await start((connection) => {
      closed = connection.closed;
      echo(connection);
    });
    t.after(end);
    assert.equal((await connect(["-n", "1", "-m", "hi", url])).status, 0);
    assert.equal((await closed).code, 1000);
  });

  for (const [code, status] of [[1000, 0], [1001, 0], [1011, 6], [4321, 6]]) {
    withServer(`a close with ${code} ends the program with ${status}`, (connection) => {
      connection.onMessage(() => connection.close(code, "the reason"));
    }, async (url) => {
      const ended = await connect([url], { input: "hi\n", staysOpen: true });
      assert.equal(ended.status, status);
      assert.equal(ended.stderr, `wharf: closed by the peer: ${code} "the reason"\n`);
    });
  }

  withServer("a connection that is cut ends the program with 5", (connection) => {
    connection.onMessage(() => connection.destroy());
  }, async (url) => {
    const { status, stderr } = await connect([url], { input: "hi\n", staysOpen: true });
    assert.equal(status, 5);
    assert.match(stderr, /1006/);
  });

  withServer("a refused handshake ends the program with 4 and tells the status", echo, async (url) => {
    const { status, stderr } = await connect(["-u", "nobody:", url], { input: "hi\n" });
    assert.equal(status, 4);
    assert.match(stderr, /401/);
  });

  withServer("the last subprotocol may be chosen", echo, async (url) => {
    const { status, stdout } = await connect(["-p", "one", "-p", "Two", "-n", "1", "-m", "hi", url]);
    assert.deepEqual({ status, stdout: stdout.toString() }, { status: 0, stdout: "hi\n" });
  });
}

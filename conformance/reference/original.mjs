// The server of the reference run, on the npm package `websocket`: steered by lines of JSON on standard input, and
// telling what happened by lines of JSON on standard output. `server/` is the same server on wharf.

import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import websocket from "websocket";

const SHORT = 64;

/** Tells that `event` happened, in the order in which the others of its stream did. */
function report(stream, event, data = {}) {
  process.stdout.write(`${JSON.stringify({ stream, event, ...data })}\n`);
}

process.on("uncaughtException", (error) => report("server", "uncaught", { error: error.message }));

/** A server on its HTTP servers, and what it is told. */
class Site {
  #program;
  #http = [];
  #sockets = new Set();
  #server = new websocket.server();
  #requests = [];
  #connections = [];

  static async open({ options, program, httpServers, mounted, handled }) {
    const site = new Site();
    site.#program = program;
    for (let i = 0; i < httpServers; i += 1) {
      site.#http.push(await site.#listen());
    }
    site.#tellEvents(handled);
    if (mounted) {
      site.#mount({ options, on: site.#http.keys() });
    }
    report("control", "listening", { ports: site.#http.map((http) => http.address().port) });
    return site;
  }

  /** What it does to the sockets is told before it returns. */
  async stop() {
    const closed = this.#http.map((http) => once(http.close(), "close"));
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await Promise.all(closed);
  }

  async act({ request, connection, actions }) {
    for (const action of actions) {
      if (request !== null && request !== undefined) {
        this.#decide(request, action);
      } else if (connection !== null && connection !== undefined) {
        this.#perform(connection, action);
      } else {
        this.#command(action);
      }
    }
    report("control", "done");
  }

  async #listen() {
    const http = createServer((request, response) => {
      response.writeHead(200, { "x-plain": "1" });
      response.end("plain");
    });
    http.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    return http;
  }

  #mount({ options, on }) {
    try {
      this.#server.mount({ ...options, httpServer: [...on].map((number) => this.#http[number]) });
    } catch (error) {
      report("server", "failed", { action: "mount", error: error.message });
    }
  }

  #tellEvents(handled) {
    const server = this.#server;
    if (handled) {
      server.on("request", (request) => {
        report("server", "request");
        const number = this.#requests.push(request) - 1;
        for (const event of ["requestResolved", "requestAccepted", "requestRejected"]) {
          request.on(event, () => this.#also("server", event));
        }
        for (const action of this.#program.request ?? []) {
          this.#decide(number, action);
        }
      });
    }
    server.on("connect", (connection) => {
      const number = this.#connections.push(connection) - 1;
      report("server", "connect", { connection: number });
      this.#tellConnection(connection, number);
      this.#performAll(number, this.#program.connect);
    });
    server.on("close", (connection, code, description) => {
      report("server", "close", { connection: this.#numberOf(connection), code, description: description ?? "" });
    });
    server.on("upgradeError", () => report("server", "upgradeError"));
  }

  #numberOf(connection) {
    return this.#connections.indexOf(connection);
  }

  #tellConnection(connection, number) {
    const stream = `connection ${number}`;
    connection.on("message", (received) => {
      report(stream, "message", { data: message(received) });
      this.#performAll(number, this.#program.message, received);
    });
    connection.on("frame", ({ fin, opcode, length, binaryPayload }) => {
      report(stream, "frame", {
        fin: Boolean(fin),
        opcode,
        length,
        payload: payload(binaryPayload ?? Buffer.alloc(0)),
      });
    });
    connection.on("ping", (cancel, data) => {
      report(stream, "ping", { payload: payload(data) });
      for (const { action } of this.#program.ping ?? []) {
        if (action === "cancel") {
          cancel();
        }
      }
    });
    connection.on("pong", (data) => report(stream, "pong", { payload: payload(data) }));
    connection.on("error", () => report(stream, "error"));
    connection.on("close", (code, description) => {
      report(stream, "close", { code, description: description ?? "" });
      this.#performAll(number, this.#program.close);
    });
    for (const event of ["drain", "pause", "resume"]) {
      connection.on(event, () => this.#also(stream, event));
    }
  }

  #decide(number, action) {
    const request = this.#requests[number];
    try {
      switch (action.action) {
        case "describe":
          describe(request);
          break;
        case "accept":
          request.accept(action.protocol, action.origin, action.cookies?.map(cookie));
          this.#also("server", "accepted");
          break;
        case "reject":
          request.reject(action.status, action.reason, Object.fromEntries(action.headers ?? []));
          break;
        default:
          report("server", "failed", { action: "what no request can do" });
      }
    } catch {
      report("server", "failed", { action: action.action });
    }
  }

  #performAll(number, actions = [], received) {
    for (const action of actions) {
      this.#perform(number, action, received);
    }
  }

  #perform(number, action, received) {
    const connection = this.#connections[number];
    const stream = `connection ${number}`;
    const failed = () => report(stream, "failed", { action: action.action === "echo" ? "send" : action.action });
    const sent = (error) => error && failed();
    const description = action.description ?? undefined;
    const code = action.code ?? undefined;
    try {
      switch (action.action) {
        case "send":
          connection.send(data(action), sent);
          break;
        case "echo":
          connection.send(received.type === "utf8" ? received.utf8Data : received.binaryData, sent);
          break;
        case "ping":
          connection.ping(data(action));
          break;
        case "pong":
          connection.pong(Buffer.from(data(action)));
          break;
        case "sendFrame":
          connection.sendFrame(composed(action), sent);
          break;
        case "close":
          connection.close(code, description);
          break;
        case "drop":
          connection.drop(code, description, action.silent);
          break;
        case "pause":
          connection.pause();
          break;
        case "resume":
          connection.resume();
          break;
        case "state":
          report(stream, "state", {
            connected: connection.connected,
            code: connection.closeReasonCode,
            description: connection.closeDescription ?? "",
            protocol: connection.protocol ?? "",
            version: connection.webSocketVersion,
            remoteAddress: connection.remoteAddress,
            remoteAddresses: connection.remoteAddresses,
            extensions: connection.extensions.length,
          });
          break;
        default:
          report(stream, "failed", { action: "what no connection can do" });
      }
    } catch {
      failed();
    }
  }

  #command(action) {
    const server = this.#server;
    try {
      switch (action.action) {
        case "broadcast":
          server.broadcast(data(action));
          break;
        case "list":
          report("server", "list", {
            connections: server.connections.map((connection) => this.#numberOf(connection)),
            pending: server.pendingRequests.length,
          });
          break;
        case "mount":
          this.#mount(action);
          break;
        case "unmount":
          server.unmount();
          break;
        case "closeAll":
          server.closeAllConnections();
          break;
        case "shutDown":
          server.shutDown();
          break;
        default:
          report("server", "failed", { action: "what no server can do" });
      }
    } catch {
      report("server", "failed", { action: action.action });
    }
  }

  /** Tells what only some probes ask for. */
  #also(stream, event) {
    if (this.#program.also?.includes(event)) {
      report(stream, event);
    }
  }
}

function describe(request) {
  const url = request.resourceURL;
  for (const [field, value] of Object.entries({
    resource: request.resource,
    path: url.pathname,
    query: url.search?.slice(1) ?? "",
    queryPairs: Object.entries(url.query).map(([name, values]) => [name, [values].flat()]),
    host: request.host,
    version: request.webSocketVersion,
    origin: request.origin ?? null,
    requestedProtocols: request.requestedProtocols,
    extensions: request.requestedExtensions.map(({ name, params }) => ({
      name,
      params: (params ?? []).map(({ name: param, value: is }) => [param, is ?? null]),
    })),
    cookies: request.cookies.map(({ name, value }) => [name, value ?? null]),
    remoteAddress: request.remoteAddress,
    remoteAddresses: request.remoteAddresses,
  })) {
    report("request", field, { value });
  }
}

function cookie({ expires, ...rest }) {
  return expires === undefined ? rest : { ...rest, expires: new Date(expires) };
}

function data({ text, bytes, times }) {
  return typeof text === "string" ? text.repeat(times) : Buffer.concat(Array(times).fill(Buffer.from(bytes)));
}

/** A frame composed by hand. The package keeps the code of a Close apart. */
function composed({ fin, reserved, opcode, payload: bytes }) {
  const frame = new websocket.frame(Buffer.alloc(4), Buffer.alloc(10), {});
  const all = Buffer.from(bytes);
  const isClose = opcode === 8;
  return Object.assign(frame, {
    fin,
    opcode,
    rsv1: (reserved & 4) !== 0,
    rsv2: (reserved & 2) !== 0,
    rsv3: (reserved & 1) !== 0,
    closeStatus: isClose ? all.readUInt16BE(0) : -1,
    binaryPayload: isClose ? all.subarray(2) : all,
  });
}

function message({ type, utf8Data, binaryData }) {
  return type === "utf8" ? { text: shortened(Buffer.from(utf8Data), utf8Data) } : { binary: payload(binaryData) };
}

function payload(bytes) {
  return shortened(bytes, bytes.toString("hex"));
}

/** Itself, or, where that would fill the page, its length and the checksum of FNV-1a. */
function shortened(bytes, itself) {
  if (bytes.length <= SHORT) {
    return itself;
  }
  const sum = bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
  return { length: bytes.length, sum };
}

let site;
for await (const line of createInterface({ input: process.stdin })) {
  const { order, ...rest } = JSON.parse(line);
  if (order === "start") {
    site = await Site.open(rest);
  } else if (order === "act") {
    await site.act(rest);
  } else {
    await site.stop();
    report("control", "stopped");
  }
}

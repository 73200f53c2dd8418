import WebSocket from "ws";
import websocket from "websocket";

/**
 * The clients, each behind the same few calls, so that every behaviour is asked of each:
 * `connect(url, { protocols, origin })` gives an object with these calls and `closed`, a promise of the code and reason;
 * it rejects with `{ status }` where the server refuses. Each client offers the extensions that it offers by itself, and
 * takes any certificate.
 */
export const clients = [
  { name: "node ws", connect: connectWs },
  { name: "node websocket", connect: connectWebsocket },
];

/** Messages in the order in which they came, for whoever asks first. */
export class Queue {
  #arrived = [];
  #waiting = [];

  push(item) {
    const first = this.#waiting.shift();
    if (first === undefined) {
      this.#arrived.push(item);
    } else {
      first(item);
    }
  }

  next() {
    return this.#arrived.length > 0
      ? Promise.resolve(this.#arrived.shift())
      : new Promise((resolve) => this.#waiting.push(resolve));
  }
}

async function connectWs(url, { protocols = [], origin } = {}) {
  const socket = new WebSocket(url, protocols, { origin, rejectUnauthorized: false });
  const calls = callsOfWs(socket);
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
    socket.on("unexpected-response", (request, response) => {
      reject({ status: response.statusCode });
      request.destroy();
    });
  });
  return calls;
}

/** A socket of `ws`, at either end, behind the calls. */
export function callsOfWs(socket) {
  const [messages, pongs] = [new Queue(), new Queue()];
  socket.on("message", (data, isBinary) => messages.push(isBinary ? data : data.toString()));
  socket.on("pong", (payload) => pongs.push(payload));
  const closed = new Promise((resolve) => {
    socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  return {
    send: (message) => socket.send(message),
    sendInFragments: (pieces) => pieces.forEach((piece, i) => socket.send(piece, { fin: i === pieces.length - 1 })),
    next: () => messages.next(),
    ping: (payload) => socket.ping(payload),
    pong: () => pongs.next(),
    protocol: () => socket.protocol,
    close: (code, reason) => socket.close(code, reason),
    closed,
  };
}

async function connectWebsocket(url, { protocols = [], origin } = {}) {
  const client = new websocket.client();
  client.connect(url, protocols, origin, {}, { rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    // At once, for a first message may be in the same segment as the answer.
    client.on("connect", (socket) => resolve(callsOfWebsocket(socket)));
    client.on("connectFailed", reject);
    client.on("httpResponse", (response) => reject({ status: response.statusCode }));
  });
}

/** A connection of `websocket`, at either end, behind the calls. */
export function callsOfWebsocket(socket) {
  const [messages, pongs] = [new Queue(), new Queue()];
  socket.on("message", ({ type, utf8Data, binaryData }) => messages.push(type === "utf8" ? utf8Data : binaryData));
  socket.on("pong", (payload) => pongs.push(payload));
  const closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason })));
  return {
    send: (message) => socket.send(message),
    // Its own option: messages above the threshold go out in fragments.
    sendInFragments: (pieces) => {
      socket.config.fragmentationThreshold = pieces[0].length;
      socket.send(pieces.join(""));
    },
    next: () => messages.next(),
    ping: (payload) => socket.ping(payload),
    pong: () => pongs.next(),
    protocol: () => socket.protocol,
    close: (code, reason) => socket.close(code, reason),
    closed,
  };
}

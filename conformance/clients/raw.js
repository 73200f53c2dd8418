import { once } from "node:events";
import { connect } from "node:net";

// Longer than any deadline of the server's in these tests: what has not come by then never comes.
const PATIENCE = 15_000;

/** What a handshake consists of; a test leaves lines away, or puts others in their place. */
export const HANDSHAKE = {
  Host: "localhost",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
};

export function head(requestLine, fields) {
  const lines = Object.entries(fields).filter(([, value]) => value !== null);
  return `${requestLine}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** Sends bytes and waits until the server has ended TCP: all that it answered. */
export async function answerTo(port, bytes) {
  const socket = halfOpen(port);
  socket.write(bytes);
  return answerOn(socket);
}

/** A socket whose own half stays open, so that an end is the server's. */
export function halfOpen(port) {
  return connect({ port, host: "127.0.0.1", allowHalfOpen: true });
}

/** All that the server says until it ends its half of TCP. A reset before that is an error: it can take the answer away. */
export async function answerOn(socket) {
  const answered = [];
  socket.on("data", (chunk) => answered.push(chunk));
  try {
    await once(socket, "end", { signal: AbortSignal.timeout(PATIENCE) });
  } finally {
    socket.destroy();
  }
  return Buffer.concat(answered).toString("latin1");
}

/** A socket whose handshake on `/echo` is over, and which nobody reads. */
export async function unread(port) {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.on("error", () => {});
  socket.write(head("GET /echo HTTP/1.1", HANDSHAKE));
  await once(socket, "readable");
  socket.read();
  return socket;
}

export const BINARY = 0x2;
export const PING = 0x9;

/** A frame as a client sends it, with a key of zeros. */
export function frame(opcode, payload) {
  const length =
    payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length, 0, 0, 0, 0]), payload]);
}

import { once } from "node:events";
import { connect } from "node:net";

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
  const socket = connect({ port, host: "127.0.0.1" });
  const answered = [];
  socket.on("data", (chunk) => answered.push(chunk));
  // A server that has answered may reset what still comes.
  socket.on("error", () => {});
  socket.write(bytes);
  await once(socket, "close");
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

/** A frame as a client sends it, with a key of zeros. */
export function frame(opcode, payload) {
  const length =
    payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length, 0, 0, 0, 0]), payload]);
}

import { once } from "node:events";
import WebSocket from "ws";

/**
 * Opens a socket. `closed` is a promise of code and reason, `next()` one of the next message, and rejects with code and reason
 * where none comes any more; `tcp` is the stream that carries it all. It rejects with `{ status }` where the server refuses.
 */
export async function open(url, { protocols = [], ...options } = {}) {
  const socket = new WebSocket(url, protocols, options);
  const [arrived, waiting] = [[], []];
  let end;
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    const first = waiting.shift();
    if (first === undefined) {
      arrived.push(message);
    } else {
      first.resolve(message);
    }
  });
  const closed = new Promise((resolve) => {
    socket.on("close", (code, reason) => {
      end = { code, reason: reason.toString() };
      waiting.forEach(({ reject }) => reject(end));
      resolve(end);
    });
  });
  let tcp;
  socket.on("upgrade", (response) => (tcp = response.socket));
  await new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
    socket.on("unexpected-response", (request, response) => {
      reject({ status: response.statusCode });
      request.destroy();
    });
  });
  return {
    send: (message, options) => socket.send(message, options),
    next() {
      if (arrived.length > 0) {
        return Promise.resolve(arrived.shift());
      }
      return new Promise((resolve, reject) => (end === undefined ? waiting.push({ resolve, reject }) : reject(end)));
    },
    ping: (payload) => socket.ping(payload),
    pong: async () => (await once(socket, "pong"))[0].toString(),
    pinged: () => once(socket, "ping"),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: (code, reason) => socket.close(code, reason),
    protocol: socket.protocol,
    extensions: socket.extensions,
    closed,
    tcp,
  };
}

/** What wharf knows of a client that connects so. */
export async function whoami(url, options) {
  const socket = await open(`${url}/whoami`, options);
  const told = JSON.parse(await socket.next());
  const { code } = await socket.closed;
  if (code !== 1000) {
    throw new Error(`/whoami should close with 1000, and did so with ${code}`);
  }
  return told;
}

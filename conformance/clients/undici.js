// The WebSocket of undici, which is that of node itself, over HTTP/2.
import { Agent, WebSocket } from "undici";
import { Queue } from "./clients.js";

const agent = new Agent({ allowH2: true, connect: { rejectUnauthorized: false } });

// Of a refusal over HTTP/2 undici tells nothing at all, so that without an end of its own a test would wait for ever.
const PATIENCE = 15_000;

/** As a page's WebSocket, it has no call for pings, for fragments, or for the status of a refusal. */
export const undici = {
  cannot: ["ping", "fragments", "status"],
  async connect(url, { protocols = [], origin } = {}) {
    const socket = new WebSocket(url, { protocols, dispatcher: agent, headers: origin ? { origin } : {} });
    socket.binaryType = "arraybuffer";
    const messages = new Queue();
    socket.addEventListener("message", ({ data }) => messages.push(typeof data === "string" ? data : Buffer.from(data)));
    const closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    });
    await new Promise((resolve, reject) => {
      AbortSignal.timeout(PATIENCE).addEventListener("abort", () => reject(new Error(`no answer from ${url}`)));
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", ({ error, message }) => reject(error ?? new Error(message)));
    });
    return {
      send: (message) => socket.send(message),
      next: () => messages.next(),
      protocol: () => socket.protocol,
      close: (code, reason) => socket.close(code, reason),
      closed,
    };
  },
};

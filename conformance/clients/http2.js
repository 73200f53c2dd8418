// node's own HTTP/2 client with extended CONNECT (RFC 8441), and on each stream the frames of `ws`.
import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { PerMessageDeflate, Receiver, Sender, extension } from "ws";
import { Queue } from "./clients.js";

const LARGEST_MESSAGE = 64 * 1024 * 1024;

/**
 * A connection: over TLS as ALPN agrees on it, without TLS by prior knowledge (RFC 9113 §3.3). The server's settings are
 * here, for only they allow an extended CONNECT.
 */
export async function openSession(url, options = {}) {
  const session = connect(url, { rejectUnauthorized: false, ...options });
  await once(session, "remoteSettings");
  return session;
}

/** An opening handshake (RFC 8441 §5), with other fields beside or in place of its own: the answer, and the stream. */
export async function handshakeOn(session, path, fields = {}) {
  const stream = session.request(
    {
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": path,
      "sec-websocket-version": "13",
      ...fields,
    },
    { endStream: false },
  );
  const [headers] = await once(stream, "response");
  return { stream, headers, status: headers[":status"] };
}

/** A WebSocket on a stream of a connection, behind the calls of every client; rejects with `{ status }` if it is refused. */
export async function openSocket(session, path, { protocols = [], origin } = {}) {
  const deflate = new PerMessageDeflate({ isServer: false, threshold: 0, maxPayload: LARGEST_MESSAGE });
  const { stream, headers, status } = await handshakeOn(session, path, {
    "sec-websocket-extensions": extension.format({ [PerMessageDeflate.extensionName]: deflate.offer() }),
    ...(protocols.length > 0 && { "sec-websocket-protocol": protocols.join(", ") }),
    ...(origin && { origin }),
  });
  if (status !== 200) {
    stream.close();
    throw { status };
  }
  const extensions = {};
  if (headers["sec-websocket-extensions"] !== undefined) {
    deflate.accept(extension.parse(headers["sec-websocket-extensions"])[PerMessageDeflate.extensionName]);
    extensions[PerMessageDeflate.extensionName] = deflate;
  }
  return { ...framesOn(stream, extensions), protocol: () => headers["sec-websocket-protocol"] ?? "", stream };
}

function framesOn(stream, extensions) {
  const [messages, pongs] = [new Queue(), new Queue()];
  const receiver = new Receiver({ isServer: false, extensions, maxPayload: LARGEST_MESSAGE });
  const sender = new Sender(stream, extensions, randomFillSync);
  const compress = PerMessageDeflate.extensionName in extensions;
  const sendPiece = (piece, fin) => sender.send(piece, { binary: typeof piece !== "string", compress, fin, mask: true });

  let closeSent = false;
  const close = (code, reason) => {
    if (!closeSent) {
      closeSent = true;
      sender.close(code, reason, true);
    }
  };
  let received = { code: 1006, reason: "" };
  receiver.on("message", (data, isBinary) => messages.push(isBinary ? data : data.toString()));
  receiver.on("ping", (payload) => sender.pong(payload, true));
  receiver.on("pong", (payload) => pongs.push(payload));
  receiver.on("conclude", (code, reason) => {
    received = { code, reason: reason.toString() };
    close(code === 1005 ? undefined : code, reason);
    // Nothing is read any more, but the end has yet to be seen.
    stream.unpipe(receiver).resume();
  });
  // What the server must never send fails the test that is running.
  receiver.on("error", (error) => stream.destroy(error));
  stream.pipe(receiver);
  // The server ends a stream first, as it does with TCP (RFC 6455 §7.1.1).
  stream.on("end", () => stream.end());
  let ended = false;
  stream.on("end", () => (ended = true));
  const streamClosed = new Promise((resolve, reject) => {
    stream.on("close", resolve);
    stream.on("error", (error) => error.code !== "ERR_HTTP2_STREAM_ERROR" && reject(error));
  });
  // What had come when the stream closed may still have to be inflated.
  const allReceived = once(receiver, "finish");
  const closed = streamClosed.then(async () => {
    receiver.end();
    await allReceived;
    return received;
  });
  return {
    send: (message) => sendPiece(message, true),
    sendInFragments: (pieces) => pieces.forEach((piece, at) => sendPiece(piece, at === pieces.length - 1)),
    next: () => messages.next(),
    ping: (payload) => sender.ping(payload, true),
    pong: () => pongs.next(),
    close,
    closed,
    /** Whether the server ended the stream by END_STREAM, and with which error it was reset. */
    ending: () => ({ ended, error: stream.rstCode }),
  };
}

const sessions = new Map();

/** All WebSockets to a server are streams of one connection. */
export const http2 = {
  async connect(url, options) {
    const { protocol, host, pathname } = new URL(url);
    const origin = `${protocol === "wss:" ? "https" : "http"}://${host}`;
    if (!sessions.has(origin)) {
      const session = openSession(origin);
      sessions.set(origin, session);
      (await session).on("close", () => sessions.delete(origin));
    }
    return openSocket(await sessions.get(origin), pathname, options);
  },
};

export const { NGHTTP2_NO_ERROR: NO_ERROR, NGHTTP2_CANCEL: CANCEL } = constants;

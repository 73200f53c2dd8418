// ws, as its README shows it.
import { WebSocket, WebSocketServer } from "ws";
import { listening, options } from "./contract.mjs";

const told = options();
const server = new WebSocketServer({
  server: listening(told),
  maxPayload: 16 << 20,
  perMessageDeflate: told.deflate && {
    threshold: 0,
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    zlibDeflateOptions: { level: told.level },
  },
});

const onMessage = {
  echo: (socket) => (message, isBinary) => socket.send(message, { binary: isBinary }),
  // ws tells of all messages of a read before the next tick, where the answers leave in one write.
  batched: (socket, stream) => (message, isBinary) => {
    if (stream.writableCorked === 0) {
      stream.cork();
      process.nextTick(() => stream.uncork());
    }
    socket.send(message, { binary: isBinary });
  },
  broadcast: () => (message, isBinary) => {
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(message, { binary: isBinary });
    }
  },
  publish: (socket) => (message, isBinary) => {
    for (const client of server.clients) {
      if (client !== socket && client.readyState === WebSocket.OPEN) client.send(message, { binary: isBinary });
    }
  },
}[told.mode];

server.on("connection", (socket, request) => {
  socket.on("message", onMessage(socket, request.socket));
  // A client that breaks the protocol would end the process; ws has closed its connection already.
  socket.on("error", () => {});
});

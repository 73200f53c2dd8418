// echo.mjs [LEVEL] - echoes on a free port, which it prints; messages are compressed at this level (6), without takeover.
import { WebSocketServer } from "ws";

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: 1 << 20,
  perMessageDeflate: {
    threshold: 0,
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    zlibDeflateOptions: { level: Number(process.argv[2] ?? 6), memLevel: 8 },
  },
});
server.on("listening", () => console.log(`127.0.0.1:${server.address().port}`));
server.on("connection", (socket) => {
  socket.on("message", (message, isBinary) => socket.send(message, { binary: isBinary }));
});

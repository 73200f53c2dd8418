// websocket, as its README shows it.
import websocket from "websocket";
import { listening, notPossible, options } from "./contract.mjs";

const told = options();
if (told.deflate) notPossible("websocket does not speak permessage-deflate");
if (told.mode === "batched") {
  notPossible("websocket hands over one message in each turn of the event loop, and does not tell whether more are there");
}
if (told.mode === "publish") notPossible("websocket sends to all connections, and spares none");

const server = new websocket.server({
  httpServer: listening(told),
  maxReceivedFrameSize: 16 << 20,
  maxReceivedMessageSize: 16 << 20,
});
server.on("request", (request) => {
  const connection = request.accept(null, request.origin);
  const sender = told.mode === "broadcast"
    ? { sendText: (text) => server.broadcastUTF(text), sendBinary: (bytes) => server.broadcastBytes(bytes) }
    : { sendText: (text) => connection.sendUTF(text), sendBinary: (bytes) => connection.sendBytes(bytes) };
  connection.on("message", (message) => {
    if (message.type === "utf8") sender.sendText(message.utf8Data);
    else sender.sendBinary(message.binaryData);
  });
  // What went wrong with one client is no reason to end.
  connection.on("error", () => {});
});

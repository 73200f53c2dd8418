// The package's own client against both servers.

import { accept, closeWith, describe, drop, echo, reject, send, sendPing } from "../program.mjs";

const ECHO = { request: [accept()], message: [echo] };

const client = (name, how, more = {}) => ({
  name: `node client: ${name}`,
  program: ECHO,
  options: { closeTimeout: 200 },
  play: (world) => world.nodeClient(how),
  ...more,
});

const closes = (code, description) => ({ connect: (connection) => connection.close(code, description) });
const closesAfterEcho = { message: (connection) => connection.close() };

export const clients = [
  client("closes at once", { on: closes() }),
  client("closes with a code and a reason", { on: closes(4000, "bye") }),
  client("closes without a reason", { on: closes(3000) }),
  client("sends text", { on: { connect: (connection) => connection.sendUTF("hello"), ...closesAfterEcho } }),
  client("sends binary", {
    on: { connect: (connection) => connection.sendBytes(Buffer.from([1, 2, 3])), ...closesAfterEcho },
  }),
  client("sends 20000 bytes in fragments", {
    on: { connect: (connection) => connection.sendUTF("x".repeat(20000)), ...closesAfterEcho },
  }),
  client("pings", {
    on: {
      connect(connection) {
        connection.ping("are you there?");
        connection.on("pong", () => connection.close());
      },
    },
  }),
  client("drops without a Close frame", { on: { connect: (connection) => connection.drop(4001, "gone", true) } }),
  client(
    "offers a protocol",
    { protocols: ["Chat"], on: closes() },
    { program: { request: [accept({ protocol: "chat" })] } },
  ),
  client("offers protocols of which none is taken", { protocols: ["a", "b"], on: closes() }),
  client(
    "tells its origin, path and headers",
    {
      origin: "http://example.com",
      path: "/p?q=1",
      headers: { Cookie: "a=1; b=2" },
      on: closes(),
    },
    { program: { request: [describe, accept({ origin: "http://example.com" })] } },
  ),
  client(
    "speaks version 8",
    { config: { webSocketVersion: 8 }, origin: "http://a", on: closes() },
    { program: { request: [accept({ origin: "http://a" })] } },
  ),
  client("is rejected", {}, { program: { request: [reject(404, "not here")] } }),
  client("is closed", {}, { program: { request: [accept()], connect: [closeWith(4001, "enough")] } }),
  client("is closed without a reason", {}, { program: { request: [accept()], connect: [closeWith(3000)] } }),
  client("is dropped", {}, { program: { request: [accept()], connect: [drop(4001, "enough")] } }),
  client(
    "is sent a text, fragments and a ping",
    { on: { message: (connection, count) => count === 2 && connection.close() } },
    {
      program: { request: [accept()], connect: [send("one"), sendPing("p"), send(70000)] },
    },
  ),
  client(
    "is sent fragments",
    { on: closesAfterEcho },
    {
      program: { request: [accept()], connect: [send("a long message")] },
      options: { fragmentationThreshold: 4 },
    },
  ),
];

// Which requests are opening handshakes, and what the others are answered.

import { accept, answer } from "../program.mjs";

const field = (name, value) => ({ fields: { [name]: value } });
const version = (value) => field("Sec-WebSocket-Version", value);
const key = (value) => field("Sec-WebSocket-Key", value);

export const handshake = [
  answer("a handshake", {}),
  answer("a handshake on a path with a query", { target: "/a/b?x=1&y" }),
  answer("a handshake with an absolute target", { target: "http://example.com/p?q=1" }),
  answer("a handshake with the target *", { target: "*" }),
  answer("a target with two slashes", { target: "//a/b" }),
  answer("an empty Host", field("Host", "")),
  answer("no Host", field("Host", null)),
  answer("two Hosts", field("Host", ["a", "b"])),
  answer("a Host with a port", field("Host", "example.com:8080")),
  answer("a Host with a blank in it", field("Host", "exam ple")),
  answer("no key", key(null)),
  answer("an empty key", key("")),
  answer("a key of three characters", key("abc")),
  answer("a key of 15 bytes", key("AAAAAAAAAAAAAAAAAAAA")),
  answer("a key of 17 bytes", key("AAAAAAAAAAAAAAAAAAAAAAA=")),
  answer("a key that is not base64", key("!!!!!!!!!!!!!!!!!!!!!!==")),
  answer("two keys", key(["dGhlIHNhbXBsZSBub25jZQ==", "AAAAAAAAAAAAAAAAAAAAAA=="])),
  answer("no version", version(null)),
  answer("an empty version", version("")),
  answer("the version 0", version("0")),
  answer("the version 7", version("7")),
  answer("the version 8", version("8")),
  answer("the version 12", version("12")),
  answer("the version 14", version("14")),
  answer("the version 255", version("255")),
  answer("the version 256", version("256")),
  answer("the version abc", version("abc")),
  answer("the version 13abc", version("13abc")),
  answer("the version 013", version("013")),
  answer("the version 13.5", version("13.5")),
  answer("the version -13", version("-13")),
  answer("the version +13", version("+13")),
  answer("the versions 13, 8 in one field", version("13, 8")),
  answer("the versions 8, 13 in one field", version("8, 13")),
  answer("two version fields", version(["13", "8"])),
  answer("the version with blanks around", version("  13  ")),
  answer("no Upgrade", field("Upgrade", null)),
  answer("an empty Upgrade", field("Upgrade", "")),
  answer("Upgrade: foo", field("Upgrade", "foo")),
  answer("Upgrade: WebSocket", field("Upgrade", "WebSocket")),
  answer("Upgrade: websocket, foo", field("Upgrade", "websocket, foo")),
  answer("Upgrade: foo, websocket", field("Upgrade", "foo, websocket")),
  answer("Upgrade: websocket/13", field("Upgrade", "websocket/13")),
  answer("no Connection", field("Connection", null)),
  answer("Connection: keep-alive", field("Connection", "keep-alive")),
  answer("Connection: keep-alive, Upgrade", field("Connection", "keep-alive, Upgrade")),
  answer("Connection: upgrade", field("Connection", "upgrade")),
  answer("two Connection fields", field("Connection", ["keep-alive", "Upgrade"])),
  answer("the method POST", { method: "POST" }),
  answer("the method HEAD", { method: "HEAD" }),
  answer("the method OPTIONS", { method: "OPTIONS" }),
  answer("HTTP/1.0", { version: "HTTP/1.0" }),
  answer("a PUT with a body", { method: "PUT", ...field("Content-Length", "3"), behind: Buffer.from("abc") }),
  answer("a GET that announces no body", field("Content-Length", "0")),
  answer("field names in lower case", {
    fields: {
      Host: null,
      Upgrade: null,
      Connection: null,
      "Sec-WebSocket-Key": null,
      "Sec-WebSocket-Version": null,
      host: "h",
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
    },
  }),
  answer("a bad handshake with a bad version and no key", {
    fields: { "Sec-WebSocket-Version": "7", "Sec-WebSocket-Key": null },
  }),
  answer("a bad handshake without Host and key", { fields: { Host: null, "Sec-WebSocket-Key": null } }),
  {
    name: "a handshake in two pieces",
    program: { request: [accept()] },
    async play(world) {
      const client = world.dial();
      client.write("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgr");
      await world.quiet();
      client.write("ade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
      await world.answered(client);
      await world.inStep(client);
    },
  },
];

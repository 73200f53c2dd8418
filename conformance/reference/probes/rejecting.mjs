// Rejecting, and deciding twice or late or never.

import { frame, text } from "../frames.mjs";
import { accept, answer, list, reject } from "../program.mjs";

const rejects = (name, ...how) => answer(`reject: ${name}`, {}, { program: { request: [reject(...how)] } });
const decides = (name, ...actions) => answer(`decide: ${name}`, {}, { program: { request: actions } });

export const rejecting = [
  rejects("nothing said"),
  ...[300, 302, 400, 401, 403, 404, 418, 426, 429, 451, 499, 500, 503, 599].map((status) =>
    rejects(`status ${status}`, status),
  ),
  ...[100, 101, 200, 204, 299, 600, 999, 0].map((status) => rejects(`status ${status}`, status)),
  rejects("a reason", 404, "no such thing"),
  rejects("an empty reason", 404, ""),
  rejects("a reason with a line end", 404, "a\r\nX-Injected: 1"),
  rejects("a reason with a control character", 404, "a\u0001b"),
  rejects("a reason with a tab", 404, "a\tb"),
  rejects("a reason beyond ASCII", 404, "ä"),
  rejects("a reason beyond Latin-1", 404, "€"),
  rejects("a header", 401, undefined, [["WWW-Authenticate", "Basic"]]),
  rejects("a reason and two headers", 503, "later", [
    ["Retry-After", "5"],
    ["X-A", "b"],
  ]),
  rejects("a redirect with its location", 302, undefined, [["Location", "/other"]]),
  rejects("a header name with a line end", 403, undefined, [["X-A\r\nX-B", "1"]]),
  rejects("a header name with a blank", 403, undefined, [["X A", "1"]]),
  rejects("a header value with a line end", 403, undefined, [["X-A", "1\r\nX-B: 2"]]),
  rejects("a header value beyond ASCII", 403, undefined, [["X-A", "ä"]]),
  rejects("an empty header value", 403, undefined, [["X-A", ""]]),
  rejects("a header of the connection's own", 403, undefined, [["Connection", "keep-alive"]]),
  rejects("a header that announces a body", 403, undefined, [["Content-Length", "5"]]),
  rejects("a second reason header", 403, "a", [["X-WebSocket-Reject-Reason", "b"]]),
  rejects("a header twice in two spellings", 403, undefined, [
    ["X-A", "1"],
    ["x-a", "2"],
  ]),

  decides("accept twice", accept(), accept()),
  decides("reject twice", reject(), reject(404)),
  decides("accept, then reject", accept(), reject()),
  decides("reject, then accept", reject(), accept()),
  decides("a failed accept, then accept", accept({ protocol: "none such" }), accept()),
  decides("a failed accept, then reject", accept({ protocol: "none such" }), reject()),

  {
    name: "decide: a late accept",
    async play(world) {
      const client = await world.ask();
      await world.command(list);
      await world.decide(0, accept());
      await world.answered(client);
      await world.say(client, text("hello"));
      await world.command(list);
    },
  },
  {
    name: "decide: a late reject",
    async play(world) {
      const client = await world.ask();
      await world.decide(0, reject(404, "late"));
      await world.answered(client);
      await world.end(client);
      await world.command(list);
    },
  },
  {
    name: "decide: the second of two requests first",
    async play(world) {
      const one = await world.ask({ target: "/one" });
      const two = await world.ask({ target: "/two" });
      await world.decide(1, accept());
      await world.answered(two);
      await world.decide(0, accept());
      await world.answered(one);
      await world.inStep(one);
      await world.inStep(two);
      await world.command(list);
    },
  },
  {
    name: "decide: the client ends its half before the accept",
    async play(world) {
      const client = await world.ask();
      client.end();
      await world.quiet();
      await world.command(list);
      await world.decide(0, accept());
      await world.end(client);
      await world.command(list);
    },
  },
  {
    name: "decide: the client ends its half before the reject",
    async play(world) {
      const client = await world.ask();
      client.end();
      await world.quiet();
      await world.decide(0, reject(404, "gone"));
      await world.end(client);
      await world.command(list);
    },
  },
  {
    name: "decide: the client resets before the accept",
    async play(world) {
      const client = await world.ask();
      client.reset();
      await world.quiet();
      await world.command(list);
      await world.decide(0, accept());
      await world.quiet();
      await world.command(list);
    },
  },
  {
    name: "decide: the client resets before the reject",
    async play(world) {
      const client = await world.ask();
      client.reset();
      await world.quiet();
      await world.decide(0, reject());
      await world.quiet();
      await world.command(list);
    },
  },
  {
    name: "decide: the client resets after the reject",
    program: { request: [reject()] },
    async play(world) {
      const client = await world.connect();
      client.reset();
      await world.quiet();
      await world.command(list);
      const other = await world.connect();
      await world.end(other);
    },
  },
  {
    name: "decide: never",
    async play(world) {
      await world.ask();
      await world.quiet();
      await world.command(list);
    },
  },
  {
    name: "a frame in the segment of the handshake",
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect({ behind: text("early") });
      await world.say(client, text("later"));
    },
  },
  {
    name: "half a frame in the segment of the handshake",
    program: { request: [accept()] },
    async play(world) {
      const [bytes, half] = [text("early"), 5];
      const client = await world.connect({ behind: bytes.subarray(0, half) });
      await world.end(client, bytes.subarray(half));
    },
  },
  {
    name: "frames between the handshake and a late accept",
    async play(world) {
      const client = await world.ask();
      client.write(text("one"), text("two"));
      await world.quiet();
      await world.decide(0, accept());
      await world.answered(client);
      await world.say(client, text("three"));
    },
  },
  {
    name: "a broken frame between the handshake and a late accept",
    async play(world) {
      const client = await world.ask();
      client.write(frame(3, "x"));
      await world.quiet();
      await world.decide(0, accept());
      await world.answered(client);
      await world.end(client);
    },
  },
];

// Ends: by either side's Close, by a drop, and without any.

import { close, closePayload, first, frame, ping, text } from "../frames.mjs";
import { accept, closeWith, drop, ends, list, send, sendPing, state } from "../program.mjs";

const WAITS = { closeTimeout: 200 };
const bytes = (...values) => Buffer.from(values);
const theirs = (name, ...pieces) => ends(`peer closes: ${name}`, pieces, { options: WAITS });
const LONG = (length) => "r".repeat(length);

/** The server closes; a peer that behaves answers with the same, and waits for the end of TCP. */
function ours(name, actions, { options = WAITS, answered = true } = {}) {
  return {
    name: `we close: ${name}`,
    options,
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      await world.on(0, ...actions);
      await world.frames(client, 1);
      if (answered) {
        client.write(close(1000));
      }
      await world.end(client);
    },
  };
}

/** The server is asked for a close that is none, or drops. */
function tries(name, ...actions) {
  return {
    name,
    options: WAITS,
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      await world.on(0, ...actions, state);
      await world.end(client);
    },
  };
}

/** What the peer does once the server has said Close. */
function afterOurs(name, act, options = WAITS) {
  return {
    name: `we close: ${name}`,
    options,
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      await world.on(0, closeWith(1001));
      await world.frames(client, 1);
      await act(client, world);
      await world.end(client);
    },
  };
}

export const closing = [
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map((code) =>
    theirs(`code ${code}`, close(code)),
  ),
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535].map((code) =>
    theirs(`code ${code}, which is none`, close(code)),
  ),
  theirs("a reason", close(1000, "bye")),
  theirs("a code of its own and a reason", close(4321, "mine")),
  theirs("a reason beyond ASCII", close(1000, "tschüß")),
  theirs("a reason of 1 byte", close(1000, "x")),
  theirs("a reason of 123 bytes", close(1000, LONG(123))),
  theirs("a reason of 124 bytes", close(1000, LONG(124))),
  theirs("no code", close()),
  theirs("a payload of 1 byte", frame(8, "x")),
  theirs("a reason that is not UTF-8", frame(8, closePayload(1000, bytes(0xff, 0xff)))),
  theirs("a reason of 1 byte that is not UTF-8", frame(8, closePayload(1000, bytes(0xff)))),
  theirs("a bad code with a bad reason", frame(8, closePayload(999, bytes(0xff, 0xff)))),
  theirs("a frame behind the Close", close(1000), text("late")),
  theirs("a second Close", close(1000), close(1001)),
  theirs("amid fragments", first("a"), close(1000)),
  theirs("in one segment with a message and a ping", text("1"), ping("p"), close(1001)),
  {
    name: "peer closes: the server sends afterwards",
    options: WAITS,
    program: { request: [accept()], close: [send("late")] },
    async play(world) {
      const client = await world.connect();
      await world.end(client, close(1000));
    },
  },

  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 4999].map((code) =>
    ours(`code ${code}`, [closeWith(code)]),
  ),
  ours("nothing said", [closeWith()]),
  ours("a reason", [closeWith(4001, "why")]),
  ours("an empty reason", [closeWith(1000, "")]),
  ours("a reason of 1 byte", [closeWith(1000, "x")]),
  ours("a reason of 123 bytes", [closeWith(1000, LONG(123))]),
  ours("a reason of 124 bytes", [closeWith(1000, LONG(124))]),
  ours("a reason of 200 bytes", [closeWith(1000, LONG(200))]),
  ours("twice", [closeWith(1001), closeWith(4000)]),
  ours("a message, then the close", [send("last"), closeWith()]),
  ours("a send after the close", [closeWith(1001), send("late")], { answered: false }),
  ours("a ping after the close", [closeWith(1001), sendPing("late")], { answered: false }),
  ours("what the connection says of itself then", [closeWith(4001, "why"), state]),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000].map((code) =>
    tries(`we close: code ${code}, which is none`, closeWith(code)),
  ),

  afterOurs("the peer answers with another code", (client) => client.write(close(4321, "mine"))),
  afterOurs("the peer answers without a code", (client) => client.write(close())),
  afterOurs("the peer answers with a bad code", (client) => client.write(close(999))),
  afterOurs("the peer ends its half without an answer", (client) => client.end()),
  afterOurs("the peer answers and ends its half", (client) => {
    client.write(close(1001));
    client.end();
  }),
  afterOurs(
    "the peer resets",
    async (client, world) => {
      // By then the original has ended its half, too.
      await world.quiet();
      client.reset();
    },
    { closeTimeout: 5000 },
  ),
  afterOurs("the peer is silent", () => {}),
  {
    name: "we close: TCP ends when the peer has answered, and not before",
    options: { closeTimeout: 5000 },
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      await world.on(0, closeWith(1001));
      await world.frames(client, 1);
      await world.end(client);
      client.note("the client answers");
      await world.end(client, close(1001));
    },
  },
  {
    name: "we close: the end is told, although the peer is silent and keeps its half open",
    options: WAITS,
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      await world.on(0, closeWith(1001));
      await world.end(client);
      await world.quiet();
      await world.mark("the client has been silent for a while");
    },
  },
  {
    name: "peer closes: the end is told, although the peer keeps its half open",
    options: WAITS,
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      await world.end(client, close(1001));
      await world.quiet();
      await world.mark("the client has kept its half open for a while");
    },
  },
  afterOurs("the peer is silent, with a timeout of 0", () => {}, { closeTimeout: 0 }),
  afterOurs("the peer goes on for a while", (client) => client.write(text("late"), ping("late"), close(1001))),
  afterOurs("the peer breaks the protocol", (client) => client.write(frame(3, "x"))),
  {
    name: "we close: both at once",
    options: WAITS,
    program: { request: [accept()], message: [closeWith(4001)] },
    async play(world) {
      const client = await world.connect();
      await world.end(client, text("close, please"), close(4002));
    },
  },

  tries("drop: nothing said", drop()),
  tries("drop: a code and a reason", drop(4000, "why")),
  tries("drop: an empty reason", drop(4000, "")),
  tries("drop: without a Close frame", drop(4000, "why", true)),
  tries("drop: 1006 without a Close frame", drop(1006, "gone", true)),
  tries("drop: 1006 with a Close frame", drop(1006, "gone")),
  tries("drop: code 70", drop(70, "odd")),
  tries("drop: code 1015", drop(1015)),
  tries("drop: code 5000", drop(5000)),
  tries("drop: a reason of 200 bytes", drop(4000, LONG(200))),
  tries("drop: twice", drop(4000, "one"), drop(4001, "two")),
  tries("drop: after a close", closeWith(4000, "close"), drop(4001, "drop")),
  tries("drop: then a close", drop(4000, "drop"), closeWith(4001, "close")),
  tries("drop: then a send", drop(4000, "drop"), send("late")),
  tries("drop: behind a message", send("last"), drop(4000, "drop")),
  {
    name: "drop: after the end",
    options: WAITS,
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      await world.end(client, close(4000));
      await client.hangUp(2000);
      await world.event("server close");
      await world.on(0, drop(4001), state);
    },
  },
  {
    name: "drop: from a message handler, with more behind",
    options: WAITS,
    program: { request: [accept()], message: [drop(4000, "enough")] },
    async play(world) {
      const client = await world.connect();
      await world.end(client, text("one"), text("two"));
    },
  },

  lost("the peer ends its half", (client) => client.end()),
  lost("the peer ends its half in mid-frame", (client) => {
    client.write(text("hello").subarray(0, 5));
    client.end();
  }),
  lost("the peer ends its half amid fragments", (client) => {
    client.write(first("a"));
    client.end();
  }),
  lost("the peer ends its half behind a message", (client) => {
    client.write(text("last"));
    client.end();
  }),
  lost("the peer resets", (client) => client.reset()),
  lost("the peer resets in mid-frame", async (client, world) => {
    await world.say(client, text("x"));
    client.write(text("hello").subarray(0, 5));
    // A reset takes away what was not read.
    await world.quiet();
    client.reset();
  }),
  {
    name: "lost: a send after the end",
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      client.end();
      await world.end(client);
      await client.hangUp(2000);
      await world.event("connection 0 close");
      await world.on(0, send("late"), sendPing("late"), closeWith(), state);
      await world.quiet();
    },
  },
];

function lost(name, act) {
  return {
    name: `lost: ${name}`,
    program: { request: [accept()] },
    async play(world) {
      const client = await world.connect();
      await act(client, world);
      await world.end(client);
      await world.event("server close");
      await world.command(list);
    },
  };
}

// Messages, pings and pongs, both ways, in fragments and frame by frame.

import { binary, close, first, frame, last, more, ping, pong, text } from "../frames.mjs";
import { accept, cancel, does, echo, ends, says, send, sendPing, sendPong } from "../program.mjs";

const ECHO = { program: { request: [accept()], message: [echo] } };
const frames = (more = {}) => ({ ...ECHO, options: { assembleFragments: false, ...more } });
const echoed = (name, ...pieces) => says(`receive: ${name}`, pieces, ECHO);
const sent = (name, actions, options) => does(`send: ${name}`, actions, { options });
const bytes = (...values) => Buffer.from(values);
const EURO = bytes(0xe2, 0x82, 0xac);

export const messages = [
  echoed("text", text("hello")),
  echoed("an empty text", text("")),
  echoed("binary", binary(bytes(0, 1, 254, 255))),
  echoed("an empty binary", binary("")),
  echoed("text beyond ASCII", text("grüß dich, 世界 🌍")),
  echoed("a null character", text("a\0b")),
  echoed("a byte order mark", text(bytes(0xef, 0xbb, 0xbf, 0x41))),
  echoed("a noncharacter", text("\uffff\ufffe")),
  ...[125, 126, 127, 65535, 65536].map((length) => echoed(`${length} bytes`, binary(Buffer.alloc(length, 7)))),
  echoed("three messages in one segment", text("1"), text("2"), binary("3")),
  echoed("two fragments", first("Hel"), last("lo")),
  echoed("three fragments", first("a"), more("b"), last("c")),
  echoed("binary fragments", frame(2, "a", { fin: false }), last("b")),
  echoed("empty fragments", first(""), more(""), last("")),
  echoed("empty fragments between", first("a"), more(""), last("b")),
  echoed("fragments with a ping between", first("a"), ping("p"), last("b")),
  echoed("fragments with a pong between", first("a"), pong("p"), last("b")),
  echoed(
    "a character split over fragments",
    first(EURO.subarray(0, 1)),
    more(EURO.subarray(1, 2)),
    last(EURO.subarray(2)),
  ),
  echoed("a split character with a ping between", first(EURO.subarray(0, 2)), ping(""), last(EURO.subarray(2))),
  echoed("a message, then fragments, then a message", text("1"), first("2"), last("3"), text("4")),
  echoed("50 fragments", first("x"), ...Array.from({ length: 48 }, () => more("x")), last("x")),
  {
    name: "receive: a message byte by byte",
    ...ECHO,
    async play(world) {
      const client = await world.connect();
      for (const byte of text("hello")) {
        client.write(bytes(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await world.inStep(client);
    },
  },

  sent("text", [send("hello")]),
  sent("an empty text", [send("")]),
  sent("binary", [send(bytes(0, 255))]),
  sent("an empty binary", [send(0)]),
  sent("text beyond ASCII", [send("ä€🌍")]),
  sent("several in order", [send("1"), sendPing("2"), send("3"), sendPong("4"), send(bytes(5))]),
  ...[125, 126, 16384, 16385, 32768, 32769].map((length) => sent(`${length} bytes`, [send(length)])),
  sent("text of 16385 bytes", [send({ text: "x", times: 16385 })]),
  sent("70000 bytes in one frame", [send(70000)], { fragmentOutgoingMessages: false }),
  sent("25 bytes at a threshold of 10", [send({ text: "abcde", times: 5 })], { fragmentationThreshold: 10 }),
  sent("10 bytes at a threshold of 10", [send({ text: "abcde", times: 2 })], { fragmentationThreshold: 10 }),
  sent("11 bytes at a threshold of 10", [send("abcdefghijk")], { fragmentationThreshold: 10 }),
  sent("20 bytes at a threshold of 10", [send({ text: "abcde", times: 4 })], { fragmentationThreshold: 10 }),
  sent("text cut within characters", [send("äöüß€")], { fragmentationThreshold: 3 }),
  sent("3 bytes at a threshold of 1", [send("abc")], { fragmentationThreshold: 1 }),
  sent("nothing at a threshold of 1", [send("")], { fragmentationThreshold: 1 }),
  sent("8 bytes at a threshold of 4, without fragments", [send("abcdefgh")], {
    fragmentOutgoingMessages: false,
    fragmentationThreshold: 4,
  }),
  {
    name: "send: in the connect handler",
    program: { request: [accept()], connect: [send("welcome"), send("friend")] },
    async play(world) {
      const client = await world.connect();
      await world.inStep(client);
    },
  },

  ...[0, 1, 125].map((length) => echoed(`a ping of ${length} bytes`, ping(Buffer.alloc(length, 0x70)))),
  echoed("three pings in one segment", ping("1"), ping("2"), ping("3")),
  echoed("text, ping, text", text("1"), ping("p"), text("2")),
  echoed("a pong that nobody asked for", pong("x")),
  echoed("an empty pong", pong("")),
  echoed("a pong of 125 bytes", pong(Buffer.alloc(125, 0x70))),
  {
    name: "receive: a ping whose pong is cancelled",
    program: { request: [accept()], message: [echo], ping: [cancel] },
    async play(world) {
      const client = await world.connect();
      client.write(ping("quiet"), text("after"));
      await world.frames(client, 1);
      await world.end(client, close(1000));
    },
  },
  sent("an empty ping", [sendPing()]),
  sent("a ping with text", [sendPing("hello")]),
  sent("a ping of 125 bytes", [sendPing(125)]),
  sent("a ping of 126 bytes", [sendPing(126)]),
  sent("an empty pong", [sendPong()]),
  sent("a pong of 125 bytes", [sendPong(125)]),
  sent("a pong of 126 bytes", [sendPong(126)]),

  says("frame mode: a text", [text("one")], frames()),
  says("frame mode: a binary", [binary("one")], frames()),
  says("frame mode: two fragments", [first("a"), last("b")], frames()),
  says("frame mode: fragments with a ping between", [first("a"), ping("p"), last("b")], frames()),
  says("frame mode: a pong", [pong("x")], frames()),
  says(
    "frame mode: fragments over the message limit",
    [first("aa"), more("bb"), last("cc")],
    frames({ maxReceivedMessageSize: 3 }),
  ),
  says("frame mode: a frame of 200 bytes", [binary(Buffer.alloc(200, 1))], frames()),
  ends("frame mode: a Close", [close(1001, "bye")], frames()),
  ends("frame mode: a continuation without a start", [last("x")], frames()),
  ends("frame mode: a text amid fragments", [first("a"), text("b")], frames()),
  ends("frame mode: text that is not UTF-8", [text(bytes(0xff))], frames()),
  ends("frame mode: a reserved bit", [text("x", { reserved: 4 })], frames()),
  ends("frame mode: a reserved opcode", [frame(3, "x")], frames()),
  ends("frame mode: a frame over its limit", [binary(Buffer.alloc(11))], frames({ maxReceivedFrameSize: 10 })),

  says("limit: a frame of exactly its limit", [binary(Buffer.alloc(100))], {
    ...ECHO,
    options: { maxReceivedFrameSize: 100 },
  }),
  ends("limit: a frame of one byte more", [binary(Buffer.alloc(101))], { options: { maxReceivedFrameSize: 100 } }),
  ends("limit: the header of a frame of one byte more", [binary("", { length: 101 })], {
    options: { maxReceivedFrameSize: 100 },
  }),
  ends(
    "limit: the header of a frame of one byte more, without its masking key",
    [binary("", { length: 200 }).subarray(0, 4)],
    { options: { maxReceivedFrameSize: 100 } },
  ),
  ends("limit: a ping over the frame limit", [ping(Buffer.alloc(11))], { options: { maxReceivedFrameSize: 10 } }),
  says("limit: a frame of 65536 bytes by default", [binary(Buffer.alloc(65536))], ECHO),
  ends("limit: a frame of 65537 bytes by default", [binary("", { length: 65537 })], ECHO),
  ends("limit: a frame of 2^32-1 bytes", [binary("", { length: 2 ** 32 - 1 })]),
  ends("limit: a frame of 2^32 bytes", [binary("", { length: 2 ** 32 })]),
  ends("limit: a frame of 2^63-1 bytes", [binary("", { length: 2n ** 63n - 1n })]),
  ends("limit: a frame of 2^63 bytes", [binary("", { length: 2n ** 63n })]),
  says("limit: fragments of exactly the message limit", [first("12345"), last("67890")], {
    ...ECHO,
    options: { maxReceivedMessageSize: 10 },
  }),
  ends("limit: fragments of one byte more", [first("12345"), more("678901")], {
    options: { maxReceivedMessageSize: 10 },
  }),
  says("limit: one frame over the message limit", [text("x".repeat(50))], {
    ...ECHO,
    options: { maxReceivedMessageSize: 10 },
  }),
  ends("limit: a first fragment over the message limit", [first("x".repeat(11))], {
    options: { maxReceivedMessageSize: 10 },
  }),
  ends("limit: a first fragment over the message limit, continued", [first("x".repeat(11)), last("")], {
    options: { maxReceivedMessageSize: 10 },
  }),
  says("limit: 1 MiB in fragments of 64 KiB by default", megabyte(last(Buffer.alloc(65536))), ECHO),
  ends("limit: 1 MiB and a byte in fragments by default", megabyte(more(Buffer.alloc(65536)), last("x"))),
  ends("limit: an empty first fragment at a limit of 1, and two bytes", [first(""), more("ab")], {
    options: { maxReceivedMessageSize: 1 },
  }),
];

function megabyte(...end) {
  return [
    frame(2, Buffer.alloc(65536), { fin: false }),
    ...Array.from({ length: 14 }, () => more(Buffer.alloc(65536))),
    ...end,
  ];
}

// Frames that the server composes by hand, right and wrong.

import { closePayload } from "../frames.mjs";
import { closeWith, does, send, sendFrame, sendPing } from "../program.mjs";

const composes = (name, ...actions) => does(`compose: ${name}`, actions, { options: { closeTimeout: 5000 } });
const more = { fin: false };

/** The same frame twice: as one that must keep the rules, and as one that need not. */
function breach(name, opcode, content, how) {
  return [
    composes(name, sendFrame(opcode, content, how), send("after")),
    composes(`${name}, raw`, sendFrame(opcode, content, { ...how, raw: true }), send("after")),
  ];
}

export const composed = [
  composes("a text", sendFrame(1, "hello")),
  composes("a binary", sendFrame(2, Buffer.from([0, 255]))),
  composes("an empty text", sendFrame(1)),
  composes("a frame over the fragmentation threshold", sendFrame(2, Buffer.alloc(20_000, 7))),
  composes("fragments", sendFrame(1, "a", more), sendFrame(0, "b", more), sendFrame(0, "c")),
  composes(
    "fragments that cut a character",
    sendFrame(1, Buffer.from([0xe2]), more),
    sendFrame(0, Buffer.from([0x82, 0xac])),
  ),
  composes("a ping between fragments", sendFrame(1, "a", more), sendPing("p"), sendFrame(0, "b")),
  composes("a ping by hand between fragments", sendFrame(1, "a", more), sendFrame(9, "p"), sendFrame(0, "b")),
  composes("a ping", sendFrame(9, "p")),
  composes("a pong", sendFrame(10, "p")),
  composes("a message between fragments", sendFrame(1, "a", more), send("whole"), sendFrame(0, "b")),
  composes("a message behind fragments", sendFrame(1, "a", more), sendFrame(0, "b"), send("whole")),
  composes("a Close", sendFrame(8, closePayload(4001, "by hand"))),
  composes("a Close, and then another", sendFrame(8, closePayload(4001, "by hand")), closeWith(4002)),
  composes("a frame behind a Close", closeWith(4001), sendFrame(1, "late")),
  ...breach("a reserved bit", 1, "x", { reserved: 4 }),
  ...breach("all reserved bits", 2, "x", { reserved: 7 }),
  ...breach("a reserved opcode", 5, "x"),
  ...breach("a reserved control opcode", 11, "x"),
  ...breach("a ping of 126 bytes", 9, Buffer.alloc(126, 0x70)),
  ...breach("a ping without FIN", 9, "p", more),
  ...breach("a continuation without a start", 0, "x"),
  ...breach("text that is not UTF-8", 1, Buffer.from([0xff])),
  composes("a text amid fragments", sendFrame(1, "a", more), sendFrame(1, "b")),
  composes("a text amid fragments, raw", sendFrame(1, "a", { ...more, raw: true }), sendFrame(1, "b", { raw: true })),
  composes("a Close with a code that is none", sendFrame(8, closePayload(1005))),
  composes("a Close with a code that is none, raw", sendFrame(8, closePayload(1005), { raw: true })),
];

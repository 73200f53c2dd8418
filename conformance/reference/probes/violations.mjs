// What breaks the protocol, and what each breach is answered with.

import { binary, close, first, frame, last, ping, pong, text } from "../frames.mjs";
import { ends } from "../program.mjs";

const breaks = (name, ...pieces) => ends(`violation: ${name}`, pieces);
const bytes = (...values) => Buffer.from(values);

export const violations = [
  ...[4, 2, 1, 7].map((reserved) => breaks(`the reserved bits ${reserved} on a text`, text("x", { reserved }))),
  breaks("a reserved bit on a ping", ping("x", { reserved: 4 })),
  breaks("a reserved bit on a Close", close(1000, "", { reserved: 4 })),
  breaks("a reserved bit on a continuation", first("a"), last("b", { reserved: 2 })),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => breaks(`the opcode ${opcode}`, frame(opcode, "x"))),
  breaks("the opcode 3 amid fragments", first("a"), frame(3, "b")),
  breaks("the opcode 11 without FIN", frame(11, "x", { fin: false })),
  breaks("a reserved bit and a reserved opcode", frame(3, "x", { reserved: 4 })),
  breaks("the header alone of a reserved opcode", frame(3, "", { length: 5 })),
  breaks("the header alone of a text with a reserved bit", text("", { reserved: 4, length: 5 })),
  breaks("a ping of 126 bytes", ping(Buffer.alloc(126))),
  breaks("a pong of 126 bytes", pong(Buffer.alloc(126))),
  breaks("a Close of 126 bytes", frame(8, Buffer.alloc(126, 0x78))),
  breaks("a ping whose length of 5 takes 16 bits", ping("hello", { width: 16 })),
  breaks("a ping without FIN", ping("x", { fin: false })),
  breaks("a Close without FIN", close(1000, "", { fin: false })),
  breaks("a ping of 126 bytes without FIN", ping(Buffer.alloc(126), { fin: false })),
  breaks("a continuation without a start", last("x")),
  breaks("a first continuation without a start", frame(0, "x", { fin: false })),
  breaks("a continuation after a whole message", text("a"), last("b")),
  breaks("a continuation after the last fragment", first("a"), last("b"), last("c")),
  breaks("a text amid fragments", first("a"), text("b")),
  breaks("a binary amid fragments", first("a"), binary("b")),
  breaks("a first fragment amid fragments", first("a"), first("b")),
  breaks("a text without a mask", text("hello", { masked: false })),
  breaks("a ping without a mask", ping("hello", { masked: false })),
  breaks("a Close without a mask", close(1000, "", { masked: false })),
  breaks("an empty text without a mask", text("", { masked: false })),
  breaks("5 bytes whose length takes 16 bits", text("hello", { width: 16 })),
  breaks("5 bytes whose length takes 64 bits", text("hello", { width: 64 })),
  breaks("126 bytes whose length takes 64 bits", binary(Buffer.alloc(126), { width: 64 })),
  breaks("a byte that is never UTF-8", text(bytes(0xff))),
  breaks("an overlong form", text(bytes(0xc0, 0x80))),
  breaks("a surrogate", text(bytes(0xed, 0xa0, 0x80))),
  breaks("a character above U+10FFFF", text(bytes(0xf4, 0x90, 0x80, 0x80))),
  breaks("a character that is cut off", text(bytes(0xe2, 0x82))),
  breaks("a lone continuation byte", text(bytes(0x61, 0x80))),
  breaks("a cut character over fragments", first(bytes(0xe2, 0x82)), last("A")),
  breaks("a message that ends within a character", first("a"), last(bytes(0xe2))),
  breaks("a bad byte in a first fragment", first(bytes(0x61, 0xff))),
  breaks("a bad byte in the middle of a frame that goes on", text(bytes(0x61, 0xff), { length: 10 })),
  breaks("a breach behind good messages", text("1"), text("2"), frame(3, "x"), text("3")),
  breaks("a frame behind a breach", frame(3, "x"), text("late"), ping("late")),
];

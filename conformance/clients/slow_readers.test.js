import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, test } from "node:test";
import { startWharf } from "../wharf.mjs";
import { clients } from "./clients.js";
import { BINARY, PING, frame, unread } from "./raw.js";

const MEBIBYTE = 1024 * 1024;
const SENT = 64 * MEBIBYTE;
// What the process may grow by for one peer that does not read. Its output is bounded by 1 MiB; what an allocator keeps of
// a buffer that grew to that, for each thread that touched it, makes 3 to 5 MiB of it.
const LARGEST_GROWTH = 12 * MEBIBYTE;
// Below the half minute that is the default: it is the flag that drops them.
const LONGEST_FLOOD = 20_000;

let wharf;
beforeEach(async () => {
  // Once TCP is full nothing moves any more, and the server gives the peer up: every flood has an end to wait for.
  wharf = await startWharf({ options: ["--write-timeout", "1s"] });
  // What a first connection costs is no growth.
  await echoOfAnother();
});
afterEach(() => wharf.end());

for (const [what, opcode, length] of [
  ["sends short messages", BINARY, 100],
  ["sends messages as long as the limit", BINARY, 65_535],
  ["pings", PING, 125],
  ["sends empty pings", PING, 0],
]) {
  test(`a peer that ${what} and does not read costs a bounded amount, and is dropped`, { timeout: LONGEST_FLOOD }, async (t) => {
    const before = await memory(wharf, "VmRSS");
    const socket = await unread(wharf.port);
    t.after(() => socket.destroy());
    const dropped = new Promise((resolve) => socket.on("close", resolve));
    const one = frame(opcode, Buffer.alloc(length, "x"));
    const chunk = Buffer.concat(Array(Math.ceil(MEBIBYTE / one.length)).fill(one));
    const writes = Array.from({ length: SENT / MEBIBYTE }, () => new Promise((resolve) => socket.write(chunk, resolve)));
    for (let i = 0; i < 20; i++) {
      await echoOfAnother();
    }
    await Promise.all(writes);
    // A socket that neither reads nor writes learns nothing of its end.
    const more = setInterval(() => socket.write(one), 20);
    t.after(() => clearInterval(more));
    await dropped;
    await echoOfAnother();
    await assertGrowth(wharf, before);
  });
}

test("a frame that announces 2 GiB and does not come takes nothing", async (t) => {
  const lenient = await startWharf({ options: ["--max-received-frame-size", "unlimited"] });
  t.after(() => lenient.end());
  const before = await memory(lenient, "VmRSS");
  const sockets = await Promise.all(Array.from({ length: 50 }, () => unread(lenient.port)));
  for (const socket of sockets) {
    // A ping first: its pong tells that the server has read on.
    socket.write(Buffer.concat([frame(PING, Buffer.alloc(0)), Buffer.from("82ff0000000080000000000000006162", "hex")]));
  }
  await Promise.all(sockets.map((socket) => once(socket, "readable")));
  await echoOfAnother(lenient);
  await assertGrowth(lenient, before);
  sockets.forEach((socket) => socket.destroy());
});

async function echoOfAnother({ socketUrl } = wharf) {
  const socket = await clients[0].connect(`${socketUrl}echo`);
  socket.send("hello");
  assert.equal(await socket.next(), "hello");
  socket.close(1000);
  await socket.closed;
}

/** By the most that the process ever had, so that no peak is missed. */
async function assertGrowth(program, before) {
  const growth = (await memory(program, "VmHWM")) - before;
  assert.ok(growth < LARGEST_GROWTH, `${growth} bytes more`);
}

/** In bytes: `VmRSS` is what the process has now, `VmHWM` the most that it ever had. */
async function memory({ process }, name) {
  const status = await readFile(`/proc/${process}/status`, "latin1");
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)[1]) * 1024;
}

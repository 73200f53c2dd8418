import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { startWharf } from "../wharf.mjs";
import { clients } from "./clients.js";
import { frame, unread } from "./raw.js";

// What the process may grow by for one peer that does not read: the bound on its output is 1 MiB, and the rest is what
// an allocator keeps for the threads that touched it.
const LARGEST_GROWTH = 32 * 1024;
const SENT = 200 * 1024 * 1024;

let wharf;
before(async () => (wharf = await startWharf()));
after(() => wharf.end());

async function resident({ process } = wharf) {
  const status = await readFile(`/proc/${process}/status`, "latin1");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]);
}

async function echoOfAnother() {
  const socket = await clients[0].connect(`${wharf.socketUrl}echo`);
  socket.send("hello");
  assert.equal(await socket.next(), "hello");
  socket.close(1000);
  await socket.closed;
}

/** Writes until all is taken, or nothing more is within a second: how much was. */
async function flood(socket, chunk) {
  let sent = 0;
  while (sent < SENT) {
    sent += chunk.length;
    if (!socket.write(chunk)) {
      const waiting = new AbortController();
      const timeout = setTimeout(() => waiting.abort(), 1000);
      try {
        await once(socket, "drain", { signal: waiting.signal });
      } catch {
        return sent;
      } finally {
        clearTimeout(timeout);
      }
    }
  }
  return sent;
}

test("a peer that does not read its echoes is read no further, and costs a bounded amount", async () => {
  await echoOfAnother();
  const before = await resident();
  const socket = await unread(wharf.port);
  const message = frame(2, Buffer.alloc(1000, "x"));
  const sent = await flood(socket, Buffer.concat(Array(64).fill(message)));
  assert.ok(sent < SENT, "TCP holds it back");
  await echoOfAnother();
  const growth = (await resident()) - before;
  assert.ok(growth < LARGEST_GROWTH, `${growth} KiB more`);
  socket.destroy();
});

test("a peer that pings and does not read costs a bounded amount", async () => {
  await echoOfAnother();
  const before = await resident();
  const socket = await unread(wharf.port);
  const ping = frame(9, Buffer.alloc(125, "y"));
  await flood(socket, Buffer.concat(Array(500).fill(ping)));
  await echoOfAnother();
  const growth = (await resident()) - before;
  assert.ok(growth < LARGEST_GROWTH, `${growth} KiB more`);
  socket.destroy();
});

test("a frame that announces 2 GiB and does not come takes nothing", async (t) => {
  const lenient = await startWharf({ options: ["--max-received-frame-size", "unlimited"] });
  t.after(() => lenient.end());
  const before = await resident(lenient);
  const sockets = await Promise.all(Array.from({ length: 50 }, () => unread(lenient.port)));
  for (const socket of sockets) {
    socket.write(Buffer.from("82ff0000000080000000000000006162", "hex"));
  }
  const another = await clients[0].connect(`${lenient.socketUrl}echo`);
  another.send("hello");
  assert.equal(await another.next(), "hello");
  const growth = (await resident(lenient)) - before;
  assert.ok(growth < LARGEST_GROWTH, `${growth} KiB more`);
  another.close(1000);
  await another.closed;
  sockets.forEach((socket) => socket.destroy());
});

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { startWharf } from "../wharf.mjs";
import { clients } from "./clients.js";
import { HANDSHAKE, halfOpen, head, unread } from "./raw.js";

/** Runs the program to its end: its status and what it printed. */
function run(...args) {
  return new Promise((resolve) => {
    execFile(process.env.WHARF_BIN, args, { timeout: 20_000 }, (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    );
  });
}

function assertOneLine({ status, stdout, stderr }, expected) {
  assert.equal(status, 2);
  assert.equal(stdout, "");
  assert.match(stderr, /^wharf: [^\n]+\n$/, "one line");
  assert.match(stderr, expected);
}

test("an address in use is one line and status 2", async (t) => {
  const first = await startWharf();
  t.after(() => first.end());
  assertOneLine(await run("serve", "--listen", `127.0.0.1:${first.port}`), /127\.0\.0\.1:\d+: the address is in use/);
});

for (const [args, expected] of [
  [["serve", "--lisen", "127.0.0.1:0"], /'--lisen'.*'--listen'/],
  [["sevre"], /'sevre'/],
  [["--listen", "nowhere"], /'nowhere'.*--listen/],
  [["--listen"], /--listen/],
  [["serve", "--keepalive", "perhaps"], /'perhaps'.*--keepalive.*true, false/],
  [["serve", "--keepalive-interval", "0s"], /--keepalive-interval/],
  [["serve", "--close-timeout", "soon"], /'soon'.*--close-timeout.*unit/],
  [["serve", "--max-received-frame-size", "0"], /--max-received-frame-size.*at least 1/],
  [["serve", "--max-received-frame-size", "many"], /'many'.*--max-received-frame-size.*bytes, or unlimited/],
  [["serve", "--fragmentation-threshold", "0"], /--fragmentation-threshold/],
  [["serve", "--trusted-proxies", "10.0.0.0/40"], /10\.0\.0\.0\/40.*--trusted-proxies/],
  [["serve", "--allowed-origins", "https://example.com/"], /https:\/\/example\.com\/.*--allowed-origins.*more than an origin/],
  [["serve", "--client-address-header", "X-Real-IP"], /X-Real-IP.*--client-address-header.*Forwarded/],
  [["serve", "--client-address-header", "Forwarded"], /--trusted-proxies is empty/],
]) {
  test(`wharf ${args.join(" ")} is one line and status 2`, async () => {
    assertOneLine(await run(...args), expected);
  });
}

test("the help and the version are no errors", async () => {
  for (const args of [["--help"], ["serve", "--help"]]) {
    const { status, stdout, stderr } = await run(...args);
    assert.equal(status, 0);
    assert.match(stdout, /--max-received-frame-size/);
    assert.equal(stderr, "");
  }
  assert.match((await run("--version")).stdout, /^wharf \d+\.\d+\.\d+\n$/);
});

test("the page is at the address that it prints", async () => {
  const wharf = await startWharf();
  const page = await fetch(wharf.url);
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-type"), /^text\/html/);
  await wharf.end();
});

test("Ctrl-C ends it as a service manager does", async () => {
  const wharf = await startWharf();
  const socket = await clients[0].connect(`${wharf.socketUrl}echo`);
  const [ending, closed] = await Promise.all([wharf.end("SIGINT"), socket.closed]);
  assert.deepEqual(ending, { status: 0, signal: null });
  assert.equal(closed.code, 1001);
});

test("the port can be taken again right after the end", async () => {
  const first = await startWharf();
  const socket = await clients[0].connect(`${first.socketUrl}echo`);
  await Promise.all([first.end(), socket.closed]);
  const second = await startWharf({ port: first.port });
  await second.end();
});

test("nobody at the other end of standard output, or none at all, does not keep it from serving", async (t) => {
  const { port, end } = await startWharf();
  await end();
  const serve = `exec "$WHARF_BIN" serve --listen 127.0.0.1:${port}`;
  for (const [what, script] of [
    ["a pipe without a reader", `exec 3> >(:); wait $!; ${serve} >&3`],
    ["a closed descriptor", `${serve} >&-`],
    ["a full disk", `${serve} >/dev/full`],
  ]) {
    await t.test(what, async () => {
      const program = spawn("bash", ["-c", script], { stdio: ["ignore", "ignore", "pipe"] });
      const errors = program.stderr.toArray();
      const exit = once(program, "exit");
      try {
        const socket = await connectWhenItListens(port);
        socket.send("hello");
        assert.equal(await socket.next(), "hello");
        program.kill("SIGTERM");
        assert.equal((await socket.closed).code, 1001);
        assert.deepEqual(await exit, [0, null]);
        assert.equal(Buffer.concat(await errors).toString(), "");
      } finally {
        program.kill("SIGKILL");
      }
    });
  }
});

test("told to stop a second time, it waits for nobody", async () => {
  const wharf = await startWharf({ options: ["--shutdown-timeout", "1h", "--close-timeout", "1h"] });
  const socket = await unread(wharf.port);
  const ending = wharf.end();
  await once(socket, "readable");
  const close = socket.read();
  assert.equal(close[0], 0x88, "a Close: the first signal has arrived");
  assert.equal(close.readUInt16BE(2), 1001);
  process.kill(wharf.process, "SIGTERM");
  assert.deepEqual(await ending, { status: 2, signal: null });
  socket.destroy();
});

test("told to stop, it answers a handshake that has begun, and closes what comes of it", async () => {
  const wharf = await startWharf();
  const begun = halfOpen(wharf.port);
  const [line, ...rest] = head("GET /echo HTTP/1.1", HANDSHAKE).split("\r\n");
  begun.write(line);
  await once(begun, "connect");
  const other = await clients[0].connect(`${wharf.socketUrl}echo`);
  other.send("hello");
  assert.equal(await other.next(), "hello");

  const ending = wharf.end();
  assert.equal((await other.closed).code, 1001, "the signal has arrived, and who is connected need not wait");
  begun.write(`\r\n${rest.join("\r\n")}`);
  let answer = Buffer.alloc(0);
  while (!/\r\n\r\n.{4}/s.test(answer.toString("latin1"))) {
    const [chunk] = await once(begun, "data");
    answer = Buffer.concat([answer, chunk]);
  }
  assert.match(answer.toString("latin1"), /^HTTP\/1\.1 101 /);
  const close = answer.subarray(answer.indexOf("\r\n\r\n") + 4);
  assert.deepEqual([close[0], close.readUInt16BE(2)], [0x88, 1001]);
  begun.destroy();
  assert.deepEqual(await ending, { status: 0, signal: null });
});

test("a client that never answers the Close is waited for no longer than the deadline", async () => {
  const wharf = await startWharf({ options: ["--shutdown-timeout", "300ms", "--close-timeout", "1h"] });
  const socket = await unread(wharf.port);
  assert.deepEqual(await wharf.end(), { status: 0, signal: null });
  socket.destroy();
});

async function connectWhenItListens(port) {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      return await clients[0].connect(`ws://127.0.0.1:${port}/echo`);
    } catch (error) {
      if (error.code !== "ECONNREFUSED" || Date.now() > deadline) {
        throw error;
      }
      await pause(10);
    }
  }
}

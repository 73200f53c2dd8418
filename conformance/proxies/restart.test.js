import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import net from "node:net";
import { describe, test } from "node:test";
import { startWharf } from "../wharf.mjs";
import { freePort, proxies } from "./proxies.js";
import { open } from "./sockets.js";

// Clients that come and go, and those that stay until they are told to go.
const COMING = 8;
const STAYING = 10;
const OPENINGS_A_PHASE = 60;

for (const { name, version, start } of proxies) {
  describe(`a restart behind ${name}`, () => {
    for (const [what, options] of [
      ["", []],
      [" with workers", ["--workers", "2"]],
    ]) {
      /** Two wharfs, the proxy in front of them, and their end. */
      const site = async (t) => {
        const startOn = (port) => startWharf({ port, options: ["--close-timeout", "500ms", ...options] });
        const ports = [await freePort(), await freePort()];
        const wharfs = await Promise.all(ports.map(startOn));
        t.after(() => Promise.all(wharfs.map((wharf) => wharf.end())));
        const proxy = await start({ servers: ports });
        t.after(() => proxy.end());
        return { wharfs, startOn, proxy };
      };

      test(`of each server${what} in turn keeps no client out, and closes every connection with 1001`, async (t) => {
        const { wharfs, startOn, proxy } = await site(t);
        const traffic = new Traffic(`${proxy.url}/echo`);
        for (const at of wharfs.keys()) {
          const staying = await Promise.all(Array.from({ length: STAYING }, () => open(`${proxy.url}/echo`)));
          // Who does not answer the Close makes the end last until the close timeout.
          staying.forEach((socket) => socket.pause());
          await traffic.opens(OPENINGS_A_PHASE);
          const ending = wharfs[at].end();
          await traffic.opens(OPENINGS_A_PHASE);
          assert.deepEqual(await ending, { status: 0, signal: null });
          await traffic.opens(OPENINGS_A_PHASE);
          wharfs[at] = await startOn(wharfs[at].port);
          await traffic.opens(OPENINGS_A_PHASE);

          staying.forEach((socket) => socket.resume());
          const told = await Promise.all(staying.map(goesOn));
          const left = told.filter((code) => code === null).length;
          assert.ok(told.every((code) => code === null || code === 1001), `${told}`);
          assert.ok(left > 0 && left < STAYING, `the other server keeps its own: ${left} of ${STAYING}`);
          await Promise.all(staying.map(closes));
        }
        const codes = await traffic.ends();
        assert.deepEqual(traffic.failures, [], proxy.said.slice(-20).join("\n"));
        assert.deepEqual([...codes].filter((code) => code !== 1000 && code !== 1001), []);
        for (const { socketUrl } of wharfs) {
          const watcher = await open(`${socketUrl}live`);
          assert.ok(JSON.parse(await watcher.next()).accepted > 1, "a server that is back is asked again");
          await closes(watcher);
        }
      });

      test(`keeps no client out that waits to be taken by a server${what} that is told to stop`, async (t) => {
        const { wharfs, proxy } = await site(t);
        // It takes nobody, but the kernel completes connections for it, and the proxy sends its requests.
        process.kill(wharfs[0].process, "SIGSTOP");
        const opening = Array.from({ length: STAYING }, () => open(`${proxy.url}/echo`));
        await Promise.race(opening);
        const ending = wharfs[0].end();
        process.kill(wharfs[0].process, "SIGCONT");
        const [status, ...sockets] = await Promise.all([ending, ...opening]);
        assert.deepEqual(status, { status: 0, signal: null });
        const told = await Promise.all(sockets.map(goesOn));
        assert.ok(told.every((code) => code === null || code === 1001), `${told}`);
        await Promise.all(sockets.map(closes));
      });
    }

    if (version !== "HTTP/1.1") {
      return; // Of the server below, which knows nothing of HTTP.
    }
    for (const [what, ends] of [
      ["reset", (socket) => socket.resetAndDestroy()],
      ["ended", (socket) => socket.end()],
    ]) {
      test(`that leaves connections ${what} before they are answered has them tried again elsewhere`, async (t) => {
        let hits = 0;
        const leaving = net.createServer((socket) => {
          hits++;
          socket.on("error", () => {});
          socket.once("data", () => ends(socket));
        });
        leaving.listen(0, "127.0.0.1");
        await once(leaving, "listening");
        t.after(() => leaving.close());
        const wharf = await startWharf();
        t.after(() => wharf.end());
        const proxy = await start({ servers: [leaving.address().port, wharf.port] });
        t.after(() => proxy.end());
        for (let n = 0; n < STAYING; n++) {
          await closes(await open(`${proxy.url}/echo`));
        }
        assert.ok(hits > 0, "it was asked");
      });
    }
  });
}

/** Clients that open, echo and close one after the other, until they are told to end. */
class Traffic {
  failures = [];
  #codes = new Set();
  #opened = 0;
  #openings = new EventEmitter();
  #isOver = false;
  #clients;

  constructor(url) {
    this.#clients = Array.from({ length: COMING }, () => this.#come(url));
  }

  /** Waits until so many more have opened, or one has failed to. */
  async opens(count) {
    const until = this.#opened + count;
    while (this.#opened < until && this.failures.length === 0) {
      await once(this.#openings, "one");
    }
  }

  /** Tells with which codes connections were closed. */
  async ends() {
    this.#isOver = true;
    await Promise.all(this.#clients);
    return this.#codes;
  }

  async #come(url) {
    while (!this.#isOver && this.failures.length === 0) {
      try {
        const socket = await open(url);
        this.#opened++;
        socket.send("hello");
        const echo = await socket.next().catch(({ code }) => this.#codes.add(code));
        if (typeof echo === "string") {
          assert.equal(echo, "hello");
        }
        this.#codes.add(await closes(socket));
      } catch (failure) {
        this.failures.push(failure);
      }
      this.#openings.emit("one");
    }
  }
}

/** `null` where a connection still echoes, or the code that it was closed with. */
async function goesOn(socket) {
  socket.send("hello");
  return socket.next().then(
    () => null,
    ({ code }) => code,
  );
}

/** Closes in order: with which code. */
async function closes(socket) {
  socket.close(1000);
  return (await socket.closed).code;
}

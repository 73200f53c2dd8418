import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { LIMIT, startWharf } from "../wharf.mjs";
import { callsOfWs } from "./clients.js";

// permessage-deflate between wharf and node `ws`, with every combination of takeover and of some window bits at either end.
const TAKEOVERS = [false, true];
const WINDOW_BITS = [9, 12, 15];
// Alike, so that with takeover they refer to one another; longer than every window; nothing; and what cannot be compressed.
const JSON_TEXT = JSON.stringify(Array.from({ length: 150 }, (_, id) => ({ id, name: `user ${(id * 7919) % 1000}` })));
const NOISE = Buffer.from(Array.from({ length: 5000 }, (_, at) => (Math.imul(at, 2_654_435_761) >>> 13) & 0xff));
const MESSAGES = ["", JSON_TEXT, JSON_TEXT, JSON_TEXT.repeat(12), NOISE, JSON_TEXT];

const combinations = (...lists) =>
  lists.reduce((all, list) => all.flatMap((some) => list.map((one) => [...some, one])), [[]]);

const OPTIONS = combinations(TAKEOVERS, TAKEOVERS, WINDOW_BITS, WINDOW_BITS).map(
  ([serverTakeover, clientTakeover, serverBits, clientBits]) => ({ serverTakeover, clientTakeover, serverBits, clientBits }),
);

const inWords = ({ serverTakeover, clientTakeover, serverBits, clientBits }) =>
  `takeover ${serverTakeover}/${clientTakeover}, window bits ${serverBits}/${clientBits}`;

const ofWs = ({ serverTakeover, clientTakeover, serverBits, clientBits }) => ({
  threshold: 0,
  // `false` would say that the other end may not want it.
  ...(!serverTakeover && { serverNoContextTakeover: true }),
  ...(!clientTakeover && { clientNoContextTakeover: true }),
  ...(serverBits < 15 && { serverMaxWindowBits: serverBits }),
  ...(clientBits < 15 && { clientMaxWindowBits: clientBits }),
});

async function echoes(socket) {
  for (const message of MESSAGES) {
    socket.send(message);
    assert.deepEqual(await socket.next(), message);
  }
}

describe("node ws as a client", () => {
  for (const options of OPTIONS) {
    test(`is echoed by wharf with ${inWords(options)}, whatever it offers`, async () => {
      const flags = [
        ...["--server-context-takeover", options.serverTakeover, "--client-context-takeover", options.clientTakeover],
        ...["--server-max-window-bits", options.serverBits, "--client-max-window-bits", options.clientBits],
        ...["--compression-threshold", 0, "--max-received-frame-size", LIMIT],
      ];
      const wharf = await startWharf({ options: flags.map(String) });
      try {
        for (const offered of OPTIONS) {
          const socket = new WebSocket(`${wharf.socketUrl}echo`, { perMessageDeflate: ofWs(offered) });
          const calls = callsOfWs(socket);
          await once(socket, "open");
          assert.match(socket.extensions, /^permessage-deflate/, inWords(offered));
          await echoes(calls);
          socket.close(1000);
          await calls.closed;
        }
      } finally {
        await wharf.end();
      }
    });
  }

  test("is answered without an extension where compression is off", async () => {
    const wharf = await startWharf({ options: ["--no-compression", "--max-received-frame-size", `${LIMIT}`] });
    const socket = new WebSocket(`${wharf.socketUrl}echo`);
    const calls = callsOfWs(socket);
    await once(socket, "open");
    assert.equal(socket.extensions, "");
    await echoes(calls);
    socket.close(1000);
    await calls.closed;
    await wharf.end();
  });
});

describe("node ws as a server", () => {
  let listening;
  let options;
  let connected;
  before(async () => {
    listening = http.createServer();
    listening.on("upgrade", (request, socket, head) => {
      const server = new WebSocketServer({ noServer: true, maxPayload: 1 << 24, perMessageDeflate: ofWs(options) });
      server.handleUpgrade(request, socket, head, (socket) => connected(socket));
    });
    listening.listen(0, "127.0.0.1");
    await once(listening, "listening");
  });
  after(() => listening.close());

  for (const ours of OPTIONS) {
    test(`has wharf's client with ${inWords(ours)} echo, whatever it allows itself`, async () => {
      for (const theirs of [OPTIONS[0], OPTIONS[8], OPTIONS[13], OPTIONS[27], OPTIONS[35]]) {
        options = theirs;
        const compression = [ours.serverTakeover, ours.clientTakeover, ours.serverBits, ours.clientBits].map(String);
        const url = `ws://127.0.0.1:${listening.address().port}/`;
        const client = spawn(process.env.WHARF_CLIENT, [url, "--compression", ...compression], {
          stdio: ["pipe", "pipe", "inherit"],
        });
        const ended = once(client, "exit");
        const socket = await new Promise((resolve, reject) => {
          connected = resolve;
          createInterface({ input: client.stdout }).on("line", (line) => {
            if (!line.startsWith("open")) {
              reject(new Error(`${inWords(theirs)}: ${line}`));
            }
          });
        });
        assert.match(socket.extensions, /^permessage-deflate/, inWords(theirs));
        const calls = callsOfWs(socket);
        await echoes(calls);
        socket.close(1000);
        await calls.closed;
        client.stdin.end();
        await ended;
      }
    });
  }
});

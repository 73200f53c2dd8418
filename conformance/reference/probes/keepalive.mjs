// Keepalive, in small units: what is compared is what comes, and in which order, never when.

import { ping, pong, text } from "../frames.mjs";
import { accept, send, state } from "../program.mjs";

const SHORT = { keepaliveInterval: 60, keepaliveGracePeriod: 120 };
// Nothing that a client does in its turn takes as long.
const LONG = { keepaliveInterval: 1500, keepaliveGracePeriod: 1500 };
const pace = (time) => new Promise((resolve) => setTimeout(resolve, time));

function silent(name, options, act = async () => {}, program = {}) {
  return {
    name: `keepalive: ${name}`,
    options,
    program: { request: [accept()], ...program },
    async play(world) {
      const client = await world.connect();
      await act(client, world);
      await world.end(client);
    },
  };
}

/** Sends something again and again, for longer than the interval, and then nothing. */
function kept(name, piece) {
  return silent(name, LONG, async (client, world) => {
    for (let i = 0; i < 10; i += 1) {
      await pace(200);
      client.write(piece);
    }
    client.note("the client has said something ten times");
    await world.frames(client, piece === PING ? 11 : 1);
    client.write(pong(""));
    await world.inStep(client);
  });
}

const PING = ping("p");

export const keepalive = [
  silent("a silent peer", SHORT),
  silent("a peer that answers each ping", SHORT, async (client, world) => {
    for (let pings = 1; pings <= 4; pings += 1) {
      await world.frames(client, pings);
      client.write(pong(""));
    }
  }),
  silent("a peer that answers with something else", { ...SHORT, keepaliveGracePeriod: 2000 }, async (client, world) => {
    await world.frames(client, 1);
    await world.say(client, text("here I am"));
    await world.frames(client, 2);
    client.passOverFrames();
  }),
  silent(
    "a peer that sends half a frame to a ping",
    { ...SHORT, keepaliveGracePeriod: 2000 },
    async (client, world) => {
      await world.frames(client, 1);
      client.write(text("hello").subarray(0, 3));
      await world.frames(client, 2);
      client.passOverFrames();
    },
  ),
  silent("a silent peer, and no drop", { ...SHORT, dropConnectionOnKeepaliveTimeout: false }, async (client, world) => {
    await world.frames(client, 4);
    client.passOverFrames();
  }),
  silent(
    "no drop, and a grace that does not count",
    { ...SHORT, keepaliveGracePeriod: 1, dropConnectionOnKeepaliveTimeout: false },
    async (client, world) => {
      await world.frames(client, 3);
      client.passOverFrames();
    },
  ),
  silent("off", { ...SHORT, keepalive: false }),
  silent("native", { ...SHORT, useNativeKeepalive: true }),
  silent("native, and off", { ...SHORT, useNativeKeepalive: true, keepalive: false }),
  kept("messages postpone the ping", text("x")),
  kept("pings postpone the ping", PING),
  kept("pongs postpone the ping", pong("x")),
  silent("what the server sends postpones nothing", SHORT, () => {}, { connect: [send("hello")] }),
  {
    name: "keepalive: each connection has its own",
    options: SHORT,
    program: { request: [accept()] },
    async play(world) {
      const answering = await world.connect();
      const silentOne = await world.connect();
      const answers = (async () => {
        for (let pings = 1; pings <= 8; pings += 1) {
          await world.frames(answering, pings);
          answering.write(pong(""));
        }
        answering.passOverFrames();
      })();
      await world.end(silentOne);
      await answers;
      await world.on(1, state);
    },
  },
];

// Holding reading, broadcasting, and the order of what is told.

import { close, ping, text } from "../frames.mjs";
import { accept, broadcast, closeWith, drop, echo, list, pause, reject, resume, send, state } from "../program.mjs";

const open = { request: [accept()] };

export const flow = [
  {
    name: "pause: nothing is told until resume, and nothing is lost",
    program: open,
    async play(world) {
      const client = await world.connect();
      await world.inStep(client);
      await world.on(0, pause);
      client.write(text("1"), text("2"), ping("3"));
      await world.quiet();
      await world.mark("resume");
      await world.on(0, resume);
      await world.inStep(client);
    },
  },
  {
    name: "pause: in a message handler, with more in the segment",
    program: { request: [accept()], message: [pause] },
    async play(world) {
      const client = await world.connect();
      client.write(text("1"), text("2"), text("3"));
      for (let told = 1; told <= 3; told += 1) {
        await world.event("connection 0 message", told);
        await world.quiet();
        await world.mark("resume");
        await world.on(0, resume);
      }
    },
  },
  {
    name: "pause: sending goes on",
    program: open,
    async play(world) {
      const client = await world.connect();
      await world.on(0, pause, send("still here"));
      await world.frames(client, 1);
      await world.on(0, resume);
      await world.inStep(client);
    },
  },
  {
    name: "pause: the peer's Close waits, too",
    options: { closeTimeout: 200 },
    program: open,
    async play(world) {
      const client = await world.connect();
      await world.on(0, pause);
      client.write(text("1"), close(4000));
      await world.quiet();
      await world.mark("resume");
      await world.on(0, resume);
      await world.end(client);
    },
  },
  {
    name: "pause: for longer than the keepalive waits",
    options: { keepaliveInterval: 100, keepaliveGracePeriod: 100 },
    program: open,
    async play(world) {
      const client = await world.connect();
      await world.on(0, pause);
      await world.frames(client, 1);
      client.passOverFrames();
      await world.end(client);
      await world.on(0, resume);
    },
  },
  {
    name: "pause and resume as events",
    program: { ...open, also: ["pause", "resume"] },
    async play(world) {
      const client = await world.connect();
      await world.inStep(client);
      await world.on(0, pause);
      await world.quiet();
      await world.on(0, resume);
      await world.inStep(client);
    },
  },

  {
    name: "broadcast: to three connections",
    program: open,
    async play(world) {
      const clients = await three(world);
      await world.command(broadcast("to all"), broadcast(Buffer.from([1, 2])), broadcast(""));
      await Promise.all(clients.map((client) => world.inStep(client)));
    },
  },
  {
    name: "broadcast: in fragments",
    options: { fragmentationThreshold: 4 },
    program: open,
    async play(world) {
      const clients = await three(world);
      await world.command(broadcast("to them all"));
      await Promise.all(clients.map((client) => world.inStep(client)));
    },
  },
  {
    name: "broadcast: to nobody",
    program: open,
    async play(world) {
      await world.command(broadcast("anybody?"), list);
    },
  },
  {
    name: "broadcast: with a connection that is closing",
    options: { closeTimeout: 200 },
    program: open,
    async play(world) {
      const clients = await three(world);
      await world.on(1, closeWith(4001));
      await world.command(broadcast("to all"));
      await world.inStep(clients[0]);
      await world.inStep(clients[2]);
      await world.end(clients[1]);
    },
  },

  {
    name: "connections: in order of acceptance, without those that left",
    program: open,
    async play(world) {
      const clients = await three(world);
      await world.command(list);
      await world.end(clients[1], close(1000));
      await clients[1].hangUp(2000);
      await world.event("server close");
      await world.command(list);
      const fourth = await world.connect();
      await world.inStep(fourth);
      await world.command(list);
    },
  },
  {
    name: "connections: undecided requests are not among them",
    async play(world) {
      const client = await world.ask();
      await world.command(list);
      await world.decide(0, accept());
      await world.answered(client);
      await world.command(list);
      await world.inStep(client);
    },
  },
  {
    name: "a fresh connection's properties",
    program: { request: [accept({ protocol: "chat" })] },
    async play(world) {
      const client = await world.connect({
        fields: {
          "Sec-WebSocket-Protocol": "Chat",
          "X-Forwarded-For": "203.0.113.7, 198.51.100.2",
          "Sec-WebSocket-Version": "8",
        },
      });
      await world.inStep(client);
      await world.on(0, state);
    },
  },
  {
    name: "a closed connection's properties",
    program: open,
    async play(world) {
      const client = await world.connect();
      await world.end(client, close(4000, "done"));
      await client.hangUp(2000);
      await world.event("connection 0 close");
      await world.on(0, state);
    },
  },
  {
    name: "a dropped connection's properties",
    program: open,
    async play(world) {
      const client = await world.connect();
      await world.on(0, drop(4000, "enough"));
      await world.end(client);
      await client.hangUp(2000);
      await world.event("connection 0 close");
      await world.on(0, state);
    },
  },
  {
    name: "order: what an accept tells",
    program: { ...open, also: ["requestResolved", "requestAccepted", "requestRejected", "accepted"] },
    async play(world) {
      const client = await world.connect();
      await world.inStep(client);
    },
  },
  {
    name: "order: what a reject tells",
    program: { request: [reject()], also: ["requestResolved", "requestAccepted", "requestRejected"] },
    async play(world) {
      const client = await world.connect();
      await world.end(client);
    },
  },
  {
    name: "order: echoes of a burst",
    program: { request: [accept()], message: [echo] },
    async play(world) {
      const client = await world.connect();
      await world.say(client, ...Array.from({ length: 30 }, (_, i) => text(`message ${i}`)));
    },
  },
];

async function three(world) {
  const clients = [];
  for (let i = 0; i < 3; i += 1) {
    clients.push(await world.connect());
    await world.inStep(clients[i]);
  }
  return clients;
}

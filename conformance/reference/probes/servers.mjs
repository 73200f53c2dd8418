// Mounting, unmounting, shutting down.

import { close, text } from "../frames.mjs";
import { accept, closeAll, echo, list, mount, reject, send, shutDown, unmount } from "../program.mjs";

const ECHO = { request: [accept()], message: [echo] };
const WAITS = { closeTimeout: 200 };

const site = (name, play, more = {}) => ({ name: `server: ${name}`, program: ECHO, options: WAITS, play, ...more });

export const servers = [
  site("not mounted", async (world) => void (await world.connect()), { mounted: false }),
  site("not mounted, and unmounted", (world) => world.command(unmount), { mounted: false }),
  site("not mounted, and shut down", (world) => world.command(shutDown), { mounted: false }),
  site("not mounted, and all connections closed", (world) => world.command(closeAll, list), { mounted: false }),
  site("not mounted, and a broadcast", (world) => world.command({ action: "broadcast", text: "x", times: 1 }, list), {
    mounted: false,
  }),
  site(
    "mounted late",
    async (world) => {
      await world.command(mount([0]));
      await world.say(await world.connect(), text("hello"));
    },
    { mounted: false },
  ),
  site("mounted on no HTTP server", (world) => world.command(mount([])), { mounted: false }),
  site(
    "mounted on two HTTP servers",
    async (world) => {
      await world.say(await world.connect({ port: 0 }), text("one"));
      await world.say(await world.connect({ port: 1 }), text("two"));
      await world.command(list);
    },
    { httpServers: 2 },
  ),
  site("mounted twice on one HTTP server", async (world) => {
    await world.command(mount([0]));
    const client = await world.connect();
    await world.end(client, text("hello"));
  }),
  site(
    "mounted on one HTTP server twice in a list",
    async (world) => {
      await world.command(mount([0, 0]));
      const client = await world.connect();
      await world.end(client, text("hello"));
    },
    { mounted: false },
  ),
  site(
    "mounted on a second HTTP server later",
    async (world) => {
      await world.command(mount([0]), mount([1]));
      await world.say(await world.connect({ port: 0 }), text("one"));
      await world.say(await world.connect({ port: 1 }), text("two"));
    },
    { httpServers: 2, mounted: false },
  ),
  site(
    "mounted on a second HTTP server later, and unmounted",
    async (world) => {
      await world.command(mount([0]), mount([1]), unmount);
      await world.connect({ port: 0 });
      await world.connect({ port: 1 });
    },
    { httpServers: 2, mounted: false },
  ),
  site("unmounted", async (world) => {
    await world.command(unmount);
    await world.connect();
  }),
  site("unmounted twice", async (world) => {
    await world.command(unmount, unmount);
    await world.connect();
  }),
  site(
    "unmounted from two HTTP servers",
    async (world) => {
      await world.command(unmount);
      await world.connect({ port: 0 });
      await world.connect({ port: 1 });
    },
    { httpServers: 2 },
  ),
  site("unmounted, with a connection from before", async (world) => {
    const client = await world.connect();
    await world.inStep(client);
    await world.command(unmount);
    await world.say(client, text("still here"));
    await world.command(list);
  }),
  site(
    "unmounted with an undecided request",
    async (world) => {
      const client = await world.ask();
      await world.command(unmount);
      await world.decide(0, accept());
      await world.answered(client);
      await world.say(client, text("still here"));
    },
    { program: {} },
  ),
  site("mounted again", async (world) => {
    await world.command(unmount, mount([0]));
    await world.say(await world.connect(), text("hello"));
  }),
  site("mounted again with other options", async (world) => {
    await world.command(unmount, mount([0], { fragmentationThreshold: 2 }));
    await world.say(await world.connect(), text("hello"));
  }),
  site(
    "mounted again, the options left out being back at their defaults",
    async (world) => {
      await world.command(unmount, mount([0]));
      await world.say(await world.connect(), text("hello"));
    },
    { options: { fragmentationThreshold: 2 } },
  ),
  site(
    "mounted again, with a connection from before under its old options",
    async (world) => {
      const client = await world.connect();
      await world.inStep(client);
      await world.command(unmount, mount([0]));
      await world.say(client, text("hello"));
    },
    { options: { fragmentationThreshold: 2 } },
  ),

  site("all connections closed", async (world) => {
    const clients = [await world.connect(), await world.connect()];
    await Promise.all(clients.map((client) => world.inStep(client)));
    await world.command(closeAll);
    for (const [i, client] of clients.entries()) {
      await world.frames(client, 1);
      await world.end(client, close(1000));
      await client.hangUp(2000);
      await world.event("server close", i + 1);
    }
    await world.command(list);
  }),
  site("all connections closed, and a silent peer", async (world) => {
    const client = await world.connect();
    await world.inStep(client);
    await world.command(closeAll);
    await world.end(client);
  }),
  site(
    "all connections closed, with an undecided request",
    async (world) => {
      const client = await world.ask();
      await world.command(closeAll);
      await world.answered(client);
      await world.end(client);
      await world.command(list);
      await world.decide(0, accept());
    },
    { program: {} },
  ),
  site(
    "all connections closed, with an undecided request that is rejected then",
    async (world) => {
      const client = await world.ask();
      await world.command(closeAll);
      await world.answered(client);
      await world.end(client);
      await world.decide(0, reject(404));
    },
    { program: {} },
  ),
  site("all connections closed, and a new one", async (world) => {
    await world.command(closeAll);
    await world.say(await world.connect(), text("hello"));
  }),
  site("shut down", async (world) => {
    const client = await world.connect();
    await world.inStep(client);
    await world.command(shutDown);
    await world.frames(client, 1);
    await world.end(client, close(1000));
    await world.connect();
  }),
  site(
    "shut down with an undecided request",
    async (world) => {
      const client = await world.ask();
      await world.command(shutDown);
      await world.answered(client);
      await world.end(client);
      await world.decide(0, accept());
    },
    { program: {} },
  ),
  site("shut down twice", async (world) => {
    await world.command(shutDown, shutDown);
    await world.connect();
  }),
  site("shut down, and mounted again", async (world) => {
    await world.command(shutDown, mount([0]));
    await world.say(await world.connect(), text("hello"));
  }),
  site("shut down with a message on its way", async (world) => {
    const client = await world.connect();
    await world.inStep(client);
    await world.on(0, send("last"));
    await world.command(shutDown);
    await world.frames(client, 2);
    await world.end(client, close(1000));
  }),
  site("an ordinary request beside connections", async (world) => {
    await world.say(await world.connect(), text("hello"));
    await world.connect({ fields: { Upgrade: null, Connection: null } });
  }),

  ...[
    ["maxReceivedFrameSize", { maxReceivedFrameSize: 0 }],
    ["maxReceivedMessageSize", { maxReceivedMessageSize: 0 }],
    ["keepaliveInterval", { keepaliveInterval: 0, dropConnectionOnKeepaliveTimeout: false }],
    ["keepaliveGracePeriod", { keepaliveGracePeriod: 0 }],
  ].map(([option, options]) => ({
    name: `server: ${option} of 0`,
    program: {},
    mounted: false,
    play: (world) => world.command(mount([0], options)),
  })),
];

import websocket from "websocket";
import { RawClient, handshake, isSync, until } from "./client.mjs";

// How long what must come is waited for. What has not come by then is written down as missing.
const PATIENCE = 2_000;
// How long nothing must come before a socket counts as left open.
const QUIET = 500;

/** Plays a probe against a server: what was seen, as lists of lines, a list for each place where they have an order. */
export async function play(probe, server) {
  const { options = {}, program = {}, httpServers = 1, mounted = true, handled = true } = probe;
  const world = new World(server);
  world.ports = await server.start({ options, program, httpServers, mounted, handled }, (stream, event, data) =>
    world.told(stream, event, data),
  );
  try {
    await probe.play(world);
    await world.settle();
  } finally {
    world.freeze();
    await server.stop();
  }
  return world.seen;
}

/** What a probe has in hand: the server, its clients, and what was seen so far. */
class World {
  ports = [];
  seen = {};
  #server;
  #clients = [];
  #counts = {};
  #changed = new Set();
  #frozen = false;

  constructor(server) {
    this.#server = server;
  }

  /** A client whose handshake has been answered. `behind` goes out in the same segment as the handshake. */
  async connect({ port = 0, behind = Buffer.alloc(0), ...request } = {}) {
    const client = this.dial({ port });
    client.write(handshake(request), behind);
    await this.answered(client);
    return client;
  }

  /** A client whose handshake has gone out, and is not answered before the server has done something for it. */
  async ask({ port = 0, behind = Buffer.alloc(0), ...request } = {}) {
    const client = this.dial({ port });
    const requests = this.count("server request");
    client.write(handshake(request), behind);
    await this.event("server request", requests + 1);
    return client;
  }

  async answered(client, within = PATIENCE) {
    if (!(await client.answered(within))) {
      client.note("no answer");
    }
  }

  /** A client that has sent nothing. */
  dial({ port = 0 } = {}) {
    const client = new RawClient(this.ports[port]);
    this.seen[`client ${this.#clients.length}`] = client.lines;
    this.#clients.push(client);
    return client;
  }

  /** Writes, and waits until the server has taken it all: it says so, or ends TCP. */
  async say(client, ...pieces) {
    client.write(...pieces);
    await this.inStep(client);
  }

  /** Waits until the server has taken all that was written. */
  async inStep(client, within = PATIENCE) {
    if (!(await client.inStep(within))) {
      client.note("no answer to a ping");
    }
  }

  /** Writes, and waits until the server ends TCP; or has not for a while. */
  async end(client, ...pieces) {
    client.write(...pieces);
    if (!(await client.ended(QUIET))) {
      // Both machines and servers can stand still: once it answers, what it had to do before is done.
      await this.#catchUp();
      await client.ended(QUIET / 10);
    }
  }

  async frames(client, count) {
    if (!(await client.frames(count, PATIENCE))) {
      client.note(`less than ${count} frames`);
    }
  }

  /** Does something on a request or connection, by number, or on the server. */
  async act(target, ...actions) {
    await this.#server.act({ ...target, actions });
  }

  on(connection, ...actions) {
    return this.act({ connection }, ...actions);
  }

  decide(request, ...actions) {
    return this.act({ request }, ...actions);
  }

  command(...actions) {
    return this.act({}, ...actions);
  }

  count(event) {
    return this.#counts[event] ?? 0;
  }

  /** Waits until an event was told so often, such as `server close` or `connection 0 message`. */
  async event(event, count = 1, within = PATIENCE) {
    if (!(await until(this.#changed, () => this.count(event) >= count, within))) {
      this.#line(event.slice(0, event.lastIndexOf(" ")), `(no ${event.slice(event.lastIndexOf(" ") + 1)})`);
    }
  }

  /** Waits as long as it takes to say that nothing comes. */
  async quiet() {
    await new Promise((resolve) => setTimeout(resolve, QUIET));
  }

  /** A line of the script's own between those that the servers told. */
  async mark(line) {
    await this.#catchUp();
    const connections = Array.from({ length: this.count("server connect") }, (_, i) => `connection ${i}`);
    for (const stream of ["server", ...connections]) {
      this.#line(stream, `-- ${line}`);
    }
  }

  /** Node's own client of the package. What happens to it is written down. */
  nodeClient({ config, protocols, origin, headers, path = "/", on = {} } = {}) {
    const lines = [];
    this.seen[`client ${this.#clients.length}`] = lines;
    const client = new websocket.client(config);
    let messages = 0;
    const ended = new Promise((resolve) => {
      client.on("connectFailed", (error) => {
        lines.push(`connect failed: ${error.message.split("\n")[0].replace(/127\.0\.0\.1:\d+/, "127.0.0.1:PORT")}`);
        resolve();
      });
      client.on("connect", (connection) => {
        lines.push(`connected, protocol ${JSON.stringify(connection.protocol)}`);
        connection.on("message", ({ type, utf8Data, binaryData }) => {
          lines.push(`message ${type} ${type === "utf8" ? JSON.stringify(utf8Data) : binaryData.length}`);
          messages += 1;
          on.message?.(connection, messages);
        });
        connection.on("pong", (payload) => lines.push(`pong ${JSON.stringify(payload.toString())}`));
        connection.on("close", (code, description) => {
          lines.push(`close ${code} ${JSON.stringify(description ?? "")}`);
          resolve();
        });
        on.connect?.(connection);
      });
    });
    this.#clients.push({
      hasEnded: true,
      hangUp: () => Promise.race([ended, new Promise((resolve) => setTimeout(resolve, PATIENCE).unref())]),
    });
    client.connect(`ws://127.0.0.1:${this.ports[0]}${path}`, protocols, origin, headers);
    return ended;
  }

  told(stream, event, data) {
    if (this.#frozen || isSync(data.payload)) {
      return;
    }
    const name = `${stream} ${event}`;
    this.#counts[name] = this.count(name) + 1;
    const values = Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));
    const line = [event, ...values.map(([key, value]) => `${key}=${JSON.stringify(value)}`)].join(" ");
    this.#line(stream, line.replace(/127\.0\.0\.1:\d+/, "127.0.0.1:PORT"));
    for (const look of this.#changed) {
      look();
    }
  }

  /** Ends what is open, and waits until the server has told the end of each connection. */
  async settle() {
    const open = this.#clients.filter((client) => !client.hasEnded);
    for (const client of open) {
      client.note("TCP is open");
    }
    if (open.length > 0) {
      await this.mark("the clients hang up");
    }
    // One after the other, so that their ends have an order.
    for (const client of this.#clients) {
      const closes = this.count("server close") + (open.includes(client) && client.isSwitched ? 1 : 0);
      await client.hangUp(PATIENCE);
      await until(this.#changed, () => this.count("server close") >= closes, PATIENCE);
    }
    await this.#catchUp();
    await this.event("server close", this.count("server connect"));
    for (let i = 0; i < this.count("server connect"); i += 1) {
      await this.event(`connection ${i} close`);
    }
    await this.#catchUp();
  }

  /** What the server has told by now is here when this returns. */
  async #catchUp() {
    await this.#server.act({ actions: [] });
  }

  freeze() {
    this.#frozen = true;
  }

  #line(stream, line) {
    this.seen[stream] ??= [];
    this.seen[stream].push(line);
  }
}

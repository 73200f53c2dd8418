// What the servers can be told to do, and the shapes that most probes have.

/** What is sent: text, bytes (a Buffer), so many bytes (a number), or `{ text | bytes, times }`. */
function payload(of) {
  if (typeof of === "number") {
    return { bytes: [0x61], times: of };
  }
  if (typeof of === "string") {
    return { text: of, times: 1 };
  }
  return Buffer.isBuffer(of) ? { bytes: [...of], times: 1 } : of;
}

export const describe = { action: "describe" };
export const accept = (how = {}) => ({ action: "accept", ...how });
export const reject = (status, reason, headers) => ({ action: "reject", status, reason, headers });

export const send = (of) => ({ action: "send", ...payload(of) });
export const echo = { action: "echo" };
export const sendPing = (of = "") => ({ action: "ping", ...payload(of) });
export const sendPong = (of = "") => ({ action: "pong", ...payload(of) });
export const cancel = { action: "cancel" };
/** A frame composed by hand; wharf sends a `raw` one whatever rule it breaks. */
export const sendFrame = (opcode, content = "", { fin = true, reserved = 0, raw = false } = {}) => ({
  action: "sendFrame",
  opcode,
  payload: [...Buffer.from(content)],
  fin,
  reserved,
  raw,
});
export const closeWith = (code, description) => ({ action: "close", code, description });
export const drop = (code, description, silent) => ({ action: "drop", code, description, silent });
export const pause = { action: "pause" };
export const resume = { action: "resume" };
export const state = { action: "state" };

export const broadcast = (of) => ({ action: "broadcast", ...payload(of) });
export const list = { action: "list" };
export const mount = (on, options = {}) => ({ action: "mount", on, options });
export const unmount = { action: "unmount" };
export const closeAll = { action: "closeAll" };
export const shutDown = { action: "shutDown" };

/** Accepts everything. */
export const ACCEPT = { request: [accept()] };

/** A request, and its answer. */
export function answer(name, request, site = {}) {
  return {
    name,
    program: ACCEPT,
    ...site,
    async play(world) {
      const client = await world.connect(request);
      if (client.isSwitched) {
        await world.inStep(client);
      } else if (!client.isOrdinary) {
        await world.end(client);
      }
    },
  };
}

/** A conversation that goes on: the client says these, and is still answered. */
export function says(name, pieces, site = {}) {
  return {
    name,
    program: ACCEPT,
    ...site,
    async play(world) {
      const client = await world.connect();
      await world.say(client, ...pieces);
    },
  };
}

/** A conversation that the server ends over what the client says. */
export function ends(name, pieces, site = {}) {
  return {
    name,
    program: ACCEPT,
    ...site,
    async play(world) {
      const client = await world.connect();
      await world.end(client, ...pieces);
    },
  };
}

/** What the server does on an open connection, which goes on. */
export function does(name, actions, site = {}) {
  return {
    name,
    program: ACCEPT,
    ...site,
    async play(world) {
      const client = await world.connect();
      await world.on(0, ...actions);
      await world.inStep(client);
    },
  };
}

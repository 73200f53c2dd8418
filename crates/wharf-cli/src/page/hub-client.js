/**
 * A client of the hub of `wharf serve`, for the subprotocol wharf.json.v1. Without dependencies, for browsers and for Node.
 *
 *     import { Hub } from "./hub-client.js";
 *     const hub = new Hub("wss://example.com/hub");
 *     hub.subscribe("rooms.lobby", { message: ({ data }) => console.log(data) });
 *     await hub.publish("rooms.lobby", { text: "ahoy" });
 *
 * It comes back by itself when the connection is lost, subscribes again, and asks for what it has missed of topics that keep
 * a history. Nothing is queued while it is away: what is asked for then fails at once, with the code "away".
 */
export class Hub {
  #url;
  #options;
  #tell;
  #socket = null;
  #isOpen = false;
  #isOver = false;
  #openSince = 0;
  #heardAt = 0;
  #failures = 0;
  #waiting = null;
  #renewing = null;
  #listening = null;
  #lastId = 0;
  #asked = new Map();
  #subscriptions = new Map();
  #online = () => this.tryNow();

  /**
   * Options, all of which may be absent:
   * - `token()`: the token to connect with, as text or a promise of it. Called for each connection, and before it expires.
   * - `state(state, details)`: "connecting", "open" with `{ member }`, "away" with `{ milliseconds, code, reason }`, or
   *   "closed".
   * - `protocols`: subprotocols to offer beside wharf.json.v1.
   */
  constructor(url, { token, state, protocols = [] } = {}) {
    this.#url = url;
    this.#options = { token, protocols };
    this.#tell = (...told) => call(state, ...told);
    globalThis.addEventListener?.("online", this.#online);
    this.#connect();
  }

  get isOpen() {
    return this.#isOpen;
  }

  /**
   * Subscribes to a topic, or to all that match a pattern. What it is told, all of which may be absent:
   * - `message({ topic, data, bytes, key, position })`: `data` is JSON, `bytes` a Uint8Array where bytes were published.
   * - `subscribed({ position, recovered, tooOld })`: now, and whenever it has come back. `recovered` messages follow.
   * - `tooOld()`: what was missed is kept no longer. The state of things has to be found out by other means.
   * - `missed(count, topic)`: so many messages were dropped, because this client was too slow.
   * - `joined(member, topic)` and `left(member, topic)`: somebody has come, or gone. With either, that is asked for, too.
   * - `failed(error)`: there is no subscription, for `error.code` and `error.message`. What may pass, such as a broker that is
   *   away, is no reason: then it goes on trying.
   * - `presenceFailed(error)`: who comes and goes is not told. The rest of the subscription goes on.
   *
   * `since` is the position of the last message that is known, or "oldest"; `member` the name to be seen under. Of several
   * subscriptions to the same topic the first one's count. What is returned has `unsubscribe()`.
   */
  subscribe(topic, told, { since, member } = {}) {
    const own = { told };
    this.#add(topic, own, { since, member });
    const watch = { told: { failed: told.presenceFailed } };
    if (told.joined || told.left) {
      this.#add(PRESENCE + topic, watch, {});
    }
    return {
      unsubscribe: () => {
        this.#remove(topic, own);
        this.#remove(PRESENCE + topic, watch);
      },
    };
  }

  /** Publishes any JSON: resolves to `{ position }` when it is acknowledged, or fails with a HubError. */
  publish(topic, data, { key } = {}) {
    return this.#ask({ type: "publish", topic, data: data ?? null, key });
  }

  /** Who is there: `{ members: [{ name, connections }], member_count, connections }`; of very many, not all members. */
  presence(topic) {
    return this.#ask({ type: "presence", topic });
  }

  /** Ends a wait for the next attempt to connect. Without one it does nothing. */
  tryNow() {
    if (this.#waiting !== null && !this.#isOver) {
      this.#connect();
    }
  }

  /** Closes the connection for good. */
  close() {
    this.#isOver = true;
    globalThis.removeEventListener?.("online", this.#online);
    clearTimeout(this.#waiting);
    this.#socket?.close(1000);
    this.#lost();
    this.#tell("closed", {});
  }

  async #connect() {
    clearTimeout(this.#waiting);
    this.#waiting = null;
    this.#tell("connecting", {});
    const protocols = [PROTOCOL, ...this.#options.protocols];
    let socket;
    try {
      const token = await this.#options.token?.();
      if (this.#isOver) {
        return;
      }
      socket = new WebSocket(this.#url, token ? [...protocols, TOKEN + token] : protocols);
    } catch (error) {
      this.#wait({ code: 1006, reason: error.message });
      return;
    }
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (this.#socket === socket) {
        this.#heardAt = performance.now();
        this.#received(JSON.parse(data));
      }
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket && !this.#isOver) {
        this.#lost();
        this.#wait({ code, reason });
      }
    };
  }

  /** Asks whether the server is still there when nothing has come for long: nothing else tells of a broken connection. */
  #listen() {
    const silent = performance.now() - this.#heardAt;
    if (silent < LONGEST_SILENCE) {
      this.#listening = setTimeout(() => this.#listen(), LONGEST_SILENCE - silent);
      return;
    }
    const [socket, asked] = [this.#socket, performance.now()];
    this.#ask({ type: "ping" }).catch(() => {});
    this.#listening = setTimeout(() => {
      if (this.#heardAt >= asked) {
        this.#listen();
        return;
      }
      // The browser waits for an answer to this, too, which is not waited for here.
      socket.close();
      this.#lost();
      this.#wait({ code: 1006, reason: "the server does not answer" });
    }, LONGEST_ANSWER);
  }

  /** Nothing that was asked is answered any more. */
  #lost() {
    // A server that closes at once is not asked again and again without a wait that grows.
    if (this.#isOpen && performance.now() - this.#openSince >= STEADY) {
      this.#failures = 0;
    }
    this.#socket = null;
    this.#isOpen = false;
    clearTimeout(this.#renewing);
    clearTimeout(this.#listening);
    for (const subscription of this.#subscriptions.values()) {
      subscription.isThere = false;
      clearTimeout(subscription.again);
    }
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of asked) {
      reject(new HubError("away", "the connection was lost before the answer came"));
    }
  }

  /** Waits longer each time, and each client for a time of its own, so that they do not all come back in one moment. */
  #wait({ code, reason }) {
    const milliseconds = waitAfter(this.#failures);
    this.#failures += 1;
    this.#waiting = setTimeout(() => this.#connect(), milliseconds);
    this.#tell("away", { milliseconds, code, reason });
  }

  #received(said) {
    const { type, topic } = said;
    if (type === "ok" || type === "error") {
      this.#answered(said);
    } else if (type === "message") {
      this.#message(said);
    } else if (type === "joined" || type === "left") {
      this.#each(topic, ({ told }) => call(told[type], said.member, topic));
    } else if (type === "missed") {
      this.#each(topic, ({ told }) => call(told.missed, said.count, topic));
    } else if (type === "position") {
      this.#know(topic, said.position);
      for (const subscription of this.#subscriptions.values()) {
        if (subscription.isThere && subscription.matches(topic)) {
          subscription.told.isNew(topic, said.position);
        }
      }
    } else if (type === "unsubscribed") {
      this.#failed(topic, new HubError("not_permitted", "the new token does not permit it any more"));
    } else if (type === "welcome") {
      this.#welcome(said);
    }
  }

  #welcome({ member, expires_in }) {
    this.#isOpen = true;
    this.#openSince = performance.now();
    this.#listen();
    this.#renewLater(expires_in);
    for (const topic of this.#subscriptions.keys()) {
      this.#subscribe(topic);
    }
    this.#tell("open", { member });
  }

  #answered({ id, code, message, ...done }) {
    const asked = this.#asked.get(id);
    if (asked === undefined) {
      return;
    }
    this.#asked.delete(id);
    if (code !== undefined) {
      asked.reject(new HubError(code, message));
    } else {
      delete done.type;
      // At once: what follows in the same moment comes behind it.
      asked.done?.(done);
      asked.resolve(done);
    }
  }

  #message({ topic, data, base64, key, position }) {
    const bytes = base64 === undefined ? undefined : Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    if (position !== undefined) {
      this.#know(topic, position);
    }
    for (const { matches, all, isThere, told } of [...this.#subscriptions.values()]) {
      // What comes for another subscription before this one is answered, this one recovers, where it recovers.
      if (isThere && matches(topic) && (position === undefined || told.isNew(topic, position))) {
        [...all].forEach((own) => call(own.told.message, { topic, data, bytes, key, position }));
      }
    }
  }

  /** The last position of a topic that is subscribed to by its own name, from which it is gone on. */
  #know(topic, position) {
    const subscription = this.#subscriptions.get(topic);
    if (subscription?.isThere) {
      subscription.since = position;
    }
  }

  #each(topic, tell) {
    for (const { matches, all } of [...this.#subscriptions.values()]) {
      if (matches(topic)) {
        [...all].forEach(tell);
      }
    }
  }

  #add(topic, own, { since, member }) {
    const subscription = this.#subscriptions.get(topic);
    if (subscription === undefined) {
      const [matches, all, told] = [matcher(topic), new Set([own]), new Told()];
      this.#subscriptions.set(topic, { matches, all, told, since, member, isThere: false, failures: 0, again: null });
      if (this.#isOpen) {
        this.#subscribe(topic);
      }
      return;
    }
    subscription.all.add(own);
    if (subscription.isThere) {
      queueMicrotask(() => call(own.told.subscribed, { position: subscription.since }));
    }
  }

  #remove(topic, own) {
    const subscription = this.#subscriptions.get(topic);
    if (subscription?.all.delete(own) && subscription.all.size === 0) {
      this.#subscriptions.delete(topic);
      clearTimeout(subscription.again);
      if (this.#isOpen) {
        this.#ask({ type: "unsubscribe", topic }).catch(() => {});
      }
    }
  }

  #subscribe(topic) {
    const subscription = this.#subscriptions.get(topic);
    const { since, member } = subscription;
    const done = ({ position, recovered, too_old: tooOld = false }) => {
      subscription.isThere = true;
      subscription.failures = 0;
      // What is recovered brings its own positions: lost before it has come, it is asked for again.
      if (position !== undefined && !recovered) {
        subscription.since = position;
      }
      for (const { told } of [...subscription.all]) {
        call(told.subscribed, { position, recovered, tooOld });
        if (tooOld) {
          call(told.tooOld);
        }
      }
    };
    this.#ask({ type: "subscribe", topic, since, member }, done).catch((error) => {
      if (error.code === "away" || this.#subscriptions.get(topic) !== subscription) {
        return;
      }
      if (LASTING.includes(error.code)) {
        this.#failed(topic, error);
        return;
      }
      subscription.again = setTimeout(() => this.#subscribe(topic), waitAfter(subscription.failures));
      subscription.failures += 1;
    });
  }

  #failed(topic, error) {
    const subscription = this.#subscriptions.get(topic);
    this.#subscriptions.delete(topic);
    clearTimeout(subscription?.again);
    for (const { told } of subscription?.all ?? []) {
      call(told.failed, error);
    }
  }

  #ask(request, done) {
    if (!this.#isOpen) {
      return Promise.reject(new HubError("away", "there is no connection now"));
    }
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject, done });
      this.#socket.send(JSON.stringify({ id, ...request }));
    });
  }

  /** In time before the token expires. */
  #renewLater(seconds) {
    clearTimeout(this.#renewing);
    if (this.#options.token === undefined || seconds === undefined) {
      return;
    }
    const milliseconds = Math.min(seconds * 800, LONGEST_TIMEOUT);
    this.#renewing = setTimeout(() => this.#renew(), milliseconds);
  }

  async #renew() {
    try {
      const token = await this.#options.token();
      const { expires_in } = await this.#ask({ type: "token", token });
      this.#renewLater(expires_in);
    } catch (error) {
      // When the token expires the server closes the connection, and a new one begins with a new token.
      console.warn("the hub's token was not renewed:", error.message);
    }
  }
}

/**
 * Why something failed. `code` is one of the server's, which docs/hub-protocol.md lists, or "away": there was no connection,
 * or it was lost before the answer came, and then it is not known whether it was done.
 */
export class HubError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "HubError";
    this.code = code;
  }
}

/** The last position of each topic that a subscription has been told, so that it is not told what another one recovers. */
class Told {
  #last = new Map();

  /** Whether it lies behind the last one, and is the last one then. */
  isNew(topic, position) {
    const [epoch, offset] = position.split("-");
    const last = this.#last.get(topic);
    if (last?.epoch === epoch && Number(offset) <= last.offset) {
      return false;
    }
    // Behind all others: the first is the one of which nothing was told for the longest time.
    this.#last.delete(topic);
    this.#last.set(topic, { epoch, offset: Number(offset) });
    if (this.#last.size > MOST_TOPICS) {
      this.#last.delete(this.#last.keys().next().value);
    }
    return true;
  }
}

/** Calls what the page has given, if it has. What it throws keeps nobody else from being called. */
function call(callback, ...told) {
  try {
    callback?.(...told);
  } catch (error) {
    if (globalThis.reportError) {
      globalThis.reportError(error);
    } else {
      console.error(error);
    }
  }
}

/** So many milliseconds, longer after each failure, and with a part of chance in it. */
function waitAfter(failures) {
  const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
  return longest / 2 + (Math.random() * longest) / 2;
}

/** What tells whether a topic matches a pattern: * is any one token, > at the end is one or more. */
function matcher(pattern) {
  const tokens = pattern.split(".");
  return (topic) => {
    if (topic === pattern) {
      return true;
    }
    const others = topic.split(".");
    const isRest = tokens.at(-1) === ">";
    const count = isRest ? tokens.length - 1 : tokens.length;
    return (
      (isRest ? others.length > count : others.length === count) &&
      tokens.slice(0, count).every((token, at) => token === "*" || token === others[at])
    );
  };
}

const PROTOCOL = "wharf.json.v1";
const TOKEN = "wharf.jwt.";
const PRESENCE = "$presence.";
// Errors that trying again does not help against.
const LASTING = ["bad_request", "not_permitted", "no_history", "no_presence", "too_many_subscriptions"];
// The topics of a pattern whose positions are kept.
const MOST_TOPICS = 1000;
// Milliseconds, all of them.
const STEADY = 10_000;
const LONGEST_SILENCE = 30_000;
const LONGEST_ANSWER = 10_000;
const FIRST_WAIT = 500;
const LONGEST_WAIT = 30_000;
// More than a timer of a browser can hold.
const LONGEST_TIMEOUT = 2 ** 31 - 1;

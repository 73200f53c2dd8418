import { connect } from "node:net";
import { described, ping, readFrame } from "./frames.mjs";

const HEAD_END = Buffer.from("\r\n\r\n");
const SYNC = "sync:";
// A write finds what a read would have found.
const RESETS = new Set(["ECONNRESET", "EPIPE"]);

export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

/** The fields of a handshake; a probe leaves some away (null), repeats them (a list) or adds others. */
const FIELDS = {
  Host: "localhost",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Key": KEY,
  "Sec-WebSocket-Version": "13",
};

export function handshake({ method = "GET", target = "/", version = "HTTP/1.1", fields = {} } = {}) {
  const lines = Object.entries({ ...FIELDS, ...fields })
    .filter(([, value]) => value !== null)
    .flatMap(([name, values]) => [values].flat().map((value) => `${name}: ${value}\r\n`));
  return Buffer.from(`${method} ${target} ${version}\r\n${lines.join("")}\r\n`, "latin1");
}

/** Whether a payload, as the servers tell it, is that of a ping by which a client keeps step. */
export function isSync(payload) {
  return typeof payload === "string" && payload.startsWith(Buffer.from(SYNC).toString("hex"));
}

/**
 * A client that is nothing but a TCP socket, and writes down what comes: an answer, frames, and how TCP ends. Its own
 * half stays open until it ends it.
 */
export class RawClient {
  lines = [];
  hasEnded = false;
  #socket;
  #buffer = Buffer.alloc(0);
  #changed = new Set();
  #answer;
  #frames = 0;
  #synced = 0;
  #pongs = 0;
  #closed = false;
  #isMuted = false;
  #framesCount = true;

  constructor(port) {
    this.#socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.#socket.on("data", (bytes) => this.#take(bytes));
    this.#socket.on("end", () => this.#end("TCP ends with FIN"));
    this.#socket.on("error", ({ code }) => this.#end(RESETS.has(code) ? "TCP is reset" : `the client failed: ${code}`));
    this.#socket.on("close", () => {
      this.#closed = true;
      this.#notify();
    });
  }

  get isSwitched() {
    return this.#answer?.startsWith("HTTP/1.1 101");
  }

  /** Whether the HTTP service was the one who answered. */
  get isOrdinary() {
    return /^x-plain:/im.test(this.#answer ?? "");
  }

  write(...pieces) {
    if (pieces.length > 0 && this.#socket.writable) {
      this.#socket.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece))));
    }
  }

  /** Whether an answer has come within the time, or the end. */
  answered(within) {
    return this.#until(() => this.#answer !== undefined || this.hasEnded, within);
  }

  /** Whether so many frames have come, over all, within the time. */
  frames(count, within) {
    return this.#until(() => this.#frames >= count || this.hasEnded, within);
  }

  ended(within) {
    return this.#until(() => this.hasEnded, within);
  }

  /** Whether the server has answered a ping, and with it taken all that was sent before; or the end has come. */
  inStep(within) {
    this.#synced += 1;
    const wanted = this.#synced;
    this.write(ping(`${SYNC}${wanted}`));
    return this.#until(() => this.#pongs >= wanted || this.hasEnded, within);
  }

  note(line) {
    this.lines.push(line);
  }

  /** Frames that come from now on are not written down: how many there are is a matter of time. */
  passOverFrames() {
    this.#framesCount = false;
  }

  /** Ends this half of TCP. */
  end() {
    this.#socket.end();
  }

  reset() {
    this.hasEnded = true;
    this.#socket.resetAndDestroy();
  }

  /** Ends this half, and waits for the other. */
  async hangUp(within) {
    this.#isMuted = true;
    this.#socket.resume();
    this.#socket.end();
    await this.#until(() => this.#closed, within);
    this.#socket.destroy();
  }

  #take(bytes) {
    this.#buffer = Buffer.concat([this.#buffer, bytes]);
    if (this.#answer === undefined) {
      this.#takeAnswer();
    }
    if (this.isSwitched) {
      this.#takeFrames();
    }
    this.#notify();
  }

  #takeAnswer() {
    const end = this.#buffer.indexOf(HEAD_END);
    if (end < 0) {
      return;
    }
    this.#answer = this.#buffer.subarray(0, end).toString("latin1");
    this.#buffer = this.#buffer.subarray(end + HEAD_END.length);
    const [status, ...fields] = this.#answer.split("\r\n");
    this.#write(status);
    for (const field of fields) {
      const colon = field.indexOf(":");
      this.#write(`${field.slice(0, colon)}:${field.slice(colon + 1)}`);
    }
  }

  #takeFrames() {
    for (let frame = readFrame(this.#buffer); frame !== undefined; frame = readFrame(this.#buffer)) {
      this.#buffer = this.#buffer.subarray(frame.size);
      if (frame.opcode === 10 && frame.payload.toString().startsWith(SYNC)) {
        this.#pongs = Number(frame.payload.toString().slice(SYNC.length));
      } else {
        this.#frames += 1;
        if (this.#framesCount) {
          this.#write(described(frame));
        }
      }
    }
  }

  #end(how) {
    if (this.hasEnded) {
      return;
    }
    if (this.#buffer.length > 0) {
      const rest = this.#buffer.toString("latin1").slice(0, 100);
      this.#write(`${this.isSwitched ? "the beginning of a frame" : "body"}: ${JSON.stringify(rest)}`);
    }
    this.hasEnded = true;
    this.#write(how);
    this.#notify();
  }

  #write(line) {
    if (!this.#isMuted) {
      this.lines.push(line);
    }
  }

  #notify() {
    for (const look of this.#changed) {
      look();
    }
  }

  #until(isMet, within) {
    return until(this.#changed, isMet, within);
  }
}

/** Waits until a condition is met, looked at whenever one of `looks` is called: whether it was, within the time. */
export function until(looks, isMet, within) {
  return new Promise((resolve) => {
    const settle = (met) => {
      clearTimeout(timer);
      looks.delete(look);
      resolve(met);
    };
    const look = () => isMet() && settle(true);
    const timer = setTimeout(() => settle(false), within);
    looks.add(look);
    look();
  });
}

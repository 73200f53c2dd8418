import { announce } from "./announce.js";
import { closeInWords, closeRefused } from "./close.js";
import { bytes, count, milliseconds } from "./format.js";
import { Log } from "./log.js";
import { addressOf } from "./socket.js";
import { Trips } from "./trips.js";

export function startEcho() {
  const playground = new Playground();
  playground.connect();
  onSubmit("echo-text", (form) => {
    playground.sendText(form.message.value);
    form.message.value = "";
  });
  onSubmit("echo-binary", (form) => playground.sendBinary(randomBytes(Number(form.size.value))));
  onSubmit("echo-burst", (form) => playground.sendBurst(Number(form.count.value)));
  onSubmit("echo-close", (form) => close(playground, form));
  element("echo-file").addEventListener("change", (event) => sendFile(playground, event.target));
  element("echo-toggle").addEventListener("click", () => playground.toggle());
  element("log-clear").addEventListener("click", () => playground.log.clear());
}

/** The echo connection. What comes back is held against what was sent: an echo keeps the order. */
class Playground {
  log = new Log(element("log"));
  #trips = new Trips();
  #socket = null;
  #unanswered = new Queue();

  connect() {
    const socket = new WebSocket(addressOf("echo"));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#showState();
      this.log.add({ direction: "note", kind: "open", text: socket.url });
      announce("Echo connected");
    };
    socket.onmessage = (event) => this.#answered(event.data);
    socket.onclose = (event) => this.#closed(event);
    this.#socket = socket;
    element("echo-outcome").hidden = true;
    this.#showState();
  }

  toggle() {
    if (this.#socket.readyState === WebSocket.CLOSED) {
      this.connect();
    } else if (!this.isOver) {
      this.close(1000, "");
    }
  }

  sendText(text) {
    this.#whenOpen(() => {
      this.#send({ kind: "text", data: text, size: utf8Length(text) });
      this.log.add({ direction: "sent", kind: "text", text: excerpt(text), size: utf8Length(text) });
    });
  }

  sendBinary(data, name = "random bytes") {
    this.#whenOpen(() => {
      this.#send({ kind: "binary", data, size: data.length });
      this.log.add({ direction: "sent", kind: "binary", text: name, size: data.length });
    });
  }

  sendBurst(messages) {
    this.#whenOpen(() => {
      const burst = { messages, left: messages, wrong: 0, size: 0, began: performance.now() };
      for (let index = 1; index <= messages; index += 1) {
        const text = `burst ${index}`;
        burst.size += text.length;
        this.#send({ kind: "text", data: text, size: text.length, burst });
      }
      this.log.add({ direction: "sent", kind: "burst", text: `${count(messages)} text messages`, size: burst.size });
      element("echo-rate").textContent = "under way";
    });
  }

  get isOver() {
    return this.#socket.readyState >= WebSocket.CLOSING;
  }

  close(code, reason) {
    this.#socket.close(code, reason);
    this.log.add({ direction: "sent", kind: "close", text: `${code} ${reason}`.trim() });
    this.#showState();
  }

  /** Does it now, or once connected: whoever presses Send on a closed connection wants it opened. */
  #whenOpen(action) {
    if (this.#socket.readyState === WebSocket.CLOSING) {
      this.#socket.addEventListener("close", () => this.#whenOpen(action));
      return;
    }
    if (this.#socket.readyState === WebSocket.CLOSED) {
      this.connect();
    }
    if (this.#socket.readyState === WebSocket.OPEN) {
      action();
    } else {
      this.#socket.addEventListener("open", action);
    }
  }

  #send(message) {
    message.at = performance.now();
    this.#unanswered.push(message);
    this.#socket.send(message.data);
  }

  #answered(data) {
    const now = performance.now();
    const message = this.#unanswered.shift();
    if (message === undefined) {
      this.log.add({ direction: "received", kind: kindOf(data), text: "nobody asked for this", ok: false });
      return;
    }
    const ok = isEqual(data, message.data);
    if (message.burst !== undefined) {
      this.#burstAnswered(message.burst, ok, now);
      return;
    }
    const trip = now - message.at;
    this.#trips.add(trip);
    this.log.add({ direction: "received", kind: kindOf(data), text: verdict(data, ok), size: message.size, trip, ok });
    announce(`${ok ? "Echo" : "A wrong echo"}: ${spoken(message)}, ${milliseconds(trip)}`);
  }

  #burstAnswered(burst, ok, now) {
    burst.left -= 1;
    burst.wrong += ok ? 0 : 1;
    if (burst.left > 0) {
      return;
    }
    const trip = now - burst.began;
    const rate = count(burst.messages / Math.max(trip, 0.1) * 1000);
    const flaw = burst.wrong === 0 ? "all equal to what was sent" : `${count(burst.wrong)} differ from what was sent`;
    const text = `${rate} messages/s`;
    element("echo-rate").textContent = `${text}, ${milliseconds(trip)}`;
    this.log.add({ direction: "received", kind: "burst", text: `${text}, ${flaw}`, size: burst.size, trip, ok: burst.wrong === 0 });
    announce(`${count(burst.messages)} echoes in ${milliseconds(trip)}, ${flaw}`);
  }

  #closed(event) {
    const words = closeInWords(event);
    const lost = this.#unanswered.length;
    const text = lost === 0 ? words : `${words} Messages without an answer: ${count(lost)}.`;
    this.#unanswered = new Queue();
    if (element("echo-rate").textContent === "under way") {
      element("echo-rate").textContent = "";
    }
    const ok = event.wasClean && !FAULTS.has(event.code);
    this.log.add({ direction: "received", kind: "close", text, ok });
    const outcome = element("echo-outcome");
    outcome.textContent = text;
    outcome.classList.toggle("wrong", !ok);
    outcome.hidden = false;
    this.#showState();
    announce(`Echo closed. ${text}`);
  }

  #showState() {
    const state = STATES[this.#socket.readyState];
    element("echo-state").textContent = state;
    element("echo-state").dataset.state = state;
    element("echo-toggle").textContent = state === "closed" ? "Connect" : "Disconnect";
  }
}

/** First in, first out. Taking from the front of a long array would move all of the rest each time. */
class Queue {
  #items = [];
  #taken = 0;

  get length() {
    return this.#items.length - this.#taken;
  }

  push(item) {
    this.#items.push(item);
  }

  shift() {
    const item = this.#items[this.#taken];
    this.#items[this.#taken] = undefined;
    this.#taken += 1;
    if (this.#taken >= this.#items.length) {
      this.#items = [];
      this.#taken = 0;
    }
    return item;
  }
}

function close(playground, form) {
  const code = Number(form.code.value);
  const refusal = playground.isOver ? "There is no open connection to close." : closeRefused(code, form.reason.value);
  const hint = element("echo-close-hint");
  hint.classList.toggle("wrong", refusal !== null);
  if (refusal !== null) {
    hint.textContent = refusal;
    announce(refusal);
    return;
  }
  playground.close(code, form.reason.value);
}

async function sendFile(playground, input) {
  const [file] = input.files;
  if (file === undefined) {
    return;
  }
  if (file.size > LARGEST_FILE) {
    playground.log.add({ direction: "note", kind: "file", text: `${file.name} is too large: this page sends files up to ${bytes(LARGEST_FILE)}`, ok: false });
  } else {
    playground.sendBinary(new Uint8Array(await file.arrayBuffer()), file.name);
  }
  // Without this, choosing the same file again would change nothing and send nothing.
  input.value = "";
}

function onSubmit(id, action) {
  element(id).addEventListener("submit", (event) => {
    event.preventDefault();
    action(event.target.elements);
  });
}

function randomBytes(length) {
  const data = new Uint8Array(length);
  // A browser gives at most 64 KiB of randomness a call.
  for (let start = 0; start < length; start += 65536) {
    crypto.getRandomValues(data.subarray(start, start + 65536));
  }
  return data;
}

function isEqual(received, sent) {
  if (typeof received === "string" || typeof sent === "string") {
    return received === sent;
  }
  const bytesReceived = new Uint8Array(received);
  if (bytesReceived.length !== sent.length) {
    return false;
  }
  // A loop, because `every` takes ten times as long, and a 16-MiB answer has 16 million bytes.
  for (let index = 0; index < sent.length; index += 1) {
    if (bytesReceived[index] !== sent[index]) {
      return false;
    }
  }
  return true;
}

function verdict(data, ok) {
  if (!ok) {
    return "not what was sent";
  }
  return typeof data === "string" ? excerpt(data) : "equal, byte for byte";
}

function spoken(message) {
  return message.kind === "text" ? excerpt(message.data) || "an empty message" : bytes(message.size);
}

function excerpt(text) {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function kindOf(data) {
  return typeof data === "string" ? "text" : "binary";
}

function utf8Length(text) {
  return new TextEncoder().encode(text).length;
}

function element(id) {
  return document.getElementById(id);
}

const STATES = ["connecting", "open", "closing", "closed"];
// Closed in good order, and yet nobody wanted it.
const FAULTS = new Set([1002, 1003, 1007, 1008, 1009, 1011]);
const LARGEST_FILE = 64 * 1024 * 1024;

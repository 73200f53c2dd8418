/** Where an endpoint of the server is: beside this page, so that a proxy may serve both under any path. */
export function addressOf(endpoint) {
  const address = new URL(endpoint, document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.search = "";
  address.hash = "";
  return address;
}

/**
 * A WebSocket that comes back after the server was away.
 *
 * `connecting()`, `open()`, `text(string)` tell what happened; `away(seconds)` is called when the connection ends
 * and every second until the next attempt, with the seconds left. With `silence`, a connection that brings nothing
 * for so many milliseconds counts as gone: after a laptop has slept, no close event may ever come.
 */
export class LastingSocket {
  #endpoint;
  #tell;
  #silence;
  #socket = null;
  #failures = 0;
  #nextAttempt = 0;
  #ticking = null;
  #watchdog = null;

  constructor(endpoint, { silence = 0, ...tell }) {
    this.#endpoint = endpoint;
    this.#silence = silence;
    this.#tell = tell;
    // Nobody reads a hidden page, so it does not knock at the server's door; it does so at once when looked at.
    document.addEventListener("visibilitychange", () => !document.hidden && this.tryNow());
    window.addEventListener("online", () => this.tryNow());
    this.#connect();
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  send(text) {
    this.#socket.send(text);
  }

  /** Ends a wait; without one it does nothing. */
  tryNow() {
    if (this.#ticking !== null) {
      this.#connect();
    }
  }

  #connect() {
    clearInterval(this.#ticking);
    this.#ticking = null;
    this.#tell.connecting?.();
    const socket = new WebSocket(addressOf(this.#endpoint));
    this.#socket = socket;
    socket.onopen = () => {
      this.#failures = 0;
      this.#tell.open?.();
      this.#heard();
    };
    socket.onmessage = (event) => {
      this.#heard();
      this.#tell.text(event.data);
    };
    socket.onclose = () => this.#wait();
  }

  #heard() {
    clearTimeout(this.#watchdog);
    if (this.#silence > 0) {
      this.#watchdog = setTimeout(() => this.#abandon(), this.#silence);
    }
  }

  #abandon() {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#wait();
  }

  #wait() {
    clearTimeout(this.#watchdog);
    const seconds = WAITS[Math.min(this.#failures, WAITS.length - 1)];
    this.#failures += 1;
    // Spread out, so that the pages of a restarted server do not all come back in the same moment.
    this.#nextAttempt = Date.now() + seconds * 1000 * (0.8 + 0.4 * Math.random());
    this.#ticking = setInterval(() => this.#tick(), 1000);
    this.#tick();
  }

  #tick() {
    const left = Math.ceil((this.#nextAttempt - Date.now()) / 1000);
    if (left > 0) {
      this.#tell.away(left);
    } else if (!document.hidden) {
      this.#connect();
    }
  }
}

const WAITS = [1, 2, 3, 5, 8, 13, 21, 30];

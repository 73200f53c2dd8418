import { bytes, count, duration } from "./format.js";
import { LastingSocket } from "./socket.js";

export function startLive() {
  const history = new History();
  const socket = new LastingSocket("live", {
    silence: 10_000,
    connecting: () => showState("connecting", "connecting"),
    text: (text) => {
      history.add(JSON.parse(text));
      // Not drawn while the page is hidden; the numbers are kept, so that nothing is missing afterwards.
      requestAnimationFrame(() => show(history));
    },
    away: (seconds) => showState("away", "Server is away", `, trying again in ${seconds} s`),
  });
  element("live-retry").addEventListener("click", () => socket.tryNow());
}

/** What the server counted, and the rates between one count and the next. */
class History {
  totals = null;
  rates = [];
  #measured = null;

  add(totals) {
    const before = this.#measured;
    this.totals = totals;
    // A smaller uptime is another server: its counts began at zero again.
    if (before === null || totals.uptime < before.uptime) {
      this.#measured = totals;
      return;
    }
    const seconds = totals.uptime - before.uptime;
    // The first two counts may follow each other closely, and say nothing about a second.
    if (seconds < 0.5) {
      return;
    }
    this.#measured = totals;
    const rate = (name) => (totals[name] - before[name]) / seconds;
    this.rates.push({
      seconds,
      in: rate("messages_received"),
      out: rate("messages_sent"),
      bytes: rate("bytes_received") + rate("bytes_sent"),
    });
    if (this.rates.length > SECONDS) {
      this.rates.shift();
    }
  }
}

function show({ totals, rates }) {
  showState("open", "live", `, up ${duration(totals.uptime)}`);
  element("live-connections").textContent = count(totals.connections);
  element("live-accepted").textContent = `${count(totals.accepted)} since the start`;
  element("live-in-total").textContent = `${count(totals.messages_received)} in all`;
  element("live-out-total").textContent = `${count(totals.messages_sent)} in all`;
  element("live-bytes-total").textContent = `${bytes(totals.bytes_received)} in, ${bytes(totals.bytes_sent)} out`;
  if (rates.length > 0) {
    const latest = rates.at(-1);
    element("live-in").textContent = `${count(latest.in)}/s`;
    element("live-out").textContent = `${count(latest.out)}/s`;
    element("live-bytes").textContent = `${bytes(latest.bytes)}/s`;
    draw(rates);
  }
}

function draw(rates) {
  const highest = Math.max(...rates.map((rate) => Math.max(rate.in, rate.out)));
  const top = roundUp(highest);
  element("live-top").textContent = `${count(top)}/s`;
  element("live-graph-in").setAttribute("d", surface(rates, "in", top));
  element("live-graph-out").setAttribute("d", surface(rates, "out", top));
  element("live-graph").setAttribute("aria-label", `Messages a second over the last two minutes, at most ${count(highest)}`);
}

/** The area under the rates in a box of 120 seconds by 100, curved, and never above or below what was measured. */
function surface(rates, name, top) {
  const height = (rate) => (FLOOR - (rate[name] / top) * (FLOOR - CEILING)).toFixed(2);
  let x = SECONDS;
  let path = `M${SECONDS} 100V${height(rates.at(-1))}`;
  for (let index = rates.length - 2; index >= 0 && x > 0; index -= 1) {
    const next = x - rates[index + 1].seconds;
    const middle = ((x + next) / 2).toFixed(2);
    path += `C${middle} ${height(rates[index + 1])} ${middle} ${height(rates[index])} ${next.toFixed(2)} ${height(rates[index])}`;
    x = next;
  }
  // Before the first measurement the water is still.
  const middle = (x - 1).toFixed(2);
  return `${path}C${middle} ${height(rates[0])} ${middle} ${FLOOR} ${(x - 2).toFixed(2)} ${FLOOR}H-3V100Z`;
}

/** The next of 10, 20, 50, 100, 200, … */
function roundUp(number) {
  let top = 10;
  for (let step = 0; top < number; step += 1) {
    top *= step % 3 === 1 ? 2.5 : 2;
  }
  return top;
}

function showState(state, words, more = "") {
  element("live").dataset.state = state;
  element("live-state").dataset.state = state;
  element("live-retry").hidden = state !== "away";
  element("live-wait").textContent = more;
  // Writing the same words again would have them read aloud again.
  if (element("live-words").textContent !== words) {
    element("live-words").textContent = words;
  }
}

function element(id) {
  return document.getElementById(id);
}

const SECONDS = 120;
const FLOOR = 80;
const CEILING = 12;

import { bytes, milliseconds } from "./format.js";

/**
 * The rows of what went over the connection, newest first. `direction` is "sent", "received" or "note"; `ok` is
 * `false` for what went wrong.
 */
export class Log {
  #list;

  constructor(list) {
    this.#list = list;
  }

  add({ direction, kind, size, text, trip, ok = true }) {
    const row = document.createElement("li");
    row.className = ok ? direction : `${direction} wrong`;
    row.append(
      cell("arrow", ARROWS[direction], direction === "note" ? "" : direction),
      cell("kind", kind),
      cell("what", text),
      cell("size", size === undefined ? "" : bytes(size)),
      cell("trip", trip === undefined ? "" : milliseconds(trip)),
    );
    this.#list.prepend(row);
    if (this.#list.childElementCount > MOST_ROWS) {
      this.#list.lastElementChild.remove();
    }
  }

  clear() {
    this.#list.replaceChildren();
  }
}

function cell(name, text, spoken) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  if (spoken === undefined) {
    return element;
  }
  element.setAttribute("aria-hidden", "true");
  const words = document.createElement("span");
  words.className = "hidden";
  words.textContent = spoken;
  const both = document.createElement("span");
  both.append(element, words);
  return both;
}

const MOST_ROWS = 200;
const ARROWS = { sent: "→", received: "←", note: "·" };

import { milliseconds } from "./format.js";

/** Round-trip times: the last, the lowest and the median in figures, the most recent ones as a line. */
export class Trips {
  #recent = [];
  #lowest = Infinity;

  add(trip) {
    this.#recent.push(trip);
    if (this.#recent.length > MOST_TRIPS) {
      this.#recent.shift();
    }
    this.#lowest = Math.min(this.#lowest, trip);
    show("trip-last", trip);
    show("trip-min", this.#lowest);
    show("trip-median", median(this.#recent));
    document.getElementById("trip-spark").setAttribute("d", line(this.#recent.slice(-SPARK_POINTS)));
  }
}

function show(id, trip) {
  document.getElementById(id).textContent = milliseconds(trip);
}

function median(numbers) {
  const sorted = Float64Array.from(numbers).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A path through the numbers in a square of 100 by 100, the newest at the right, zero at the bottom. */
function line(numbers) {
  const highest = Math.max(...numbers, 0.1);
  const first = SPARK_POINTS - numbers.length;
  const points = numbers.map((number, index) => {
    const x = ((first + index) / (SPARK_POINTS - 1)) * 100;
    return `${x.toFixed(1)} ${(96 - (number / highest) * 90).toFixed(1)}`;
  });
  return `M${points.join("L")}`;
}

const MOST_TRIPS = 500;
const SPARK_POINTS = 40;

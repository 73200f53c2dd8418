/** Says something to those who listen to the page: the latest, at most once a second. */
export function announce(text) {
  latest = text;
  scheduled ??= setTimeout(speak, Math.max(0, lastSpoken + 1000 - performance.now()));
}

function speak() {
  scheduled = null;
  lastSpoken = performance.now();
  document.getElementById("announcer").textContent = latest;
}

let latest = "";
let lastSpoken = -Infinity;
let scheduled = null;

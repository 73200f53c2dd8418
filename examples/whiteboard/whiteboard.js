// The board is the topic "board": each stroke a message, and what is kept of the topic is what a newcomer sees. Which node
// this page talks to is in its address, ?node=http://127.0.0.1:9002; what is drawn at one is seen at all.
const node = new URL(new URLSearchParams(location.search).get("node") ?? "http://127.0.0.1:9001");
// A page runs what that node gives it, and its address can come from anybody.
if (!["127.0.0.1", "[::1]", "localhost"].includes(node.hostname)) {
  document.getElementById("state").textContent = `${node.host} is not this machine, and only of that a node is taken`;
  throw new Error(`the node ${node.host} is not of this machine`);
}
const { Hub } = await import(new URL("/hub-client.js", node).href);

const [canvas, color, width, state] = ["board", "color", "width", "state"].map((id) => document.getElementById(id));
const context = canvas.getContext("2d");
const member = `guest ${Math.floor(1000 + Math.random() * 9000)}`;
let drawing = null;

const address = new URL("/hub", node);
address.protocol = node.protocol === "https:" ? "wss:" : "ws:";
const hub = new Hub(address, {
  state(now, { milliseconds }) {
    state.dataset.state = now;
    state.textContent = now === "away" ? `away, again in ${Math.ceil(milliseconds / 1000)} s` : `${now} at ${node.host}`;
  },
});
let subscription;
begin();

/** With all that is kept. */
function begin() {
  subscription = hub.subscribe(
    "board",
    {
      message: ({ data }) => draw(data),
      joined: countPeople,
      left: countPeople,
      subscribed: countPeople,
      // More was drawn meanwhile than is kept: the board is begun anew.
      tooOld() {
        subscription.unsubscribe();
        context.clearRect(0, 0, canvas.width, canvas.height);
        begin();
      },
      failed: (error) => (state.textContent = error.message),
    },
    { since: "oldest", member },
  );
}

async function countPeople() {
  try {
    const { member_count: count } = await hub.presence("board");
    state.textContent = `${count === 1 ? "1 person is" : `${count} people are`} here, you at ${node.host}`;
  } catch {
    // It went away in between, which is told by its state.
  }
}

function draw({ clear, points, color, width }) {
  if (clear) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  Object.assign(context, { strokeStyle: color, lineWidth: width, lineCap: "round", lineJoin: "round" });
  context.beginPath();
  context.moveTo(...points[0]);
  points.forEach((point) => context.lineTo(...point));
  context.stroke();
}

/** Draws at once, and tells all; drawn again when it comes back, a stroke looks the same. */
function say(stroke) {
  draw(stroke);
  hub.publish("board", stroke).catch((error) => (state.textContent = `not drawn for the others: ${error.message}`));
}

function at({ offsetX, offsetY }) {
  const scale = canvas.width / canvas.clientWidth;
  return [Math.round(offsetX * scale), Math.round(offsetY * scale)];
}

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  drawing = [at(event)];
});
canvas.addEventListener("pointermove", (event) => {
  if (drawing) {
    drawing.push(at(event));
    draw({ points: drawing.slice(-2), color: color.value, width: Number(width.value) });
  }
});
canvas.addEventListener("pointerup", () => {
  if (drawing) {
    say({ points: drawing, color: color.value, width: Number(width.value) });
    drawing = null;
  }
});
canvas.addEventListener("pointercancel", () => (drawing = null));
document.getElementById("clear").addEventListener("click", () => say({ clear: true }));

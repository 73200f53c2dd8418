const canvas = document.getElementById("board");
const ink = canvas.getContext("2d");
const state = document.getElementById("state");

/** Grows with each attempt that fails, in milliseconds. */
let patience = 250;
let socket;

function connect() {
  const url = new URL("/board", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url, "whiteboard");
  socket.onmessage = ({ data }) => show(JSON.parse(data));
  socket.onopen = () => (patience = 250);
  socket.onclose = () => {
    say("closed", "not connected; trying again …");
    setTimeout(connect, patience);
    patience = Math.min(patience * 2, 5000);
  };
}

function show(message) {
  switch (message.type) {
    case "line":
      return draw(message);
    case "clear":
      return wipe();
    case "history":
      wipe();
      return message.lines.forEach(draw);
    case "people":
      return say("open", message.count === 1 ? "nobody else is here" : `${message.count} people are here`);
  }
}

function say(name, text) {
  state.dataset.state = name;
  state.value = text;
}

function draw({ points: [fromX, fromY, toX, toY], color, width }) {
  ink.strokeStyle = ink.fillStyle = color;
  ink.lineWidth = width;
  ink.lineCap = "round";
  ink.beginPath();
  if (fromX === toX && fromY === toY) {
    // A tap: a canvas draws nothing for a line without length.
    ink.arc(fromX, fromY, width / 2, 0, 2 * Math.PI);
    return ink.fill();
  }
  ink.moveTo(fromX, fromY);
  ink.lineTo(toX, toY);
  ink.stroke();
}

function wipe() {
  ink.clearRect(0, 0, canvas.width, canvas.height);
}

/** What was drawn is shown when it comes back: everybody sees the same board, in the same order. */
function send(drawing) {
  if (socket.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify(drawing));
  }
}

/** Where each finger, pen or mouse that draws was last. */
const pointers = new Map();

function place(event) {
  const box = canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * canvas.width;
  const y = ((event.clientY - box.top) / box.height) * canvas.height;
  return [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
}

function stroke(event) {
  const from = pointers.get(event.pointerId);
  if (!from) {
    return;
  }
  const to = place(event);
  pointers.set(event.pointerId, to);
  const inside = ([x, y]) => x >= 0 && x <= canvas.width && y >= 0 && y <= canvas.height;
  if (inside(from) && inside(to)) {
    const color = document.getElementById("color").value;
    const width = Number(document.getElementById("width").value);
    send({ type: "line", points: [...from, ...to], color, width });
  }
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button === 0) {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    stroke(event);
  }
});
canvas.addEventListener("pointermove", (event) => {
  // A browser gathers what a quick hand did since the last frame.
  const all = event.getCoalescedEvents?.() ?? [];
  (all.length > 0 ? all : [event]).forEach(stroke);
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
}
document.getElementById("clear").addEventListener("click", () => send({ type: "clear" }));

connect();

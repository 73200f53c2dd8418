import { LastingSocket } from "./socket.js";

export function startChat() {
  const form = element("chat-form").elements;
  form.name.value = rememberedName();
  const socket = new LastingSocket("chat", {
    connecting: () => showState("connecting", "connecting"),
    open: () => showState("open", "connected"),
    text: (text) => receive(JSON.parse(text)),
    away: (seconds) => showState("away", "server is away", `, trying again in ${seconds} s`),
  });
  element("chat-form").addEventListener("submit", (event) => {
    event.preventDefault();
    say(socket, form);
  });
}

function say(socket, form) {
  if (!socket.isOpen) {
    element("chat-refused").textContent = "Not sent: the server is away.";
    return;
  }
  element("chat-refused").textContent = "";
  rememberName(form.name.value);
  socket.send(JSON.stringify({ name: form.name.value, text: form.text.value }));
  form.text.value = "";
  form.text.focus();
}

function receive(news) {
  if (news.type === "message") {
    addMessage(news);
  } else if (news.type === "people") {
    showState("open", news.count === 1 ? "only you here" : `${news.count} people here`);
  } else if (news.type === "refused") {
    element("chat-refused").textContent = `Not sent: ${news.reason}.`;
  }
}

function addMessage({ name, text, at }) {
  const list = element("chat-messages");
  const pane = list.parentElement;
  const isAtEnd = pane.scrollTop + pane.clientHeight >= pane.scrollHeight - 8;
  const row = document.createElement("li");
  const time = part("time", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = new Date(at).toISOString();
  row.append(part("b", name), time, part("p", text));
  list.append(row);
  if (list.childElementCount > MOST_MESSAGES) {
    list.firstElementChild.remove();
  }
  // Whoever has scrolled back to read is left where they are.
  if (isAtEnd) {
    pane.scrollTop = pane.scrollHeight;
  }
}

function part(tag, text) {
  const child = document.createElement(tag);
  child.textContent = text;
  return child;
}

function showState(state, words, wait = "") {
  element("chat-state").dataset.state = state;
  element("chat-wait").textContent = wait;
  // Writing the same words again would have them read aloud again.
  if (element("chat-words").textContent !== words) {
    element("chat-words").textContent = words;
  }
}

/** A name for this tab: each tab has its own, so that two of them can talk. */
function rememberedName() {
  try {
    return sessionStorage.getItem("name") ?? newName();
  } catch {
    return newName();
  }
}

function rememberName(name) {
  try {
    sessionStorage.setItem("name", name);
  } catch {
    // A browser may forbid storage; then the name lasts as long as the page.
  }
}

function newName() {
  const bird = BIRDS[Math.floor(Math.random() * BIRDS.length)];
  return `${bird} ${10 + Math.floor(Math.random() * 90)}`;
}

function element(id) {
  return document.getElementById(id);
}

const MOST_MESSAGES = 200;
const BIRDS = ["Avocet", "Curlew", "Dunlin", "Gannet", "Heron", "Kittiwake", "Plover", "Puffin", "Sandpiper", "Tern"];

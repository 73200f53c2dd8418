import { Hub } from "./hub-client.js";
import { Log } from "./log.js";
import { addressOf } from "./socket.js";

/** Connects when it is first used: who only looks at the page opens no connection for it. */
export function startHub() {
  const page = new HubPage();
  on("hub-subscribe", "submit", () => page.subscribe());
  on("hub-publish", "submit", () => page.publish());
  on("hub-who", "click", () => page.askWhoIsThere());
}

class HubPage {
  #hub = null;
  #log = new Log(element("hub-log"));
  #subscriptions = new Map();

  subscribe() {
    const topic = this.#topic();
    if (topic === "" || this.#subscriptions.has(topic)) {
      return;
    }
    element("hub-refused").textContent = "";
    element("hub-subscriptions").append(this.#row(topic));
    const isPattern = topic.split(".").some((token) => token === "*" || token === ">");
    this.#begin(topic, isPattern ? "" : element("chat-name").value.trim());
  }

  /** Under a name, and with who comes and goes, if the server keeps that. */
  #begin(topic, member) {
    const told = {
      message: (message) => this.#note("received", message.topic, shown(message)),
      subscribed: ({ recovered, tooOld }) => this.#note("note", topic, subscribedInWords(recovered, tooOld)),
      missed: (count, of) => this.#note("note", of, `${count} missed: too slow`, false),
      failed: (error) => {
        this.#subscriptions.get(topic)?.unsubscribe();
        if (member !== "") {
          this.#begin(topic, "");
          return;
        }
        this.#refuse(error);
        this.#forget(topic);
      },
    };
    if (member !== "") {
      told.joined = (who, of) => this.#note("note", of, `${who} has come`);
      told.left = (who, of) => this.#note("note", of, `${who} has gone`);
      told.presenceFailed = (error) => this.#note("note", topic, `who comes and goes is not told: ${error.message}`, false);
    }
    const options = member === "" ? {} : { member };
    this.#subscriptions.set(topic, this.#connected().subscribe(topic, told, options));
  }

  async publish() {
    const form = element("hub-publish").elements;
    const data = jsonOrText(form.data.value);
    const topic = this.#topic();
    if (await this.#try((hub) => hub.publish(topic, data))) {
      this.#note("sent", topic, JSON.stringify(data));
      form.data.value = "";
      form.data.focus();
    }
  }

  async askWhoIsThere() {
    const topic = this.#topic();
    const there = await this.#try((hub) => hub.presence(topic));
    if (there) {
      const names = there.members.map(({ name, connections }) => (connections > 1 ? `${name} (${connections})` : name));
      const count = there.connections === 1 ? "1 connection" : `${there.connections} connections`;
      this.#note("note", topic, [count, ...names].join(", "));
    }
  }

  /** What came of it, if it did not fail. */
  async #try(ask) {
    element("hub-refused").textContent = "";
    try {
      const hub = this.#connected();
      await this.#open;
      return await ask(hub);
    } catch (error) {
      this.#refuse(error);
      return null;
    }
  }

  #open = null;

  #connected() {
    if (this.#hub === null) {
      this.#open = new Promise((resolve) => {
        this.#hub = new Hub(addressOf("hub"), {
          state: (state, details) => {
            showState(state, details);
            if (state === "open" || state === "away") {
              resolve();
            }
          },
        });
      });
    }
    return this.#hub;
  }

  #topic() {
    return element("hub-topic").value.trim();
  }

  #refuse(error) {
    element("hub-refused").textContent = `Not done: ${error.message}.`;
  }

  #note(direction, topic, text, ok = true) {
    this.#log.add({ direction, kind: topic, text, ok });
  }

  #row(topic) {
    const row = document.createElement("li");
    const name = document.createElement("code");
    name.textContent = topic;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.textContent = "Unsubscribe";
    button.setAttribute("aria-label", `Unsubscribe from ${topic}`);
    button.addEventListener("click", () => this.#forget(topic));
    row.append(name, button);
    row.dataset.topic = topic;
    return row;
  }

  #forget(topic) {
    this.#subscriptions.get(topic)?.unsubscribe();
    this.#subscriptions.delete(topic);
    for (const row of element("hub-subscriptions").children) {
      if (row.dataset.topic === topic) {
        row.remove();
        return;
      }
    }
  }
}

function showState(state, { milliseconds }) {
  const words = {
    connecting: "connecting",
    open: "connected",
    away: `away, trying again in ${Math.ceil(milliseconds / 1000)} s`,
    closed: "closed",
  };
  element("hub-state").dataset.state = state;
  element("hub-words").textContent = words[state];
}

function subscribedInWords(recovered, tooOld) {
  if (tooOld) {
    return "subscribed again; what was missed is kept no longer";
  }
  return recovered ? `subscribed again; ${recovered} missed, which follow` : "subscribed";
}

function shown({ data, bytes }) {
  return bytes === undefined ? JSON.stringify(data) : `${bytes.length} bytes`;
}

function jsonOrText(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function on(id, event, act) {
  element(id).addEventListener(event, (happened) => {
    happened.preventDefault();
    act();
  });
}

function element(id) {
  return document.getElementById(id);
}

// What a browser's WebSockets do over TLS, asked of each browser and over each version of HTTP in the same words.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ENCRYPTED, LIMIT, startWharf } from "../wharf.mjs";

/** As a browser names it in a page's timing, and as the server names it. */
export const HTTP_1_1 = { inTimings: "http/1.1", atServer: "HTTP/1.1" };
export const HTTP_2 = { inTimings: "h2", atServer: "HTTP/2.0" };

/** A browser, how a tab of it is opened, and the version that the two must have agreed on; `options` are the program's. */
export function describeEncrypted(title, { launch, openTab, version, options = ENCRYPTED }) {
  describe(title, () => {
    let browser;
    let wharf;
    let tab;

    before(async () => {
      [browser, wharf] = await Promise.all([launch(), startWharf({ options })]);
      tab = await openPage(wharf.url);
    });

    after(async () => {
      await browser?.close();
      await wharf?.end();
    });

    async function openPage(url) {
      const opened = await openTab(browser);
      await opened.goto(url);
      await opened.evaluate(bringSocket);
      return opened;
    }

    test(`the page comes over ${version.inTimings}, and its three WebSockets open`, async () => {
      for (const part of ["echo", "live", "chat"]) {
        await tab.waitForSelector(`#${part}-state[data-state=open]`);
      }
      const protocols = () => performance.getEntriesByType("navigation").map((entry) => entry.nextHopProtocol);
      assert.deepEqual(await tab.evaluate(protocols), [version.inTimings]);
      assert.deepEqual(tab.problems, []);
    });

    test("a text typed into the page comes back", async () => {
      await tab.focus("#echo-message");
      await tab.keyboard.type("Grüße, 世界");
      await tab.keyboard.press("Enter");
      await tab.waitForSelector("#log .received");
      const received = () => document.querySelector("#log .received").textContent;
      assert.match(await tab.evaluate(received), /Grüße, 世界/);
    });

    test(`a WebSocket comes over ${version.atServer}, says the server`, async () => {
      const told = await tab.evaluate(async () => {
        const socket = await window.socket("/whoami");
        const text = await socket.next();
        await socket.close();
        return text;
      });
      assert.equal(JSON.parse(told).http_version, version.atServer);
    });

    test("texts and binary messages come back as they were, in order", async () => {
      const sent = ["one", "", "🌊 \u{10ffff}", [0, 1, 254, 255], "\u0000", [], "last"];
      const answers = await tab.evaluate(async (messages) => {
        const socket = await window.socket("/echo");
        messages.forEach((message) => socket.send(typeof message === "string" ? message : Uint8Array.from(message)));
        const all = [];
        while (all.length < messages.length) {
          const answer = await socket.next();
          all.push(typeof answer === "string" ? answer : [...answer]);
        }
        await socket.close();
        return all;
      }, sent);
      assert.deepEqual(answers, sent);
    });

    test("of the subprotocols that are asked for, the first is spoken", async () => {
      const spoken = await tab.evaluate(async () => {
        const socket = await window.socket("/echo", ["chat", "superchat"]);
        await socket.close();
        return socket.protocol;
      });
      assert.equal(spoken, "chat");
    });

    test("the browser's own offer of compression is taken, and what is compressed comes back", async () => {
      const { extensions, equal } = await tab.evaluate(async () => {
        const socket = await window.socket("/echo");
        const text = JSON.stringify(Array.from({ length: 2000 }, (_, id) => ({ id, name: `user ${(id * 7919) % 1000}` })));
        const messages = [text, text, "", text.repeat(5)];
        const equal = [];
        for (const message of messages) {
          socket.send(message);
          equal.push((await socket.next()) === message);
        }
        await socket.close();
        return { extensions: socket.extensions, equal };
      });
      // Chromium tells the parameters too, Firefox does not.
      assert.match(extensions, /^permessage-deflate(;|$)/);
      assert.deepEqual(equal, [true, true, true, true]);
    });

    test("1 MiB that cannot be compressed comes back byte for byte", async () => {
      const equal = await tab.evaluate(async () => {
        const socket = await window.socket("/echo");
        const sent = new Uint8Array(1024 * 1024);
        for (let at = 0; at < sent.length; at += 65_536) {
          crypto.getRandomValues(sent.subarray(at, at + 65_536));
        }
        socket.send(sent);
        const answer = await socket.next();
        await socket.close();
        return answer.length === sent.length && answer.every((byte, at) => byte === sent[at]);
      });
      assert.equal(equal, true);
    });

    test("64 WebSockets of one page at once each get their own answers, and ordinary requests go on beside them", async () => {
      const { right, statuses } = await tab.evaluate(async () => {
        // One after the other: of handshakes that are many at once, Chromium makes the later ones wait for seconds.
        const sockets = [];
        while (sockets.length < 64) {
          sockets.push(await window.socket("/echo"));
        }
        const requests = Promise.all(Array.from({ length: 16 }, (_, at) => fetch(`/style.css?${at}`)));
        const answered = sockets.map(async (socket, number) => {
          const messages = Array.from({ length: 20 }, (_, at) => `socket ${number}, message ${at}`);
          messages.forEach((message) => socket.send(message));
          for (const message of messages) {
            if ((await socket.next()) !== message) {
              return false;
            }
          }
          return true;
        });
        const right = (await Promise.all(answered)).filter(Boolean).length;
        const statuses = (await requests).map((response) => response.status);
        await Promise.all(sockets.map((socket) => socket.close()));
        return { right, statuses };
      });
      assert.equal(right, 64);
      assert.deepEqual(statuses, Array(16).fill(200));
    });

    test("the browser's code and reason are answered as they are", async () => {
      const closed = await tab.evaluate(async () => (await window.socket("/echo")).close(4001, "tide is out ⚓"));
      assert.deepEqual(closed, { code: 4001, reason: "tide is out ⚓", wasClean: true });
    });

    test("a message above the limit is answered with the server's code and reason", async () => {
      const closed = await tab.evaluate(async (length) => {
        const socket = await window.socket("/echo");
        socket.send(new Uint8Array(length));
        return socket.closed;
      }, LIMIT + 1);
      assert.equal(closed.code, 1009);
      assert.equal(closed.reason, "Maximum message size exceeded.");
    });

    test("an endpoint that does not exist opens no WebSocket", async () => {
      const outcome = await tab.evaluate(() => window.socket("/nowhere").then(() => "open", (closed) => closed));
      assert.equal(outcome.code, 1006);
      assert.equal(outcome.wasClean, false);
    });

    test("a tab that goes to another page, or is closed, is no longer counted", async () => {
      const watch = async (expected) => {
        const counted = await tab.evaluate(async (awaited) => {
          window.watcher ??= await window.socket("/live");
          let connections;
          // It tells one each second.
          for (let told = 0; told < 15 && connections !== awaited; told += 1) {
            ({ connections } = JSON.parse(await window.watcher.next()));
          }
          return connections;
        }, expected);
        assert.equal(counted, expected);
      };
      // Each page has three, and this one the watcher.
      await watch(4);
      const leaving = await openPage(wharf.url);
      await leaving.evaluate(async () => void (await window.socket("/echo")));
      await watch(8);
      await leaving.goto("about:blank");
      await watch(4);
      await leaving.goto(wharf.url);
      await watch(7);
      await leaving.close();
      await watch(4);
      await tab.evaluate(() => window.watcher.close());
    });

    test("a server that stops says 1001 to every WebSocket, and ends with status 0", async () => {
      const leaving = await startWharf({ options });
      const other = await openPage(leaving.url);
      await other.evaluate(async () => {
        window.sockets = await Promise.all(["/echo", "/chat", "/live", "/echo"].map((path) => window.socket(path)));
      });
      const closed = other.evaluate(() => Promise.all(window.sockets.map((socket) => socket.closed)));
      assert.deepEqual(await leaving.end(), { status: 0, signal: null });
      const away = { code: 1001, reason: "Remote peer is going away", wasClean: true };
      assert.deepEqual(await closed, Array(4).fill(away));
      await other.close();
    });
  });
}

/** Brings `socket(path, protocols)` into a page: a WebSocket, once it is open, whose messages are asked for one by one. */
function bringSocket() {
  window.socket = async (path, protocols = []) => {
    const socket = new WebSocket(path, protocols);
    socket.binaryType = "arraybuffer";
    const arrived = [];
    const waiting = [];
    socket.onmessage = ({ data }) => {
      const message = typeof data === "string" ? data : new Uint8Array(data);
      waiting.length > 0 ? waiting.shift().resolve(message) : arrived.push(message);
    };
    const closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean });
    });
    closed.then((close) => {
      const error = new Error(`closed with ${close.code} ${close.reason} while a message was awaited`);
      waiting.forEach(({ reject }) => reject(error));
    });
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      closed.then(reject);
    });
    return {
      protocol: socket.protocol,
      extensions: socket.extensions,
      closed,
      send: (message) => socket.send(message),
      next: () =>
        arrived.length > 0
          ? Promise.resolve(arrived.shift())
          : new Promise((resolve, reject) => waiting.push({ resolve, reject })),
      close(code = 1000, reason = "") {
        socket.close(code, reason);
        return closed;
      },
    };
  };
}

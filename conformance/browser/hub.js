import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { assertConforms, assertEveryKindWasSeen } from "./hub_schema.js";
import { startWharf } from "../wharf.mjs";

/**
 * What `hub-client.js` does in a browser, which `launch()` starts; `open(browser, url, cookies)` opens a tab on a page.
 * Everything that goes over its connections has to conform to the schema in docs/.
 */
export function describeHub(title, { launch, open }) {
  describe(title, () => {
    let browser;
    let wharf;
    let folder;

    const config = (name, text) => {
      const path = join(folder, name);
      writeFileSync(path, text);
      return ["--config", path];
    };

    const openTab = async (url = wharf.url, cookies = []) => {
      const tab = await open(browser, url, cookies);
      await tab.evaluate(prepare);
      tab.conformed = async () => {
        (await tab.evaluate(() => window.wire)).forEach(assertConforms);
        await tab.close();
      };
      return tab;
    };

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "wharf-hub-"));
      writeFileSync(join(folder, "secret"), SECRET);
      const options = config("hub.toml", OPTIONS(join(folder, "secret")));
      [browser, wharf] = await Promise.all([launch(), startWharf({ options })]);
    });

    after(async () => {
      await browser?.close();
      await wharf?.end();
      rmSync(folder, { recursive: true });
    });

    test("two pages exchange messages, and see each other come and go", async () => {
      const [ann, bob] = [await openTab(), await openTab()];
      const own = { subscribe: ["open.>"], publish: ["open.>"], presence: ["open.>"] };
      await ann.evaluate(async (token) => {
        await window.connect({ token: () => token });
        window.listen("open.lobby", { member: "ann" });
        await window.heard("subscribed");
      }, token({ sub: "ann", ...own }));
      await bob.evaluate(async (token) => {
        await window.connect({ token: () => token });
        window.listen("open.*", {});
        await window.heard("subscribed");
        await window.hub.publish("open.lobby", { text: "ahoy", of: [null, 1.5] }, { key: "k" });
        window.listen("open.lobby", { member: "bob" });
      }, token({ sub: "bob", ...own }));
      const message = await ann.evaluate(() => window.heard("message"));
      assert.deepEqual(message.data, { text: "ahoy", of: [null, 1.5] });
      assert.equal(message.key, "k");
      assert.equal(message.topic, "open.lobby");
      assert.deepEqual(await bob.evaluate(() => window.heard("message")), message);
      await ann.evaluate(async () => {
        while ((await window.heard("joined"))[0] !== "bob");
      });
      const there = await ann.evaluate(() => window.hub.presence("open.lobby"));
      assert.deepEqual(
        there.members.map(({ name }) => name),
        ["ann", "bob"],
      );
      await bob.evaluate(() => window.hub.close());
      assert.deepEqual(await ann.evaluate(() => window.heard("left")), ["bob", "open.lobby"]);
      await Promise.all([ann.conformed(), bob.conformed()]);
    });

    test("bytes that were posted are bytes in the page", async () => {
      const tab = await openTab();
      await tab.evaluate(async () => {
        await window.connect({});
        window.listen("open.bytes", {});
        await window.heard("subscribed");
      });
      const posted = await fetch(new URL("topics/open.bytes", wharf.url), {
        method: "POST",
        headers: { "content-type": "application/octet-stream", authorization: `Bearer ${token({ publish: ["open.>"] })}` },
        body: new Uint8Array([0, 128, 255]),
      });
      assert.equal(posted.status, 200);
      assert.deepEqual(await tab.evaluate(async () => [...(await window.heard("message")).bytes]), [0, 128, 255]);
      await tab.conformed();
    });

    test("what may not be done fails, and says why", async () => {
      const tab = await openTab();
      const codes = await tab.evaluate(async () => {
        await window.connect({});
        const code = (promise) => promise.then(() => "done").catch((error) => error.code);
        window.listen("closed", {});
        window.listen("open.lobby", { since: "1-1" });
        return [
          (await window.heard("failed")).code,
          (await window.heard("failed")).code,
          await code(window.hub.publish("closed", 1)),
          await code(window.hub.presence("open.other.a")),
        ];
      });
      assert.deepEqual(codes, ["not_permitted", "no_history", "not_permitted", "no_presence"]);
      await tab.conformed();
    });

    test("a page whose connection the server has dropped comes back with a new token and gets what it missed", async () => {
      const [reader, writer] = [await openTab(), await openTab()];
      const [short, long] = [
        token({ sub: "ann", subscribe: ["kept.>"] }, 3),
        token({ sub: "ann", subscribe: ["kept.>"] }),
      ];
      const welcome = await reader.evaluate(
        async ([short, long]) => {
          let calls = 0;
          const next = () => {
            calls += 1;
            if (calls === 2) {
              throw new Error("no token yet");
            }
            return calls === 1 ? short : long;
          };
          const open = await window.connect({ token: next });
          window.listen("kept.a", {});
          await window.heard("subscribed");
          return open;
        },
        [short, long],
      );
      assert.equal(welcome.member, "ann");
      await writer.evaluate(async (token) => {
        await window.connect({ token: () => token });
        await window.hub.publish("kept.a", 1);
      }, token({ publish: ["kept.>"] }));
      assert.equal(await reader.evaluate(async () => (await window.heard("message")).data), 1);
      const away = await reader.evaluate(() => window.heard("away"));
      assert.deepEqual([away.code, away.reason], [4401, "the token has expired"]);
      await writer.evaluate(() => Promise.all([2, 3].map((number) => window.hub.publish("kept.a", number))));
      const again = await reader.evaluate(() => window.heard("subscribed"));
      const missed = await reader.evaluate(async () => [await window.heard("message"), await window.heard("message")]);
      assert.deepEqual(
        missed.map(({ data }) => data),
        [2, 3],
      );
      assert.equal(again.tooOld, false);
      reader.problems.length = 0;
      await Promise.all([reader.conformed(), writer.conformed()]);
    });

    test("a page that was away for too long is told so, and so is one that has got nothing", async () => {
      const [reader, writer] = [await openTab(), await openTab()];
      await writer.evaluate(async (token) => {
        await window.connect({ token: () => token });
        window.first = (await window.hub.publish("kept.b", 0)).position;
      }, token({ publish: ["kept.>"] }));
      await writer.evaluate(async () => {
        for (let number = 1; number <= 5; number += 1) {
          await window.hub.publish("kept.b", number);
        }
      });
      const since = await writer.evaluate(() => window.first);
      const told = await reader.evaluate(async (since) => {
        await window.connect({});
        const late = window.listen("kept.b", { since });
        await window.heard("tooOld");
        const { tooOld } = await window.heard("subscribed");
        late.unsubscribe();
        window.listen("kept.b", { since: "oldest" });
        const { recovered } = await window.heard("subscribed");
        const kept = [];
        while (kept.length < recovered) {
          kept.push((await window.heard("message")).data);
        }
        return { tooOld, kept };
      }, since);
      assert.deepEqual(told, { tooOld: true, kept: [3, 4, 5] });
      await Promise.all([reader.conformed(), writer.conformed()]);
    });

    test("a token in a cookie counts, for pages of this server", async () => {
      const value = token({ sub: "cookie", subscribe: ["mine"] });
      const tab = await openTab(wharf.url, [{ name: "pass", value }]);
      assert.equal((await tab.evaluate(() => window.connect({}))).member, "cookie");
      await tab.evaluate(async () => {
        window.listen("mine", {});
        await window.heard("subscribed");
      });
      await tab.conformed();
    });

    test("a token is renewed before it expires, and what the new one does not permit ends", async () => {
      const tab = await openTab();
      const tokens = [token({ sub: "ann", subscribe: ["kept.a", "kept.b"] }, 5), token({ sub: "ann", subscribe: ["kept.a"] })];
      const failed = await tab.evaluate(async (tokens) => {
        await window.connect({ token: async () => tokens.shift() });
        window.listen("kept.a", {});
        await window.heard("subscribed");
        window.listen("kept.b", {});
        await window.heard("subscribed");
        return (await window.heard("failed")).code;
      }, tokens);
      assert.equal(failed, "not_permitted");
      assert.equal(await tab.evaluate(() => window.hub.isOpen), true);
      await tab.conformed();
    });

    test("while the server is away nothing is queued, and when another comes in its place the page starts anew", async (t) => {
      const options = config("away.toml", OPTIONS(join(folder, "secret")));
      let own = await startWharf({ options });
      t.after(() => own.end());
      const tab = await openTab(own.url);
      const writer = token({ publish: ["kept.>"], subscribe: ["kept.>"] });
      await tab.evaluate(async (token) => {
        await window.connect({ token: () => token });
        window.listen("kept.c", {});
        await window.heard("subscribed");
        await window.hub.publish("kept.c", 1);
        await window.heard("message");
      }, writer);
      await own.end("SIGKILL");
      await tab.evaluate(() => window.heard("away"));
      const code = await tab.evaluate(() => window.hub.publish("kept.c", 2).catch((error) => error.code));
      assert.equal(code, "away");
      own = await startWharf({ port: own.port, options });
      await tab.evaluate(() => window.heard("tooOld"));
      await tab.evaluate(async () => {
        await window.hub.publish("kept.c", 3);
        while ((await window.heard("message")).data !== 3);
      });
      tab.problems.length = 0;
      await tab.conformed();
    });

    test("every kind of message was seen", () => assertEveryKindWasSeen());
  });
}

/** In the page: what a test needs there. All that goes over WebSockets is remembered. */
async function prepare() {
  const { Hub } = await import("/hub-client.js");
  window.wire = [];
  const Own = window.WebSocket;
  window.WebSocket = class extends Own {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", ({ data }) => window.wire.push({ from: "said", text: data }));
    }

    send(text) {
      window.wire.push({ from: "request", text });
      super.send(text);
    }
  };
  const [said, waiting] = [new Map(), new Map()];
  const say = (kind, value) => {
    const wait = waiting.get(kind)?.shift();
    if (wait) {
      wait(value);
    } else {
      said.set(kind, [...(said.get(kind) ?? []), value]);
    }
  };
  window.heard = (kind) => {
    const values = said.get(kind) ?? [];
    return values.length > 0
      ? Promise.resolve(values.shift())
      : new Promise((resolve) => waiting.set(kind, [...(waiting.get(kind) ?? []), resolve]));
  };
  window.connect = (options) => {
    window.hub = new Hub(new URL("/hub", location).href.replace(/^http/, "ws"), { ...options, state: say });
    return window.heard("open");
  };
  window.listen = (topic, { since, member }) =>
    window.hub.subscribe(
      topic,
      {
        message: (message) => say("message", message),
        subscribed: (subscribed) => say("subscribed", subscribed),
        tooOld: () => say("tooOld", true),
        failed: ({ code, message }) => say("failed", { code, message }),
        ...(member && {
          joined: (...who) => say("joined", who),
          left: (...who) => say("left", who),
        }),
      },
      { since, member },
    );
}

function token({ sub, ...wharf }, seconds = 600) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const message = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub, exp, wharf })}`;
  return `${message}.${createHmac("sha256", SECRET).update(message).digest("base64url")}`;
}

const SECRET = "a secret that only tests may know";
const OPTIONS = (secret) => `
allowed_origins = ["same-origin"]
[hub]
cookie = "pass"
[hub.jwt]
secret_file = "${secret}"
[hub.anonymous]
subscribe = ["open.>", "kept.>"]
publish = ["open.>"]
presence = ["open.>"]
[[hub.topics]]
pattern = "kept.>"
history = { max_messages = 3 }
[[hub.topics]]
pattern = "open.*"
presence = true
`;

// What went over the wire, as Chromium itself wrote it down.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { launchChromium, openPage } from "./chromium.js";
import { ENCRYPTED, startWharf } from "../wharf.mjs";

test("a page and its WebSockets are streams of one HTTP/2 connection, each with an answer of its own", async (t) => {
  const wharf = await startWharf({ options: ENCRYPTED });
  t.after(() => wharf.end());
  const logged = await netLog(t, async (browser) => {
    const tab = await openPage(browser, wharf.url);
    await tab.close();
  });

  const sent = logged("HTTP2_SESSION_SEND_HEADERS").map(({ session, headers, params }) => ({
    session,
    stream: params.stream_id,
    what: [headers[":method"], headers[":protocol"], headers[":path"]].filter(Boolean).join(" "),
    headers,
  }));
  assert.equal(sent[0].what, "GET /");
  assert.equal(new Set(sent.map(({ session }) => session)).size, 1, "one connection");
  const sockets = sent.filter(({ headers }) => headers[":protocol"] === "websocket");
  const expected = ["/chat", "/echo", "/live"].map((path) => `CONNECT websocket ${path}`);
  assert.deepEqual(sockets.map(({ what }) => what).sort(), expected);

  const received = logged("HTTP2_SESSION_RECV_HEADERS");
  for (const { stream, what } of sockets) {
    const answers = received.filter(({ params }) => params.stream_id === stream);
    assert.equal(answers.length, 1, what);
    const [{ headers }] = answers;
    assert.equal(headers[":status"], "200", what);
    assert.match(headers["sec-websocket-extensions"], /^permessage-deflate(;|$)/, what);
    // RFC 9113 §8.2.2 forbids the first two, and Chromium sends no key that the last would answer.
    for (const field of ["connection", "upgrade", "sec-websocket-accept"]) {
      assert.equal(headers[field], undefined, `${field} of ${what}`);
    }
  }
  const enables = logged("HTTP2_SESSION_RECV_SETTING").filter(({ params }) => /ENABLE_CONNECT_PROTOCOL/.test(params.id));
  assert.deepEqual(enables.map(({ params }) => params.value), [1]);
  assert.deepEqual(logged("HTTP2_SESSION_RECV_INVALID_HEADER"), []);
});

/** Lets a browser of its own do something. Then: its events of a type, each with its session and its headers by name. */
async function netLog(t, act) {
  const directory = await mkdtemp(join(tmpdir(), "wharf-net-log-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "log.json");
  const browser = await launchChromium([`--log-net-log=${path}`, "--net-log-capture-mode=Everything"]);
  try {
    await act(browser);
  } finally {
    // Only its end completes the file.
    await browser.close();
  }
  const { constants, events } = JSON.parse(await readFile(path, "utf8"));
  return (name) => {
    const type = constants.logEventTypes[name];
    assert.ok(type !== undefined, `Chromium has no event ${name}`);
    return events
      .filter((event) => event.type === type)
      .map(({ source, params }) => ({ session: source.id, params, headers: fieldsOf(params.headers ?? []) }));
  };
}

/** Lines as `:path: /echo`. */
function fieldsOf(lines) {
  return Object.fromEntries(lines.map((line) => /^(:?[^:]+): ?(.*)$/s.exec(line).slice(1)));
}

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startWharf } from "../wharf.mjs";
import { HTTP2, startHaproxy } from "./proxies.js";
import { whoami } from "./sockets.js";

const CLIENT = "127.0.0.5";
const PROXY = "127.0.0.1";

/** A certificate that lasts as long as the tests: the root that clients believe, and HAProxy's file. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), "wharf-certificate-"));
  try {
    execFileSync(process.env.WHARF_CERTIFICATE, [folder]);
    const read = (name) => readFileSync(join(folder, name), "utf8");
    return { ca: read("root.pem"), tls: read("chain.pem") + read("key.pem") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Opens `/whoami` as browsers do that have their page over HTTP/2 (RFC 8441): what wharf tells, and with which code it closes. */
async function whoamiOverHttp2(port, ca) {
  const session = http2.connect(`https://localhost:${port}`, { ca, localAddress: CLIENT, family: 4 });
  try {
    await once(session, "remoteSettings");
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": "/whoami",
      "sec-websocket-version": "13",
      "sec-websocket-protocol": "chat",
    });
    const [headers] = await once(stream, "response");
    assert.equal(headers[":status"], 200);
    assert.equal(headers["sec-websocket-protocol"], "chat");
    return await firstTextAndClose(stream);
  } finally {
    session.close();
  }
}

/** Reads a text of 126 to 65,535 bytes and a Close, as a server frames them, and answers the Close. */
async function firstTextAndClose(stream) {
  let read = Buffer.alloc(0);
  for await (const chunk of stream) {
    read = Buffer.concat([read, chunk]);
    const end = read.length < 4 ? Infinity : 4 + read.readUInt16BE(2);
    if (read.length >= end + 4) {
      assert.deepEqual([read[0], read[1], read[end]], [0x81, 126, 0x88]);
      const code = read.readUInt16BE(end + 2);
      stream.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, code >> 8, code & 255]));
      return { told: JSON.parse(read.subarray(4, end)), code };
    }
  }
  assert.fail(`the stream ended after ${read.length} bytes`);
}

/** Behind HAProxy with `server` at the end of its lines of servers, HTTP comes in this version. */
function secured(what, server, version) {
  describe(`HAProxy ends TLS, ${what}`, () => {
    let wharf, proxy, ca;
    before(async () => {
      const made = certificate();
      ca = made.ca;
      wharf = await startWharf({ options: ["--trusted-proxies", PROXY] });
      proxy = await startHaproxy({ servers: [wharf.port], tls: made.tls, server });
    });
    after(async () => {
      await proxy?.end();
      await wharf?.end();
    });

    test("for a client of HTTP/1.1", async () => {
      const url = `wss://localhost:${proxy.port}`;
      const options = { protocols: ["chat"], ca, localAddress: CLIENT, family: 4 };
      const { remote_address, protocol, http_version } = await whoami(url, options);
      assert.deepEqual([remote_address, protocol, http_version], [CLIENT, "chat", version]);
    });

    test("for a client of HTTP/2", async () => {
      const { told, code } = await whoamiOverHttp2(proxy.port, ca);
      assert.deepEqual([told.remote_address, told.protocol, told.http_version], [CLIENT, "chat", version]);
      assert.equal(code, 1000);
    });
  });
}

secured("and speaks HTTP/1.1 with wharf", "", "HTTP/1.1");
secured("and speaks HTTP/2 with wharf", HTTP2, "HTTP/2.0");

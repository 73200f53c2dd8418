// TLS as ordinary tools see it: the certificate, and which version of HTTP is agreed on.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { ENCRYPTED, startWharf } from "../wharf.mjs";
import { answerTo, halfOpen } from "./raw.js";

const run = promisify(execFile);
const VERSION = ["--silent", "--insecure", "--noproxy", "*", "--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"];
const curl = async (...rest) => (await run("curl", [...VERSION, ...rest])).stdout;

describe("a server with a certificate of its own", () => {
  let wharf;
  before(async () => (wharf = await startWharf({ options: ENCRYPTED })));
  after(() => wharf.end());

  test("the certificate is the one whose fingerprint was printed, and holds for this machine", async () => {
    const socket = connect({ port: wharf.port, host: "127.0.0.1", rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const certificate = socket.getPeerX509Certificate();
    socket.destroy();
    const printed = (await wharf.nextLine()).replaceAll(":", "").toUpperCase();
    const fingerprint = certificate.fingerprint256.replaceAll(":", "");
    assert.ok(printed.includes(fingerprint), `${printed} should tell ${fingerprint}`);
    assert.equal(certificate.checkIP("127.0.0.1"), "127.0.0.1");
    assert.equal(certificate.checkHost("localhost"), "localhost");
    assert.ok(Date.parse(certificate.validFrom) <= Date.now() && Date.now() < Date.parse(certificate.validTo));
  });

  for (const [offered, agreed] of [
    [["h2", "http/1.1"], "h2"],
    [["http/1.1", "h2"], "h2"],
    [["h2"], "h2"],
    [["http/1.1"], "http/1.1"],
    [[], false],
  ]) {
    test(`of ${JSON.stringify(offered)} it chooses ${agreed || "nothing"}`, async () => {
      assert.equal(await alpn(wharf, offered), agreed);
    });
  }

  test("who offers nothing that it speaks gets no connection", async () => {
    await assert.rejects(alpn(wharf, ["spdy/3"]), /alert|ECONNRESET|closed/i);
  });

  test("who speaks without TLS gets no page, and the next one is served", async () => {
    const answer = await answerTo(wharf.port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").catch(() => "");
    assert.doesNotMatch(answer, /200|<html/);
    assert.equal(await curl(wharf.url), "2 200");
  });

  test("curl gets the page by each version of HTTP", async () => {
    assert.equal(await curl("--http2", wharf.url), "2 200");
    assert.equal(await curl("--http1.1", wharf.url), "1.1 200");
    assert.equal(await curl("--http2", `${wharf.url}nowhere`), "2 404");
  });

  test("nghttp gets the page and all that it is made of, over one connection", async () => {
    const paths = ["", "style.css", "page.js", "socket.js"].map((path) => `${wharf.url}${path}`);
    const { stdout } = await run("nghttp", ["--null-out", "--verbose", ...paths]);
    assert.match(stdout, /The negotiated protocol: h2/);
    assert.match(stdout, /SETTINGS_ENABLE_CONNECT_PROTOCOL\(0x08\):1/);
    assert.equal(stdout.match(/:status: 200/g).length, paths.length);
  });

  test("h2load gets a thousand answers over four connections, and none is an error", async () => {
    const { stdout } = await run("h2load", ["--requests=1000", "--clients=4", "--max-concurrent-streams=32", wharf.url]);
    assert.match(stdout, /1000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(stdout, /status codes: 1000 2xx/);
  });
});

describe("a server that has no HTTP/2", () => {
  test("speaks HTTP/1.1 over TLS to who offers both, and to who offers only HTTP/2 not at all", async (t) => {
    const wharf = await startWharf({ options: [...ENCRYPTED, "--http2", "false"] });
    t.after(() => wharf.end());
    assert.equal(await curl("--http2", wharf.url), "1.1 200");
    assert.equal(await alpn(wharf, ["h2", "http/1.1"]), "http/1.1");
    await assert.rejects(alpn(wharf, ["h2"]), /alert|ECONNRESET|closed/i);
  });

  test("answers a preface of HTTP/2 with the end of the connection, and serves the next one", async (t) => {
    const wharf = await startWharf({ options: ["--http2", "false"] });
    t.after(() => wharf.end());
    await assert.rejects(curl("--http2-prior-knowledge", wharf.url));
    assert.equal(await curl(wharf.url), "1.1 200");
  });
});

describe("a server without TLS", () => {
  let wharf;
  before(async () => (wharf = await startWharf()));
  after(() => wharf.end());

  test("curl gets the page by HTTP/1.1, and by HTTP/2 with prior knowledge", async () => {
    assert.equal(await curl("--http1.0", wharf.url), "1 200");
    assert.equal(await curl("--http1.1", wharf.url), "1.1 200");
    assert.equal(await curl("--http2-prior-knowledge", wharf.url), "2 200");
  });

  test("an upgrade to h2c, which is no more (RFC 9113 §3.1), is passed over", async () => {
    assert.equal(await curl("--http2", wharf.url), "1.1 200");
  });

  test("nghttp gets the page with prior knowledge", async () => {
    const { stdout } = await run("nghttp", ["--null-out", "--verbose", wharf.url]);
    assert.match(stdout, /:status: 200/);
  });

  test("a preface in segments of one byte each begins HTTP/2", async () => {
    const socket = halfOpen(wharf.port).setNoDelay(true);
    // The preface (RFC 9113 §3.4), empty SETTINGS, and a GET for / in HEADERS that end their stream.
    const begun = Buffer.concat([
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      Buffer.from("000000040000000000", "hex"),
      Buffer.from("00000e010500000001" + "828684" + "4109", "hex"),
      Buffer.from("localhost"),
    ]);
    for (const byte of begun) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
    }
    for (;;) {
      const { type, payload } = await frameOf(socket);
      if (type === 1) {
        // `:status: 200` of the static table (RFC 7541 §A).
        assert.equal(payload[0], 0x88);
        break;
      }
    }
    socket.destroy();
  });
});

/** The next frame of HTTP/2 that comes. */
async function frameOf(socket) {
  const [length, type] = await bytesOf(socket, 9).then((head) => [head.readUIntBE(0, 3), head[3]]);
  return { type, payload: length > 0 ? await bytesOf(socket, length) : Buffer.alloc(0) };
}

async function bytesOf(socket, length) {
  for (;;) {
    const bytes = socket.read(length);
    if (bytes !== null) {
      return bytes;
    }
    await once(socket, "readable");
  }
}

async function alpn({ port }, offered) {
  const protocols = offered.length > 0 ? { ALPNProtocols: offered } : {};
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...protocols });
  await once(socket, "secureConnect");
  socket.destroy();
  return socket.alpnProtocol;
}

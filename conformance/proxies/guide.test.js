import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { HTTP2, PROXY_2, TLS_BIND } from "./proxies.js";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");

test("docs/behind-a-proxy.md shows the configurations that are tested here", () => {
  const guide = read("../../docs/behind-a-proxy.md");
  for (const config of ["nginx.conf", "haproxy.cfg"]) {
    assert.ok(guide.includes(`\n${read(config)}\`\`\`\n`), `${config}, as it is`);
  }
  for (const line of [TLS_BIND, ...[HTTP2, PROXY_2].map((options) => `server one 127.0.0.1:9001 ${options}`)]) {
    assert.ok(guide.includes(`\`${line}\``), line);
  }
});

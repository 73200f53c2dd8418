import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startWharf } from "../wharf.mjs";
import { PROXY_1, PROXY_2, startHaproxy } from "./proxies.js";
import { open, whoami } from "./sockets.js";

const CLIENT = "127.0.0.5";
const PROXY = "127.0.0.1";

for (const [version, server] of [
  [1, PROXY_1],
  [2, PROXY_2],
]) {
  describe(`HAProxy tells the client's address by the PROXY protocol, version ${version}`, () => {
    const behind = async (t, ...options) => {
      const wharf = await startWharf({ options: ["--proxy-protocol", "--trusted-proxies", PROXY, ...options] });
      t.after(() => wharf.end());
      const proxy = await startHaproxy({ servers: [wharf.port], server });
      t.after(() => proxy.end());
      return { wharf, proxy };
    };

    test("and it is believed where no header is", async (t) => {
      const { proxy } = await behind(t, "--ignore-x-forwarded-for", "true");
      assert.equal((await whoami(proxy.url, { localAddress: CLIENT })).remote_address, CLIENT);
    });

    test("and what the client claims in a header changes nothing", async (t) => {
      const { proxy } = await behind(t);
      for (const claim of ["1.2.3.4", "127.0.0.1", ""]) {
        const headers = { "X-Forwarded-For": claim };
        assert.equal((await whoami(proxy.url, { localAddress: CLIENT, headers })).remote_address, CLIENT, claim);
      }
    });

    test("and who comes past HAProxy, without it, gets no answer", async (t) => {
      const { wharf } = await behind(t);
      await assert.rejects(open(`${wharf.socketUrl}echo`), /socket hang up|ECONNRESET/);
    });
  });
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** What `bind :80` is where HAProxy ends TLS. */
export const TLS_BIND = "bind :443 ssl crt /etc/haproxy/wharf.pem alpn h2,http/1.1";

/** What the lines of servers have at their end where HAProxy speaks HTTP/2 with wharf. */
export const HTTP2 = "proto h2 ws h2";

/** Where it tells the client's address by the PROXY protocol, in either version. */
export const PROXY_1 = "send-proxy";
export const PROXY_2 = "send-proxy-v2";

const HERE = dirname(fileURLToPath(import.meta.url));
// A proxy that has not stopped by then is killed.
const LONGEST_END = 10_000;
const LONGEST_START = 20_000;
const ATTEMPTS = 5;
const NOBODY = { uid: 65_534, gid: 65_534 };

/**
 * The proxies, each behind the same call: `start({ servers, timeout })` puts it in front of wharfs on these ports. `timeout` takes
 * the place of the one after which a silent connection is ended. `url` is what clients connect to. `version` is what wharf is
 * spoken to in.
 */
export const proxies = [
  { name: "nginx", version: "HTTP/1.1", start: startNginx },
  { name: "HAProxy", version: "HTTP/1.1", start: startHaproxy },
  { name: "HAProxy over HTTP/2", version: "HTTP/2.0", start: (options) => startHaproxy({ ...options, server: HTTP2 }) },
];

async function startNginx({ servers, timeout = "60s" }) {
  return start(process.env.NGINX_BIN, /start worker process \d/, (folder, port) => {
    const lines = servers.map((server) => `    server 127.0.0.1:${server}$1`).join("\n");
    const config = configuration("nginx.conf", [
      ["listen 80;", `listen 127.0.0.1:${port};`],
      [/^ *server 127\.0\.0\.1:9001(.*)\n *server 127\.0\.0\.1:9002\1$/m, lines],
      ["proxy_read_timeout 60s;", `proxy_read_timeout ${timeout};`],
    ]);
    writeFileSync(join(folder, "wharf.conf"), config);
    // What Debian's /etc/nginx/nginx.conf has around it, but for what belongs to the system.
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${kind};`);
    writeFileSync(
      join(folder, "nginx.conf"),
      `daemon off; pid nginx.pid; error_log stderr notice; worker_processes 2; events {}
       http { access_log off; ${paths.join(" ")} include wharf.conf; }`,
    );
    return ["-p", folder, "-c", join(folder, "nginx.conf"), "-e", "stderr"];
  });
}

/** `tls` is the file with a certificate and its key, where it ends TLS; `server` is what the lines of servers have at their end. */
export async function startHaproxy({ servers, timeout = "60s", tls, server: options = "" }) {
  return start(process.env.HAPROXY_BIN, /Loading success/, (folder, port) => {
    const lines = servers.map((server, at) => `    server wharf-${at} 127.0.0.1:${server} ${options}`).join("\n");
    const bind = tls === undefined ? "bind :80" : TLS_BIND.replace("/etc/haproxy/wharf.pem", join(folder, "wharf.pem"));
    const config = configuration("haproxy.cfg", [
      ["bind :80", bind.replace(/:\d+/, `127.0.0.1:${port}`)],
      [/^ *server one 127\.0\.0\.1:9001\n *server two 127\.0\.0\.1:9002$/m, lines],
      ["timeout tunnel 60s", `timeout tunnel ${timeout}`],
    ]);
    writeFileSync(join(folder, "wharf.pem"), tls ?? "");
    writeFileSync(join(folder, "haproxy.cfg"), config);
    return ["-W", "-db", "-f", join(folder, "haproxy.cfg")];
  });
}

/** A configuration that the guide shows, with what a test has in place of an administrator's choices. */
function configuration(name, pairs) {
  return pairs.reduce(
    (text, [from, to]) => replaced(text, from, to),
    readFileSync(join(HERE, name), "utf8"),
  );
}

function replaced(text, from, to) {
  const isThere = from instanceof RegExp ? from.test(text) : text.includes(from);
  if (!isThere) {
    throw new Error(`the configuration has no ${from}`);
  }
  return text.replace(from, to);
}

/** Starts a proxy and waits for the line that says that it listens. Another process can have taken the port meanwhile. */
async function start(path, ready, configure) {
  for (let attempt = 1; ; attempt++) {
    const folder = mkdtempSync(join(tmpdir(), "wharf-proxy-"));
    const port = await freePort();
    const options = configure(folder, port);
    try {
      return await started(path, options, folder, ready, port);
    } catch (error) {
      rmSync(folder, { recursive: true });
      if (attempt === ATTEMPTS || !/address.*in use|cannot bind/i.test(error.message)) {
        throw error;
      }
    }
  }
}

async function started(path, options, folder, ready, port) {
  const program = spawn(path, options, { stdio: ["ignore", "ignore", "pipe"], ...unprivileged(folder) });
  const exit = once(program, "exit");
  const said = [];
  const lines = createInterface({ input: program.stderr });
  const isReady = new Promise((resolve) => {
    lines.on("line", (line) => {
      said.push(line);
      if (ready.test(line)) {
        resolve();
      }
    });
  });
  const late = setTimeout(() => program.kill("SIGKILL"), LONGEST_START);
  await Promise.race([
    isReady,
    exit.then(() => Promise.reject(new Error(`${path} ended before it listened:\n${said.join("\n")}`))),
  ]);
  clearTimeout(late);
  return {
    url: `ws://127.0.0.1:${port}`,
    port,
    said,
    async end() {
      program.kill("SIGTERM");
      const deadline = setTimeout(() => program.kill("SIGKILL"), LONGEST_END);
      await exit;
      clearTimeout(deadline);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Started by root, a proxy would take the rights of others for parts of it: here it never has any. */
function unprivileged(folder) {
  if (process.getuid() !== 0) {
    return {};
  }
  for (const path of [folder, ...readdirSync(folder).map((name) => join(folder, name))]) {
    chownSync(path, NOBODY.uid, NOBODY.gid);
  }
  return NOBODY;
}

/**
 * A port that nothing listens on. None of those that the system chooses itself: it would give one that is free for a
 * moment, as while a server starts anew, to any connection that goes out.
 */
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const server = net.createServer();
    server.listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (isFree) {
      server.close();
      await once(server, "close");
      return port;
    }
  }
}

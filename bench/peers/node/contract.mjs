// What the servers here share: how they are told what to do, and where they listen. ../README.md has the contract.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { basename } from "node:path";

export function options() {
  const program = basename(process.argv[1]);
  const usage = () => stop(2, `usage: ${program} [echo|batched|broadcast|publish] [--deflate] [--level N] [--tls CERT.pem KEY.pem]`);
  const told = { mode: "echo", deflate: false, level: 6, tls: undefined };
  const given = process.argv.slice(2);
  const next = () => given.shift() ?? usage();
  while (given.length > 0) {
    const argument = next();
    if (["echo", "batched", "broadcast", "publish"].includes(argument)) told.mode = argument;
    else if (argument === "--deflate") told.deflate = true;
    else if (argument === "--level") {
      told.level = Number(next());
      if (!Number.isInteger(told.level) || told.level < 0 || told.level > 9) usage();
    } else if (argument === "--tls") told.tls = { cert: readFileSync(next()), key: readFileSync(next()) };
    else usage();
  }
  return told;
}

export function notPossible(why) {
  stop(3, why);
}

/** An HTTP server that listens, and says where. */
export function listening({ tls }) {
  const server = tls ? createTlsServer(tls) : createServer();
  server.listen({ host: "127.0.0.1", port: 0, backlog: 4096 }, () => console.log(`127.0.0.1:${server.address().port}`));
  return server;
}

function stop(status, why) {
  console.error(why);
  process.exit(status);
}

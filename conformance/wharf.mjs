import { spawn } from "node:child_process";
import { on, once } from "node:events";
import { createInterface } from "node:readline";

export const LIMIT = 2 * 1024 * 1024;
const LIMITS = ["--max-received-frame-size", `${LIMIT}`, "--max-received-message-size", `${LIMIT}`];
/** Raised limits, a certificate that the program makes for itself, and HTTP/2 for those that ask for it. */
export const ENCRYPTED = [...LIMITS, "--tls-self-signed"];
// A program that has not stopped by then is killed, and the test sees the signal instead of a status.
const LONGEST_END = 20_000;

/**
 * Starts `wharf serve`. A port is given only to come back where an earlier one was, options in place of the raised limits.
 */
export async function startWharf({ port = 0, options = LIMITS } = {}) {
  const server = await startServer(process.env.WHARF_BIN, ["serve", "--listen", `127.0.0.1:${port}`, ...options]);
  return { ...server, socketUrl: server.url.replace(/^http/, "ws"), port: Number(new URL(server.url).port) };
}

/**
 * Starts a program that prints the address of its page. `nextLine()` is what it prints after that; `end()` asks it to stop,
 * as a service manager would, and tells with which status it did.
 */
export async function startServer(path, options) {
  const program = spawn(path, options, { stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(program, "exit");
  // Read on and on, so that the program never blocks on a full pipe.
  const lines = on(createInterface({ input: program.stdout }), "line", { close: ["close"] });
  const nextLine = async () => (await lines.next()).value?.[0];
  const line = await nextLine();
  if (line === undefined) {
    throw new Error(`${path} ended with status ${(await exit)[0]} before it served`);
  }
  const url = addressPrinted(line);
  return {
    url,
    process: program.pid,
    nextLine,
    async end(asked = "SIGTERM") {
      program.kill(asked);
      const deadline = setTimeout(() => program.kill("SIGKILL"), LONGEST_END);
      const [status, signal] = await exit;
      clearTimeout(deadline);
      return { status, signal };
    },
  };
}

function addressPrinted(line) {
  const found = /^(?:wharf: serving )?(https?:\/\/127\.0\.0\.1:\d+\/)$/.exec(line);
  if (found === null) {
    throw new Error(`the first line should tell http://127.0.0.1:PORT/, and was ${JSON.stringify(line)}`);
  }
  return found[1];
}

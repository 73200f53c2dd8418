import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export const LIMIT = 2 * 1024 * 1024;
const LIMITS = ["--max-received-frame-size", `${LIMIT}`, "--max-received-message-size", `${LIMIT}`];
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
 * Starts a program that prints the address of its page. `end()` asks it to stop, as a service manager would, and tells
 * with which status it did.
 */
export async function startServer(path, options) {
  const program = spawn(path, options, { stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(program, "exit");
  const url = await Promise.race([
    addressPrinted(program.stdout),
    exit.then(([status]) => Promise.reject(new Error(`${path} ended with status ${status} before it served`))),
  ]);
  return {
    url,
    process: program.pid,
    async end(asked = "SIGTERM") {
      program.kill(asked);
      const deadline = setTimeout(() => program.kill("SIGKILL"), LONGEST_END);
      const [status, signal] = await exit;
      clearTimeout(deadline);
      return { status, signal };
    },
  };
}

async function addressPrinted(output) {
  const lines = createInterface({ input: output });
  const [line] = await once(lines, "line");
  // Read on, so that the program never blocks on a full pipe.
  lines.resume();
  const found = /^(?:wharf: serving )?(http:\/\/127\.0\.0\.1:\d+\/)$/.exec(line);
  if (found === null) {
    throw new Error(`the first line should tell http://127.0.0.1:PORT/, and was ${JSON.stringify(line)}`);
  }
  return found[1];
}

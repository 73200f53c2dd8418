import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

// Neither server takes so long to do what it is told, even on a busy machine.
const LONGEST_ANSWER = 30_000;

/** One of the two servers, as a process that plays one probe after the other. */
export class Server {
  #process;
  #told;
  #answered = new Map();

  constructor(command, ...args) {
    this.#process = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.on("exit", (status, signal) => this.#fail(new Error(`${command} ended: ${status ?? signal}`)));
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.#tell(JSON.parse(line)));
  }

  /** Starts a site; `told` gets what happens there, event by event. */
  async start(site, told) {
    this.#told = told;
    const { ports } = await this.#order("listening", { order: "start", ...site });
    return ports;
  }

  async act(act) {
    await this.#order("done", { order: "act", ...act });
  }

  async stop() {
    await this.#order("stopped", { order: "stop" });
    this.#told = undefined;
  }

  end() {
    this.#process.removeAllListeners("exit");
    this.#process.stdin.end();
    this.#process.kill();
  }

  #order(answer, order) {
    return new Promise((resolve, reject) => {
      const overdue = setTimeout(() => reject(new Error(`no ${answer} to ${JSON.stringify(order)}`)), LONGEST_ANSWER);
      const settled = (settle) => (value) => {
        clearTimeout(overdue);
        settle(value);
      };
      this.#answered.set(answer, { resolve: settled(resolve), reject: settled(reject) });
      this.#process.stdin.write(`${JSON.stringify(order)}\n`);
    });
  }

  #tell({ stream, event, ...data }) {
    if (stream === "control") {
      this.#answered.get(event)?.resolve(data);
      this.#answered.delete(event);
    } else {
      this.#told?.(stream, event, data);
    }
  }

  #fail(error) {
    for (const { reject } of this.#answered.values()) {
      reject(error);
    }
  }
}

import { accepting } from "./accepting.mjs";
import { clients } from "./clients.mjs";
import { closing } from "./closing.mjs";
import { composed } from "./composed.mjs";
import { flow } from "./flow.mjs";
import { handshake } from "./handshake.mjs";
import { keepalive } from "./keepalive.mjs";
import { messages } from "./messages.mjs";
import { rejecting } from "./rejecting.mjs";
import { requests } from "./requests.mjs";
import { servers } from "./servers.mjs";
import { violations } from "./violations.mjs";

/** All of them. Each has a name of its own. */
export const probes = [
  ...handshake,
  ...requests,
  ...accepting,
  ...rejecting,
  ...messages,
  ...composed,
  ...violations,
  ...closing,
  ...keepalive,
  ...flow,
  ...servers,
  ...clients,
];

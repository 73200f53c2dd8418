import { startChat } from "./chat.js";
import { startCopying } from "./copy.js";
import { startEcho } from "./echo.js";
import { startHub } from "./hub.js";
import { startLive } from "./live.js";
import { addressOf } from "./socket.js";

const echo = addressOf("echo");
document.getElementById("address").textContent = echo.origin === "null" ? echo.href : `${echo.protocol}//${echo.host}`;
for (const snippet of document.querySelectorAll("[data-template]")) {
  snippet.textContent = snippet.dataset.template.replace("{address}", echo.href);
}

startLive();
startEcho();
startChat();
startHub();
startCopying();

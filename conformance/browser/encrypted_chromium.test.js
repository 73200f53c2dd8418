import { launchChromium, openTab } from "./chromium.js";
import { HTTP_1_1, HTTP_2, describeEncrypted } from "./encrypted.js";
import { ENCRYPTED } from "../wharf.mjs";

const launch = () => launchChromium();

describeEncrypted("Chromium over HTTP/2", { launch, openTab, version: HTTP_2 });

describeEncrypted("Chromium that has no HTTP/2", {
  launch: () => launchChromium(["--disable-http2"]),
  openTab,
  version: HTTP_1_1,
});

describeEncrypted("Chromium at a server that has no HTTP/2", {
  launch,
  openTab,
  version: HTTP_1_1,
  options: [...ENCRYPTED, "--http2", "false"],
});

import { HTTP_1_1, HTTP_2, describeEncrypted } from "./encrypted.js";
import { launchFirefox, openTab } from "./firefox.js";
import { ENCRYPTED } from "../wharf.mjs";

const launch = () => launchFirefox();

describeEncrypted("Firefox over HTTP/2", { launch, openTab, version: HTTP_2 });

describeEncrypted("Firefox that has no HTTP/2", {
  launch: () => launchFirefox({ "network.http.http2.enabled": false }),
  openTab,
  version: HTTP_1_1,
});

describeEncrypted("Firefox at a server that has no HTTP/2", {
  launch,
  openTab,
  version: HTTP_1_1,
  options: [...ENCRYPTED, "--http2", "false"],
});

/** How a connection ended, as a sentence: from the browser's CloseEvent. */
export function closeInWords({ code, reason, wasClean }) {
  const how = code === 1006 ? "Broken off" : wasClean ? "Closed cleanly" : "Closed";
  const said = reason === "" ? "" : `, “${reason}”`;
  return `${how} with ${code}${said}: ${meaning(code)}.`;
}

/** What a close code says (RFC 6455 §7.4.1, and the registry it founded). */
function meaning(code) {
  if (MEANINGS.has(code)) {
    return MEANINGS.get(code);
  }
  if (code >= 4000 && code <= 4999) {
    return "a code of the application’s own";
  }
  if (code >= 3000 && code <= 3999) {
    return "a code registered by a library or framework";
  }
  return "a code without a common meaning";
}

/** Why a page may not close with this code and reason; `null` when it may. */
export function closeRefused(code, reason) {
  if (!(code === 1000 || (code >= 3000 && code <= 4999))) {
    return "A page may close only with 1000 or with 3000 to 4999.";
  }
  const length = new TextEncoder().encode(reason).length;
  if (length > LONGEST_REASON) {
    return `A reason has room for ${LONGEST_REASON} bytes; this one takes ${length}.`;
  }
  return null;
}

// A control frame's payload is at most 125 bytes (RFC 6455 §5.5), and the code takes two of them.
const LONGEST_REASON = 123;

const MEANINGS = new Map([
  [1000, "done, nothing left to say"],
  [1001, "the server is going away"],
  [1002, "one side broke the protocol"],
  [1003, "this kind of data is not taken here"],
  [1005, "no code was given"],
  [1006, "the connection ended without a closing handshake"],
  [1007, "the data was not what its kind promised, such as text that is not UTF-8"],
  [1008, "the server’s policy forbids it"],
  [1009, "the message was too big for this server (see --max-received-frame-size and --max-received-message-size)"],
  [1010, "an extension that was needed was not agreed on"],
  [1011, "something failed inside the server"],
  [1012, "the server is restarting"],
  [1013, "the server is busy, try again later"],
  [1014, "a gateway got a bad answer from the server behind it"],
  [1015, "TLS could not be agreed on"],
]);

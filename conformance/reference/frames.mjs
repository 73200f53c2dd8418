// Frames as a client writes them, right and wrong, and as it reads them.

const NAMES = { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };
const KEY = Buffer.from([1, 2, 3, 4]);
const SHORT = 64;

/**
 * A frame. `length` is announced instead of the payload's own; `width` is 7, 16 or 64 bits for the length instead of
 * the shortest that does.
 */
export function frame(opcode, payload = "", { fin = true, reserved = 0, masked = true, length, width } = {}) {
  const content = Buffer.from(payload);
  const announced = BigInt(length ?? content.length);
  const bits = width ?? (announced < 126n ? 7 : announced < 65536n ? 16 : 64);
  const marker = bits === 7 ? Number(announced) : bits === 16 ? 126 : 127;
  const head = Buffer.from([(fin ? 0x80 : 0) | (reserved << 4) | opcode, (masked ? 0x80 : 0) | marker]);
  const extended = Buffer.alloc(bits === 7 ? 0 : bits / 8);
  if (bits === 16) {
    extended.writeUInt16BE(Number(announced));
  } else if (bits === 64) {
    extended.writeBigUInt64BE(announced);
  }
  const key = masked ? KEY : Buffer.alloc(0);
  const sent = masked ? content.map((byte, i) => byte ^ KEY[i % 4]) : content;
  return Buffer.concat([head, extended, key, sent]);
}

export const text = (payload, options) => frame(1, payload, options);
export const binary = (payload, options) => frame(2, payload, options);
export const ping = (payload, options) => frame(9, payload, options);
export const pong = (payload, options) => frame(10, payload, options);
/** The first fragment of a text message, one between, and the last. */
export const first = (payload, options) => frame(1, payload, { fin: false, ...options });
export const more = (payload, options) => frame(0, payload, { fin: false, ...options });
export const last = (payload, options) => frame(0, payload, options);
export const close = (code, reason = "", options) => frame(8, closePayload(code, reason), options);

export function closePayload(code, reason = "") {
  return code === undefined
    ? Buffer.alloc(0)
    : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
}

/** The first frame in `bytes`, and how many bytes it takes; nothing while it is not complete. */
export function readFrame(bytes) {
  if (bytes.length < 2) {
    return undefined;
  }
  let [length, start] = [bytes[1] & 0x7f, 2];
  if (length === 126) {
    [length, start] = bytes.length < 4 ? [Infinity, 4] : [bytes.readUInt16BE(2), 4];
  } else if (length === 127) {
    [length, start] = bytes.length < 10 ? [Infinity, 10] : [Number(bytes.readBigUInt64BE(2)), 10];
  }
  if (bytes[1] & 0x80) {
    start += 4;
  }
  if (bytes.length < start + length) {
    return undefined;
  }
  return {
    fin: (bytes[0] & 0x80) !== 0,
    reserved: (bytes[0] >> 4) & 7,
    opcode: bytes[0] & 15,
    masked: (bytes[1] & 0x80) !== 0,
    payload: bytes.subarray(start, start + length),
    size: start + length,
  };
}

/** A frame as a line to compare. */
export function described({ fin, reserved, opcode, masked, payload }) {
  const marks = [fin ? "" : " without FIN", reserved ? ` reserved ${reserved}` : "", masked ? " masked" : ""];
  return `${NAMES[opcode] ?? `opcode ${opcode}`}${marks.join("")} ${content(opcode, payload)}`;
}

function content(opcode, payload) {
  if (opcode === 8 && payload.length >= 2) {
    const reason = payload.subarray(2).toString();
    return `${payload.readUInt16BE(0)} ${JSON.stringify(reason)}`;
  }
  if (payload.length > SHORT && opcode !== 8) {
    const sum = payload.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
    return `${payload.length} bytes, sum ${sum}`;
  }
  const isText = opcode !== 2 && payload.equals(Buffer.from(payload.toString()));
  return isText ? JSON.stringify(payload.toString()) : payload.toString("hex");
}

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";

const docs = new URL("../../docs/", import.meta.url);
const schema = JSON.parse(readFileSync(new URL("hub-protocol.schema.json", docs), "utf8"));
const ajv = new Ajv2020({ strict: true, strictRequired: false, allErrors: true });
ajv.addSchema(schema);

/** Checks of one message, by who sends it: "request" or "said"; "any" where that is not known. */
const checks = {
  request: ajv.compile({ $ref: `${schema.$id}#/$defs/request` }),
  said: ajv.compile({ $ref: `${schema.$id}#/$defs/said` }),
  any: ajv.compile({ $ref: schema.$id }),
};
const seen = { request: new Set(), said: new Set(), any: new Set() };

export function assertConforms({ from, text }) {
  const message = JSON.parse(text);
  assert.ok(checks[from](message), `${text} does not conform: ${ajv.errorsText(checks[from].errors)}`);
  seen[from].add(message.type);
}

/** Whether it does not conform. */
export function isRefused({ from, text }) {
  return !checks[from](JSON.parse(text));
}

/** All that the schema has, but for what takes a slow client, a broker, or a long silence. */
export function assertEveryKindWasSeen() {
  for (const from of ["request", "said"]) {
    const kinds = schema.$defs[from].oneOf.map(({ $ref }) => $ref.split("/").at(-1));
    const missing = kinds.filter((kind) => !seen[from].has(kind) && !RARE.includes(kind));
    assert.deepEqual(missing, [], from);
  }
}

/** The protocol's examples in its documentation. */
export function examples() {
  const guide = readFileSync(new URL("hub-protocol.md", docs), "utf8");
  const blocks = [...guide.matchAll(/^```json\n(.*?)^```$/gms)].map(([, block]) => block);
  return blocks.flatMap((block) => block.split("\n")).filter((line) => line.startsWith('{"type"'));
}

/** The error codes in its documentation. */
export function documentedCodes() {
  const guide = readFileSync(new URL("hub-protocol.md", docs), "utf8");
  const table = guide.slice(guide.indexOf("| code |"), guide.indexOf("After 16 messages"));
  return [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
}

export const codes = schema.$defs.error.properties.code.enum;

const RARE = ["missed", "position", "ping"];

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertConforms, codes, documentedCodes, examples, isRefused } from "./hub_schema.js";

test("the examples in the documentation conform to the schema, and there is one of every kind", () => {
  const lines = examples();
  lines.forEach((text) => assertConforms({ from: "any", text }));
  const kinds = new Set(lines.map((text) => JSON.parse(text).type));
  assert.equal(kinds.size, 15);
});

test("the documentation has the schema's error codes", () => {
  assert.deepEqual(documentedCodes(), codes);
});

test("what is no message of the protocol does not conform", () => {
  for (const text of [
    `{"type":"subscribe","topic":"a"}`,
    `{"type":"subscribe","id":1,"topic":"a..b"}`,
    `{"type":"subscribe","id":1,"topic":"a.>.b"}`,
    `{"type":"publish","id":1,"topic":"a.*","data":1}`,
    `{"type":"message","topic":"a"}`,
    `{"type":"message","topic":"a","data":1,"base64":""}`,
    `{"type":"ok","id":1,"recovered":1,"too_old":true}`,
    `{"type":"error","code":"other","message":"a"}`,
  ]) {
    assert.ok(isRefused({ from: "any", text }), text);
  }
});

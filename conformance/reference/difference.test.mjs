import assert from "node:assert/strict";
import { test } from "node:test";
import { differences } from "./difference.mjs";
import { normalize } from "./http.mjs";

const REFUSAL = ["HTTP/1.1 403 Forbidden", "Connection: close"];
const FIELDS = ["Date: Mon, 23 Nov 2026 06:49:23 GMT", "Content-Length: 0"];
const END = "TCP ends with FIN";

test("what is the same differs nowhere", () => {
  assert.deepEqual(differences({ a: ["1", "2"] }, { a: ["1", "2"] }), []);
});

test("each run of lines that one side alone has is told with its place", () => {
  const original = { a: ["1", "2", "3", "5"], b: ["x"] };
  const wharf = { a: ["1", "3", "4", "5"], c: ["y"] };
  assert.deepEqual(differences(original, wharf), [
    { where: "a", line: 2, original: ["2"], wharf: [] },
    { where: "a", line: 4, original: [], wharf: ["4"] },
    { where: "b", line: 1, original: ["x"], wharf: [] },
    { where: "c", line: 1, original: [], wharf: ["y"] },
  ]);
});

test("another order is a difference", () => {
  assert.notDeepEqual(differences({ a: ["1", "2"] }, { a: ["2", "1"] }), []);
});

test("a refusal is compared without the fields that hyper adds, and must have them", () => {
  const [original, wharf] = [{ client: [...REFUSAL, END] }, { client: [...REFUSAL, ...FIELDS, END] }];
  const { complaints, rules } = normalize(original, wharf);
  assert.deepEqual([complaints, [...rules]], [[], ["refusal-fields"]]);
  assert.deepEqual(original, wharf);

  const without = normalize({ client: [...REFUSAL, END] }, { client: [...REFUSAL, END] });
  assert.equal(without.complaints.length, 1);
});

test("names are compared without case, values with it", () => {
  const original = { client: ["HTTP/1.1 101 X", "Sec-WebSocket-Accept: Abc"] };
  const wharf = { client: ["HTTP/1.1 101 X", "Sec-Websocket-Accept: abc"] };
  assert.deepEqual([...normalize(original, wharf).rules], ["header-names"]);
  assert.deepEqual(differences(original, wharf), [
    {
      where: "client",
      line: 2,
      original: ["sec-websocket-accept: Abc"],
      wharf: ["sec-websocket-accept: abc"],
    },
  ]);
});

test("a frame's payload is never taken for a header", () => {
  const lines = ["HTTP/1.1 101 X", "Upgrade: websocket", 'text "X: y"', "TCP is open"];
  const [original, wharf] = [{ client: [...lines] }, { client: [...lines] }];
  normalize(original, wharf);
  assert.deepEqual(wharf.client.slice(2), lines.slice(2));
});

// Plays every probe against the npm package and against wharf, and compares what was seen.

import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { differences } from "./difference.mjs";
import { normalize } from "./http.mjs";
import { play } from "./play.mjs";
import { probes } from "./probes/index.mjs";
import { Server } from "./server.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const LISTED = here("differences.json");
const REASONS = here("../../docs/differences.md");
// A mismatch is looked at once more: on a machine that stands still for a while, something may come too late.
const ATTEMPTS = 2;

const { values: asked, positionals: patterns } = parseArgs({
  allowPositionals: true,
  options: { record: { type: "boolean" }, show: { type: "boolean" } },
});

const chosen = probes.filter(({ name }) => patterns.length === 0 || patterns.some((pattern) => name.includes(pattern)));
const listed = JSON.parse(await readFile(LISTED, "utf8"));
const found = {};
const repeated = [];
const everywhere = new Set();
const problems = [];

await playAll();
await (asked.record ? record() : judge());

async function playAll() {
  const waiting = [...chosen];
  await Promise.all(Array.from({ length: 2 * availableParallelism() }, () => lane(waiting)));
}

/** Plays what is waiting, one after the other, on a pair of servers of its own. */
async function lane(waiting) {
  const original = new Server(process.execPath, here("original.mjs"));
  const wharf = new Server(process.env.WHARF_REFERENCE_SERVER);
  for (let probe = waiting.shift(); probe !== undefined; probe = waiting.shift()) {
    try {
      await playBoth(probe, original, wharf);
    } catch (error) {
      problems.push(`${probe.name}: the probe itself failed: ${error.stack}`);
    }
  }
  original.end();
  wharf.end();
}

async function playBoth(probe, original, wharf) {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const [theirs, ours] = await Promise.all([play(probe, original), play(probe, wharf)]);
    const { complaints, rules } = normalize(theirs, ours);
    rules.forEach((rule) => everywhere.add(rule));
    const differs = differences(theirs, ours);
    found[probe.name] = differs;
    if (asked.show) {
      console.log(JSON.stringify({ probe: probe.name, original: theirs, wharf: ours }, null, 1));
    }
    if (complaints.length === 0 && same(differs, listed[probe.name]?.seen ?? [])) {
      return;
    }
    if (attempt < ATTEMPTS && !asked.record) {
      repeated.push(probe.name);
    } else {
      problems.push(...complaints.map((complaint) => `${probe.name}: ${complaint}`));
    }
  }
}

/** Writes the differences that were found down as the listed ones, for whoever reviews them. */
async function record() {
  const kept = Object.entries(listed).filter(
    ([name]) => !(name in found) && probes.some((probe) => probe.name === name),
  );
  const news = Object.entries(found)
    .filter(([, seen]) => seen.length > 0)
    .map(([name, seen]) => [name, { because: listed[name]?.because ?? [], seen }]);
  const all = Object.fromEntries([...kept, ...news]);
  const sorted = probes.map(({ name }) => name).filter((name) => name in all);
  await writeFile(LISTED, `${JSON.stringify(Object.fromEntries(sorted.map((name) => [name, all[name]])), null, 2)}\n`);
  for (const problem of problems) {
    console.log(problem);
  }
  console.log(`${sorted.length} of ${probes.length} probes differ`);
}

async function judge() {
  const known = await reasons();
  const used = new Set(everywhere);
  let [equal, accepted, unlisted] = [0, 0, 0];
  for (const { name } of chosen) {
    const differs = found[name] ?? [];
    const { because, seen: expected } = listed[name] ?? { because: [], seen: [] };
    for (const reason of because) {
      used.add(reason);
    }
    const unknown = because.filter((reason) => !known.has(reason));
    if (unknown.length > 0) {
      problems.push(`${name}: docs/differences.md has no ${unknown.join(", ")}`);
    }
    if (!same(differs, expected)) {
      unlisted += 1;
      print(name, expected, differs);
    } else if (differs.length > 0 && because.length === 0) {
      unlisted += 1;
      console.log(`${name}: differs, and differences.json does not say why`);
    } else if (differs.length > 0) {
      accepted += 1;
    } else {
      equal += 1;
    }
  }
  if (patterns.length === 0) {
    problems.push(...[...known].filter((id) => !used.has(id)).map((id) => `docs/differences.md: no probe shows ${id}`));
    const names = new Set(probes.map(({ name }) => name));
    problems.push(
      ...Object.keys(listed)
        .filter((name) => !names.has(name))
        .map((name) => `no probe is called "${name}"`),
    );
    problems.push(
      ...probes
        .filter(({ name }, i) => probes.findIndex((probe) => probe.name === name) !== i)
        .map(({ name }) => `two probes are called "${name}"`),
    );
  }
  for (const problem of problems) {
    console.log(problem);
  }
  if (repeated.length > 0) {
    console.log(`played a second time, because the first did not end as listed: ${repeated.join("; ")}`);
  }
  console.log(`${equal} same, ${accepted} listed differences, ${unlisted} unlisted`);
  process.exitCode = unlisted + problems.length > 0 ? 1 : 0;
}

/** The ids in the first column of the table of reasons. A row without an RFC's section, a defect or a decision is none. */
async function reasons() {
  const rows = (await readFile(REASONS, "utf8")).matchAll(/^\| `([a-z0-9-]+)` \|(.+)\|$/gm);
  const ids = new Set();
  for (const [, id, row] of rows) {
    if (ids.has(id)) {
      problems.push(`docs/differences.md: ${id} stands there twice`);
    }
    if (!/RFC \d+ §[\d.]+|\*\*Defect\*\*|\*\*Decision\*\*/.test(row)) {
      problems.push(`docs/differences.md: ${id} has no reason`);
    }
    ids.add(id);
  }
  return ids;
}

function print(name, expected, differs) {
  console.log(`${name}:`);
  for (const [what, list] of [
    ["listed, and not so any more", without(expected, differs)],
    ["not listed", without(differs, expected)],
  ]) {
    for (const { where, line, original, wharf } of list) {
      console.log(`  ${what}: ${where}, line ${line}`);
      console.log(
        [...original.map((text) => `    original: ${text}`), ...wharf.map((text) => `    wharf:    ${text}`)].join(
          "\n",
        ),
      );
    }
  }
}

function without(list, other) {
  return list.filter((item) => !other.some((it) => same(item, it)));
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

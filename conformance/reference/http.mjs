// What every answer of wharf's differs in from the original's, because hyper speaks HTTP for it: looked at here, in
// each answer, and not in each probe. The ids are those of docs/differences.md.

const DATE = /^date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

/** Brings the lines of both servers' clients to a form to compare: what is wrong with them, and which rules showed. */
export function normalize(original, wharf) {
  const complaints = [];
  const rules = new Set();
  for (const [place, lines] of Object.entries(original).filter(isClient)) {
    original[place] = withLowerCaseNames(lines);
    wharf[place] &&= wharfsLines(lines, wharf[place], complaints, rules);
  }
  for (const seen of [original, wharf]) {
    for (const [place, lines] of Object.entries(seen).filter(isClient)) {
      seen[place] = withoutTheService(lines);
    }
  }
  return { complaints, rules };
}

function isClient([place]) {
  return place.startsWith("client");
}

function wharfsLines(theirs, lines, complaints, rules) {
  const compared = withLowerCaseNames(lines);
  const spelled = new Map(headOf(theirs).map((field) => [nameOf(field).toLowerCase(), nameOf(field)]));
  if (headOf(lines).some((field) => (spelled.get(nameOf(field).toLowerCase()) ?? nameOf(field)) !== nameOf(field))) {
    rules.add("header-names");
  }
  if (!isRefusal(compared)) {
    return compared;
  }
  const head = headOf(compared);
  const date = head.findIndex((field) => DATE.test(field));
  const behind = head.slice(date + 1);
  if (date < 0 || behind.some((field) => field !== "content-length: 0")) {
    complaints.push(
      `a refusal should end with Date and Content-Length: 0, and does with: ${head.at(-2)}, ${head.at(-1)}`,
    );
    return compared;
  }
  rules.add("refusal-fields");
  const missing = behind.length === 0 ? ["(no content-length)"] : [];
  return [...compared.slice(0, 1 + date), ...missing, ...compared.slice(1 + head.length)];
}

function isRefusal(lines) {
  return /^HTTP\/1\.[01] [345]\d\d/.test(lines[0] ?? "");
}

/** The fields: the lines behind the status line that are a name and a value. */
function headOf(lines) {
  if (!lines[0]?.startsWith("HTTP/")) {
    return [];
  }
  const end = lines.findIndex((line, i) => i > 0 && !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+: /.test(`${line} `));
  return lines.slice(1, end < 0 ? lines.length : end);
}

function nameOf(field) {
  return field.slice(0, field.indexOf(":"));
}

function withLowerCaseNames(lines) {
  const head = headOf(lines);
  return lines.map((line, i) =>
    i > 0 && i <= head.length ? `${nameOf(line).toLowerCase()}${line.slice(line.indexOf(":"))}` : line,
  );
}

/** An answer of the HTTP service is its own affair: only that it was the one who answered counts. */
function withoutTheService(lines) {
  const head = headOf(lines);
  return head.includes("x-plain: 1")
    ? ["the HTTP service answers", ...lines.slice(head.length + 1).filter((line) => !line.startsWith("body"))]
    : lines;
}

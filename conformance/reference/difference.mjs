/**
 * Where two sets of lists differ: each run of lines that only one has, with the place, counted in the original's lines
 * from 1.
 */
export function differences(original, wharf) {
  const places = [...new Set([...Object.keys(original), ...Object.keys(wharf)])].sort();
  return places.flatMap((where) => runs(original[where] ?? [], wharf[where] ?? []).map((run) => ({ where, ...run })));
}

function runs(a, b) {
  const common = longestCommon(a, b);
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      [i, j] = [i + 1, j + 1];
      continue;
    }
    const run = { line: i + 1, original: [], wharf: [] };
    while ((i < a.length || j < b.length) && !(i < a.length && j < b.length && a[i] === b[j])) {
      if (j >= b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) {
        run.original.push(a[i]);
        i += 1;
      } else {
        run.wharf.push(b[j]);
        j += 1;
      }
    }
    found.push(run);
  }
  return found;
}

/** The length of the longest common subsequence of the lines from `i` and from `j`. */
function longestCommon(a, b) {
  const table = Array.from({ length: a.length + 1 }, () => Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  return table;
}

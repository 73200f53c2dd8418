"""What stands in the project's sources: items, tests, and where an RFC is cited."""

import re
from pathlib import Path
from typing import NamedTuple


class Gap(Exception):
    """Something that a map names is not there; the text says what to do."""


class Place(NamedTuple):
    """Some lines of a file, the first and the last one counted from 1, with the comments above them."""

    file: str
    first: int
    last: int


class Test(NamedTuple):
    name: str
    place: Place


class Sources:
    """The files below a folder, read once."""

    def __init__(self, root):
        self.root = Path(root)
        self._lines = {}

    def lines(self, file):
        if file not in self._lines:
            path = self.root / file
            if not path.is_file():
                raise Gap(f"{file} does not exist; name the file where it stands now")
            self._lines[file] = path.read_text().splitlines()
        return self._lines[file]

    def item(self, anchor):
        """The place of `FILE NAME`: a Rust item, as `name` or `Type::name`."""
        file, name = split(anchor)
        return self._only(anchor, rust_items(self.lines(file), name), file)

    def test(self, anchor):
        """The place of `FILE NAME`, which must be a test that is run."""
        file, name = split(anchor)
        lines = self.lines(file)
        if file.endswith(".rs"):
            place = self._only(anchor, rust_items(lines, name), file)
            if not is_run(lines[place.first - 1 : place.last], name):
                raise Gap(f"{anchor} is no test that is run: it wants #[test] or #[tokio::test], and no #[ignore]")
            return place
        if file.endswith("/expected.txt"):
            found = [number for number, line in enumerate(lines, start=1) if line.split()[:3] == [name, "OK", "OK"]]
            return self._only(anchor, [(number, number) for number in found], file)
        return self._only(anchor, [found[1:] for found in script_tests(lines) if found[0] == name], file)

    def tests(self):
        """Every test of the project that is run, whatever language it is written in."""
        for path in sorted([*self.root.glob("crates/**/*.rs"), *self.root.glob("conformance/**/*")]):
            file = path.relative_to(self.root).as_posix()
            if "node_modules" in Path(file).parts:
                continue
            if file.endswith(".rs"):
                found = rust_tests(self.lines(file))
            elif file.endswith((".test.js", ".test.mjs", "_test.py")):
                found = script_tests(self.lines(file))
            else:
                continue
            for name, first, last in found:
                yield Test(name, Place(file, first, last))

    def odd_citations(self):
        """Where an RFC is cited in another form than `RFC 6455 §5.1`, which nothing would find."""
        rfc = r"RFC ?(?:6455|7692|8441)"
        odd = re.compile(rf"{rfc},? (?:\(?[Ss]ection|[Ss]ec\.|item|\d)|RFC(?:6455|7692|8441)|§[\d.]+ of {rfc}")
        for path in sorted(self.root.glob("crates/**/*.rs")):
            file = path.relative_to(self.root).as_posix()
            for number, line in enumerate(self.lines(file), start=1):
                if found := odd.search(line):
                    yield f"{file}:{number} says {found[0]!r}; write it as RFC 6455 §5.1"

    def citation(self, place, rfc, section):
        """The line in `place` that cites this very section of the RFC, or None."""
        for number in range(place.first, place.last + 1):
            if (rfc, section) in cited_sections(self.lines(place.file)[number - 1]):
                return number
        return None

    def _only(self, anchor, found, file):
        if len(found) == 1:
            return Place(file, *found[0])
        _, name = split(anchor)
        if not found:
            raise Gap(f"{file} has no {name}; name what stands there now")
        raise Gap(f"{file} has {name} {len(found)} times; write Type::{name}, or give one another name")


def split(anchor):
    file, _, name = anchor.partition(" ")
    if not name:
        raise Gap(f"{anchor!r} should be a file, a blank, and a name")
    return file, name


SECTION = r"§\d+(?:\.\d+)*(?: items? \d[\d.]*(?: and \d+)?)?"
CITATION = re.compile(rf"RFC (\d+) ({SECTION}(?:(?:, | and ){SECTION})*)")


def cited_sections(line):
    """The sections in `RFC 6455 §5.4, §5.5.2 and §8.1`, each with the number of its RFC and without its paragraph sign."""
    return {
        (int(rfc), section)
        for rfc, sections in CITATION.findall(line)
        for section in re.findall(r"§(\d+(?:\.\d+)*)", sections)
    }


ITEM = r"(?:pub(?:\([^)]*\))? )?(?:(?:const|async) )*(?:fn|struct|enum|trait|const|static|type|mod) "


def rust_items(lines, name):
    """The first and last lines of each item of this name, as rustfmt indents it."""
    owner, _, name = name.rpartition("::")
    scopes = [(1, len(lines))]
    start = re.compile(rf" *{ITEM}{re.escape(name)}\b")
    if owner:
        of_owner = re.compile(rf"(?:(?:unsafe )?impl\b.*|{ITEM})\b{re.escape(owner)}\b.*{{$")
        scopes = [(i, end_of(lines, i)) for i, line in enumerate(lines, start=1) if of_owner.match(line)]
        start = re.compile(rf" *(?:{ITEM})?{re.escape(name)}\b(?=$|[<(:,;{{ ])")
    found = []
    for first, last in scopes:
        # An item of an owner stands one step within it; what is deeper only mentions the name.
        depth = indentation(lines[first - 1]) + 4 if owner else None
        for number in range(first + bool(owner), last + 1):
            line = lines[number - 1]
            if start.match(line) and depth in (None, indentation(line)):
                found.append((with_comments(lines, number), end_of(lines, number)))
    return found


def end_of(lines, number):
    """The last line of the item that begins at a line: the next one as far left that ends something."""
    depth = indentation(lines[number - 1])
    for end in range(number, len(lines) + 1):
        line = lines[end - 1]
        if line and indentation(line) == depth and line.endswith(("}", ";", ",")):
            return end
    return len(lines)


def with_comments(lines, number):
    while number > 1 and lines[number - 2].strip().startswith(("//", "#[")):
        number -= 1
    return number


def indentation(line):
    return len(line) - len(line.lstrip())


def is_run(lines, name):
    above = []
    for line in lines:
        if f"fn {name}" in line:
            break
        above.append(line.strip())
    return any(re.match(r"#\[(tokio::)?test\b", line) for line in above) and not any("#[ignore" in line for line in above)


def rust_tests(lines):
    for number, line in enumerate(lines, start=1):
        function = re.match(r" *(?:pub )?(?:async )?fn (\w+)", line)
        if not function:
            continue
        first = with_comments(lines, number)
        if is_run(lines[first - 1 : number], function[1]):
            yield function[1], first, end_of(lines, number)


def script_tests(lines):
    """The tests of node's runner and of Python's, which are not skipped."""
    for number, line in enumerate(lines, start=1):
        start = re.match(r'( *)(?:(?:test|it)\("((?:[^"\\]|\\.)*)"|(?:async )?def (test_\w+))', line)
        if not start or "skip: true" in line:
            continue
        inner = len(start[1]) + 1
        end = number
        while end < len(lines) and (not lines[end].strip() or indentation(lines[end]) >= inner):
            end += 1
        yield start[2] or start[3].removeprefix("test_"), number, end

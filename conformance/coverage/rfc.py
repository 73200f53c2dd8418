"""docs/rfc-coverage.md: each MUST of the RFCs, the line that keeps it, and the test that proves it."""

import tomllib
from typing import NamedTuple

from source import Gap, split

BINDS = {"server", "client", "both"}

HEAD = """\
# Where the RFCs are kept

Every sentence of {rfcs} with MUST, MUST NOT, SHALL, SHALL NOT or REQUIRED, and every "must" in small letters, in the order of
the text; of the lists that such a sentence introduces, each item. A rule's number is its section and its place there. The
line cites the section, and so does the test.

Made by `conformance/coverage/run --write` from the tables in [conformance/coverage](../conformance/coverage): change those,
not this.
"""


class Rule(NamedTuple):
    id: str
    text: str
    binds: str
    keeps: list
    tests: list
    note: str
    open: str

    @property
    def section(self):
        return self.id.partition("-")[0]


class Other(NamedTuple):
    id: str
    text: str
    binds: str
    why: str


class Rfc(NamedTuple):
    """One RFC: what binds a server or a client, and what binds others."""

    number: int
    title: str
    rules: list
    others: list
    caveat: str


def read_rfc(text):
    """The table of an RFC, in the order of its text, complete in form."""
    table = tomllib.loads(text)
    rules = [read(Rule, entry, {"keeps": [], "tests": [], "note": "", "open": ""}) for entry in table.get("rule", [])]
    others = [read(Other, entry, {}) for entry in table.get("other", [])]
    for rule in rules:
        if rule.binds not in BINDS:
            raise Gap(f"{rule.id} binds {rule.binds!r}; expected one of {', '.join(sorted(BINDS))}, or an [[other]]")
    check_numbers([entry.id for entry in [*rules, *others]])
    return Rfc(table["number"], table["title"], rules, others, table.get("caveat", ""))


def read(kind, entry, defaults):
    values = defaults | entry
    if set(values) != set(kind._fields):
        odd = ", ".join(sorted(set(values) ^ set(kind._fields)))
        raise Gap(f"{entry.get('id', 'an entry without id')} lacks, or should not have: {odd}")
    return kind(**values)


def check_numbers(ids):
    """Each section's rules are numbered from 1 without a hole, whichever table they stand in: none can be dropped."""
    sections = {}
    for id in ids:
        section, _, number = id.partition("-")
        if not number.isdigit():
            raise Gap(f"{id!r} should be a section and a running number, such as 5.1-2")
        sections.setdefault(section, []).append(int(number))
    for section, numbers in sections.items():
        if sorted(numbers) != list(range(1, len(numbers) + 1)):
            raise Gap(f"the rules of §{section} should be numbered 1 to {len(numbers)}, and are {sorted(numbers)}")


def gaps(rfc, sources):
    """What is wrong, one sentence each."""
    return [f"RFC {rfc.number}, {gap}" for rule in rfc.rules for gap in gaps_of(rule, rfc.number, sources)]


def gaps_of(rule, number, sources):
    if rule.open:
        if rule.keeps or rule.tests:
            yield f"{rule.id} is open, and names what keeps or proves it; one of the two is not so"
        return
    if not rule.keeps:
        yield f"{rule.id} names no line that keeps it; add keeps, or open with the reason"
    if not rule.tests:
        yield f"{rule.id} names no test that proves it; write one and add tests, or open with the reason"
    for find, anchor in [*((sources.item, a) for a in rule.keeps), *((sources.test, a) for a in rule.tests)]:
        try:
            place = find(anchor)
        except Gap as gap:
            yield f"{rule.id}: {gap}"
            continue
        if cites_nothing(place.file):
            continue
        if sources.citation(place, number, rule.section) is None:
            lines = f"lines {place.first} to {place.last}"
            yield f"{rule.id}: {anchor} does not cite RFC {number} §{rule.section} in {lines} (or above it)"


def cites_nothing(file):
    """Autobahn's cases are named by its own numbers."""
    return file.endswith("/expected.txt")


def render(rfcs, sources):
    links = " and ".join(f"[RFC {rfc.number}](https://www.rfc-editor.org/rfc/rfc{rfc.number})" for rfc in rfcs)
    return "\n".join([HEAD.format(rfcs=links), *(line for rfc in rfcs for line in lines_of(rfc, sources))])


def lines_of(rfc, sources):
    kept = [rule for rule in rfc.rules if not rule.open]
    lines = [f"## RFC {rfc.number}, {rfc.title}", ""]
    lines += [rfc.caveat, ""] if rfc.caveat else []
    lines += [f"{len(kept)} of {len(rfc.rules)} rules for a server or a client are kept and proved.", ""]
    is_open = [rule for rule in rfc.rules if rule.open]
    if is_open:
        lines += ["| rule | binds | what is missing |", "|---|---|---|"]
        lines += [f"| {rule.id} | {rule.binds} | {rule.open} |" for rule in is_open] + [""]
    lines += ["### Rules for a server or a client", ""]
    lines += ["| rule | binds | sentence | kept at | proved by |", "|---|---|---|---|---|"]
    for rule in in_order(rfc.rules):
        text = escaped(rule.text) + (f"<br>*{escaped(rule.note)}*" if rule.note else "")
        keeps = "<br>".join(link(sources, rfc, rule, anchor, sources.item(anchor)) for anchor in rule.keeps)
        tests = "<br>".join(link(sources, rfc, rule, anchor, sources.test(anchor)) for anchor in rule.tests)
        lines.append(f"| {rule.id} | {rule.binds} | {text} | {keeps or rule.open} | {tests or rule.open} |")
    lines += ["", "### Rules for others", "", "| rule | binds | sentence | why it is not ours |", "|---|---|---|---|"]
    lines += [
        f"| {other.id} | {other.binds} | {escaped(other.text)} | {other.why} |" for other in in_order(rfc.others)
    ]
    return [*lines, ""]


def escaped(text):
    return text.replace("|", "\\|")


def in_order(entries):
    return sorted(entries, key=lambda entry: [int(part) for part in entry.id.replace("-", ".").split(".")])


def link(sources, rfc, rule, anchor, place):
    _, name = split(anchor)
    line = sources.citation(place, rfc.number, rule.section) or place.first
    shown = f"Autobahn {name}" if cites_nothing(place.file) else name.replace("_", "\\_")
    return f"[{shown}](../{place.file}#L{line})"


def summary(rfc):
    is_open = sum(bool(rule.open) for rule in rfc.rules)
    rules, others = len(rfc.rules), len(rfc.others)
    return f"RFC {rfc.number}: {rules} rules, {rules - is_open} kept and proved, {is_open} open; {others} bind others"

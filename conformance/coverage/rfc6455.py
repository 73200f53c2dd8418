"""docs/rfc-coverage.md: each MUST of RFC 6455, the line that keeps it, and the test that proves it."""

import tomllib
from typing import NamedTuple

from source import Gap, split

BINDS = {"server", "client", "both"}

HEAD = """\
# Where RFC 6455 is kept

Every sentence of [RFC 6455](https://www.rfc-editor.org/rfc/rfc6455) with MUST, MUST NOT, SHALL, SHALL NOT or REQUIRED,
and every "must" in small letters, in the order of the text; of the lists that such a sentence introduces, each item. A
rule's number is its section and its place there. The line cites the section, and so does the test.

Made by `conformance/coverage/run --write` from [rfc6455.toml](../conformance/coverage/rfc6455.toml): change that, not this.
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


def read_rules(text):
    """The rules and the others of rfc6455.toml, in the order of the RFC, complete in form."""
    table = tomllib.loads(text)
    rules = [read(Rule, entry, {"keeps": [], "tests": [], "note": "", "open": ""}) for entry in table.get("rule", [])]
    others = [read(Other, entry, {}) for entry in table.get("other", [])]
    for rule in rules:
        if rule.binds not in BINDS:
            raise Gap(f"{rule.id} binds {rule.binds!r}; expected one of {', '.join(sorted(BINDS))}, or an [[other]]")
    check_numbers([entry.id for entry in [*rules, *others]])
    return rules, others


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


def gaps(rules, sources):
    """What is wrong, one sentence each."""
    found = []
    for rule in rules:
        if rule.open:
            if rule.keeps or rule.tests:
                found.append(f"{rule.id} is open, and names what keeps or proves it; one of the two is not so")
            continue
        if not rule.keeps:
            found.append(f"{rule.id} names no line that keeps it; add keeps, or open with the reason")
        if not rule.tests:
            found.append(f"{rule.id} names no test that proves it; write one and add tests, or open with the reason")
        for find, anchor in [*((sources.item, a) for a in rule.keeps), *((sources.test, a) for a in rule.tests)]:
            try:
                place = find(anchor)
            except Gap as gap:
                found.append(f"{rule.id}: {gap}")
                continue
            if cites_nothing(place.file):
                continue
            if sources.citation(place, rule.section) is None:
                lines = f"lines {place.first} to {place.last}"
                found.append(f"{rule.id}: {anchor} does not cite RFC 6455 §{rule.section} in {lines} (or above it)")
    return found


def cites_nothing(file):
    """Autobahn's cases are named by its own numbers."""
    return file.endswith("/expected.txt")


def render(rules, others, sources):
    kept = [rule for rule in rules if not rule.open]
    lines = [HEAD, f"{len(kept)} of {len(rules)} rules for a server or a client are kept and proved.", ""]
    is_open = [rule for rule in rules if rule.open]
    if is_open:
        lines += ["| rule | binds | what is missing |", "|---|---|---|"]
        lines += [f"| {rule.id} | {rule.binds} | {rule.open} |" for rule in is_open] + [""]
    lines += ["## Rules for a server or a client", ""]
    lines += ["| rule | binds | sentence | kept at | proved by |", "|---|---|---|---|---|"]
    for rule in in_order(rules):
        text = escaped(rule.text) + (f"<br>*{escaped(rule.note)}*" if rule.note else "")
        keeps = "<br>".join(link(sources, rule, anchor, sources.item(anchor)) for anchor in rule.keeps)
        tests = "<br>".join(link(sources, rule, anchor, sources.test(anchor)) for anchor in rule.tests)
        lines.append(f"| {rule.id} | {rule.binds} | {text} | {keeps or rule.open} | {tests or rule.open} |")
    lines += ["", "## Rules for others", "", "| rule | binds | sentence | why it is not ours |", "|---|---|---|---|"]
    lines += [f"| {other.id} | {other.binds} | {escaped(other.text)} | {other.why} |" for other in in_order(others)]
    return "\n".join(lines) + "\n"


def escaped(text):
    return text.replace("|", "\\|")


def in_order(entries):
    return sorted(entries, key=lambda entry: [int(part) for part in entry.id.replace("-", ".").split(".")])


def link(sources, rule, anchor, place):
    _, name = split(anchor)
    line = sources.citation(place, rule.section) or place.first
    shown = f"Autobahn {name}" if cites_nothing(place.file) else name.replace("_", "\\_")
    return f"[{shown}](../{place.file}#L{line})"


def summary(rules, others):
    is_open = sum(bool(rule.open) for rule in rules)
    return f"RFC 6455: {len(rules)} rules, {len(rules) - is_open} kept and proved, {is_open} open; {len(others)} bind others"

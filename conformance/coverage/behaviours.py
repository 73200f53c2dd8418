"""docs/behaviours.md: each behaviour of the reference, and the tests whose names hold its number."""

import re
from typing import NamedTuple

from source import Gap

HEAD = """\
# What wharf does as the reference does

The behaviours of the npm package `websocket` that wharf brings to Rust, as
[behaviours.txt](../conformance/coverage/behaviours.txt) numbers them, and the tests that prove each one: those whose
names hold its number.

Made by `conformance/coverage/run --write`.
"""

KINDS = ("default", "effect", "disabled", "bad")
NUMBER = re.compile(r"(?<![a-z0-9])([srocfkt])(\d+)_(\d+|default|effect|disabled|bad)(?![a-z0-9])")
LINE = re.compile(rf"([SROCFKT]\d+(?:\.\d+| (?:{'|'.join(KINDS)}))) (.+)")


class Behaviour(NamedTuple):
    number: str
    text: str
    chapter: str

    @property
    def same_as(self):
        """The numbers whose tests prove this one."""
        return self.text.removeprefix("= ").split(", ") if self.text.startswith("= ") else [self.number]

    @property
    def needs_test(self):
        return not self.text.startswith("by type: ")


def read_behaviours(text):
    behaviours, chapter = {}, ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("## "):
            chapter = line.removeprefix("## ")
        elif line and not line.startswith("#"):
            match = LINE.fullmatch(line)
            if not match:
                raise Gap(f"line {number} should be a number and a sentence: {line!r}")
            if match[1] in behaviours:
                raise Gap(f"line {number} has {match[1]} again")
            behaviours[match[1]] = Behaviour(match[1], match[2], chapter)
    for behaviour in behaviours.values():
        for other in behaviour.same_as:
            if other not in behaviours:
                raise Gap(f"{behaviour.number} is to be proved as {other}, which there is not")
    return list(behaviours.values())


def numbers_in(name):
    """The numbers that a test's name holds: `C7.2`, `O3 default`."""
    for letter, clause, rest in NUMBER.findall(name.replace(".", "_").lower()):
        yield f"{letter.upper()}{clause}{' ' if rest in KINDS else '.'}{rest}"


def proofs(behaviours, tests):
    """Number → the tests that prove it."""
    by_number = {}
    for test in tests:
        for number in set(numbers_in(test.name)):
            by_number.setdefault(number, []).append(test)
    return {b.number: [test for other in b.same_as for test in by_number.get(other, [])] for b in behaviours}


def missing(behaviours, proofs):
    return [b.number for b in behaviours if b.needs_test and not proofs[b.number]]


def read_awaited(text):
    """The numbers of behaviours-awaited.txt: those that may be without a test until it is written."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def strike_off(text, behaviours, proofs):
    """The same file without the numbers that have their tests now."""
    without = missing(behaviours, proofs)
    lines = [line for line in text.splitlines() if not line.strip() or line.startswith("#") or line.strip() in without]
    return "\n".join(lines) + "\n"


def gaps(behaviours, proofs, awaited):
    without = missing(behaviours, proofs)
    known = [b.number for b in behaviours]
    found = [f"{number} has no test; write one whose name begins with {as_name(number)}"
             for number in without if number not in awaited]
    found += [f"{number} is awaited, and has its test; run with --write to strike it off"
              for number in awaited if number in known and number not in without]
    found += [f"{number} is awaited, and is no behaviour" for number in awaited if number not in known]
    return found


def as_name(number):
    return re.sub(r"[. ]", "_", number.lower())


def render(behaviours, proofs):
    lines = [HEAD, summary(behaviours, proofs) + "."]
    chapter = None
    for behaviour in behaviours:
        if behaviour.chapter != chapter:
            chapter = behaviour.chapter
            lines += ["", f"## {chapter}", "", "| number | behaviour | tests |", "|---|---|---|"]
        lines.append(f"| {behaviour.number} | {sentence(behaviour)} | {tests_of(behaviour, proofs)} |")
    return "\n".join(lines) + "\n"


def sentence(behaviour):
    if behaviour.text.startswith("= "):
        return f"As {', '.join(behaviour.same_as)}."
    return behaviour.text.removeprefix("by type: ")


def tests_of(behaviour, proofs):
    if not behaviour.needs_test:
        return "by its type"
    links = (f"[{test.name.replace('_', chr(92) + '_')}](../{test.place.file})" for test in proofs[behaviour.number])
    return "<br>".join(links) or "**awaited**"


def summary(behaviours, proofs):
    without = missing(behaviours, proofs)
    proved = len(behaviours) - len(without)
    return f"Behaviours: {proved} of {len(behaviours)} proved, {len(without)} awaited"

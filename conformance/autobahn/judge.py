"""What the Autobahn|Testsuite reported, held against what the project expects of itself."""

import fnmatch
import json
from pathlib import Path
from typing import NamedTuple


class Verdict(NamedTuple):
    """What the suite says about a case, in its words (OK, NON-STRICT, INFORMATIONAL, FAILED, ...)."""

    behavior: str
    behavior_close: str


class Expectation(NamedTuple):
    verdict: Verdict
    slow: bool


class Report(NamedTuple):
    verdict: Verdict
    file: Path


class Difference(NamedTuple):
    case: str
    what: str
    file: Path | None


class Unusable(Exception):
    """The question makes no sense, so that there is no answer to judge."""


def read_expectations(text):
    """Case → Expectation, in the order of the file. A line is `CASE BEHAVIOR BEHAVIOR-CLOSE [slow]`."""
    expectations = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        case, *verdict = words
        slow = verdict[2:] == ["slow"]
        if len(verdict) != 2 + slow or "slow" in verdict[:2]:
            raise Unusable(f"line {number} should be `CASE BEHAVIOR BEHAVIOR-CLOSE [slow]`: {line!r}")
        if case in expectations:
            raise Unusable(f"line {number} names case {case} again")
        expectations[case] = Expectation(Verdict(*verdict[:2]), slow)
    return expectations


def select(expectations, cases):
    """The expectations that `full`, `fast` or a list such as `6.*,!6.4.*` stands for."""
    if cases == "full":
        return expectations
    if cases == "fast":
        return {case: expected for case, expected in expectations.items() if not expected.slow}
    chosen, left_out = set(), set()
    for pattern in cases.split(","):
        found = fnmatch.filter(expectations, pattern.removeprefix("!"))
        if not found:
            raise Unusable(f"no expected case is called {pattern.removeprefix('!')!r}")
        (left_out if pattern.startswith("!") else chosen).update(found)
    if not chosen - left_out:
        raise Unusable(f"{cases!r} leaves no case to run")
    return {case: expectations[case] for case in expectations if case in chosen - left_out}


def read_reports(folders):
    """Case → Report, from the index that each of the suite's processes leaves in its folder when it ends."""
    reports = {}
    for folder in folders:
        index = folder / "index.json"
        if not index.exists():
            continue
        for cases in json.loads(index.read_text()).values():
            for case, entry in cases.items():
                verdict = Verdict(entry["behavior"], entry["behaviorClose"])
                reports[case] = Report(verdict, folder / entry["reportfile"])
    return reports


def differences(expectations, reports):
    """Every case whose verdict is not the expected one, for worse or for better, in the order of the expectations."""
    found = []
    for case, (expected, _) in expectations.items():
        if case not in reports:
            found.append(Difference(case, "has no report", None))
            continue
        came, file = reports[case]
        unlike = [
            f"{name} should be {wanted}, and was {got}"
            for name, wanted, got in zip(("behavior", "behaviorClose"), expected, came)
            if wanted != got
        ]
        if unlike:
            found.append(Difference(case, "; ".join(unlike), file))
    for case in reports.keys() - expectations.keys():
        found.append(Difference(case, "was not expected to run", reports[case].file))
    return found


def print_details(file):
    """The suite's own reasons, for a case that went otherwise than expected."""
    report = json.loads(file.read_text())
    print(f"    result: {report['result']}")
    print(f"    close:  {report['resultClose']}")
    print(f"    report: {file.with_suffix('.html')}")

import unittest
from collections import Counter
from pathlib import Path

import rfc
from source import Gap
from source_test import sources

RULES = """\
number = 6455
title = "The WebSocket Protocol"

[[rule]]
id = "5.1-1"
text = "a client MUST mask |all| frames."
binds = "client"
keeps = ["crates/a.rs mask"]
tests = ["crates/a.rs masks", "conformance/autobahn/expected.txt 1.1.1"]
note = "Each."

[[other]]
id = "5.1-2"
text = "An intermediary MUST NOT."
binds = "intermediaries"
why = "wharf is none."

[[rule]]
id = "5.10-1"
text = "The server MUST."
binds = "server"
open = "not written yet"
"""

CODE = """\
/// RFC 6455 §5.1
fn mask() {}

#[test]
fn masks() {
    // RFC 6455 §5.1
}

#[test]
fn cites_nothing() {}
"""

FILES = {"crates/a.rs": CODE, "conformance/autobahn/expected.txt": "1.1.1 OK OK\n"}


def gaps(rules, files=FILES):
    return [gap.removeprefix("RFC 6455, ") for gap in rfc.gaps(rfc.read_rfc(rules), sources(files))]


class Reading(unittest.TestCase):
    def test_rules_and_others_are_told_apart(self):
        number, title, rules, others, caveat = rfc.read_rfc(RULES)
        self.assertEqual((number, title, caveat), (6455, "The WebSocket Protocol", ""))
        self.assertEqual([rule.id for rule in rules], ["5.1-1", "5.10-1"])
        self.assertEqual([other.why for other in others], ["wharf is none."])
        self.assertEqual(rules[0].section, "5.1")

    def test_what_is_not_complete_or_not_known_is_refused(self):
        for change, message in (
            (('binds = "client"', 'binds = "browser"'), "5.1-1 binds 'browser'"),
            (('why = "wharf is none."\n', ""), "5.1-2 lacks, or should not have: why"),
            (('note = "Each."', 'nota = "Each."'), "5.1-1 lacks, or should not have: nota"),
            (('id = "5.1-1"', 'id = "5.1"'), "should be a section and a running number"),
        ):
            with self.subTest(message), self.assertRaisesRegex(Gap, message):
                rfc.read_rfc(RULES.replace(*change))

    def test_a_rule_that_was_dropped_leaves_a_hole(self):
        for id in ("5.1-1", "5.1-3"):
            with self.subTest(id), self.assertRaisesRegex(Gap, "§5.1 should be numbered 1 to 2"):
                rfc.read_rfc(RULES.replace("5.1-2", id))


class Gaps(unittest.TestCase):
    def test_what_is_kept_proved_and_cited_has_none(self):
        self.assertEqual(gaps(RULES), [])

    def test_a_rule_without_a_line_or_a_test_has_them(self):
        found = gaps(RULES.replace('open = "not written yet"', ""))
        self.assertEqual([gap.partition(";")[0] for gap in found],
                         ["5.10-1 names no line that keeps it", "5.10-1 names no test that proves it"])

    def test_a_rule_that_is_open_and_has_them_is_one(self):
        found = gaps(RULES.replace('note = "Each."', 'open = "not yet"'))
        self.assertEqual(found, ["5.1-1 is open, and names what keeps or proves it; one of the two is not so"])

    def test_a_citation_that_is_gone_is_one(self):
        found = gaps(RULES.replace("a.rs masks", "a.rs cites_nothing"))
        self.assertEqual(found, ["5.1-1: crates/a.rs cites_nothing does not cite RFC 6455 §5.1 in lines 9 to 10 (or above it)"])
        found = gaps(RULES, FILES | {"crates/a.rs": CODE.replace("/// RFC 6455 §5.1", "/// RFC 6455 §5.10")})
        self.assertEqual(len(found), 1)

    def test_an_item_or_a_test_that_is_gone_is_one(self):
        found = gaps(RULES, FILES | {"crates/a.rs": CODE.replace("fn mask", "fn hide")})
        self.assertRegex(found[0], "5.1-1: crates/a.rs has no mask")
        found = gaps(RULES, FILES | {"conformance/autobahn/expected.txt": "1.1.1 FAILED OK\n"})
        self.assertRegex(found[0], "5.1-1: .* has no 1.1.1")


class Page(unittest.TestCase):
    def test_each_rule_links_to_the_line_that_cites_it(self):
        page = rfc.render([rfc.read_rfc(RULES)], sources(FILES))
        self.assertIn("| 5.1-1 | client | a client MUST mask \\|all\\| frames.<br>*Each.* | [mask](../crates/a.rs#L1) |", page)
        self.assertIn("[masks](../crates/a.rs#L6)<br>[Autobahn 1.1.1](../conformance/autobahn/expected.txt#L1) |", page)
        self.assertIn("| 5.1-2 | intermediaries | An intermediary MUST NOT. | wharf is none. |", page)

    def test_a_caveat_stands_under_the_title(self):
        page = rfc.render([rfc.read_rfc('caveat = "Not all."\n' + RULES)], sources(FILES))
        self.assertIn("## RFC 6455, The WebSocket Protocol\n\nNot all.\n\n1 of 2 rules", page)

    def test_what_is_open_is_said_first(self):
        page = rfc.render([rfc.read_rfc(RULES)], sources(FILES))
        self.assertIn("1 of 2 rules for a server or a client are kept and proved.", page)
        self.assertLess(page.index("| 5.10-1 | server | not written yet |"), page.index("| 5.1-1 |"))
        self.assertNotIn("|  |", page)


class TheProjectsOwn(unittest.TestCase):
    """RFC 6455 was counted in its text, section by section. RFC 7692 was not: its numbers keep the list from shrinking."""

    def counted(self, number):
        table = rfc.read_rfc(Path(rfc.__file__).with_name(f"rfc{number}.toml").read_text())
        return Counter(entry.id.partition("-")[0] for entry in [*table.rules, *table.others])

    def test_no_sentence_of_rfc_7692_that_is_listed_is_dropped(self):
        self.assertEqual(self.counted(7692), {
            "2": 1, "5": 4, "5.1": 1, "6.1": 10, "6.2": 5, "7": 10, "7.1.1.2": 1, "7.1.2.1": 2, "7.1.2.2": 3, "7.2.1": 6,
            "7.2.2": 4,
        })

    def test_every_sentence_of_rfc_6455_is_counted(self):
        self.assertEqual(self.counted(6455), {
            "1.3": 2, "2": 2, "2.1": 1, "3": 2, "4.1": 35, "4.2.1": 8, "4.2.2": 14, "4.3": 1, "4.4": 1, "5.1": 4,
            "5.2": 9, "5.3": 3, "5.4": 11, "5.5": 1, "5.5.1": 7, "5.5.2": 1, "5.5.3": 1, "5.6": 1, "5.8": 1, "6.1": 8,
            "6.2": 5, "7.1.2": 1, "7.1.7": 3, "7.2.1": 2, "7.2.2": 1, "7.4.1": 3, "8.1": 1, "9": 2, "9.1": 5,
            "10.1": 1, "10.3": 4, "10.4": 1, "10.6": 1, "10.7": 1, "11.1.1": 2, "11.1.2": 2, "11.3.1": 1, "11.3.2": 1,
            "11.3.3": 1, "11.3.4": 1, "11.3.5": 1, "11.4": 1, "11.5": 1, "11.6": 1,
        })

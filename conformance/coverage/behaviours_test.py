import unittest
from pathlib import Path

import behaviours
from source import Gap, Place, Test

TEXT = """\
# What is numbered.

## Server
S1.1 It is mounted nowhere.
S1.2 It serves at once.

## Options
O1 default = S1.1, S1.2
O2 bad 0 is an error.
R10.3 by type: it does not compile.
"""


def test(name):
    return Test(name, Place("crates/a/tests/a.rs", 1, 2))


def proved(names):
    known = behaviours.read_behaviours(TEXT)
    return known, behaviours.proofs(known, [test(name) for name in names])


class Reading(unittest.TestCase):
    def test_numbers_sentences_and_chapters_are_read_in_their_order(self):
        known = behaviours.read_behaviours(TEXT)
        self.assertEqual([b.number for b in known], ["S1.1", "S1.2", "O1 default", "O2 bad", "R10.3"])
        self.assertEqual((known[4].text, known[4].chapter), ("by type: it does not compile.", "Options"))
        self.assertEqual(known[2].same_as, ["S1.1", "S1.2"])

    def test_what_it_would_have_to_guess_at_is_refused(self):
        for line, message in (
            ("S1.3", "line 11 should be a number and a sentence"),
            ("O3 sometimes It is.", "should be a number and a sentence"),
            ("S1.1 Again.", "line 11 has S1.1 again"),
            ("O3 bad = S9.9", "O3 bad is to be proved as S9.9"),
        ):
            with self.subTest(line), self.assertRaisesRegex(Gap, message):
                behaviours.read_behaviours(TEXT + line + "\n")


class Numbers(unittest.TestCase):
    def test_a_name_holds_one_or_several(self):
        for name, numbers in (
            ("c7_1_peer_close_is_answered", ["C7.1"]),
            ("c7_1_c7_2_both", ["C7.1", "C7.2"]),
            ("k3_2_one_fails_and_k3_3_so_does_another", ["K3.2", "K3.3"]),
            ("o3_default_is_1_mib", ["O3 default"]),
            ("o19_1_names", ["O19.1"]),
            ("C7.2 a reason", ["C7.2"]),
            ("c6_a_drop", []),
            ("utf8_1_text", []),
            ("a_hundred_connections", []),
        ):
            with self.subTest(name):
                self.assertEqual(list(behaviours.numbers_in(name)), numbers)


class Gaps(unittest.TestCase):
    def test_a_number_is_proved_by_its_tests_or_those_that_it_names(self):
        known, proofs = proved(["s1_1_a", "s1_2_b", "o2_bad_c"])
        self.assertEqual(behaviours.gaps(known, proofs, []), [])
        self.assertEqual([test.name for test in proofs["O1 default"]], ["s1_1_a", "s1_2_b"])

    def test_a_number_without_a_test_is_one_unless_it_is_awaited(self):
        known, proofs = proved(["s1_1_a", "s1_2_b"])
        self.assertEqual(behaviours.gaps(known, proofs, []), ["O2 bad has no test; write one whose name begins with o2_bad"])
        self.assertEqual(behaviours.gaps(known, proofs, ["O2 bad"]), [])

    def test_what_is_awaited_and_there_is_one_and_is_struck_off(self):
        known, proofs = proved(["s1_1_a", "o2_bad_c"])
        text = "# until they are written\nS1.2\nO2 bad\n"
        found = behaviours.gaps(known, proofs, behaviours.read_awaited(text))
        self.assertEqual(found, ["O2 bad is awaited, and has its test; run with --write to strike it off"])
        self.assertEqual(behaviours.strike_off(text, known, proofs), "# until they are written\nS1.2\n")

    def test_what_is_awaited_and_unknown_is_one(self):
        known, proofs = proved(["s1_1_a", "s1_2_b", "o2_bad_c"])
        self.assertEqual(behaviours.gaps(known, proofs, ["S9.9"]), ["S9.9 is awaited, and is no behaviour"])


class Page(unittest.TestCase):
    def test_no_cell_is_empty(self):
        known, proofs = proved(["s1_1_a", "s1_2_b"])
        page = behaviours.render(known, proofs)
        self.assertIn("| S1.1 | It is mounted nowhere. | [s1\\_1\\_a](../crates/a/tests/a.rs) |", page)
        self.assertIn("| O2 bad | 0 is an error. | **awaited** |", page)
        self.assertIn("| R10.3 | it does not compile. | by its type |", page)
        self.assertIn("Behaviours: 4 of 5 proved, 1 awaited.", page)
        self.assertNotIn("|  |", page)


class TheProjectsOwn(unittest.TestCase):
    def test_no_number_of_a_clause_is_left_out(self):
        known = behaviours.read_behaviours(Path(behaviours.__file__).with_name("behaviours.txt").read_text())
        clauses = {}
        for number in (b.number for b in known if "." in b.number):
            clause, _, line = number.partition(".")
            clauses.setdefault(clause, []).append(int(line))
        for clause, lines in clauses.items():
            with self.subTest(clause):
                self.assertEqual(lines, list(range(1, len(lines) + 1)))
        letters = {letter: [int(clause[1:]) for clause in clauses if clause[0] == letter] for letter in "SRCFKT"}
        self.assertEqual({letter: max(numbers) for letter, numbers in letters.items()},
                         {"S": 12, "R": 15, "C": 12, "F": 1, "K": 9, "T": 9})
        options = {b.number.split()[0] for b in known if b.number[0] == "O" and "." not in b.number}
        self.assertEqual(options, {f"O{number}" for number in range(1, 19)})

import json
import tempfile
import unittest
from pathlib import Path

import judge
from judge import Difference, Expectation, Report, Unusable, Verdict

OK = Verdict("OK", "OK")
NON_STRICT = Verdict("NON-STRICT", "OK")
INFORMATIONAL = Verdict("INFORMATIONAL", "INFORMATIONAL")

EXPECTED = """\
# Comments and empty lines say nothing.

1.1.1   OK             OK
1.1.2   OK             OK
6.4.1   OK             OK   # why
7.1.6   INFORMATIONAL  INFORMATIONAL
9.1.6   OK             OK             slow
10.1.1  OK             OK
"""


def reported(verdicts):
    return {case: Report(verdict, Path(f"{case}.json")) for case, verdict in verdicts.items()}


class ReadingExpectations(unittest.TestCase):
    def test_keeps_the_order_the_verdicts_and_what_is_slow(self):
        expectations = judge.read_expectations(EXPECTED)
        self.assertEqual(list(expectations), ["1.1.1", "1.1.2", "6.4.1", "7.1.6", "9.1.6", "10.1.1"])
        self.assertEqual(expectations["7.1.6"], Expectation(INFORMATIONAL, slow=False))
        self.assertEqual(expectations["9.1.6"], Expectation(OK, slow=True))

    def test_refuses_lines_that_it_would_have_to_guess_at(self):
        for line in ("1.1.1", "1.1.1 OK", "1.1.1 OK OK quick", "1.1.1 OK slow", "1.1.1 OK OK slow slow"):
            with self.subTest(line), self.assertRaises(Unusable):
                judge.read_expectations(line)

    def test_refuses_a_case_that_is_expected_twice(self):
        with self.assertRaisesRegex(Unusable, "line 2 names case 1.1.1 again"):
            judge.read_expectations("1.1.1 OK OK\n1.1.1 FAILED OK\n")

    def test_the_projects_own_file_names_all_cases_of_the_first_ten_groups(self):
        own = judge.read_expectations(Path(judge.__file__).with_name("expected.txt").read_text())
        self.assertEqual(len([case for case in own if int(case.partition(".")[0]) <= 10]), 301)
        exceptions = {case: expected.verdict for case, expected in own.items() if expected.verdict != OK}
        self.assertEqual(exceptions, dict.fromkeys(["7.1.6", "7.13.1", "7.13.2"], INFORMATIONAL))


class Selecting(unittest.TestCase):
    def setUp(self):
        self.expectations = judge.read_expectations(EXPECTED)

    def assert_selects(self, cases, expected):
        self.assertEqual(list(judge.select(self.expectations, cases)), expected)

    def test_full_is_everything(self):
        self.assert_selects("full", ["1.1.1", "1.1.2", "6.4.1", "7.1.6", "9.1.6", "10.1.1"])

    def test_fast_leaves_out_what_is_slow(self):
        self.assert_selects("fast", ["1.1.1", "1.1.2", "6.4.1", "7.1.6", "10.1.1"])

    def test_a_list_names_cases_and_groups_in_any_order(self):
        self.assert_selects("7.1.6,1.*", ["1.1.1", "1.1.2", "7.1.6"])

    def test_a_list_takes_cases_out_again(self):
        self.assert_selects("!1.1.2,1.*", ["1.1.1"])

    def test_refuses_what_names_no_case(self):
        for cases in ("", "11.*", "1.1.1,2.1", "1.*,!2.1", "1.1.1,!1.*", "!1.1.1"):
            with self.subTest(cases), self.assertRaises(Unusable):
                judge.select(self.expectations, cases)


class ReadingReports(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folders = [Path(directory.name, name) for name in ("1", "2")]
        for folder in self.folders:
            folder.mkdir()

    def write_index(self, folder, case, behavior, behavior_close):
        entry = {
            "behavior": behavior,
            "behaviorClose": behavior_close,
            "duration": 2,
            "remoteCloseCode": 1000,
            "reportfile": f"wharf_case_{case.replace('.', '_')}.json",
        }
        (folder / "index.json").write_text(json.dumps({"wharf": {case: entry}}))

    def test_joins_the_indexes_of_all_folders(self):
        first, second = self.folders
        self.write_index(first, "1.1.1", "OK", "OK")
        self.write_index(second, "3.2", "NON-STRICT", "OK")
        self.assertEqual(
            judge.read_reports(self.folders),
            {
                "1.1.1": Report(OK, first / "wharf_case_1_1_1.json"),
                "3.2": Report(NON_STRICT, second / "wharf_case_3_2.json"),
            },
        )

    def test_a_folder_without_an_index_reports_nothing(self):
        self.write_index(self.folders[0], "1.1.1", "OK", "OK")
        self.assertEqual(list(judge.read_reports(self.folders)), ["1.1.1"])


class Judging(unittest.TestCase):
    def setUp(self):
        self.expectations = judge.select(judge.read_expectations(EXPECTED), "1.1.1,7.1.6")

    def assert_differences(self, reports, *expected):
        self.assertEqual(judge.differences(self.expectations, reports), list(expected))

    def test_what_comes_as_expected_is_no_difference(self):
        self.assert_differences(reported({"1.1.1": OK, "7.1.6": INFORMATIONAL}))

    def test_a_worse_behavior_is_a_difference(self):
        self.assert_differences(
            reported({"1.1.1": NON_STRICT, "7.1.6": INFORMATIONAL}),
            Difference("1.1.1", "behavior should be OK, and was NON-STRICT", Path("1.1.1.json")),
        )

    def test_a_worse_close_alone_is_a_difference(self):
        self.assert_differences(
            reported({"1.1.1": Verdict("OK", "UNCLEAN"), "7.1.6": INFORMATIONAL}),
            Difference("1.1.1", "behaviorClose should be OK, and was UNCLEAN", Path("1.1.1.json")),
        )

    def test_a_better_verdict_is_a_difference(self):
        self.assert_differences(
            reported({"1.1.1": OK, "7.1.6": OK}),
            Difference(
                "7.1.6",
                "behavior should be INFORMATIONAL, and was OK; behaviorClose should be INFORMATIONAL, and was OK",
                Path("7.1.6.json"),
            ),
        )

    def test_a_case_without_a_report_is_a_difference(self):
        self.assert_differences(reported({"7.1.6": INFORMATIONAL}), Difference("1.1.1", "has no report", None))

    def test_a_case_that_nobody_asked_for_is_a_difference(self):
        self.assert_differences(
            reported({"1.1.1": OK, "7.1.6": INFORMATIONAL, "2.1": OK}),
            Difference("2.1", "was not expected to run", Path("2.1.json")),
        )


if __name__ == "__main__":
    unittest.main()

import atexit
import tempfile
import unittest
from pathlib import Path

import source
from source import Gap, Place, Sources

RUST = """\
//! A file.

/// Adds, as RFC 6455 §5.1 says.
#[must_use]
pub const fn add(
    left: u8,
    right: u8,
) -> u8 {
    left + right
}

const LIMITS: [u8; 2] = [
    1,
    2,
];

impl<S: Transport> Driver<S> {
    /// RFC 6455 §7.1.1
    pub fn end(&mut self) {
        self.read();
        // RFC 6455 §5.5.1 item 2, §5.5.2
    }

    fn read(&self) {}
}

impl Reader {
    fn read(&self) {}
}

enum Error {
    /// RFC 6455 §8.1
    InvalidUtf8,
    TooLong { length: usize },
}

proptest! {
    #[test]
    fn anything_goes(
        byte in any::<u8>(),
    ) {
        read(byte);
    }
}

#[tokio::test]
async fn c7_1_it_waits() {
    wait().await;
}

#[test]
#[ignore = "slow"]
fn c7_2_it_is_left_out() {}

fn c7_3_helps_the_others() {}
"""

NODE = """\
test("a text comes back", async () => {
  // RFC 6455 §5.6
  send();
});

  it("C7.4 within a group", () => {});
test("is left out", { skip: true }, () => {});
"""

PYTHON = """\
class Messages(unittest.TestCase):
    async def test_texts_come_back(self):
        send()

        receive()

    def helper(self):
        pass
"""


FOLDERS = tempfile.TemporaryDirectory()
atexit.register(FOLDERS.cleanup)


def sources(files):
    folder = Path(tempfile.mkdtemp(dir=FOLDERS.name))
    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Sources(folder)


class Items(unittest.TestCase):
    def setUp(self):
        self.sources = sources({"crates/a/src/a.rs": RUST})

    def text(self, name):
        place = self.sources.item(f"crates/a/src/a.rs {name}")
        lines = self.sources.lines(place.file)[place.first - 1 : place.last]
        return lines[0].strip(), lines[-1].strip(), len(lines)

    def test_a_function_reaches_from_its_comments_to_its_brace(self):
        self.assertEqual(self.text("add"), ("/// Adds, as RFC 6455 §5.1 says.", "}", 8))

    def test_a_constant_reaches_to_its_semicolon(self):
        self.assertEqual(self.text("LIMITS"), ("const LIMITS: [u8; 2] = [", "];", 4))

    def test_a_method_is_found_in_its_types_own_block(self):
        self.assertEqual(self.text("Driver::end"), ("/// RFC 6455 §7.1.1", "}", 5))
        self.assertEqual(self.text("Driver::read"), ("fn read(&self) {}", "fn read(&self) {}", 1))

    def test_a_variant_is_an_item_of_its_enum(self):
        self.assertEqual(self.text("Error::InvalidUtf8"), ("/// RFC 6455 §8.1", "InvalidUtf8,", 2))
        self.assertEqual(self.text("Error::TooLong")[2], 1)

    def test_what_is_not_there_and_what_is_there_twice_is_said(self):
        with self.assertRaisesRegex(Gap, "a.rs has no sub; name what stands there now"):
            self.text("sub")
        with self.assertRaisesRegex(Gap, "has read 2 times; write Type::read"):
            self.text("read")
        with self.assertRaisesRegex(Gap, "has no Reader::end"):
            self.text("Reader::end")
        with self.assertRaisesRegex(Gap, "crates/b.rs does not exist"):
            self.sources.item("crates/b.rs add")
        with self.assertRaisesRegex(Gap, "should be a file, a blank, and a name"):
            self.sources.item("crates/a/src/a.rs")


class Tests(unittest.TestCase):
    FILES = {
        "crates/a/src/a.rs": RUST,
        "conformance/clients/a.test.js": NODE,
        "conformance/clients/a_test.py": PYTHON,
        "conformance/clients/node_modules/b.test.js": NODE,
        "conformance/autobahn/expected.txt": "# cases\n\n1.1.1  OK  OK\n1.1.2  OK  OK  slow\n7.1.6  INFORMATIONAL  OK\n",
    }

    def setUp(self):
        self.sources = sources(self.FILES)

    def test_all_that_are_run_are_found_in_every_language(self):
        names = [test.name for test in self.sources.tests()]
        here = ["anything_goes", "c7_1_it_waits"]
        self.assertEqual(names, ["a text comes back", "C7.4 within a group", "texts_come_back", *here])

    def test_a_test_of_each_language_has_its_place(self):
        file = "conformance/clients/a.test.js"
        self.assertEqual(self.sources.test(f"{file} a text comes back"), Place(file, 1, 3))
        file = "conformance/clients/a_test.py"
        self.assertEqual(self.sources.test(f"{file} texts_come_back"), Place(file, 2, 6))
        self.assertEqual(self.sources.test("crates/a/src/a.rs anything_goes").file, "crates/a/src/a.rs")

    def test_a_test_that_is_not_run_is_none(self):
        for name in ("c7_2_it_is_left_out", "c7_3_helps_the_others", "add"):
            with self.subTest(name), self.assertRaisesRegex(Gap, "is no test that is run"):
                self.sources.test(f"crates/a/src/a.rs {name}")
        with self.assertRaisesRegex(Gap, "has no is left out"):
            self.sources.test("conformance/clients/a.test.js is left out")

    def test_a_case_of_autobahn_counts_where_it_is_expected_to_be_ok(self):
        file = "conformance/autobahn/expected.txt"
        self.assertEqual(self.sources.test(f"{file} 1.1.2"), Place(file, 4, 4))
        for case in ("7.1.6", "9.9.9"):
            with self.assertRaisesRegex(Gap, f"has no {case}"):
                self.sources.test(f"{file} {case}")


class Citations(unittest.TestCase):
    def test_sections_are_read_from_the_one_form(self):
        for line, sections in (
            ("/// (RFC 6455 §5.1).", {(6455, "5.1")}),
            (
                "// RFC 6455 §5.4, §5.5.2 and §8.1: as RFC 7692 §6.1 says",
                {(6455, "5.4"), (6455, "5.5.2"), (6455, "8.1"), (7692, "6.1")},
            ),
            ("// RFC 6455 §4.2.1 items 3 and 4.", {(6455, "4.2.1")}),
            ("// RFC 6455 §4.2.2 item 5.4, §11.3 and RFC 6455 §9", {(6455, "4.2.2"), (6455, "11.3"), (6455, "9")}),
            ("// RFC 9110 §5.1, and RFC 6455, too, and §5.2", {(9110, "5.1")}),
        ):
            with self.subTest(line):
                self.assertEqual(source.cited_sections(line), sections)

    def test_the_line_is_found_in_the_item_and_nowhere_else(self):
        found = sources({"crates/a.rs": RUST})
        end = found.item("crates/a.rs Driver::end")
        self.assertEqual(found.citation(end, 6455, "7.1.1"), 18)
        self.assertEqual(found.citation(end, 6455, "5.5.2"), 21)
        self.assertIsNone(found.citation(end, 6455, "5.5"))
        self.assertIsNone(found.citation(end, 7692, "5.5.2"))
        self.assertIsNone(found.citation(end, 6455, "8.1"))

    def test_another_form_is_an_error(self):
        text = "// RFC6455 §5.1\n// RFC 6455 section 5.1\n// §5.1 of RFC 6455\n// RFC 6455 §5.1\n// as RFC 6455 has it\n"
        for rfc in ("6455", "7692"):
            with self.subTest(rfc):
                self.finds_the_first_three(text.replace("6455", rfc))

    def finds_the_first_three(self, text):
        odd = list(sources({"crates/a.rs": text}).odd_citations())
        self.assertEqual([line.split(" ")[0] for line in odd], ["crates/a.rs:1", "crates/a.rs:2", "crates/a.rs:3"])

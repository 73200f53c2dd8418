#!/usr/bin/env python3
"""links.py [--write] - resolves the names that the guides in docs/ link to, such as [`Connection::send`].

Each is a page of the library's documentation, which `cargo doc` must have made before (--doc DIR, by default target/doc).
Without --write it fails where the links at the end of a guide are not what they would be; with it, it writes them.
A name of the original that has no `#[doc(alias = "...")]` and is no item's own name fails, too.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = "https://docs.rs/wharf/latest/wharf/"
KINDS = ("struct", "enum", "trait", "fn", "constant", "type")
MEMBERS = ("structfield", "method", "tymethod", "variant", "associatedconstant")
LABEL = re.compile(r"\[`([A-Za-z_]\w*(?:::\w+)*)`\](?![:(])")
DEFINITION = re.compile(r"^\[`[\w:]+`\]: .*\n?", re.MULTILINE)


class Unresolved(Exception):
    """A name that the documentation does not have."""


def resolve(name, doc):
    """The address of the page, and the place on it, that documents `name`."""
    item, _, member = name.partition("::")
    for kind in KINDS:
        page = doc / "wharf" / f"{kind}.{item}.html"
        if not page.exists():
            continue
        address = f"{SITE}{page.name}"
        if not member:
            return address
        html = page.read_text(encoding="utf-8")
        for member_kind in MEMBERS:
            anchor = f"{member_kind}.{member}"
            if f'id="{anchor}"' in html:
                return f"{address}#{anchor}"
    raise Unresolved(name)


def with_links(guide, doc):
    """The text of a guide with the links at its end made anew."""
    text = DEFINITION.sub("", guide).rstrip() + "\n"
    names = sorted(set(LABEL.findall(text)))
    if not names:
        return text
    return text + "\n" + "".join(f"[`{name}`]: {resolve(name, doc)}\n" for name in names)


def old_names(guide):
    """The names in the first column of a guide's tables."""
    for row in guide.splitlines():
        if row.startswith("| `") and not row.startswith("| `websocket`"):
            for code in re.findall(r"`([^`]+)`", row.split("|")[1]):
                yield code.removeprefix("new ").split("(")[0].split(".")[-1].strip("'")


def unknown_to_search(guide, sources):
    """The old names that a search in the documentation would not find."""
    return sorted(
        name
        for name in set(old_names(guide))
        if f'alias = "{name}"' not in sources
        and not re.search(rf"\b(?:fn|pub) {name}\b", sources)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--doc", type=Path, default=ROOT / "target" / "doc")
    options = parser.parse_args()
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for crate in ("wharf", "wharf-proto")
        for path in sorted((ROOT / "crates" / crate / "src").rglob("*.rs"))
    )
    problems = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        guide = path.read_text(encoding="utf-8")
        try:
            linked = with_links(guide, options.doc)
        except Unresolved as name:
            problems.append(f"{path.name}: the documentation has no `{name}`")
            continue
        if path.name == "from-node-websocket.md":
            problems += [
                f'{path.name}: `{name}` is found by no #[doc(alias = "{name}")]'
                for name in unknown_to_search(guide, sources)
            ]
        if options.write:
            path.write_text(linked, encoding="utf-8")
        elif linked != guide:
            problems.append(f"{path.name}: its links are not up to date; run docs/links.py --write")
    for problem in problems:
        print(f"docs/links.py: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

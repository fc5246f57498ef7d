"""What a release says about itself: that its tag is its version, its text, its checksums.

    python packaging/release.py tag v0.2.0          fails unless that is the program's version
    python packaging/release.py notes --out FILE    the changelog's section on this version
    python packaging/release.py sums dist           writes dist/SHA256SUMS, for `sha256sum -c`

.github/workflows/release.yml calls these; by hand they do the same. Nothing is imported but the
standard library, so that any Python 3.11 will do.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUMS = "SHA256SUMS"


class Refused(Exception):
    """The release is not what it must be."""


def version(root: Path = ROOT) -> str:
    """What engine/__init__.py says, which is the one place that says it."""
    tree = ast.parse((root / "engine" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__version__":
            return str(ast.literal_eval(node.value))
    raise Refused("engine/__init__.py does not say __version__ = '...'")


def check_tag(tag: str, now: str) -> None:
    """Refused unless `tag` is `now` with a v before it."""
    if tag != f"v{now}":
        raise Refused(
            f"the tag is {tag!r} and the program's version is {now}: tag v{now}, or change "
            "__version__ in engine/__init__.py first"
        )


def notes(changelog: str, now: str) -> str:
    """The changelog's section on a version, without its heading; Refused where it is not ready."""
    headings = list(re.finditer(r"^## +(\S+)(.*)$", changelog, re.MULTILINE))
    for at, heading in enumerate(headings):
        if heading[1] != now:
            continue
        if "unreleased" in heading[2]:
            raise Refused(f"CHANGELOG.md calls {now} unreleased: put the date in its place")
        end = headings[at + 1].start() if at + 1 < len(headings) else len(changelog)
        if text := changelog[heading.end() : end].strip():
            return text + "\n"
        raise Refused(f"CHANGELOG.md says nothing about {now}")
    raise Refused(f"CHANGELOG.md has no section '## {now}'")


def sums(folder: Path) -> str:
    """A line for each file in a folder, by name: digest, two blanks, name."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    if not files:
        raise Refused(f"{folder} holds no file")
    lines = []
    for path in files:
        with path.open("rb") as stream:
            lines.append(f"{hashlib.file_digest(stream, 'sha256').hexdigest()}  {path.name}\n")
    return "".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check and describe a release.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("tag", help="is the tag the version?").add_argument("tag")
    said = verbs.add_parser("notes", help="the changelog's section on this version")
    said.add_argument("--out", type=Path, required=True)
    verbs.add_parser("sums", help=f"write {SUMS}").add_argument("folder", type=Path)
    given = parser.parse_args(argv)
    try:
        if given.verb == "tag":
            check_tag(given.tag, version())
            print(f"{given.tag} is the program's version")
        elif given.verb == "notes":
            text = notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version())
            given.out.write_bytes(text.encode())
        else:
            text = sums(given.folder)
            (given.folder / SUMS).write_bytes(text.encode())
            print(text, end="")
    except (Refused, OSError) as error:
        print(f"release.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a Linux desktop is told of the program: menu entry, kind of file, icons, manual.

    python packaging/linux/desk.py FOLDER

writes them as they lie below /usr/share. The package and the archive both take them from here.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from xml.sax.saxutils import escape

from beside import script, version

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
IDENTIFIER = "org.mechanoscope.Mechanoscope"
SESSION = "application-x-mechanoscope-session"  # the icon of its kind of file
SIZES = (16, 22, 24, 32, 48, 64, 128, 256, 512)
HOME = "/opt/mechanoscope"


def moment() -> int:
    """Seconds since 1970 that every file is given: SOURCE_DATE_EPOCH, the last commit's, or now."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return int(time.time())
    return int(done.stdout) if done.returncode == 0 else int(time.time())


def day(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def releases(changelog: str) -> Iterator[tuple[str, date | None, list[str]]]:
    """Version, date (None: not released yet) and points of every section of the changelog."""
    for section in re.split(r"^## +", changelog, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        found = re.fullmatch(r"(\S+) \((unreleased|\d{4}-\d\d-\d\d)\)", heading.strip())
        if found is None:
            raise ValueError(f"CHANGELOG.md: '## {heading}' is no version with a date")
        when = None if found[2] == "unreleased" else date.fromisoformat(found[2])
        points = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
        yield found[1], when, [" ".join(point.split()) for point in points]


def metainfo(seconds: int) -> str:
    """What software centres show."""
    lines = []
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for number, when, points in releases(changelog):
        kind = "development" if when is None else "stable"
        told = f'version="{number}" date="{when or day(seconds)}" type="{kind}"'
        lines.append(f"    <release {told}>")
        lines.append("      <description>\n        <ul>")
        lines += [f"          <li>{escape(point.replace('`', ''))}</li>" for point in points]
        lines.append("        </ul>\n      </description>\n    </release>")
    text = (HERE / "metainfo.xml").read_text(encoding="utf-8")
    return text.replace("@ID@", IDENTIFIER).replace("@RELEASES@", "\n".join(lines))


def write(path: Path, data: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def squeezed(text: str | bytes) -> bytes:
    """As gzip -9n: no name and no time in it."""
    return gzip.compress(text.encode() if isinstance(text, str) else text, 9, mtime=0)


def settle(tree: Path, seconds: int, programs: Collection[Path]) -> None:
    """One time for all, and the rights of a package's files: only `programs` can be started."""
    for path in [*tree.rglob("*"), tree]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
        os.utime(path, (seconds, seconds), follow_symlinks=False)


def icons(folder: Path) -> None:
    """The program's and the sessions' icon in every size, as hicolor has them."""
    drawn = script("icons")
    places = {"mechanoscope": "apps/mechanoscope", "session": f"mimetypes/{SESSION}"}
    for mark, place in places.items():
        with tempfile.TemporaryDirectory() as made:
            for size, path in drawn.pngs(Path(made), SIZES, mark).items():
                write(folder / f"{size}x{size}" / f"{place}.png", path.read_bytes())
    write(folder / "scalable/apps/mechanoscope.svg", drawn.SOURCE.read_bytes())


def share(folder: Path, home: str = HOME) -> Path:
    """Everything that belongs below /usr/share, for a program that lies in `home`."""
    seconds = moment()
    manual = script("linux/manual").page(version(), day(seconds), home)
    write(
        folder / "applications/mechanoscope.desktop", (HERE / "mechanoscope.desktop").read_bytes()
    )
    write(folder / "mime/packages/mechanoscope.xml", (HERE / "mime.xml").read_bytes())
    write(folder / f"metainfo/{IDENTIFIER}.metainfo.xml", metainfo(seconds))
    write(folder / "man/man1/mechanoscope.1.gz", squeezed(manual))
    icons(folder / "icons/hicolor")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write what a Linux desktop is told.")
    parser.add_argument("folder", type=Path)
    print(share(parser.parse_args().folder))
    sys.exit(0)

"""Make the Debian package from the built bundle.

    python packaging/deb.py dist/mechanoscope [--out dist] [--fast]

The bundle goes to /opt/mechanoscope, the command to /usr/bin, and to /usr/share what a desktop is
told (packaging/linux/desk.py). Nothing runs when it is installed or removed: Debian's own triggers
look at new menu entries, kinds of files and icons. --fast squeezes with zstd, for tries.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from beside import script

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


desk, libraries = script("linux/desk"), script("linux/libraries")
Refused = libraries.Refused

LARGEST = 70_000_000  # bytes
# The project has no address of its own, and Debian's format wants one: this one is nobody's.
MAINTAINER = "The Mechanoscope authors <authors@mechanoscope.invalid>"

# What Qt asks of a system, tried on a bare Debian. The releases of libc6 and libstdc++6 are read
# from the bundle. Of libxkbcommon and libxcb-* newer ones travel along; what they read comes with
# the system's.
DEPENDS = (
    "libc6", "libgcc-s1", "libstdc++6", "libglib2.0-0 | libglib2.0-0t64", "libegl1", "libgl1",
    "libdbus-1-3", "libfontconfig1", "libfreetype6", "libxkbcommon0", "libxkbcommon-x11-0",
    "libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxcb-shape0", "libxcb1", "libx11-6",
    "libx11-xcb1", "libgssapi-krb5-2",
)  # fmt: skip
RECOMMENDS = ("libwayland-client0", "libwayland-cursor0", "libwayland-egl1")

DESCRIPTION = """open a neural network and read it
 A window for mechanistic interpretability: what every layer of a transformer
 predicts, where every head attends, which places carry an answer, and what
 happens when a part is changed. Sparse autoencoders, toy models of
 superposition and small transformers learn in sight.
 .
 Two small models come along. The same techniques run without a window. An
 interpreter and all libraries of Python are part of the package: no Python
 has to be installed."""


def debian_version(version: str) -> str:
    """0.2.0rc1 comes before 0.2.0, so 0.2.0~rc1."""
    return re.sub(r"(?<=\d)\.?(a|b|rc|dev)(?=\d)", r"~\1", version)


def architecture() -> str:
    """Debian's word for this machine."""
    command = ["dpkg", "--print-architecture"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def depends(bundle: Path) -> list[str]:
    """What must be installed for every file of the bundle to load; Refused where that lacks."""
    found = libraries.needs(bundle)
    for package, files in libraries.packages(bundle, found).items():
        if package in DEPENDS or (package in RECOMMENDS and libraries.optional(package, files)):
            continue
        raise Refused(
            f"{files[0].relative_to(bundle)} needs the package {package}, which is not in DEPENDS "
            "of packaging/deb.py"
        )
    least = {"libc6": libraries.glibc(found), "libstdc++6": libraries.gcc(found)}
    return [f"{name} (>= {least[name]})" if name in least else name for name in DEPENDS]


def installed_kilobytes(tree: Path) -> int:
    """As Debian's policy counts: files in whole kilobytes, everything else as one."""
    plain = (
        path.is_file() and not path.is_symlink() and path.stat().st_size for path in _all(tree)
    )
    return sum(-(-size // 1024) if size else 1 for size in plain)


def _all(tree: Path) -> Iterator[Path]:
    return (path for path in sorted(tree.rglob("*")) if "DEBIAN" not in path.parts)


def control(bundle: Path, tree: Path, version: str) -> str:
    """The package's description of itself."""
    fields = {
        "Package": "mechanoscope", "Version": version, "Section": "science",
        "Priority": "optional", "Architecture": architecture(), "Maintainer": MAINTAINER,
        "Installed-Size": str(installed_kilobytes(tree)), "Depends": ", ".join(depends(bundle)),
        "Recommends": ", ".join(RECOMMENDS), "Description": DESCRIPTION,
    }  # fmt: skip
    return "".join(f"{name}: {value}\n" for name, value in fields.items())


def changelog(seconds: int) -> str:
    """CHANGELOG.md as Debian writes one."""
    parts = []
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for number, when, points in desk.releases(text):
        moment = seconds
        if when is not None:
            moment = int(datetime(when.year, when.month, when.day, tzinfo=UTC).timestamp())
        day = format_datetime(datetime.fromtimestamp(moment, UTC))
        where = "stable" if when else "UNRELEASED"
        parts.append(f"mechanoscope ({debian_version(number)}) {where}; urgency=medium\n")
        said = (
            textwrap.fill(point, 78, initial_indent="  * ", subsequent_indent="    ") + "\n"
            for point in points
        )
        parts.append("".join(said))
        parts.append(f" -- {MAINTAINER}  {day}\n")
    return "\n".join(parts)


def copyright_text(bundle: Path, seconds: int) -> str:
    """Who made what and under which terms, as programs read it (DEP-5)."""
    index = bundle / "_internal" / "licences" / "index.json"
    if not index.is_file():
        raise Refused(f"{index} is not there: packaging/build.py adds it with the licences")
    others = "\n".join(
        " * " + " ".join(f"{entry['name']} {entry['version']}: {entry['licence']}".split())
        for entry in json.loads(index.read_text(encoding="utf-8"))
        if entry["name"] != "Mechanoscope"
    )
    lines = (ROOT / "LICENSE").read_text(encoding="utf-8").split("\n\n", 2)[2].splitlines()
    mit = "\n".join(f" {line}" if line else " ." for line in lines)
    text = (HERE / "linux" / "copyright").read_text(encoding="utf-8")
    values = {"MIT": mit, "YEAR": str(desk.day(seconds).year), "OTHERS": others}
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text)


def lay_out(bundle: Path, tree: Path) -> None:
    """The files as they will lie on the system, with the rights and the time they will have."""
    seconds = desk.moment()
    home = tree / desk.HOME.removeprefix("/")
    shutil.copytree(bundle, home, symlinks=True)
    command = tree / "usr/bin/mechanoscope"
    command.parent.mkdir(parents=True)
    command.symlink_to(f"{desk.HOME}/mechanoscope")  # the bundle looks where it really lies
    desk.share(tree / "usr/share")
    about = tree / "usr/share/doc/mechanoscope"
    desk.write(about / "copyright", copyright_text(bundle, seconds))
    desk.write(about / "changelog.gz", desk.squeezed(changelog(seconds)))
    overrides = (HERE / "linux" / "lintian-overrides").read_bytes()
    desk.write(tree / "usr/share/lintian/overrides/mechanoscope", overrides)
    desk.settle(tree, seconds, {home / "mechanoscope"})


def md5sums(tree: Path) -> str:
    """What `dpkg --verify` compares with."""
    lines = []
    for path in _all(tree):
        if path.is_file() and not path.is_symlink():
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            lines.append(f"{digest}  {path.relative_to(tree).as_posix()}\n")
    return "".join(lines)


def make(bundle: Path, out: Path, *, fast: bool = False) -> Path:
    """The package of a bundle; Refused where it may not leave."""
    if not (bundle / "mechanoscope").is_file():
        raise Refused(f"{bundle}: no program lies there; `make bundle` makes it")
    version = debian_version(desk.version())
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".deb-", dir=out) as folder:
        tree = Path(folder) / "tree"
        lay_out(bundle, tree)
        text = control(bundle, tree, version)
        desk.write(tree / "DEBIAN/control", text)
        desk.write(tree / "DEBIAN/md5sums", md5sums(tree))
        desk.settle(tree, desk.moment(), {tree / desk.HOME.removeprefix("/") / "mechanoscope"})
        # One stream at level 9: 1.7 % smaller than level 6 on all cores, in twice its time; the
        # models are half of it and hardly shrink, so that "extreme" wins nothing more.
        how = ["-Zzstd", "-z3"] if fast else ["-Zxz", "-z9", "--threads-max=1"]
        made = out / f"mechanoscope_{version}_{architecture()}.deb"
        command = ["dpkg-deb", "--root-owner-group", *how, "--build", str(tree), str(made)]
        places = {**os.environ, "SOURCE_DATE_EPOCH": str(desk.moment())}
        subprocess.run(command, check=True, env=places, stdout=subprocess.DEVNULL)
    if not fast and made.stat().st_size > LARGEST:
        weight = made.stat().st_size / 1e6
        raise Refused(f"{made} has {weight:.1f} MB, more than {LARGEST / 1e6:.0f}")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the Debian package from the built bundle.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--fast", action="store_true", help="squeeze less, for tries")
    given = parser.parse_args(argv)
    began = time.monotonic()
    try:
        made = make(given.bundle, given.out, fast=given.fast)
    except (Refused, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        print(f"deb.py: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - began
    print(f"{made}: {made.stat().st_size / 1e6:.1f} MB, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

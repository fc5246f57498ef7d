"""The shared libraries of a Linux bundle: what it needs from the system, by Debian package.

    python packaging/linux/libraries.py BUNDLE

Every library that a file of the bundle names must lie in the bundle or come with a package in
SYSTEM. glibc's and libstdc++'s oldest fitting releases are read from the symbols' versions.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

# Library -> the Debian package that brings it. `|`: the names of later releases.
SYSTEM = {
    "ld-linux-x86-64.so.2": "libc6", "ld-linux-aarch64.so.1": "libc6", "libc.so.6": "libc6",
    "libdl.so.2": "libc6", "libm.so.6": "libc6", "libpthread.so.0": "libc6",
    "libresolv.so.2": "libc6", "librt.so.1": "libc6", "libutil.so.1": "libc6",
    "libgcc_s.so.1": "libgcc-s1", "libstdc++.so.6": "libstdc++6",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libglib-2.0.so.0": "libglib2.0-0 | libglib2.0-0t64",
    "libgthread-2.0.so.0": "libglib2.0-0 | libglib2.0-0t64",
    "libdbus-1.so.3": "libdbus-1-3", "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6", "libEGL.so.1": "libegl1", "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6", "libX11-xcb.so.1": "libx11-xcb1", "libxcb.so.1": "libxcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0", "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1", "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon.so.0": "libxkbcommon0", "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libwayland-client.so.0": "libwayland-client0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
    "libwayland-egl.so.1": "libwayland-egl1",
}  # fmt: skip

# Packages that may be missing, for which files, and why that does no harm.
OPTIONAL = {
    "libwayland-client0": ("*ayland*", "Qt draws by X11 where Wayland's libraries are missing"),
    "libwayland-cursor0": ("*ayland*", "the same"),
    "libwayland-egl1": ("*ayland*", "the same"),
}

# The first GCC whose libstdc++ has a version of symbols; later ones are added when they turn up.
GCC_OF = {"3.4.28": "9", "3.4.29": "11", "3.4.30": "12", "3.4.31": "13", "3.4.32": "13.2"}
# Names of versions that are no numbers, and the glibc that brought them.
NAMED = {"GLIBC_ABI_DT_RELR": "2.36"}

Needs = Mapping[Path, frozenset[str]]  # file -> libraries, and versions such as GLIBC_2.34


class Refused(Exception):
    """The bundle asks for something that no package brings."""


def elves(bundle: Path) -> Iterator[Path]:
    """Programs and libraries of the bundle, links left out."""
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                if stream.read(4) == b"\x7fELF":
                    yield path


def needs(bundle: Path) -> Needs:
    """What each file asks the loader for, as readelf reads it."""
    found: dict[Path, frozenset[str]] = {}
    paths = list(elves(bundle))
    if not paths:
        raise Refused(f"{bundle}: there is no program in it")
    for at in range(0, len(paths), 50):
        part = paths[at : at + 50]
        # A second file, else readelf would not say which file it speaks of.
        command = ["readelf", "--dynamic", "--version-info", "--wide", *map(str, part), "/dev/null"]
        done = subprocess.run(
            command, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]}
        )
        pieces = re.split(r"^File: (.*)$", done.stdout, flags=re.MULTILINE)[1:]
        told = dict(zip(pieces[::2], pieces[1::2], strict=True))
        for path in part:
            text = told.get(str(path), "")
            libraries = re.findall(r"\(NEEDED\).*\[(.*)\]", text)
            asked = text.partition("Version needs section")[2]
            versions = re.findall(r"Name: ((?:GLIBC|GLIBCXX)_\S+)", asked)
            found[path] = frozenset(libraries) | frozenset(versions)
    return found


def packages(bundle: Path, found: Needs | None = None) -> dict[str, list[Path]]:
    """Debian package -> the files that need it; Refused, naming file and library, if none fits."""
    found = needs(bundle) if found is None else found
    inside = {path.name for path in bundle.rglob("*")}
    wanted: dict[str, list[Path]] = {}
    unknown = []
    for path, names in found.items():
        for name in sorted(names - inside):
            if name.startswith(("GLIBC_", "GLIBCXX_")):
                continue
            if name in SYSTEM:
                wanted.setdefault(SYSTEM[name], []).append(path)
            else:
                unknown.append(f"{path.relative_to(bundle)} needs {name}")
    if unknown:
        raise Refused(
            "; ".join(unknown) + ": put the library into the bundle (packaging/contents.py), or "
            "name its Debian package in packaging/linux/libraries.py"
        )
    return wanted


def optional(package: str, files: list[Path]) -> bool:
    """Whether the program runs without this package: only files need it that may stay unused."""
    pattern = OPTIONAL.get(package, ("", ""))[0]
    return bool(pattern) and all(fnmatch(path.as_posix(), pattern) for path in files)


def glibc(found: Needs) -> str:
    """The oldest glibc with every symbol that the bundle names."""
    return _newest(found, "GLIBC_", NAMED)


def gcc(found: Needs) -> str:
    """The GCC whose libstdc++ has every symbol that the bundle names."""
    newest = _newest(found, "GLIBCXX_", {})
    at_least = [gcc for version, gcc in GCC_OF.items() if _number(version) >= _number(newest)]
    if not at_least:
        raise Refused(f"GLIBCXX_{newest} is newer than packaging/linux/libraries.py knows")
    return at_least[0]


def _newest(found: Needs, prefix: str, named: Mapping[str, str]) -> str:
    versions = {"0"}
    for path, names in found.items():
        for name in (name for name in names if name.startswith(prefix)):
            version = named.get(name, name.removeprefix(prefix))
            if not re.fullmatch(r"[0-9.]+", version):
                raise Refused(f"{path.name} needs {name}: its release is not known here")
            versions.add(version)
    return max(versions, key=_number)


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def main() -> int:
    try:
        bundle = Path(sys.argv[1])
        found = needs(bundle)
        for package, files in sorted(packages(bundle, found).items()):
            print(f"{package:34} {len(files):4} files, such as {files[0].relative_to(bundle)}")
        print(f"glibc {glibc(found)}, libstdc++ of GCC {gcc(found)}")
    except Refused as error:
        print(f"libraries.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

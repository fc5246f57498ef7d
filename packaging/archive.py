"""Pack the built bundle: one archive, and for Linux a file that installs itself.

    python packaging/archive.py dist/mechanoscope [--out dist] [--fast]

* Linux: mechanoscope-VERSION-linux-ARCH.tar.xz, to be unpacked anywhere, with install.sh in it;
  and the same as a .run, which is install.sh with the archive behind it: `sh FILE.run` installs for
  one user, without root.
* Windows: mechanoscope-VERSION-windows-ARCH.zip.

The same bundle gives the same bytes: files by name, without owners, all of one time.
"""

from __future__ import annotations

import argparse
import io
import lzma
import platform
import stat
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from beside import script

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


desk, libraries = script("linux/desk"), script("linux/libraries")
PROGRAMS = ("mechanoscope", "install.sh")


class Refused(Exception):
    """There is nothing here to pack, or nothing to pack it as."""


Entry = tuple[str, Path]  # its name in the archive, and where it lies now


def entries(top: str, *folders: Path) -> Iterator[Entry]:
    """Everything in the folders below one name, sorted as no locale would change it."""
    found = {
        f"{top}/{path.relative_to(folder).as_posix()}": path
        for folder in folders
        for path in folder.rglob("*")
    }
    yield from sorted(found.items())


def tar(top: str, folders: Sequence[Path], seconds: int) -> bytes:
    """A tar file whose bytes depend on the files alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, path in [(top, folders[0]), *entries(top, *folders)]:
            info = made.gettarinfo(path, name)
            if info.islnk():  # two names of one file on this disk are two files elsewhere
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
            started = info.isdir() or info.issym() or name.removeprefix(f"{top}/") in PROGRAMS
            info.mode = 0o755 if started else 0o644
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mtime = seconds
            if info.isreg():
                with path.open("rb") as stream:
                    made.addfile(info, stream)
            else:
                made.addfile(info)
    return buffer.getvalue()


def installer(version: str, machine: str, glibc: str, payload: int = 0) -> str:
    """install.sh for a release; payload: whether an archive follows it."""
    text = (HERE / "linux" / "install.sh").read_text(encoding="utf-8")
    begins = text.count("\n") + 1 if payload else 0
    values = {"VERSION": version, "MACHINE": machine, "GLIBC": glibc, "PAYLOAD": str(begins)}
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def for_linux(bundle: Path, out: Path, *, fast: bool = False) -> list[Path]:
    """The archive and the file that installs itself."""
    version, machine, seconds = desk.version(), platform.machine(), desk.moment()
    glibc = libraries.glibc(libraries.needs(bundle))
    with tempfile.TemporaryDirectory() as folder:
        more = Path(folder)
        desk.share(more / "share")
        desk.write(more / "install.sh", installer(version, machine, glibc))
        desk.write(more / "LICENSE", (ROOT / "LICENSE").read_bytes())
        plain = tar(f"mechanoscope-{version}", [bundle, more], seconds)
    squeezed = lzma.compress(plain, preset=0 if fast else 9)
    archive = out / f"mechanoscope-{version}-linux-{machine}.tar.xz"
    archive.write_bytes(squeezed)
    runs = archive.with_name(archive.name.replace(".tar.xz", ".run"))
    runs.write_bytes(installer(version, machine, glibc, payload=1).encode() + squeezed)
    runs.chmod(runs.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return [archive, runs]


def for_windows(bundle: Path, out: Path, *, fast: bool = False) -> list[Path]:
    """A .zip, as Windows opens it by itself."""
    version = desk.version()
    made = out / f"mechanoscope-{version}-windows-{platform.machine().lower()}.zip"
    when = datetime.fromtimestamp(desk.moment(), UTC).timetuple()[:6]
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1 if fast else 9) as packed:
        for name, path in entries(f"mechanoscope-{version}", bundle):
            if path.is_file():
                info = zipfile.ZipInfo(name, (max(when[0], 1980), *when[1:]))
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                info.create_system = 0  # else it would differ with the system that packs
                packed.writestr(info, path.read_bytes())
    return [made]


def make(bundle: Path, out: Path, *, fast: bool = False) -> list[Path]:
    """What is handed out for the system that the bundle was built for."""
    out.mkdir(parents=True, exist_ok=True)
    if (bundle / "mechanoscope.exe").is_file():
        return for_windows(bundle, out, fast=fast)
    if (bundle / "mechanoscope").is_file():
        return for_linux(bundle, out, fast=fast)
    raise Refused(
        f"{bundle}: no program for Linux or Windows lies there; `make bundle` makes it, and "
        "packaging/macos packs the one for macOS"
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Pack the built bundle.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--fast", action="store_true", help="squeeze less, for tries")
    given = parser.parse_args(argv)
    began = time.monotonic()
    try:
        made = make(given.bundle, given.out, fast=given.fast)
    except (Refused, libraries.Refused, OSError, ValueError) as error:
        print(f"archive.py: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - began
    for path in made:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    print(f"{seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

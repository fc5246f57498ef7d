"""Make the Windows installer from the built bundle: lists of its files, then NSIS.

    python packaging/windows/build_installer.py [BUNDLE] [--out FILE] [--icons FOLDER]

Any Python will do: the icon and the picture were drawn when the bundle was built. NSIS (makensis)
runs on Windows, Linux and macOS alike. What is installed and what is removed again are two lists
made here from one walk over the bundle: the uninstaller names each file, so nothing that someone
else has put into the folder is ever touched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
from beside import script  # noqa: E402
from beside import version as said  # noqa: E402

ROOT = HERE.parent.parent
ICONS = ROOT / "build" / "bundle" / "mechanoscope" / "icons"  # where the spec has them drawn
PROGRAMS = ("mechanoscope.exe", "mechanoscope-cli.exe")
NEEDED = (*PROGRAMS, "_internal/session.ico")  # the setup writes their paths into the registry
# Windows' 259 letters for a path, less those of the folder Programs of a user with a long name.
LONGEST_PATH = 259 - 80


class Refused(Exception):
    """The installer cannot be made; the words say why and what helps."""


def contents(bundle: Path) -> list[PurePosixPath]:
    """The files of a bundle, checked: all that is needed, no path that Windows cannot hold."""
    found = sorted(
        PurePosixPath(path.relative_to(bundle).as_posix())
        for path in bundle.rglob("*")
        if path.is_file()
    )
    lacking = [name for name in NEEDED if PurePosixPath(name) not in found]
    if lacking:
        raise Refused(
            f"{bundle} lacks {', '.join(lacking)}: build it on Windows, with packaging/build.py"
        )
    for path in found:
        if len(str(path)) > LONGEST_PATH:
            raise Refused(
                f"{path} has {len(str(path))} letters, more than {LONGEST_PATH}: in a user's own"
                " folder it would be above Windows' limit for a path"
            )
    return found


def folders(files: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Every folder that files lie in, a folder before those in it; not the bundle itself."""
    return sorted({parent for path in files for parent in path.parents if parent.parts})


def _installed(path: PurePosixPath) -> str:
    """Where a file of the bundle goes, as a string of NSIS, in which $ begins a variable."""
    inside = str(PureWindowsPath("/", path)) if path.parts else ""
    return f'"$INSTDIR{inside.replace("$", "$$")}"'


def install_list(bundle: Path, files: Sequence[PurePosixPath]) -> str:
    """NSIS' commands that install: folder after folder, file after file."""
    lines = []
    for folder in [PurePosixPath(), *folders(files)]:
        here = [path for path in files if path.parent == folder]
        if here:
            lines.append(f"SetOutPath {_installed(folder)}")
            lines += [f'File "{bundle / path}"' for path in here]
    return "\n".join(lines) + "\n"


def removal_list(files: Sequence[PurePosixPath]) -> str:
    """NSIS' commands that remove exactly the same: files, then folders from the inside."""
    lines = [f"Delete {_installed(path)}" for path in files]
    lines += [f"RMDir {_installed(folder)}" for folder in reversed(folders(files))]
    return "\n".join(lines) + "\n"


def find_makensis() -> str:
    """NSIS' compiler: on the search path, or where its own setup puts it."""
    usual = (
        Path(os.environ.get(name, "")) / "NSIS" / "makensis.exe"
        for name in ("ProgramFiles(x86)", "ProgramFiles")
    )
    found = shutil.which("makensis") or next((str(path) for path in usual if path.is_file()), None)
    if found is None:
        raise Refused(
            "makensis was not found: install NSIS 3.08 or newer (Windows: nsis.sourceforge.io;"
            " Debian and Ubuntu: apt-get install nsis; macOS: brew install makensis)"
        )
    return found


def build(
    bundle: Path, version: str, out: Path, icons: Path = ICONS, extra: Sequence[str] = ()
) -> Path:
    """The installer of a bundle.

    icons: where packaging/icons.py has drawn; extra: words for makensis before the script.
    """
    bundle, out, icons = bundle.resolve(), out.resolve(), icons.resolve()
    files = contents(bundle)
    drawn = {"ICON": icons / "mechanoscope.ico", "SIDE": icons / "side.bmp"}
    for path in drawn.values():
        if not path.is_file():
            raise Refused(
                f"{path} is not there: packaging/build.py draws it, or packaging/icons.py"
            )
    makensis = find_makensis()
    size = sum((bundle / path).stat().st_size for path in files)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mechanoscope-") as name:
        work = Path(name)
        (work / "files.nsh").write_text(install_list(bundle, files), encoding="utf-8")
        (work / "removals.nsh").write_text(removal_list(files), encoding="utf-8")
        four = ".".join(map(str, script("windows/version_info").numbers(version)))
        names = {
            "VERSION": version,
            "NUMBERS": four,
            "FILES": work / "files.nsh",
            "REMOVALS": work / "removals.nsh",
            **drawn,
            "SIZE_KB": (size + 1023) // 1024,
            "OUT": out,
        }
        command = [makensis, "-V2", "-WX", "-INPUTCHARSET", "UTF8"]
        command += [f"-D{key}={value}" for key, value in names.items()]
        command += [*extra, str(HERE / "mechanoscope.nsi")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"makensis failed:\n{done.stdout}{done.stderr}".rstrip())
    return out


def main(argv: Sequence[str] | None = None) -> int:
    version = said()
    parser = argparse.ArgumentParser(description="Make the Windows installer.")
    parser.add_argument("bundle", nargs="?", type=Path, default=ROOT / "dist" / "mechanoscope")
    usual = ROOT / "dist" / f"mechanoscope-{version}-windows-x64-setup.exe"
    parser.add_argument("--out", type=Path, default=usual)
    parser.add_argument("--icons", type=Path, default=ICONS, help="what packaging/icons.py drew")
    given = parser.parse_args(argv)
    try:
        made = build(given.bundle, version, given.out, given.icons)
    except (Refused, OSError) as error:
        print(f"build_installer.py: {error}", file=sys.stderr)
        return 1
    print(f"{made}: {made.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

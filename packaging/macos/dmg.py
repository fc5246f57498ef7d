"""Make the disk image of the built application (on macOS, with dmgbuild).

    python packaging/macos/dmg.py [APP] [--out FILE] [--icons FOLDER]

dmg.sh calls this, with dmgbuild in an environment of its own. One window: the application on the
left, the folder Applications on the right, an arrow between. The image's path is printed.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ICONS = ROOT / "build" / "bundle" / "mechanoscope" / "icons"  # where the spec has them drawn


def settings(app: Path, icons: Path) -> dict[str, object]:
    """dmgbuild's settings. The window is as large as the ground that icons.py has drawn for it."""
    return {
        "format": "ULMO",  # LZMA: the smallest; macOS reads it since 10.15
        "filesystem": "HFS+",
        "files": [str(app)],
        "symlinks": {"Applications": "/Applications"},
        "hide_extensions": [app.name],
        "icon": str(icons / "mechanoscope.icns"),
        "background": str(icons / "ground.png"),  # dmgbuild joins it with ground@2x.png
        "default_view": "icon-view",
        "window_rect": ((200, 200), (600, 360)),
        "icon_size": 128,
        "text_size": 13,
        "icon_locations": {app.name: (150, 165), "Applications": (450, 165)},
    }


def build(app: Path, out: Path, icons: Path = ICONS) -> Path:
    """The disk image of an application. icons: where packaging/icons.py has drawn."""
    if not (app / "Contents" / "Info.plist").is_file():
        raise OSError(f"{app} is no application: build it on macOS, with packaging/build.py")
    chosen = settings(app.resolve(), icons.resolve())
    for name in (chosen["icon"], chosen["background"]):
        if not Path(str(name)).is_file():
            raise OSError(
                f"{name} is not there: packaging/build.py draws it, or packaging/icons.py"
            )
    try:
        import dmgbuild  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise OSError("dmgbuild is not installed: packaging/macos/dmg.sh brings it") from error
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    dmgbuild.build_dmg(str(out), "Mechanoscope", settings=chosen)
    return out


def main(argv: Sequence[str] | None = None) -> int:
    sys.path.append(str(HERE.parent))
    from beside import version as said

    version = said()
    name = f"mechanoscope-{version}-macos-{platform.machine()}.dmg"
    parser = argparse.ArgumentParser(description="Make the disk image.")
    parser.add_argument("app", nargs="?", type=Path, default=ROOT / "dist" / "Mechanoscope.app")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / name)
    parser.add_argument("--icons", type=Path, default=ICONS, help="what packaging/icons.py drew")
    given = parser.parse_args(argv)
    try:
        made = build(given.app, given.out, given.icons)
    except OSError as error:
        print(f"dmg.py: {error}", file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The settings file, looked over before Qt reads it: a damaged one is kept aside, never trusted.

Qt reads an INI file leniently: it takes what it can and overwrites the rest. A value that claims to
be an object of Qt (`@Variant`) is even built from the bytes that stand there, which can end the
program. We write text and byte arrays only, so any other line is damage. The file is kept as
`Mechanoscope.ini.damaged`, and the lines that are whole go on.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QSettings

MOST = 64 << 20  # bytes; ours has kB
_SECTION = re.compile(rb"\[[\w.%\\-]+\]")
_KEY = rb"[\w.%\\-]+"
_VALUE = rb'(?:[^"\\\x00-\x1f]|\\.|"(?:[^"\\\x00-\x1f]|\\.)*")*'
_ENTRY = re.compile(_KEY + rb"=" + _VALUE)
_OBJECT = re.compile(rb"@(?:Variant|DateTime)\(|\\x0*40(?![0-9a-fA-F])")
_HALF = re.compile(rb'=\s*"?@ByteArray(?!\(.*\)"?$)')


def place() -> Path:
    """Where the settings are, without reading them."""
    user = QSettings.Scope.UserScope
    near = QSettings(QSettings.Format.IniFormat, user, "Mechanoscope", "no such file")
    return Path(near.fileName()).with_name("Mechanoscope.ini")


def look_over(path: Path | None = None) -> str:
    """Make the file one that Qt can read; a sentence for the user where something was wrong."""
    path = path or place()
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > MOST:  # a folder, say
            return _put_aside(path, b"")
        content = path.read_bytes()
    except FileNotFoundError:
        return "" if _may_write(path) else f"Settings are not kept: {path.parent} is read-only"
    except OSError as error:
        return f"Settings cannot be read ({error.strerror or error}): {path}"
    lines = content.splitlines()
    whole = [line for line in lines if _is_whole(line)]
    if len(whole) != len(lines):
        return _put_aside(path, b"".join(line + b"\n" for line in whole))
    return "" if _may_write(path) else f"Settings are not kept: {path} is read-only"


def _is_whole(line: bytes) -> bool:
    """Whether Qt could have written a line."""
    line = line.strip()
    if not line or line.startswith(b";") or _SECTION.fullmatch(line):
        return True
    if not _ENTRY.fullmatch(line) or _OBJECT.search(line) or _HALF.search(line):
        return False
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _put_aside(path: Path, whole: bytes) -> str:
    """Keep the file under another name, and in its place what was whole in it."""
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists() and number < 10:  # an earlier one may hold what this one has lost
        number += 1
        aside = path.with_name(f"{path.name}.damaged {number}")
    try:
        os.replace(path, aside)
    except OSError as error:
        # A folder below a file: Qt keeps in memory what it is told, and never reads the damage.
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(path / "no"))
        return f"Settings are damaged and cannot be moved ({error.strerror or error}): {path}"
    with suppress(OSError):  # without it the defaults apply
        path.write_bytes(whole)
    return f"The settings file was damaged; it is kept as {aside.name}"


def _may_write(path: Path) -> bool:
    """Whether Qt can write there: the file, or where it is to be made."""
    made = next(there for there in (path, *path.parents) if os.path.exists(there))
    return os.access(made, os.W_OK) and (made == path or os.path.isdir(made))

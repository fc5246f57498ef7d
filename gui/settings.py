"""Window geometry, recent files and form values: QSettings, where any read error means defaults.

Nothing that a file may hold stops the program: what is not of the expected kind counts as not
there. `gui/settings_file.py` looks the file over before Qt reads it.
"""

from __future__ import annotations

import json
import math
import os
import time
import zlib
from typing import Any

from PySide6.QtCore import QByteArray, QSettings

LARGEST = 2**31 - 1  # what a widget takes as a number
LATEST = 1e11  # seconds since 1970, in the year 5138: later ones are no dates


def settings() -> QSettings:
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, "Mechanoscope", "Mechanoscope"
    )


def read(key: str, default: Any) -> Any:
    """A JSON value of the default's own type; the default for anything else."""
    try:
        value = json.loads(str(settings().value(key)))
    except (ValueError, TypeError, RecursionError):
        return default
    return value if _like(value, default) else default


def _like(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return type(value) is type(default)
    if isinstance(value, int):
        return isinstance(default, int) and abs(value) <= LARGEST
    return isinstance(value, type(default)) and "\0" not in value


def write(key: str, value: Any) -> None:
    settings().setValue(key, json.dumps(value))


def read_bytes(key: str) -> QByteArray | None:
    """What `write_bytes` wrote, to the bit; None for anything else.

    Qt trusts the states of windows and docks that it is given: a changed byte can end the program.
    """
    value = settings().value(key)
    content = bytes(value.data()) if isinstance(value, QByteArray) else b""
    return QByteArray(content[4:]) if content[:4] == _mark(content[4:]) else None


def write_bytes(key: str, value: QByteArray) -> None:
    content = bytes(value.data())
    settings().setValue(key, QByteArray(_mark(content) + content))


def _mark(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "big")


def remembered(key: str) -> list[str]:
    """The entries of a list of recent ones that can be names of files."""
    return [entry for entry in read(key, []) if isinstance(entry, str) and _is_name(entry)]


def _is_name(entry: str) -> bool:
    try:
        return bool(entry) and b"\0" not in os.fsencode(entry)
    except ValueError:  # half of a pair of surrogates, say
        return False


def remember(key: str, entry: str, limit: int = 8) -> None:
    """Put an entry first in a list of recent ones, and note the time."""
    entries = [entry, *(old for old in remembered(key) if old != entry)][:limit]
    write(key, entries)
    times = opened_at(key) | {entry: time.time()}
    write(f"{key} times", {name: at for name, at in times.items() if name in entries})


def opened_at(key: str) -> dict[str, float]:
    """When the entries of a list of recent ones were opened, in seconds since 1970."""
    stored = read(f"{key} times", {})
    return {name: float(at) for name, at in stored.items() if _is_time(at)}


def _is_time(at: Any) -> bool:
    number = isinstance(at, int | float) and not isinstance(at, bool)
    return number and math.isfinite(at) and 0 <= at <= LATEST

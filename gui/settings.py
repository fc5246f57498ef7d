"""Window geometry, recent files and form values: QSettings, where any read error means defaults."""

from __future__ import annotations

import json
import time
from typing import Any

from PySide6.QtCore import QSettings


def settings() -> QSettings:
    return QSettings(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, "Mechanoscope", "Mechanoscope"
    )


def read(key: str, default: Any) -> Any:
    """A JSON value of the default's own type; the default for anything else."""
    try:
        value = json.loads(str(settings().value(key)))
    except (ValueError, TypeError):
        return default
    return value if isinstance(value, type(default)) else default


def write(key: str, value: Any) -> None:
    settings().setValue(key, json.dumps(value))


def remember(key: str, entry: str, limit: int = 8) -> None:
    """Put an entry first in a list of recent ones, and note the time."""
    kept = [old for old in read(key, []) if isinstance(old, str) and old != entry]
    entries = [entry, *kept][:limit]
    write(key, entries)
    times = opened_at(key) | {entry: time.time()}
    write(f"{key} times", {name: at for name, at in times.items() if name in entries})


def opened_at(key: str) -> dict[str, float]:
    """When the entries of a list of recent ones were opened, in seconds since 1970."""
    stored = read(f"{key} times", {})
    return {name: float(at) for name, at in stored.items() if isinstance(at, int | float)}

"""Window geometry, recent files and form values: QSettings, where any read error means defaults."""

from __future__ import annotations

import json
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
    """Put an entry first in a list of recent ones."""
    kept = [old for old in read(key, []) if isinstance(old, str) and old != entry]
    write(key, [entry, *kept][:limit])

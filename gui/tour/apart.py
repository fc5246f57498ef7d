"""A temporary home: settings, sessions and lists of models that are not the user's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import QSettings

from gui.settings import settings

HOME = ("HOME", "USERPROFILE")
INSIDE = (
    "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "HF_HOME",
    "WIN_PD_OVERRIDE_LOCAL_APPDATA",  # Windows itself is asked for that folder, else
)  # fmt: skip
UNSET = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE")


@contextmanager
def apart() -> Iterator[Path]:
    """The folder that stands in for the user's; afterwards everything is as before."""
    names = (*HOME, *INSIDE, *UNSET)
    before = {name: os.environ[name] for name in names if name in os.environ}
    stored = Path(settings().fileName()).parents[1]
    with tempfile.TemporaryDirectory(prefix="mechanoscope-", ignore_cleanup_errors=True) as made:
        home = Path(made)
        os.environ.update({name: str(home) for name in HOME})
        os.environ.update({name: str(home / name.lower()) for name in INSIDE})
        for name in UNSET:
            os.environ.pop(name, None)
        _settings_in(home / "settings")
        try:
            yield home
        finally:
            for name in names:
                os.environ.pop(name, None)
            os.environ.update(before)
            _settings_in(stored)


def _settings_in(folder: Path) -> None:
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))

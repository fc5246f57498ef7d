"""What a start was given: words of a command line, or a file that macOS wants opened, as paths."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QEvent, QUrl, Signal
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication


def given(arguments: Iterable[str]) -> list[Path]:
    """The paths among some words; what begins with `-` is none, but all after `--` are."""
    paths: list[Path] = []
    options = True
    for word in arguments:
        if options and word.startswith("-"):
            options = word != "--"
        elif word:
            paths.append(path_of(word))
    return paths


def path_of(word: str) -> Path:
    """A path, or what a `file://` address means on this system: desktops hand over either."""
    if word.lower().startswith("file:"):
        word = QUrl(word).toLocalFile() or word
    return Path(word.replace("\0", ""))


def opened_by(event: QEvent) -> Path | None:
    """The file of a double click, which macOS tells a running program by an event."""
    if not isinstance(event, QFileOpenEvent):
        return None
    name = event.file() or event.url().toLocalFile()
    return Path(name) if name else None


class Application(QApplication):
    """Hears macOS. `event` is asked about the program's own events; a filter would be of all."""

    given = Signal(object)  # Path

    def event(self, event: QEvent) -> bool:
        path = opened_by(event)
        if path is None:
            return super().event(event)
        self.given.emit(path)
        return True

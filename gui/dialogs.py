"""Dialogs that never block: each is shown with `open` or `show` and calls back."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from engine.errors import FileError
from gui.buttons import Button, Icon, label
from gui.settings import read, write

Then = Callable[[Path], object]
Act = Callable[[], object]


def choose_folder(parent: QWidget, title: str, then: Then) -> QFileDialog:
    dialog = QFileDialog(parent, title, read("folders/model", str(Path.home())))
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly, False)
    return _open(dialog, "folders/model", then)


def choose_file(parent: QWidget, title: str, pattern: str, then: Then) -> QFileDialog:
    dialog = QFileDialog(parent, title, read("folders/file", str(Path.home())), pattern)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
    return _open(dialog, "folders/file", then)


def choose_target(parent: QWidget, title: str, name: str, suffix: str, then: Then) -> QFileDialog:
    dialog = QFileDialog(parent, title, read("folders/export", str(Path.home())))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(suffix)
    dialog.setNameFilter(f"*.{suffix}")
    dialog.selectFile(f"{name}.{suffix}")
    return _open(dialog, "folders/export", then)


def _open(dialog: QFileDialog, key: str, then: Then) -> QFileDialog:
    def chosen(text: str) -> None:
        write(key, str(Path(text).parent))
        then(Path(text))

    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(chosen)
    dialog.open()
    return dialog


class Notice(QDialog):
    """A message with its next step, beside the window and never in its way.

    actions: (word, what it does) at the bottom, which also close it. rows: (text, word, what it
    does), one line each, which do not.
    """

    def __init__(
        self,
        parent: QWidget | None,
        heading: str,
        text: str,
        details: str = "",
        sign: str = "triangle-alert",
        actions: Sequence[tuple[str, Act]] = (),
        rows: Sequence[tuple[str, str, Act]] = (),
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Mechanoscope")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        self.setMinimumWidth(460)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 16)
        box.setSpacing(12)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(
            Icon(sign, "muted" if sign == "info" else "warn", 20), 0, Qt.AlignmentFlag.AlignTop
        )
        title = label(heading, "heading")
        title.setWordWrap(True)
        title.setAlignment(Qt.AlignmentFlag.AlignTop)
        top.addWidget(title, 1)
        box.addLayout(top)
        body = label(text)
        body.setWordWrap(True)
        body.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        body.setAlignment(Qt.AlignmentFlag.AlignTop)
        box.addWidget(body, 0 if details else 1)
        if details:
            shown = QPlainTextEdit(details)
            shown.setReadOnly(True)
            shown.setProperty("mono", True)
            shown.setMinimumHeight(180)
            box.addWidget(shown, 1)
        for words, word, act in rows:
            box.addLayout(_row(words, word, act))
        row = QHBoxLayout()
        row.addStretch(1)
        lines = "\n".join(words for words, _, _ in rows)
        copied = "\n\n".join(part for part in (heading, text, lines, details) if part)
        for word, act in actions:
            row.addWidget(Button(word, action=lambda act=act: self._do(act)))
        if not actions:
            copy = lambda: QApplication.clipboard().setText(copied)  # noqa: E731
            row.addWidget(Button("Copy", "copy", copy))
        close = Button("Cancel" if actions else "Close", action=self.close, primary=True)
        close.setDefault(True)
        row.addWidget(close)
        box.addLayout(row)
        close.setFocus()

    @property
    def is_open(self) -> bool:
        """False also once Qt has deleted it, as it does after closing."""
        return isValid(self) and self.isVisible()

    def _do(self, act: Act) -> None:
        self.close()
        act()


def _row(words: str, word: str, act: Act) -> QHBoxLayout:
    text = label(words)
    text.setWordWrap(True)
    made = QHBoxLayout()
    made.setSpacing(12)
    made.addWidget(text, 1)
    made.addWidget(Button(word, "locate", act), 0, Qt.AlignmentFlag.AlignTop)
    return made


def show_file_error(parent: QWidget | None, error: FileError, attempt: str = "opened") -> Notice:
    """Name the file, the reason and the next step."""
    why = error.why[:1].upper() + error.why[1:]
    notice = Notice(parent, f"{error.path.name or error.path} could not be {attempt}", why)
    notice.setToolTip(str(error.path))
    notice.show()
    return notice


def show_bug(parent: QWidget | None, error: BaseException, log: Path | None) -> Notice:
    """An error of ours: what it was, where it is written down, and Copy."""
    where = f"It is written down in {log}. " if log else ""
    notice = Notice(
        parent,
        "Something went wrong inside Mechanoscope",
        f"{where}Nothing that was computed is lost; you can go on.",
        "".join(traceback.format_exception(error)),
    )
    notice.resize(640, 420)
    notice.show()
    return notice

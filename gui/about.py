"""About: what this program is, which versions it is made of, and where it keeps its files."""

from __future__ import annotations

import platform
from pathlib import Path

import PySide6
from PySide6.QtCore import QSize, QSysInfo, Qt, qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

import engine
from engine import blas, program
from engine.licences import ROOT
from engine.versions import blas_library, version_of, versions
from gui import memory, theme
from gui.app import log_file
from gui.buttons import Button, label
from gui.session_file import sessions_folder
from gui.settings import settings

WIDE, MARK = 600, 56  # px
WHAT = (
    "See how a neural network computes its answer: open one, and read its attention, its "
    "features and what causes what."
)
LOCAL = "Nothing leaves this machine."


def facts() -> list[tuple[str, str]]:
    """Name and value of what a person who looks for a fault wants to know."""
    own = versions()
    qt = PySide6.__version__
    return [
        ("Python", own["python"]),
        ("Qt", f"{qVersion()}, PySide6 {qt}"),
        ("NumPy", own["numpy"]),
        ("BLAS", str(blas_library())),
        *((name, version_of(name.lower()) or "not found") for name in
          ("SciPy", "pyqtgraph", "tokenizers", "safetensors")),
        ("System", f"{QSysInfo.prettyProductName()}, {_kernel()}"),
        ("Machine", f"{platform.machine()}, {_machine()}"),
        ("Display", _display()),
        ("Started", "the packaged program" if program.frozen() else f"from source, {ROOT}"),
    ]  # fmt: skip


def places() -> list[tuple[str, Path]]:
    """What is kept, and the folder or file that it is in."""
    return [
        ("Sessions", sessions_folder()),
        ("Settings", Path(settings().fileName())),
        ("Log", log_file()),
    ]


def as_text() -> str:
    """Everything, for a bug report."""
    rows = [*facts(), *((name, str(where)) for name, where in places())]
    return "\n".join([f"Mechanoscope {engine.__version__}", *(f"{a}: {b}" for a, b in rows)])


def _kernel() -> str:
    return f"{platform.system()} {platform.release()}"


def _machine() -> str:
    number = blas.cores()
    words = f"{number} core{'s' * (number != 1)}"
    whole = memory.total()
    return f"{words}, {memory.size(whole)} of memory" if whole else words


def _display() -> str:
    """Qt's way to the screen, its size, and how much it enlarges."""
    name, screen = QGuiApplication.platformName(), QGuiApplication.primaryScreen()
    if screen is None:
        return name
    size = screen.size()
    scale = round(100 * screen.devicePixelRatio())
    return f"{size.width()} × {size.height()} at {scale} %, {name}"


class About(QDialog):
    """The box: it never blocks, everything in it can be selected, and Copy takes all of it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("About Mechanoscope")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        self.values: dict[str, QLabel | QLineEdit] = {}
        self.said = label("", "small")
        self.copy_button = Button("Copy", "copy", self.copy)
        self.copy_button.setToolTip("All of this as text, for a bug report")
        self.licences_button = Button("Licences…", "file-text", self.show_licences)
        self.close_button = Button("Close", action=self.close, primary=True)
        box = QVBoxLayout(self)
        box.setContentsMargins(20, 20, 20, 16)
        box.setSpacing(16)
        box.addLayout(self._head())
        box.addWidget(_card(self._versions()))
        box.addWidget(_card(self._places()))
        box.addLayout(self._foot())
        self.close_button.setDefault(True)
        self.close_button.setFocus()
        self._fit()

    def _head(self) -> QHBoxLayout:
        mark = QLabel()
        mark.setPixmap(theme.app_icon().pixmap(QSize(MARK, MARK), self.devicePixelRatio()))
        mark.setAccessibleName("Mechanoscope's mark")
        title = QHBoxLayout()
        title.setSpacing(8)
        title.addWidget(label("Mechanoscope", "title"))
        version = label(engine.__version__, "muted")
        version.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        title.addWidget(version, 1, Qt.AlignmentFlag.AlignBottom)
        what, local = label(WHAT), label(LOCAL, "value")
        what.setWordWrap(True)
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addLayout(title)
        words.addWidget(what)
        words.addWidget(local)
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        return row

    def _versions(self) -> QGridLayout:
        rows = _grid()
        for row, (name, value) in enumerate(facts()):
            shown = label(value)
            shown.setWordWrap(True)
            shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            shown.setAccessibleName(name)
            self.values[name] = shown
            rows.addWidget(label(name, "muted"), row, 0, Qt.AlignmentFlag.AlignTop)
            rows.addWidget(shown, row, 1)
        return rows

    def _places(self) -> QGridLayout:
        rows = _grid()
        rows.setVerticalSpacing(8)
        for row, (name, where) in enumerate(places()):
            shown = QLineEdit(str(where))
            shown.setReadOnly(True)
            shown.setCursorPosition(0)
            shown.setToolTip(str(where))
            shown.setAccessibleName(name)
            self.values[name] = shown
            folder = where if name == "Sessions" else where.parent
            button = Button("Open folder", "folder-open", lambda folder=folder: self._open(folder))
            button.setAccessibleName(f"Open folder: {name}")
            button.setEnabled(folder.is_dir())
            if not folder.is_dir():
                button.setToolTip("It is made when something is written there")
            rows.addWidget(label(name, "muted"), row, 0)
            rows.addWidget(shown, row, 1)
            rows.addWidget(button, row, 2)
        return rows

    def _foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.copy_button)
        row.addWidget(self.licences_button)
        row.addWidget(self.said, 1)
        row.addWidget(self.close_button)
        return row

    def _fit(self) -> None:
        """As high as its words need at the present size of type."""
        wide = round(WIDE * theme.zoom())
        self.ensurePolished()
        if (box := self.layout()) is not None:
            box.activate()
            self.setFixedWidth(wide)
            self.resize(wide, box.totalHeightForWidth(wide))

    def _open(self, folder: Path) -> None:
        from gui.preferences import open_folder

        if not open_folder(folder):
            self.said.setText("No file browser opens this folder; its path can be copied.")

    def copy(self) -> None:
        """All rows as text, one to a line."""
        QGuiApplication.clipboard().setText(as_text())
        self.said.setText("Copied.")

    def show_licences(self) -> None:
        from gui.licences import Licences

        self.licences = Licences(self)
        self.licences.show()


def _grid() -> QGridLayout:
    rows = QGridLayout()
    rows.setContentsMargins(12, 10, 12, 10)
    rows.setHorizontalSpacing(16)
    rows.setVerticalSpacing(4)
    rows.setColumnMinimumWidth(0, round(80 * theme.zoom()))
    rows.setColumnStretch(1, 1)
    return rows


def _card(inside: QGridLayout) -> QFrame:
    made = QFrame()
    made.setProperty("card", True)
    made.setLayout(inside)
    return made

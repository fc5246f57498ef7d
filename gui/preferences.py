"""Preferences (Ctrl+,): the look, what lies on the disk, what a cluster may do; never modal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from gui import storage, theme
from gui.artifacts import checkpoints_folder
from gui.buttons import Button, Elided, label
from gui.dialogs import Notice
from gui.memory import size
from gui.records import count
from gui.session_file import sessions_folder
from gui.settings import remembered
from gui.storage import Deleted, Room, Unused
from gui.topbar import Segments

if TYPE_CHECKING:
    from gui.window import Window

WIDE = 600  # px
THEMES = ("Light", "Dark")
SIZES = ("Normal", "Presentation")
DOUBTS = 4  # sessions that are named, of those that cannot be read
CLUSTER = (
    "A sweep can send its cells to a Dask cluster from the command line. Whoever controls that "
    "cluster can run any code there and on this machine: specs and results travel between the two "
    "as pickles, which are code. Connect only to a cluster that you trust. The program connects "
    "to none by itself."
)
COMMAND = (
    "mechanoscope sweep ToyModel --executor dask://host:port "
    "--grid 'density=[0.9, 0.1]' --out sweep.npz"
)


def show(window: Window) -> Preferences:
    """The page, made or brought to the front."""
    made = next((one for one in window.findChildren(Preferences) if one.isVisible()), None)
    made = made or Preferences(window)
    made.show()
    made.raise_()
    made.activateWindow()
    return made


def open_folder(folder: Path) -> bool:
    """In the system's file browser; whether it could."""
    return QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


class Preferences(QDialog):
    """Three groups: appearance, storage, clusters. What it changes, it changes at once."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.window_ = window
        self.notice: Notice | None = None
        self._shown: tuple[Path, ...] = ()
        self.setWindowTitle("Preferences")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        self.theme = _segments(THEMES, "Theme", "Ctrl+T")
        self.theme.chosen.connect(self._choose_theme)
        self.type = _segments(SIZES, "Text size", "F11")
        self.type.chosen.connect(self._choose_size)
        self.sessions = _Place("Sessions", sessions_folder(), self._open)
        self.checkpoints = _Place("Checkpoints of trainings", checkpoints_folder(), self._open)
        self.clean = Button("Delete those of no kept run…", "trash-2", self.look)
        self.clean.setEnabled(False)
        self.said = label("", "small")
        self.said.setWordWrap(True)
        self.command = QLineEdit(COMMAND)
        self.command.setReadOnly(True)
        self.command.setProperty("mono", True)
        self.command.setAccessibleName("Command")
        self.command.setCursorPosition(0)
        self.copy = Button("Copy", "copy", self._copy)
        self.close_button = Button("Close", action=self.close)
        self._lay_out()
        self._mark()
        self.count()
        self._fit()
        self.close_button.setDefault(True)
        self.close_button.setFocus()

    def _lay_out(self) -> None:
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 16, 16, 16)
        box.setSpacing(16)
        box.addWidget(_group("Appearance", self._appearance()))
        box.addWidget(_group("Storage", self._storage()))
        box.addWidget(_group("Clusters", self._clusters()))
        box.addStretch(1)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(self.close_button)
        box.addLayout(foot)

    def _fit(self) -> None:
        """As high as its words need at the present size of type."""
        wide = round(WIDE * theme.zoom())
        self.ensurePolished()
        if (box := self.layout()) is not None:
            box.activate()
            high = box.totalHeightForWidth(wide)
            self.setMinimumSize(wide, high)
            self.resize(wide, high)

    def _appearance(self) -> QGridLayout:
        rows = QGridLayout()
        rows.setHorizontalSpacing(16)
        rows.setVerticalSpacing(8)
        rows.setColumnStretch(2, 1)
        note = label("Larger type, no forms, the whole screen", "small")
        for row, (word, choice) in enumerate((("Theme", self.theme), ("Text size", self.type))):
            rows.addWidget(label(word), row, 0)
            rows.addWidget(choice, row, 1, Qt.AlignmentFlag.AlignLeft)
        rows.addWidget(note, 1, 2)
        return rows

    def _storage(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setSpacing(12)
        line = QFrame()
        line.setProperty("hairline", True)
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(self.clean, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.said, 1, Qt.AlignmentFlag.AlignVCenter)
        for widget in (self.sessions, line, self.checkpoints):
            column.addWidget(widget)
        column.addLayout(row)
        return column

    def _clusters(self) -> QVBoxLayout:
        words = label(CLUSTER)
        words.setWordWrap(True)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.command, 1)
        row.addWidget(self.copy)
        column = QVBoxLayout()
        column.setSpacing(8)
        column.addWidget(words)
        column.addLayout(row)
        return column

    # appearance

    def _choose_theme(self, word: str) -> None:
        if (word == "Dark") != theme.current().dark:
            self.window_.switch_theme()
        self._mark()

    def _choose_size(self, word: str) -> None:
        if (word == "Presentation") != self.window_.presenting:
            self.window_.switch_presentation()
            self.raise_()
            self.activateWindow()
        self._mark()

    def _mark(self) -> None:
        self.theme.show_chosen("Dark" if theme.current().dark else "Light")
        self.type.show_chosen("Presentation" if self.window_.presenting else "Normal")

    def changeEvent(self, event: QEvent) -> None:
        """The theme may be switched elsewhere, too."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
        if event.type() in kinds and hasattr(self, "close_button"):
            self._mark()
            QTimer.singleShot(0, self, self._fit)  # once its labels are dressed too

    # storage

    def count(self) -> None:
        """What the two folders take, counted beside whatever runs."""
        self.sessions.show_words("Counting…")
        self.checkpoints.show_words("Counting…")
        job = self.window_.jobs.do(storage.rooms, "Counting what is stored", beside=True)
        job.finished.connect(self._counted)
        job.failed.connect(self._failed)

    def _counted(self, rooms: tuple[Room, Room]) -> None:
        sessions, checkpoints = rooms
        self.sessions.show_words(_words(sessions, "session"))
        self.checkpoints.show_words(_words(checkpoints, "folder"))
        self.clean.setEnabled(checkpoints.number > 0)

    def _open(self, folder: Path) -> None:
        if not open_folder(folder):
            self._tell(f"No file browser opens {folder}")

    def _known(self) -> tuple[list[Path], list[Any]]:
        """The sessions to be read, and what may be in none yet; read here, on the GUI thread."""
        window, records = self.window_, self.window_.records
        paths = [Path(entry) for entry in remembered("recent/sessions")]
        paths += [records.path] if records.path is not None else []
        held: list[Any] = [entry.run for entry in (*records.entries, *records.deleted)]
        held += [panel.run_shown for panel in window.panels]
        for job in (*window.jobs.running, *window.jobs.waiting):
            held += [job.spec, tuple(job.kept)]
        return paths, [value for value in held if value is not None]

    def look(self) -> None:
        """Find the checkpoints of no kept run, then ask."""
        self._busy("Reading the sessions…")
        work = storage.unused(*self._known())
        job = self.window_.jobs.do(work, "Reading the sessions", beside=True)
        job.finished.connect(self._found)
        job.failed.connect(self._failed)
        job.cancelled.connect(self._stopped)

    def _found(self, found: Unused) -> None:
        self._free("")
        self._shown = tuple(place.path for place in found.places)
        looked = (
            f"{count(found.sessions, 'session')} {'was' if found.sessions == 1 else 'were'} read: "
            "those of the sessions folder, the recent ones and what lies beside them."
        )
        if found.doubts:
            self._say(
                "Nothing is deleted: not every session can be read",
                f"{_doubts(found.doubts)}\nWhich checkpoints belong to it cannot be told, so all "
                "are kept. Move it to another folder if it is of no use, and look again.",
            )
        elif not found.places:
            self._tell(f"All belong to kept runs or are in use. {looked}")
        else:
            number = count(len(found.places), "folder")
            self._say(
                f"Delete {number} of checkpoints, {size(found.nbytes)}?",
                f"No run in any session that was read refers to them. {looked} "
                "Trainings of sessions that lie elsewhere lose theirs. This cannot be undone.",
                [(f"Delete {number}", self.delete)],
            )

    def delete(self) -> None:
        """Delete what was shown, as far as it is still of no kept run."""
        self._busy("Deleting…")
        work = storage.deletion(self._shown, *self._known())
        job = self.window_.jobs.do(work, "Deleting checkpoints", beside=True)
        job.finished.connect(self._deleted)
        job.failed.connect(self._failed)
        job.cancelled.connect(self._stopped)

    def _deleted(self, done: Deleted) -> None:
        left = f"; {done.left} stay, in use or kept by now" if done.left else ""
        self._free(f"{count(done.number, 'folder')} deleted, {size(done.nbytes)} freed{left}.")
        self.count()

    def _busy(self, words: str) -> None:
        self.clean.setEnabled(False)
        self._tell(words)

    def _free(self, words: str) -> None:
        self.clean.setEnabled(True)
        self._tell(words)

    def _tell(self, words: str) -> None:
        self.said.setText(words)
        self._fit()

    def _failed(self, error: BaseException, _: object = None) -> None:
        self._free(f"That did not work: {error}")

    def _stopped(self, _: object = None) -> None:
        self._free("Stopped.")
        self.count()

    def _say(self, heading: str, text: str, actions: Sequence[tuple[str, Any]] = ()) -> None:
        if self.notice is not None and self.notice.is_open:
            self.notice.close()
        self.notice = Notice(self, heading, text, actions=actions)
        self.notice.show()

    # clusters

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(COMMAND)


class _Place(QWidget):
    """One folder: what it is, what it takes, where it lies, and a button that opens it."""

    def __init__(self, name: str, folder: Path, open_it: Any) -> None:
        super().__init__()
        self.folder = folder
        self.words = label("", "muted")
        self.button = Button("Open folder", "folder-open", lambda: open_it(folder))
        self.button.setAccessibleName(f"Open folder: {name}")
        where = Elided(str(folder), "small")
        where.setToolTip(str(folder))
        where.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        where.setMinimumWidth(0)
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(label(name, "value"))
        top.addWidget(self.words, 1)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addLayout(top)
        words.addWidget(where)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addLayout(words, 1)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignVCenter)

    def show_words(self, words: str) -> None:
        self.words.setText(words)
        self.button.setEnabled(self.folder.is_dir())


def _segments(words: Sequence[str], name: str, keys: str) -> Segments:
    """Reached by Tab here: there is no key for each of the words."""
    made = Segments(words, name)
    for word, button in made.buttons.items():
        button.setToolTip(f"{name}: {word.lower()} ({keys} in the window)")
        button.setAccessibleName(f"{name}: {word}")
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setAutoDefault(False)
    return made


def _group(title: str, inside: Any) -> QFrame:
    """A card with its caption over it."""
    made = QFrame()
    column = QVBoxLayout(made)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(6)
    column.addWidget(label(title, "caption"))
    card = QFrame()
    card.setProperty("card", True)
    inside.setContentsMargins(16, 12, 16, 12)
    card.setLayout(inside)
    column.addWidget(card)
    return made


def _words(room: Room, name: str) -> str:
    return f"{count(room.number, name)}, {size(room.nbytes)}" if room.nbytes else "Nothing yet"


def _doubts(doubts: Sequence[tuple[Path, str]]) -> str:
    lines = [f"{path}: {why}." for path, why in doubts[:DOUBTS]]
    more = len(doubts) - DOUBTS
    return "\n".join([*lines, f"And {more} more."] if more > 0 else lines)

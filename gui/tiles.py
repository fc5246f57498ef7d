"""What one presses on the welcome page: a question with its picture, a model that is ready."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from gui import library, memory
from gui.buttons import Button, Elided, Icon, IconButton, label
from gui.recovery import Place, runs_in, when


class Clickable(QFrame):
    """A card or a row that acts on a click, Return or Space."""

    pressed = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setProperty("clickable", True)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(
            event.position().toPoint()
        ):
            self.pressed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.pressed.emit()
        else:
            super().keyPressEvent(event)


class Picture(QWidget):
    """A pixmap as large as fits, in its own proportions."""

    def __init__(self) -> None:
        super().__init__()
        self.pixmap = QPixmap()
        self.setMinimumSize(160, 130)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(240, 176)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.pixmap.isNull():
            return
        ratio = self.devicePixelRatioF()
        room = (QSizeF(self.size() - QSize(8, 8)) * ratio).toSize()
        keep, smooth = (
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.SmoothTransformation,
        )
        small = self.pixmap.scaled(room, keep, smooth)
        small.setDevicePixelRatio(ratio)
        left = (self.width() - small.width() / ratio) / 2
        painter = QPainter(self)
        painter.drawPixmap(QPointF(left, 8), small)
        painter.end()


class Tile(Clickable):
    """A question, with a small picture of the real panel that answers it."""

    def __init__(self, question: str, words: str) -> None:
        super().__init__(question)
        self.setProperty("card", True)
        self.picture = Picture()
        line = QFrame()
        line.setProperty("hairline", True)
        text = label(words, "muted")
        text.setWordWrap(True)
        title = label(question, "panel")
        title.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(1, 1, 1, 14)
        box.setSpacing(0)
        box.addWidget(self.picture, 1)
        box.addWidget(line)
        below = QVBoxLayout()
        below.setContentsMargins(15, 12, 15, 0)
        below.setSpacing(2)
        below.addWidget(title)
        below.addWidget(text)
        box.addLayout(below)

    def show_picture(self, picture: QPixmap) -> None:
        self.picture.pixmap = picture
        self.picture.update()


class Wide(Clickable):
    """A question in one row: a small picture, the words, and a sign that it starts at once."""

    def __init__(self, question: str, words: str, note: str) -> None:
        super().__init__(question)
        self.setProperty("card", True)
        self.picture = Picture()
        self.picture.setFixedSize(132, 124)
        names = QVBoxLayout()
        names.setSpacing(2)
        names.addStretch(1)
        names.addWidget(label(question, "panel"))
        text = label(words, "muted")
        text.setWordWrap(True)
        names.addWidget(text)
        names.addWidget(label(note, "small"))
        names.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 16, 8)
        row.setSpacing(16)
        row.addWidget(self.picture)
        row.addLayout(names, 1)
        row.addWidget(Icon("play"))

    def show_picture(self, picture: QPixmap) -> None:
        self.picture.pixmap = picture
        self.picture.update()


class Row(Clickable):
    """A model that is ready to read."""

    def __init__(self, found: library.Found) -> None:
        super().__init__(found.name)
        self.setToolTip(str(found.folder))
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(label(found.name, "panel"))
        names.addWidget(label(found.facts, "small"))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 6, 0, 6)
        row.setSpacing(8)
        row.addWidget(Icon("layers"))
        row.addLayout(names, 1)
        row.addWidget(label(memory.size(found.file_bytes), "small"))


class SessionRow(Clickable):
    """A session on disk, with its time."""

    def __init__(self, place: Place) -> None:
        super().__init__(f"Session {place.path.stem}")
        self.setToolTip(f"{place.path}\n{memory.size(place.nbytes)}")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 4, 0, 4)
        row.setSpacing(8)
        row.addWidget(Icon("history"))
        row.addWidget(Elided(place.path.stem, ""), 1)
        row.addWidget(label(when(place.seconds), "small"))


class Unclosed(QFrame):
    """A session that was open when the program died: one line, with its way back."""

    wanted = Signal()
    dismissed = Signal()

    def __init__(self, place: Place, more: int) -> None:
        super().__init__()
        self.setProperty("card", True)
        others = f" File, Open recent session has {more} more." if more else ""
        text = label(
            f"The program ended without closing '{place.path.stem}'{runs_in(place)}. All finished "
            f"runs are in it.{others}"
        )
        text.setWordWrap(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 8, 8, 8)
        row.setSpacing(12)
        row.addWidget(Icon("triangle-alert", "warn"))
        row.addWidget(text, 1)
        self.open_button = Button("Open it", "history", self.wanted.emit)
        row.addWidget(self.open_button)
        row.addWidget(IconButton("x", "Do not show this again", self.dismissed.emit))

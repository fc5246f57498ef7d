"""The first page: open a model, what is ready to read, three questions that run at once."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPaintEvent, QPixmap, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from engine.blas import cores
from gui import library, memory, recovery, theme
from gui.buttons import Button, Icon, label
from gui.focus import Desk
from gui.jobs import Jobs
from gui.kinds import reads_model
from gui.panel import Panel
from gui.thumbnails import Thumbnails
from gui.tiles import Row, SessionRow, Tile, Unclosed, Wide

READS = (
    "Hugging Face folders: GPT-2, Pythia and GPT-NeoX, Llama, Mistral, Qwen2",
    "TransformerLens layout; single or sharded safetensors, f32, f16, bf16",
    "Of .bin and .pt files only tensors are read; programs in them are refused",
)
STEPS = (
    ("Open a model", "Its parts, their shapes and a self-check appear on the left."),
    ("Write two prompts", "Clean and corrupted, equally long, one token apart."),
    ("Run, then click", "Every panel turns to the layer, head or token you click."),
)
LIST = 6  # models listed
RECENT = 4  # sessions listed
MARGINS = (40, 48, 40, 16)


class Welcome(QWidget):
    """Asks the window through the desk: open, open a path, answer a question."""

    painted = Signal()  # for the first time: what the first picture does not need may begin

    def __init__(self, desk: Desk, jobs: Jobs, panels: Sequence[type[Panel]] = ()) -> None:
        super().__init__()
        self.desk, self.jobs = desk, jobs
        self.setProperty("page", True)
        self.tiles: dict[str, Tile] = {}
        self.live: dict[str, Wide] = {}  # questions that need no model
        self._asking = [panel for panel in panels if reads_model(panel)][:3]
        alone = [panel for panel in panels if panel.kind and not reads_model(panel)]
        first = {panel.arrangement: panel for panel in reversed(alone)}
        self._alone = [panel for panel in alone if panel in first.values()]
        inside = QWidget()
        row = self._margins = QHBoxLayout(inside)
        row.setContentsMargins(*MARGINS)
        row.setSpacing(32)
        left = self._left()
        left.setFixedWidth(392)
        row.addStretch(1)
        row.addWidget(left)
        rule = QFrame()
        rule.setProperty("hairline", "vertical")
        row.addWidget(rule)
        row.addWidget(self._right(), 12)
        row.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        self.unclosed = QVBoxLayout()
        self.unclosed.setContentsMargins(40, 16, 40, 0)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addLayout(self.unclosed)
        box.addWidget(area)
        self.thumbnails = Thumbnails(jobs, self._asking, self._alone, self)
        self.thumbnails.made.connect(self._show_picture)
        self._scanned = False
        self._dressed: theme.Theme | None = None  # what the tiles were drawn in

    def _left(self) -> QWidget:
        side = QWidget()
        box = QVBoxLayout(side)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        sign = QLabel()
        sign.setPixmap(theme.app_icon().pixmap(QSize(52, 52), self.devicePixelRatio()))
        names = QVBoxLayout()
        names.setSpacing(2)
        names.addWidget(label("Mechanoscope", "title"))
        names.addWidget(label("See how a neural network computes its answer.", "muted"))
        top = QHBoxLayout()
        top.setSpacing(16)
        top.addWidget(sign)
        top.addLayout(names, 1)
        box.addLayout(top)
        box.addSpacing(20)
        self.open_button = Button(
            "Open a model folder", "folder-open", lambda: self.desk.ask("open model"), primary=True
        )
        row = QHBoxLayout()
        row.addWidget(self.open_button)
        row.addWidget(label("Ctrl O", "small"))
        row.addStretch(1)
        box.addLayout(row)
        box.addSpacing(4)
        self.drop = QFrame()
        self.drop.setProperty("drop", True)
        self.drop.setMinimumHeight(64)
        inner = QHBoxLayout(self.drop)
        inner.addStretch(1)
        inner.addWidget(Icon("download"))
        inner.addWidget(label("or drop one here: safetensors and config.json", "muted"))
        inner.addStretch(1)
        box.addWidget(self.drop)
        box.addSpacing(16)
        self._caption(box, "On this machine, ready to read")
        self.models = QVBoxLayout()
        self.models.setSpacing(0)
        box.addLayout(self.models)
        self.none_yet = label("Looking for models.", "muted")
        self.models.addWidget(self.none_yet)
        box.addSpacing(12)
        self._caption(box, "What it reads")
        for words in READS:
            self._line(box, "check", words)
        box.addSpacing(12)
        self._caption(box, "This machine")
        self._line(box, "memory-stick", machine())
        self.recent = QVBoxLayout()
        self.recent.setSpacing(0)
        box.addSpacing(12)
        self._caption(box, "Recent sessions")
        box.addLayout(self.recent)
        box.addStretch(1)
        foot = QHBoxLayout()
        foot.setSpacing(4)
        for words, icon, keys, name in (
            ("Guide", "book-open", "F1", "show_guide"),
            ("Commands", "search", "Ctrl K", "show_palette"),
            ("Presentation", "presentation", "F11", "switch_presentation"),
        ):
            do = lambda name=name: self.desk.ask("do", name)  # noqa: E731
            foot.addWidget(Button(words, icon, do, flat=True))
            foot.addWidget(label(keys, "small"))
            foot.addSpacing(4)
        foot.addStretch(1)
        box.addLayout(foot)
        return side

    def _right(self) -> QWidget:
        side = QWidget()
        box = QVBoxLayout(side)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addWidget(label("Start with a question", "heading"))
        box.addWidget(
            label("Each one opens a small language model that comes along, and runs on its "
                  "prompts. Nothing leaves this machine.", "muted")
        )  # fmt: skip
        box.addSpacing(12)
        grid = QGridLayout()
        grid.setSpacing(16)
        for column, panel in enumerate(self._asking):
            tile = Tile(*panel.asked())
            tile.pressed.connect(lambda kind=panel.kind: self._ask(kind))
            self.tiles[panel.kind] = tile
            grid.addWidget(tile, 0, column)
            tile.setMaximumWidth(460)
            grid.setColumnStretch(column, 1)
        box.addLayout(grid)
        for panel in self._alone:
            wide = self.live[panel.kind] = Wide(*panel.asked(), "No model needed")
            wide.pressed.connect(lambda kind=panel.kind: self.desk.ask("demonstrate", kind))
            box.addSpacing(12)
            box.addWidget(wide)
        box.addSpacing(24)
        box.addWidget(label("How a reading goes", "heading"))
        box.addSpacing(8)
        steps = QGridLayout()
        steps.setSpacing(16)
        for column, (title, words) in enumerate(STEPS):
            steps.addWidget(_step(column + 1, title, words), 0, column)
            steps.setColumnStretch(column, 1)
        box.addLayout(steps)
        box.addStretch(1)
        return side

    def _caption(self, box: QVBoxLayout, words: str) -> None:
        box.addWidget(label(words, "caption"))
        box.addSpacing(2)

    def _line(self, box: QVBoxLayout, icon: str, words: str) -> None:
        text = label(words, "muted")
        text.setWordWrap(True)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(Icon(icon), 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(text, 1)
        box.addLayout(row)

    def _fill_recent(self) -> None:
        """Saved sessions, then untitled ones, each with its time."""
        _empty(self.recent)
        saved = recovery.recent_sessions()[:RECENT]
        for place in (*saved, *recovery.untitled_sessions()[: RECENT - len(saved)]):
            row = SessionRow(place)
            row.pressed.connect(lambda path=place.path: self.desk.ask("open path", path))
            self.recent.addWidget(row)
        if not self.recent.count():
            self.recent.addWidget(label("Every run is kept; sessions appear here.", "muted"))

    def show_unclosed(self, place: recovery.Place | None, more: int = 0) -> None:
        """A session that the program never closed, above everything else; None takes it away."""
        _empty(self.unclosed)
        if place is not None:
            line = Unclosed(place, more)
            line.wanted.connect(lambda: self.desk.ask("open unclosed", place.path))
            line.dismissed.connect(lambda: self.desk.ask("dismiss unclosed", place.path))
            self.unclosed.addWidget(line)
        left, top, right, bottom = MARGINS
        self._margins.setContentsMargins(left, 16 if place else top, right, bottom)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fill_recent()
        if self._scanned:
            QTimer.singleShot(0, self, self._dress)  # the theme may have changed behind it

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._scanned:
            self._scanned, self._dressed = True, theme.current()
            QTimer.singleShot(0, self, self.painted.emit)

    def look_around(self) -> None:
        """List the models of this machine, then draw the tiles from the bundled one."""
        job = self.jobs.do(library.scan, "Looking for models", background=True)
        job.finished.connect(self.show_models)
        self.thumbnails.begin()

    def show_models(self, found: Sequence[library.Found]) -> None:
        _empty(self.models)
        for entry in found[:LIST]:
            row = Row(entry)
            row.pressed.connect(lambda entry=entry: self.desk.ask("open path", entry.folder))
            self.models.addWidget(row)
            line = QFrame()
            line.setProperty("hairline", True)
            self.models.addWidget(line)
        if not found:
            self.models.addWidget(label("None found yet; open a folder.", "muted"))

    def _show_picture(self, kind: str, picture: QPixmap) -> None:
        (self.tiles | self.live)[kind].show_picture(picture)

    def _ask(self, kind: str) -> None:
        models = library.bundled()
        if models:
            self.desk.ask("question", (models[0], kind))
        else:
            self.desk.ask("open model")

    def show_drop(self, over: bool) -> None:
        """Show that a drag would be taken."""
        theme.restyle(self.drop, drop="over" if over else True)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._scanned and self.isVisible():
            QTimer.singleShot(0, self, self._dress)

    def _dress(self) -> None:
        """The tiles in the present theme: once, however often Qt says that it changed."""
        if self._dressed != theme.current():
            self._dressed = theme.current()
            self.thumbnails.draw()


def _empty(box: QVBoxLayout) -> None:
    while box.count():
        item = box.takeAt(0)
        widget = item.widget() if item is not None else None
        if widget is not None:
            widget.hide()
            widget.deleteLater()


def _step(number: int, title: str, words: str) -> QWidget:
    made = QWidget()
    text = label(words, "muted")
    text.setWordWrap(True)
    names = QVBoxLayout()
    names.setSpacing(2)
    names.addWidget(label(title, "panel"))
    names.addWidget(text)
    row = QHBoxLayout(made)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(12)
    figure = label(str(number), "big")
    row.addWidget(figure, 0, Qt.AlignmentFlag.AlignTop)
    row.addLayout(names, 1)
    return made


def machine() -> str:
    """What this machine can hold: float32 weights in two thirds of its memory."""
    total = memory.total()
    if not total:
        return f"{cores()} cores"
    most = (
        library.short_count(total * 2 / 3 / 4).replace(" B", " billion").replace(" M", " million")
    )
    return f"{total / 1e9:.1f} GB of memory, {cores()} cores: models up to about {most} parameters"

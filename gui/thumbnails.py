"""Small pictures of the real panels, drawn from the bundled model and its first prompt pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from PySide6.QtCore import QObject, QPoint, QSize, QTimer, Signal
from PySide6.QtGui import QPixmap, QRegion
from PySide6.QtWidgets import QWidget

from engine import technique
from engine.errors import FileError, RunError, SpecError
from engine.technique import Technique
from gui import examples, library, theme
from gui.focus import Desk, Opened, PromptPair
from gui.form import desk_field
from gui.jobs import Jobs
from gui.panel import Panel

SIZE = QSize(380, 236)  # drawn so large; the tile scales it down


class Thumbnails(QObject):
    """Runs each panel's technique with its defaults on the worker; draws when all are there."""

    made = Signal(str, QPixmap)  # kind of technique, picture

    def __init__(
        self,
        jobs: Jobs,
        panels: Sequence[type[Panel]],
        alone: Sequence[type[Panel]] = (),
        parent: QObject | None = None,
    ) -> None:
        """alone: panels that read no model; a short training of theirs is drawn."""
        super().__init__(parent)
        self.jobs = jobs
        self.classes, self.alone = list(panels), list(alone)
        self._model: Any = None
        self._results: dict[str, Any] = {}
        self._left: list[type[Panel]] = []  # still to be drawn
        self._own = Desk(self)  # a desk of their own: the window's stays untouched

    def begin(self) -> None:
        """Compute once; without a bundled model the tiles stay plain."""
        models = library.bundled()
        if not models or not self.classes:
            return

        def work(watch: Any, report: Any) -> Any:
            from engine.model import open_model

            model = open_model(models[0], watch=watch)
            pairs = examples.for_model(model)
            if not pairs:
                return None
            view = model.under(watch=watch)
            alone = [
                technique.of(panel.kind)(**getattr(panel, "sample", {})) for panel in self.alone
            ]
            specs = [_spec(technique.of(panel.kind), pairs[0].pair) for panel in self.classes]
            return model, {type(s).__name__: (s, s.run(view)) for s in (*specs, *alone)}

        job = self.jobs.do(work, "Drawing the welcome page", heavy=True, background=True)
        job.finished.connect(self._keep)
        job.failed.connect(self._failed)

    def _keep(self, found: Any) -> None:
        if found is not None:
            self._model, self._results = found
            self.draw()

    def _failed(self, error: BaseException, _: object) -> None:
        if not isinstance(error, FileError | RunError | SpecError):
            raise error

    def draw(self) -> None:
        """Draw every tile in the present theme, one a turn of the loop: a click waits for one."""
        if self._model is None:
            return
        self._own.put_model(Opened(self._model.folder, None, self._model), activate=True)
        begun = bool(self._left)
        self._left = [*self.classes, *self.alone]
        if not begun:
            QTimer.singleShot(0, self, self._draw_next)

    def _draw_next(self) -> None:
        make = self._left.pop(0)
        spec, result = self._results[make.kind]
        panel = make(self._own, self.jobs)
        panel.header.hide()
        panel.canvas.setFixedSize(SIZE)
        panel.show_result(result, spec, None if make in self.alone else self._model)
        panel.adjustSize()
        picture = getattr(panel, "thumbnail", panel.canvas)
        self.made.emit(make.kind, _drawn(picture))
        panel.deleteLater()
        if self._left:
            QTimer.singleShot(0, self, self._draw_next)


def _drawn(widget: QWidget) -> QPixmap:
    """The widget on the panel's colour, at two pixels per pixel."""
    whole = QPixmap(widget.size() * 2)
    whole.setDevicePixelRatio(2)
    whole.fill(theme.current().color("panel"))
    widget.render(whole, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    whole.setDevicePixelRatio(1)
    return whole


def _spec(kind: type[Technique], pair: PromptPair) -> Technique:
    known = {item.name: desk_field(item) for item in fields(kind) if desk_field(item)}
    return kind(**{name: getattr(pair, source) for name, source in known.items()})

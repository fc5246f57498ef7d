"""Curves: metrics over steps, drawn at any length from a min/max pyramid of bounded size."""

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QEvent, QSize
from PySide6.QtWidgets import QGraphicsView, QVBoxLayout, QWidget

from gui import theme

Array = np.ndarray
BUCKETS = 2048  # per curve, whatever the number of steps


class Pyramid:
    """The smallest and the largest value of equal runs of steps; runs double when it is full."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        self._steps = np.zeros(buckets)  # [bucket] first step of the run
        self._low = np.full(buckets, np.inf)  # [bucket]
        self._high = np.full(buckets, -np.inf)  # [bucket]
        self._size = 1  # values per bucket
        self._held = 0  # values in the newest bucket
        self._used = 0

    def append(self, step: float, value: float) -> None:
        if not np.isfinite(value):
            return
        if self._used == 0 or self._held == self._size:
            if self._used == len(self._steps):
                self._halve()
            self._steps[self._used] = step
            self._low[self._used], self._high[self._used] = value, value
            self._used, self._held = self._used + 1, 1
            return
        last = self._used - 1
        self._low[last] = min(self._low[last], value)
        self._high[last] = max(self._high[last], value)
        self._held += 1

    def _halve(self) -> None:
        half = self._used // 2
        self._steps[:half] = self._steps[::2]
        self._low[:half] = np.minimum(self._low[::2], self._low[1::2])
        self._high[:half] = np.maximum(self._high[::2], self._high[1::2])
        self._used, self._size = half, self._size * 2

    def points(self) -> tuple[Array, Array]:
        """(steps, values) of a line through both ends of every run."""
        n = self._used
        if self._size == 1:
            return self._steps[:n].copy(), self._low[:n].copy()
        ends = np.stack([self._low[:n], self._high[:n]], axis=1).ravel()  # [2 bucket]
        return np.repeat(self._steps[:n], 2), ends


class Curves(QWidget):
    """`append` from the clock, `set_series` for a stored run; one item per name for ever."""

    def __init__(self, parent: QWidget | None = None, *, x: str = "step", y: str = "") -> None:
        super().__init__(parent)
        import pyqtgraph as pg  # 0.2 s to import: only windows with curves pay for it

        self._pg = pg
        self._area = pg.PlotItem()
        self.plot = pg.PlotWidget(self, plotItem=self._area)
        self.plot.setLabel("bottom", x)
        if y:
            self.plot.setLabel("left", y)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self._pyramids: dict[str, Pyramid] = {}
        self._items: dict[str, tuple] = {}
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.plot)
        self.setAccessibleName(f"{y or 'values'} by {x}")
        self._pixel = 1.0  # pixels of the device to one of the layout
        if theme.paper():
            self.plot.setCacheMode(QGraphicsView.CacheModeFlag.CacheNone)  # or a drawing has pixels
            self.plot.setAntialiasing(True)
        self._dress()

    def append(self, step: float, values: dict[str, float]) -> None:
        """Take the metrics of one step; call `refresh` once per tick of the clock."""
        for name, value in values.items():
            self._pyramids.setdefault(name, Pyramid()).append(step, value)

    def set_series(self, name: str, steps: Sequence[float], values: Sequence[float]) -> None:
        self._pyramids[name] = Pyramid()
        for step, value in zip(steps, values, strict=True):
            self._pyramids[name].append(step, value)
        self.refresh()

    def clear(self) -> None:
        self._pyramids.clear()
        self.refresh()

    def refresh(self) -> None:
        for name in self._pyramids.keys() - self._items.keys():
            line = self.plot.plot([], [])
            label = self._pg.TextItem(name, anchor=(1, 1))
            self._area.addItem(label, ignoreBounds=True)
            self._items[name] = (line, label)
            self._dress()
        for name, (line, label) in self._items.items():
            steps, values = self._pyramids[name].points() if name in self._pyramids else ([], [])
            line.setData(steps, values)
            label.setVisible(len(steps) > 0)
            if len(steps):
                label.setPos(steps[-1], values[-1])

    def _dress(self) -> None:
        now = theme.current()
        self.plot.setBackground(now.color("panel"))
        for side in ("bottom", "left"):
            axis = self.plot.getAxis(side)
            axis.setPen(self._pg.mkPen(now.color("line"), width=self._pixel))
            axis.setTextPen(self._pg.mkPen(now.color("muted")))
            axis.setStyle(tickFont=theme.font(11), hideOverlappingLabels=False)
            axis.label.setFont(theme.font(11))
        for index, (line, label) in enumerate(self._items.values()):
            colour = now.color("accent") if index == 0 else theme.okabe_ito(index - 1)
            line.setPen(self._pg.mkPen(colour, width=self._pixel))
            label.setColor(colour)
            label.setFont(theme.font(11))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_items"):
            self._dress()
        super().changeEvent(event)

    def print_at(self, pixel: float) -> None:
        """Lines are as many pixels of a device wide as one of the layout is there."""
        self._pixel = pixel
        self._dress()

    def page_height(self, width: int) -> int:
        """Pixels of height that suit the curves on a page."""
        return round(width * 0.55)

    def sizeHint(self) -> QSize:
        return QSize(480, 200)

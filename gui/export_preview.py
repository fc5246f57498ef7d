"""Preview: a page of a figure at its true proportions, on the grey of a desk."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.plots.export import INCH, SCREEN

AIR = 16  # px around the page
LARGEST = 2.0  # times its size in print


class Preview(QWidget):
    """`show_page` takes pixels made at `dpi_for` its size; None is an empty desk."""

    resized = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumSize(280, 240)
        self.setAccessibleName("Preview of the page")
        self._page: QImage | None = None

    def dpi_for(self, width: float, height: float) -> float:
        """Resolution at which a page of `width` x `height` mm fits, for this screen's pixels."""
        across = (self.width() - 2 * AIR) / (width / INCH)
        down = (self.height() - 2 * AIR) / (height / INCH)
        dpi = max(min(across, down, LARGEST * SCREEN), 8.0)
        return dpi * self.devicePixelRatioF()

    def show_page(self, page: QImage | None) -> None:
        self._page = page
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(560, 480)

    def resizeEvent(self, event: QResizeEvent) -> None:
        self.resized.emit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        now = theme.current()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(now.color("track"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.drawRoundedRect(QRectF(self.rect()), 6, 6)
        if self._page is not None:
            ratio = self.devicePixelRatioF()
            size = self._page.deviceIndependentSize() / ratio
            corner = QPointF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2)
            box = QRectF(QPointF(corner.toPoint()), size)
            painter.drawImage(box, self._page)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(now.color("field"), 1))
            painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
        painter.end()

"""Slider: a number between two limits, by hand or typed; linear, or in equal factors."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QLocale, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.buttons import label
from gui.theme import restyle

WIDE, LEAST, VALUE = 246, 132, 84  # px: as wide as it likes to be, at its narrowest; of its value
PER_DECADE = 100  # positions of a logarithmic slider to a factor of ten
PLACES = 2  # significant digits that a logarithmic slider sets; typing sets any
FINEST = 100  # a linear slider has about as many positions
DECIMALS = 9  # of what is typed
HEIGHT = 18  # px of the line that is dragged


class Steps:
    """The values that a slider reaches, by its positions 0 to `last`."""

    def __init__(self, low: float, high: float, *, log: bool, whole: bool) -> None:
        self.low, self.high, self.log, self.whole = low, high, log, whole
        self.last, self.step = int(high - low), 1.0
        if log:
            self.last = max(round(math.log10(high / low) * PER_DECADE), 1)
        elif not whole:
            self.step = _round_step((high - low) / FINEST)
            self.last = max(math.ceil((high - low) / self.step - 1e-9), 1)

    def value(self, position: int) -> float:
        """The ends are the limits; between them numbers that a person would write."""
        if position <= 0 or position >= self.last:
            return self.low if position <= 0 else self.high
        if not self.log:
            return round(self.low + position * self.step, DECIMALS)
        value = self.low * (self.high / self.low) ** (position / self.last)
        value = round(value, PLACES - 1 - math.floor(math.log10(value)))
        return min(max(round(value) if self.whole else value, self.low), self.high)

    def position(self, value: float) -> int:
        """The nearest one."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
            return round(share * self.last)
        return round((value - self.low) / self.step)


def _round_step(step: float) -> float:
    """1, 2 or 5 times a power of ten, not below `step`."""
    ten = 10.0 ** math.floor(math.log10(step))
    return next(factor * ten for factor in (1, 2, 5, 10) if factor * ten >= step * (1 - 1e-9))


class Track(QSlider):
    """Jumps to where it is pressed; the wheel turns it only while it has the keyboard."""

    def __init__(self, last: int, *, log: bool) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.setRange(0, last)
        self.setSingleStep(max(PER_DECADE // 20, 1) if log else 1)
        self.setPageStep(PER_DECADE // 4 if log else max(last // 10, 1))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedHeight(HEIGHT)

    def _go(self, event: QMouseEvent) -> None:
        half = HEIGHT / 2  # of the handle
        share = (event.position().x() - half) / max(self.width() - 2 * half, 1)
        self.setValue(round(min(max(share, 0.0), 1.0) * self.maximum()))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self._go(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.setSliderDown(False)
        event.accept()

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()  # a column of sliders scrolls under the pointer


class Slider(QWidget):
    """The value of `spin`, which may be typed, and which the slider moves. `head` has its caption.

    A value beyond the limits stays as it was given, so that the form can say why not.
    """

    valueChanged = Signal(float)

    def __init__(
        self, spin: QSpinBox | QDoubleSpinBox, low: float, high: float, *, log: bool = False
    ) -> None:
        super().__init__()
        whole = isinstance(spin, QSpinBox)
        self.spin: Any = spin
        self.steps = Steps(low, high, log=log, whole=whole)
        self.track = Track(self.steps.last, log=log)
        spin.setLocale(QLocale(QLocale.Language.English))
        spin.setGroupSeparatorShown(whole)
        spin.setProperty("plain", True)
        spin.setFixedWidth(VALUE)
        self.setFocusProxy(self.track)
        self.head = QHBoxLayout()
        self.head.setSpacing(8)
        self.head.addStretch(1)
        self.head.addWidget(spin)
        ends = QHBoxLayout()
        ends.addWidget(label(_short(low), "small"))
        ends.addStretch(1)
        ends.addWidget(label(_short(high), "small"))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addLayout(self.head)
        box.addWidget(self.track)
        box.addLayout(ends)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.track.valueChanged.connect(self._moved)
        spin.valueChanged.connect(self._typed)
        self._typed()

    def take_caption(self, caption: QLabel) -> None:
        self.head.insertWidget(0, caption)

    def value(self) -> Any:
        return self.spin.value()

    def setValue(self, value: float) -> None:
        self.spin.setValue(int(value) if isinstance(self.spin, QSpinBox) else float(value))

    def mark(self, invalid: bool) -> None:
        restyle(self.spin, invalid=invalid)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.spin.setAccessibleName(name)
        self.track.setAccessibleName(f"{name}, slider")

    def setToolTip(self, text: str) -> None:
        for widget in (self.spin, self.track):
            widget.setToolTip(text)
        super().setToolTip(text)

    def sizeHint(self) -> QSize:
        return QSize(WIDE, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(LEAST, super().minimumSizeHint().height())

    def _moved(self, position: int) -> None:
        self.setValue(self.steps.value(position))

    def _typed(self) -> None:
        self.track.blockSignals(True)
        self.track.setValue(self.steps.position(self.value()))
        self.track.blockSignals(False)
        self.track.setAccessibleDescription(self.spin.text())
        self.valueChanged.emit(self.value())


def _short(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"

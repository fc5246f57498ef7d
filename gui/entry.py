"""Entry: one field of a form. Its type, limits and choices decide the widget."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field
from typing import Any

import msgspec
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui.jobs import Jobs
from gui.ref_field import RefField, holds_ref
from gui.slider import DECIMALS, Slider

ROOM = 40  # px that a choice takes beside its word, by the style sheet: padding and arrow
MOST = 1000  # whole numbers that a linear slider tells apart
_FAR = 2**31 - 1


class _Int(QSpinBox):
    """Arrows stay within the limits; typing may leave them, so that the form can say why not."""

    def __init__(self, low: float | None, high: float | None) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._low, self._high = low, high
        self.setRange(-_FAR, _FAR)

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()

    def stepBy(self, steps: int) -> None:
        value = self.value() + steps * self.singleStep()
        self.setValue(int(min(max(value, _or(self._low, -_FAR)), _or(self._high, _FAR))))


class _Float(QDoubleSpinBox):
    def __init__(
        self, low: float | None, high: float | None, default: Any, slides: bool = False
    ) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._low, self._high = low, high
        small = abs(default) if isinstance(default, float) and default else 1.0
        self._least = 2 if slides else min(9, max(2, 2 - math.floor(math.log10(small))))
        self.setDecimals(DECIMALS if slides else self._least)
        self.setRange(-1e12, 1e12)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)

    def wheelEvent(self, event: QWheelEvent) -> None:
        super().wheelEvent(event) if self.hasFocus() else event.ignore()

    def textFromValue(self, value: float) -> str:
        """Without zeros that say nothing, but for two decimals."""
        whole, _, rest = super().textFromValue(value).partition(self.locale().decimalPoint())
        rest = rest[: self._least] + rest[self._least :].rstrip("0")
        return f"{whole}{self.locale().decimalPoint()}{rest}"

    def stepBy(self, steps: int) -> None:
        super().stepBy(steps)
        self.setValue(min(max(self.value(), _or(self._low, -1e12)), _or(self._high, 1e12)))


class Choice(QComboBox):
    """As wide as what is chosen; its list as wide as the longest choice."""

    def __init__(self) -> None:
        super().__init__()
        self.currentIndexChanged.connect(lambda _: self.updateGeometry())

    def sizeHint(self) -> QSize:
        text = self.fontMetrics().horizontalAdvance(self.currentText())
        return QSize(text + ROOM, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(56, super().minimumSizeHint().height())

    def showPopup(self) -> None:
        self.view().setMinimumWidth(super().sizeHint().width())
        super().showPopup()


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


class Entry(QWidget):
    """One field: label over control, the reason under it when the value is refused."""

    changed = Signal()

    def __init__(
        self, item: Field, hint: Any, words: Mapping[str, str], jobs: Jobs | None = None
    ) -> None:
        super().__init__()
        self.name, self.jobs = item.name, jobs
        self.hint = hint
        self.default = None if item.default is MISSING else item.default
        self.control, self._get, self._set = self._make(item, words)
        self.caption = label = QLabel(
            words.get(item.name, item.name.replace("_", " ").capitalize())
        )
        label.setProperty("role", "caption")
        label.setBuddy(self.control)
        self.reason = QLabel()
        self.reason.setProperty("role", "small")
        self.reason.setProperty("tone", "bad")
        self.reason.setWordWrap(True)
        self.reason.hide()
        for widget in (self, self.control, label):
            widget.setToolTip(item.metadata.get("help", ""))
        self.control.setAccessibleName(label.text())
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        if isinstance(self.control, QCheckBox):
            self.control.setText(label.text())
            label.setText(" ")
        if isinstance(self.control, Slider):
            self.control.take_caption(label)
        else:
            box.addWidget(label)
        for widget in (self.control, self.reason):
            box.addWidget(widget)
        self.value = self.default

    def _make(
        self, item: Field, words: Mapping[str, str]
    ) -> tuple[QWidget, Callable[[], Any], Callable[[Any], None]]:
        about, hint = item.metadata, self.hint
        low, high, choices = about.get("low"), about.get("high"), about.get("choices")
        if choices:
            box = Choice()
            for choice in choices:
                box.addItem(words.get(str(choice), str(choice)), choice)
            box.currentIndexChanged.connect(self.changed)
            return box, box.currentData, lambda value: box.setCurrentIndex(choices.index(value))
        if holds_ref(hint):
            role, needed = about.get("role", ""), type(None) not in typing.get_args(hint)
            field = RefField(item.name, role, self.jobs, needed=needed)
            field.changed.connect(self.changed)
            return field, lambda: field.value, field.show_ref
        if hint is bool:
            check = QCheckBox()
            check.toggled.connect(self.changed)
            return check, check.isChecked, lambda value: check.setChecked(bool(value))
        if hint in (int, float) and slides(item) and low is not None and high is not None:
            value = _Int(low, high) if hint is int else _Float(low, high, self.default, True)
            slider = Slider(value, low, high, log=about.get("scale") == "log")
            slider.valueChanged.connect(self.changed)
            return slider, slider.value, slider.setValue
        if hint is int:
            spin = _Int(low, high)
            spin.valueChanged.connect(self.changed)
            return spin, spin.value, lambda value: spin.setValue(int(value))
        if hint is float:
            real = _Float(low, high, self.default)
            real.valueChanged.connect(self.changed)
            return real, real.value, lambda value: real.setValue(float(value))
        line = QLineEdit()
        line.setPlaceholderText("" if hint is str else "none" if self.default is None else "")
        line.textEdited.connect(self.changed)
        return line, lambda: _read(line.text(), hint), lambda value: line.setText(_write(value))

    def show_caption(self, on: bool) -> None:
        """A choice among words can do without: the tooltip names the field then."""
        self.caption.setVisible(on)
        help_ = self.caption.toolTip()
        self.control.setToolTip(help_ if on else f"{self.caption.text()}: {help_}")

    @property
    def value(self) -> Any:
        return self._get()

    @value.setter
    def value(self, value: Any) -> None:
        if value is not None or isinstance(self.control, QLineEdit | QComboBox | RefField):
            self._set(value)

    def mark(self, message: str) -> None:
        """Red with the reason, or neither."""
        self.reason.setText(message)
        self.reason.setVisible(bool(message))
        if self.control.property("invalid") != bool(message):
            self.control.setProperty("invalid", bool(message))
            self.control.style().unpolish(self.control)
            self.control.style().polish(self.control)
            if isinstance(self.control, Slider):
                self.control.mark(bool(message))


def slides(item: Field) -> bool:
    """Whether a number is set with a slider: while a run goes on, and where a hand can hit it."""
    about, whole = item.metadata, isinstance(item.default, int)
    low, high = about.get("low"), about.get("high")
    if not about.get("live") or low is None or high is None or high <= low:
        return False
    return low > 0 if about.get("scale") == "log" else not whole or high - low <= MOST


def _write(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(_quoted(each) if isinstance(each, str) else str(each) for each in value)
    return str(value)


def _quoted(text: str) -> str:
    """A text in a list, in quotes where it would be read as something else."""
    plain = text == text.strip() and text and not text.lstrip("-").isdigit() and "," not in text
    return text if plain else f'"{text}"'


def _listed(text: str) -> tuple[str | int, ...]:
    """`5, "5", " Mary"`: a number is an id, what stands in quotes is text as it is."""
    found = re.findall(r'"([^"]*)"|([^,"]+)', text)
    parts = [(quoted, plain.strip()) for quoted, plain in found if quoted or plain.strip()]
    return tuple(quoted or (int(plain) if plain.lstrip("-").isdigit() else plain)
                 for quoted, plain in parts)  # fmt: skip


def _elements(hint: Any) -> tuple[Any, ...]:
    """The types that an element of a tuple may have."""
    first = typing.get_args(hint)[0]
    return typing.get_args(first) or (first,)


def _read(text: str, hint: Any) -> Any:
    """What a line of text means for a type: `5, 9` for a tuple, blank for None, else the text."""
    args = (
        typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else ()
    )
    if not text.strip() and type(None) in args:
        return None
    kinds = args or (hint,)
    if typing.get_origin(hint) is tuple and set(_elements(hint)) == {str, int}:
        return _listed(text)
    if any(typing.get_origin(kind) is tuple for kind in kinds) and str not in kinds:
        parts = [part for part in text.replace(",", " ").split() if part]
        return msgspec.convert(parts, hint, strict=False)
    numbers = [kind for kind in kinds if kind in (int, float)]
    if numbers and str not in kinds:
        return msgspec.convert(text.strip(), numbers[0], strict=False)
    return text

"""What pictures of arrows share: colour by importance, an arrow, its label, the foot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from gui import theme
from gui.plots import shades
from gui.plots.tokens import token_pen

Array = np.ndarray
FOOT = 24  # px under the picture
TINY = 0.05  # norm: a shorter arrow would be a dot and is named in the foot instead
PATCHES = 16  # more importances are a ramp
THIN = 1.5  # px, of an arrow among many
HEAD = 12.0  # px, an arrow's head


def colours_of(importance: Array) -> list[QColor]:
    """One colour per feature: the most important one stands out most from the panel."""
    values = np.asarray(importance, np.float64)  # [feature]
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    share = (values - low) / (high - low) if high > low else np.ones_like(values)  # [feature]
    table = theme.importance_lut()  # [256, 4]
    return [theme.color_of(entry) for entry in table[np.rint(share * 255).astype(int)]]


def faded(colour: QColor, share: float) -> QColor:
    """`share` of a colour over the panel, opaque: a translucent line takes thirty times as long."""
    panel = theme.current().color("panel")
    below = (panel.redF(), panel.greenF(), panel.blueF())
    ends = zip(below, (colour.redF(), colour.greenF(), colour.blueF()), strict=True)
    return QColor.fromRgbF(*(a * (1 - share) + b * share for a, b in ends))


def paint_arrow(
    painter: QPainter, start: QPointF, tip: QPointF, colour: QColor, width: float
) -> None:
    """A line with a head; a short one is a head only as long as itself."""
    line = QLineF(start, tip)
    length = line.length()
    if length < 1:
        return
    head = min(HEAD * (0.45 + width / 6), length)
    ux, uy = line.dx() / length, line.dy() / length
    base = QPointF(tip.x() - ux * head, tip.y() - uy * head)
    ends = Qt.PenCapStyle.RoundCap if width > THIN else Qt.PenCapStyle.FlatCap  # ten times as fast
    painter.setPen(QPen(colour, width, Qt.PenStyle.SolidLine, ends))
    painter.drawLine(start, QPointF(base.x() + ux * head * 0.3, base.y() + uy * head * 0.3))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    side = head * 0.42
    painter.drawPolygon(QPolygonF([
        tip, QPointF(base.x() - uy * side, base.y() + ux * side),
        QPointF(base.x() + uy * side, base.y() - ux * side),
    ]))  # fmt: skip


_OUT = np.repeat([7.0, 20.0, 34.0], 5)  # [candidate] px beyond the point
_ASIDE = np.tile([0.0, 11.0, -11.0, 22.0, -22.0], 3)  # [candidate] px beside it


@dataclass(frozen=True)
class Label:
    """A word at a point, pushed away from it in a direction (unit vector, y downwards)."""

    text: str
    at: tuple[float, float]
    away: tuple[float, float]
    strong: bool = False


def place(
    labels: Sequence[Label], room: QRectF, taken: Sequence[QRectF] = (), size: int = 13
) -> list[tuple[Label, QRectF]]:
    """A box for each label: beyond its point, over no other label; one without room is left out."""
    plain, bold = token_pen(size), token_pen(size, 600)
    boxes = np.array([(b.left(), b.top(), b.right(), b.bottom()) for b in taken], float)
    boxes = boxes.reshape(-1, 4)  # [taken, 4]
    found: list[tuple[Label, QRectF]] = []
    for label in labels:
        pen = bold if label.strong else plain
        wide, high = pen.width(label.text) + 2, pen.height - 2
        away = np.array(label.away)
        reach = abs(away[0]) * wide / 2 + abs(away[1]) * high / 2
        beside = np.array([-away[1], away[0]])
        centres = label.at + _OUT[:, None] * away + reach * away + _ASIDE[:, None] * beside
        half = np.array([wide / 2, high / 2])
        tried = np.concatenate([centres - half, centres + half], axis=1)  # [candidate, 4]
        free = (tried[:, 0] >= room.left()) & (tried[:, 1] >= room.top())
        free &= (tried[:, 2] <= room.right()) & (tried[:, 3] <= room.bottom())
        if len(boxes):
            over = (tried[:, None, :2] < boxes[None, :, 2:]).all(axis=2)
            over &= (tried[:, None, 2:] > boxes[None, :, :2]).all(axis=2)  # [candidate, taken]
            free &= ~np.any(over, axis=1)
        if not free.any():
            continue
        left, top, right, bottom = tried[int(free.argmax())]
        boxes = np.concatenate([boxes, [(left, top, right, bottom)]])
        found.append((label, QRectF(left, top, right - left, bottom - top)))
    return found


def listed(numbers: Sequence[int], most: int = 6) -> str:
    """As a person says it: 3; 3 and 5; 1, 3 and 5. Long lists end in a count."""
    words = [str(number) for number in numbers]
    if len(words) > most:
        return f"{', '.join(words[: most - 1])} and {len(words) - most + 1} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))


def not_drawn(norms: Array) -> tuple[str, ...]:
    """Which arrows are too short to be seen, in full and in fewer words; nothing where none is."""
    short = np.flatnonzero(norms < TINY)  # [n]
    if not len(short):
        return ()
    most = float(norms[short].max())
    size = f"norm{'s up to' if len(short) > 1 and most >= 0.005 else ''} {shades.figure(most, 2)}"
    which = f"not drawn: {listed(short.tolist(), 5)}"
    return f"{which}, {size}", which, f"{len(short)} not drawn"


def paint_foot(
    painter: QPainter, box: QRectF, importance: Array, words: Sequence[str], last: str = ""
) -> None:
    """Importance from the highest to the least as patches, words beside it, others at the end.

    words: the same in ever fewer letters; the first one that fits is written.
    """
    now, pen = theme.current(), token_pen(11)
    x, shade = box.left(), now.color("muted")

    def write(text: str, left: float) -> float:
        where = QRectF(left, box.top(), pen.width(text) + 2, box.height())
        pen.draw(painter, where, text, shade, 0)
        return where.right()

    values = np.unique(np.asarray(importance, np.float64))[::-1]  # [different], falling
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    if len(values) > 1:
        steps = values if len(values) <= PATCHES else np.linspace(values[0], values[-1], 32)
        patch = 11.0 if len(values) <= PATCHES else 3.0
        x = write(f"importance {_short(values[0])}", x) + 6
        for colour in colours_of(steps):
            painter.fillRect(QRectF(x, box.center().y() - 5, patch, 10), colour)
            x += patch
        x = write(_short(values[-1]), x + 6) + 24
    fitting = [text for text in words if x + pen.width(text) + 2 <= box.right()]
    if fitting:
        x = write(fitting[0], x) + 24
    if last and x + pen.width(last) + 2 <= box.right():
        write(last, box.right() - pen.width(last) - 2)


def _short(value: float) -> str:
    return shades.figure(value, 2) if abs(value - round(value)) > 0.005 else f"{value:.0f}"


def thinned(count: int, most: int) -> Array:
    """At most `most` indices of `count`, evenly, with the last one."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.rint(np.linspace(0, count - 1, most)).astype(int))

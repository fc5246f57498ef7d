"""The columns of a table of features: which there is room for, their headings, a density's bar."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPolygonF

from gui import theme
from gui.plots import shades
from gui.plots.tokens import token_pen

FIRST = "latent"
FLOOR = 1e-6  # the density at which its bar is empty; the bar is logarithmic
NUMBERS = ("density", "highest", "mean")  # sorted largest first
COLUMNS = (FIRST, "label", "top", *NUMBERS)  # what may be sorted by
LABEL = (70, 260)  # px


@dataclass(frozen=True)
class Column:
    """width: px; token: its cells are token texts; need: a table narrower than this leaves it."""

    key: str
    name: str
    width: int
    help: str
    token: bool = False
    need: int = 0
    right: bool = True


_ALL = (
    Column(FIRST, "Feature", 58, "Its number"),
    Column("label", "Label", LABEL[0], "What you call it: double click, or F2, to write it",
           need=330, right=False),
    Column("top", "Top token", 88, "The token at which it is most active", token=True, right=False),
    Column("promoted", "Promotes", 88, "The output token that it raises most", token=True,
           need=560, right=False),
    Column("density", "Active %", 92, "Share of the tokens at which it is above 0; the bar is "
           "logarithmic, from 0.0001 % to all"),
    Column("highest", "Max", 56, "Its largest activation on the text"),
    Column("mean", "Mean", 56, "Its mean activation where it is active", need=440),
)  # fmt: skip


def columns_for(
    width: int, word: str, count: int, labelled: bool, promotes: bool
) -> list[tuple[Column, int, int]]:
    """The columns that `width` px have room for, each with its left and right; labels take rest."""
    zoom = theme.zoom()
    shown = [column for column in _ALL if width >= column.need * zoom
             and (promotes or column.key != "promoted") and (labelled or column.key != "label"
             or width >= 420 * zoom)]  # fmt: skip
    numbers = max(token_pen(11, 600).width(str(max(count - 1, 0))),
                  token_pen(11, 600).width(word) + 10)  # fmt: skip
    widths = [round(column.width * zoom) for column in shown]
    widths[0] = round(numbers) + 12
    spare, most = width - sum(widths), (LABEL[1] if labelled else LABEL[0] * 1.4) * zoom
    for at, column in enumerate(shown):
        if column.key == "label":
            more = min(max(spare, 0), round(most) - widths[at])
            widths[at], spare = widths[at] + more, spare - more
    for at, column in enumerate(shown):
        if column.token and spare > 0:
            more = min(spare, round(80 * zoom))
            widths[at], spare = widths[at] + more, spare - more
    placed, x = [], 0
    for column, wide in zip(shown, widths, strict=True):
        named = replace(column, name=word) if column.key == FIRST else column
        placed.append((named, x, x + wide))
        x += wide
    return placed


def paint_heading(painter: QPainter, name: QRectF, column: Column, arrow: int) -> None:
    """A column's name; arrow 1: largest first, -1: smallest first, 0: not sorted by it."""
    now, pen = theme.current(), token_pen(11, 600)
    shade = now.color("text" if arrow else "muted")
    pen.draw(painter, name, column.name, shade, 1 if column.right else 0)
    if not arrow:
        return
    wide = min(pen.width(column.name), name.width())
    x = name.right() - wide - 7 if column.right else name.left() + wide + 7
    y, tip = name.center().y(), 3.0 * arrow
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(now.color("muted"))
    painter.drawPolygon(QPolygonF((QPointF(x - 3.5, y - tip / 2), QPointF(x + 3.5, y - tip / 2),
                                   QPointF(x, y + tip))))  # fmt: skip
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def per_cent(share: float) -> str:
    """12.3, 0.45, 0.0021: three figures of a share in per cent."""
    value = 100 * share
    places = 1 if value >= 9.995 else 2 if value >= 0.0995 else 3 if value >= 0.00995 else 4
    return shades.figure(value, places)


def paint_density(painter: QPainter, box: QRectF, density: float, floor: float) -> None:
    """A figure in per cent at the right of a quiet bar; a word for what is never active."""
    now, pen = theme.current(), token_pen(11)
    if np.isnan(density):
        pen.draw(painter, box, "–", now.color("faint"), 1)
        return
    if density <= 0:
        pen.draw(painter, box, "dead", now.color("faint"), 1)
        return
    room = pen.width("0.0000") + 6
    track = QRectF(box.left(), box.center().y() - 2, max(box.width() - room, 4), 4)
    share = 1 - np.log(max(density, floor)) / np.log(floor)
    painter.fillRect(track, now.color("track"))
    painter.fillRect(QRectF(track.left(), track.top(), track.width() * share, 4),
                     now.color("accent", 0.75))  # fmt: skip
    pen.draw(painter, box, per_cent(density), now.color("text"), 1)

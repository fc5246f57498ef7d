"""What stands in the cells of a heat map: tokens or numbers, in one form for all of them."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from PySide6.QtCore import QLineF, QRectF
from PySide6.QtGui import QPainter, QPen

from gui import theme
from gui.plots import shades
from gui.plots.grid import Grid
from gui.plots.shades import Limits
from gui.plots.tokens import token_pen

Array = np.ndarray
Texts = Sequence[Sequence[str | None]]
FEW, MANY = 0.1, 0.3  # share of the tokens that may be cut short; that is too much on a page
LEAST = (24, 11)  # px, smallest cell that carries text
LEAST_SIGN, CLEAR = 6, 0.15  # px, smallest cell that carries a sign; of the limit, from where on
NOTABLE = 0.05  # of the limit: smaller values carry no number, so the eye finds the path


def has_room(grid: Grid) -> bool:
    """Whether the cells carry text at all."""
    return grid.cell.width() >= LEAST[0] and grid.cell.height() >= LEAST[1]


def cut_short(grid: Grid, text: Texts) -> bool:
    """Whether more than a few of the tokens have to end in "…", however small."""
    size, words = _plain(grid, text)
    pen, room = token_pen(size, mono=True), grid.cell.width() - 4
    return sum(pen.width(word) > room for _, _, word in words) > MANY * len(words)


def _plain(grid: Grid, text: Texts) -> tuple[int, list[tuple[int, int, str]]]:
    """Size of all tokens, as large as most of them fit, and (row, col, token) of each."""
    room, least = grid.cell.width() - 4, theme.smallest()
    words = [
        (row, col, word) for row, line in enumerate(text) for col, word in enumerate(line) if word
    ]
    size = max(min(11, grid.cell.height() - 2), least if theme.paper() else 1)
    while size > least and sum(
        token_pen(size, mono=True).width(word) > room for _, _, word in words
    ) > FEW * len(words):
        size -= 1
    return size, words


def paint_tokens(painter: QPainter, grid: Grid, text: Texts, sizes: Array | None, ink: Array):
    """text [row][col] in one size, or sized by `sizes` [row, col] 0 to 1; smaller before elided.

    ink [row, col] bool: where dark text reads better.
    """
    room, least = grid.cell.width() - 4, theme.smallest() if theme.paper() else 8
    plain, words = _plain(grid, text)
    dark, light = theme.inks()
    for row, col, word in words:
        size = plain
        if sizes is not None and np.isfinite(sizes[row, col]):
            size = round(least + (14 - least) * float(np.clip(sizes[row, col], 0, 1)))
            while size > least and token_pen(size, mono=True).width(word) > room:
                size -= 1
        box = QRectF(grid.cell_rect(row, col)).adjusted(2, 0, -2, 0)
        pen = token_pen(size, mono=True)
        pen.draw(painter, box, word, dark if ink[row, col] else light)


def paint_numbers(painter: QPainter, grid: Grid, values: Array, limits: Limits, ink: Array) -> None:
    """values [row, col] in one form: 11 px and smaller, then a decimal less, until every one fits.

    What is close to 0 carries no number.
    """
    reach = max(abs(end) for end in limits)
    places = min(shades.decimals(reach), 3)
    dark, light = theme.inks()
    shown = np.argwhere(np.abs(values) >= NOTABLE * reach)  # [cell, 2], none for NaN
    found = [float(values[row, col]) for row, col in shown]
    words, pen = [], token_pen(11)
    sizes = range(11, theme.smallest() - 1, -1)
    for fewer, size in product((places, max(places - 1, min(places, 1))), sizes):
        words, pen = [shades.figure(v, fewer, short=True) for v in found], token_pen(size)
        low = size > grid.cell.height() - 2
        if not low and all(pen.width(word) <= grid.cell.width() - 2 for word in words):
            break
    for (row, col), word in zip(shown, words, strict=True):
        box = QRectF(grid.cell_rect(row, col))
        if pen.width(word) <= box.width() - 2:
            pen.draw(painter, box, word, dark if ink[row, col] else light)


def paint_signs(painter: QPainter, grid: Grid, values: Array, limits: Limits, ink: Array) -> None:
    """A minus in every cell that is notably below 0: printed in grey, blue looks like red."""
    side = min(grid.cell.width(), grid.cell.height())
    if side < LEAST_SIGN:
        return
    dark, light = theme.inks()
    half = min(side * 0.25, 3.0)
    for row, col in np.argwhere(values <= -CLEAR * max(abs(end) for end in limits)):  # none for NaN
        middle = QRectF(grid.cell_rect(row, col)).center()
        painter.setPen(QPen(dark if ink[row, col] else light, 0.75))
        painter.drawLine(QLineF(middle.x() - half, middle.y(), middle.x() + half, middle.y()))

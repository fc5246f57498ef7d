"""Figures: what a panel shows, laid out anew for a page of a paper, without touching the panel.

A second instance of the panel draws the same result under `theme.on_paper()`: white, black type,
7 pt in print whatever the window's theme and zoom. It has a Desk of its own, so that it hears and
tells nobody, it never comes on the screen, and it is gone when the `with` block ends.

A new panel inherits all of this: its class is made again, `show_result` draws, and its canvas is
taken. What a new *plot* should do: read colours and type from `gui.theme` while it paints, paint
text with `drawText` where the device is no screen (TokenPen does), and offer `page_height(width)`;
a Canvas has it, and `cramped()` for what a size leaves out. A widget without it takes the height
that its layout gives it. A comparison is a figure too: the twin compares as the panel does, without
the sentences under its pictures, for which a paper has its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QMimeData, QSize
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from gui import theme
from gui.figure_caption import in_words, origin, slice_in_words
from gui.figure_page import EDGE, Page
from gui.focus import Desk
from gui.plots.canvas import Canvas
from gui.plots.export import (
    INCH,
    SCREEN,
    Sheet,
    pdf_bytes,
    png_bytes,
    svg_bytes,
    to_image,
    write_whole,
)

if TYPE_CHECKING:
    from gui.panel import Panel

SINGLE, MIDDLE, DOUBLE = 89.0, 120.0, 183.0  # mm: columns of Nature; Science and Cell are close
WIDTHS = (SINGLE, MIDDLE, DOUBLE, 240.0, 320.0, 400.0)  # mm; beyond them it is a poster
TALLEST = 240.0  # mm: what a page of a journal holds
LEAST_PT = 5.5  # what print can carry
POINT = INCH / 72  # mm
TYPE, SMALL = 11, 10  # px, the size of labels in every plot, and of cells and captions
CLIPBOARD_DPI = 300


@dataclass(frozen=True)
class Layout:
    """Millimetres, and points of the labels. width_mm None: as wide, high and large as on screen.

    height_mm None: as the content wants it. marks: with the outlines of what is selected.
    """

    width_mm: float | None = SINGLE
    height_mm: float | None = None
    pt: float = 7.0
    caption: bool = False
    marks: bool = False


@dataclass(frozen=True)
class Figure:
    """A laid-out page; it can be written only inside the `with` block that made it."""

    page: QWidget
    sheet: Sheet
    cramped: str  # what this size leaves out, as a sentence; "" where all is there

    @property
    def size_mm(self) -> tuple[float, float]:
        return self.page.width() * self.sheet.mm, self.page.height() * self.sheet.mm

    def image(self, dpi: float) -> QImage:
        return to_image(self.page, self.sheet, dpi)

    def content(self, suffix: str, dpi: float) -> bytes:
        """The file of a format: "png", "svg" or "pdf"; dpi is the PNG's."""
        if suffix == "png":
            return png_bytes(self.page, self.sheet, dpi)
        return {"svg": svg_bytes, "pdf": pdf_bytes}[suffix](self.page, self.sheet)

    def write(self, path: str | Path, dpi: float = 300) -> None:
        """By the name's ending; OSError where that cannot be done, and then no file."""
        write_whole(path, self.content(Path(path).suffix.lower().removeprefix("."), dpi))

    def mime(self) -> QMimeData:
        """For the clipboard: pixels, and the drawing for programs that take one."""
        made = QMimeData()
        made.setImageData(self.image(CLIPBOARD_DPI))
        made.setData("image/svg+xml", svg_bytes(self.page, self.sheet))
        return made


@contextmanager
def figure_of(panel: Panel, layout: Layout = Layout()) -> Iterator[Figure]:
    """The panel's picture as a page; the panel must show a result."""
    least = SMALL if layout.width_mm is None else ceil(LEAST_PT / layout.pt * TYPE - 0.01)
    with theme.on_paper(layout.marks, min(max(least, SMALL), TYPE)):
        desk = Desk()
        desk.set_prompts(panel.desk.prompts)
        desk.set_focus(panel.desk.focus)
        twin = type(panel)(desk, panel.jobs)
        page = Page()
        try:
            _draw(twin, panel)
            mm, size = _measures(panel, layout)
            picture = twin.figure_widget()
            picture.resize(size.width() - 2 * EDGE, max(size.height(), 64))  # what it shows of both
            made = origin(panel, twin.comparison)
            about = in_words(made)
            page.take(picture, about if layout.caption else "")
            height = None if layout.height_mm is None else max(round(layout.height_mm / mm), 1)
            if layout.width_mm is None:
                height = size.height() + page.caption_height(size.width())
            page.lay_out(size.width(), height)
            tall = page.height() * mm > TALLEST + 1
            left_out = "the figure is higher than a page" if tall else _left_out(page)
            title = about.partition("\n")[0] or panel.title
            sheet = Sheet(mm, title, about or panel.title, _json(made))
            yield Figure(page, sheet, left_out)
        finally:
            for widget in (page, twin):
                widget.hide()
                widget.deleteLater()
            desk.deleteLater()


def width_enough(panel: Panel, layout: Layout) -> float | None:
    """The narrowest common column or sheet in which nothing is left out; None if there is none."""

    def enough(width: float) -> bool:
        with figure_of(panel, replace(layout, width_mm=width, height_mm=None)) as figure:
            return not figure.cramped

    wider = [width for width in WIDTHS if width > (layout.width_mm or 0.0)]
    if not wider or not enough(wider[-1]):
        return None
    return next((width for width in wider[:-1] if enough(width)), wider[-1])


def _draw(twin: Panel, panel: Panel) -> None:
    """The same result, texts and switches in the twin."""
    twin.pieces = panel.pieces  # it knows them already, and the twin's desk has no model
    twin.set_view(panel.view())
    twin.show_result(panel.result, *panel.drawn, panel.run_shown)
    shown = panel.comparison
    if shown is not None and shown.found is not None:
        twin.compare(shown.run, like=shown)
        assert twin.comparison is not None  # as it is the panel's
        twin.comparison.caption.setText(slice_in_words(shown))
        for side in twin.comparison.twins:
            side.line.clear()  # a comparison shows it again where there is text
            side.line.hide()


def _measures(panel: Panel, layout: Layout) -> tuple[float, QSize]:
    """(mm of a pixel, size in pixels); the width comes out exactly."""
    if layout.width_mm is None:
        return INCH / SCREEN, panel.figure_widget().size() + QSize(2 * EDGE, 2 * EDGE)
    width = max(round(layout.width_mm / (layout.pt * POINT / TYPE)), 1)
    return layout.width_mm / width, QSize(width, 0)


def _json(about: dict[str, Any]) -> str:
    return json.dumps(about, ensure_ascii=False, default=str) if about else ""


def _left_out(page: QWidget) -> str:
    plots = page.findChildren(Canvas)
    said = [plot.cramped() for plot in plots if plot.isVisibleTo(page)]
    return "; ".join(dict.fromkeys(text for text in said if text))

"""Figures: what a panel shows, laid out anew for a page of a paper, without touching the panel.

A second instance of the panel draws the same result under `theme.on_paper()`: white, black type,
7 pt in print whatever the window's theme and zoom. It has a Desk of its own, so that it hears and
tells nobody, it never comes on the screen, and it is gone when the `with` block ends.

A new panel inherits all of this: its class is made again, `show_result` draws, and its canvas is
taken. What a new *plot* should do: read colours and type from `gui.theme` while it paints, paint
text with `drawText` where the device is no screen (TokenPen does), and offer `page_height(width)`;
a Canvas has it, and `cramped()` for what a size leaves out. A widget without it takes the height
that its layout gives it. A comparison is a figure too: the twin compares as the panel does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QMimeData, QPointF, QSize, Qt
from PySide6.QtGui import QFont, QImage, QPainter, QPaintEvent, QTextLayout, QTextOption
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget

from gui import theme
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
TALLEST = 240.0  # mm: what a page of a journal holds
POINT = INCH / 72  # mm
TYPE = 11  # px, the size of labels in every plot
EDGE = 2  # px of paper around the picture
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


def caption_of(panel: Panel) -> str:
    """What is drawn, of which network, on which tokens, with what; "" where nothing is."""
    return _in_words(panel.provenance())


def _in_words(about: dict[str, Any]) -> str:
    from engine.caption import caption  # with the session

    return caption(about) if about else ""


@contextmanager
def figure_of(panel: Panel, layout: Layout = Layout()) -> Iterator[Figure]:
    """The panel's picture as a page; the panel must show a result."""
    made = panel.provenance()
    about = _in_words(made)
    with theme.on_paper(layout.marks):
        desk = Desk()
        desk.set_prompts(panel.desk.prompts)
        desk.set_focus(panel.desk.focus)
        twin = type(panel)(desk, panel.jobs)
        page = Page(about if layout.caption else "")
        try:
            _draw(twin, panel)
            page.take(twin.figure_widget())
            mm, size = _measures(panel, layout)
            height = None if layout.height_mm is None else max(round(layout.height_mm / mm), 1)
            page.lay_out(size.width(), size.height() if layout.width_mm is None else height)
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
    """The narrowest common column in which nothing is left out; None if there is none."""
    for width in (SINGLE, MIDDLE, DOUBLE):
        if width > (layout.width_mm or 0.0):
            with figure_of(panel, replace(layout, width_mm=width, height_mm=None)) as figure:
                if not figure.cramped:
                    return width
    return None


def _draw(twin: Panel, panel: Panel) -> None:
    """The same result, texts and switches in the twin."""
    twin.pieces = panel.pieces  # it knows them already, and the twin's desk has no model
    twin.set_view(panel.view())
    twin.show_result(panel.result, *panel.drawn, panel.run_shown)
    shown = panel.comparison
    if shown is not None and shown.found is not None:
        twin.compare(shown.run, like=shown)


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
    said = [plot.cramped() for plot in plots if not plot.isHidden()]
    return "; ".join(dict.fromkeys(text for text in said if text))


class Page(QWidget):
    """White paper with the picture and perhaps its caption; laid out, never on the screen."""

    def __init__(self, caption: str) -> None:
        super().__init__()
        for attribute in (
            Qt.WidgetAttribute.WA_DontShowOnScreen,
            Qt.WidgetAttribute.WA_ShowWithoutActivating,
        ):
            self.setAttribute(attribute)
        self.setAttribute(Qt.WidgetAttribute.WA_QuitOnClose, False)
        self.setFont(theme.font(13))
        self.setStyleSheet(theme.style_sheet(theme.current()))
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(EDGE, EDGE, EDGE, EDGE)
        self._box.setSpacing(8)
        self._box.setSizeConstraint(QVBoxLayout.SizeConstraint.SetNoConstraint)
        self._caption = Caption(caption) if caption else None

    def take(self, picture: QWidget) -> None:
        """Make a widget the picture of this page; paper has margins of its own."""
        inner = picture.layout()
        if inner is not None:
            inner.setContentsMargins(0, 0, 0, 0)
        self._box.addWidget(picture, 1)
        if self._caption is not None:
            self._box.addWidget(self._caption)
        picture.show()
        for label in picture.findChildren(QLabel):
            label.setFont(_plain(label.font()))

    def lay_out(self, width: int, height: int | None) -> None:
        """Give the page its size in pixels; height None: as its plots want it at that width.

        A plot's width depends on its neighbours, so the page grows until every one is content.
        """
        if self._caption is not None:
            self._caption.wrap(width - 2 * EDGE)
        self.resize(width, height or 64)
        self.show()
        self._settle()
        for _ in range(12 if height is None else 0):
            lacks = [wanted - plot.height() for plot, wanted in self._wishes()]
            if max(lacks, default=0) <= 1:
                break
            self.resize(width, self.height() + max(lacks))
            self._settle()

    def _settle(self) -> None:
        for widget in (self, *self.findChildren(QWidget)):
            if (layout := widget.layout()) is not None:
                layout.activate()
        QApplication.sendPostedEvents(self, QEvent.Type.LayoutRequest)

    def _wishes(self) -> Iterator[tuple[QWidget, int]]:
        """(plot, pixels of height that it wants) for the outermost plots that say so."""
        waiting: list[QWidget] = [self]
        while waiting:
            for child in waiting.pop().findChildren(
                QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly
            ):
                if child.isHidden():
                    continue
                wish = getattr(child, "page_height", None)
                if wish is not None:
                    yield child, wish(child.width())
                else:
                    waiting.append(child)


def _plain(font: QFont) -> QFont:
    """The style sheet's font with the glyphs of `theme.font` on paper."""
    font.setFeature(QFont.Tag("tnum"), 0)
    font.setFeature(QFont.Tag("calt"), 0)
    return font


class Caption(QWidget):
    """The caption's lines, wrapped, a size smaller than the labels."""

    SIZE = 10  # px

    def __init__(self, text: str) -> None:
        super().__init__()
        self._lines = [self._shaped(line) for line in text.splitlines()]

    def wrap(self, width: int) -> None:
        """Break the lines at a width, words only where they are longer, and take that height."""
        y = 0.0
        for shaped in self._lines:
            shaped.beginLayout()
            while (line := shaped.createLine()).isValid():
                line.setLineWidth(width)
                line.setPosition(QPointF(0, y))
                y += line.height()
            shaped.endLayout()
        self.setFixedSize(width, int(y) + 2)

    def _shaped(self, text: str) -> QTextLayout:
        made = QTextLayout(text, theme.font(self.SIZE))
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        made.setTextOption(option)
        return made

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(theme.current().color("muted"))
        for shaped in self._lines:
            shaped.draw(painter, QPointF(0, 0))
        painter.end()

"""A page: white paper with a picture and perhaps its caption, laid out and never on the screen."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QFont, QPainter, QPaintEvent, QTextLayout, QTextOption
from PySide6.QtWidgets import QApplication, QBoxLayout, QLabel, QLayout, QVBoxLayout, QWidget

from gui import theme

EDGE = 2  # px of paper around the picture
BETWEEN = 16  # px between pictures in a row


class Page(QWidget):
    """`take` a picture, then `lay_out`."""

    def __init__(self) -> None:
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
        self._caption: Caption | None = None

    def take(self, picture: QWidget, caption: str = "") -> None:
        """Make a widget the picture of this page; it begins at the edge, as the caption does."""
        layouts = [
            layout for layout in (picture.layout(), *picture.findChildren(QLayout)) if layout
        ]
        for layout in layouts:
            around = layout.contentsMargins()
            layout.setContentsMargins(0, around.top() if layout.parent() else 0, 0, 0)
        row = picture.layout()
        if isinstance(row, QBoxLayout) and row.spacing() < BETWEEN and row.count() > 1:
            row.setSpacing(BETWEEN)
        self._box.addWidget(picture, 1)
        if caption:
            self._caption = Caption(caption)
            self._box.addWidget(self._caption)
        picture.show()
        for label in picture.findChildren(QLabel):
            label.setFont(_plain(label.font()))
            around = label.contentsMargins()
            label.setContentsMargins(0, around.top(), 0, around.bottom())

    def caption_height(self, width: int) -> int:
        """Pixels that the caption takes at a width of the page, with the space above it."""
        if self._caption is None:
            return 0
        self._caption.wrap(width - 2 * EDGE)
        return self._caption.height() + self._box.spacing()

    def lay_out(self, width: int, height: int | None) -> None:
        """Give the page its size in pixels; height None: as its plots want it at that width.

        A plot's width depends on its neighbours, so the page grows until every one is content.
        """
        self.caption_height(width)
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
    """The caption's lines, wrapped, a size smaller than the labels where that can be read."""

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
        made = QTextLayout(text, theme.font(theme.smallest()))
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

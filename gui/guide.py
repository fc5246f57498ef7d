"""The guide (F1): the Markdown pages of resources/guide beside the window."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QKeyEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QTextBrowser, QWidget

from resources import path


class Guide(QTextBrowser):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowFlags(Qt.WindowType.Window)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Guide - Mechanoscope")
        self.setOpenExternalLinks(False)
        folder = path("guide")
        pages = sorted(folder.glob("*.md")) if folder.is_dir() else []
        text = "\n\n".join(page.read_text(encoding="utf-8") for page in pages)
        self.setMarkdown(text or "The guide is not part of this installation.")
        self.document().setDocumentMargin(24)
        self._space()
        self._lighten()
        self.resize(640, 760)
        self.move(parent.window().frameGeometry().center() - self.rect().center())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)

    def _lighten(self) -> None:
        """Semibold where Markdown says bold: no bolder face travels with the program."""
        spans: list[tuple[int, int, QTextCharFormat]] = []
        block = self.document().begin()
        while block.isValid():
            parts = block.begin()
            while not parts.atEnd():
                span = parts.fragment()
                shape = span.charFormat()
                if shape.fontWeight() > QFont.Weight.DemiBold:
                    shape.setFontWeight(QFont.Weight.DemiBold)
                    spans.append((span.position(), span.length(), shape))
                parts += 1
            block = block.next()
        for start, length, shape in spans:
            cursor = QTextCursor(self.document())
            cursor.setPosition(start)
            cursor.setPosition(start + length, QTextCursor.MoveMode.KeepAnchor)
            cursor.setCharFormat(shape)

    def _space(self) -> None:
        """Air between paragraphs, which Markdown in Qt has not."""
        block = self.document().begin()
        while block.isValid():
            shape = block.blockFormat()
            heading = shape.headingLevel() > 0
            shape.setTopMargin(16 if heading and block.position() else 0)
            shape.setBottomMargin(6 if heading or shape.indent() else 10)
            QTextCursor(block).setBlockFormat(shape)
            block = block.next()

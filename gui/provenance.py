"""Where a picture comes from: a small card over the window, with rows that can be copied.

It lies on the window and not in a window of its own: no window manager has to place it, and what
it is about stays in sight. Esc, the cross or the button that opened it takes it away.
"""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QColor, QFocusEvent, QGuiApplication, QKeyEvent, QTextOption
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QGraphicsDropShadowEffect,
    QHBoxLayout,
    QTextBrowser,
    QVBoxLayout,
)

from gui import theme
from gui.buttons import Button, IconButton, label
from gui.editor import Editor

if TYPE_CHECKING:
    from gui.panel import Panel

WIDE, MOST, LEAST, GAP = 460, 400, 160, 8  # px: the rest is scrolled
MONO = ("Tokens", "Digest", "Folder")  # rows set in the monospace: what is compared by letters
HEADER_ONLY = "computed from the headers only; the weights' own digest is not known yet"


def toggle(panel: Panel) -> None:
    """Show the card of a panel's picture; again takes it away."""
    card = card_of(panel)
    if card is not None:
        card.end()
    elif panel.provenance():
        Card(panel)
    else:
        panel.say("There is no picture yet whose origin could be told; press Run.", "info")


def card_of(panel: Panel) -> Card | None:
    """The panel's card, where it is open."""
    cards = panel.header.window().findChildren(Card)
    return next((card for card in cards if card.panel is panel and not card.ended), None)


class NoteField(Editor):
    """As high as its note. What is written is `entered` when the keyboard goes elsewhere, too."""

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:  # its own menu
            self.entered.emit()


class Card(QFrame):
    """Name and value of everything that made the picture."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel.header.window())
        self.panel, self.ended = panel, False
        self.about: dict[str, Any] = {}
        self.rows: list[tuple[str, str]] = []
        self.setProperty("card", True)
        self.setAccessibleName("Where this comes from")
        self.heading = label("Where this comes from", "panel")
        self.note = NoteField("Note")
        self.note.setPlaceholderText("Add a note to this run")
        self.note.setToolTip("Enter or a click elsewhere saves it; Shift+Enter is a new line")
        self.note.entered.connect(self._noted)
        self.note.textChanged.connect(self.place)
        self.text = QTextBrowser()
        self.text.setOpenLinks(False)
        self.text.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.text.document().setDocumentMargin(0)
        self.text.setAccessibleName("Provenance")
        self.text.setStyleSheet("QTextBrowser { border: none; padding: 0px; }")
        self._lay_out()
        self._raise()
        panel.shown.connect(self._renew)
        panel.ended.connect(self._renew)
        panel.destroyed.connect(self.deleteLater)
        for watched in (panel.header, panel.header.window()):
            watched.installEventFilter(self)
        self.fill()
        self.show()
        self.raise_()
        self.text.setFocus(Qt.FocusReason.PopupFocusReason)

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.heading, 1)
        top.addWidget(IconButton("x", "Close (Esc)", self.end))
        foot = QHBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(Button("Copy", "copy", self.copy))
        foot.addWidget(Button("Copy as JSON", "", self.copy_json))
        foot.addStretch(1)
        box = QVBoxLayout(self)
        box.setContentsMargins(16, 8, 8, 12)
        box.setSpacing(8)
        box.addLayout(top)
        for widget in (self.note, self.text):
            inset = QHBoxLayout()
            inset.setContentsMargins(0, 0, 8, 0)
            inset.addWidget(widget)
            box.addLayout(inset, 1 if widget is self.text else 0)
        box.addLayout(foot)

    def _raise(self) -> None:
        shadow = QGraphicsDropShadowEffect(self)
        shade = QColor(theme.INK)
        shade.setAlphaF(0.28)
        shadow.setColor(shade)
        shadow.setBlurRadius(28)
        shadow.setOffset(0, 4)
        self.setGraphicsEffect(shadow)

    # what it says

    def fill(self) -> None:
        """The rows as they are now."""
        from engine.caption import details

        self.about = self.panel.provenance()
        self.rows = details(self.about)
        model = self.about.get("model") or {}
        if str(model.get("digest", "")).startswith("header:"):
            self.rows = [
                (name, f"{value} ({HEADER_ONLY})" if name == "Digest of the header" else value)
                for name, value in self.rows
            ]
        self.note.setVisible(self.panel.entry() is not None)
        if not self.note.hasFocus():
            self.note.show_text(str(self.about.get("note", "")))
        self._set_rows()
        self.place()

    def _set_rows(self) -> None:
        now, cells = theme.current(), []
        small = round(11 * theme.zoom())
        for name, value in self.rows:
            if name == "Note" and not self.note.isHidden():
                continue  # it stands above, where it can be changed
            mono = "JetBrains Mono" if name.startswith(MONO) else "Inter"
            cells.append(
                f'<tr><td width="30%" style="padding:2px 8px 4px 0; color:{now.muted}">'
                f'{escape(name)}</td><td width="70%" style="padding:2px 0 4px 0; '
                f'font-family:{mono}; color:{now.text}">{escape(value)}</td></tr>'
            )
        table = f'<table width="100%" cellspacing="0" style="font-size:{small}px">'
        self.text.setHtml(f"{table}{''.join(cells)}</table>")

    def _renew(self, *_: object) -> None:
        """Another picture, or its run has ended; while it streams the rows stay as they are."""
        if not self.ended and (self.panel.run_shown is not None or not self.panel.running):
            self.fill()

    def _noted(self) -> None:
        entry, text = self.panel.entry(), self.note.toPlainText().strip()
        if entry is not None and text != self.about.get("note"):
            self.panel.desk.ask("note", (entry, text))
            self.fill()

    def copy(self) -> None:
        """All rows as text, one to a line."""
        lines = "\n".join(f"{name}: {value}" for name, value in self.rows)
        QGuiApplication.clipboard().setText(lines)

    def copy_json(self) -> None:
        """The same as data."""
        text = json.dumps(self.about, indent=2, ensure_ascii=False, default=str)
        QGuiApplication.clipboard().setText(text)

    # where it stands

    def place(self) -> None:
        """Under the panel's header, at its right end, and never beyond the window."""
        window, header = self.parentWidget(), self.panel.header
        if window is None:
            return
        room = window.rect().adjusted(GAP, GAP, -GAP, -GAP)
        wide = min(round(WIDE * theme.zoom()), room.width())
        self.text.document().setTextWidth(wide - 40)
        chrome = self.sizeHint().height() - self.text.sizeHint().height()
        wanted = chrome + int(self.text.document().size().height()) + 12
        corner = header.mapTo(window, QPoint(header.width() - GAP, header.height() + 4))
        most = min(round(MOST * theme.zoom()), room.height())
        high = max(min(wanted, most), min(LEAST, most))
        top = min(max(corner.y(), room.top()), room.bottom() + 1 - high)
        left = min(max(corner.x() - wide, room.left()), room.right() + 1 - wide)
        self.setGeometry(left, top, wide, high)
        self.text.document().setTextWidth(self.text.viewport().width())  # it was only measured

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if self.ended:
            return False
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move):
            self.place()
        elif event.type() == QEvent.Type.Hide and watched is self.panel.header:
            self.end()  # its panel went behind another one
        return False

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.rows:
            self._set_rows()

    def event(self, event: QEvent) -> bool:
        escape_ = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        if escape_ and event.type() == QEvent.Type.ShortcutOverride:
            event.accept()  # or the window takes it for Stop
            return True
        if escape_ and event.type() == QEvent.Type.KeyPress:
            self.end()
            return True
        return super().event(event)

    def end(self) -> None:
        """Take it away; the keyboard goes back to the button it came from."""
        if not self.ended:
            self.ended = True
            focused = QApplication.focusWidget()
            inside = focused is not None and self.isAncestorOf(focused)
            self.hide()
            if inside:
                self.panel.header.about_button.setFocus(Qt.FocusReason.PopupFocusReason)
            self.deleteLater()

"""TokenField: a line that completes to one token of the open model's vocabulary."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QCompleter, QLineEdit, QListView

from engine.errors import RunError
from gui import theme
from gui.plots.tokens import token_text

POPUP = 208  # px
SHOWN = 40  # completions listed; typing further narrows them


class _Matches(QAbstractListModel):
    """The few tokens that fit what is typed; filled by `TokenField`, never filtered by Qt."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, str]] = []

    def show(self, rows: list[tuple[int, str]]) -> None:
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = 0) -> Any:
        number, piece = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{token_text(piece)}   {number}"
        if role == Qt.ItemDataRole.EditRole:
            return token_text(piece)
        return None


class TokenField(QLineEdit):
    """`chosen` is the token's text, its id where the text alone does not name it, or None."""

    changed = Signal()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setProperty("mono", True)
        self.setMinimumWidth(64)
        self.setPlaceholderText("auto")
        self.problem = ""
        self.chosen: str | int | None = None
        self._model: Any = None
        self._pieces: list[str] = []
        self._folded: list[str] = []
        self._matches = _Matches()
        completer = QCompleter(self._matches, self)
        completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        completer.setMaxVisibleItems(12)
        completer.activated.connect(self._pick)  # by a click or by Return
        popup = QListView()
        popup.setProperty("popup", True)
        popup.setProperty("mono", True)
        popup.setMinimumWidth(POPUP)
        completer.setPopup(popup)
        self._completer = completer
        self.setCompleter(completer)
        self.textEdited.connect(self._typed)

    def set_model(self, model: Any, pieces: list[str]) -> None:
        """Complete over this vocabulary; what was chosen is looked up anew."""
        self._model, self._pieces = model, pieces
        self._folded = [piece.lower().strip() for piece in pieces]
        self._settle()

    def choose(self, token: str | int | None) -> None:
        """Show a token without telling anybody."""
        self.chosen = token
        if isinstance(token, int) and 0 <= token < len(self._pieces):
            self.setText(token_text(self._pieces[token]))
        else:
            self.setText("" if token is None else token_text(str(token)))
        self._settle()

    def matches(self, text: str) -> list[tuple[int, str]]:
        """Tokens that begin with the text, blank or not, shortest first; then an id as typed."""
        wanted = text.lower().strip()
        if not wanted:
            return []
        hits = [i for i, piece in enumerate(self._folded) if piece.startswith(wanted)]
        hits.sort(key=lambda i: (len(self._folded[i]), not self._pieces[i].startswith(" "), i))
        if wanted.isdigit() and int(wanted) < len(self._pieces) and int(wanted) not in hits[:SHOWN]:
            hits.insert(0, int(wanted))
        return [(i, self._pieces[i]) for i in hits[:SHOWN]]

    def _typed(self, shown: str) -> None:
        text = plain(shown)
        self._matches.show(self.matches(text))
        self.chosen = text if text else None
        self._settle()
        self.changed.emit()

    def _pick(self, shown: str) -> None:
        popup = self._completer.popup()
        row = popup.currentIndex().row() if popup is not None else -1
        if not 0 <= row < len(self._matches.rows):
            texts = [token_text(piece) for _, piece in self._matches.rows]
            row = texts.index(shown)
        number, piece = self._matches.rows[row]
        self.setText(token_text(piece))
        self.chosen = piece
        if self._id(piece) != number:
            self.chosen = number
        self._settle()
        self.changed.emit()

    def _id(self, token: str | int) -> int | None:
        try:
            self.problem = ""
            return int(self._model.token(token))
        except RunError as error:
            self.problem = str(error)
            return None

    def _settle(self) -> None:
        """Red with the reason where the text is not one token."""
        self.problem = ""
        if self._model is not None and self.chosen is not None:
            number = self._id(self.chosen)
            self.setToolTip(self.problem or f"token id {number}")
        else:
            self.setToolTip("One token; auto: what the model itself says")
        if bool(self.property("invalid")) != bool(self.problem):
            theme.restyle(self, invalid=bool(self.problem))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter picks from an open list of completions; only without one does it mean Run."""
        popup = self._completer.popup()
        picks = popup is not None and popup.isVisible() and popup.currentIndex().isValid()
        if picks and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def minimumSizeHint(self) -> QSize:
        return QSize(64, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        return QSize(96, super().sizeHint().height())

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.selectAll()


def plain(shown: str) -> str:
    """The token behind its display text: the dots of leading blanks are blanks again."""
    word = shown.lstrip("· ")
    return " " * (len(shown) - len(word)) + word

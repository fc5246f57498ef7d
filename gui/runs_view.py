"""RunsTable: the runs of a session as rows, and the keys of a list that one works in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QKeyEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemDelegate,
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QStyledItemDelegate,
    QTableView,
    QWidget,
)

from gui import theme
from gui.runs_table import MODEL, NAMES, NOTE, PROMPT, SETTINGS, SIZE, TITLE, WHEN, RunsModel

ROW = 26  # px
LEAST = (190, 112, 180, 120, 130, 68, 72, 82, 120)  # px of each column
SHARES = {TITLE: 2, PROMPT: 4, SETTINGS: 3, NOTE: 3}  # who gets the room that is left
TITLE_FIELD = 360  # px
MANY = 200  # unreadable runs, after which their reasons stay in one cell


class Renaming(QStyledItemDelegate):
    """A field for a title that is wide enough to see all of it."""

    def updateEditorGeometry(self, editor: QWidget, option: Any, index: Any) -> None:
        super().updateEditorGeometry(editor, option, index)
        editor.setAccessibleName("Title of the run")
        wide = max(editor.width(), round(TITLE_FIELD * theme.zoom()))
        editor.setGeometry(editor.x(), option.rect.y() - 1, wide, option.rect.height() + 2)


class RunsTable(QTableView):
    """Whole rows, fixed columns that share the width; the keys of a list one works in."""

    asked = Signal(object)  # entry: show it
    menu_asked = Signal(QPoint)  # on the screen
    delete_pressed = Signal()
    picked = Signal()  # another selection

    def __init__(self, model: RunsModel) -> None:
        super().__init__()
        self.runs = model
        self._late: list[Any] | None = None  # entries that came while a title was being written
        self.setModel(model)
        self.setAccessibleName("Runs of this session")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setItemDelegateForColumn(TITLE, Renaming(self))
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        head = self.horizontalHeader()
        head.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        head.setHighlightSections(False)
        head.setMinimumSectionSize(40)
        head.setStyleSheet("QHeaderView::section { padding: 4px 9px; }")  # as far in as the cells
        head.setSortIndicator(WHEN, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        self.clicked.connect(self._clicked)
        self._fit()

    # what is chosen

    def entries(self) -> list[Any]:
        """The chosen entries, from top to bottom."""
        chosen = self.selectionModel().selection()  # selectedRows asks every row in Python
        ranges = [chosen.at(n) for n in range(chosen.count())]
        rows = sorted({row for each in ranges for row in range(each.top(), each.bottom() + 1)})
        return [self.runs.lines[row].entry for row in rows if 0 <= row < len(self.runs.lines)]

    def show_entries(self, entries: list[Any]) -> None:
        """List other entries; what was chosen and where one had scrolled to stays."""
        if self.state() == QAbstractItemView.State.EditingState:
            self._late = entries  # a list made anew would throw away what is being written
            return
        with self.kept():
            self.runs.set_entries(entries)

    def kept(self) -> _Kept:
        """A `with` in which the model may be made anew."""
        return _Kept(self)

    def choose(self, row: int) -> None:
        self.setCurrentIndex(self.runs.index(row, 0))

    def choose_entries(self, entries: Iterable[Any]) -> None:
        """Choose several at once; those that are not listed are left out."""
        flag = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(self._selection(entries), flag.ClearAndSelect)

    def _selection(self, entries: Iterable[Any]) -> QItemSelection:
        """One selection for all of them: each call would cost as much as what is selected."""
        chosen, runs = QItemSelection(), self.runs
        for first, last in stretches(runs.rows_of(entries)):
            chosen.select(runs.index(first, 0), runs.index(last, len(NAMES) - 1))
        return chosen

    def edit_title(self) -> None:
        index = self.currentIndex().siblingAtColumn(0)
        if index.isValid():
            self.setCurrentIndex(index)
            self.edit(index)

    def closeEditor(self, editor: QWidget, hint: QAbstractItemDelegate.EndEditHint) -> None:
        super().closeEditor(editor, hint)
        late, self._late = self._late, None
        if late is not None:
            self.show_entries(late)

    def selectionChanged(self, chosen: Any, dropped: Any) -> None:
        super().selectionChanged(chosen, dropped)
        self.picked.emit()

    def reset(self) -> None:
        super().reset()
        self.clearSpans()
        unread = [row for row, line in enumerate(self.runs.lines) if line.run is None]
        for row in unread if len(unread) <= MANY else ():
            self.setSpan(row, MODEL, 1, SIZE - MODEL + 1)
        self.picked.emit()

    # what one does

    def _clicked(self, index: QModelIndex) -> None:
        """A plain click shows a run; with Ctrl or Shift it only chooses."""
        held = QApplication.keyboardModifiers()
        if not held & (Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier):
            self.asked.emit(self.runs.lines[index.row()].entry)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        editing = self.state() == QAbstractItemView.State.EditingState
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not editing:
            if self.currentIndex().isValid():
                self.asked.emit(self.runs.lines[self.currentIndex().row()].entry)
        elif event.key() == Qt.Key.Key_Delete and not editing:
            self.delete_pressed.emit()
        elif event.key() == Qt.Key.Key_F2 and not editing:
            self.edit_title()  # from whichever cell is the current one
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            self.menu_asked.emit(event.globalPos())
        elif self.currentIndex().isValid():
            corner = self.visualRect(self.currentIndex().siblingAtColumn(0)).bottomLeft()
            self.menu_asked.emit(self.viewport().mapToGlobal(corner))

    # how it looks

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def sizeHint(self) -> QSize:
        return QSize(320, 120)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 60)

    def _fit(self) -> None:
        zoom = theme.zoom()
        self.verticalHeader().setDefaultSectionSize(round(ROW * zoom))
        least = [round(width * zoom) for width in LEAST]
        spare = max(0, self.viewport().width() - sum(least))
        for column in range(len(NAMES)):
            share = SHARES.get(column, 0) * spare // sum(SHARES.values())
            self.setColumnWidth(column, least[column] + share)


class _Kept:
    """Selection, current row and scroll position over a reset of the model."""

    def __init__(self, table: RunsTable) -> None:
        self.table = table

    def __enter__(self) -> None:
        table, lines = self.table, self.table.runs.lines
        now = table.currentIndex()
        self.chosen = table.entries()
        self.current = lines[now.row()].entry if now.isValid() else None
        self.scrolled = table.verticalScrollBar().value()

    def __exit__(self, *_: object) -> None:
        table, runs = self.table, self.table.runs
        flag = QItemSelectionModel.SelectionFlag
        if self.current is not None and (row := runs.row_of(self.current)) >= 0:
            table.selectionModel().setCurrentIndex(runs.index(row, 0), flag.NoUpdate)
        table.choose_entries(self.chosen)
        table.verticalScrollBar().setValue(self.scrolled)


def stretches(rows: list[int]) -> list[tuple[int, int]]:
    """First and last of every unbroken stretch of sorted rows."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and row == found[-1][1] + 1:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return found

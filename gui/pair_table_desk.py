"""PairSets: the open set between the desk, the session, its table and the dialog that makes one.

The desk's `pair_set` is the set in force: techniques with `pairs` run over it. Here it follows the
edits of the open set, and a set that a stored run brings is opened again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget

from engine import technique
from engine.data.prompt_table import PromptTable
from engine.refs import Ref
from gui.buttons import Button, label
from gui.circuits.switch import Switch
from gui.focus import Desk
from gui.form import set_fields
from gui.jobs import Jobs
from gui.pair_table import OpenSet
from gui.pair_table_dialog import PairTableDialog, said
from gui.pair_table_store import SMALL, KeptSets
from gui.theme import restyle

if TYPE_CHECKING:
    from gui.making_sets import Made

PAIR, SET = "This pair", "The set"


def over_sets() -> str:
    """The titles of the techniques that run over a set."""
    kinds = [kind for kind in technique.kinds().values() if set_fields(kind)]
    return ", ".join(sorted(kind.title or kind.__name__ for kind in kinds))


class SetBar(QWidget):
    """Which of both the runs read, and the way to the table. Without a set only `make` is seen,
    which the panel puts where it has room."""

    used = Signal(bool)

    def __init__(self, make: Any, edit: Any) -> None:
        super().__init__()
        self.switch = Switch([(PAIR, ""), (SET, "")], "What runs read")
        self.switch.chosen.connect(lambda word: self.used.emit(word == SET))
        self.edit = Button("Edit", "table", edit, flat=True)
        self.edit.setToolTip("The set as a table: edit, add and delete rows, save it")
        self.make = Button("Make a set…", "", make)
        self.make.setProperty("link", True)
        self.make.setParent(self)  # until it has its place: shown without one it is a window
        self.make.setToolTip("Many pairs of one task, made for the open model's tokens")
        self.said = label("", "small")
        self.said.setWordWrap(True)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.switch)
        row.addStretch(1)
        row.addWidget(self.edit)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addLayout(row)
        box.addWidget(self.said)

    def show_set(self, opened: OpenSet, in_force: bool) -> None:
        """What lies open, and whether it is what runs read."""
        there = opened.table is not None
        self.setVisible(there)
        self.make.setVisible(not there)
        self.make.setEnabled(opened.model is not None)
        self.said.setVisible(there and in_force)
        if not there:
            return
        found = opened.found
        count = found.usable if found.faults else len(opened.rows)
        button = self.switch.buttons[SET]
        button.setText(f"Set of {count:,}")
        button.setAccessibleName(f"The set of {count:,} pairs")
        which = over_sets()
        button.setToolTip(f"{which} run over the set, the others read this pair.\n{said(opened)}")
        self.switch.buttons[PAIR].setToolTip("All readings read the pair below")
        self.switch.show_chosen(SET if in_force else PAIR)
        none = bool(found.faults) and not found.usable
        self.said.setText(said(opened, brief=True))
        self.said.setToolTip(button.toolTip())
        restyle(self.said, tone="warn" if none else "")


class PairSets(QObject):
    """Belongs to the Prompts panel. `opened` says that another set lies open: its table."""

    changed = Signal(bool)  # whether it is another set, not the same one edited
    row_wanted = Signal(int)  # of the table: to be put on the desk
    told = Signal(str, str)  # a line for the user, and its tone

    def __init__(self, desk: Desk, jobs: Jobs, panel: QWidget) -> None:
        super().__init__(panel)
        self.desk, self.jobs, self.panel = desk, jobs, panel
        self.open = OpenSet(jobs, self)
        self.kept = KeptSets(jobs, self)
        self.bar = SetBar(self.make, self.edit)
        self.dialog: PairTableDialog | None = None
        self._other = True  # whether the next change is another set
        self._asked: Ref | None = None  # that is being read
        self.bar.used.connect(self.use)
        self.open.changed.connect(self._changed)
        self.open.checked.connect(self._dress)
        desk.model_changed.connect(self.open.set_model)
        desk.pair_set_changed.connect(self._set_changed)
        self.open.set_model(desk.model)
        self._dress()

    @property
    def table(self) -> PromptTable | None:
        return self.open.table

    @property
    def in_force(self) -> bool:
        table = self.table
        return table is not None and self.desk.pair_set == table.ref

    # what lies open

    def show(self, table: PromptTable, note: str = "", use: bool | None = None) -> None:
        """Open a set; it is in force if the one before was, unless `use` says."""
        self._leave()
        use = self.desk.pair_set is not None if use is None else use
        self._other = True
        self.open.open(table, note)
        self.desk.set_pair_set(table.ref if use else None)
        self._dress()

    def close(self) -> None:
        self._leave()
        self._other = True
        self.desk.set_pair_set(None)
        self.open.close()

    def use(self, on: bool) -> None:
        """The set, or this pair alone."""
        table = self.table
        self.desk.set_pair_set(table.ref if on and table is not None else None)
        if on:
            self._keep()

    def _leave(self) -> None:
        """Nothing that was edited is lost with the set."""
        if self.open.dirty:
            self._keep()

    def _keep(self) -> None:
        table = self.table
        if table is None or not table.rows:
            return
        try:
            self.kept.keep(table)
        except OSError as error:
            self.told.emit(f"{table.name} is not in the session: {error.strerror}.", "warn")

    def _changed(self) -> None:
        """Another set, or an edit: the desk follows where the set is in force."""
        other, self._other = self._other, False
        table = self.table
        if table is not None and not other and self.desk.pair_set is not None:
            self.desk.set_pair_set(table.ref)
        if table is not None and self.open.dirty and (self.in_force or self._small()):
            self._keep()
        self._dress()
        self.changed.emit(other)

    def _small(self) -> bool:
        return len(self.open.rows) * 64 < SMALL

    def _dress(self) -> None:
        self.bar.show_set(self.open, self.in_force)

    def _set_changed(self, ref: Ref | None) -> None:
        """A stored run brings its set along."""
        table = self.table
        if ref is not None and (table is None or ref != table.ref) and ref != self._asked:
            self._fetch(ref, ref.name or f"Set {ref.short}.csv", True)
        self._dress()

    def _fetch(self, ref: Ref, name: str, use: bool | None) -> None:
        """Open a set from its file or from the session."""
        self._asked = ref

        def read(table: PromptTable) -> None:
            if self._asked == ref:
                self._asked = None
                if not use or self.desk.pair_set == ref:
                    self.show(table, use=use)

        def failed(why: str) -> None:
            self._asked = None
            self.told.emit(f"{why[:1].upper()}{why[1:]}.", "warn")

        self.kept.fetch(ref, name, read, failed)

    # its dialogs

    def make(self) -> None:
        """Ask which set is to be made."""
        if self.desk.model is None:
            self.told.emit("Open a model first: sets are made of its tokens.", "info")
            return
        from gui.making_sets import MakingDialog  # costs a part of the start-up

        dialog = MakingDialog(self.desk.model, self.jobs, self.panel)
        dialog.made.connect(self._made)
        self.desk.model_changed.connect(dialog.close)
        dialog.show()

    def _made(self, made: Made) -> None:
        self.show(made.table, made.note, made.use)
        if made.left_out:
            self.told.emit(f"{made.left_out:,} facts could not be used.", "warn")

    def edit(self) -> None:
        """The open set as a table."""
        if self.table is None:
            return
        if self.dialog is None:
            self.dialog = PairTableDialog(self.open, self.panel)
            self.dialog.row_chosen.connect(self._row_chosen)
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def _row_chosen(self, row: int) -> None:
        place = self.open.place(row)
        if place is not None:
            self.row_wanted.emit(place)

    def show_place(self, place: int | None) -> None:
        """Which row of the table lies on the desk."""
        if self.dialog is not None and place is not None:
            self.dialog.choose(self.open.row_at(place))

    def menu(self, parent: QWidget, ask_table: Any) -> QMenu:
        """Make one, open one, or take one of the session's again."""
        menu = QMenu(parent)
        menu.addAction("Make a set…", self.make)
        menu.addAction("Open a table…", ask_table)
        menu.addAction("Edit the open set", self.edit)
        kept = menu.addMenu("Sets of this session")

        def fill() -> None:
            listed = self.kept.listed()
            kept.clear()
            kept.setEnabled(bool(listed))
            for title, ref in listed:
                kept.addAction(title, lambda ref=ref, title=title: self._take(ref, title))
            menu.actions()[2].setEnabled(self.table is not None)
            menu.actions()[0].setEnabled(self.desk.model is not None)

        menu.aboutToShow.connect(fill)
        return menu

    def _take(self, ref: Ref, title: str) -> None:
        self._fetch(ref, f"{title}.csv", None)

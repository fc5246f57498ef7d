"""DockHost: where panels stand. QDockWidget behind add, show, save, restore and reset.

A panel's own header is its dock's title bar: drag it to move or float the panel. Left, right and
bottom belong to an outer QMainWindow, the centre to a second one inside it.

An arrangement is the set of panels that say its name, and where they stand; what is at the bottom
is in all of them. The panels of the others are hidden, and come back as they were left.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import pairwise

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QDockWidget, QMainWindow, QTabWidget, QWidget

from gui import theme
from gui.panel import LEAST, Panel
from gui.still import Still

LAYOUT_VERSION = 1  # with the names of the docks in it: another set of panels is another layout
SIDE, NARROW = 304, 232  # px
TIGHT = 1200  # px: below this the sides give up some of their room
CENTRE = ("centre-top", "centre-bottom", "centre-beside")
"""Above; below it; and to the right of what is below."""
_AREAS = {
    "left": Qt.DockWidgetArea.LeftDockWidgetArea,
    "right": Qt.DockWidgetArea.RightDockWidgetArea,
    "bottom": Qt.DockWidgetArea.BottomDockWidgetArea,
}


class Dock(QDockWidget):
    """A card: rounded, with one hairline round it.

    Its panel is made when it comes into sight for the first time, or when somebody asks for it:
    most panels of a window are never looked at, and all of them would take a second to make.
    """

    def __init__(self, kind: type[Panel], make: Callable[[Dock], Panel], parent: QWidget) -> None:
        super().__init__(kind.title, parent)
        self.kind, self.made = kind, None
        self._make = make
        self.setObjectName(f"dock-{kind.dock_name()}")
        self.setAllowedAreas(Qt.DockWidgetArea.AllDockWidgetAreas)
        if kind.place == "bottom":
            self.setTitleBarWidget(QWidget(self))  # a bar, not a card with a header
            self.setFeatures(QDockWidget.DockWidgetFeature.NoDockWidgetFeatures)
        empty = QWidget()
        if kind.place != "bottom":
            empty.setMinimumSize(LEAST)
        self.setWidget(empty)
        self.visibilityChanged.connect(self._seen)

    @property
    def panel(self) -> Panel:
        if self.made is None:
            self.made = self._make(self)
        return self.made

    def furnish(self, panel: Panel) -> None:
        """Take the panel that was made."""
        kind, empty = self.kind, self.widget()
        panel.setContentsMargins(1, 0, 1, 1)
        if kind.place in ("left", "right"):
            panel.setMinimumWidth(NARROW)
        if kind.place != "bottom":
            self.setTitleBarWidget(panel.header)
            menu = panel.header.menu_button.menu()
            if menu is not None:
                if menu.actions():
                    menu.addSeparator()
                menu.addAction("Float or dock", lambda: self.setFloating(not self.isFloating()))
                menu.addAction("Hide", self.hide)
        self.setWidget(panel if kind.place == "bottom" else Still(panel))
        empty.deleteLater()

    def _seen(self, visible: bool) -> None:
        if visible:
            _ = self.panel

    def paintEvent(self, event: QPaintEvent) -> None:
        now = theme.current()
        painter = QPainter(self)
        if self.isFloating():
            painter.fillRect(self.rect(), now.color("window"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(now.color("line"))
        painter.setBrush(now.color("panel"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        painter.end()


class _Host(QMainWindow):
    """A QMainWindow used as a widget; it lives inside the window."""

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setWindowFlags(Qt.WindowType.Widget)
        self.setDockNestingEnabled(True)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setDockOptions(
            QMainWindow.DockOption.AllowNestedDocks
            | QMainWindow.DockOption.AllowTabbedDocks
            | QMainWindow.DockOption.GroupedDragging
        )

    def createPopupMenu(self) -> None:
        return None


State = tuple[QByteArray, QByteArray]
"""Where the docks of the outer and of the inner host stand."""


class DockHost(QWidget):
    """The working place: every panel of the table in a dock.

    make: makes the panel of a kind. `made` follows, with the panel in its dock.
    """

    turned = Signal(str)  # another arrangement is shown
    made = Signal(object)  # a panel

    def __init__(self, make: Callable[[type[Panel]], Panel], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._make = make
        self.setProperty("page", True)
        self.docks: dict[str, Dock] = {}
        self.arrangement = Panel.arrangement
        self.states: dict[str, State] = {}  # of the arrangements that were left
        self._tight = False
        self._unshared = False  # Qt gives hidden docks no sizes: the shares wait for the first show
        self.outer = _Host("outer", self)
        self.centre = _Host("centre", self.outer)
        self.outer.setCentralWidget(self.centre)
        self.outer.setContentsMargins(8, 8, 8, 8)
        for corner, area in (
            (Qt.Corner.BottomLeftCorner, "bottom"),
            (Qt.Corner.BottomRightCorner, "bottom"),
            (Qt.Corner.TopLeftCorner, "left"),
            (Qt.Corner.TopRightCorner, "right"),
        ):
            self.outer.setCorner(corner, _AREAS[area])

    def resizeEvent(self, _: object) -> None:
        self.outer.setGeometry(self.rect())
        tight = self.width() < TIGHT * theme.zoom()
        if self._tight and not tight and self.isVisible():  # Qt does not give it back by itself
            QTimer.singleShot(0, self, self.share_out)
        self._tight = tight

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._unshared:
            self._unshared = False
            QTimer.singleShot(0, self, self.share_out)

    def minimumSizeHint(self) -> QSize:
        return self.outer.minimumSizeHint()

    def add(self, kind: type[Panel]) -> Dock:
        """Make the dock of a kind of panel; `arrange` puts it in its place."""
        host = self.centre if kind.place.startswith("centre") else self.outer
        dock = Dock(kind, self._furnish, host)
        self.docks[kind.dock_name()] = dock
        return dock

    def _furnish(self, dock: Dock) -> Panel:
        panel = self._make(dock.kind)
        dock.made = panel  # whoever hears of it may ask for it
        dock.furnish(panel)
        self.made.emit(panel)
        return panel

    def dock_of(self, panel: Panel | type[Panel]) -> Dock:
        return self.docks[panel.dock_name()]

    @property
    def arrangements(self) -> list[str]:
        """The names of all that have panels, in the panels' order."""
        return list(dict.fromkeys(dock.kind.arrangement for dock in self.docks.values()))

    def belongs(self, panel: Panel | type[Panel]) -> bool:
        """Whether a panel stands in the present arrangement."""
        return panel.place == "bottom" or panel.arrangement == self.arrangement

    def in_sight(self, panel: Panel) -> bool:
        """Not hidden, and not behind another tab."""
        return not self.dock_of(panel).visibleRegion().isEmpty()

    def turn_to(self, name: str, leaving: State | None = None) -> None:
        """Show an arrangement as it was left. leaving: how the present one is to come back."""
        if name == self.arrangement or name not in self.arrangements:
            return
        self.states = self.kept(leaving)
        self.arrangement = name
        self.setUpdatesEnabled(False)
        if (kept := self.states.get(name)) is None:
            self.arrange()
        else:
            self.restore(kept)
        self.setUpdatesEnabled(True)
        self.turned.emit(name)

    def kept(self, present: State | None = None) -> dict[str, State]:
        """How every arrangement that was ever shown is to come back."""
        if present is None and self._unshared:
            return dict(self.states)
        return self.states | {self.arrangement: present or self.save()}

    def _own(self) -> dict[str, list[Dock]]:
        """The docks of the present arrangement by their places."""
        by_place: dict[str, list[Dock]] = {}
        for dock in self.docks.values():
            if self.belongs(dock.kind):
                by_place.setdefault(dock.kind.place, []).append(dock)
        return by_place

    def arrange(self) -> None:
        """The default arrangement, by the panels' places and order."""
        by_place = self._own()
        for dock in self.docks.values():
            dock.setFloating(False)
            dock.setVisible(self.belongs(dock.kind))
            dock.toggleViewAction().setVisible(self.belongs(dock.kind))
        for place in ("left", "right", "bottom"):
            self._stack(by_place.get(place, []), _AREAS[place])
        rows = [by_place.get(place, []) for place in CENTRE]
        for row in rows:
            for dock in row:
                self.centre.removeDockWidget(dock)
        before: Dock | None = None  # above, or to the left; what has tabs already cannot be split
        for place, row in zip(CENTRE, rows, strict=True):
            beside = place == "centre-beside" and bool(rows[1])
            if row and before is None:
                self.centre.addDockWidget(Qt.DockWidgetArea.TopDockWidgetArea, row[0])
            elif row and before is not None:
                way = Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical
                self.centre.splitDockWidget(before, row[0], way)
            before = row[0] if row else before
        for row in filter(None, rows):
            for left, dock in pairwise(row):
                self.centre.tabifyDockWidget(left, dock)
            for dock in row:
                dock.show()
            row[0].raise_()
        self._unshared = not self.isVisible()
        self.share_out()

    def _stack(self, docks: list[Dock], area: Qt.DockWidgetArea) -> None:
        for index, dock in enumerate(docks):
            self.outer.removeDockWidget(dock)
            if index == 0:
                self.outer.addDockWidget(area, dock)
            else:
                self.outer.splitDockWidget(docks[index - 1], dock, Qt.Orientation.Vertical)
            dock.show()

    def share_out(self) -> None:
        """Give every dock its usual share of the room."""
        by_place = self._own()
        wide, high = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        roomy = self.width() >= 1500
        for place, width in (("left", SIDE), ("right", SIDE if roomy else 264)):
            if by_place.get(place):
                self.outer.resizeDocks([by_place[place][0]], [round(width * theme.zoom())], wide)
        left = by_place.get("left", [])
        low = self.height() < 760 * theme.zoom()
        shares = [26, 74] if low else [40, 60]
        self.outer.resizeDocks(left, shares[: len(left)], high)
        top, bottom, beside = (by_place.get(place, [])[:1] for place in CENTRE)
        rows = [*top, *(bottom or beside)]
        self.centre.resizeDocks(rows, [48, 52][: len(rows)], high)
        columns = [*bottom, *beside]
        self.centre.resizeDocks(columns, [54, 46][: len(columns)], wide)

    def actions(self) -> list[QAction]:
        """One action per panel that shows or hides it."""
        return [dock.toggleViewAction() for dock in self.docks.values()]

    def reveal(self, panel: Panel) -> None:
        """Show a panel, in front of its neighbours, with the keyboard."""
        if not self.belongs(panel):
            self.turn_to(panel.arrangement)
        dock = self.dock_of(panel)
        dock.show()
        dock.raise_()
        inside = panel.focusWidget() or panel.header.run_button
        (inside if inside.isVisible() else panel.canvas).setFocus(
            Qt.FocusReason.ShortcutFocusReason
        )

    def _version(self) -> int:
        return (LAYOUT_VERSION << 16) + zlib.crc32(" ".join(sorted(self.docks)).encode()) % 65536

    def save(self) -> State:
        version = self._version()
        return self.outer.saveState(version), self.centre.saveState(version)

    def restore(self, states: State) -> bool:
        """False, and the default arrangement, for states of another version or damaged."""
        outer, centre = states
        version = self._version()
        whole = self.outer.restoreState(outer, version)
        whole = self.centre.restoreState(centre, version) and whole
        if whole:
            self._unshared = False
            for dock in self.docks.values():
                own = self.belongs(dock.kind)
                dock.toggleViewAction().setVisible(own)
                if not own:
                    dock.hide()
        else:
            self.arrange()
        return whole

"""Looks: how the window is dressed, and what opens over it; not what it does."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QApplication, QMainWindow

from gui import theme
from gui.docks import DockHost
from gui.menus import Menus
from gui.palette import Palette, actions_of
from gui.panel import Panel
from gui.settings import read, write
from gui.topbar import TopBar


class Looks(QMainWindow):
    """Theme, presentation, command palette, guide. The window makes what is named here."""

    host: DockHost
    menus: Menus
    top: TopBar

    furnished = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.presenting = False
        self.current: Panel | None = None  # the reading that the keyboard's commands go to

    @property
    def panels(self) -> list[Panel]:
        """Those that were made so far, by place and order."""
        return [dock.made for dock in self.host.docks.values() if dock.made is not None]

    @property
    def kinds(self) -> list[type[Panel]]:
        """All that there are, by place and order."""
        return [dock.kind for dock in self.host.docks.values()]

    def panel(self, wanted: str | type[Panel]) -> Any:
        """The panel of a class, or that runs a kind of technique; made where it was not yet."""
        for dock in self.host.docks.values():
            if wanted in (dock.kind, dock.kind.kind or None):
                return dock.panel
        raise KeyError(wanted)

    def furnish(self) -> None:
        """The parts of the window (kind "") are there from now on, and its first reading."""
        while self._furnish_one():
            pass

    def furnish_by_turns(self) -> None:
        """One a turn of the loop: together they take 0.1 s, too long for a click to wait."""
        if self._furnish_one():
            QTimer.singleShot(0, self, self.furnish_by_turns)
        else:
            self.furnished.emit()

    def _furnish_one(self) -> bool:
        """False where nothing is left to be made."""
        part = next((kind for kind in self.kinds if self._lacks(kind)), None)
        if part is not None:
            self.panel(part)
        elif self.current is None:
            self.current = self._first_of(self.host.arrangement)
            self._mark_current()
        return part is not None

    def _lacks(self, kind: type[Panel]) -> bool:
        return not kind.kind and self.host.dock_of(kind).made is None

    def _first_of(self, arrangement: str) -> Panel | None:
        """The first reading of an arrangement."""
        own = (kind for kind in self.kinds if kind.kind and kind.arrangement == arrangement)
        first = next(own, None)
        return None if first is None else self.panel(first)

    def _mark_current(self) -> None:
        for panel in self.panels:
            panel.header.set_active(panel is self.current)

    def switch_theme(self) -> None:
        app = QApplication.instance()
        wanted = theme.LIGHT if theme.current().dark else theme.DARK
        if isinstance(app, QApplication):
            theme.apply(app, wanted, theme.zoom())
        write("theme", wanted.name)
        self.top.show_theme(wanted.dark)

    def switch_presentation(self) -> None:
        """Larger type, no forms, the whole screen; F11 again takes it back."""
        self.presenting = not self.presenting
        app = QApplication.instance()
        if isinstance(app, QApplication):
            theme.apply(app, theme.current(), 1.3 if self.presenting else 1.0)
        for panel in self.panels:
            panel.present(self.presenting)
        self.top.fit()
        if self.presenting:
            self._arranged = self.host.save()
            self.showFullScreen()
            QTimer.singleShot(0, self.host, self.host.share_out)  # once the screen's size is known
        else:
            self.showNormal()
            self.host.restore(self._arranged)

    def show_palette(self) -> None:
        self.palette_ = Palette(self, actions_of(self.menus.menus))
        self.palette_.open_over(self)

    def show_guide(self) -> None:
        from gui.guide import Guide

        self.guide = Guide(self)
        self.guide.show()

    def show_about(self) -> None:
        from gui.about import About

        self.about = About(self)
        self.about.show()


def theme_from_settings() -> theme.Theme:
    return theme.DARK if read("theme", "light") == "dark" else theme.LIGHT

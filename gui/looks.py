"""Looks: how the window is dressed, and what opens over it; not what it does."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow

from gui import dialogs, theme
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

    def __init__(self) -> None:
        super().__init__()
        self.presenting = False

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
        import engine

        text = "See how a neural network computes its answer. Nothing leaves this machine."
        dialogs.Notice(self, f"Mechanoscope {engine.__version__}", text, sign="info").show()


def theme_from_settings() -> theme.Theme:
    return theme.DARK if read("theme", "light") == "dark" else theme.LIGHT

"""The menus: File, View, Run, Help. The command palette lists the same entries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from gui.exporting import FORMATS
from gui.settings import read

if TYPE_CHECKING:
    from gui.window import Window

RECENT = 8


class Menus(QMenuBar):
    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window_ = window
        self.menus = [self._file(), self._view(), self._run(), self._help()]

    def _add(self, menu: QMenu, text: str, keys: str, do: Callable[[], object]) -> QAction:
        action = menu.addAction(text)
        if keys:
            action.setShortcut(QKeySequence(keys))
            self.window_.addAction(action)  # so that the keys work wherever the menu is
        action.triggered.connect(lambda: do())
        return action

    def _file(self) -> QMenu:
        window, menu = self.window_, self.addMenu("&File")
        self._add(menu, "Open model…", "Ctrl+O", window.ask_model)
        self._add(menu, "Open session…", "Ctrl+Shift+O", window.ask_session)
        recent = menu.addMenu("Open recent")
        recent.aboutToShow.connect(lambda: self._fill_recent(recent))
        self._add(menu, "Close model", "Ctrl+W", window.close_model)
        menu.addSeparator()
        self._add(menu, "Save session as…", "Ctrl+S", window.ask_save)
        for suffix, words in FORMATS.items():
            keys = "Ctrl+E" if suffix == "png" else ""
            self._add(menu, words, keys, lambda suffix=suffix: window.export(suffix))
        self._add(menu, "Copy as Python script", "Ctrl+Shift+C", window.copy_script)
        menu.addSeparator()
        self._add(menu, "Quit", "Ctrl+Q", window.close)
        return menu

    def _fill_recent(self, menu: QMenu) -> None:
        menu.clear()
        for path in (*read("recent/models", []), *read("recent/sessions", []))[: 2 * RECENT]:
            menu.addAction(Path(path).name, lambda path=path: self.window_.open_path(Path(path)))
        if not menu.actions():
            menu.addAction("Nothing yet").setEnabled(False)

    def _view(self) -> QMenu:
        window, menu = self.window_, self.addMenu("&View")
        for index, panel in enumerate(window.panels):
            keys = f"Ctrl+{index + 1}" if index < 9 else ""
            self._add(menu, f"Go to {panel.title}", keys, lambda panel=panel: window.reveal(panel))
        menu.addSeparator()
        shown = menu.addMenu("Panels")
        for action in window.host.actions():
            shown.addAction(action)
        self._add(menu, "Default arrangement", "", window.host.arrange)
        self._add(menu, "Welcome page", "", window.show_welcome)
        menu.addSeparator()
        self._add(menu, "Switch theme", "Ctrl+T", window.switch_theme)
        self._add(menu, "Presentation", "F11", window.switch_presentation)
        return menu

    def _run(self) -> QMenu:
        window, menu = self.window_, self.addMenu("&Run")
        self._add(menu, "Run this panel", "Ctrl+R", window.run_current)
        self._add(menu, "Run all panels", "Ctrl+Shift+R", window.run_all)
        for panel in window.panels:
            if panel.kind:
                self._add(menu, f"Run {panel.title}", "", panel.run)
        menu.addSeparator()
        self._add(menu, "Stop", "Esc", window.stop)
        return menu

    def _help(self) -> QMenu:
        window, menu = self.window_, self.addMenu("&Help")
        self._add(menu, "Guide", "F1", window.show_guide)
        self._add(menu, "Commands…", "Ctrl+K", window.show_palette)
        self._add(menu, "About Mechanoscope", "", window.show_about)
        return menu

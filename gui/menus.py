"""The menus: File, View, Run, Help. The command palette lists the same entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from gui import memory, preferences, recovery
from gui.exporting import FORMATS
from gui.interventions.starting import ACTIONS
from gui.recovery import when

if TYPE_CHECKING:
    from gui.panel import Panel
    from gui.window import Window


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
        session = window.session
        self._add(menu, "Open model…", "Ctrl+O", window.ask_model)
        recent = menu.addMenu("Open recent model")
        recent.aboutToShow.connect(lambda: self._fill_models(recent))
        self._add(menu, "Close model", "Ctrl+W", window.close_model)
        menu.addSeparator()
        self._add(menu, "New session", "Ctrl+N", session.new)
        self._add(menu, "New window", "Ctrl+Shift+N", window.arrivals.new_window)
        self._add(menu, "Open session…", "Ctrl+Shift+O", session.ask_open)
        sessions = menu.addMenu("Open recent session")
        sessions.aboutToShow.connect(lambda: self._fill_sessions(sessions))
        self._add(menu, "Save session", "Ctrl+S", session.save)
        self._add(menu, "Save session as…", "Ctrl+Shift+S", session.ask_save)
        self._add(menu, "Compact session…", "", session.ask_compact)
        menu.addSeparator()
        for suffix, words in FORMATS.items():
            keys = "Ctrl+E" if suffix == "png" else ""
            self._add(menu, words, keys, lambda suffix=suffix: window.export(suffix))
        self._add(menu, "Copy as Python script", "Ctrl+Shift+C", window.copy_script)
        menu.addSeparator()
        self._add(menu, "Preferences…", "Ctrl+,", lambda: preferences.show(window))
        self._add(menu, "Quit", "Ctrl+Q", window.close)
        return menu

    def _fill_models(self, menu: QMenu) -> None:
        menu.clear()
        self._places(menu, "", recovery.recent_models())
        if not menu.actions():
            menu.addAction("Nothing yet").setEnabled(False)

    def _fill_sessions(self, menu: QMenu) -> None:
        menu.clear()
        self._places(menu, "Saved", recovery.recent_sessions())
        self._places(menu, "Untitled", recovery.untitled_sessions())
        if not menu.actions():
            menu.addAction("Nothing yet").setEnabled(False)

    def _places(self, menu: QMenu, caption: str, places: Sequence[recovery.Place]) -> None:
        if places and caption:
            menu.addAction(caption).setEnabled(False)
        for place in places:
            name = place.path.stem if place.path.suffix == ".mscope" else place.path.name
            size = f", {memory.size(place.nbytes)}" if place.nbytes else ""
            entry = menu.addAction(f"{name}\t{when(place.seconds)}{size}")
            entry.setToolTip(str(place.path))
            entry.triggered.connect(lambda _=False, path=place.path: self.window_.open_path(path))

    def _view(self) -> QMenu:
        window, menu = self.window_, self.addMenu("&View")
        first = window.host.arrangement
        ordered = sorted(window.kinds, key=lambda kind: kind.arrangement != first)
        for index, kind in enumerate(ordered):
            keys = f"Ctrl+{(index + 1) % 10}" if index < 10 else ""
            go = partial(self._go_to, kind)
            self._add(menu, f"Go to {kind.title}", keys, go)
        menu.addSeparator()
        for index, name in enumerate(window.host.arrangements):
            keys = f"Alt+{index + 1}" if index < 9 else ""
            self._add(menu, name, keys, lambda name=name: window.turn_to(name))
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

    def _go_to(self, kind: type[Panel]) -> None:
        self.window_.reveal(self.window_.panel(kind))

    def _run_kind(self, kind: type[Panel]) -> None:
        self.window_.panel(kind).run()

    def _run(self) -> QMenu:
        window, menu = self.window_, self.addMenu("&Run")
        self._add(menu, "Run this panel", "Ctrl+R", window.run_current)
        self._add(menu, "Run all panels", "Ctrl+Shift+R", window.run_all)
        for kind in window.kinds:
            if kind.kind:
                self._add(menu, f"Run {kind.title}", "", partial(self._run_kind, kind))
        menu.addSeparator()
        middle = window.middle
        self._add(menu, "Interventions", "Ctrl+J", lambda: middle.unfold(not middle.unfolded))
        for title in ACTIONS:
            self._add(menu, f"{title}…", "", lambda title=title: middle.begin(title))
        menu.addSeparator()
        self._add(menu, "Where this comes from…", "Ctrl+I", window.show_provenance)
        self._add(menu, "Stop", "Esc", window.stop)
        return menu

    def _help(self) -> QMenu:
        window, menu = self.window_, self.addMenu("&Help")
        self._add(menu, "Guide", "F1", window.show_guide)
        self._add(menu, "Commands…", "Ctrl+K", window.show_palette)
        self._add(menu, "About Mechanoscope", "", window.show_about)
        return menu

"""The window: panels in docks, menus, models, the session, Focus. Knows no technique by name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from PySide6.QtCore import QMimeData, QPoint, QRect, QTimer
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QShowEvent,
)
from PySide6.QtWidgets import QApplication, QWidget

from engine.errors import FileError
from gui import dialogs, exporting, theme
from gui.answers import Answers
from gui.arrivals import Arrivals
from gui.docks import DockHost
from gui.focus import Desk
from gui.interventions.middle import Middle
from gui.jobs import Jobs
from gui.kinds import panels, reads_model
from gui.looks import Looks
from gui.menus import Menus
from gui.opening import Opener
from gui.panel import Panel
from gui.records import Records
from gui.session_actions import SessionActions
from gui.settings import read, read_bytes, settings, write, write_bytes
from gui.statusbar import StatusLine
from gui.stored import Showing
from gui.topbar import TopBar
from gui.welcome import Welcome

CLOSE_SECONDS = 0.2
GRIP, ASIDE = 64, 32  # px: of the title bar that must be on a screen; from another window
OPENED = (".safetensors", ".mscope", ".json", ".bin", ".pt", ".pth")


class Window(Looks):
    """Owns the Desk, the jobs, the session and the panels."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Mechanoscope")
        self.setWindowIcon(theme.app_icon())
        self.setAcceptDrops(True)
        self.desk, self.jobs = Desk(self), Jobs(self)
        self.opener = Opener(self.desk, self.jobs, self)
        self.records = Records(self.jobs, self)
        # Parents first: a tree of widgets that finds its parent late is dressed all over again.
        self.middle = Middle(self.desk, self.jobs, self)
        self.pages = self.middle.pages
        self.host = DockHost(lambda kind: kind(self.desk, self.jobs), self.pages)
        for kind in panels():
            self.host.add(kind)
        self._last: dict[str, Panel | None] = {}  # arrangement -> its panel with the keyboard
        self._active: Path | None = None  # the model that was active last
        self.beside: Path | None = None  # the one that a training opened: nobody is turned to it
        self.welcome = Welcome(self.desk, self.jobs, self.kinds)
        self.welcome.painted.connect(self.furnish_by_turns)
        self.furnished.connect(self.welcome.look_around)  # its worker would slow them
        self.pages.addWidget(self.welcome)
        self.pages.addWidget(self.host)
        self.setCentralWidget(self.middle)
        self.status = StatusLine(self.jobs)
        self.setStatusBar(self.status)
        self.session = SessionActions(self)
        self.arrivals = Arrivals(self)
        self.showing = Showing(self)
        self.host.made.connect(self._made)
        self.menus = Menus(self)
        self.top = TopBar(self.menus, self.host.arrangements)
        self.setMenuWidget(self.top)
        self._arranged = self.host.save()
        self._after_opening: tuple[Path, list[str]] = (Path(), [])  # folder, kinds to run
        self._looked_back = False
        self._connect()
        self._restore()
        self.top.show_theme(theme.current().dark)

    def _connect(self) -> None:
        self.middle.attach(self)
        self.answers = Answers(self)
        self.desk.models_changed.connect(self._models_changed)
        self.desk.model_changed.connect(self._model_changed)
        self.opener.refused.connect(self.show_file_error)
        self.opener.digested.connect(self.records.learn)
        self.host.turned.connect(self._turned)
        self.pages.currentChanged.connect(self._mark_arrangement)
        self.top.segments.chosen.connect(self.turn_to)
        self.top.search.clicked.connect(self.show_palette)
        self.top.theme_button.clicked.connect(self.switch_theme)
        self.top.help_button.clicked.connect(self.show_guide)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._focus_changed)
        self._mark_current()

    def _made(self, panel: Panel) -> None:
        """A panel that has just been made joins the others."""
        panel.ended.connect(self.records.keep)
        panel.watch_records(self.records)
        panel.header.set_active(panel is self.current)
        if self.presenting:
            panel.present(True)
        panel.catch_up()

    # models, sessions and files

    def open_path(self, path: Path) -> None:
        """A model folder, a file in one, a session, or what a panel reads, by what it is."""
        self.furnish()  # the parts hear of what is opened
        reader = self.reader_of(path)
        if path.suffix.lower() == ".mscope":
            self.session.open(path)
        elif reader is not None:
            self.reveal(self.panel(reader))
            self.panel(reader).open_file(path)
        else:
            self.opener.open(path)

    def reader_of(self, path: Path) -> type[Panel] | None:
        """The panel that reads a file; None for what is a session or to be opened as a model."""
        return next((kind for kind in self.kinds if kind.reads(path)), None)

    def open_and_run(self, folder: Path, wanted: list[str]) -> None:
        """Open a model, then run the panels of these kinds; "*": those that are in sight."""
        self._after_opening = (folder, wanted)
        self.open_path(folder)
        if self.desk.model is not None and self.desk.model.folder == folder:
            self._model_changed(self.desk.model)  # it was open already
            self.pages.setCurrentWidget(self.host)

    def ask_model(self) -> None:
        dialogs.choose_folder(self, "Open a model folder", self.open_path)

    def close_model(self) -> None:
        if self.desk.active is not None:
            self.stop()
            self.desk.drop_model(self.desk.active.folder)

    def show_file_error(self, error: FileError) -> None:
        dialogs.show_file_error(self, error)

    def _models_changed(self) -> None:
        active = self.desk.active
        self.setWindowTitle(f"{active.name} - Mechanoscope" if active else "Mechanoscope")
        if active is not None and active.folder not in (self._active, self.beside):
            self.go_to(Panel.arrangement)  # a model that was just opened is to be read
        self._active = active.folder if active is not None else None
        stays = self._alone() and self.pages.currentWidget() is self.host
        page = self.host if active or self.records.entries or stays else self.welcome
        if page is not self.pages.currentWidget():
            self.pages.setCurrentWidget(page)
            if page is self.host and self.current is not None:
                self.host.reveal(self.current)

    def _model_changed(self, model: Any) -> None:
        for panel in self.panels:
            if panel.running and reads_model(panel):
                panel.stop()
        if model is None:
            return  # what is to run waits for the weights
        QTimer.singleShot(0, self, self.showing.go_on)
        (folder, wanted), self._after_opening = self._after_opening, (Path(), [])
        for kind in wanted if model.folder == folder else ():
            # after the prompts have settled for the new model
            QTimer.singleShot(0, self, lambda kind=kind: self._run_kind(kind))

    def _run_kind(self, kind: str) -> None:
        """Run a panel and bring it to the front; "*": those that are in sight."""
        if kind != "*":
            panel = self.panel(kind)
            panel.run()
            self.reveal(panel)
            return
        for panel in self.panels:
            if reads_model(panel) and self.host.in_sight(panel):
                panel.run()

    def show_run(self, run: Any) -> None:
        """A stored run in the panel of its kind, its prompts on the desk."""
        self.showing.show_run(run)

    # running

    def run_current(self) -> None:
        if self.current is not None:
            self.current.run()

    def run_all(self) -> None:
        """All that read the model; what trains models of its own is started one by one."""
        seen = [kind for kind in self.kinds if self.host.dock_of(kind).isVisible()]
        reading = [kind for kind in seen if reads_model(kind)]
        for kind in reading:
            self.panel(kind).run()
        if not reading and any(kind.kind for kind in seen):
            self.status.offer("These panels train: each starts with its own Run", milliseconds=5000)

    def stop(self) -> None:
        """Esc: the panel with the keyboard first, else whatever runs."""
        if self.current is not None and self.current.running:
            self.current.stop()
        else:
            self.status.stop()

    def export(self, suffix: str) -> None:
        if self.current is not None:
            exporting.ask(self.current, suffix)

    def copy_script(self) -> None:
        if self.current is not None:
            self.current.copy_script()

    def show_provenance(self) -> None:
        if self.current is not None:
            self.current.show_provenance()

    # arrangements

    def turn_to(self, name: str) -> None:
        """An arrangement by its name; without a model and a run, reading begins on the first page.

        In a presentation the present one comes back as it was before it.
        """
        self.furnish()
        self.go_to(name)
        nothing = self.desk.active is None and not self.records.entries and not self._alone()
        self.pages.setCurrentWidget(self.welcome if nothing else self.host)
        self._mark_arrangement()
        if not nothing and self.current is not None:
            self.host.reveal(self.current)

    def go_to(self, name: str) -> None:
        if name != self.host.arrangement:
            self._last[self.host.arrangement] = self.current
            self.host.turn_to(name, self._arranged if self.presenting else None)

    def _turned(self, name: str) -> None:
        self.current = self._last.get(name) or self._first_of(name)
        if self.presenting:
            self._arranged = self.host.save()
        self._mark_current()
        self._mark_arrangement()

    def _alone(self) -> bool:
        """Whether the present arrangement has something to do without a model."""
        own = [kind for kind in self.kinds if kind.arrangement == self.host.arrangement]
        return not any(map(reads_model, own))

    def _mark_arrangement(self) -> None:
        welcome = self.pages.currentWidget() is self.welcome
        self.top.segments.show_chosen("" if welcome else self.host.arrangement)

    def reveal(self, panel: Panel) -> None:
        if not self.host.belongs(panel):
            self.go_to(panel.arrangement)
        self.pages.setCurrentWidget(self.host)
        self.host.reveal(panel)
        if panel.kind:
            self.current = panel
            self._mark_current()

    def _focus_changed(self, _: QWidget | None, now: QWidget | None) -> None:
        for panel in self.panels:
            inside = now is not None and (panel.isAncestorOf(now) or panel.header.isAncestorOf(now))
            if panel.kind and inside:
                self.current = panel
        self._mark_current()

    def show_welcome(self) -> None:
        self.pages.setCurrentWidget(self.welcome)

    # drag and drop

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self._dropped(event.mimeData()):
            event.acceptProposedAction()
            self.welcome.show_drop(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.welcome.show_drop(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self.welcome.show_drop(False)
        for path in self._dropped(event.mimeData()):
            self.open_path(path)
        event.acceptProposedAction()

    def _dropped(self, data: QMimeData) -> list[Path]:
        """The local folders and files in a drag that `open_path` knows what to do with."""
        paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
        wanted = {*OPENED, *(suffix for kind in self.kinds for suffix in kind.opens)}
        return [path for path in paths if path.is_dir() or path.suffix.lower() in wanted]

    # geometry and the end

    def _restore(self) -> None:
        self.resize(1600, 1000)
        screen = self.screen().availableGeometry() if self.screen() else None
        if screen is not None:
            self.resize(min(1600, screen.width()), min(1000, screen.height()))
        if (geometry := read_bytes("window/geometry")) is not None:
            self.restoreGeometry(geometry)
        self._come_in_sight()
        self.host.resize(self.width(), self.height() - 80)
        self.host.arrange()
        for name in self.host.arrangements:
            outer, centre = (read_bytes(f"window/{name}/{key}") for key in ("outer", "centre"))
            if outer is not None and centre is not None:
                self.host.states[name] = (outer, centre)
        if (kept := self.host.states.get(self.host.arrangement)) is not None:
            self.host.restore(kept)
        self.go_to(read("window/arrangement", self.host.arrangement))

    def _come_in_sight(self) -> None:
        """Back from a screen that is gone: what a hand needs to move the window is on one."""
        frame = self.frameGeometry()
        grip = QRect(frame.left(), frame.top(), frame.width(), GRIP)
        free = [screen.availableGeometry() for screen in QGuiApplication.screens()]
        parts = [area.intersected(grip) for area in free]
        if free and not any(part.width() >= GRIP and part.height() >= GRIP / 2 for part in parts):
            self.resize(self.size().boundedTo(free[0].size()))
            self.move(free[0].center() - self.rect().center())

    def step_aside(self) -> None:
        """So that it does not cover another window of ours, where the screen has the room."""
        aside = QPoint(ASIDE, ASIDE)
        screen = self.screen().availableGeometry() if self.screen() else QRect()
        if not self.isMaximized() and screen.contains(self.geometry().translated(aside)):
            self.move(self.pos() + aside)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._looked_back:
            self._looked_back = True
            QTimer.singleShot(0, self, self.session.look_back)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Undo, where no text field and no panel has taken it."""
        if event.matches(QKeySequence.StandardKey.Undo):
            self.records.undo()
        else:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop what runs, keep what was computed, and go once it is written."""
        if not self.session.may_close():
            event.ignore()
            return
        write_bytes("window/geometry", self.saveGeometry())
        write("window/arrangement", self.host.arrangement)
        kept = self.host.kept(self._arranged if self.presenting else None)
        for name, states in kept.items():
            for key, state in zip(("outer", "centre"), states, strict=True):
                write_bytes(f"window/{name}/{key}", state)
        stored = settings()
        for panel in self.panels:
            if panel.form is not None:
                panel.form.save(stored)
        self.jobs.stop_all(CLOSE_SECONDS)
        self.records.close()
        app = QApplication.instance()
        if isinstance(app, QApplication):
            with suppress(RuntimeError):  # closed twice
                app.focusChanged.disconnect(self._focus_changed)
        super().closeEvent(event)

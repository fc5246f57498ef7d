"""The window: panels in docks, menus, models, the session, Focus. Knows no technique by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QMimeData, QTimer
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QStackedWidget, QWidget

from engine.errors import FileError
from gui import dialogs, exporting, theme
from gui.docks import DockHost
from gui.focus import Desk
from gui.jobs import Jobs
from gui.menus import Menus
from gui.opening import Opener
from gui.palette import Palette, actions_of
from gui.panel import Panel, panels
from gui.records import Records
from gui.settings import read, settings, write
from gui.statusbar import StatusLine
from gui.topbar import TopBar
from gui.welcome import Welcome

CLOSE_SECONDS = 0.2
SESSION = "Mechanoscope session (*.mscope)"


class Window(QMainWindow):
    """Owns the Desk, the jobs, the session and the panels."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Mechanoscope")
        self.setWindowIcon(theme.app_icon())
        self.setAcceptDrops(True)
        self.desk, self.jobs = Desk(self), Jobs(self)
        self.opener = Opener(self.desk, self.jobs, self)
        self.records = Records(self.jobs, self)
        self.panels = [make(self.desk, self.jobs) for make in panels()]
        self.current = next((panel for panel in self.panels if panel.kind), None)
        self.host = DockHost()
        for panel in self.panels:
            self.host.add(panel)
        self.welcome = Welcome(self.desk, self.jobs, [type(panel) for panel in self.panels])
        self.pages = QStackedWidget()
        self.pages.addWidget(self.welcome)
        self.pages.addWidget(self.host)
        self.setCentralWidget(self.pages)
        self.menus = Menus(self)
        self.top = TopBar(self.menus)
        self.setMenuWidget(self.top)
        self.status = StatusLine(self.jobs)
        self.setStatusBar(self.status)
        self.presenting = False
        self._before = self.host.save()
        self._after_opening: list[str] = []
        self._to_show: list[Any] = []  # runs of a session whose model is being opened
        self._connect()
        self._restore()
        self.top.show_theme(theme.current().dark)

    def _connect(self) -> None:
        self.desk.asked.connect(self._answer)
        self.desk.models_changed.connect(self._models_changed)
        self.desk.model_changed.connect(self._model_changed)
        self.opener.refused.connect(self.show_file_error)
        self.records.refused.connect(self.show_file_error)
        self.records.saved.connect(lambda text, bad: self.status.show_session(text, bad=bad))
        self.records.loaded.connect(self.show_run)
        self.records.opened.connect(self._session_opened)
        for panel in self.panels:
            panel.ended.connect(self.records.keep)
            records = getattr(panel, "watch_records", None)
            if records is not None:
                records(self.records)
        self.top.search.clicked.connect(self.show_palette)
        self.top.theme_button.clicked.connect(self.switch_theme)
        self.top.help_button.clicked.connect(self.show_guide)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.connect(self._focus_changed)
        self._mark_current()

    # models, sessions and files

    def open_path(self, path: Path) -> None:
        """A model folder, a file in one, or a session, by what it is."""
        if path.suffix == ".mscope":
            self.records.open(path)
            self.pages.setCurrentWidget(self.host)
        else:
            self.opener.open(path)

    def ask_model(self) -> None:
        dialogs.choose_folder(self, "Open a model folder", self.open_path)

    def ask_session(self) -> None:
        dialogs.choose_file(self, "Open a session", SESSION, self.open_path)

    def ask_save(self) -> None:
        name = self.records.name if self.records.titled else "session"
        dialogs.choose_target(self, "Save the session as", name, "mscope", self.records.save_as)

    def close_model(self) -> None:
        if self.desk.active is not None:
            self.stop()
            self.desk.drop_model(self.desk.active.folder)

    def show_file_error(self, error: FileError) -> None:
        dialogs.show_file_error(self, error)

    def _models_changed(self) -> None:
        active = self.desk.active
        self.setWindowTitle(f"{active.name} - Mechanoscope" if active else "Mechanoscope")
        page = self.host if active or self.records.entries else self.welcome
        if page is not self.pages.currentWidget():
            self.pages.setCurrentWidget(page)
            if page is self.host and self.current is not None:
                self.host.reveal(self.current)

    def _model_changed(self, model: Any) -> None:
        for panel in self.panels:
            if panel.running:
                panel.stop()
        wanted, self._after_opening = self._after_opening, []
        if model is not None:
            QTimer.singleShot(0, self, self._show_waiting)
            for kind in wanted:  # after the prompts have settled for the new model
                QTimer.singleShot(0, self, lambda kind=kind: self._run_kind(kind))

    def _run_kind(self, kind: str) -> None:
        for panel in self.panels:
            if kind in (panel.kind, "*") and panel.kind:
                panel.run()
                if kind != "*":  # "*" has started it: now it comes to the front
                    self.reveal(panel)

    def _answer(self, what: str, about: Any) -> None:
        """What panels and the welcome page ask for."""
        if what == "open model":
            self.ask_model()
        elif what == "open path":
            self.open_path(Path(about))
        elif what == "question":  # (folder, kind of technique)
            self._after_opening = ["*", about[1]]
            self.open_path(Path(about[0]))
            if self.desk.model is not None and self.desk.model.folder == Path(about[0]):
                self._model_changed(self.desk.model)  # it was open already
                self.pages.setCurrentWidget(self.host)
        elif what == "run all":
            self.run_all()
        elif what == "show run":
            self.records.show(about)
        elif what == "do":
            getattr(self, about)()

    def _session_opened(self) -> None:
        """Open the newest run's model, if it is still there, and show the newest of each kind."""
        newest = {entry.run.kind: entry for entry in self.records.entries if entry.run and entry.id}
        self._to_show = list(newest.values())
        models = [entry.run.model for entry in self._to_show if entry.run.model is not None]
        folder = Path(models[-1].folder) if models and models[-1].folder else None
        here = self.desk.model is not None and self.desk.model.folder == folder
        if folder is not None and folder.is_dir() and not here:
            self.open_path(folder)
        else:
            self._show_waiting()

    def _show_waiting(self) -> None:
        waiting, self._to_show = self._to_show, []
        for entry in waiting:
            self.records.show(entry)

    def show_run(self, run: Any) -> None:
        """A stored run in the panel of its kind, its prompts on the desk."""
        for panel in self.panels:
            if panel.kind == run.kind:
                if panel.form is not None:
                    prompts = panel.form.prompts_of(run.spec)
                    self.desk.set_prompts(replace(self.desk.prompts, **prompts))
                self.pages.setCurrentWidget(self.host)
                panel.show_run(run)
                self.reveal(panel)

    # running

    def run_current(self) -> None:
        if self.current is not None:
            self.current.run()

    def run_all(self) -> None:
        for panel in self.panels:
            if panel.kind and self.host.dock_of(panel).isVisible():
                panel.run()

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

    def reveal(self, panel: Panel) -> None:
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

    def _mark_current(self) -> None:
        for panel in self.panels:
            panel.header.set_active(panel is self.current)

    # looks

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
            if panel.form is not None:
                panel.header.form_button.setChecked(panel.form_open and not self.presenting)
        self.top.fit()
        if self.presenting:
            self._before = self.host.save()
            self.showFullScreen()
            QTimer.singleShot(0, self.host, self.host.share_out)  # once the screen's size is known
        else:
            self.showNormal()
            self.host.restore(self._before)

    def show_palette(self) -> None:
        self.palette_ = Palette(self, actions_of(self.menus.menus))
        self.palette_.open_over(self)

    def show_welcome(self) -> None:
        self.pages.setCurrentWidget(self.welcome)

    def show_guide(self) -> None:
        from gui.guide import Guide

        self.guide = Guide(self)
        self.guide.show()

    def show_about(self) -> None:
        import engine

        text = "See how a neural network computes its answer. Nothing leaves this machine."
        dialogs.Notice(self, f"Mechanoscope {engine.__version__}", text, sign="info").show()

    # drag and drop

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped(event.mimeData()):
            event.acceptProposedAction()
            self.welcome.show_drop(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.welcome.show_drop(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self.welcome.show_drop(False)
        for path in dropped(event.mimeData()):
            self.open_path(path)
        event.acceptProposedAction()

    # geometry and the end

    def _restore(self) -> None:
        self.resize(1600, 1000)
        screen = self.screen().availableGeometry() if self.screen() else None
        if screen is not None:
            self.resize(min(1600, screen.width()), min(1000, screen.height()))
        stored = settings()
        geometry = stored.value("window/geometry")
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)
        self.host.resize(self.width(), self.height() - 80)
        self.host.arrange()
        outer, centre = stored.value("window/outer"), stored.value("window/centre")
        if isinstance(outer, QByteArray) and isinstance(centre, QByteArray):
            self.host.restore((outer, centre))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop what runs, wait a moment, and keep what was computed."""
        stored = settings()
        stored.setValue("window/geometry", self.saveGeometry())
        for key, state in zip(("outer", "centre"), self.host.save(), strict=True):
            stored.setValue(f"window/{key}", state)
        for panel in self.panels:
            if panel.form is not None:
                panel.form.save(stored)
        self.jobs.stop_all(CLOSE_SECONDS)
        self.records.close()
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.focusChanged.disconnect(self._focus_changed)
        super().closeEvent(event)


def dropped(data: QMimeData) -> list[Path]:
    """The local folders, weight files and sessions in a drag."""
    paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
    wanted = (".safetensors", ".mscope", ".json", ".bin", ".pt", ".pth")  # pickles: to say why not
    return [path for path in paths if path.is_dir() or path.suffix in wanted]


def theme_from_settings() -> theme.Theme:
    return theme.DARK if read("theme", "light") == "dark" else theme.LIGHT

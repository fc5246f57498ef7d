"""A panel's run: from Run to the last update, its refusals and its failures, each said in place."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from engine.errors import FileError, RunError, SpecError
from engine.refs import MissingInput, Ref
from gui import dialogs
from gui.jobs import Job
from gui.settings import settings
from gui.showing import nbytes, sentence

if TYPE_CHECKING:
    from gui.panel import Panel

LOADING, NO_MODEL = "The weights are still loading.", "Open a model first."


class Runner(QObject):
    """Starts, watches and stops the runs of one panel, whose child it is."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.panel = panel
        self.inputs: dict[str, Ref] = {}  # of the newest run, as the desk had them at its start

    @property
    def running(self) -> bool:
        return self.panel.job is not None and not self.panel.job.done

    def run(self) -> Job | None:
        """Run the form's spec on the active model; None where that cannot start, with a message."""
        panel = self.panel
        if panel.form is None or self.running:
            return None
        if panel.desk.model is None:
            loading = panel.desk.active is not None and not panel.desk.active.problem
            panel.say(LOADING if loading else NO_MODEL, "info")
            return None
        try:
            spec = panel.spec()
        except SpecError as error:
            self._refused(error)
            return None
        panel.compare(None)
        panel.message.hide()
        job = Job(spec, panel.desk.model, name=panel.title)
        job.updated.connect(self._updated)
        job.finished.connect(self._finished)
        job.failed.connect(self._failed)
        job.cancelled.connect(self._cancelled)
        job.started.connect(panel.mark)
        panel.job = job
        self.inputs = dict(panel.desk.prompts.inputs) if panel.form.from_desk else {}
        panel.header.set_running(True)
        panel.form.save(settings())
        panel.jobs.submit(job)
        panel.mark()
        return job

    def form_changed(self) -> None:
        """Refused values disable Run; live ones go to the run at once."""
        panel, job = self.panel, self.panel.job
        try:
            spec = panel.spec()
        except SpecError as error:
            mine = panel.form is not None and error.field in panel.form.entries
            panel.header.run_button.setEnabled(not mine or self.running)
            return
        panel.header.run_button.setEnabled(True)
        old = job.worker.spec if self.running and job is not None else None
        if old is not None and job is not None:
            live = [item.name for item in fields(spec) if item.metadata.get("live")]
            change = {name: getattr(spec, name) for name in live}
            change = {name: value for name, value in change.items() if value != getattr(old, name)}
            if change:
                job.send(change)
        panel.mark()

    def _updated(self, result: Any, _ticks: tuple) -> None:
        panel, job = self.panel, self.panel.job
        if result is not None and job is not None and (panel.isVisible() or panel.isWindow()):
            panel.show_result(result, job.spec, job.model)

    def _finished(self, result: Any) -> None:
        self._end(result, None)
        self._offer_to_keep(result)

    def _cancelled(self, partial: Any) -> None:
        self._end(partial, None)
        self._offer_to_keep(partial)

    def _failed(self, error: BaseException, partial: Any) -> None:
        panel = self.panel
        self._end(partial, error)
        if isinstance(error, SpecError):
            self._refused(error)
        elif isinstance(error, MissingInput):
            act: tuple[str, Callable[[], object]] = ("Locate…", lambda: self._locate(error))
            panel.say(f"{sentence(str(error))}.", "warn", act)
        elif isinstance(error, RunError | FileError):
            panel.say(sentence(str(error)) if isinstance(error, RunError) else str(error), "warn")
        elif isinstance(error, MemoryError):
            panel.say("Not enough memory for this run; a shorter prompt needs less.", "bad")
        else:
            panel.say("This run met an error inside the program.", "bad")
            sys.excepthook(type(error), error, error.__traceback__)

    def _end(self, result: Any, error: BaseException | None) -> None:
        """The last good state stays in the picture, however the run ended."""
        panel, job = self.panel, self.panel.job
        panel.header.set_running(False)
        if job is None:
            return
        if result is not None:
            panel.show_result(result, job.worker.spec, job.model)
        panel.mark()
        panel.ended.emit(panel, result, error)

    def _offer_to_keep(self, result: Any) -> None:
        """Too large to store without being asked: ask, and never silently drop it."""
        from engine.session.store import LARGE  # with the session

        panel, size = self.panel, nbytes(result)
        if size > LARGE and panel.run_shown is not None:
            run = panel.run_shown
            text = (
                f"{size >> 20:,} MB: above {LARGE >> 20} MB only its settings and digest are kept."
            )
            keep: tuple[str, Callable[[], object]] = (
                "Keep result",
                lambda: (panel.message.hide(), panel.desk.ask("keep result", run)),
            )
            panel.say(text, "info", keep)

    def _refused(self, error: SpecError) -> None:
        """At the field where the form has it, else in the message line."""
        panel = self.panel
        if panel.form is not None and error.field in panel.form.entries:
            panel.form.entries[error.field].mark(error.message)
            panel.header.form_button.setChecked(True)
        else:
            panel.say(f"{error.field.capitalize()}: {error.message}", "warn")

    def _locate(self, missing: MissingInput) -> None:
        """Ask where the input is now, put that into the form and run again."""
        title = f"Locate the {missing.ref.kind}"

        def found(place: Path) -> None:
            self._put(missing, place)

        if Path(missing.ref.where).suffix:
            dialogs.choose_file(self.panel, title, "All files (*)", found)
        else:
            dialogs.choose_folder(self.panel, title, found)

    def _put(self, missing: MissingInput, place: Path) -> None:
        form = self.panel.form
        job = form.replace_ref(missing.ref, str(place)) if form is not None else None
        if job is not None:
            job.finished.connect(lambda _: self.run())
        else:
            self.panel.say(f"Load this {missing.ref.kind} where it was loaded, then run again.")

"""Panel: form, run and stop, picture, sentence, message line, export; one drawing method each.

A subclass sets the class attributes and writes `build`, `draw`, `sentence` and perhaps `look_at`;
it lives in `gui/panels/` and imports gui.plots and one technique at most. `draw` is used live, at
the end, after a stop and for a stored run; it only ever puts data into what `build` made.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QPixmap
from PySide6.QtWidgets import QMenu, QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from engine import technique
from engine.errors import FileError, RunError, SpecError
from engine.technique import Technique
from gui import exporting, theme
from gui.buttons import label
from gui.focus import Desk, Focus
from gui.form import Form
from gui.header import Header, Message
from gui.jobs import Job, Jobs
from gui.plots import to_png, to_svg
from gui.settings import settings

LEAST = QSize(240, 180)
PLACES = ("left", "centre-top", "centre-bottom", "right", "bottom")


class Panel(QWidget):
    """One reading of the model, or (kind "") a part of the window that runs nothing."""

    kind: ClassVar[str] = ""
    title: ClassVar[str] = ""
    icon: ClassVar[str] = "activity"
    place: ClassVar[str] = "centre-top"
    order: ClassVar[int] = 100
    form_open: ClassVar[bool] = False
    words: ClassVar[dict[str, str]] = {}
    """Names and choices of fields as the form shows them: {"logit_diff": "logit difference"}."""
    question: ClassVar[tuple[str, str]] = ("", "")
    """The tile on the welcome page: a question and a line under it; "" = the technique's title."""
    empty: ClassVar[str] = ""
    """What will be seen here, while nothing has run."""

    shown = Signal(object)  # a result was drawn
    ended = Signal(object, object, object)  # this panel, result or None, error: for the session

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        super().__init__()
        self.desk, self.jobs = desk, jobs
        self.job: Job | None = None
        self.result: Any = None
        self.drawn: tuple[Technique | None, Any] = (None, None)  # spec and model of `result`
        self.run_shown: Any = None  # engine.session.Run of `result`, once it has ended
        self._words: tuple[Any, dict[int, str]] = (None, {})  # a model and its texts so far
        self._dressed: tuple[Any, float] = (None, 0.0)  # theme and zoom of what was drawn
        self.form = Form(technique.of(self.kind), self.words) if self.kind else None
        self.setObjectName(f"panel-{type(self).__module__.rpartition('.')[2]}")
        self.setAccessibleName(self.title)
        self.header = Header(
            self.title, runs=bool(self.kind), has_form=bool(self.form and self.form.entries)
        )
        self.message = Message()
        self.line = label("", "sentence")
        self.line.setWordWrap(True)
        self.line.setContentsMargins(16, 0, 16, 12)
        self.line.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.line.hide()
        self.canvas = self.build()
        self._lay_out()
        self._connect()
        self.header.set_menu(self.menu())

    # what a subclass writes

    def build(self) -> QWidget:
        """Make the picture once, empty."""
        raise NotImplementedError

    def draw(self, result: Any) -> None:
        """Put a result, perhaps half-filled, into the picture."""

    def sentence(self, result: Any) -> str:
        """What is seen, computed from the numbers; "" for nothing to say yet."""
        return ""

    def look_at(self, focus: Focus) -> None:
        """Turn to what the user looks at."""

    @classmethod
    def asked(cls) -> tuple[str, str]:
        """Question and line of the panel's tile on the welcome page."""
        kind = technique.of(cls.kind)
        return cls.question[0] or kind.title, cls.question[1] or kind.summary

    # what a subclass may use

    def pieces(self, ids: Any) -> list[str]:
        """Display texts of token ids by the model of the drawn result; ids where it is not open."""
        model = self.drawn[1] or self.desk.model
        wanted = [int(i) for i in ids]
        if model is None:
            return [str(i) for i in wanted]
        if self._words[0] is not model:
            self._words = (model, {})
        known = self._words[1]
        new = list({i for i in wanted if i not in known})
        known.update(zip(new, model.pieces(new), strict=True))
        return [known[i] for i in wanted]

    def say(self, text: str, tone: str = "warn") -> None:
        """A line above the picture: "warn", "bad", "info" or "good". "" takes it away."""
        self.message.say(text, tone)

    # running

    def spec(self) -> Technique:
        """The spec as the form and the Desk have it; SpecError where a value is refused."""
        if self.form is None:
            raise TypeError(f"{self.title} runs nothing")
        return self.form.spec(self.desk.prompts)

    def run(self) -> Job | None:
        """Run the form's spec on the active model; None where that cannot start, with a message."""
        if self.form is None or self.running:
            return None
        if self.desk.model is None:
            loading = self.desk.active is not None and not self.desk.active.problem
            self.say("The weights are still loading." if loading else "Open a model first.", "info")
            return None
        try:
            spec = self.spec()
        except SpecError as error:
            self._refused(error)
            return None
        self.message.hide()
        job = Job(spec, self.desk.model, name=self.title)
        job.updated.connect(self._updated)
        job.finished.connect(self._finished)
        job.failed.connect(self._failed)
        job.cancelled.connect(self._cancelled)
        job.started.connect(self._mark)
        self.job = job
        self.header.set_running(True)
        self.form.save(settings())
        self.jobs.submit(job)
        self._mark()
        return job

    @property
    def running(self) -> bool:
        return self.job is not None and not self.job.done

    def stop(self) -> None:
        """Stop the run; what was computed stays."""
        if self.job is not None:
            self.job.cancel()

    def show_run(self, run: Any) -> None:
        """Show a stored run: its fields in the form, its result in the picture."""
        if self.form is not None:
            self.form.show_spec(run.spec)
        if run.result is None:
            self.say(run.error or "The result of this run was too large to keep; run it again.")
            return
        model, ref = self.desk.model, run.model
        if model is not None and ref is not None and ref.digest not in ("", model.digest):
            same = ref.folder and ref.folder == str(getattr(model, "folder", ""))
            model = model if same else None
        self.show_result(run.result, run.spec, model)
        self.run_shown = run
        self.message.say(_sentence(run.error), "warn")

    def show_result(self, result: Any, spec: Technique | None = None, model: Any = None) -> None:
        """Draw a result, its sentence, and let the other panels read it."""
        self.result = result
        self.drawn, self.run_shown = (spec, model), None
        self._stack.setCurrentWidget(self.canvas)
        self._dressed = (theme.current(), theme.zoom())
        self.draw(result)
        self.look_at(self.desk.focus)
        text = self.sentence(result)
        self.line.setText(text)
        self.line.setVisible(bool(text))
        self._mark()
        if self.kind and (model is not None and model is self.desk.model):
            self.desk.publish(self.kind, result)
        self.shown.emit(result)

    def clear(self) -> None:
        """Back to the words that say what will be here."""
        self.result, self.drawn, self.run_shown = None, (None, None), None
        self.line.hide()
        self.message.hide()
        if self.empty:
            self._stack.setCurrentWidget(self._nothing)
        self._mark()

    # export

    def export_png(self, path: Path | str) -> None:
        to_png(self.canvas, path)

    def export_svg(self, path: Path | str) -> None:
        to_svg(self.canvas, path)

    def export_npz(self, path: Path | str) -> None:
        """The result's arrays by field name, with the spec and what made them."""
        exporting.write_arrays(self, path)

    def script(self) -> str:
        """The run in the picture, or the one that the form describes, as a Python script."""
        return exporting.script(self)

    def copy_script(self) -> None:
        exporting.copy_script(self)

    def picture(self) -> QPixmap:
        """The whole panel with its header, as the window shows it."""
        dock = self.parentWidget()
        return dock.grab() if dock and dock.isAncestorOf(self.header) else self.grab()

    def menu(self) -> QMenu:
        """What the "…" button offers; a subclass may add to it."""
        menu = QMenu(self)
        if self.kind:
            exporting.fill(menu, self)
        if self.form is not None and self.form.has_advanced:
            menu.addSeparator()
            more = menu.addAction("More settings")
            more.setCheckable(True)
            more.toggled.connect(self._unfold)
        return menu

    # the rest is ours

    def _lay_out(self) -> None:
        self._nothing = label(self.empty, "muted")
        self._nothing.setWordWrap(True)
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setContentsMargins(32, 16, 32, 16)
        self._body = QWidget()
        self._stack = QStackedLayout(self._body)
        for widget in (self.canvas, self._nothing):
            self._stack.addWidget(widget)
        if self.empty:
            self._stack.setCurrentWidget(self._nothing)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self.header)
        if self.form is not None:
            self.form.restore(settings())
            self.form.setVisible(self.form_open)
            self.header.form_button.setChecked(self.form_open)
            box.addWidget(self.form)
        box.addWidget(self.message)
        box.addWidget(self._body, 1)
        box.addWidget(self.line)
        self._body.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def _unfold(self, on: bool) -> None:
        if self.form is not None:
            self.form.unfold(on)
            self.header.form_button.setChecked(on or self.form_open)

    def _connect(self) -> None:
        self.header.run_pressed.connect(self.run)
        self.header.stop_pressed.connect(self.stop)
        self.desk.focus_changed.connect(self.look_at)
        if self.form is not None:
            self.header.form_toggled.connect(self.form.setVisible)
            self.form.changed.connect(self._form_changed)
            self.desk.prompts_changed.connect(self._mark)
            self.desk.model_changed.connect(self._mark)

    def _updated(self, result: Any, _ticks: tuple) -> None:
        if result is not None and self.job is not None and (self.isVisible() or self.isWindow()):
            self.show_result(result, self.job.spec, self.job.model)

    def _finished(self, result: Any) -> None:
        self._end(result, None)

    def _cancelled(self, partial: Any) -> None:
        self._end(partial, None)

    def _failed(self, error: BaseException, partial: Any) -> None:
        self._end(partial, error)
        if isinstance(error, SpecError):
            self._refused(error)
        elif isinstance(error, RunError | FileError):
            self.say(_sentence(str(error)) if isinstance(error, RunError) else str(error), "warn")
        elif isinstance(error, MemoryError):
            self.say("Not enough memory for this run; a shorter prompt needs less.", "bad")
        else:
            self.say("This run met an error inside the program.", "bad")
            sys.excepthook(type(error), error, error.__traceback__)

    def _end(self, result: Any, error: BaseException | None) -> None:
        """The last good state stays in the picture, however the run ended."""
        self.header.set_running(False)
        if self.job is None:
            return
        if result is not None:
            self.show_result(result, self.job.worker.spec, self.job.model)
        self._mark()
        self.ended.emit(self, result, error)

    def _refused(self, error: SpecError) -> None:
        """At the field where the form has it, else in the message line."""
        if self.form is not None and error.field in self.form.entries:
            self.form.entries[error.field].mark(error.message)
            self.header.form_button.setChecked(True)
        else:
            self.say(f"{error.field.capitalize()}: {error.message}", "warn")

    def _form_changed(self) -> None:
        """Refused values disable Run; live ones go to the run at once."""
        try:
            spec = self.spec()
        except SpecError as error:
            mine = self.form is not None and error.field in self.form.entries
            self.header.run_button.setEnabled(not mine or self.running)
            return
        self.header.run_button.setEnabled(True)
        old = self.job.worker.spec if self.running and self.job is not None else None
        if old is not None and self.job is not None:
            live = [item.name for item in fields(spec) if item.metadata.get("live")]
            change = {name: getattr(spec, name) for name in live}
            change = {name: value for name, value in change.items() if value != getattr(old, name)}
            if change:
                self.job.send(change)
        self._mark()

    def _mark(self, *_: Any) -> None:
        """Say quietly of what the picture is, where that is no longer what a Run would show."""
        self.header.set_note(self._stale())

    def _stale(self) -> str:
        if self.job is not None and self.job.state == "waiting":
            return "waiting for another run"
        spec, model = self.drawn
        if spec is None or self.form is None or self.running:
            return ""
        if model is not self.desk.model:
            return "for another model"
        try:
            now = self.spec()
        except SpecError:
            return ""
        differs = [n for n in self.form.from_desk if getattr(now, n) != getattr(spec, n)]
        if differs:
            return "for an earlier prompt"
        return "" if now == spec else "for earlier settings"

    def minimumSizeHint(self) -> QSize:
        """The same whatever is drawn, so that a result never pushes the neighbours aside."""
        return self.header.minimumSizeHint().expandedTo(LEAST)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.stop()
        super().closeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        dress = (theme.current(), theme.zoom())
        palette = event.type() == QEvent.Type.PaletteChange  # Qt sends many for one change
        if palette and self.result is not None and dress != self._dressed:
            self._dressed = dress
            self.draw(self.result)


def _sentence(reason: str) -> str:
    """An error's words as a line of their own."""
    return reason[:1].upper() + reason[1:]


def panels() -> list[type[Panel]]:
    """Every panel that `gui.panels` holds, by place and order. The window knows no other list."""
    package = importlib.import_module("gui.panels")
    found: list[type[Panel]] = []
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"gui.panels.{module.name}")
        classes = [thing for thing in vars(loaded).values() if isinstance(thing, type)]
        own = [cls for cls in classes if cls.__module__ == loaded.__name__]
        found += [cls for cls in own if issubclass(cls, Panel)]
    return sorted(found, key=lambda panel: (PLACES.index(panel.place), panel.order, panel.title))

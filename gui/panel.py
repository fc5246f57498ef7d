"""Panel: form, run and stop, picture, sentence, message line, export; one drawing method each.

A subclass sets the class attributes and writes `build`, `draw`, `sentence` and perhaps `look_at`;
it lives in `gui/panels/` and imports gui.plots and one technique at most. `draw` is used live, at
the end, after a stop and for a stored run; it only ever puts data into what `build` made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QPixmap
from PySide6.QtWidgets import QMenu, QSizePolicy, QStackedLayout, QVBoxLayout, QWidget

from engine import technique
from engine.refs import Ref
from engine.technique import Technique
from gui import comparison, exporting, provenance, showing, theme
from gui.buttons import label
from gui.focus import Desk, Focus
from gui.form import Form
from gui.header import Act, Header, Message
from gui.jobs import Job, Jobs
from gui.running import Runner
from gui.settings import settings

LEAST = QSize(240, 180)
PLACES = ("left", "centre-top", "centre-bottom", "centre-beside", "right", "bottom")


class Panel(QWidget):
    """One reading of the model, or (kind "") a part of the window that runs nothing."""

    kind: ClassVar[str] = ""
    title: ClassVar[str] = ""
    icon: ClassVar[str] = "activity"
    place: ClassVar[str] = "centre-top"
    order: ClassVar[int] = 100
    arrangement: ClassVar[str] = "Read a model"
    form_open: ClassVar[bool] = False
    words: ClassVar[dict[str, str]] = {}
    """Names and choices of fields as the form shows them: {"logit_diff": "logit difference"}."""
    question: ClassVar[tuple[str, str]] = ("", "")
    """The tile on the welcome page: a question and a line under it; "" = the technique's title."""
    empty: ClassVar[str] = ""
    """What will be seen here, while nothing has run."""
    opens: ClassVar[tuple[str, ...]] = ()
    """How names of files end that `open_file` reads, wherever in the window they are dropped."""

    shown = Signal(object)  # a result was drawn
    ended = Signal(object, object, object)  # this panel, result or None, error: for the session

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        super().__init__()
        self.desk, self.jobs = desk, jobs
        self.job: Job | None = None
        self.result: Any = None
        self.drawn: tuple[Technique | None, Any] = (None, None)  # spec and model of `result`
        self.run_shown: Any = None  # engine.session.Run of `result`, once it has ended
        self._words = showing.Words()
        self._twin = False  # one side of a comparison: it draws, and tells nobody
        self.comparison: comparison.Comparison | None = None
        self._records: Any = None
        self._dressed: tuple[Any, float] = (None, 0.0)  # theme and zoom of what was drawn
        self._runner = Runner(self)
        self.form = Form(technique.of(self.kind), self.words, jobs) if self.kind else None
        self.setObjectName(self.dock_name())
        self.setAccessibleName(self.title)
        self.header = Header(
            self.title, runs=bool(self.kind), has_form=bool(self.form and self.form.entries),
            live=self._runner.live,
        )  # fmt: skip
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

    def catch_up(self) -> None:
        """Take up what lies on the desk: a panel is made when it is first looked at."""

    @classmethod
    def dock_name(cls) -> str:
        """The same in every session: an arrangement remembers its docks by it."""
        return f"panel-{cls.__module__.rpartition('.')[2]}"

    @classmethod
    def asked(cls) -> tuple[str, str]:
        """Question and line of the panel's tile on the welcome page."""
        kind = technique.of(cls.kind)
        return cls.question[0] or kind.title, cls.question[1] or kind.summary

    def view(self) -> dict[str, Any]:
        """The panel's own switches as JSON values, kept with each run."""
        return {}

    def set_view(self, view: dict[str, Any]) -> None:
        """Set them again; from a file, so every value may be missing or wrong."""

    def difference(self, result_a: Any, result_b: Any) -> str:
        """What two results differ in, in the panel's own words; "" = as the numbers say it."""
        return ""

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        """Labels along an axis of the drawn result, and whether they are tokens."""
        return showing.labels(self, axis, n)

    # what a subclass may use

    def pieces(self, ids: Any) -> list[str]:
        """Display texts of token ids: a stored run's own, else by the model of the drawn result."""
        model = self.drawn[1]
        if model is None and self.run_shown is None:
            model = self.desk.model
        return self._words.of(ids, model)

    def say(self, text: str, tone: str = "warn", action: Act | None = None) -> None:
        """A line above the picture: "warn", "bad", "info" or "good". "" takes it away.

        action: a word on a button and what it does.
        """
        self.message.say(text, tone, action)

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether `open_file` reads this, wherever in the window it is dropped."""
        return path.suffix.lower() in cls.opens and not path.is_dir()

    def open_file(self, path: Path) -> None:
        """Read a file or a folder that `reads` said yes to."""

    # running

    def spec(self) -> Technique:
        """The spec as the form and the Desk have it; SpecError where a value is refused."""
        if self.form is None:
            raise TypeError(f"{self.title} runs nothing")
        return self.form.spec(self.desk.prompts, self.desk.pair_set)

    def run(self) -> Job | None:
        """Run the form's spec on the active model; None where that cannot start, with a message."""
        return self._runner.run()

    @property
    def running(self) -> bool:
        return self._runner.running

    def stop(self, then: Callable[[], object] | None = None) -> None:
        """Stop the run; what was computed stays. then: done when it has ended, or at once."""
        self._runner.stop(then)

    # what is kept with a run

    def words_shown(self) -> dict[int, str]:
        """Token id -> text: of this picture, and of what a turn of the Focus would show in it."""
        ids = showing.token_ids(self.result)
        if len(ids) <= showing.MOST_WORDS:
            self.pieces(ids)
        return dict(self._words.used)

    def state_of_view(self) -> dict[str, Any]:
        """What the user sees beside the result: the Focus, and the panel's own switches."""
        return {"focus": showing.focus_as_json(self.desk.focus), "panel": self.view()}

    def take_view(self, view: Mapping[str, Any]) -> None:
        """Take up a `state_of_view`, perhaps a damaged one."""
        own = view.get("panel")
        self.set_view(own if isinstance(own, dict) else {})
        focus = showing.focus_of(view["focus"]) if "focus" in view else None
        if focus is not None:
            self.desk.set_focus(focus)

    def inputs(self) -> dict[str, Ref]:
        """Large or learned inputs of the run in the picture that its spec does not name itself."""
        return dict(self._runner.inputs)

    def provenance(self) -> dict[str, Any]:
        """What made the picture, as JSON values; {} if nothing is drawn."""
        return showing.provenance(self)

    def watch_records(self, records: Any) -> None:
        """The window gives the session's runs; the header says whether this one is in the file."""
        if self.kind:
            self._records = records
            records.changed.connect(self._mark_saved)

    def show_saved(self, state: str, why: str = "") -> None:
        """A dot beside the title: "saving", "saved", "memory", or "" for none."""
        self.header.dot.show_state(state, why)

    # showing

    def show_run(self, run: Any) -> None:
        """Show a stored run as it was drawn: its fields in the form, result, switches and Focus."""
        showing.show_run(self, run)

    def become_twin(self) -> None:
        """One side of a comparison: a picture and its sentence that tell nobody."""
        self._twin = True
        for widget in (self.header, self.message, self.form):
            if widget is not None:
                widget.hide()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)

    def show_result(
        self, result: Any, spec: Technique | None = None, model: Any = None, run: Any = None
    ) -> None:
        """Draw a result, its sentence, and let the other panels read it. run: where it is from."""
        self.compare(None)
        self.result = result
        self.drawn, self.run_shown = (spec, model), run
        self._words.begin(run.words if run is not None else {})
        self._stack.setCurrentWidget(self.canvas)
        self._dressed = (theme.current(), theme.zoom())
        self.draw(result)
        self.look_at(self.desk.focus)
        text = self.sentence(result)
        self.line.setText(text)
        self.line.setVisible(bool(text))
        self.mark()
        if self.kind and not self._twin and model is not None and model is self.desk.model:
            self.desk.publish(self.kind, result)
        self.shown.emit(result)

    def clear(self) -> None:
        """Back to the words that say what will be here."""
        self.result, self.drawn, self.run_shown = None, (None, None), None
        self.line.hide()
        self.message.hide()
        if self.empty:
            self._stack.setCurrentWidget(self._nothing)
        self.mark()

    def compare(self, run: Any, like: comparison.Comparison | None = None) -> None:
        """The run in the picture against another one of its kind; None goes back to the picture.

        like: a comparison of the same runs elsewhere, to be shown as it is shown there.
        """
        if self.comparison is not None:
            self._stack.setCurrentWidget(self.canvas)
            self._stack.removeWidget(self.comparison)
            self.comparison.end()
            self.comparison = None
            self.line.setVisible(bool(self.line.text()))
            self.header.form_toggled.emit(self.header.form_button.isChecked())
        if run is None:
            return
        if refusal := comparison.refusal(self, run):
            self.say(refusal, "info")
            return
        self.message.hide()
        self.comparison = comparison.Comparison(self, run)
        self.comparison.back.connect(lambda: self.compare(None))
        self._stack.addWidget(self.comparison)
        self._stack.setCurrentWidget(self.comparison)
        self.line.hide()
        self.header.form_toggled.emit(False)  # the form's settings are of neither run
        self.comparison.begin(like)

    def present(self, on: bool) -> None:
        """A presentation begins or ends: the form makes room for the picture."""
        if self.form is not None:
            self.header.form_button.setChecked(self.form_open and not on)

    def show_provenance(self) -> None:
        """Where the picture comes from, on a card over the window; again takes it away."""
        provenance.toggle(self)

    # export

    def figure_widget(self) -> QWidget:
        """What is to be seen: the picture, or the comparison in its place."""
        return self.canvas if self.comparison is None else self.comparison.figure

    def script(self) -> str:
        """The run in the picture, or the one that the form describes, as a Python script."""
        return exporting.script(self)

    def copy_script(self) -> None:
        exporting.copy_script(self)

    def picture(self) -> QPixmap:
        """The whole panel with its header, as the window shows it."""
        dock = self.header.parentWidget()
        return dock.grab() if dock and dock.isAncestorOf(self) else self.grab()

    def menu(self) -> QMenu:
        """What the "…" button offers; a subclass may add to it."""
        menu = QMenu(self)
        if self.kind:
            menu.addAction("Where this comes from…", self.show_provenance)
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
        self._body = QWidget(self)
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
            box.addWidget(self.form)
            self.form.setVisible(self.form_open)
            self.header.form_button.setChecked(self.form_open)
        box.addWidget(self.message)
        box.addWidget(self._body, 1)
        box.addWidget(self.line)
        self._body.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def _unfold(self, on: bool) -> None:
        if self.form is not None:
            self.form.unfold(on)
            self.header.form_button.setChecked(on or self.form_open)

    def _connect(self) -> None:
        self._runner.connect_header()
        self.header.about_pressed.connect(self.show_provenance)
        self.desk.focus_changed.connect(self.look_at)
        if self.form is not None:
            self.header.form_toggled.connect(self.form.setVisible)
            self.form.changed.connect(self._runner.form_changed)
            self.desk.prompts_changed.connect(self.mark)
            self.desk.pair_set_changed.connect(self.mark)
            self.desk.model_changed.connect(self.mark)

    def mark(self, *_: Any) -> None:
        """Say quietly of what the picture is, where that is no longer what a Run would show."""
        self.header.set_note(showing.stale(self))
        known = self.run_shown is not None or self.drawn[0] is not None
        self.header.about_button.setVisible(bool(self.kind) and known)
        self._mark_saved()

    def entry(self) -> Any:
        """The session's line of the run in the picture; None where it has none."""
        return showing.entry_of(self._records, self.run_shown)

    def _mark_saved(self) -> None:
        entry = self.entry()
        self.show_saved(*((entry.state, entry.note) if entry is not None else ("", "")))

    def minimumSizeHint(self) -> QSize:
        """The same whatever is drawn, so that a result never pushes the neighbours aside."""
        least = QSize(LEAST.width(), round(LEAST.height() * theme.zoom()))
        return self.header.minimumSizeHint().expandedTo(least)

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

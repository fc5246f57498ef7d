"""Showing: stored runs as they were drawn, with the model they read where that is there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from engine.refs import placed
from gui import showing
from gui.panel import Panel
from gui.records import Entry

if TYPE_CHECKING:
    from gui.window import Window

FOUND = "Taken from another panel's run as it stands. Run trains one with these settings afresh."


class Showing(QObject):
    """Belongs to the window. Runs wait in a row: for their file, and for their model."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.window_, self.records = window, window.records
        self._waiting: list[Callable[[], object]] = []
        self._opening: Path | None = None
        self.records.loaded.connect(self.show_run)
        self.records.opened.connect(self._session_opened)
        window.opener.refused.connect(lambda _: self.go_on())

    def show(self, entry: Entry) -> None:
        """Bring a run back from the list."""
        self.window_.session.note_view()
        self._waiting = [lambda: self.records.show(entry)]
        self._with_model(self.records.now(entry).run)

    def compare(self, one: Entry, other: Entry) -> None:
        """The first run in its panel, with the second beside it."""
        self.window_.session.note_view()

        def both(a: Any) -> None:
            self.show_run(a)
            panel = self._panel_of(a)
            if panel is not None:
                self.records.load(other, lambda b: panel.compare(self._placed(b)))

        self._waiting = [lambda: self.records.load(one, both)]
        self._with_model(self.records.now(one).run)

    def _session_opened(self) -> None:
        """Open the newest run's model, if it is still there, and show the newest of each kind."""
        window = self.window_
        if not self.records.entries:
            return
        window.pages.setCurrentWidget(window.host)
        newest = {entry.run.kind: entry for entry in self.records.entries if entry.run is not None}
        wanted = sorted(newest.values(), key=lambda entry: entry.key)
        self._waiting = [lambda entry=entry: self._one_of(entry) for entry in wanted]
        self._with_model(wanted[-1].run if wanted else None)

    def _one_of(self, entry: Entry) -> None:
        """Shown after the one before it, so that the newest has the last word about the Focus."""
        rest, self._waiting = self._waiting, []

        def shown(run: Any) -> None:
            self.show_run(run)
            self._waiting = rest
            self.go_on()

        self.records.load(entry, shown)

    def _with_model(self, run: Any) -> None:
        """Make the model of a run the active one, if that is possible, then go on."""
        desk, ref = self.window_.desk, run.model if run is not None else None
        running = any(panel.running for panel in self.window_.panels)
        if ref is None or not ref.folder or running or self._fits(run):
            self.go_on()
            return
        folder = Path(ref.folder)
        here = [entry for entry in desk.models if entry.folder.resolve() == folder]
        if here and here[0].folder == (desk.active.folder if desk.active else None):
            self.go_on() if here[0].model is not None else None  # it is loading: go_on will come
        elif here:
            desk.activate(here[0].folder)
            if here[0].model is not None:
                return  # the window goes on once the prompts have settled
        elif os.path.isdir(folder):  # a name too long for the system is no folder either
            self.window_.opener.open(folder)
        else:
            self.go_on()

    def _fits(self, run: Any) -> bool:
        model = self.window_.desk.model
        return model is not None and showing.model_of(run, model) is not None

    def go_on(self) -> None:
        """Show what waited."""
        if self._waiting:
            self._waiting.pop(0)()

    def show_run(self, run: Any) -> None:
        """A stored run in the panel of its kind, its prompts on the desk."""
        panel = self._panel_of(run)
        if panel is None:
            return
        run = self._placed(run)
        if panel.form is not None and panel.form.from_desk:
            prompts = panel.form.prompts_of(run.spec, run.inputs)
            desk = self.window_.desk
            desk.set_prompts(replace(desk.prompts, **prompts))
            if panel.form.of_set:
                desk.set_pair_set(panel.form.pairs_of(run.spec))
        kind, model = type(run.spec), self.window_.desk.model
        if kind.needs and kind.takes_interventions and showing.model_of(run, model) is not None:
            self.window_.middle.ledger.take(run.interventions)
        self.window_.pages.setCurrentWidget(self.window_.host)
        panel.show_run(run)
        self.window_.reveal(panel)

    def show_result(self, kind: str, spec: Any, result: Any) -> None:
        """What another panel found, in the panel of its kind. It is no run of that panel's own.

        So it has no origin there, cannot be forked, and Run makes something else.
        """
        panel = self.window_.panel(kind)
        if panel.form is None:
            return
        self.window_.session.note_view()
        self.window_.reveal(panel)
        if panel.running:
            panel.say("A run is filling this picture.", "info", ("Stop it", panel.stop))
            return
        panel.form.show_spec(spec)
        panel.show_result(result)
        panel.say(FOUND, "info")

    def _panel_of(self, run: Any) -> Panel | None:
        known = any(kind.kind == run.kind for kind in self.window_.kinds)
        return self.window_.panel(run.kind) if known else None

    def _placed(self, run: Any) -> Any:
        """With its data where it was found."""
        places = self.records.places
        if not places:
            return run
        entries = placed(run.interventions, places)
        return replace(run, spec=placed(run.spec, places), interventions=entries)

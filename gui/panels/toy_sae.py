"""Toy SAE: known concepts in three dimensions, and which latent finds which, live."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from PySide6.QtWidgets import QWidget

from engine.sae import toy_reading as reading
from engine.sae.toy_presets import PRESETS
from engine.sae.toy_reading import Moment
from engine.techniques.toy_sae import ToySAEResult
from gui import showing, theme
from gui.beside import Beside
from gui.focus import Desk
from gui.jobs import Job, Jobs
from gui.panel import Panel
from gui.sae_toy import story
from gui.sae_toy.board import SPHERE, TAB_NAMES, Board, Scene
from gui.sae_toy.side import WORDS, Side

FOLDS = 860  # px: a narrower panel shows the settings only when asked
BEATS = 3  # updates: of these one draws the cosines, one the detectors, one the curves
TURN = 0.008  # radians per update: the sphere turns slowly while it trains


class ToySAEPanel(Panel):
    """Settings and presets, the sphere, cosines, detectors and curves."""

    kind = "ToySAE"
    title = "Toy SAE"
    icon = "circle-dot"
    place = "centre-top"
    order = 90
    form_open = True
    arrangement: ClassVar[str] = "Toy models"
    words = WORDS
    sample: ClassVar[dict[str, Any]] = {"n_steps": 800, "n_samples": 2000, "record": 30}
    """Fields of a short training for a small picture."""
    question = ("Watch concepts find their latents", "Does a dictionary find what is really there?")
    empty = (
        "Here an SAE looks for five known concepts in three dimensions, and every latent is "
        "matched with its concept while it learns. Press Run, or click a preset."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        self._step: int | None = None  # looked at; None = the newest
        self._instance = 0
        self._concept: int | None = None
        self._latent: int | None = None
        self._tab = SPHERE
        self._beat = 0
        super().__init__(desk, jobs)
        self.side: Side | None = None
        if not theme.paper():
            self._stand_side_by_side()

    def build(self) -> QWidget:
        self.board = board = Board()
        board.shown.connect(self._turn_to)
        board.globe.clicked.connect(lambda latent, _col: self.choose_latent(latent))
        board.matrix.clicked.connect(self._choose_cell)
        board.detectors.clicked.connect(self._choose_detector)
        board.seeds.clicked.connect(lambda _row, at: self.show_instance(at))
        for plot in (board.scores, board.counts):
            plot.clicked.connect(lambda _row, record: self._scrub(record))
        return board

    def _stand_side_by_side(self) -> None:
        """The settings and the presets at the left, the sentence over the sphere."""
        assert self.form is not None
        self.side = Side(self.form)
        self._beside = Beside(self, self._body, self.side, self.board, FOLDS)
        self.side.presets.clicked.connect(lambda row, _col: self.run_preset(row))
        self.form.changed.connect(self._form_changed)
        self._form_changed()

    # drawing

    def draw(self, result: ToySAEResult) -> None:
        board = self.board
        self._instance = min(self._instance, len(result.W_dec) - 1)
        then = self._then(result)
        seen = reading.moment(result, self._instance, then)
        self.line.setText(reading.describe(result, seen, then))  # before room is measured
        board.more = reading.describe_more(result, seen, self._instance, then)
        concept = seen.concept  # [latent]
        board.globe.set_data(
            seen.true, result.names, seen.W_dec, concept, seen.role, seen.cosine,
            story.trail(result, self._instance, then),
        )  # fmt: skip
        if self.running and self._step is None:
            board.globe.turn(TURN)
        due = self._due(result)
        if due in (None, 0):
            self._draw_matrix(result, seen)
        if due in (None, 1):
            board.detectors.set_data(**story.detectors(result, seen, self._instance, then))
        if due in (None, 2):
            self._draw_curves(result, seen, then)
        self._mark()
        board.set_scene(Scene(self._tab, len(result.W_dec) > 1, len(seen.W_dec)))
        self._measure(result)

    def _due(self, result: ToySAEResult) -> int | None:
        """Which of the plots beside the sphere take this update: all (None), or in turn."""
        board = self.board
        same = board.matrix.values.shape == np.shape(result.cosine)[1:]
        self._beat = (self._beat + 1) % BEATS
        drawn = not board.scores.is_empty() and not board.detectors.is_empty()
        return self._beat if self.running and same and drawn and self._step is None else None

    def _draw_matrix(self, result: ToySAEResult, seen: Moment) -> None:
        values, rows, names, gold = story.matrix(result, seen)
        self._order = seen.latent_order
        self.board.matrix.set_data(
            values, rows, names, scale="diverging", limits=(-1.0, 1.0), borders=gold,
            tokens="none",
        )  # fmt: skip

    def _draw_curves(self, result: ToySAEResult, seen: Moment, then: int | None) -> None:
        board, at = self.board, self._instance
        spec: Any = self.drawn[0]
        steps = result.history_step
        end = max(float(steps[-1]), float(spec.n_steps if self.running else 0))
        board.scores.set_data(
            steps, story.score_lines(result, at), end=end, limits=story.score_limits(result),
            levels=story.score_levels(result),
        )  # fmt: skip
        board.counts.set_data(steps, story.count_lines(result, at), end=end,
                              levels=story.count_levels(result, at))  # fmt: skip
        for plot in (board.scores, board.counts):
            plot.show_step(None if then is None else float(seen.step))
        board.notes["scores"].setText("click: that step" if then is None and not at else "")
        if len(result.W_dec) > 1:
            values, rows, names, limits = story.seeds(result)
            board.seeds.set_data(
                values, rows, names, scale="magnitude", limits=limits, tokens="none"
            )

    def _then(self, result: ToySAEResult) -> int | None:
        """The record one looks at, None = the newest state."""
        return reading.record_of(result, self._step) if self._instance == 0 else None

    def _mark(self) -> None:
        """Light up the chosen latent and concept everywhere."""
        board, concept, latent = self.board, self._concept, self._latent
        board.globe.light(concept)
        board.globe.set_chosen(latent)
        board.detectors.light(concept)
        row = None
        if latent is not None and not board.matrix.is_empty():
            found = np.flatnonzero(self._order == latent)
            row = int(found[0]) if len(found) else None
        board.matrix.set_focus(row, concept)
        board.seeds.set_focus(None, self._instance)

    def sentence(self, result: ToySAEResult) -> str:
        then = self._then(result)
        return reading.describe(result, reading.moment(result, self._instance, then), then)

    # looking

    def choose_latent(self, latent: int) -> None:
        """A latent and the concept it points to; the same one again lets go."""
        if self.result is None:
            return
        if latent == self._latent:
            self._latent = self._concept = None
        else:
            seen = reading.moment(self.result, self._instance, self._then(self.result))
            concept = int(seen.concept[latent])
            self._latent, self._concept = latent, concept if concept >= 0 else None
        self._draw_again()

    def choose_concept(self, concept: int) -> None:
        """A concept and the latent that is matched with it; the same one again lets go."""
        if self.result is None:
            return
        if concept == self._concept:
            self._latent = self._concept = None
        else:
            seen = reading.moment(self.result, self._instance, self._then(self.result))
            latent = int(seen.matched[concept])
            self._concept, self._latent = concept, latent if latent >= 0 else None
        self._draw_again()

    def _choose_cell(self, row: int, col: int) -> None:
        self._latent, self._concept = int(self._order[row]), col
        self._draw_again()

    def _choose_detector(self, row: int, col: int) -> None:
        concept = self.board.detectors.concept_at(row, col)
        if concept is not None:
            self.choose_concept(concept)

    def show_instance(self, instance: int) -> None:
        """Another of the SAEs; only the first has a past."""
        self._instance, self._step = instance, None
        self._draw_again()

    def _scrub(self, record: int) -> None:
        """Look at a record of instance 0; the last one is what is newest."""
        if self.result is None:
            return
        self._instance = 0
        steps = self.result.history_step
        self._step = None if record >= len(steps) - 1 else int(steps[record])
        self._draw_again()

    def _turn_to(self, tab: str) -> None:
        self._tab = tab
        self._draw_again()

    def _draw_again(self) -> None:
        if self.result is not None:
            self.board.detectors.set_empty(" ")  # all plots are due
            self.draw(self.result)
            self.line.setText(self.sentence(self.result))

    # running

    def run(self) -> Job | None:
        self._step = None
        return super().run()

    def run_preset(self, row: int) -> None:
        """Take a preset's settings and run it."""
        if self.form is None or self.side is None:
            return
        if self.running:
            self.stop(lambda: self.run_preset(row))
            return
        self.form.show_spec(self.side.specs[row])
        self._instance = 0
        self.run()

    def demonstrate(self) -> None:
        """Run what shows most: the preset that finds all five."""
        self.run_preset(next(at for at, each in enumerate(PRESETS) if not each.fields))

    def _form_changed(self) -> None:
        if self.side is not None:
            self.side.show_form(self.form)

    def _measure(self, result: ToySAEResult) -> None:
        """A preset that has run through, unchanged, has its number beside the expected one."""
        if self.side is None or self._twin or self.running:
            return
        if not showing.changes(self):
            self.side.measure(self.drawn[0], result)

    # what is kept

    @property
    def thumbnail(self) -> QWidget:
        """What a small picture shows: the sphere alone."""
        globe = self.board.globe
        globe.setFixedSize(240, 224)
        globe.changed()
        return globe

    def view(self) -> dict[str, Any]:
        globe = self.board.globe
        return {
            "step": self._step, "instance": self._instance, "concept": self._concept,
            "latent": self._latent, "tab": self._tab,
            "turned": [round(globe.yaw, 4), round(globe.pitch, 4)],
        }  # fmt: skip

    def set_view(self, view: dict[str, Any]) -> None:
        self._step, self._instance = _count(view.get("step")), _count(view.get("instance")) or 0
        self._concept, self._latent = _count(view.get("concept")), _count(view.get("latent"))
        tab, turned = view.get("tab"), view.get("turned")
        self._tab = tab if tab in TAB_NAMES else SPHERE
        if isinstance(turned, list) and len(turned) == 2 and all(map(_finite, turned)):
            self.board.globe.look_from(*turned)
        self._draw_again()

    def become_twin(self) -> None:
        super().become_twin()
        if self.side is not None:
            self._beside.leave()


def _count(value: Any) -> int | None:
    """A value from a file as a count; None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))

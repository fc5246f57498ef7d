"""Train an SAE: curves while it learns, the densities of its latents, all runs in one plot."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from PySide6.QtWidgets import QMenu, QWidget

from engine.techniques.train_sae import TrainSAEResult
from gui import showing, theme
from gui.beside import Beside
from gui.focus import Desk
from gui.jobs import Job, Jobs
from gui.panel import Panel
from gui.plots import Level
from gui.sae_train import others, story
from gui.sae_train.board import TAB_NAMES, TRAINING, Board, Scene
from gui.sae_train.deeds import Deeds
from gui.sae_train.fields import WORDS
from gui.sae_train.side import Side

FOLDS = 900  # px: a narrower panel shows the form only when asked
BEATS = 3  # updates: of these one draws the curves, one the latents, one what is recovered
SMOOTH = 0.2  # weight of the newest rate


class TrainSAEPanel(Panel):
    """Recipes and settings, curves, densities, what is recovered against L0."""

    kind = "TrainSAE"
    title = "Train an SAE"
    icon = "activity"
    place = "centre-top"
    order = 200
    form_open = True
    arrangement: ClassVar[str] = "Features"
    words = WORDS
    question = ("Take a layer apart into features", "Which directions does a layer write in, when "
                "only a few may be active at once?")  # fmt: skip
    empty = (
        "Here an SAE learns a layer: what it explains, with how few latents, and "
        "what the model loses by it. Press Run, or click a recipe."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        self.variant = 0  # the SAE that is looked at
        self._tab = TRAINING
        self._beat = 0
        self._rate, self._before = 0.0, (0, 0.0)
        self._dots: list[others.Found | None] = []
        super().__init__(desk, jobs)
        self.others = others.Others(self.kind, jobs, self._draw_pareto_again, self)
        self.deeds = Deeds(self)
        self.side: Side | None = None
        if not theme.paper():
            self._stand_side_by_side()

    def build(self) -> QWidget:
        self.board = board = Board()
        board.turned.connect(self._turn)
        board.chosen.connect(self.choose)
        board.pareto.clicked.connect(lambda _row, dot: self._dot_clicked(dot))
        board.browse.clicked.connect(lambda: self.deeds.browse())
        board.save.clicked.connect(lambda: self.deeds.ask_folder())
        board.checkpoints.aboutToShow.connect(lambda: self.deeds.fill(board.checkpoints))
        return board

    def menu(self) -> QMenu:
        menu = super().menu()
        menu.addSeparator()
        menu.addAction("Browse its features", lambda: self.deeds.browse())
        menu.addAction("Save as SAELens folder…", lambda: self.deeds.ask_folder())
        menu.addAction("Go on from the newest checkpoint", lambda: self.deeds.go_on())
        return menu

    def _stand_side_by_side(self) -> None:
        """The recipes and the form at the left, the sentence over the curves."""
        assert self.form is not None
        self.side = Side(self.form)
        self._beside = Beside(self, self._body, self.side, self.board, FOLDS)
        self.side.presets.clicked.connect(lambda row, _col: self.run_preset(row))
        self.form.changed.connect(self._form_changed)
        self.desk.model_changed.connect(self._model_changed)
        self._model_changed(self.desk.model)

    # drawing

    def draw(self, result: TrainSAEResult) -> None:
        board = self.board
        self.variant = min(self.variant, result.n_variants - 1)
        due = self._due(result)
        if due in (None, 0):
            said, more = story.words(result, self.variant)
            self.line.setText(said)  # before the room for the picture is measured
            board.detail.setText(more)
            self._draw_curves(result)
        if due in (None, 1):
            self._draw_latents(result)
        if due in (None, 2):
            self._draw_pareto(result)
            board.losses.set_bars(story.losses(result, self.variant))
            board.name_variants(tuple(result.variant_names), self.variant)
        self._say_rate(result)
        self._enable(result)
        board.set_scene(Scene(self._tab, bool(board.losses.bars), result.n_variants))

    def _due(self, result: TrainSAEResult) -> int | None:
        """Which third of the plots takes this update: all (None), or while it trains in turn."""
        self._beat = (self._beat + 1) % BEATS
        board = self.board
        same = board.variants.count() == result.n_variants
        shown = not board.curves["loss"].is_empty() and not board.density.is_empty()
        return self._beat if self.running and same and shown else None

    def _draw_curves(self, result: TrainSAEResult) -> None:
        steps = np.asarray(result.history_step)[story.records(result)]
        spec: Any = self.drawn[0]
        wanted = float(getattr(spec, "n_steps", 0)) if self.running else 0.0
        end = max(float(steps[-1]) if len(steps) else 1.0, wanted)
        for name, what in (
            ("shares", story.shares), ("loss", story.loss), ("l0", story.l0), ("dead", story.dead),
        ):  # fmt: skip
            curve = what(result, self.variant)
            self.board.curves[name].set_data(
                steps, curve.lines, levels=curve.levels, end=end, limits=curve.limits,
                log=curve.log,
            )  # fmt: skip

    def _draw_latents(self, result: TrainSAEResult) -> None:
        board, at = self.board, self.variant
        n = int(result.n_density)
        once = [Level(f"once in {n:,}", -float(np.log10(n)))] if n else []
        board.density.set_data(
            result.density_edges, result.density_counts[at], silent=int(result.silent[at]) if n
            else None, title="share of activations", marks=once,
        )  # fmt: skip
        board.cosine.set_data(
            result.cosine_edges, result.cosine_counts[at], log=False,
            title="cosine with the nearest other",
            marks=[Level("near copies", story.COPY)],
        )  # fmt: skip
        board.notes["density"].setText(story.density_words(result, at))

    def _draw_pareto(self, result: TrainSAEResult) -> None:
        own = others.own_points(result, self.variant)
        started = self.run_shown.started if self.run_shown is not None else ""
        here, dots = others.points(self.others.found(), result, started)
        self._dots = [None] * len(own) + list(here)
        self.board.pareto.set_data([*own, *dots])
        count = len({each.run for each in here})
        other = f"{count} other run{'' if count == 1 else 's'} at this site" if count else ""
        self.board.notes["pareto"].setText(other)

    def _draw_pareto_again(self) -> None:
        if self.result is not None:
            self._draw_pareto(self.result)

    def _enable(self, result: TrainSAEResult) -> None:
        board = self.board
        able = result.n_variants > 0 and not self._twin and bool(result.W_dec.size)
        board.save.setEnabled(able)
        board.browse.setEnabled(able)
        board.go_on.setEnabled(able and not self.running and bool(self.deeds.refs()))

    def _say_rate(self, result: TrainSAEResult) -> None:
        tick = self.job.tick if self.job is not None and self.running else None
        if tick is None:
            self._rate, self._before = 0.0, (0, 0.0)
        else:
            step, seconds = self._before
            if tick.step < step or seconds == 0.0:
                self._before = (tick.step, tick.seconds)
            elif tick.seconds - seconds > 0.25:
                now = (tick.step - step) / (tick.seconds - seconds)
                self._rate = now if not self._rate else self._rate + SMOOTH * (now - self._rate)
                self._before = (tick.step, tick.seconds)
        rate = f"{self._rate:,.0f} steps/s" if self._rate else f"step {int(result.step):,}"
        if rate != self.board.rate.text():
            self.board.rate.setText(rate)

    def sentence(self, result: TrainSAEResult) -> str:
        return self.line.text() if self.running else story.words(result, self.variant)[0]

    def difference(self, result_a: TrainSAEResult, result_b: TrainSAEResult) -> str:
        return story.compared(result_a, result_b)

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        result = self.result
        known = {"variant": "variant_names", "metric": "metric_names"}
        steps = {"record": "history_step", "check": "check_step", "checkpoint": "checkpoint_step"}
        if result is not None and axis in known and len(getattr(result, known[axis])) == n:
            return list(getattr(result, known[axis])), False
        if result is not None and axis in steps and len(getattr(result, steps[axis])) == n:
            return [f"{step:,}" for step in getattr(result, steps[axis]).tolist()], False
        return super().labels(axis, n)

    # looking

    def choose(self, variant: int) -> None:
        """Look at one of the SAEs of the run."""
        if self.result is not None and 0 <= variant < self.result.n_variants:
            self.variant = variant
            self._draw_again()

    def _dot_clicked(self, dot: int) -> None:
        """Another SAE of this run, or the run that the dot is of."""
        found = self._dots[dot] if dot < len(self._dots) else None
        if found is None:
            self.choose(dot)
        elif (entry := self.others.entry(found)) is not None and not self._twin:
            self.desk.ask("show run", entry)

    def _turn(self, tab: str) -> None:
        self._tab = tab
        self._draw_again()

    def _draw_again(self) -> None:
        if self.result is not None:
            self.board.density.set_empty(" ")  # every third is due
            self.draw(self.result)
            self.line.setText(self.sentence(self.result))

    # running

    def run_preset(self, row: int) -> None:
        """A recipe into the form, and run."""
        if self.side is None:
            return
        if self.running:
            self.stop(lambda: self.run_preset(row))
            return
        self.side.take(row)
        self.run()

    def changes(self) -> tuple[tuple[int, dict[str, Any]], ...]:
        """The live changes of the run in the picture, by the step at which they took effect."""
        return showing.changes(self)

    def fork(self, job: Job) -> None:
        """Begin a run that goes on from a checkpoint, with its settings in the form."""
        self._runner.fork(job)

    def _form_changed(self) -> None:
        if self.side is not None and self.form is not None:
            self.side.show_form(self.form.standing(), self.desk.model, self.running)

    def _model_changed(self, model: Any) -> None:
        if self.side is not None:
            self.side.fields.offer_hooks(list(model.hooks()) if hasattr(model, "hooks") else [])
        self._form_changed()

    # what is kept

    def watch_records(self, records: Any) -> None:
        super().watch_records(records)
        self.others.watch(records)

    @property
    def thumbnail(self) -> QWidget:
        """What a small picture shows: what is explained and recovered."""
        shares = self.board.curves["shares"]
        shares.setFixedSize(240, 224)
        shares.changed()
        return shares

    def view(self) -> dict[str, Any]:
        """With the dots of the other runs: a figure of it has no session to ask."""
        here = [each for each in self._dots if each is not None]
        return {"variant": self.variant, "tab": self._tab, "others": others.as_json(here)}

    def set_view(self, view: dict[str, Any]) -> None:
        variant, tab = view.get("variant"), view.get("tab")
        count = isinstance(variant, int) and not isinstance(variant, bool) and variant >= 0
        self.variant = variant if count and isinstance(variant, int) else 0
        self._tab = tab if tab in TAB_NAMES else TRAINING
        self.others.give(others.from_json(view.get("others")))
        self._draw_again()

    def become_twin(self) -> None:
        super().become_twin()
        if self.side is not None:
            self._beside.leave()

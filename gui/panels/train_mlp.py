"""Probed network: it learns a figure in the plane while probes say at which layer it is there."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PySide6.QtWidgets import QMenu, QWidget

from engine.techniques.train_mlp import TrainMLPResult
from gui import dialogs, theme
from gui.beside import Beside
from gui.focus import Desk, Focus
from gui.jobs import Jobs
from gui.mlp import story
from gui.mlp.board import LAYERS, TAB_NAMES, Board, Scene
from gui.mlp.fields import WORDS
from gui.mlp.side import Side
from gui.panel import Panel
from gui.plots.grid import NOWHERE

FOLDS = 980  # px: a narrower panel shows the form only when asked
BEATS = 3  # updates: of these one draws the curves, one the square, one the units


class TrainMLPPanel(Panel):
    """Figures and settings, probes by layer and over the steps, the square and the units."""

    kind = "TrainMLP"
    title = "Probed network"
    icon = "network"
    place = "centre-top"
    order = 110
    form_open = True
    arrangement: ClassVar[str] = "Probe"
    words = WORDS
    sample: ClassVar[dict[str, Any]] = {
        "task": "rings", "n_steps": 900, "n_train": 800, "n_test": 400, "record": 12,
    }  # fmt: skip
    """Fields of a short training for a small picture."""
    question = ("Watch a network untangle rings", "At which layer is the answer there to be read?")
    empty = (
        "Here a small network learns a figure in the plane, and after each layer a probe says how "
        "much of it can be read by then. Choose a figure and press Run."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        self._site: int | None = None  # whose probe is looked at; None = the last
        self._unit = NOWHERE  # (layer, unit) shown large
        self._tab = LAYERS
        self._beat = 0
        self._focus: Focus | None = None
        super().__init__(desk, jobs)
        self.side: Side | None = None
        if not theme.paper():
            self._stand_side_by_side()

    def build(self) -> QWidget:
        self.board = board = Board()
        board.turned.connect(self._turn)
        board.left_unit.connect(lambda: self.show_unit(*NOWHERE))
        for plot in (board.curves, board.bars):
            plot.clicked.connect(lambda _row, site: self.choose(site))
        board.units.clicked.connect(self.show_unit)
        return board

    def menu(self) -> QMenu:
        menu = super().menu()
        menu.addSeparator()
        menu.addAction("Save this network as a folder…", self._ask_folder)
        return menu

    def _stand_side_by_side(self) -> None:
        """The figures and the form at the left, the sentence over the curves."""
        assert self.form is not None
        self.side = Side(self.form)
        self._beside = Beside(self, self._body, self.side, self.board, FOLDS)
        self.form.changed.connect(self._form_changed)
        self._form_changed()

    # drawing

    def draw(self, result: TrainMLPResult) -> None:
        board, site = self.board, self._chosen(result)
        counts = story.counts(result)
        if self._unit != NOWHERE and not self._has(counts, *self._unit):
            self._unit = NOWHERE
        due = self._due(result)
        if due in (None, 0):
            said, more = story.words(result)
            self.line.setText(said)  # before the room for the picture is measured
            board.detail.setText(more)
            self._draw_curves(result, site)
        if due in (None, 1):
            self._draw_square(result, site)
        if due in (None, 2):
            board.units.set_data(result.unit_map, counts, story.signed(result))
            board.units.set_current(*self._unit)
            self._draw_steps(result, site)
        known = bool(np.isfinite(story.selectivity(result).mean).any())
        board.set_scene(Scene(self._tab, known, self._unit != NOWHERE))
        self._say_rate(result)

    def _due(self, result: TrainMLPResult) -> int | None:
        """Which third of the plots takes this update: all (None), or while it trains in turn."""
        self._beat = (self._beat + 1) % BEATS
        board = self.board
        same = board.units.maps.shape == np.shape(result.unit_map) and not board.map.is_empty()
        return self._beat if self.running and same and not board.steps.is_empty() else None

    def _draw_curves(self, result: TrainMLPResult, site: int) -> None:
        board, names = self.board, list(result.site_labels)
        board.curves.set_data(names, story.curves(result), levels=story.levels(result))
        board.bars.set_data(names, *story.selectivity(result))
        for plot in (board.curves, board.bars):
            plot.set_focus(site)
        board.notes["curves"].setText(story.band_words(result))

    def _draw_square(self, result: TrainMLPResult, site: int) -> None:
        board = self.board
        caption, note = board.captions["map"], board.notes["map"]
        if self._unit != NOWHERE:
            layer, unit = self._unit
            words = partial(story.unit_words, result, layer, unit)
            board.map.set_unit(
                result.unit_map[layer, unit], result.points, result.labels, words,
                story.signed(result),
            )  # fmt: skip
            caption.setText(f"Layer {layer + 1}, unit {unit}")
            note.setText("")
            return
        words = partial(story.point_words, result, site)
        board.map.set_data(
            result.boundary, result.points, result.labels, story.wrong(result, site),
            story.wrong_words(result, site), words,
        )  # fmt: skip
        caption.setText("What the network decides")
        note.setText(story.network_words(result))

    def _draw_steps(self, result: TrainMLPResult, site: int) -> None:
        if not len(result.history_step):
            return
        spec: Any = self.drawn[0]
        end = max(float(result.history_step[-1]), float(spec.n_steps if self.running else 0))
        low = story.floor(result)
        self.board.steps.set_data(
            result.history_step, story.accuracy_lines(result, site), end=end, limits=(low, 100.0)
        )
        self.board.loss.set_data(result.history_step, story.loss_lines(result), end=end)

    def _say_rate(self, result: TrainMLPResult) -> None:
        text = f"step {result.step:,}"
        if text != self.board.rate.text():
            self.board.rate.setText(text)

    def sentence(self, result: TrainMLPResult) -> str:
        return self.line.text() if self.running else story.words(result)[0]

    # looking

    def _chosen(self, result: TrainMLPResult) -> int:
        """The site whose probe is looked at: that of the Focus, else the last."""
        last = len(result.site_labels) - 1
        return last if self._site is None or self._site > last else self._site

    @staticmethod
    def _has(counts: tuple[int, ...], layer: int, unit: int) -> bool:
        return 0 <= layer < len(counts) and 0 <= unit < counts[layer]

    def choose(self, site: int) -> None:
        """Look at the probe on a site; a layer is one for every panel."""
        self._site = site
        if site == self._site_of(self.desk.focus):
            self._draw_again()
        else:
            self.desk.turn(layer=site - 1 if site else None)
        self._draw_again()

    @staticmethod
    def _site_of(focus: Focus) -> int | None:
        return None if focus.layer is None else focus.layer + 1

    def look_at(self, focus: Focus) -> None:
        if focus == self._focus and self.result is not None:
            return  # it is drawn already
        self._focus = focus
        site = self._site_of(focus)
        if site is not None:
            self._site = site
        if self.result is not None:
            self._draw_again()

    def show_unit(self, layer: int, unit: int) -> None:
        """One hidden unit in the large square; the same one again, or (-1, -1), takes it away."""
        self._unit = NOWHERE if (layer, unit) == self._unit else (layer, unit)
        self._draw_again()

    def _turn(self, tab: str) -> None:
        self._tab = tab
        self._draw_again()

    def _draw_again(self) -> None:
        if self.result is not None:
            self.board.map.set_empty(" ")  # every third is due
            self.draw(self.result)
            self.line.setText(self.sentence(self.result))

    # the network as a model

    def _ask_folder(self) -> None:
        if self.result is not None:
            dialogs.choose_folder(self.window(), "Save the network into a folder", self.save)

    def save(self, folder: Path) -> None:
        """Write network 0 as a model of its own, off this thread."""
        result = self.result
        place = folder / f"{result.task}-step-{result.step}"

        def work(watch: Any, report: Any) -> Path:
            from engine.mlp.saving import save

            save(result.model(0), place)
            return place

        job = self.jobs.do(work, "Saving the network", beside=True)
        job.finished.connect(lambda _: self.say(f"The network is in {place}.", "good"))
        job.failed.connect(lambda error, _: self.say(str(error), "warn"))

    def _form_changed(self) -> None:
        if self.side is None or self.form is None:
            return
        spec: Any = self.form.standing()
        if self.running:
            self.side.say("Sliders act at once; anything else starts with the next run.")
        elif spec is not None:
            widths = ", ".join(["2", *[str(spec.width)] * spec.depth, "1"])
            self.side.say(f"{self._rule(spec.task)}. MLP {widths}.")

    @staticmethod
    def _rule(task: str) -> str:
        from engine.mlp.tasks import FIGURES

        said = FIGURES[task][1]
        return f"{task.capitalize()}: {said}"

    # what is kept

    @property
    def thumbnail(self) -> QWidget:
        """What a small picture shows: the square alone."""
        square = self.board.map
        square.setFixedSize(240, 224)
        square.changed()
        return square

    def view(self) -> dict[str, Any]:
        unit = list(self._unit) if self._unit != NOWHERE else None
        return {"site": self._site, "tab": self._tab, "unit": unit}

    def set_view(self, view: dict[str, Any]) -> None:
        site, unit = view.get("site"), view.get("unit")
        self._site = site if _count(site) else None
        pair = isinstance(unit, list) and len(unit) == 2 and all(map(_count, unit))
        self._unit = (unit[0], unit[1]) if pair and isinstance(unit, list) else NOWHERE
        tab = view.get("tab")
        self._tab = tab if tab in TAB_NAMES else LAYERS
        self._draw_again()

    def become_twin(self) -> None:
        super().become_twin()
        if self.side is not None:
            self._beside.leave()


def _count(value: Any) -> bool:
    """Whether a value from a file is a count."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

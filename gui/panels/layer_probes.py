"""Probe lab: accuracy by layer beside its controls, the chosen site, and the probes' directions."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from PySide6.QtWidgets import QWidget

from engine.errors import FileError, RunError
from engine.techniques.layer_probes import LayerProbesResult
from gui import theme
from gui.beside import Beside
from gui.focus import Desk, Edit, Focus, PromptPair
from gui.header import Act
from gui.jobs import Job, Jobs
from gui.panel import Panel
from gui.probes import kept, pointing, story
from gui.probes.board import ABOVE, DIRECTIONS, LAYERS, PLAIN, TAB_NAMES, Board, Scene
from gui.probes.directions_page import Pointed
from gui.probes.side import PROBING, Side
from gui.probes.site_view import Shown
from gui.probes.words import WORDS, capital, class_text, kind_of, per_cent, site_name

FOLDS = 900  # px: a narrower panel shows the form only when asked
NOT_OPEN = "Open this run's model to change or measure along the direction."


class LayerProbesPanel(Panel):
    """Probe curves with their controls; a site, a class and a cell can be looked at."""

    kind = "LayerProbes"
    title = "Probe lab"
    icon = "activity"
    place = "centre-top"
    order = 100
    form_open = True
    arrangement: ClassVar[str] = "Probe"
    words = WORDS
    question = ("What is linearly there?", "Probes by layer, never without their controls.")
    empty = (
        "Here is how well a probe reads a label at every layer, beside what a control task, random "
        "weights and shuffled labels give. Choose a label and press Run."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        self._tab, self._map = LAYERS, ABOVE
        self._class = 1
        self._cell: tuple[int, int] | None = None
        self._example: int | None = None
        self._site = 0
        self._kept: list[tuple[str, np.ndarray]] | None = None  # read when they are wanted
        self._focus: Focus | None = None
        super().__init__(desk, jobs)
        self.side: Side | None = None
        if not theme.paper():
            self._stand_side_by_side()

    def build(self) -> QWidget:
        board = self.board = Board()
        for plot in (board.curves, board.bars):
            plot.clicked.connect(lambda _row, site: self.choose_site(site))
        board.map.clicked.connect(self._map_clicked)
        board.turned.connect(self._turn)
        board.switched.connect(self._switch)
        board.site.moved.connect(lambda step: self.choose_site(self._site + step))
        board.site.cell_chosen.connect(self._choose_cell)
        board.site.picked.connect(self._pick)
        page = board.directions
        page.class_chosen.connect(self._choose_class)
        page.acted.connect(self._act)
        self.desk.model_changed.connect(self._model_changed)
        return board

    def _stand_side_by_side(self) -> None:
        """The form at the left, the sentence over the curves."""
        assert self.form is not None
        self.side = Side(self.form, PROBING)
        self._beside = Beside(self, self._body, self.side, self.board, FOLDS)
        self.header.form_toggled.connect(self._form_folded)

    def _form_folded(self, _open: bool) -> None:
        """What the form's foot said is said over the picture."""
        self._say_more()
        self.board.set_scene(self.board.scene)

    # drawing

    def draw(self, result: LayerProbesResult) -> None:
        board, spec = self.board, self.drawn[0]
        self.line.setText(story.headline(result, spec)[0])  # before the room is measured
        self._say_more()
        board.facts.setText(story.facts(result))
        names = [str(each) for each in result.site_labels]
        board.curves.set_data(
            names,
            story.curves(result, spec),
            levels=story.levels(result),
            axis=story.axis(result),
        )
        board.bars.set_data(
            names, result.selectivity, result.selectivity_low, result.selectivity_high
        )
        board.captions["bars"].setText(f"Selectivity, {kind_of(spec)} minus control task, points")
        self._site = self._site_of(self.desk.focus, result)
        self._draw_map(result)
        self._draw_site()
        if self.side is not None:
            self.side.show_leakage(result)
        asked = getattr(spec, "control_task", True) or np.isfinite(result.selectivity).any()
        board.set_scene(Scene(self._tab, bool(len(result.positions)), bool(asked)))

    def _draw_map(self, result: LayerProbesResult) -> None:
        board, values = self.board, np.asarray(result.map, np.float64)  # [site, pos]
        if not values.size:
            board.map.set_data(np.zeros((0, 0)), [], [])
            return
        rows = [str(each) for each in result.site_labels]
        columns = [str(int(at)) for at in result.positions]
        above = self._map == ABOVE
        counts = [f"n {int(n):,}" for n in result.map_counts]
        board.captions["map"].setText(
            "Accuracy less the majority's, points" if above else "Test accuracy, %"
        )
        shown = 100 * (values - np.asarray(result.map_majority)[None]) if above else 100 * values
        board.map.set_data(
            shown, rows, columns, scale="diverging" if above else "magnitude",
            limits=None if above else (0.0, 100.0), axis_title="position", tokens="none",
            page_title="layer ↑\nposition →", unit="points" if above else "%",
            col_sublabels=counts if len(counts) <= 16 else None,
        )  # fmt: skip
        board.map_switch.show_chosen(self._map)

    def _draw_site(self) -> None:
        """What hangs on the chosen site: its column, the marks, the directions."""
        result, board = self.result, self.board
        if result is None or not len(result.site_names):
            return
        site = self._site = min(self._site, len(result.site_names) - 1)
        for plot in (board.curves, board.bars):
            plot.set_focus(site)
        positions = np.asarray(result.positions).tolist()
        at = self.desk.focus.position
        board.map.set_focus(site, positions.index(at) if at in positions else None)
        classes = len(result.classes)
        if self._cell is not None and max(self._cell) >= classes:
            self._cell = None
        numbers = story.order(result, site, self._cell)
        rows = story.examples(result, site, numbers.tolist(), self.pieces)
        board.site.show_site(Shown(result, site, self._cell, self._example, rows, len(numbers)))
        self._draw_direction()

    def _draw_direction(self) -> None:
        result, board = self.result, self.board
        if result is None or not len(result.classes) or self._tab != DIRECTIONS:
            return
        which = self._class = min(self._class, len(result.classes) - 1)
        groups, axis, threshold = story.groups(result, self._site, which)
        found = pointing.direction(result, self._site, which)
        able = found is not None and self._open(str(result.site_names[self._site]))
        place = site_name(str(result.site_labels[self._site]))
        words = pointing.tokens(result, self._site, which, self.pieces)
        board.directions.show_direction(Pointed(
            f"Projections of the test part in {place}, by class",
            [class_text(each) for each in result.classes], which,
            groups if found is not None else [], axis, threshold,
            pointing.cosines(result, self._site, which, self._directions()), words,
            "Tokens through the unembedding, logits per unit" if words else "", able,
            "" if able or found is None else NOT_OPEN,
        ))  # fmt: skip

    def _directions(self) -> list[tuple[str, np.ndarray]]:
        """Kept directions of the model in the picture."""
        if self._kept is None:
            self._kept = kept.listed(self.drawn[1]) if self.drawn[1] is not None else []
        return self._kept

    def _open(self, hook: str) -> bool:
        """Whether the model on the desk is the one in the picture, with this hook."""
        model, drawn = self.desk.model, self.drawn[1]
        if model is None or drawn is None or self._twin:
            return False
        return getattr(model, "digest", "") == getattr(drawn, "digest", "") and (
            hook in model.hooks() if hasattr(model, "hooks") else False
        )

    def _say_more(self) -> None:
        """The second line: what beats its control, and what the form's foot cannot say."""
        if self.result is None:
            return
        said = [story.headline(self.result, self.drawn[0])[1]]
        if self.side is None or self.side.isHidden():
            said.append(str(self.result.leakage))
        said += [f"{capital(str(each)).rstrip('.')}." for each in self.result.warnings]
        text = " ".join(each for each in said if each).replace(" %", "\u00a0%")
        self.board.detail.setText(text)
        self.board.detail.setToolTip(text)

    def sentence(self, result: LayerProbesResult) -> str:
        return story.headline(result, self.drawn[0])[0]

    def difference(self, result_a: Any, result_b: Any) -> str:
        """The largest change of the task's accuracy between two runs over the same sites."""
        one, other = (np.asarray(each.mean)[story.TASK] for each in (result_a, result_b))
        if tuple(result_a.site_names) != tuple(result_b.site_names):
            return ""
        change = other - one  # [site]
        if not np.isfinite(change).any():
            return ""
        at = int(np.nanargmax(np.abs(change)))
        place = site_name(str(result_a.site_labels[at]))
        return (
            f"Accuracy differs most in {place}: {per_cent(one[at], 1)} % and "
            f"{per_cent(other[at], 1)} %."
        )

    # looking

    def _site_of(self, focus: Focus, result: Any) -> int:
        """The site that the Focus names, else the one that validation chose."""
        names = list(result.site_names)
        if focus.hook in names:
            return names.index(focus.hook)
        layers = np.asarray(result.layer).tolist()
        if focus.layer is not None and focus.layer in layers:
            return layers.index(focus.layer)
        return max(story.best(result), 0)

    def choose_site(self, site: int) -> None:
        """Turn every panel to a site."""
        result = self.result
        if result is None or not 0 <= site < len(result.site_names):
            return
        layer = int(result.layer[site])
        self.desk.turn(
            hook=str(result.site_names[site]), layer=layer if layer >= 0 else None, head=None,
            component=f"blocks.{layer}" if layer >= 0 else "embed",
        )  # fmt: skip

    def look_at(self, focus: Focus) -> None:
        if self.result is None or focus == self._focus:
            return
        self._focus = focus
        self._site = self._site_of(focus, self.result)
        self._draw_site()

    def _map_clicked(self, site: int, column: int) -> None:
        self.choose_site(site)
        if self.result is not None and column < len(self.result.positions):
            self.desk.turn(position=int(self.result.positions[column]))

    def _choose_cell(self, true: int, predicted: int) -> None:
        cell = (true, predicted)
        self._cell = None if cell == self._cell else cell
        self._draw_site()

    def _choose_class(self, which: int) -> None:
        self._class = which
        self._draw_direction()

    def _turn(self, tab: str) -> None:
        self._tab = tab
        self._draw_again()

    def _switch(self, what: str) -> None:
        self._map = what
        self._draw_again()

    def _draw_again(self) -> None:
        if self.result is not None:
            self.draw(self.result)

    def _model_changed(self, _model: Any) -> None:
        if self.result is not None:
            self._draw_direction()

    # examples and directions, handed to the window

    def _pick(self, number: int) -> None:
        """An example's text becomes the prompt, and what was read in it the Focus."""
        result = self.result
        if result is None:
            return
        self._example = number
        self.board.site.examples.show_example(number)
        rows = np.asarray(result.example_prompt_tokens)
        ids = rows[number][rows[number] >= 0] if rows.ndim == 2 else np.zeros(0, int)  # [pos]
        if not len(ids):
            return  # a point of the plane is no prompt
        bos = str(getattr(self.drawn[0], "bos", "auto"))
        self.desk.set_prompts(PromptPair(clean=self._prompt(number, ids, bos), bos=bos))
        where = int(result.example_where[number])
        if where >= 0:
            self.desk.turn(position=where, query=where, key=None)
        self.say("This text is the clean prompt now.", "info", self._reading())

    def _reading(self) -> Act:
        """Where a prompt and an intervention are looked at."""
        return "Read it", lambda: self.desk.ask("turn to", Panel.arrangement)

    def _prompt(self, number: int, ids: np.ndarray, bos: str) -> str | tuple[int, ...]:
        """The text where the model reads it as the same tokens, else the tokens themselves."""
        text, model = str(self.result.example_text[number]), self.desk.model
        try:
            same = model is not None and np.array_equal(model.tokens(text, bos), ids)
        except RunError:
            same = False
        return text if same else tuple(int(each) for each in ids)

    def _act(self, what: str) -> None:
        result, site, which = self.result, self._site, self._class
        if result is None:
            return
        if what in ("ablate", "steer"):
            make = pointing.ablating if what == "ablate" else pointing.steering
            entry = make(result, site, which)
            if entry is not None:
                edit = Edit(entry, about=pointing.about(result, site, which))
                self.desk.set_edits([*self.desk.edits, edit])
                self.say(f"Every run is made under this now: {edit.words}.", "info",
                         self._reading())  # fmt: skip
        elif what == "keep":
            self._keep(result, site, which)
        elif what == "use":
            self._measure_use(result, site, which)

    def _keep(self, result: Any, site: int, which: int) -> None:
        try:
            ref = kept.keep(result, self.drawn[0], self.drawn[1], site, which)
        except (FileError, RunError) as error:
            self.say(str(error), "warn")
            return
        self._kept = None
        self._draw_direction()
        self.say(f"Kept as {ref.name} in {kept.folder()}.", "good")

    def _measure_use(self, result: Any, site: int, which: int) -> None:
        found, spec = pointing.direction(result, site, which), self.drawn[0]
        if found is None or spec is None:
            return
        same = {name: getattr(spec, name) for name in ("data", "column", "read", "position")}
        self.desk.ask("run", ("DirectionUse", {
            **same, "direction": tuple(found.tolist()), "hook": str(result.site_names[site]),
            "label": str(result.classes[which]),
        }))  # fmt: skip

    # running

    def run(self) -> Job | None:
        self._cell = self._example = None
        return super().run()

    # what is kept

    def view(self) -> dict[str, Any]:
        return {"tab": self._tab, "map": self._map, "class": self._class, "example": self._example,
                "cell": list(self._cell) if self._cell else None}  # fmt: skip

    def set_view(self, view: dict[str, Any]) -> None:
        tab, which, cell = view.get("tab"), view.get("class"), view.get("cell")
        self._tab = tab if isinstance(tab, str) and tab in TAB_NAMES else LAYERS
        self._map = PLAIN if view.get("map") == PLAIN else ABOVE
        chosen = _count(which)
        self._class = 1 if chosen is None else chosen
        pair = [_count(at) for at in cell] if isinstance(cell, list) and len(cell) == 2 else [None]
        self._cell = None if None in pair else (pair[0] or 0, pair[1] or 0)
        self._example = _count(view.get("example"))
        self._draw_again()

    def become_twin(self) -> None:
        super().become_twin()
        if self.side is not None:
            self._beside.leave()

    @property
    def thumbnail(self) -> QWidget:
        """What a small picture shows: the curves alone."""
        curves = self.board.curves
        curves.setFixedSize(240, 224)
        curves.changed()
        return curves


def _count(value: Any) -> int | None:
    """A value from a file as a count; None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

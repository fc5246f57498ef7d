"""Principal components: activations of one hook as points, coloured and marked by a label."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
from PySide6.QtWidgets import QWidget

from engine.techniques.principal_components import PrincipalComponentsResult
from gui.components import story
from gui.components.board import Board
from gui.focus import Desk
from gui.jobs import Jobs
from gui.panel import Panel


class PrincipalComponentsPanel(Panel):
    """Points on two components, what each explains, and the examples that are looked at."""

    kind = "PrincipalComponents"
    title = "Principal components"
    icon = "grid-3x3"
    place = "centre-top"
    order = 120
    arrangement: ClassVar[str] = "Probe"
    words = {  # noqa: RUF012
        "data": "Labelled texts", "column": "Label", "read": "What is read", "auto": "by the data",
        "every": "every token", "last": "the last token", "position": "Position",
        "mean": "the mean of a text", "site": "Activation", "layer": "Layer",
        "n_components": "Components", "n_examples": "Examples",
    }  # fmt: skip
    question = ("Do classes form clouds?", "Activations on the directions in which they vary most")
    empty = (
        "Here each example is a point, where its activation lies on two of the directions in which "
        "all of them vary most; its colour and mark say its label. Press Run."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        self._axes = (0, 1)  # components across and up
        self._picked: tuple[int, ...] = ()  # examples drawn around
        self._example: int | None = None
        self._rows: list[int] = []  # the examples of the list
        super().__init__(desk, jobs)

    def build(self) -> QWidget:
        self.board = board = Board()
        board.axes_chosen.connect(self.show_axes)
        board.scatter.clicked.connect(lambda at, _col: self.choose(at))
        board.scatter.brushed.connect(self._brush)
        board.list.clicked.connect(lambda row, _col: self.choose(self._rows[row]))
        return board

    # drawing

    def draw(self, result: PrincipalComponentsResult) -> None:
        board = self.board
        n = len(result.label)
        self._picked = tuple(at for at in self._picked if at < n)
        if self._example is not None and self._example >= n:
            self._example = None
        across, up = self._axes = story.shown(result, self._axes)
        count = np.shape(result.scores)[1]
        kind, names = story.kinds(result)
        board.show_axes(count, across, up)
        axes = (story.axis_words(result, across), story.axis_words(result, up))
        points = np.asarray(result.scores)[:, [across, up]]  # [example, 2]
        board.scatter.set_data(points, kind, names, axes, partial(story.about, result))
        board.scatter.show_picked(np.array(self._picked, int))
        board.bars.set_data(result.explained, result.eta_squared, result.eta_null, (across, up))
        board.detail.setText(story.words(result)[1])
        self._list(result)
        board.settle_for((count, bool(self._rows)))

    def _list(self, result: PrincipalComponentsResult) -> None:
        board = self.board
        board.scatter.show_chosen(self._example)
        if not story.known(result):
            return
        picked = np.array(self._picked, int)
        said, note, self._rows = story.listed(result, picked, self._axes[0])
        chosen = self._rows.index(self._example) if self._example in self._rows else None
        board.captions["list"].setText(said)
        board.note.setText(note)
        board.list.set_rows(story.rows(result, self._rows, self.pieces), chosen)
        board.settle_list()

    def sentence(self, result: PrincipalComponentsResult) -> str:
        return story.words(result)[0]

    # looking

    def show_axes(self, across: int, up: int) -> None:
        """Draw two other components; the same one twice swaps with what it replaces."""
        if across == up:
            before = self._axes
            across, up = (across, before[0]) if across == before[1] else (before[1], up)
        self._axes = (across, up)
        self._draw_again()

    def choose(self, at: int) -> None:
        """Look at an example: its text is the prompt, its token the Focus of every panel."""
        result = self.result
        if result is None or not 0 <= at < len(result.label):
            return
        self._example = at
        self._list(result)
        text, where = story.prompt_of(result, at), int(result.example_where[at])
        if text and not self._twin:
            spec: Any = self.drawn[0]
            bos = spec.bos if spec is not None else self.desk.prompts.bos
            self.desk.set_prompts(replace(self.desk.prompts, clean=text, bos=bos, inputs={}))
        if where >= 0:
            self.desk.turn(position=where, query=where)

    def _brush(self, some: np.ndarray) -> None:
        self._picked = tuple(some.tolist())
        if self.result is not None:
            self._list(self.result)
            self.board.settle_for((np.shape(self.result.scores)[1], bool(self._rows)))

    def _draw_again(self) -> None:
        if self.result is not None:
            self.draw(self.result)

    # what is kept

    def view(self) -> dict[str, Any]:
        return {"axes": list(self._axes), "picked": list(self._picked), "example": self._example}

    def set_view(self, view: dict[str, Any]) -> None:
        axes, picked, example = view.get("axes"), view.get("picked"), view.get("example")
        pair = isinstance(axes, list) and len(axes) == 2 and all(map(_count, axes))
        self._axes = (axes[0], axes[1]) if pair and isinstance(axes, list) else (0, 1)
        some = isinstance(picked, list) and all(map(_count, picked))
        self._picked = tuple(picked) if some and isinstance(picked, list) else ()
        self._example = example if _count(example) else None
        self._draw_again()


def _count(value: Any) -> bool:
    """Whether a value from a file is a count."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

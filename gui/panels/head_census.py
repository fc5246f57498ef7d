"""Head census: every head with its evidence, as a table, a gallery and one head at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtWidgets import QWidget

from engine.heads import roles
from engine.techniques.head_census import HeadCensusResult
from gui.census import said
from gui.census.board import PROMPT, REPEATS, VIEWS, CensusBoard
from gui.census.card import Shown
from gui.census.columns import columns, heads_of, name_of, pending
from gui.census.examples import INTRO, examples
from gui.census.filling import Filling
from gui.census.marks import ROLES, marks_of
from gui.focus import Focus
from gui.panel import Panel
from gui.plots import Key

NO_PROMPT = (
    "There is no clean prompt, so the heads are read on repeated tokens alone; with a prompt they "
    "are shown on it as well."
)
NOTHING_READ = (
    "Repeated tokens say nothing of this model and there is no clean prompt: write one to see "
    "where its heads look."
)
SWITCHES = (PROMPT, REPEATS)


class HeadCensusPanel(Panel):
    """Which heads are induction heads: click a row, and every panel turns to that head."""

    kind = "HeadCensus"
    title = "Census"
    icon = "table"
    place = "centre-beside"
    order = 40
    words = {  # noqa: RUF012
        "n_sequences": "Sequences",
        "ablation_sequences": "Sequences ablated on",
        "shuffles": "Shuffled targets",
        "ablate": "Ablate to",
        "mean": "its mean",
        "zero": "zero",
        "none": "no ablation",
    }
    question = ("Which heads do what?", "Scores with their nulls, and what is lost without each "
                "head.")  # fmt: skip
    empty = (
        "Here every head gets a role if a score beats its nulls and the loss rises without it. "
        "Press Run; no prompt is needed."
    )

    def build(self) -> QWidget:
        board = self.board = CensusBoard()
        self._lessoned = False
        board.set_rule(roles.RULE)
        board.table.picked.connect(self._picked)
        board.gallery.clicked.connect(self._picked)
        board.card.turned.connect(self._turned)
        board.card.circuits.connect(
            lambda layer, head: self.desk.ask(
                "run", ("HeadCircuits", {"layer": layer, "head": head})
            )
        )
        board.viewed.connect(self._viewed)
        self.filling = Filling(self)
        return board

    def catch_up(self) -> None:
        self.filling.read(self.desk.model)

    def become_twin(self) -> None:
        super().become_twin()
        self.filling.leave()

    # drawing

    def draw(self, result: HeadCensusResult) -> None:
        board = self.board
        marks = marks_of(result)
        board.table.set_table(columns(result), heads_of(result), marks, pending(result))
        board.refused.setText(said.refusals(result))
        board.gallery.set_badges({}, {})
        self._draw_gallery()
        used = dict.fromkeys(mark.letter for mark in marks.values() if mark.letter)
        keys = [Key("badge", mark.words, letter=mark.letter, colour=mark.colour)
                for mark in ROLES.values() if mark.letter in used]  # fmt: skip
        begun = np.isfinite(np.asarray(result.pattern)[..., -1:, -1:]).all()
        missing = [] if begun else [Key("hatch", "not computed yet")]
        board.legend.set_keys([Key("ramp", "attention"), *keys, *missing])
        if board.view == "lesson":
            self._draw_lesson()
        if not len(result.text_tokens) and not self._twin:
            self.say(NO_PROMPT if len(result.tokens) else NOTHING_READ, "info")
        self._draw_card(self.desk.focus)
        board.settle()

    def _draw_gallery(self) -> None:
        result, board = self.result, self.board
        prompt, repeats = bool(len(result.text_tokens)), bool(len(result.tokens))
        board.sources.buttons[PROMPT].setEnabled(prompt)
        board.sources.buttons[REPEATS].setEnabled(repeats)
        on_text = prompt and (board.source == PROMPT or not repeats)
        board.sources.show_chosen(PROMPT if on_text else REPEATS)
        board.gallery.set_patterns(result.text_pattern if on_text else result.pattern)
        if not prompt and not repeats:
            board.gallery.set_empty(NOTHING_READ)
        marks = marks_of(result)
        board.gallery.set_badges(
            {at: (mark.letter, mark.colour) for at, mark in marks.items() if mark.letter},
            {mark.letter: mark.words for mark in ROLES.values()},
        )
        n = len(result.text_tokens) if on_text else result.tokens.shape[-1]
        what = "the clean prompt" if on_text else f"{result.block} random tokens, twice"
        board.caption.setText(f"{what}; {n} positions" if n else "")

    def _draw_lesson(self) -> None:
        if not self._lessoned:
            self._lessoned = True
            self.board.lesson.show_examples(INTRO, examples())

    def _draw_card(self, focus: Focus) -> None:
        result = self.result
        if result is None or not np.size(result.role):
            return
        layer, head = self._head(focus)
        n = len(result.text_tokens)
        query = focus.query if focus.query is not None else focus.position
        query = query if query is not None and query < n else None
        key = focus.key if focus.key is not None and focus.key < n else None
        self.board.switch.buttons[VIEWS["head"]].setText(f"Head {layer}.{head}")
        self.board.card.show_head(Shown(
            result, layer, head, roles.why(result, layer, head), self._repeated(),
            self.pieces(result.text_tokens), (query, key),
        ))  # fmt: skip

    def _repeated(self) -> list[str]:
        """The texts of the first sequence; none where the model was not given any."""
        tokens = self.result.tokens
        return self.pieces(tokens[0]) if len(tokens) else []

    def _head(self, focus: Focus) -> tuple[int, int]:
        """The Focus' head, else the one whose loss is felt most, else the last layer's first."""
        layers, heads = self.result.role.shape
        layer, head = focus.layer, focus.head
        if layer is not None and head is not None and layer < layers and head < heads:
            return layer, head
        effect = np.where(self.result.role >= 0, self.result.effect, np.nan)  # [layer, head]
        if np.isfinite(effect).any():
            at = int(np.nanargmax(effect))
            return at // heads, at % heads
        return layers - 1, 0

    def sentence(self, result: HeadCensusResult) -> str:
        return said.sentence(result)

    def difference(self, result_a: Any, result_b: Any) -> str:
        return said.difference(result_a, result_b)

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        result = self.result
        names = {"score": result.score_names, "measure": result.copy_names,
                 "role": result.role_names, "refusal": result.refused,
                 "detected": result.score_names[:3]}  # fmt: skip
        if axis in names and len(names[axis]) == n:
            return [name_of(name) for name in names[axis]], False
        if axis in ("query", "key", "pos") and n == result.tokens.shape[-1]:
            return self._repeated(), True
        if axis in ("text_pos", "text_query", "text_key") and n == len(result.text_tokens):
            return self.pieces(result.text_tokens), True
        return super().labels(axis, n)

    # looking

    def look_at(self, focus: Focus) -> None:
        if self.result is None:
            return
        self.board.table.set_focus(focus.layer, focus.head)
        self.board.gallery.set_focus(focus.layer, focus.head)
        self._draw_card(focus)

    def _picked(self, layer: int, head: int) -> None:
        self.desk.turn(
            layer=layer, head=head, hook=f"blocks.{layer}.attn.hook_pattern",
            component=f"blocks.{layer}.attn",
        )  # fmt: skip

    def _turned(self, query: int, key: int) -> None:
        layer, head = self._head(self.desk.focus)
        self.desk.turn(
            layer=layer, head=head, query=query, position=query,
            key=key if key >= 0 else self.desk.focus.key,
            hook=f"blocks.{layer}.attn.hook_pattern", component=f"blocks.{layer}.attn",
        )  # fmt: skip

    def _viewed(self) -> None:
        if self.board.view == "lesson":
            self._draw_lesson()
        if self.result is not None:
            self._draw_gallery()
            self.look_at(self.desk.focus)

    # switches

    def view(self) -> dict[str, Any]:
        board = self.board
        return {
            "view": board.view, "gallery": board.source, "head": board.card.source,
            "sort": board.table.sort, "falling": board.table.falling,
        }  # fmt: skip

    def set_view(self, view: dict[str, Any]) -> None:
        board = self.board
        if view.get("gallery") in SWITCHES:
            board.source = view["gallery"]
        if view.get("head") in SWITCHES:
            board.card.set_source(view["head"])
        sort, falling = view.get("sort"), view.get("falling")
        if isinstance(sort, str):
            board.table.sort_by(sort, falling is True)
        if isinstance(view.get("view"), str):
            board.set_view(view["view"])
        if board.view == "lesson":
            self._draw_lesson()

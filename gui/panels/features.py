"""Features: every latent of an SAE, or neuron, in a table; one at a time on a page of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QMenu, QWidget

from engine.sae.pages import page
from engine.techniques.features import FeaturesResult
from gui import theme
from gui.beside import Beside
from gui.focus import Desk, Focus
from gui.jobs import Jobs
from gui.panel import Panel
from gui.plots.feature_table import FeatureRows
from gui.probes.side import Side
from gui.sae_browse import acts, story
from gui.sae_browse.acting import act, take_prompt
from gui.sae_browse.board import PAGE, FeatureBoard
from gui.sae_browse.feature_page import Seen
from gui.sae_browse.labelling import Labelling
from gui.sae_browse.opening import Opening
from gui.sae_browse.words import BROWSING, WORDS, capital, one

FOLDS = 1100  # px: a narrower panel shows the form only when asked


class FeaturesPanel(Panel):
    """A click in the table turns every panel to that feature; a label is written on its page."""

    kind = "Features"
    title = "Features"
    icon = "table"
    place = "centre-top"
    order = 205
    form_open = True
    arrangement: ClassVar[str] = "Features"
    words = WORDS
    question = ("What can be named?", "Every feature of an SAE, with the text it answers to.")
    empty = (
        "Here is every feature of an SAE, or every neuron, with the text that it answers to. "
        "Choose or drop an SAE, or press Run for the neurons of the middle layer."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        self._latent = -1
        self._beside_it = False  # whether a neuron's activations stand beside the feature's
        super().__init__(desk, jobs)
        self.side: Side | None = None
        if not theme.paper():
            assert self.form is not None
            self.side = Side(self.form, BROWSING, watches=False)
            self._beside = Beside(self, self._body, self.side, self.board, FOLDS)

    def build(self) -> QWidget:
        board = self.board = FeatureBoard()
        self.labelling = Labelling(self)
        self.opening = Opening(self)
        board.filtered.connect(self._list)
        board.table.picked.connect(self.look_at_latent)
        board.table.named.connect(self._name)
        page_ = board.page
        page_.moved.connect(self._move)
        page_.labelled.connect(self._label)
        page_.neighbour.connect(self._go_to_neighbour)
        page_.picked.connect(self._pick)
        page_.acts.acted.connect(self._act)
        page_.compared.connect(self._compare)
        page_.wanted.connect(self._on_prompt)
        self.desk.model_changed.connect(self._model_changed)
        self.setAcceptDrops(True)
        return board

    def menu(self) -> QMenu:
        menu = super().menu()
        self.opening.offer_in(menu)
        return menu

    def become_twin(self) -> None:
        super().become_twin()
        if self.side is not None:
            self._beside.leave()

    def catch_up(self) -> None:
        self.opening.offer()

    # drawing

    def draw(self, result: FeaturesResult) -> None:
        board = self.board
        self.line.setText(self.sentence(result))  # before the room is measured
        board.detail.setText(story.detail(result).replace(" %", "\u00a0%"))
        board.detail.setToolTip(board.detail.text())
        self.labelling.read()
        board.one = len(result.density) == 1
        board.call_it(capital(one(result)))
        self._list()
        self._turn(self.desk.focus)
        board.settle_for(len(result.density), one(result))

    def _list(self) -> None:
        """The rows that the filter leaves."""
        result, board = self.result, self.board
        if result is None:
            return
        labels = self.labelling.labels
        kept = story.listed(result, board.kept, board.filter.text(), labels, self.pieces)
        highest = np.asarray(result.highest, np.float64)  # [latent]
        ids = np.asarray(result.promoted_ids)
        rows = FeatureRows(
            np.asarray(result.density), highest, np.asarray(result.mean_active),
            np.asarray(result.top_ids), ids[:, 0] if ids.ndim == 2 and ids.size
            and (ids[:, 0] >= 0).any() else np.zeros(0, int), labels,
        )  # fmt: skip
        board.table.set_rows(rows, self.pieces, kept, capital(one(result)))

    def _turn(self, focus: Focus) -> None:
        """The latent of the Focus, else the one before, else the strongest."""
        result = self.result
        if result is None or not len(result.density):
            return
        asked, count = focus.feature, len(result.density)
        if asked is not None and 0 <= asked < count:
            self._latent = asked
        elif asked is None or not 0 <= self._latent < count:
            self._latent = story.strongest(result)
        self.board.table.set_focus(self._latent)
        self._draw_page()

    def _draw_page(self) -> None:
        result, latent = self.result, self._latent
        if result is None or not 0 <= latent < len(result.density):
            return
        reason = acts.why_not(result, self.drawn[0], self.desk.model, self.drawn[1])
        seen = Seen(result, page(result, latent), self.labelling.labels, self._beside_it, reason)
        self.board.page.show_feature(seen, self.pieces)

    def sentence(self, result: FeaturesResult) -> str:
        return story.sentence(result, self.pieces)

    def difference(self, result_a: Any, result_b: Any) -> str:
        return story.difference(result_a, result_b)

    # looking

    def look_at(self, focus: Focus) -> None:
        self._turn(focus)

    def look_at_latent(self, latent: int) -> None:
        """Turn every panel to a latent."""
        if self.result is not None:
            hook = str(self.result.hook)
            parts = hook.split(".")
            layer = int(parts[1]) if parts[0] == "blocks" and len(parts) > 2 else None
            self.desk.turn(feature=latent, hook=hook, layer=layer, head=None)

    def _move(self, step: int) -> None:
        table = self.board.table
        line = table.line_of(self._latent) + step
        if 0 <= line < len(table.order):
            self.look_at_latent(int(table.order[line]))

    def _go_to_neighbour(self, row: int) -> None:
        seen = self.board.page.seen
        if seen is not None and row < len(seen.page.nearest):
            self.look_at_latent(seen.page.nearest[row][0])

    def _model_changed(self, _model: Any) -> None:
        self._draw_page()
        if not self._twin:
            self.opening.offer()

    def _compare(self, on: bool) -> None:
        self._beside_it = on
        self._draw_page()

    # writing and acting

    def _name(self, latent: int) -> None:
        self.look_at_latent(latent)
        self.board.set_view(PAGE)
        line = self.board.page.label
        line.setFocus()
        line.selectAll()

    def _label(self, text: str) -> None:
        self.labelling.write(self._latent, text)
        self._list()
        self._draw_page()

    def _pick(self, example: int, token: int) -> None:
        """The prompt of an example becomes the clean one, its token the Focus."""
        result, some = self.result, self.board.page.examples
        if result is None or example >= len(some) or self._twin:
            return
        found = some[example]
        ids = np.asarray(result.sequence_tokens)[found.sequence]  # [pos]
        take_prompt(self, ids[ids >= 0], found.position - found.at + token)

    def _act(self, what: str) -> None:
        result = self.result
        if result is None:
            return
        highest = float(result.highest[self._latent])
        act(self, what, self._latent, highest, self.labelling.labels)

    def _on_prompt(self) -> None:
        """The same basis on the clean prompt, this latent first."""
        spec = self.drawn[0]
        if spec is not None:
            values = {name: getattr(spec, name) for name in ("basis", "sae", "direction", "hook")}
            self.desk.ask("run", ("FeaturesOnPrompt", values | {"latents": (self._latent,)}))

    # an SAE from outside

    @classmethod
    def reads(cls, path: Path) -> bool:
        from engine.sae.files import is_one  # here: what it reads with takes a while to import

        return is_one(path)

    def open_file(self, path: Path) -> None:
        self.opening.open(path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self.opening.dropped(event.mimeData()) is not None:
            event.acceptProposedAction()
        else:
            event.ignore()  # the window may know what to do with it

    def dropEvent(self, event: QDropEvent) -> None:
        path = self.opening.dropped(event.mimeData())
        if path is not None:
            self.opening.open(path)
            event.acceptProposedAction()

    # switches

    def view(self) -> dict[str, Any]:
        board = self.board
        return {
            "view": board.view, "sort": board.table.sort, "falling": board.table.falling,
            "listed": board.kept, "filter": board.filter.text(),
            "beside": self._beside_it,
            "labels": self.labelling.as_json(),
        }  # fmt: skip

    def set_view(self, view: dict[str, Any]) -> None:
        board = self.board
        sort, text, listed = view.get("sort"), view.get("filter"), view.get("listed")
        self.labelling.take(view.get("labels"))
        self._beside_it = view.get("beside") is True
        board.set_filter(listed if isinstance(listed, str) else "",
                         text if isinstance(text, str) else "")  # fmt: skip
        if isinstance(sort, str):
            board.table.sort_by(sort, view.get("falling") is True)
        if isinstance(view.get("view"), str):
            board.set_view(view["view"])
        self._list()

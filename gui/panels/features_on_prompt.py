"""Features on a prompt: which latents are active at each token, and what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QMenu, QWidget

from engine.techniques.features_on_prompt import FeaturesOnPromptResult
from gui import theme
from gui.beside import Beside
from gui.focus import Desk, Focus
from gui.jobs import Jobs
from gui.panel import Panel
from gui.plots.tokens import token_text
from gui.probes.side import Side
from gui.sae_browse import acts, story
from gui.sae_browse.acting import act
from gui.sae_browse.labelling import Labelling
from gui.sae_browse.opening import Opening
from gui.sae_browse.prompt_board import PromptBoard
from gui.sae_browse.words import ON_PROMPT, WORDS_ON_PROMPT, capital, one

FOLDS = 900  # px: a narrower panel shows the form only when asked
LETTERS = 18  # of a label beside its number


class FeaturesOnPromptPanel(Panel):
    """A click on a cell turns every panel to its feature and its token."""

    kind = "FeaturesOnPrompt"
    title = "Features on the prompt"
    icon = "grid-3x3"
    place = "centre-top"
    order = 210
    form_open = True
    arrangement: ClassVar[str] = "Features"
    words = WORDS_ON_PROMPT
    question = ("Which features fire here?", "Features by tokens, and what they leave out.")
    empty = (
        "Here are the features that are active on the prompt, token by token. Choose or drop an "
        "SAE, or press Run for the neurons of the middle layer."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        self._at = -1  # the row that is looked at
        super().__init__(desk, jobs)
        self.side: Side | None = None
        if not theme.paper():
            assert self.form is not None
            self.side = Side(self.form, ON_PROMPT, watches=False)
            self._beside = Beside(self, self._body, self.side, self.board, FOLDS)

    def build(self) -> QWidget:
        board = self.board = PromptBoard()
        self.labelling, self.opening = Labelling(self), Opening(self)
        board.map.clicked.connect(self._clicked)
        board.left_out.clicked.connect(lambda _row, at: self.desk.turn(position=at, query=at))
        board.acts.acted.connect(self._act)
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

    def draw(self, result: FeaturesOnPromptResult) -> None:
        board = self.board
        self.line.setText(self.sentence(result))  # before the room is measured
        board.detail.setText(
            story.on_prompt_detail(result, self.pieces, self._first(result)).replace(
                " %", "\u00a0%"
            )
        )
        board.detail.setToolTip(board.detail.text())
        self.labelling.read()
        pieces = self.pieces(result.tokens)
        f = np.asarray(result.activations, np.float32)  # [pos, feature]
        reach = story.reach([f[self._first(result) :].ravel()])  # a BOS would fade the rest
        signed = bool(result.signed)
        board.map.set_data(
            f.T, self._names(result), pieces, scale="diverging" if signed else "probability",
            limits=(-reach, reach) if signed else (0.0, max(reach, 1e-9)), bar=True,
            tokens="cols", page_title="feature ↓\ntoken →", unit="activation",
            col_sublabels=[str(at) for at in range(len(pieces))] if len(pieces) <= 40 else None,
        )  # fmt: skip
        share = story.left_out(result)
        board.bars = str(result.basis) != "neurons"  # neurons leave nothing out
        board.left_out.set_data(share, pieces)
        board.settle_for(f.shape)
        self._turn(self.desk.focus)

    def _first(self, result: Any) -> int:
        return story.first_counted(result, self.drawn[0], self.pieces)

    def _names(self, result: Any) -> list[str]:
        """A number each, with its label where it has one."""
        labels, made = self.labelling.labels, []
        for latent in np.asarray(result.latents).tolist():
            name = labels.get(latent, "")
            short = name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
            made.append(f"{short}  {latent}" if short else str(latent))
        return made

    def _turn(self, focus: Focus) -> None:
        result, board = self.result, self.board
        if result is None:
            return
        latents = np.asarray(result.latents).tolist()
        self._at = latents.index(focus.feature) if focus.feature in latents else -1
        at = focus.position
        there = at is not None and 0 <= at < len(result.tokens)
        board.map.set_focus(self._at if self._at >= 0 else None, at if there else None)
        board.left_out.set_focus(at if there else None)
        self._say_chosen(latents)

    def _say_chosen(self, latents: list[int]) -> None:
        result, board = self.result, self.board
        word = capital(one(result))
        if self._at < 0:
            board.chosen.setText(f"Click a cell to look at its {one(result)}")
            board.acts.allow(f"Click a {one(result)} first.")
            return
        latent = latents[self._at]
        column = np.asarray(result.activations, np.float64)[:, self._at]  # [pos]
        name = self.labelling.labels.get(latent, "")
        said = f"{word} {latent}{f', {name}' if name else ''}"
        if np.isfinite(column).any():
            best = int(np.nanargmax(np.abs(column)))
            piece = token_text(self.pieces([result.tokens[best]])[0])
            said += f": most at {piece} ({best})"
        board.chosen.setText(said)
        board.acts.allow(acts.why_not(result, self.drawn[0], self.desk.model, self.drawn[1]))

    def sentence(self, result: FeaturesOnPromptResult) -> str:
        return story.on_prompt(result, self.pieces, self._first(result)).replace(" %", "\u00a0%")

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        if axis == "feature" and self.result is not None and n == len(self.result.latents):
            return [str(each) for each in self.result.latents], False
        return super().labels(axis, n)

    # looking

    def look_at(self, focus: Focus) -> None:
        self._turn(focus)

    def _clicked(self, row: int, position: int) -> None:
        result = self.result
        if result is None or row >= len(result.latents):
            return
        parts = str(result.hook).split(".")
        layer = int(parts[1]) if parts[0] == "blocks" and len(parts) > 2 else None
        self.desk.turn(feature=int(result.latents[row]), hook=str(result.hook), layer=layer,
                       head=None, position=position, query=position)  # fmt: skip

    def _act(self, what: str) -> None:
        result = self.result
        if result is None or self._at < 0:
            return
        column = np.asarray(result.activations, np.float64)[:, self._at]  # [pos]
        known = column[np.isfinite(column)]
        highest = float(known.max()) if len(known) else 1.0
        act(self, what, int(result.latents[self._at]), highest, self.labelling.labels)

    def _model_changed(self, _model: Any) -> None:
        self._turn(self.desk.focus)
        if not self._twin:
            self.opening.offer()

    def showEvent(self, event: QShowEvent) -> None:
        """Labels that were written meanwhile are taken up."""
        super().showEvent(event)
        if self.result is not None:
            before = self.labelling.labels
            self.labelling.read()
            if self.labelling.labels != before:
                self.draw(self.result)

    # an SAE from outside

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

    # what is kept

    def view(self) -> dict[str, Any]:
        return {"labels": self.labelling.as_json()}

    def set_view(self, view: dict[str, Any]) -> None:
        self.labelling.take(view.get("labels"))

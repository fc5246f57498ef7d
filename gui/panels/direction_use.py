"""Use of a direction: what a probe reads along it beside what the output makes of it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from PySide6.QtWidgets import QWidget

from engine.techniques.direction_use import DirectionUseResult
from gui import theme
from gui.beside import Beside
from gui.focus import Desk
from gui.jobs import Jobs
from gui.panel import Panel
from gui.probes import use_story
from gui.probes.side import USE, Side
from gui.probes.use_board import UseBoard
from gui.probes.words import WORDS, capital, per_cent

FOLDS = 860  # px: a narrower panel shows the form only when asked


class DirectionUsePanel(Panel):
    """Existence against use: one direction, ablated or steered, beside random ones."""

    kind = "DirectionUse"
    title = "Use"
    icon = "gauge"
    place = "centre-top"
    order = 103
    form_open = True
    arrangement: ClassVar[str] = "Probe"
    words = WORDS
    question = ("Is it used?", "A direction taken out, beside random ones.")
    empty = (
        "Here is what the output makes of a direction that a probe reads, beside random ones. "
        "Press Run for a probe's own, or “Measure its use” in the probe lab."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        super().__init__(desk, jobs)
        self.side: Side | None = None
        if not theme.paper():
            assert self.form is not None
            self.side = Side(self.form, USE, watches=False)
            self._beside = Beside(self, self._body, self.side, self.board, FOLDS)

    def build(self) -> QWidget:
        self.board = UseBoard()
        return self.board

    def draw(self, result: DirectionUseResult) -> None:
        board = self.board
        said, more = use_story.headline(result)
        self.line.setText(said)  # before the room for the picture is measured
        warned = [f"{capital(str(each)).rstrip('.')}." for each in result.warnings]
        board.detail.setText(" ".join(filter(None, [more, *warned])).replace(" %", "\u00a0%"))
        board.detail.setToolTip(board.detail.text())
        names = [str(each) for each in result.accuracy_conditions]
        keys = [(name, *look) for name, look in zip(names, use_story.CONDITIONS, strict=False)]
        floor = f"majority {per_cent(result.majority, 1)} %"
        keys += [(floor, "", "dash"), ("95 % of random directions", "", "band")]
        board.signs.set_keys(keys)
        board.strips["accuracy"].set_strips(
            use_story.accuracies(result), unit="%", limits=(0.0, 100.0),
            level=("majority", 100 * float(result.majority)),
        )  # fmt: skip
        board.strips["kl"].set_strips(use_story.divergences(result), unit="nats", wide=True)
        board.strips["loss"].set_strips(use_story.losses(result), unit="nats", wide=True)
        board.strips["watched"].set_strips(use_story.watched(result, self.pieces), unit="%")
        board.facts.setText(self._facts(result))
        board.refresh()

    @staticmethod
    def _facts(result: Any) -> str:
        n = int(np.isfinite(np.asarray(result.null_kl)).sum(axis=1).max(initial=0))
        said = [f"{int(result.n_texts):,} texts", f"{int(result.n_predicted):,} predictions",
                f"KL over {int(result.n_read):,} labelled places",
                f"{n} random directions of each kind"]  # fmt: skip
        if np.isfinite(result.variance):
            said.append(f"{per_cent(result.variance, 1)} % of the variance lies along it")
        return ", ".join(said)

    def sentence(self, result: DirectionUseResult) -> str:
        return use_story.headline(result)[0] or use_story.existence(result)

    def become_twin(self) -> None:
        super().become_twin()
        if self.side is not None:
            self._beside.leave()

"""NextToken: what the model says at the end of both prompts, and the logit difference."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from gui.buttons import label
from gui.focus import PromptPair
from gui.jobs import Job, Jobs
from gui.plots import figure, token_text


class NextToken(QWidget):
    """Two lines, filled by one forward pass per prompt in the background; the last one asked."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self.jobs = jobs
        self.job: Job | None = None
        self._asked: tuple[Any, PromptPair] = (None, PromptPair())
        self.said = label("", "small")
        self.difference = label("", "small")
        self.difference.setTextFormat(Qt.TextFormat.RichText)
        self.difference.setToolTip("Logit of the answer minus that of the wrong one, at the end")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        for widget in (self.difference, self.said):
            widget.setWordWrap(True)
            box.addWidget(widget)
        self.clear()

    def clear(self) -> None:
        """Say nothing: the prompts are others now."""
        self._asked = (None, PromptPair())
        self.difference.hide()
        self.said.setText("")

    def ask(self, model: Any, pair: PromptPair, clean: Any, corrupted: Any) -> None:
        """Token ids [pos] of both prompts; corrupted None = there is none."""
        if self.job is not None and not self.job.done:
            self.job.cancel()
        if not hasattr(model, "forward"):
            return
        self._asked = (model, pair)
        runs = [clean] if corrupted is None else [clean, corrupted]

        def work(watch: Any, report: Any) -> list[np.ndarray]:
            view = model.under(watch=watch)
            return [view.forward(ids, logits="last").logits[0, -1] for ids in runs]  # [d_vocab_out]

        self.job = self.jobs.do(work, "Logit difference", background=True)
        self.job.finished.connect(lambda logits: self._tell(model, pair, logits))
        self.job.failed.connect(self._failed)

    def _failed(self, error: BaseException, _: Any) -> None:
        self.said.setText(str(error))

    def _tell(self, model: Any, pair: PromptPair, logits: list[np.ndarray]) -> None:
        if self._asked[0] is not model or self._asked[1] != pair:
            return
        best = [int(row.argmax()) for row in logits]
        words = [token_text(model.pieces([token])[0]) for token in best]
        chance = [float(1 / np.exp(row - row.max()).sum(dtype=np.float64)) for row in logits]
        both = zip(("clean", "corrupted"), words, chance, strict=False)
        self.said.setText("Next token: " + "; ".join(f"{n} {w} {p:.2f}" for n, w, p in both))
        answer = best[0] if pair.answer is None else model.token(pair.answer)
        wrong = best[-1] if pair.wrong is None else model.token(pair.wrong)
        if len(logits) < 2 or answer == wrong:
            return
        clean, corrupted = (float(row[answer] - row[wrong]) for row in logits)
        self.difference.setText(
            f"Logit difference: clean <b>{figure(clean, sign=True)}</b>, "
            f"corrupted <b>{figure(corrupted, sign=True)}</b>"
        )
        self.difference.show()

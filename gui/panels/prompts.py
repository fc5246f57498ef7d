"""The prompt workshop: two prompts as exact tokens, the answers compared, what the model says."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from engine.errors import RunError
from gui import examples, theme
from gui.buttons import Button, label
from gui.editor import Editor
from gui.focus import Focus, Prompt, PromptPair
from gui.jobs import Job
from gui.panel import Panel
from gui.plots import TokenStrip, figure, token_text
from gui.token_field import TokenField

PAUSE_MS = 150  # typing rests this long before it is read
OWN = "Your own"
BOS_WIDTH = 96  # px


class PromptsPanel(Panel):
    title = "Prompts"
    icon = "type"
    place = "left"
    order = 20

    def build(self) -> QWidget:
        self.header.add(Button("Run all", "play", lambda: self.desk.ask("run all"), flat=True))
        self.examples: list[examples.Example] = []
        self.example = QComboBox()
        self.example.setAccessibleName("Example prompts")
        self.example.activated.connect(self._choose)
        self.bos = QComboBox()
        self.bos.setAccessibleName("BOS token")
        for value in ("auto", "yes", "no"):
            self.bos.addItem(f"BOS {value}", value)
        self.bos.setToolTip("Begin with the BOS token: as the tokenizer's file says, yes, or no")
        self.bos.activated.connect(self._soon)
        self.example.setMinimumWidth(64)
        self.example.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.clean, self.corrupted = Editor("Clean prompt"), Editor("Corrupted prompt")
        self.strip = TokenStrip(most_lines=3)
        self.strip.clicked.connect(lambda at: self.desk.turn(position=at, query=at))
        self.summary = label("", "small")
        self.summary.setWordWrap(True)
        self.where = label("", "small")
        self.where.hide()
        self.answer, self.wrong = TokenField("Answer"), TokenField("Wrong answer")
        self.said = label("", "small")
        self.said.setWordWrap(True)
        self.difference = label("", "small")
        self.difference.setTextFormat(Qt.TextFormat.RichText)
        self.difference.setWordWrap(True)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self.read)
        self.ids: tuple[Any, Any] = ((), ())
        self.look: Job | None = None
        for edit in (self.clean, self.corrupted):
            edit.textChanged.connect(self._soon)
            edit.entered.connect(self._enter)
        for field in (self.answer, self.wrong):
            field.changed.connect(self._soon)
            field.returnPressed.connect(self._enter)
        self.desk.model_changed.connect(self._model_changed)
        self.desk.prompts_changed.connect(self.show_prompts)
        return self._arranged()

    def _arranged(self) -> QWidget:
        inside = QWidget()
        box = QVBoxLayout(inside)
        box.setContentsMargins(16, 8, 16, 8)
        box.setSpacing(4)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.example, 1)
        top.addWidget(self.bos)
        self.bos.setFixedWidth(round(BOS_WIDTH * theme.zoom()))
        box.addLayout(top)
        for words, edit in (("Clean", self.clean), ("Corrupted", self.corrupted)):
            caption = label(words, "caption")
            caption.setBuddy(edit)
            box.addWidget(caption)
            box.addWidget(edit)
        box.addSpacing(2)
        box.addWidget(self.summary)
        box.addWidget(self.strip)
        box.addSpacing(4)
        answers = QHBoxLayout()
        answers.setSpacing(6)
        for words, field in (("Answer", self.answer), ("Wrong", self.wrong)):
            caption = label(words, "caption")
            caption.setBuddy(field)
            answers.addWidget(caption)
            answers.addWidget(field, 1)
        box.addLayout(answers)
        self.difference.setToolTip("Logit of the answer minus that of the wrong one, at the end")
        self.difference.hide()
        for widget in (self.difference, self.said, self.where):
            box.addWidget(widget)
        box.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        area.setFocusProxy(self.clean)  # "Go to Prompts" is where one writes
        return area

    # from the desk

    def _model_changed(self, model: Any) -> None:
        self.examples = examples.for_model(model) if model is not None else []
        self.example.clear()
        for entry in self.examples:
            self.example.addItem(entry.title)
            last = self.example.count() - 1
            self.example.setItemData(last, entry.note, Qt.ItemDataRole.ToolTipRole)
        self.example.addItem(OWN)
        pieces = model.vocabulary() if model is not None else []
        for field in (self.answer, self.wrong):
            field.set_model(model, pieces)
        hint = examples.hint(model) if model is not None else ""
        self.clean.setPlaceholderText(hint)
        self.corrupted.setPlaceholderText(hint)
        if model is None:
            self.read()
        elif self.examples and not self._readable(model, self.desk.prompts):
            self._choose(0)
        else:
            self.show_prompts(self.desk.prompts)

    def _readable(self, model: Any, pair: PromptPair) -> bool:
        """Whether the prompts on the desk mean something to this model: else show an example."""
        if not pair.clean or pair in [entry.pair for entry in self.examples]:
            return bool(pair.clean)
        try:
            model.tokens(pair.clean, pair.bos)
            model.tokens(pair.corrupted, pair.bos)
            for token in (pair.answer, pair.wrong):
                if token is not None:
                    model.token(token)
        except RunError:
            return False
        return True

    def show_prompts(self, pair: PromptPair) -> None:
        """Show a pair that came from elsewhere; typing is not disturbed by its own echo."""
        if pair == self.typed():
            self._name_example(pair)
            self.read()
            return
        for edit, prompt in ((self.clean, pair.clean), (self.corrupted, pair.corrupted)):
            edit.show_text(self._text(prompt))
        self.bos.setCurrentIndex(max(0, self.bos.findData(pair.bos)))
        self.answer.choose(pair.answer)
        self.wrong.choose(pair.wrong)
        self._name_example(pair)
        self.read()

    def _name_example(self, pair: PromptPair) -> None:
        pairs = [entry.pair for entry in self.examples]
        self.example.setCurrentIndex(pairs.index(pair) if pair in pairs else len(pairs))

    def _text(self, prompt: Prompt) -> str:
        return prompt if isinstance(prompt, str) else " ".join(map(str, prompt))

    def look_at(self, focus: Focus) -> None:
        at = focus.position if focus.position is not None else focus.query
        self.strip.set_focus(at)
        model, ids = self.desk.model, self.ids[0]
        known = model is not None and at is not None and 0 <= at < len(ids)
        self.where.setVisible(known)
        if model is None or at is None or not known:
            return
        word = token_text(model.pieces([ids[at]])[0])
        self.where.setText(f"Focus {word}, position {at}, token id {ids[at]}")

    # to the desk

    def typed(self) -> PromptPair:
        """The pair as the fields have it; an id prompt that was not edited stays a tuple of ids."""
        old = self.desk.prompts
        prompts = [
            was if self._text(was) == edit.toPlainText() else edit.toPlainText()
            for was, edit in ((old.clean, self.clean), (old.corrupted, self.corrupted))
        ]
        answer, wrong = self.answer.chosen, self.wrong.chosen
        return PromptPair(prompts[0], prompts[1], answer, wrong, str(self.bos.currentData()))

    def _soon(self) -> None:
        self._timer.start()

    def _enter(self) -> None:
        self.read()
        self.desk.ask("run all")

    def _choose(self, index: int) -> None:
        if 0 <= index < len(self.examples):
            self.desk.set_prompts(self.examples[index].pair)

    def read(self) -> None:
        """Tokens of both prompts, where they part, and what the model says at the end."""
        self._timer.stop()
        model = self.desk.model
        self.difference.hide()
        self.said.setText("")
        if model is None:
            self.strip.set_tokens([], None)
            self.summary.setText("Open a model; its tokens will be here.")
            return
        pair = self.typed()
        problems = [field.problem for field in (self.answer, self.wrong) if field.problem]
        try:
            clean = model.tokens(pair.clean, pair.bos)  # [pos]
            corrupted = model.tokens(pair.corrupted, pair.bos) if pair.corrupted else None
        except RunError as error:
            self.strip.set_tokens([], None)
            self.ids = ((), ())
            self.summary.setText(str(error) if pair.clean else "The tokens will be here.")
            theme.restyle(self.summary, tone="bad" if pair.clean else "")
            self.desk.set_prompts(pair)
            return
        self.ids = (clean, corrupted if corrupted is not None else ())
        pieces = model.pieces(clean)
        others = model.pieces(corrupted) if corrupted is not None else None
        bos = getattr(model.config, "bos_token_id", None)
        special = model.pieces([bos]) if bos is not None else []
        self.strip.set_tokens(
            pieces, others, clean, self.ids[1], special=special, roles={len(clean) - 1: "END"}
        )
        uneven = corrupted is not None and len(corrupted) != len(clean)
        text = self.strip.summary() if others is not None else f"{len(clean)} tokens"
        self.summary.setText(problems[0] if problems else text)
        same = corrupted is not None and pieces == others
        tone = "bad" if problems else "warn" if uneven or same else ""
        theme.restyle(self.summary, tone=tone)
        self.look_at(self.desk.focus)
        self.desk.set_prompts(pair)
        if not problems:
            self._ask(model, pair, clean, corrupted)

    def _ask(self, model: Any, pair: PromptPair, clean: Any, corrupted: Any) -> None:
        """Both prompts once, last logits only, in the background."""
        if self.look is not None and not self.look.done:
            self.look.cancel()
        if not hasattr(model, "forward"):
            return
        runs = [clean] if corrupted is None else [clean, corrupted]

        def work(watch: Any, report: Any) -> list[np.ndarray]:
            view = model.under(watch=watch)
            return [view.forward(ids, logits="last").logits[0, -1] for ids in runs]  # [d_vocab_out]

        job = self.jobs.do(work, "Logit difference", background=True)
        job.finished.connect(lambda logits: self._tell(model, pair, logits))
        job.failed.connect(lambda error, _: self.said.setText(str(error)))
        self.look = job

    def _tell(self, model: Any, pair: PromptPair, logits: list[np.ndarray]) -> None:
        if pair != self.desk.prompts or model is not self.desk.model:
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

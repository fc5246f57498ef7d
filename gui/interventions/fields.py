"""Fields: the controls of one intervention, and the Intervention that they describe.

Only what its action and its hook take is shown; what is hidden says nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from engine.errors import SpecError
from engine.intervention_words import in_words
from engine.model.interventions import BORROWED, Action, Intervention, width_of
from engine.refs import Ref
from gui.buttons import label
from gui.editor import Editor
from gui.entry import Choice
from gui.focus import PromptPair
from gui.interventions.listed_numbers import numbers_of, text_of
from gui.interventions.sae_field import SaeField
from gui.interventions.starting import answer_direction, title_of
from gui.jobs import Jobs
from gui.plots import token_text
from gui.ref_field import RefField

HOW = {"zero": "zero", "mean": "mean", "resample": "another prompt's values"}
GLOSS = {
    "hook_z": "heads' outputs", "hook_pattern": "attention", "hook_attn_scores": "before softmax",
    "hook_post": "neurons", "hook_pre": "neurons, before activation", "hook_scale": "the norm's",
}  # fmt: skip
FACTOR = {"steer": "Add", "scale": "Times", "clamp": "Hold at"}
WHOLE, ANSWERS, PAIR, FILE, KEPT = "whole", "answers", "pair", "file", "kept"
FEATURES = "features"
CORRUPTED, CLEAN, TEXT, DATA = "corrupted", "clean", "text", "data"
PER_BLOCK = "blocks.*."


class Fields(QWidget):
    """`entry()` is what stands there; ValueError or SpecError says what cannot be read."""

    changed = Signal()

    def __init__(
        self, entry: Intervention, about: str, model: Any, prompts: PromptPair, jobs: Jobs
    ) -> None:
        super().__init__()
        self.first, self.about, self.model, self.prompts = entry, about, model, prompts
        self.hooks: dict[str, str] = model.hooks()
        self.title = title_of(entry.action)
        self.how, self.site, self.layer, self.head = Choice(), Choice(), Choice(), Choice()
        self.positions, self.units = QLineEdit(), QLineEdit()
        self.along, self.source = Choice(), Choice()
        self.factor = QDoubleSpinBox()
        self.factor.setRange(-1e9, 1e9)
        self.factor.setDecimals(3)
        self.factor.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.file = RefField("direction", "file", jobs)
        self.file.kind = "direction"
        self.sae = SaeField(jobs)
        self.text = Editor("Prompt that the values come from")
        self.data = RefField("data", "file", jobs)
        self.data.kind = "prompt pairs"
        self.by_position = QCheckBox("At each position")
        self.by_position.setToolTip("The mean over the rows at each position, not over them all")
        self._lay_out()
        self._fill(entry)
        self._connect()
        self._show()

    def _lay_out(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(8)
        self.boxes: dict[str, QWidget] = {}
        self.captions: dict[str, Any] = {}
        places = (
            ("how", self.how, "Put in", 0, 0, 3), ("site", self.site, "Activation", 1, 0, 1),
            ("layer", self.layer, "Layer", 1, 1, 1), ("head", self.head, "Head", 1, 2, 1),
            ("positions", self.positions, "Positions", 2, 0, 1),
            ("units", self.units, "Units", 2, 1, 2), ("along", self.along, "Of it", 3, 0, 1),
            ("factor", self.factor, "Factor", 3, 1, 2), ("file", self.file, "Direction", 4, 0, 3),
            ("sae", self.sae, "Sparse autoencoder", 4, 0, 3),
            ("source", self.source, "Values of", 5, 0, 3), ("text", self.text, "Prompt", 6, 0, 3),
            ("data", self.data, "Table of prompts, or a text", 7, 0, 3),
            ("by_position", self.by_position, "", 8, 0, 3),
        )  # fmt: skip
        for name, control, caption, row, column, wide in places:
            box = QWidget()
            inner = QVBoxLayout(box)
            inner.setContentsMargins(0, 0, 0, 0)
            inner.setSpacing(2)
            if caption:
                self.captions[name] = title = label(caption, "caption")
                title.setBuddy(control)
                control.setAccessibleName(caption)
                inner.addWidget(title)
            inner.addWidget(control)
            self.boxes[name] = box
            grid.addWidget(box, row, column, 1, wide)
        grid.setColumnStretch(0, 3)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)
        for line, what in ((self.positions, "all"), (self.units, "all")):
            line.setPlaceholderText(what)
        self.positions.setToolTip("Such as 3, 5-7; empty for all. 0 is BOS, if there is one")

    # from an intervention

    def _fill(self, entry: Intervention) -> None:
        for action, words in HOW.items():
            self.how.addItem(words, action)
        self.how.setCurrentIndex(max(self.how.findData(entry.action), 0))
        site, layer = parted(entry.name)
        for name in dict.fromkeys(parted(hook)[0] for hook in self.hooks):
            self.site.addItem(site_words(name), name)
        self.site.setCurrentIndex(max(self.site.findData(site), 0))
        for number in range(self.model.config.n_layers):
            self.layer.addItem(str(number), number)
        self.layer.setCurrentIndex(layer)
        self._fill_heads(entry.head)
        self.positions.setText(text_of(entry.positions))
        self.units.setText(text_of(entry.units))
        self.factor.setValue(entry.factor)
        self._fill_along(entry.direction)
        if entry.sae is not None:
            self.sae.show_ref(entry.sae)
            self.along.setCurrentIndex(self.along.findData(FEATURES))
        kinds = [(CORRUPTED, "the corrupted prompt"), (CLEAN, "the clean prompt"),
                 (TEXT, "another prompt")]  # fmt: skip
        if self.title == "Ablate":
            kinds.append((DATA, "a table of prompts, or a text"))
        for kind, words in kinds:
            self.source.addItem(words, kind)
        known = {self.prompts.corrupted: CORRUPTED, self.prompts.clean: CLEAN}
        usual = CORRUPTED if self.prompts.corrupted else CLEAN if self.prompts.clean else TEXT
        kind = DATA if entry.data else known.get(entry.source, TEXT) if entry.source else usual
        self.source.setCurrentIndex(max(self.source.findData(kind), 0))
        if isinstance(entry.source, str):
            self.text.show_text(entry.source)
        else:
            self.text.show_text(", ".join(map(str, entry.source)))
        self.data.show_ref(entry.data)
        self.by_position.setChecked(entry.by_position)

    def _fill_heads(self, head: int | None) -> None:
        self.head.blockSignals(True)
        self.head.clear()
        self.head.addItem("all", None)
        for number in range(self.n_heads):
            self.head.addItem(str(number), number)
        self.head.setCurrentIndex(0 if head is None or head >= self.n_heads else head + 1)
        self.head.blockSignals(False)

    def _fill_along(self, direction: Ref | tuple[float, ...] | None) -> None:
        """What of the activation is changed: all of it, chosen units, or one direction."""
        answers = answer_direction(self.model, self.prompts)
        self.along.addItem("the units given" if self.title == "Steer" else "all of it", WHOLE)
        self.along.addItem("its answer direction", ANSWERS)
        self.along.addItem("clean minus corrupted", PAIR)
        self.along.addItem("a direction in a file", FILE)
        self.along.addItem("features of an SAE", FEATURES)
        chosen = WHOLE
        if isinstance(direction, Ref):
            chosen = FILE
            self.file.show_ref(direction)
        elif direction is not None and direction == answers:
            chosen = ANSWERS
        elif direction is not None:
            self.along.addItem(self.about or in_words(self.first).partition("along ")[2], KEPT)
            chosen = KEPT
        self.along.setCurrentIndex(self.along.findData(chosen))

    def _connect(self) -> None:
        for box in (self.how, self.layer, self.head, self.along, self.source, self.site):
            box.currentIndexChanged.connect(self._turned)
        for line in (self.positions, self.units):
            line.textEdited.connect(lambda _: self.changed.emit())
        self.factor.valueChanged.connect(lambda _: self.changed.emit())
        self.text.textChanged.connect(self.changed)
        self.by_position.toggled.connect(lambda _: self.changed.emit())
        for field in (self.file, self.data, self.sae):
            field.changed.connect(self.changed)
        self.sae.looked.connect(self._turn_to_sae)

    def _turn_to_sae(self) -> None:
        """Go to the hook that the SAE reads, where this model has it."""
        site, layer = parted(self.sae.hook)
        if self.sae.hook in self.hooks:
            self.site.setCurrentIndex(self.site.findData(site))
            self.layer.setCurrentIndex(layer)
        self.changed.emit()

    def _turned(self, *_: Any) -> None:
        if self.sender() is self.site:
            self._fill_heads(self.head.currentData())
        if self.sender() is self.along and self.along.currentData() == FEATURES:
            self.sae.offer(self.model.folder)
        self._show()
        self.changed.emit()

    # what is shown

    @property
    def action(self) -> Action:
        return self.how.currentData() if self.title == "Ablate" else self.first.action

    @property
    def name(self) -> str:
        site = self.site.currentData()
        return site.replace("*", str(self.layer.currentData()), 1)

    @property
    def axes(self) -> list[str]:
        return self.hooks.get(self.name, "1").split()

    @property
    def n_heads(self) -> int:
        cfg = self.model.config
        counts = {"head": cfg.n_heads, "kv_head": cfg.n_key_value_heads}
        return next((counts[axis] for axis in self.axes if axis in counts), 0)

    @property
    def directed(self) -> bool:
        """Whether the activation has directions."""
        return self.axes[-1] not in ("key", "1")

    def _show(self) -> None:
        borrowed = self.action in BORROWED
        along = self.along.currentData() if self.directed and not borrowed else WHOLE
        seen = {
            "how": self.title == "Ablate",
            "layer": self.site.currentData().startswith(PER_BLOCK),
            "head": bool(self.n_heads) and along != FEATURES,
            "units": self.axes[-1] != "1" and along in (WHOLE, FEATURES),
            "along": self.directed and not borrowed,
            "factor": self.action in FACTOR,
            "file": along == FILE,
            "sae": along == FEATURES,
            "source": borrowed,
            "text": borrowed and self.source.currentData() == TEXT,
            "data": borrowed and self.source.currentData() == DATA,
            "by_position": self.action == "mean" and self.source.currentData() == DATA,
        }
        for name, on in seen.items():
            self.boxes[name].setVisible(on)
        last = self.axes[-1]
        units = {"key": "Keys", "d_mlp": "Neurons", "d_vocab_out": "Tokens"}.get(last, "Units")
        featured = along == FEATURES
        self.captions["units"].setText("Features" if featured else units)
        self.units.setPlaceholderText("such as 12, 40" if featured else "all")
        self.captions["along"].setText("Along" if self.title == "Steer" else "What of it")
        self.captions["factor"].setText(FACTOR.get(self.action, "Factor"))
        wide = last == "d_model"
        model: Any = self.along.model()
        answers = wide and answer_direction(self.model, self.prompts) is not None
        known = {ANSWERS: answers, PAIR: bool(self.prompts.clean and self.prompts.corrupted)}
        for kind, on in known.items():
            model.item(self.along.findData(kind)).setEnabled(on)
        self.along.setItemText(self.along.findData(ANSWERS), self.answers_words)

    @property
    def answers_words(self) -> str:
        """Such as "Anton − Mike"."""
        if answer_direction(self.model, self.prompts) is None:
            return "answer − wrong"
        ids = [self.model.token(token) for token in (self.prompts.answer, self.prompts.wrong)]
        return " − ".join(token_text(word) for word in self.model.pieces(ids))

    # to an intervention

    def entry(self) -> Intervention:
        """What stands there. The direction of `wants_pair` is still a stand-in."""
        borrowed, action = self.action in BORROWED, self.action
        units = None if self.boxes["units"].isHidden() else numbers_of(self.units.text())
        head = None if self.boxes["head"].isHidden() else self.head.currentData()
        made = Intervention(
            self.name, action, self.factor.value() if action in FACTOR else 0.0, head,
            numbers_of(self.positions.text()), units,
            self._direction(units) if self.directed and not borrowed else None,
            seed=self.first.seed, bos=self.prompts.bos, sae=self._sae(units),
        )  # fmt: skip
        return self._with_values(made) if borrowed else replace(made, bos=self.first.bos)

    def _sae(self, units: tuple[int, ...] | None) -> Ref | None:
        if self.boxes["sae"].isHidden():
            return None
        chosen = self.sae.value or _lacking("Choose the folder of an SAE.")
        if units is None:
            raise ValueError("Say which of its features.")
        if why := self.sae.wrong(units, self.name):
            raise ValueError(why)
        return chosen

    def _direction(self, units: tuple[int, ...] | None) -> Ref | tuple[float, ...] | None:
        width = width_of(self.axes, self.model.config)
        match self.along.currentData():
            case "answers":
                return answer_direction(self.model, self.prompts)
            case "pair":
                return (1.0,) + (0.0,) * (width - 1)
            case "file":
                return self.file.value or _lacking("Choose the file of a direction.")
            case "kept":
                return self.first.direction
            case "features":
                return None
        if self.title == "Steer" and units is None:
            raise ValueError("Say which units to add to, or a direction.")
        return None

    def _with_values(self, made: Intervention) -> Intervention:
        match self.source.currentData():
            case "corrupted":
                source = self.prompts.corrupted or _lacking("There is no corrupted prompt.")
            case "clean":
                source = self.prompts.clean or _lacking("There is no clean prompt.")
            case "text":
                source, bos = self._typed(), made.bos
                kept = self.first.source == source
                made = replace(made, bos=self.first.bos if kept else bos)
            case _:
                ref = self.data.value or _lacking("Choose a table of prompts, or a text.")
                by_position = self.action == "mean" and self.by_position.isChecked()
                return replace(made, data=ref, by_position=by_position)
        try:
            self.model.tokens(source, made.bos)
        except RuntimeError as error:
            raise ValueError(f"Its prompt: {error}.") from None
        return replace(made, source=source)

    def _typed(self) -> str | tuple[int, ...]:
        text = self.text.toPlainText()
        if not text.strip():
            raise ValueError("Write the prompt that the values come from.")
        if self.model.tokenizer is None:
            return numbers_of(text) or ()
        return text

    @property
    def wants_pair(self) -> bool:
        """Whether the direction is still to be computed from both prompts."""
        return not self.boxes["along"].isHidden() and self.along.currentData() == PAIR

    @property
    def direction_words(self) -> str:
        """What the direction is, where its numbers do not say."""
        kind = "" if self.boxes["along"].isHidden() else str(self.along.currentData())
        told = {ANSWERS: self.answers_words, PAIR: "clean − corrupted", KEPT: self.about}
        return told.get(kind, "")


def _lacking(words: str) -> Any:
    raise SpecError("intervention", words)


def parted(name: str) -> tuple[str, int]:
    """ "blocks.3.attn.hook_z" -> ("blocks.*.attn.hook_z", 3); what is in no block has layer 0."""
    parts = name.split(".")
    if parts[0] != "blocks" or len(parts) < 3:
        return name, 0
    return ".".join(["blocks", "*", *parts[2:]]), int(parts[1])


def site_words(site: str) -> str:
    """ "attn z, heads' outputs" of "blocks.*.attn.hook_z"."""
    parts = site.removeprefix(PER_BLOCK).split(".")
    words = " ".join([*parts[:-1], parts[-1].removeprefix("hook_")])
    return f"{words}, {GLOSS[parts[-1]]}" if parts[-1] in GLOSS else words

"""Side: the form of a probing panel, and below it whether a token alone decides the label."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QFrame, QHBoxLayout

from engine.probes.examples import BUILT_IN
from gui.buttons import Icon, label
from gui.column import Column
from gui.form import Form
from gui.probes.fields import Fields, Group, Plan

WIDTH = 280  # px
PROBING = Plan(
    groups=(
        Group("What is read", ("data", "column", "read", "position", "site", "layers",
                               "n_examples", "by_position")),
        Group("Probe", ("probe", "k", "lambdas", "seeds", "codelength")),
        Group("Always beside it", ("control_task", "random_weights", "shuffled")),
        Group("Advanced: hook, seed, BOS", ("hook", "seed", "bos"), folded=True),
    ),
    wide=("data", "column", "read", "site", "probe", "hook", "lambdas"),
    applies={
        "position": lambda now: now["read"] == "position",
        "k": lambda now: now["probe"] == "sparse",
        "lambdas": lambda now: not str(now["probe"]).startswith("mass_mean"),
        "site": lambda now: not now["hook"],
        "layers": lambda now: not now["hook"],
    },
    marks={"control_task": "control task", "random_weights": "random weights",
           "shuffled": "shuffled labels"},
    always=(("Majority, word, raw embedding", "dashed"),),
    blanks={"layers": "all", "hook": "none"},
    names={"column": BUILT_IN},
)  # fmt: skip
USE = Plan(
    groups=(
        Group("Direction", ("direction", "label", "layer", "site")),
        Group("What is done", ("how", "factor", "watch")),
        Group("Measured on", ("data", "column", "read", "position", "n_examples",
                              "random_directions")),
        Group("Advanced: hook, seed, BOS", ("hook", "seed", "bos"), folded=True),
    ),
    wide=("direction", "label", "data", "column", "read", "hook", "watch"),
    applies={
        "position": lambda now: now["read"] == "position",
        "factor": lambda now: now["how"] == "steer",
        "site": lambda now: not now["hook"],
        "layer": lambda now: not now["hook"],
    },
    names={"column": BUILT_IN},
    blanks={"direction": "a probe's, trained on other texts", "label": "the most frequent",
            "watch": "none", "hook": "none"},
)  # fmt: skip
CLEAR, NOT_YET = "No leakage found", "Leakage is looked for with each run."
ONCE = "test part read once"


class Side(Column):
    """A column that scrolls, with a line at its foot."""

    def __init__(self, form: Form, plan: Plan, *, watches: bool = True) -> None:
        """watches: with the line that says whether a token decides the label."""
        super().__init__((0, 4, 0, 8), 4)
        self.setFixedWidth(WIDTH)
        self.fields = Fields(form, plan)
        self.box.addWidget(form)
        self.box.addStretch(1)
        line = QFrame()
        line.setProperty("hairline", True)
        row = QHBoxLayout()
        row.setContentsMargins(16, 6, 16, 0)
        row.setSpacing(8)
        self.sign = Icon("info")
        self.verdict = label(NOT_YET, "small")
        self.verdict.setWordWrap(True)
        self.once = label("", "small")
        row.addWidget(self.sign)
        row.addWidget(self.verdict, 1)
        row.addWidget(self.once)
        if watches:
            self.box.addWidget(line)
            self.box.addLayout(row)

    def minimumSizeHint(self) -> QSize:
        return QSize(WIDTH, 80)

    def show_leakage(self, result: Any) -> None:
        """What a run found; None while there is none."""
        text = str(result.leakage) if result is not None else ""
        found = bool(text)
        known = result is not None and result.best_site >= 0
        name = "triangle-alert" if found else "circle-check" if known else "info"
        self.sign.show_icon(name, "warn" if found else "good" if known else "muted")
        self.verdict.setText(text if found else CLEAR if known else NOT_YET)
        self.once.setText("" if found or not known else ONCE)

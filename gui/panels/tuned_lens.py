"""Tuned lens: translators learn each layer's basis; KL to the end by layer and over the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PySide6.QtWidgets import QMenu, QWidget

from engine.refs import Ref
from engine.techniques.tuned_lens import TunedLensResult
from gui import dialogs, theme
from gui.beside import Beside
from gui.focus import Desk, Focus
from gui.jobs import Jobs
from gui.lens import tuned_said as said
from gui.lens.fields import LensSide
from gui.lens.tuned_page import TunedPage
from gui.panel import Panel
from gui.plots import Line, StepLine

FOLDS = 760  # px: a narrower panel shows the form only when asked
READER = "LogitLens"
NOT_KEPT = "This lens is in no file yet: save it as a folder first."


class TunedLensPanel(Panel):
    """The lens against the logit lens on held-out text, and the way there."""

    kind = "TunedLens"
    title = "Tuned lens"
    icon = "sliders-horizontal"
    place = "centre-top"
    order = 95
    form_open = True
    arrangement: ClassVar[str] = "Train"
    words = {  # noqa: RUF012
        "data": "Text",
        "n_tokens": "Tokens",
        "held_out": "Held out",
        "n_steps": "Steps",
        "lr": "Learning rate, scale",
        "batch": "Tokens in a step",
        "sgd": "SGD",
        "adam": "Adam",
        "clip": "Gradient clip",
    }
    question = ("Give the lens each layer's own basis", "How much of the end can already be read, "
                "once a layer's own basis is known?")  # fmt: skip
    empty = (
        "Here a lens learns to read every layer: its distance to the final prediction, beside the "
        "logit lens's, on text that it never saw. Press Run."
    )

    def __init__(self, desk: Desk, jobs: Jobs) -> None:
        super().__init__(desk, jobs)
        self.side: LensSide | None = None
        if not theme.paper():
            assert self.form is not None
            self.side = LensSide(self.form)
            self._beside = Beside(self, self._body, self.side, self.page, FOLDS)

    def build(self) -> QWidget:
        self.page = TunedPage()
        self.page.use.clicked.connect(lambda: self.use())
        self.page.save.clicked.connect(lambda: self.ask_folder())
        self.page.by_layer.clicked.connect(lambda _row, col: self._turn(col))
        return self.page

    def menu(self) -> QMenu:
        menu = super().menu()
        menu.addSeparator()
        menu.addAction("Use it in the lens", lambda: self.use())
        menu.addAction("Save as folder…", lambda: self.ask_folder())
        return menu

    # drawing

    def draw(self, result: TunedLensResult) -> None:
        page = self.page
        self.line.setText(self.sentence(result))  # before the room for the picture is measured
        page.detail.setText(said.detail(result))
        labels = [str(layer) for layer in result.layers.tolist()]
        lines = [Line("logit lens", result.lens_kl, "muted", dashed=True)]
        if len(result.held_out_kl):
            lines.insert(0, Line("tuned lens", result.held_out_kl, "accent"))
        page.by_layer.set_lines(
            lines, labels, title="KL to the end by block input, nats, held-out text", unit="nats"
        )
        self._draw_steps(result)
        able = len(result.W) > 0 and not self._twin and not self.running
        for button in (page.use, page.save):
            button.setEnabled(able)
        page.arrange()

    def _draw_steps(self, result: TunedLensResult) -> None:
        """A faint line for each layer, their mean, and the layer in Focus."""
        known, chosen = np.asarray(result.history_kl), self._chosen(result)  # [record, layer]
        lines = [
            StepLine(f"block {layer}", known[:, at], "muted", strong=False)
            for at, layer in enumerate(result.layers.tolist())
            if at != chosen
        ]
        if known.size:
            mean = known.mean(axis=1)  # [record]
            lines.append(StepLine("mean", mean, "text", label="mean"))
        if chosen is not None and known.size:
            name, own = f"block {int(result.layers[chosen])}", known[:, chosen]  # [record]
            lines.append(StepLine(name, own, "accent", label=name))
        spec: Any = self.drawn[0]
        end = float(getattr(spec, "n_steps", 0) or result.step)
        self.page.over_steps.set_data(result.history_step, lines, end=max(end, 1.0), log=True)

    def sentence(self, result: TunedLensResult) -> str:
        return said.sentence(result)

    def difference(self, result_a: TunedLensResult, result_b: TunedLensResult) -> str:
        return said.compared(result_a, result_b)

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        result = self.result
        if axis == "layer" and result is not None and len(result.layers) == n:
            return [str(layer) for layer in result.layers.tolist()], False
        if axis == "record" and result is not None and len(result.history_step) == n:
            return [f"{step:,}" for step in result.history_step.tolist()], False
        return super().labels(axis, n)

    # where one looks

    def look_at(self, focus: Focus) -> None:
        if self.result is not None:
            self.page.by_layer.set_focus(self._chosen(self.result))
            self._draw_steps(self.result)

    def _chosen(self, result: TunedLensResult) -> int | None:
        """The translator of the block that the Focus looks at."""
        layers = result.layers.tolist()
        return layers.index(self.desk.focus.layer) if self.desk.focus.layer in layers else None

    def _turn(self, col: int) -> None:
        layer = int(self.result.layers[col])
        self.desk.turn(layer=layer, hook=f"blocks.{layer}.hook_resid_pre",
                       component=f"blocks.{layer}")  # fmt: skip

    # what can be done with it

    def ref(self) -> Ref | None:
        """The folder that the run in the picture was kept in; the newest, where it kept several."""
        run, job = self.run_shown, self.job
        kept: dict[int, Ref] = {}
        if run is not None:
            kept = dict(run.artifacts)
        elif job is not None and job.worker.spec is self.drawn[0]:
            kept = dict(job.kept)
        return kept[max(kept)] if kept else None

    def use(self, lens: Ref | None = None) -> None:
        """Read through it, in the panel of the lens, with the prompt that lies there."""
        lens = lens or self.ref()
        if self.result is None:
            return
        if lens is None:
            self.say(NOT_KEPT, "info", ("Save as folder…", self.ask_folder))
            return
        self.desk.ask("run", (READER, {"lens": lens}))

    def ask_folder(self) -> None:
        if self.result is not None and not self.running:
            dialogs.choose_folder(self.window(), "Save the tuned lens into a folder", self.save)

    def save(self, folder: Path) -> None:
        """Write config.json and params.safetensors into a folder of their own, off this thread."""
        result, model = self.result, self.drawn[1]
        if model is None:
            name = str(result.model_name)
            self.say(f"Open {name} to save its lens: the folder names what it reads.", "info")
            return
        place = folder / f"tuned-lens-{result.model_name}-{int(result.step)}-steps"
        if place.exists():
            self.say(f"{place} is there already: choose another folder.", "warn")
            return

        def work(watch: Any, report: Any) -> Ref:
            from engine.lens.tuned import save

            return save(place, result, model)

        job = self.jobs.do(work, "Saving the tuned lens", beside=True)
        job.finished.connect(lambda ref: self._saved(place, ref))
        job.failed.connect(lambda error, _: self.say(str(error), "warn"))

    def _saved(self, place: Path, ref: Ref) -> None:
        self.say(f"The lens is in {place}.", "good", ("Use it in the lens", lambda: self.use(ref)))

    def become_twin(self) -> None:
        super().become_twin()
        if self.side is not None:
            self._beside.leave()

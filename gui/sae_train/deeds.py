"""Deeds: what can be done with trained SAEs: save, browse, go on from a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from PySide6.QtWidgets import QMenu

from engine import technique
from engine.refs import Ref
from gui import dialogs
from gui.jobs import Job

if TYPE_CHECKING:
    from gui.panels.train_sae import TrainSAEPanel

BROWSER = "Features"
CHECKPOINT, SAVED = "SAE checkpoint", "SAE"  # kinds of what a run keeps
LISTED = 12  # checkpoints in the menu, the newest
NO_FILE = "No checkpoint of this run was kept as a file: press Run, and the new run keeps its own."


def folder_name(result: Any, variant: int) -> str:
    """What the folder of an SAE is called."""
    name = result.variant_names[variant].replace(" = ", "").replace(" ", "-")
    parts = (str(result.model_name), str(result.hook), str(result.architecture), name,
             f"{int(result.step)}-steps")  # fmt: skip
    return "-".join("".join(c if c.isalnum() or c in "._-" else "_" for c in p) for p in parts)


def own_folder() -> Path:
    """Where SAEs lie that are browsed before anybody saved them."""
    return Path(platformdirs.user_data_dir("mechanoscope")) / "saes"


class Deeds:
    """Belongs to a panel."""

    def __init__(self, panel: TrainSAEPanel) -> None:
        self.panel = panel

    # saving

    def ask_folder(self) -> None:
        if self.panel.result is not None:
            dialogs.choose_folder(self.panel.window(), "Save the SAE into a folder", self.save)

    def save(self, folder: Path) -> None:
        """Write the SAE that is looked at into a folder of its own, off this thread."""
        panel = self.panel
        place = folder / folder_name(panel.result, panel.variant)
        if place.exists():
            panel.say(f"{place} is there already: choose another folder.", "warn")
            return
        self._write(lambda _: place, lambda ref: self._saved(place, ref))

    def _saved(self, place: Path, ref: Ref) -> None:
        act = ("Browse its features", lambda: self._open(ref))
        self.panel.say(f"The SAE is in {place}.", "good", act)

    def _write(self, place: Callable[[Any], Path], then: Callable[[Ref], object]) -> None:
        panel = self.panel
        result, variant = panel.result, panel.variant

        def work(watch: Any, report: Any) -> Ref:
            from engine.sae.files import save

            sae = result.sae(variant)
            return save(sae, place(sae))

        job = panel.jobs.do(work, "Saving the SAE", beside=True)
        job.finished.connect(then)
        job.failed.connect(lambda error, _: panel.say(str(error), "warn"))

    # browsing

    def browse(self) -> None:
        """Its features; of training that was stopped from a folder that is written first."""
        if self.panel.result is None:
            return
        if (ref := self.ready()) is not None:
            self._open(ref)
            return
        name = folder_name(self.panel.result, self.panel.variant)

        def place(sae: Any) -> Path:
            seal = hashlib.blake2b(sae.W_dec.tobytes(), digest_size=4)
            seal.update(sae.W_enc.tobytes())
            return own_folder() / f"{name}-{seal.hexdigest()}"

        self._write(place, self._open)

    def _open(self, ref: Ref) -> None:
        """Over the text that it was trained on."""
        spec: Any = self.panel.drawn[0]
        data = getattr(spec, "data", None)
        wanted = {"basis": "auto", "sae": ref, "hook": "", "direction": (), "data": data}
        known = {item.name for item in fields(technique.of(BROWSER))}
        self.panel.desk.ask("run", (BROWSER, {n: v for n, v in wanted.items() if n in known}))

    # going on

    def _kept(self, kind: str) -> list[tuple[int, Ref]]:
        """(step, file or folder) of what the run in the picture kept of a kind."""
        run, job = self.panel.run_shown, self.panel.job
        if run is not None:
            kept = run.artifacts
        else:
            ours = job is not None and job.worker.spec is self.panel.drawn[0]
            kept = job.kept if job is not None and ours else ()
        return [(step, ref) for step, ref in kept if ref.kind == kind]

    def refs(self) -> dict[int, Ref]:
        """Step -> checkpoint file, of the run in the picture."""
        return dict(self._kept(CHECKPOINT))

    def ready(self) -> Ref | None:
        """The folder that a run wrote at its end of the SAE that is looked at; None = none."""
        result, stem = self.panel.result, self.panel.result.variant_names[self.panel.variant]
        name = f"sae-{stem.replace(' = ', '-')}-step-"
        for step, ref in self._kept(SAVED):
            if step == int(result.step) and Path(ref.where).name.startswith(name):
                return ref if Path(ref.where).is_dir() else None
        return None

    def fill(self, menu: QMenu) -> None:
        """A line for each checkpoint, the newest first."""
        menu.clear()
        for step in sorted(self.refs(), reverse=True)[:LISTED]:
            menu.addAction(f"Step {step:,}", lambda step=step: self.go_on(step))
        if not menu.actions():
            none = menu.addAction("No checkpoint was kept")
            none.setEnabled(False)

    def go_on(self, step: int | None = None) -> Job | None:
        """A run from a checkpoint, the newest where none is named, to the bit as if never stopped.

        Where that was the last step, twice as many are asked for.
        """
        panel, kept = self.panel, self.refs()
        if panel.result is None or panel.drawn[0] is None:
            return None
        if not kept or (step is not None and step not in kept):
            panel.say(NO_FILE, "info")
            return None
        step = max(kept) if step is None else step
        spec: Any = panel.drawn[0]
        for at, change in panel.changes():
            spec = spec.changed(change) if at < step else spec
        more = spec.n_steps if step < spec.n_steps else 2 * step
        before: Any = panel.run_shown if panel.run_shown is not None else panel.job
        job = Job(
            replace(spec, start=kept[step], n_steps=more), panel.drawn[1] or panel.desk.model,
            interventions=before.interventions, name=panel.title,
        )  # fmt: skip
        panel.fork(job)
        return job

"""SaeField: an SAE in the form of an intervention; it is opened to see what hook it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal

from engine.errors import FileError, RunError
from engine.refs import Ref
from gui.jobs import Job, Jobs
from gui.library import saes_beside
from gui.ref_field import RefField

__all__ = ["SaeField"]

KIND = "SAE"  # engine.sae.files', which brings scipy along, half a second of it


class SaeField(RefField):
    """A RefField of an SAE. `hook` and `d_sae` of the one chosen are known after `looked`."""

    looked = Signal()

    def __init__(self, jobs: Jobs) -> None:
        super().__init__("sae", "", jobs)
        self.kind = KIND
        self.hook, self.d_sae, self.trouble = "", 0, ""
        self._look: Job | None = None
        self._looked_at: Ref | None = None
        self.changed.connect(self._turned)

    def offer(self, folder: Path | None) -> None:
        """Take the SAE that lies beside a model, where none is chosen yet."""
        if self.ref is None and self.job is None and folder is not None:
            for found in saes_beside(folder)[:1]:
                self.read(found)

    def wrong(self, latents: tuple[int, ...] | None, hook: str) -> str:
        """Why these latents of it cannot be changed at this hook; "" as far as is known."""
        if self.trouble:
            return self.trouble
        if self.hook and self.hook != hook:
            return f"This SAE reads {self.hook}: choose that activation."
        for latent in latents or ():
            if self.d_sae and latent >= self.d_sae:
                return f"Feature {latent} is not in 0..{self.d_sae - 1} of this SAE."
        return ""

    def _turned(self) -> None:
        ref = self.ref
        if ref == self._looked_at:
            return
        self.hook, self.d_sae, self.trouble, self._looked_at = "", 0, "", ref
        if ref is None or self.jobs is None:
            return

        def work(watch: Any, report: Any) -> tuple[str, int]:
            from engine.sae.opening import open_sae

            sae = open_sae(ref, watch=watch)
            return sae.hook_name, sae.d_sae

        self._look = job = self.jobs.do(work, f"Looking into {ref.name}", beside=True)
        job.finished.connect(lambda told: self._known(ref, *told))
        job.failed.connect(lambda error, _: self._failed_to_open(ref, error))

    def _known(self, ref: Ref, hook: str, d_sae: int) -> None:
        if ref == self._looked_at:
            self.hook, self.d_sae = hook, d_sae
            self.looked.emit()

    def _failed_to_open(self, ref: Ref, error: BaseException) -> None:
        if not isinstance(error, FileError | RunError):
            raise error
        if ref == self._looked_at:
            self.trouble = str(error)
            self.looked.emit()

"""A model from a folder to a badge: its header at once, its weights, then what the checks say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from engine.errors import FileError, RunError
from gui.focus import Desk, Opened
from gui.jobs import Job, Jobs
from gui.settings import remember

Watch = Callable[[], None]
Report = Callable[[int, int], None]


class Opener(QObject):
    """Opens folders onto the desk, each step on a worker."""

    opened = Signal(object)  # Opened, with its weights
    refused = Signal(object)  # FileError
    digested = Signal(str, str, str)  # the header's digest, the weights' own, when they were opened

    def __init__(self, desk: Desk, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.desk, self.jobs = desk, jobs
        self._steps: dict[Path, Job] = {}

    def open(self, path: Path) -> None:
        """Show what the header of a folder, or of a file in it, says; the weights follow."""
        path = folder_of(path.absolute())
        if any(entry.folder == path for entry in self.desk.models):
            self.desk.activate(path)
            return
        if path in self._steps and not self._steps[path].done:
            return

        def look(watch: Watch, report: Report) -> Any:
            from engine.model import peek

            return peek(path)

        job = self._step(path, look, f"Reading {path.name}")
        job.finished.connect(lambda found: self._load(Opened(path, found)))
        job.failed.connect(lambda error, _: self._fail(path, error))

    def _step(self, folder: Path, work: Any, name: str, **how: bool) -> Job:
        job = self.jobs.do(work, name, beside=True, **how)  # no training holds it up
        self._steps[folder] = job
        return job

    def _load(self, opened: Opened) -> None:
        self.desk.put_model(opened, activate=True)

        def load(watch: Watch, report: Report) -> Any:
            from engine.model import open_model

            model = open_model(opened.folder, watch=watch, report=report)
            _learn_words(model)
            return model

        job = self._step(opened.folder, load, f"Opening {opened.name}")
        job.finished.connect(lambda model: self._loaded(replace(opened, model=model)))
        job.failed.connect(lambda error, _: self._fail(opened.folder, error))
        job.cancelled.connect(lambda _: self.desk.drop_model(opened.folder))

    def _loaded(self, opened: Opened) -> None:
        since = datetime.now(UTC).isoformat(timespec="milliseconds")
        remember("recent/models", str(opened.folder))
        self.desk.put_model(opened)
        self.opened.emit(opened)
        model = opened.model

        def digest(watch: Watch, report: Report) -> Any:
            from engine.model import weights_digest

            return weights_digest(model, watch=watch)

        def check(watch: Watch, report: Report) -> Any:
            from engine.model import self_check

            return self_check(model, watch=watch)

        job = self.jobs.do(digest, f"Digest of {opened.name}", background=True)
        job.finished.connect(lambda found: self._digested(model, found, since))
        job = self.jobs.do(check, f"Self-check of {opened.name}", heavy=True, background=True)
        job.finished.connect(lambda found: self._checked(opened.folder, check=found))
        job.failed.connect(lambda error, _: self._checked(opened.folder, problem=str(error)))

    def _digested(self, model: Any, digest: str, since: str) -> None:
        """Runs are kept under the weights' own digest from now on, and earlier ones too."""
        header, model.digest = model.digest, digest
        if header != digest:
            self.digested.emit(header, digest, since)

    def _checked(self, folder: Path, **found: Any) -> None:
        for entry in self.desk.models:
            if entry.folder == folder:
                self.desk.put_model(replace(entry, **found))

    def _fail(self, folder: Path, error: BaseException) -> None:
        known = {entry.folder for entry in self.desk.models}
        if not isinstance(error, FileError):
            if isinstance(error, MemoryError):
                why = "this machine has not enough memory for its weights"
            elif isinstance(error, RunError | OSError):
                why = str(error)
            else:
                self.desk.drop_model(folder)
                raise error
            error = FileError(folder, why)
        if folder in known:
            self.desk.drop_model(folder)
        self.refused.emit(error)


def folder_of(path: Path) -> Path:
    """For a file that stands for its whole folder (config.json, one of all shards) that folder."""
    weights, index = "model.safetensors", "model.safetensors.index.json"
    folder = path.parent
    with suppress(OSError, ValueError):
        shard = path.suffix == ".safetensors" and (folder / index).is_file()
        if path.is_file() and (
            path.suffix == ".json"
            or path.name == weights
            or (shard and not (folder / weights).exists())
        ):
            return folder
    return path


def _learn_words(model: Any) -> None:
    """Let the tokenizer build its tables here: 50,000 words would freeze the window."""
    model.vocabulary()
    with suppress(RunError):
        model.token(" the")

"""Others: the SAEs of the session's other runs at the same site, as dots of the Pareto plot.

Results that lie only in the file are read in the background, one run at a time, for two numbers
of each SAE.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject

from engine.errors import FileError
from gui.entries import title_of
from gui.jobs import Job, Jobs
from gui.plots import figure
from gui.plots.pareto import ParetoPoint

MOST = 200  # dots that are kept with a picture


@dataclass(frozen=True)
class Found:
    """One SAE of one run. run: when that began; site: what it read; key: the run in the list."""

    run: str
    site: str
    name: str
    l0: float
    recovered: float
    about: str
    key: int = 0


def site_of(result: Any) -> str:
    """What two SAEs must have in common to be one plot: the model, the hook, the head."""
    head = f", head {int(result.hook_head)}" if int(result.hook_head) >= 0 else ""
    return f"{str(result.model_digest)[:16]} {result.hook}{head}"


def found_in(run: Any, key: int = 0) -> list[Found]:
    """The SAEs of a run that were read on held-out text."""
    result, made = run.result, []
    for at, name in enumerate(result.variant_names):
        l0, recovered = float(result.l0[at]), float(result.recovered[at])
        if math.isfinite(l0) and math.isfinite(recovered):
            about = f"{title_of(run)}, {run.started[11:19]}: {result.architecture}, "
            about += f"{result.W_dec.shape[1]:,} latents, {int(result.step):,} steps"
            made.append(Found(run.started, site_of(result), name, l0, recovered, about, key))
    return made


def points(found: list[Found], result: Any, own: str) -> tuple[list[Found], list[ParetoPoint]]:
    """Those at the site of a result that are not of the run `own`, and their dots."""
    here = [each for each in found if each.site == site_of(result) and each.run != own]
    return here, [
        ParetoPoint(each.name, each.l0, each.recovered, own=False, about=each.about)
        for each in here
    ]  # fmt: skip


def own_points(result: Any, variant: int) -> list[ParetoPoint]:
    """The SAEs of the run in the picture."""
    return [
        ParetoPoint(
            name, float(result.l0[at]), float(result.recovered[at]), strong=at == variant,
            about=f"explained variance {figure(float(result.explained_variance[at]), 3)}",
        )
        for at, name in enumerate(result.variant_names)
    ]  # fmt: skip


def as_json(found: list[Found]) -> list[dict[str, Any]]:
    return [asdict(each) for each in found[-MOST:]]


def from_json(value: Any) -> list[Found]:
    """As a file has it, so anything may be wrong: what is no dot is left out."""
    wanted = {"str": (str,), "float": (float, int), "int": (int,)}
    kinds = {item.name: wanted[str(item.type)] for item in fields(Found)}
    made = []
    for each in value[:MOST] if isinstance(value, list) else ():
        fits = isinstance(each, dict) and set(each) == set(kinds) and all(
            type(each[name]) in kind for name, kind in kinds.items()
        )  # fmt: skip
        if fits and math.isfinite(each["l0"]) and math.isfinite(each["recovered"]):
            made.append(Found(**each))
    return made


class Others(QObject):
    """Follows a session's list of runs of one kind; `changed` is called with each new dot."""

    def __init__(self, kind: str, jobs: Jobs, changed: Callable[[], object], parent: QObject):
        super().__init__(parent)
        self.kind, self.jobs, self.changed = kind, jobs, changed
        self.records: Any = None
        self._known: dict[int, list[Found]] = {}  # by the line's key
        self._unread: set[int] = set()  # keys that cannot be read
        self._job: Job | None = None
        self._given: list[Found] = []  # that came with a picture, where there is no session

    def watch(self, records: Any) -> None:
        self.records = records
        records.changed.connect(self.collect)
        self.collect()

    def give(self, found: list[Found]) -> None:
        """What a stored picture had; a session that is here knows better."""
        self._given = found

    def found(self) -> list[Found]:
        """The SAEs of the runs that are listed, oldest first."""
        if self.records is None:
            return list(self._given)
        listed = [entry.key for entry in self.records.entries]
        return [each for key in listed for each in self._known.get(key, ())]

    def entry(self, found: Found) -> Any:
        """The line of the run that a dot is of; None where it is gone."""
        listed = self.records.entries if self.records is not None else []
        return next((entry for entry in listed if entry.key == found.key), None)

    def collect(self) -> None:
        """Take what has been listed since, and ask for what lies only in the file."""
        new, wanted = False, None
        for entry in self.records.entries:
            run = entry.run
            if run is None or run.kind != self.kind or entry.key in self._known:
                continue
            if run.result is not None:
                self._known[entry.key], new = found_in(run, entry.key), True
            elif entry.kept and entry.id and entry.path and entry.key not in self._unread:
                wanted = wanted or entry
        if new:
            self.changed()
        if wanted is not None and (self._job is None or self._job.done):
            self._read(wanted.key, wanted.path, wanted.id)

    def _read(self, key: int, path: Path, number: int) -> None:
        def work(watch: Any, report: Any) -> list[Found]:
            from engine.session import Session

            with Session.open(path, read_only=True) as session:
                return found_in(session.load(number), key)

        job = self._job = Job(work=work, name="Reading earlier SAEs", background=True)
        job.finished.connect(lambda found: self._done(key, found))
        job.failed.connect(lambda error, _: self._failed(key, error))
        self.jobs.submit(job)

    def _done(self, key: int, found: list[Found]) -> None:
        self._known[key] = found
        self.changed()
        self.collect()

    def _failed(self, key: int, error: BaseException) -> None:
        """A run that cannot be read has no dot; its line in the list says why."""
        self._unread.add(key)
        if not isinstance(error, FileError | LookupError):
            raise error
        self.collect()

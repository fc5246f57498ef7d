"""A session saved under a name and opened again: every run is there, one is shown as it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.errors import RunError
from engine.session import Run
from gui.entries import Entry
from gui.kinds import reads_model
from gui.panel import Panel
from gui.self_test.panels import look
from gui.self_test.trial import Trial, seal


def reopen(trial: Trial) -> tuple[Run, Panel]:
    """Save what has run, leave it, open the file; a run that was shown again, and its panel."""
    window, records = trial.window, trial.window.records
    trial.wait(lambda: not records.busy, "every run to be written")
    before = [seal(run.result) for run in _loaded(trial, records.entries)]
    if not before:
        raise RunError("there is no run to save")
    path = trial.home / "kept.mscope"
    records.save_as(path)
    trial.wait(lambda: records.path == path and not records.busy, "the session to be saved")
    records.new()
    for panel in window.panels:
        panel.clear()
    if not trial.check(not records.entries, "a new session still lists runs"):
        raise RunError("so nothing that is listed proves that the file was read")
    window.open_path(path)
    trial.wait(lambda: records.path == path, "the session to be opened")
    runs = _loaded(trial, records.entries)
    if (differs := difference(before, runs)) is not None:
        raise RunError(differs)
    return show_again(trial, records.entries, runs)


def difference(before: Sequence[str], runs: Sequence[Run]) -> str | None:
    """What the file has not kept to the bit."""
    if len(before) != len(runs):
        return f"{len(before)} runs were saved and {len(runs)} came back"
    for digest, run in zip(before, runs, strict=True):
        if seal(run.result) != digest:
            return f"the result of {run.kind} is not the one that was saved"
    return None


def show_again(trial: Trial, entries: Sequence[Entry], runs: Sequence[Run]) -> tuple[Run, Panel]:
    """The first run that read a model and has a panel, drawn from the file."""
    shows = {kind.kind for kind in trial.window.kinds if reads_model(kind)}
    found = [pair for pair in zip(entries, runs, strict=True) if pair[1].kind in shows]
    if not found:
        raise RunError("no run that reads a model came back")
    entry, run = found[0]
    panel = trial.window.panel(run.kind)
    trial.window.records.show(entry)
    trial.wait(lambda: panel.run_shown is not None, f"{panel.title} to be shown again")
    same = panel.result is not None and seal(panel.result) == seal(run.result)
    trial.check(same, f"{panel.title} shows another result than the one that was saved")
    look(trial, panel)
    return run, panel


def _loaded(trial: Trial, entries: Sequence[Entry]) -> list[Run]:
    """Every run with its result, from memory or from the file."""
    runs: list[Run] = []
    for entry in entries:
        told: list[Any] = []
        trial.window.records.load(entry, told.append)
        trial.wait(lambda told=told: bool(told), f"{entry.title} to be read")
        runs += told
    return runs

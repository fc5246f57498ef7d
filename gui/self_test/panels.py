"""Every panel opened, and every technique run: in its panel by a click on Run, else without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine import technique
from gui import library
from gui.form import Form
from gui.jobs import Job
from gui.kinds import reads_model
from gui.panel import Panel
from gui.ref_field import RefField
from gui.self_test.trial import Trial, words
from gui.tour.walk import blank

INPUTS: Mapping[str, Callable[[Path], list[Path]]] = {"sae": library.saes_beside}
"""What an input is called by its field -> where a model's folder has such ones."""


def open_panels(trial: Trial) -> str:
    """Make every panel of the table, bring it into sight, look whether anything is drawn."""
    for kind in trial.window.kinds:
        trial.attempt(kind.title, lambda kind=kind: open_panel(trial, kind))
    return f"{len(trial.window.kinds)} opened"


def open_panel(trial: Trial, kind: type[Panel]) -> None:
    panel, host = trial.window.panel(kind), trial.window.host
    trial.window.reveal(panel)
    trial.wait(lambda: host.in_sight(panel), "it to come into sight")
    trial.check(not blank(panel.grab().toImage()), f"{kind.title} draws nothing")


def run_techniques(trial: Trial) -> str:
    """Run the whole table on every bundled model; what reads none runs once."""
    folders, table = library.bundled(), technique.kinds()
    if not trial.check(bool(folders), "no model travels with the program"):
        return "none run"
    for number, folder in enumerate(folders):
        trial.attempt(folder.name, lambda folder=folder: open_model(trial, folder))
        if getattr(trial.window.desk.model, "folder", None) != folder:
            continue
        for cls in table.values():
            if cls.needs or not number:
                name = f"{cls.title} on {folder.name}" if cls.needs else cls.title
                trial.attempt(name, lambda cls=cls: run_technique(trial, cls))
    return f"{len(table)} techniques on {' and '.join(folder.name for folder in folders)}"


def open_model(trial: Trial, folder: Path) -> None:
    """Open a model and wait for its self-check."""
    desk = trial.window.desk
    trial.window.open_path(folder)
    trial.wait(lambda: desk.model is not None and desk.active.folder == folder, "its weights")
    trial.wait(lambda: desk.active.check is not None, "its self-check")
    check = desk.active.check
    trial.check(check.passed, f"the self-check of {folder.name} failed: {check.sentence}")


def run_technique(trial: Trial, kind: type[technique.Technique]) -> None:
    """With its quick settings, in its panel if it has one."""
    shows = [panel for panel in trial.window.kinds if panel.kind == kind.__name__]
    if shows:
        run_panel(trial, trial.window.panel(shows[0]))
    else:
        run_alone(trial, kind)


def run_panel(trial: Trial, panel: Panel) -> None:
    """What a person does: bring it to the front, set the form, press Run, look."""
    assert panel.form is not None
    trial.window.reveal(panel)
    panel.form.make_quick()
    give_inputs(trial, panel)
    before = panel.job
    panel.header.run_button.click()
    said = panel.message.text.text
    if not trial.check(panel.job is not before, f"{panel.title} did not start: {said()}"):
        return
    trial.wait(lambda: not panel.running, "its run to end")
    state = panel.job.state if panel.job is not None else ""
    if state != "finished" or panel.result is None:
        trial.problem(f"{panel.title} has no result: it {state}. {said()}")
        return
    look(trial, panel)


def look(trial: Trial, panel: Panel) -> None:
    """Whether a result is in the picture."""
    picture = panel.figure_widget()
    trial.wait(lambda: trial.window.host.in_sight(panel), "it to come into sight")
    shown = picture.isVisible() and not blank(picture.grab().toImage())
    trial.check(shown, f"{panel.title} has a result and draws nothing of it")


def give_inputs(trial: Trial, panel: Panel) -> None:
    """Put into the form what lies beside the model: a field says what it wants, not who it is."""
    if panel.form is None or not reads_model(panel):
        return
    for entry in panel.form.entries.values():
        field = entry.control
        if isinstance(field, RefField) and field.kind in INPUTS:
            found = INPUTS[field.kind](trial.window.desk.model.folder)
            job = field.read(found[0]) if found else None
            if job is not None:
                trial.wait(lambda job=job: job.done, f"{found[0].name} to be read")
            elif field.ref is not None:
                field.show_ref(None)  # of the model before


def run_alone(trial: Trial, kind: type[technique.Technique]) -> None:
    """A technique that no panel shows: the same form, the same kind of job, no picture."""
    desk, form = trial.window.desk, Form(kind, jobs=trial.window.jobs)
    form.make_quick()
    spec = form.spec(desk.prompts, desk.pair_set)
    form.deleteLater()
    job = trial.window.jobs.submit(Job(spec, desk.model if kind.needs else None))
    ended: list[Any] = []
    job.finished.connect(ended.append)
    job.failed.connect(lambda error, _: trial.problem(f"{kind.title}: {words(error)}"))
    trial.wait(lambda: job.done, "its run to end")
    trial.check(ended != [] and ended[0] is not None, f"{kind.title} has no result")

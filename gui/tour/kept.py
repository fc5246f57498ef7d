"""The stops about what is kept: history, comparison, provenance, a figure, the session's file."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import RunError
from gui import provenance
from gui.figures import SINGLE, Layout, figure_of
from gui.tour.stop import Stop
from gui.tour.walk import Walk

SEARCHED = "world Oscar"  # a model's name and a word of one prompt only
TITLE = "Where the name waits"
NOTE = "It stays at its own place until it is fetched to the last word."
DPI = 300
FORMATS = ("png", "svg", "pdf")


def runs_of(walk: Walk, kind: str, model: str) -> list[Any]:
    """The finished runs of a kind on a model, oldest first."""
    found = [entry for entry in walk.window.records.entries if entry.run is not None]
    return [
        entry
        for entry in found
        if (entry.run.kind, entry.run.status) == (kind, "finished")
        and entry.run.model is not None
        and entry.run.model.name == model
    ]


def history(walk: Walk) -> None:
    """The list unfolded, a run renamed and noted, a search, and an old run brought back."""
    window, runs = walk.window, walk.bottom()
    model = window.desk.models[0].name
    last = runs_of(walk, "ActivationPatching", model)[-1]
    window.records.rename(last, TITLE)
    window.records.annotate(last, NOTE)
    runs.unfold()
    walk.settle()
    runs.search.setText(SEARCHED)
    walk.settle()
    if [line.title for line in runs.runs.lines] != [TITLE]:
        raise RunError(f"the search for {SEARCHED!r} found {len(runs.runs.lines)} runs")
    walk.look("window-search")
    runs.search.clear()
    walk.settle()
    first = runs_of(walk, "LogitLens", model)[0]
    runs.table.choose(runs.runs.row_of(first))
    runs.ask(first)
    panel = walk.panel("LogitLens")
    walk.wait(lambda: panel.run_shown is not None and panel.run_shown.id == first.id, "the old run")
    if window.desk.active is None or window.desk.active.name != model:
        raise RunError("the model of the old run did not come back with it")


def two_runs(walk: Walk) -> None:
    """The two patching grids of the tour against each other, by the button of the list."""
    runs, panel = walk.bottom(), walk.panel("ActivationPatching")
    model = walk.window.desk.models[0].name
    grids = runs_of(walk, "ActivationPatching", model)
    pair = (grids[0], grids[-1])
    runs.table.choose_entries(pair)
    runs.compare_button.click()

    def compared() -> Any:
        return panel.comparison.found if panel.comparison is not None else None

    walk.wait(lambda: compared() is not None, "the comparison")
    runs.unfold()
    walk.settle()
    grid = next(pair for pair in compared().arrays if pair.name == "value")
    if grid.difference is None or grid.same_bits:
        raise RunError("two different grids of one shape were not subtracted")


def where_from(walk: Walk) -> None:
    """The card of a picture's origin, with the network's digest and the exact tokens."""
    panel = walk.panel("ActivationPatching")
    panel.compare(None)
    panel.show_provenance()
    card = provenance.card_of(panel)
    said = " ".join(value for _, value in card.rows) if card is not None else ""
    if panel.run_shown is None or panel.run_shown.model.digest not in said:
        raise RunError("the card does not name the network")


def a_figure(walk: Walk) -> None:
    """The grid as a journal prints it, in three formats beside the report."""
    panel = walk.panel("ActivationPatching")
    card = provenance.card_of(panel)
    if card is not None:
        card.end()
    number = walk.steps[-1].number
    with figure_of(panel, Layout(width_mm=SINGLE, caption=True)) as figure:
        for suffix in FORMATS:
            figure.write(walk.out / f"{number:02}-figure.{suffix}", DPI)
        title = f"The figure, {SINGLE:.0f} mm wide, {DPI} dpi"
        walk.keep(figure.image(DPI), "figure", title)


def again(walk: Walk) -> None:
    """Save under a name, begin a new session, open the file: everything is there as it was."""
    records, panel = walk.window.records, walk.panel("ActivationPatching")
    path = walk.home / "the kite.mscope"
    before = len(records.entries)
    newest = [entry for entry in records.entries if entry.run.kind == panel.kind][-1]
    results: list[Any] = []
    records.load(newest, lambda run: results.append(run.result))
    walk.wait(lambda: bool(results), "the newest grid")
    records.save_as(path)
    walk.wait(lambda: records.path == path, "the file")
    walk.settle()
    records.new()
    walk.settle()
    if records.entries:
        raise RunError("a new session has runs of the old one")
    for each in walk.window.panels:
        each.clear()
    walk.window.open_path(path)
    walk.wait(lambda: len(records.entries) == before and panel.result is not None, "the session")
    walk.settle()
    if not np.array_equal(panel.result.value, results[0].value, equal_nan=True):
        raise RunError("the grid is not the one that was saved")
    if TITLE not in [entry.title for entry in records.entries]:
        raise RunError("the title that was given to a run is lost")


KEPT = (
    Stop(
        "Find every run again",
        "All of this was kept as it ended: what was asked of which model, the settings that are "
        "not the usual ones, and the result. The bar at the bottom unfolds to the whole history. A "
        "search looks through titles, notes, prompts, models and errors; a click brings a run back "
        "with its prompts, its settings and its picture, and with the model it read.",
        history,
    ),
    Stop(
        "Set two runs against each other",
        "The first patching grid of this tour and the last: who gives, and which name there is to "
        "be taken. Above stands what differs between the two; below, one subtracted from the "
        "other.",
        two_runs,
    ),
    Stop(
        "Ask a picture where it comes from",
        "Every picture can tell: which network, by the digest of its weights; the exact tokens; "
        "every setting; the versions of the programs and the number of threads. The same stands in "
        "the caption of a figure and in every exported file.",
        where_from,
    ),
    Stop(
        "Print it in a paper",
        "The grid once more, laid out for one column of a journal: white, 7 point type, with its "
        "caption. PNG at any resolution, SVG and PDF as drawings with real text; all three lie "
        "beside this page.",
        a_figure,
    ),
    Stop(
        "Close it, and go on another day",
        "The session got a name, was closed and opened again from its file: all runs, their notes "
        "and the pictures, to the last bit.",
        again,
    ),
)

"""A run as a Python script: imports, load, `repr` of the spec, run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import engine
from engine.export.recipe import Recipe
from engine.export.source import docstring
from engine.session import Run
from engine.technique import Technique


def to_script(
    what: Run | Technique,
    folder: str | Path = "",
    changes: Iterable[tuple[int, Mapping[str, Any]]] = (),
    interventions: Sequence[Any] = (),
) -> str:
    """Python that runs a technique again; a Run brings its own folder, changes, interventions.

    A Run's script warns if the folder holds another model than the one that was read.
    """
    recipe = Recipe.of(what, folder, changes, interventions)
    head = [f"{recipe.title}: exported from Mechanoscope {engine.__version__}.", *_recorded(recipe)]
    return "\n".join([docstring(head), "", recipe.preparation(), recipe.execution(), ""])


def _recorded(recipe: Recipe) -> list[str]:
    """What the first time was, so that the second can be held against it."""
    run = recipe.run
    if run is None:
        return []
    lines = [""]
    if run.model is not None:
        lines.append(f"Model: {run.model.name}, {run.model.digest or 'digest unknown'}")
    if recipe.result_digest:
        lines.append(f"Result: {recipe.result_digest}")
    made = ", ".join(f"{name} {number}" for name, number in run.versions.items())
    threads = f"{run.blas_threads} BLAS threads" if run.blas_threads else ""
    lines.append("Recorded: " + ", ".join(part for part in (run.started, made, threads) if part))
    if run.status != "finished":
        lines.append(f"That run was {run.status} before its end; this one goes on to the end.")
    return lines

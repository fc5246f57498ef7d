"""The cells of a sweep: every combination of field values and seeds, checked before one starts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from engine.errors import SpecError
from engine.technique import Technique, field_values

MOST = 100_000  # cells; a grid is typed in a moment and computed for days
SEED = "seed"
_SHOWN = 40  # characters of a value in a cell's name

Grid = Mapping[str, tuple[Any, ...]]


def checked_grid(spec: Technique, grid: Mapping[str, Iterable[Any]]) -> dict[str, tuple[Any, ...]]:
    """The values of every swept field as that field holds them; SpecError names field and value."""
    return {name: _axis(spec, name, values) for name, values in grid.items()}


def _axis(spec: Technique, name: str, values: Any) -> tuple[Any, ...]:
    cls = type(spec)
    known = [item.name for item in fields(cls)]
    if name not in known:
        raise SpecError(name, f"{cls.__name__} has no such field; it has {', '.join(known)}")
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise SpecError(name, f"{values!r} is no list of values to go through")
    if isinstance(values, np.ndarray) and not values.ndim:
        raise SpecError(name, f"{values} is one value, not a list of them")
    listed = values.tolist() if isinstance(values, np.ndarray) else itertools.islice(values, MOST)
    fitted: list[Any] = []
    for value in listed:
        plain = value.item() if isinstance(value, np.generic) else value
        entry = field_values(cls, {name: plain})[name]
        if entry in fitted[-100:]:  # of long lists the neighbours: all pairs would take minutes
            raise SpecError(name, f"{plain!r} stands twice in the list")
        fitted.append(entry)
    if not fitted:
        raise SpecError(name, "the list of values is empty")
    return tuple(fitted)


def checked_seeds(spec: Technique, grid: Grid, seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds of every cell: a count goes on from the spec's own; () where nothing is seeded."""
    kind = type(spec).__name__
    own = getattr(spec, SEED, None)
    if isinstance(seeds, bool) or (isinstance(seeds, int) and seeds < 1):
        raise SpecError("seeds", f"{seeds!r} is not a number of seeds, 1 or more")
    if SEED in grid or own is None:
        if seeds != 1:
            why = "the grid gives them already" if SEED in grid else f"{kind} has no field {SEED}"
            raise SpecError("seeds", f"{seeds!r} seeds cannot be taken: {why}")
        return ()
    if isinstance(seeds, int):
        return tuple(range(own, own + min(seeds, MOST + 1)))
    return _axis(spec, SEED, tuple(seeds))


def shape_of(grid: Grid, seeds: Sequence[int]) -> tuple[int, ...]:
    """[*grid, seed]: one entry per swept field, and one for the seeds even if there is one."""
    return (*(len(values) for values in grid.values()), max(1, len(seeds)))


def cells_of(spec: Technique, grid: Grid, seeds: Sequence[int]) -> tuple[Technique, ...]:
    """The spec of every cell, the last axis fastest; SpecError names the value and the cell."""
    total = math.prod(shape_of(grid, seeds))
    if total > MOST:
        raise SpecError("grid", f"{total:,} cells are more than a sweep takes, {MOST:,}")
    cells = []
    for values in itertools.product(*grid.values(), seeds or (None,)):
        change = dict(zip(grid, values, strict=False))
        if seeds:
            change[SEED] = values[-1]
        try:
            cells.append(replace(spec, **change))
        except SpecError as error:
            where = named(change)
            more = f" (in the cell {where})" if where else ""
            raise SpecError(error.field, f"{error.message}{more}") from None
    return tuple(cells)


def name_of(spec: Technique, grid: Grid, seeds: Sequence[int]) -> str:
    """A cell as a person knows it: `density=0.3, seed=2`."""
    swept = [*grid, *([SEED] if seeds else [])]
    return named({name: getattr(spec, name) for name in swept}) or type(spec).__name__


def named(change: Mapping[str, Any]) -> str:
    texts = {name: repr(value) for name, value in change.items()}
    return ", ".join(
        f"{name}={text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"
        for name, text in texts.items()
    )

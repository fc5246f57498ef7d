"""Two runs of one kind as arrays: each field of both, and their difference; NPZ or CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engine.compare import Comparison
from engine.export.files import write_arrays
from engine.export.table import write_table

Array = npt.NDArray[Any]


def write_comparison(
    path: str | Path, found: Comparison, a: Mapping[str, Any], b: Mapping[str, Any]
) -> None:
    """Fields `<name>_a`, `<name>_b` and, where there is one, `<name>_difference` (b - a, float64).

    a, b: the provenance of both runs. The name's ending chooses: .csv, else NPZ, whose
    `provenance` is {"a": ..., "b": ...}. At once or not at all.
    """
    parts = list(compared_arrays(found))
    if Path(path).suffix.lower() == ".csv":
        write_table(path, parts, {"A": a, "B": b})
        return
    about = np.array(msgspec.json.encode({"a": a, "b": b}).decode())
    write_arrays(path, {name: cells for name, _, cells in parts} | {"provenance": about})


def compared_arrays(found: Comparison) -> Iterator[tuple[str, tuple[str, ...], Array]]:
    """(name, axes, cells) of everything that both runs hold; tables and nothing are left out."""
    for pair in found.arrays:
        for side, value in (("a", pair.a), ("b", pair.b), ("difference", pair.difference)):
            if value is not None and not isinstance(value, Mapping):
                cells = np.asarray(value)
                if cells.dtype != object:
                    yield f"{pair.name}_{side}", pair.axes, cells

"""A result as one tidy CSV table: columns field, its axes, value; provenance in `#` lines on top.

Read it with `pandas.read_csv(path, comment="#")`; `keep_default_na=False` keeps a token "NA" from
becoming NaN, which is an empty cell here. Texts are quoted, and one that a spreadsheet would take
for a formula begins with an apostrophe.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

import engine
from engine.caption import details
from engine.export.files import arrays_of, whole_file
from engine.technique import Technique, result_fields, to_json

Array = npt.NDArray[Any]

_SLAB = 1 << 16  # cells that are text at the same time
_FORMULA = tuple("=+-@\t\r")
_TENS = np.array([float(f"1e{power}") for power in range(-60, 61)])  # exact where they can be


def write_csv(
    path: str | Path,
    result: Any,
    spec: Technique,
    about: Mapping[str, Any] | None = None,
    watch: Callable[[], None] | None = None,
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Every number and text of a result, one per line; at once or not at all.

    about: a Run's provenance. `watch` may raise to stop; `report(done, total)` counts cells.
    """
    arrays = arrays_of(result)
    axes = {name: str(item.get("axes", "")).split()
            for name, item in result_fields(type(spec)).items()}  # fmt: skip
    table = [(name, own, arrays[name]) for name, own in axes.items() if name in arrays]
    write_table(path, table, about or {"spec": to_json(spec)}, watch, report)


def write_table(
    path: str | Path,
    table: Sequence[tuple[str, Sequence[str], Array]],
    about: Mapping[str, Any],
    watch: Callable[[], None] | None = None,
    report: Callable[[int, int], None] | None = None,
) -> None:
    """(field, names of its axes, cells) one after the other.

    about: a Run's provenance, or {"A": one's, "B": another's}.
    """
    table = [(name, _axes(own, cells.ndim), cells) for name, own, cells in table]
    widest = sorted(table, key=lambda entry: -len(entry[1]))  # its order of axes reads best
    columns = list(dict.fromkeys(axis for _, own, _ in widest for axis in own))
    total, done = sum(cells.size for *_, cells in table), 0
    with (
        whole_file(path) as fresh,
        fresh.open("w", encoding="utf-8", errors="replace", newline="") as stream,
    ):
        for line in _head(about):
            stream.write(f"# {line}\n")
        stream.write(",".join(["field", *columns, "value"]) + "\n")
        for name, own, cells in table:
            for n, lines in _lines(name, own, cells, columns):
                if watch is not None:
                    watch()
                stream.write("\n".join(lines) + "\n")
                done += n
                if report is not None:
                    report(done, total)


def _axes(names: Sequence[str], ndim: int) -> list[str]:
    """A column per axis, under the names that were declared if those fit."""
    if len(names) == ndim == len(set(names)) and not {"field", "value"} & set(names):
        return list(names)
    return [f"dim{number}" for number in range(ndim)]


def _head(about: Mapping[str, Any]) -> Iterator[str]:
    yield f"Written by Mechanoscope {engine.__version__}; lines like this one are no data"
    both = about.items() if about.keys() == {"A", "B"} else [("", about)]
    for which, one in both:
        for name, value in details(one):
            yield _comment(f"{which}{', ' if which else ''}{name}: {value}")


def _comment(line: str) -> str:
    """One line in which a spreadsheet, which cuts it at commas, finds neither quote nor formula."""
    plain = " ".join(line.replace('"', "'").split())
    return re.sub(r"([,;]['\s]*)(?=[=+\-@])", r"\1'", plain)


def _lines(
    name: str, own: Sequence[str], cells: Array, columns: Sequence[str]
) -> Iterator[tuple[int, list[str]]]:
    """The rows of one field, a slab at a time, in the order of the columns."""
    if cells.ndim == 0:
        yield 1, [f"{name}{',' * (len(columns) + 1)}{_texts(cells.reshape(1))[0]}"]
        return
    order = sorted(range(cells.ndim), key=lambda axis: columns.index(own[axis]))
    cells, at = cells.transpose(order), [columns.index(own[axis]) for axis in order]
    # What stands before each index: a comma, and one more for each column without an axis.
    before = ["," * (column - last) for last, column in zip([-1, *at], at, strict=False)]
    after = "," * (len(columns) - at[-1])
    n_inner = cells.shape[-1]
    inner: list[str] = []
    lines: list[str] = []
    for place in np.ndindex(cells.shape[:-1]):
        start = name + "".join(
            f"{commas}{index}" for commas, index in zip(before, place, strict=False)
        )
        for first in range(0, n_inner, _SLAB):
            some = range(first, min(first + _SLAB, n_inner))
            if len(inner) != n_inner or n_inner > _SLAB:  # else the same as for the last place
                inner = [f"{before[-1]}{index}{after}" for index in some]
            texts = _texts(cells[place][first : first + _SLAB])
            lines += [start + end for end in map(operator.add, inner, texts)]
            if len(lines) >= _SLAB:
                yield len(lines), lines
                lines = []
    if lines:
        yield len(lines), lines


# --- cells as text ------------------------------------------------------------------------------


def _texts(cells: Array) -> list[str]:
    """Numbers with as few digits as give them back, "" for NaN; texts quoted."""
    if cells.dtype.kind in "US":
        return [_quoted(str(text)) for text in cells.tolist()]
    if cells.dtype.kind == "b":
        cells = cells.astype(np.uint8)
    if cells.dtype.kind == "c":
        return [str(number) for number in cells.tolist()]
    if cells.dtype.kind == "f":
        if cells.dtype.itemsize < 8:
            cells = _short(cells)
        if not np.isfinite(cells).all():
            numbers = cells.astype(np.float64).tolist()
            return ["" if number != number else repr(number) for number in numbers]
    if not len(cells):
        return []
    # The fastest writer of shortest numbers that we have; of infinities it would make null.
    return msgspec.json.encode(cells.tolist())[1:-1].decode().split(",")


def _quoted(text: str) -> str:
    if text.lstrip(" ").startswith(_FORMULA):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"'


def _short(cells: Array) -> npt.NDArray[np.float64]:
    """Small floats as doubles with the fewest digits that still round to them.

    0.1 as a float32 is 0.10000000149 as a double; what is to be written is 0.1.
    """
    exact = cells.astype(np.float64)  # [cell]
    best = exact.copy()  # [cell]
    known = np.isfinite(exact) & (exact != 0.0)
    if not known.any():
        return best
    number, small = exact[known], cells[known]
    short = number.copy()
    power = np.floor(np.log10(np.abs(number))).astype(np.int64)  # [cell]
    for digits in range(9, 2, -1):  # nine always do
        scale = _TENS[np.clip(digits - 1 - power + 60, 0, 120)]
        rounded = np.rint(number * scale) / scale
        with np.errstate(over="ignore"):  # the largest one, rounded up
            fits = rounded.astype(cells.dtype) == small
        short[fits] = rounded[fits]
    best[known] = short
    return best

"""Tensors of an SAE's file as float32 arrays: each of the shape that the SAE's sizes demand.

A file says its shapes twice, in its header and in its configuration; where the two differ nothing
is made. Copies, never maps: an SAE lives longer than the file in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import FileError
from engine.model.checkpoint import available_memory
from engine.model.layout import check_finite
from engine.model.safetensors_file import READABLE, Header, TensorInfo, fill, map_file, view
from engine.sae.topk import Array

__all__ = ["Shape", "Watch", "all_finite", "check_memory", "read", "shapes", "widths"]

Watch = Callable[[], object] | None
Shape = tuple[int, ...]
ROWS = 4 << 20  # bytes copied between two looks at Stop

_NEEDED = {
    "standard": ("b_enc",),
    "topk": ("b_enc",),
    "batchtopk": ("b_enc", "topk_threshold"),
    "jumprelu": ("b_enc", "threshold"),
    "gated": ("b_gate", "b_mag", "r_mag"),
}


def shapes(architecture: str, d_in: int, d_sae: int) -> dict[str, Shape]:
    """Tensor name of SAELens -> the shape it must have. "batchtopk" is a training checkpoint."""
    found: dict[str, Shape] = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    for name in _NEEDED[architecture]:
        found[name] = () if name == "topk_threshold" else (d_sae,)
    return found


def widths(file: Path, tensors: Mapping[str, Any], name: str = "W_enc") -> tuple[int, int]:
    """The two sizes of a matrix of a file; FileError where it is missing or no matrix."""
    shape = getattr(tensors.get(name), "shape", None)
    if shape is None or len(shape) != 2 or 0 in shape:
        what = "is missing" if shape is None else f"has the shape {list(shape)}"
        raise FileError(file, f"the tensor {name!r} {what} and should be a matrix; it is no SAE")
    return shape[0], shape[1]


def check_memory(file: Path, wanted: Mapping[str, Shape]) -> None:
    """FileError where the arrays would not fit into the memory that is free."""
    need = 4 * sum(int(np.prod(shape, dtype=np.float64)) for shape in wanted.values())
    free = available_memory()
    if free is not None and need > free:
        raise FileError(
            file, f"needs {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; close "
            "other programs, or choose a narrower SAE"
        )  # fmt: skip


def read(
    header: Header,
    wanted: Mapping[str, Shape],
    watch: Watch = None,
    transposed: tuple[str, ...] = (),
) -> dict[str, Array]:
    """The tensors of `wanted`, float32 and finite; FileError names the first that is not right.

    transposed: names whose matrix lies in the file the other way round.
    """
    for name, shape in wanted.items():
        _check(header.file, header.tensors.get(name), name, _stored(shape, name in transposed))
    check_memory(header.file, wanted)
    mapped = map_file(header.file)  # [byte]
    found = {}
    for name, shape in wanted.items():
        tensor = header.tensors[name]
        if len(mapped) < tensor.end:
            raise FileError(header.file, "has changed while it was read; open it again")
        array = np.empty(shape, np.float32)
        _copy(array.T if name in transposed else array, view(mapped, tensor), tensor.dtype, watch)
        check_finite(tensor, np.atleast_1d(array))
        found[name] = array
    return found


def all_finite(file: Path, sae: Any, watch: Watch = None) -> Any:
    """The SAE; FileError where what was folded into its weights has made them overflow."""
    for field in fields(sae):
        array = getattr(sae, field.name)
        for part in _slabs(array) if isinstance(array, np.ndarray) else ():
            if not np.isfinite(part).all():
                raise FileError(
                    file, f"{field.name} is beyond what float32 holds once scales and norms are "
                    "folded into it; the file is damaged, or its scale is wrong"
                )  # fmt: skip
            if watch is not None:
                watch()
    return sae


def _slabs(array: Array) -> Iterator[Array]:
    """Rows of a matrix, or all of a vector: as much as takes a few milliseconds."""
    step = max(1, ROWS // (4 * array.shape[1])) if array.ndim == 2 else max(1, len(array))
    for first in range(0, len(array), step):
        yield array[first : first + step]


def _stored(shape: Shape, transposed: bool) -> Shape:
    return shape[::-1] if transposed else shape


def _check(file: Path, tensor: TensorInfo | None, name: str, shape: Shape) -> None:
    if tensor is None:
        raise FileError(file, f"the tensor {name!r} is missing; fetch the file again")
    if tensor.shape != shape:
        raise FileError(
            file, f"the tensor {name!r} has the shape {list(tensor.shape)} and should have "
            f"{list(shape)}: the weights do not belong to this configuration"
        )  # fmt: skip
    if tensor.dtype not in READABLE:
        raise FileError(
            file, f"the tensor {name!r} is {tensor.dtype}; weights are read from "
            f"{', '.join(READABLE)}"
        )  # fmt: skip


def _copy(target: Array, source: Array, dtype: str, watch: Watch) -> None:
    """In slabs of rows: Stop is answered between two."""
    if target.ndim < 2:
        fill(target, source, dtype)
        return
    step = max(1, ROWS // (4 * target.shape[1]))
    for first in range(0, len(target), step):
        fill(target[first : first + step], source[first : first + step], dtype)
        if watch is not None:
            watch()

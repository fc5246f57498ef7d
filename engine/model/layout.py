"""Where every tensor of a checkpoint goes: rows of a family's table -> the arrays of `Weights`.

A row names a slot of `Weights`, the tensor in the file, its axes and how it is turned into the
layout of the product [in, out]. Rows of one slot are joined along `out` (query, key, value). A
float32 tensor that only needs another view is not copied.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import FileError
from engine.model.config import ModelConfig
from engine.model.safetensors_file import READABLE, TensorInfo, fill, view
from engine.model.weights import Block, Norm, Weights

SLAB = 1 << 20  # numbers checked for NaN at once: a millisecond


@dataclass(frozen=True)
class Row:
    """One tensor: slot of `Weights`, name in the file, axes, how to turn it, when it exists.

    In a block's table slot and name are relative to the block. `when` names the switch that must
    be on. `older`: other axes and turns, taken where the shape fits one of them alone.
    """

    slot: str
    name: str
    axes: str
    turn: str = ""
    when: str = ""
    older: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Layout:
    """A family's reading of one checkpoint.

    sizes: axis name -> (length, the field of config.json that says so). block: the name of layer
    {} in the file. buffers: pattern of saved tensors that are no weights.
    """

    config: ModelConfig
    rows: tuple[Row, ...]
    block_rows: tuple[Row, ...]
    block: str
    sizes: Mapping[str, tuple[int, str]]
    buffers: str
    switches: frozenset[str] = frozenset()
    plain_norms: bool = False


@dataclass(frozen=True)
class Piece:
    """A tensor of a file and how it is turned."""

    tensor: TensorInfo
    turn: str


Slots = dict[str, tuple[Piece, ...]]


def _as_it_is(raw: npt.NDArray[Any], _n_heads: int) -> tuple[npt.NDArray[Any], int]:
    return raw, raw.ndim - 1


def _neox(raw: npt.NDArray[Any], n_heads: int) -> tuple[npt.NDArray[Any], int]:
    per_head = raw.reshape(n_heads, 3, -1, raw.shape[-1])  # [head, qkv, d_head, d_model]
    return per_head.transpose(3, 1, 0, 2), 1


def _neox_bias(raw: npt.NDArray[Any], n_heads: int) -> tuple[npt.NDArray[Any], int]:
    return raw.reshape(n_heads, 3, -1).transpose(1, 0, 2), 0  # [qkv, head, d_head]


TURNS: dict[str, Callable[[npt.NDArray[Any], int], tuple[npt.NDArray[Any], int]]] = {
    "": _as_it_is,
    "T": lambda raw, _: (raw.T, 1),
    "heads": lambda raw, _: (raw.transpose(1, 0, 2), 1),  # [head, in, d_head]
    "older heads": lambda raw, _: (raw.transpose(2, 0, 1), 1),  # [head, d_head, in]
    "out heads": lambda raw, _: (raw, 2),  # [head, d_head, out]
    "older out heads": lambda raw, _: (raw.transpose(0, 2, 1), 2),  # [head, out, d_head]
    "bias heads": lambda raw, _: (raw, 0),  # [head, d_head]
    "neox": _neox,
    "neox bias": _neox_bias,
    "zero": lambda raw, _: (raw, raw.ndim - 1),
}
"""Turn -> a view of the tensor, and how many of its leading axes make `in`; the rest is `out`."""


def resolve(
    layout: Layout, tensors: Mapping[str, TensorInfo], folder: Path
) -> tuple[Slots, tuple[str, ...]]:
    """Find every tensor and check its shape -> (slots, names that no row uses)."""
    slots: dict[str, tuple[Piece, ...]] = {}
    spellings: dict[str, str] = {}
    for row in _all_rows(layout):
        piece = _find(row, layout, tensors, folder, spellings)
        slots[row.slot] = (*slots.get(row.slot, ()), piece)
    if "older" in spellings and "either" in spellings:
        raise FileError(
            folder,
            f"tensor {spellings['older']!r} is in an older layout, and the shape of "
            f"{spellings['either']!r} does not tell in which; save the model again",
        )
    used = {piece.tensor.name for pieces in slots.values() for piece in pieces}
    unused = [n for n in tensors if n not in used and not re.fullmatch(layout.buffers, n)]
    astray = [name for name in unused if name.startswith(layout.block.partition("{}")[0])]
    if astray:
        more = f" and {len(astray) - 3} more" if len(astray) > 3 else ""
        raise FileError(
            folder,
            f"holds {', '.join(map(repr, astray[:3]))}{more}, for which "
            f"{layout.config.architecture} with {layout.config.n_layers} layers has no place; "
            "config.json does not describe this model",
        )
    return slots, tuple(unused)


def _all_rows(layout: Layout) -> Iterable[Row]:
    present = [row for row in layout.rows if not row.when or row.when in layout.switches]
    per_block = [row for row in layout.block_rows if not row.when or row.when in layout.switches]
    yield from present
    for layer in range(layout.config.n_layers):
        for row in per_block:
            name = f"{layout.block.format(layer)}{row.name}"
            yield replace(row, slot=f"blocks.{layer}.{row.slot}", name=name)


def _find(
    row: Row,
    layout: Layout,
    tensors: Mapping[str, TensorInfo],
    folder: Path,
    spellings: dict[str, str],
) -> Piece:
    found = tensors.get(row.name)
    if found is None:
        raise FileError(
            folder,
            f"the tensor {row.name!r} {_shape(row.axes, layout)} is missing; the download is "
            "incomplete, or config.json belongs to another model",
        )
    if found.dtype not in READABLE:
        raise FileError(
            found.file,
            f"tensor {row.name!r} is stored as {found.dtype}, and only {' '.join(READABLE)} are "
            "read; quantised models are not, take the original one",
        )
    wanted = _shape(row.axes, layout)
    turn = row.turn
    for axes, other_turn in row.older:
        older = _shape(axes, layout)
        if older == wanted == list(found.shape):
            spellings.setdefault("either", row.name)
        elif list(found.shape) == older:
            spellings.setdefault("older", row.name)
            wanted, turn = older, other_turn
    if list(found.shape) != wanted:
        names = {name for term in row.axes.split() for name in term.split("*")}
        said = ", ".join(
            f"{size} = {field}" for name, (size, field) in layout.sizes.items() if name in names
        )
        axes = ", ".join(row.axes.split())
        raise FileError(
            found.file,
            f"tensor {row.name!r} has the shape {list(found.shape)}, and config.json asks for "
            f"{wanted} [{axes}] ({said})",
        )
    return Piece(found, turn)


def _shape(axes: str, layout: Layout) -> list[int]:
    def length(term: str) -> int:
        return math.prod(
            int(name) if name.isdigit() else layout.sizes[name][0] for name in term.split("*")
        )

    return [length(term) for term in axes.split()]


def assemble(
    layout: Layout,
    slots: Slots,
    mapped: Mapping[Path, npt.NDArray[np.uint8]],
    done: Callable[[int], None],
) -> Weights:
    """Every array of `Weights`; `done(bytes)` is called after each slot."""
    config = layout.config
    arrays: dict[str, npt.NDArray[np.float32]] = {}
    for slot, pieces in slots.items():
        array = _join(pieces, mapped, config.n_heads)
        if pieces[0].turn == "zero":
            _check_zero(pieces[0].tensor, array)
        else:
            arrays[slot] = array
        done(array.nbytes)
    blocks = []
    for layer in range(config.n_layers):
        at = f"blocks.{layer}."
        own: dict[str, Any] = {n.removeprefix(at): a for n, a in arrays.items() if n.startswith(at)}
        matrices = {name: array for name, array in own.items() if "." not in name}
        ln2 = None if config.attn_only else _norm(own, "ln2", layout)
        blocks.append(Block(**matrices, ln1=_norm(own, "ln1", layout), ln2=ln2))
    W_E = arrays["W_E"]  # [d_vocab, d_model]
    W_U = W_E.T if config.tied else arrays["W_U"]  # [d_model, d_vocab_out]
    final = _norm(arrays, "ln_final", layout)
    return Weights(W_E, W_U, blocks, arrays.get("W_pos"), final, arrays.get("b_U"))


def _norm(arrays: Mapping[str, npt.NDArray[np.float32]], at: str, layout: Layout) -> Norm | None:
    if f"{at}.w" in arrays:
        return Norm(arrays[f"{at}.w"], arrays.get(f"{at}.b"))
    if not layout.plain_norms:
        return None
    return Norm(np.ones(layout.config.d_model, dtype=np.float32))  # [d_model]


def _join(
    pieces: Sequence[Piece], mapped: Mapping[Path, npt.NDArray[np.uint8]], n_heads: int
) -> npt.NDArray[np.float32]:
    turned = []
    for piece in pieces:
        source, n_in = TURNS[piece.turn](view(mapped[piece.tensor.file], piece.tensor), n_heads)
        turned.append((piece.tensor, source, _flat(source.shape, n_in)))
    if len(turned) == 1:
        tensor, source, shape = turned[0]
        seen = _without_copy(source, shape, tensor.dtype)
        if seen is not None:
            check_finite(tensor, seen)
            return seen
    ends = np.cumsum([shape[-1] for *_, shape in turned])
    joined = _empty((*turned[0][2][:-1], int(ends[-1])), turned[0][1])  # [in, out] or [out]
    for (tensor, source, shape), end in zip(turned, ends, strict=True):
        part = joined[..., end - shape[-1] : end]  # [in, out]
        fill(part.reshape(source.shape, copy=False), source, tensor.dtype)
        check_finite(tensor, part)
    return joined


def _flat(shape: tuple[int, ...], n_in: int) -> tuple[int, ...]:
    out = math.prod(shape[n_in:])
    return (math.prod(shape[:n_in]), out) if n_in else (out,)


def _without_copy(
    source: npt.NDArray[Any], shape: tuple[int, ...], dtype: str
) -> npt.NDArray[np.float32] | None:
    if dtype != "F32" or not source.flags.aligned:
        return None
    try:
        seen = source.reshape(shape, copy=False)
    except ValueError:
        return None
    return seen if seen.flags.c_contiguous or seen.flags.f_contiguous else None


def _empty(shape: tuple[int, ...], source: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """In the order in which the source lies, so that the copy reads and writes straight on."""
    rows_are_out = len(shape) == 2 and source.strides[-1] != source.itemsize
    return np.empty(shape, dtype=np.float32, order="F" if rows_are_out else "C")


def check_finite(tensor: TensorInfo, array: npt.NDArray[np.float32]) -> None:
    """FileError that counts NaN and infinite numbers, in slabs so that no large mask is made."""
    rows = array if array.ndim == 1 or array.flags.c_contiguous else array.T
    step = max(1, SLAB // max(1, math.prod(rows.shape[1:])))
    slabs = [rows[i : i + step] for i in range(0, len(rows), step)]
    if all(np.isfinite(slab).all() for slab in slabs):
        return
    n_nan = sum(int(np.isnan(slab).sum()) for slab in slabs)
    n_inf = sum(int(np.isinf(slab).sum()) for slab in slabs)
    raise FileError(
        tensor.file,
        f"tensor {tensor.name!r} holds {n_nan:,} NaN and {n_inf:,} infinite of its "
        f"{tensor.size:,} numbers; the file is damaged, or the training diverged",
    )


def _check_zero(tensor: TensorInfo, array: npt.NDArray[np.float32]) -> None:
    if array.any():
        raise FileError(
            tensor.file,
            f"tensor {tensor.name!r} is not zero: a bias added after the gate is not supported",
        )

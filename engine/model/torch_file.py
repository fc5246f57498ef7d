"""Reading state dicts that torch saved (.bin, .pt, .pth): tensors and dicts of them, nothing else.

Two layouts: a zip with a description and one entry per storage (since torch 1.6), and the older
sequence of five descriptions with the storages behind them (torch/serialization.py). Descriptions
are read by `torch_pickle`, which runs nothing; weights stay in the file and are mapped where they
lie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.model import torch_zip
from engine.model.config_file import shown
from engine.model.safetensors_file import ITEM_BYTES, Header, TensorInfo, map_file
from engine.model.torch_pickle import (
    LEGACY_LAYOUT,
    MAX_BYTES,
    UNTYPED,
    WAY_OUT,
    Machine,
    Tensor,
    brief,
)

SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")
INSIDE = ("state_dict", "model_state_dict", "model", "module")
"""Names under which training programs keep the weights beside their own state."""
LEAST = 22  # bytes of the smallest zip

Places = dict[str, tuple[int, int]]
"""Key of a storage -> where its bytes begin, and how many there are."""


def read_header(file: Path) -> Header:
    """Which tensors are in a file, checked; FileError says what is wrong and what to do."""
    try:
        size = file.stat().st_size
    except OSError as error:
        raise FileError(file, f"cannot be read ({error.strerror})") from None
    if size < LEAST:
        raise FileError(file, f"only {size} bytes, not a file of torch; fetch it again")
    data = map_file(file)  # [byte]
    start = bytes(data[:8])
    if start.startswith(b"PK"):
        value, places, raw = _zipped(file, data)
    elif start[:1] == b"\x80":
        value, places, raw = _sequence(file, data)
    else:
        raise FileError(file, _what(start))
    tensors = {name: _checked(file, name, t, places) for name, t in _named(file, value).items()}
    return Header(file, tensors, raw, size)


def _what(start: bytes) -> str:
    if start == b"version ":
        return "is a pointer of Git LFS, not the weights themselves: fetch them with `git lfs pull`"
    return (
        "begins neither as a zip nor as the older layout of torch.save; it is no file of torch, or "
        "one of before 2017: save it again with a newer torch"
    )


def _zipped(file: Path, data: Any) -> tuple[Any, Places, bytes]:
    found = torch_zip.entries(file, data)
    roots = [name for name in found if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(roots) != 1:
        raise FileError(
            file, f"is a zip with {len(roots)} lists of tensors (data.pkl) where torch writes one"
        )
    root = roots[0].removesuffix("data.pkl")
    script = (f"{root}constants.pkl", f"{root}code/")
    if any(name.startswith(script) for name in found):
        raise FileError(file, f"is a TorchScript archive, a program with its weights; {WAY_OUT}")
    order = found.get(f"{root}byteorder")
    if order is not None and torch_zip.content(file, data, order, 16) != b"little":
        raise FileError(
            file, "was saved on a machine that writes the high byte first; save it again on "
            "another one"
        )  # fmt: skip
    raw = torch_zip.content(file, data, found[roots[0]], MAX_BYTES)
    value = Machine(file, raw).read()
    places: Places = {}
    at = f"{root}data/"
    for name, entry in found.items():
        if name.startswith(at):
            if entry.method != torch_zip.STORED:
                raise FileError(
                    file, f"its entry {name[:80]!r} is compressed, and weights are read where "
                    "they lie; torch.save does not compress: save it again"
                )  # fmt: skip
            places[name.removeprefix(at)] = entry.begin, entry.size
    return value, places, raw


def _sequence(file: Path, data: Any) -> tuple[Any, Places, bytes]:
    """The older layout: a magic number, a version, the system, the value, keys; then storages."""
    machine = Machine(file, data)

    def read() -> Any:
        machine.stack, machine.memo = [], {}
        return machine.read()

    if (magic := read()) != LEGACY_LAYOUT:
        why = "a pickled object that torch.save did not write"
        raise FileError(file, f"holds {why} ({brief(magic)}); {WAY_OUT}")
    if (version := read()) != 1001:
        raise FileError(file, f"is of version {brief(version)} of the older layout, 1001 is known")
    system = read()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise FileError(
            file, "was saved on a machine that writes the high byte first; save it again on "
            "another one"
        )  # fmt: skip
    value = read()
    storages = {one.key: one for one in machine.storages}
    keys = read()
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise FileError(file, "its list of storages is damaged; fetch the file again")
    raw, at = bytes(data[: machine.at]), machine.at
    places: Places = {}
    for key in keys:
        storage = storages.get(key)
        if storage is None or storage.dtype == UNTYPED or key in places:
            raise FileError(file, f"the storage {shown(key)} belongs to no tensor; it is refused")
        size = storage.count * ITEM_BYTES[storage.dtype]
        if at + 8 + size > len(data):
            raise FileError(file, _cut_off(len(data), at + 8 + size))
        if (said := int.from_bytes(bytes(data[at : at + 8]), "little")) != storage.count:
            raise FileError(
                file, f"the storage {shown(key)} has {said:,} numbers at its place and "
                f"{storage.count:,} in the list; the file is damaged, fetch it again"
            )  # fmt: skip
        places[key] = at + 8, size
        at += 8 + size
    return value, places, raw


def _cut_off(found: int, wanted: int) -> str:
    return (
        f"the download was probably cut off: {found:,} of {wanted:,} bytes are there; fetch the "
        "file again"
    )


def _named(file: Path, value: Any) -> dict[str, Tensor]:
    """The tensors of a state dict, or of the one inside a training program's checkpoint."""
    if not isinstance(value, dict):
        raise FileError(file, f"holds no dict of tensors but {brief(value)}; {WAY_OUT}")
    found = _tensors(value)
    if found:
        return found
    inner = [name for name in INSIDE if isinstance(value.get(name), dict)]
    found = _tensors(value[inner[0]]) if inner else {}
    if not found:
        names = ", ".join(brief(name) for name in list(value)[:6]) or "nothing"
        raise FileError(file, f"holds no tensors by name, only {names}; {WAY_OUT}")
    return found


def _tensors(value: Mapping[Any, Any]) -> dict[str, Tensor]:
    pairs = value.items()
    return {name: t for name, t in pairs if isinstance(name, str) and isinstance(t, Tensor)}


def _checked(file: Path, name: str, tensor: Tensor, places: Places) -> TensorInfo:
    """Where a tensor's numbers lie, inside its storage and that inside the file."""
    label, storage = f"tensor {shown(name)}", tensor.storage
    dtype = storage.dtype if tensor.dtype == UNTYPED else tensor.dtype
    if storage.key not in places:
        raise FileError(
            file, f"{label} is in the storage {shown(storage.key)}, which the file does not hold; "
            "fetch it again"
        )  # fmt: skip
    if dtype == UNTYPED:
        raise FileError(file, f"{label} does not say of what kind its numbers are")
    begin, nbytes = places[storage.key]
    item = ITEM_BYTES[dtype]
    of_storage = 1 if storage.dtype == UNTYPED else ITEM_BYTES[storage.dtype]
    if storage.count * of_storage != nbytes:
        raise FileError(
            file, f"the storage {shown(storage.key)} should have {storage.count * of_storage:,} "
            f"bytes and has {nbytes:,}; fetch the file again"
        )  # fmt: skip
    size = math.prod(tensor.shape)
    held = nbytes // item
    pairs = zip(tensor.shape, tensor.strides, strict=True)
    reach = 1 + sum((n - 1) * stride for n, stride in pairs) if size else 0
    if tensor.offset + reach > held or size > held:
        raise FileError(
            file, f"{label} of the shape {shown(list(tensor.shape))} reaches out of its storage of "
            f"{held:,} numbers; the file is damaged or made to harm, and is refused"
        )  # fmt: skip
    plain = _plain(tensor.shape)
    axes = zip(tensor.shape, tensor.strides, plain, strict=True)
    straight = not size or all(n == 1 or own == usual for n, own, usual in axes)
    return TensorInfo(
        name, tensor.shape, dtype, file, begin + tensor.offset * item, size * item,
        None if straight else tensor.strides,
    )  # fmt: skip


def _plain(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of an array without gaps, in numbers."""
    steps = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        steps[axis] = steps[axis + 1] * max(1, shape[axis + 1])
    return tuple(steps)

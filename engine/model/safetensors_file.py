"""Reading safetensors files: every number of the header is checked, weights are memory-mapped.

Format: 8 bytes header length (little-endian), that many bytes of JSON {name: {dtype, shape,
data_offsets}}, then the data without holes (huggingface/safetensors, README "Format"). Our own
reader, because the library copies and a view of the file is the point.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import FileError
from engine.model.config_file import repeated, shown

MAX_HEADER_BYTES = 100_000_000  # the limit of the reference implementation
MAX_AXES = 16
MAX_COUNT = 2**63 - 1  # what a size or an offset may be

ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
READABLE = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""Dtypes that can hold weights -> how NumPy sees their bytes (bfloat16 as its bit pattern)."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: nothing of its data has been read.

    strides: in numbers, for a tensor that does not lie straight on (only torch writes such).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    file: Path
    begin: int
    nbytes: int
    strides: tuple[int, ...] | None = None

    @property
    def end(self) -> int:
        """The byte of the file behind its last number."""
        if self.strides is None or not self.size:
            return self.begin + self.nbytes
        axes = zip(self.shape, self.strides, strict=True)
        return self.begin + ITEM_BYTES[self.dtype] * (1 + sum((n - 1) * by for n, by in axes))

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """The checked header of one file, and its bytes for a digest."""

    file: Path
    tensors: dict[str, TensorInfo]
    raw: bytes
    file_bytes: int


def read_header(file: Path) -> Header:
    """Read and check the header; FileError says what is wrong and what to do."""
    try:
        file_bytes = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8:
                raise FileError(
                    file, f"only {file_bytes} bytes, not a safetensors file; fetch it again"
                )
            if length > MAX_HEADER_BYTES:
                raise FileError(
                    file,
                    f"claims a header of {length:,} bytes, the limit is {MAX_HEADER_BYTES:,}; "
                    "this is not a safetensors file",
                )
            if length > file_bytes - 8:
                raise FileError(file, _cut_off(file_bytes, 8 + length))
            raw = stream.read(length)
    except OSError as error:
        raise FileError(file, f"cannot be read ({error.strerror})") from None
    tensors = _tensors(file, _json_object(file, raw), 8 + length)
    _check_extent(file, tensors, 8 + length, file_bytes)
    return Header(file, {tensor.name: tensor for tensor in tensors}, raw, file_bytes)


def _cut_off(found: int, wanted: int) -> str:
    return (
        f"the download was probably cut off: {found:,} of {wanted:,} bytes are there; "
        "fetch the file again"
    )


def _json_object(file: Path, raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError(f"{shown(repeated(name for name, _ in pairs))} appears twice")
        return found

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise FileError(
            file, f"the safetensors header is not valid JSON ({reason}); fetch the file again"
        ) from None
    if not isinstance(header, dict):
        raise FileError(file, "the safetensors header is not a JSON object; fetch the file again")
    return header


def _tensors(file: Path, header: dict[str, Any], data_start: int) -> list[TensorInfo]:
    found = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if not isinstance(entry, dict):
            raise FileError(file, f"tensor {name!r}: its entry is not an object; fetch it again")
        dtype: Any = entry.get("dtype")
        shape: Any = entry.get("shape")
        offsets: Any = entry.get("data_offsets")
        if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
            known = " ".join(ITEM_BYTES)
            raise FileError(
                file, f"tensor {name!r}: unknown dtype {shown(dtype)}; known are {known}"
            )
        if not _counts(shape) or len(shape) > MAX_AXES:
            raise FileError(
                file,
                f"tensor {name!r}: shape {shown(shape)} is not a list of up to {MAX_AXES} counts",
            )
        if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
            raise FileError(
                file, f"tensor {name!r}: data_offsets {shown(offsets)} is not [begin, end]"
            )
        nbytes = math.prod(shape) * ITEM_BYTES[dtype]
        if nbytes != offsets[1] - offsets[0]:
            raise FileError(
                file,
                f"tensor {name!r}: {dtype} {list(shape)} needs {nbytes:,} bytes, its "
                f"data_offsets {offsets} hold {offsets[1] - offsets[0]:,}; the header is wrong",
            )
        begin = data_start + offsets[0]
        found.append(TensorInfo(name, tuple(shape), dtype, file, begin, nbytes))
    return found


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(
        type(item) is int and 0 <= item <= MAX_COUNT for item in value
    )


def _check_extent(file: Path, tensors: list[TensorInfo], start: int, file_bytes: int) -> None:
    end, before = start, ""
    for tensor in sorted(tensors, key=lambda tensor: (tensor.begin, tensor.nbytes)):
        if tensor.begin < end:
            raise FileError(
                file, f"tensors {before!r} and {tensor.name!r} overlap; the header is wrong"
            )
        if tensor.begin > end:
            raise FileError(
                file,
                f"tensor {tensor.name!r} begins {tensor.begin - end:,} bytes after {before!r} "
                "ends; the format allows no holes, so the header is wrong",
            )
        end, before = tensor.begin + tensor.nbytes, tensor.name
    if end > file_bytes:
        raise FileError(file, _cut_off(file_bytes, end))
    if end < file_bytes:
        raise FileError(
            file,
            f"{file_bytes - end:,} bytes follow the last tensor, which the header does not name; "
            "the file is damaged, fetch it again",
        )


def map_file(file: Path) -> npt.NDArray[np.uint8]:
    """The bytes of a file as a read-only memory map."""
    try:
        return np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))  # [byte]
    except (OSError, ValueError) as error:
        raise FileError(file, f"cannot be mapped into memory ({error})") from None


def view(mapped: npt.NDArray[np.uint8], tensor: TensorInfo) -> npt.NDArray[Any]:
    """A tensor as a read-only view of its mapped file, in the dtype on disk (BF16: its bits)."""
    raw = mapped[tensor.begin : tensor.end].view(READABLE[tensor.dtype])  # [number]
    if tensor.strides is None or not tensor.size:
        return raw.reshape(tensor.shape)
    strides = [raw.itemsize * by for by in tensor.strides]
    return np.lib.stride_tricks.as_strided(raw, tensor.shape, strides, writeable=False)


def fill(target: npt.NDArray[np.float32], source: npt.NDArray[Any], dtype: str) -> None:
    """Write what `view` gave into a float32 array of the same shape, without a second copy.

    bfloat16 is the upper half of a float32, so its bits move up by 16.
    """
    if dtype != "BF16":
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, found later
            np.copyto(target, source, casting="same_kind")
        return
    bits = target.view(np.uint32)
    np.copyto(bits, source)
    np.left_shift(bits, 16, out=bits)

"""The part of a torch file that says which tensors there are: read as data, nothing is ever run.

It is written in the opcodes of Python's pickle (pickletools.py describes each). Of these a small
machine here knows what a state dict needs: dicts, lists, tuples, texts, numbers, and "tensor of
that storage". A name of a function or class is only looked up in a table of what it *means*; any
other is refused, by that name, when it is met.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.model.config_file import shown
from engine.model.safetensors_file import MAX_AXES

MAX_BYTES = 64 << 20  # of the whole description; that of a large model has one or two
MAX_STEPS = 2_000_000  # opcodes; 50 for a tensor
LEGACY_LAYOUT = 0x1950A86A20F9469CFC6C  # what the older layout begins with

STORAGES = {
    "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16", "DoubleStorage": "F64",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
DTYPES = {
    "float32": "F32", "float": "F32", "float16": "F16", "half": "F16", "bfloat16": "BF16",
    "float64": "F64", "double": "F64", "int64": "I64", "long": "I64", "int32": "I32", "int": "I32",
    "int16": "I16", "short": "I16", "int8": "I8", "uint8": "U8", "uint16": "U16", "uint32": "U32",
    "uint64": "U64", "bool": "BOOL",
}  # fmt: skip
UNTYPED = "bytes"
WAY_OUT = (
    "only tensors and dicts of them are read, because anything else in such a file may run a "
    "program. Where you trust it, save the weights alone: torch.save(model.state_dict(), FILE), or "
    "safetensors.torch.save_file"
)


@dataclass(frozen=True)
class Word:
    """A function or class that the file names: only its name."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Numbers of one dtype in the file, under a key; `dtype` UNTYPED where only bytes are said."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """Which part of a storage a tensor is; offset and strides in numbers, not bytes."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def brief(value: Any) -> str:
    """A value as a message shows it; of what has parts only what it is, for it may be endless."""
    if value is None or isinstance(value, bool | int | float | str):
        return shown(value)
    return value.name if isinstance(value, Word) else f"a {type(value).__name__.lower()}"


class _Mark:
    """Where a tuple, list or dict begins on the stack."""


class Machine:
    """Reads one description out of `data` from `at` on; `at` is then behind it."""

    def __init__(self, file: Path, data: Any, at: int = 0) -> None:
        self.file, self.data, self.at = file, data, at
        self.end = min(len(data), at + MAX_BYTES)
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: list[Storage] = []

    def fail(self, why: str) -> FileError:
        return FileError(self.file, why)

    def broken(self, why: str) -> FileError:
        return self.fail(f"the list of its tensors is damaged ({why}); fetch the file again")

    def read(self) -> Any:
        """The value that is described: dicts, lists, tuples, texts, numbers and Tensors."""
        for _ in range(MAX_STEPS):
            code = self.bytes(1)[0]
            if code == ord("."):
                return self.pop()
            step = _STEPS.get(code)
            if step is None:
                raise self.fail(
                    f"the list of its tensors has an instruction 0x{code:02X}, which no state dict "
                    f"needs; {WAY_OUT}"
                )
            step(self)
        raise self.fail(
            f"the list of its tensors takes more than {MAX_STEPS:,} steps; it is refused"
        )

    # --- pieces ----------------------------------------------------------------------------------

    def bytes(self, count: int) -> bytes:
        if count > self.end - self.at:
            if self.end < len(self.data):
                raise self.fail(
                    f"the list of its tensors is longer than {MAX_BYTES:,} bytes; it is refused"
                )
            raise self.broken("it ends in the middle: the download was probably cut off")
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.bytes(struct.calcsize(layout)))[0]

    def text(self, count: int) -> str:
        try:
            return self.bytes(count).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise self.broken("a name is not UTF-8") from None

    def line(self) -> str:
        """Up to the end of a line: names are short."""
        raw = b""
        while (one := self.bytes(1)) != b"\n":
            raw += one
            if len(raw) > 1000:
                raise self.broken("a name is longer than 1,000 bytes")
        return raw.decode("utf-8", "replace")

    def pop(self) -> Any:
        if not self.stack or isinstance(self.stack[-1], _Mark):
            raise self.broken("a value is missing")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise self.broken(f"no {kind.__name__} where one is filled")
        return self.stack[-1]

    def to_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[index], _Mark):
                found = self.stack[index + 1 :]
                del self.stack[index:]
                return found
        raise self.broken("a beginning is missing")

    # --- meanings --------------------------------------------------------------------------------

    def word(self, module: str, name: str) -> Word:
        full = f"{module}.{name}"
        if full in _MEANINGS or _storage_type(full) or _dtype(full):
            return Word(full)
        hint = "a whole model object, not its state dict: " if "nn.modules" in full else ""
        raise self.fail(f"it asks for {hint}{shown(full)}; {WAY_OUT}")

    def persistent(self, given: Any) -> Storage:
        """('storage', type, key, location, count, and in the older layout a view of another)."""
        if not isinstance(given, tuple) or len(given) not in (5, 6) or given[0] != "storage":
            raise self.broken(f"{brief(given)} is no storage")
        _, kind, key, _, count, *view = given
        if view not in ([], [None]):
            raise self.fail("a storage is a view of another one, as torch before 0.4 saved them; "
                      "save the file again with a newer torch")  # fmt: skip
        dtype = _storage_type(kind.name) if isinstance(kind, Word) else ""
        if not dtype or not isinstance(key, str) or not _is_count(count):
            raise self.broken(f"{brief(given)} is no storage")
        self.storages.append(Storage(key, dtype, count))
        return self.storages[-1]

    def call(self, word: Any, given: Any) -> Any:
        """What a function of the table makes of its arguments."""
        if not isinstance(word, Word) or word.name not in _MEANINGS:
            raise self.broken(f"{brief(word)} is called")
        if not isinstance(given, tuple):
            raise self.broken("a call without arguments")
        return _MEANINGS[word.name](self, given)

    def tensor(self, given: tuple[Any, ...]) -> Tensor:
        """(storage, offset, shape, strides, ...)."""
        if len(given) < 4:
            raise self.broken("a tensor lacks its shape")
        storage, offset, shape, strides = given[:4]
        whole = isinstance(shape, tuple) and isinstance(strides, tuple)
        if not isinstance(storage, Storage) or not _is_count(offset) or not whole:
            raise self.broken("a tensor without offset, shape and strides")
        if len(shape) > MAX_AXES:
            raise self.fail(f"a tensor has {len(shape):,} axes, the limit is {MAX_AXES}")
        if len(shape) != len(strides) or not all(map(_is_count, (*shape, *strides))):
            raise self.broken("the shape and the strides of a tensor do not go together")
        named = [_dtype(one.name) for one in given[4:] if isinstance(one, Word)]
        dtype = next((name for name in named if name), storage.dtype)
        return Tensor(storage, dtype, offset, shape, strides)

    def ordered_dict(self, given: tuple[Any, ...]) -> dict[Any, Any]:
        if given in ((), ([],)):
            return {}
        raise self.broken("an OrderedDict with contents of its own kind")

    def parameter(self, given: tuple[Any, ...]) -> Tensor:
        if not given or not isinstance(given[0], Tensor):
            raise self.broken("a parameter without a tensor")
        return given[0]

    def size(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        inside = given[0] if len(given) == 1 else None
        if not isinstance(inside, tuple | list) or len(inside) > MAX_AXES:
            raise self.broken("a torch.Size that is none")
        return tuple(inside)

    def device(self, given: tuple[Any, ...]) -> str:
        return f"device {brief(given[0] if given else None)}"


def _storage_type(name: str) -> str:
    if name in ("torch.storage.UntypedStorage", "torch.UntypedStorage"):
        return UNTYPED
    module, _, kind = name.rpartition(".")
    return STORAGES.get(kind, "") if module in ("torch", "torch.storage", "torch.cuda") else ""


def _dtype(name: str) -> str:
    module, _, kind = name.rpartition(".")
    return DTYPES.get(kind, "") if module == "torch" else ""


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


_MEANINGS: dict[str, Callable[[Machine, tuple[Any, ...]], Any]] = {
    "collections.OrderedDict": Machine.ordered_dict,
    "torch._utils._rebuild_tensor": Machine.tensor,
    "torch._utils._rebuild_tensor_v2": Machine.tensor,
    "torch._utils._rebuild_tensor_v3": Machine.tensor,
    "torch._utils._rebuild_parameter": Machine.parameter,
    "torch.Size": Machine.size,
    "torch.device": Machine.device,
}


# --- opcodes: what each does to the stack --------------------------------------------------------


def _push(make: Callable[[Machine], Any]) -> Callable[[Machine], None]:
    return lambda m: m.stack.append(make(m))


def _tuple(count: int) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        last = [m.pop() for _ in range(count)]
        m.stack.append(tuple(reversed(last)))

    return step


def _put(layout: str) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        at = len(m.memo) if not layout else m.number(layout)
        if not m.stack:
            raise m.broken("nothing to remember")
        m.memo[at] = m.stack[-1]

    return step


def _get(layout: str) -> Callable[[Machine], None]:
    def step(m: Machine) -> None:
        at = m.number(layout)
        if at not in m.memo:
            raise m.broken(f"nothing was remembered as {at}")
        m.stack.append(m.memo[at])

    return step


def _append(m: Machine) -> None:
    value = m.pop()
    m.top(list).append(value)


def _extend(m: Machine) -> None:
    values = m.to_mark()
    m.top(list).extend(values)


def _set(m: Machine, pairs: list[Any]) -> None:
    target = m.top(dict)
    if len(pairs) % 2:
        raise m.broken("a key without a value")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | int | float | bool | None):
            raise m.broken(f"{shown(key)} as a key")
        target[key] = value


def _set_one(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    _set(m, [key, value])


def _build(m: Machine) -> None:
    """State of an OrderedDict (`_metadata`: versions of modules) is dropped; no other is known."""
    state = m.pop()
    m.top(dict)
    if not isinstance(state, dict):
        raise m.broken("a state that is no dict")


def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise m.broken("a name that is no text")
    m.stack.append(m.word(module, name))


def _reduce(m: Machine) -> None:
    given, word = m.pop(), m.pop()
    m.stack.append(m.call(word, given))


_STEPS: dict[int, Callable[[Machine], object]] = {
    0x80: lambda m: m.bytes(1),  # PROTO
    0x95: lambda m: m.bytes(8),  # FRAME
    ord("("): _push(lambda m: _Mark()),
    ord("0"): lambda m: m.pop(),
    ord("N"): _push(lambda m: None),
    0x88: _push(lambda m: True),
    0x89: _push(lambda m: False),
    ord("K"): _push(lambda m: m.number("<B")),
    ord("M"): _push(lambda m: m.number("<H")),
    ord("J"): _push(lambda m: m.number("<i")),
    0x8A: _push(lambda m: int.from_bytes(m.bytes(m.number("<B")), "little", signed=True)),
    ord("G"): _push(lambda m: m.number(">d")),
    ord("X"): _push(lambda m: m.text(m.number("<I"))),
    0x8C: _push(lambda m: m.text(m.number("<B"))),
    0x8D: _push(lambda m: m.text(m.number("<Q"))),
    ord("T"): _push(lambda m: m.text(m.number("<I"))),  # written by Python 2
    ord("U"): _push(lambda m: m.text(m.number("<B"))),
    ord(")"): _push(lambda m: ()),
    ord("t"): _push(lambda m: tuple(m.to_mark())),
    0x85: _tuple(1),
    0x86: _tuple(2),
    0x87: _tuple(3),
    ord("]"): _push(lambda m: []),
    ord("a"): _append,
    ord("e"): _extend,
    ord("}"): _push(lambda m: {}),
    ord("s"): _set_one,
    ord("u"): lambda m: _set(m, m.to_mark()),
    ord("q"): _put("<B"),
    ord("r"): _put("<I"),
    0x94: _put(""),
    ord("h"): _get("<B"),
    ord("j"): _get("<I"),
    ord("c"): _push(lambda m: m.word(m.line(), m.line())),
    0x93: _stack_global,
    ord("Q"): _push(lambda m: m.persistent(m.pop())),
    ord("R"): _reduce,
    ord("b"): _build,
}

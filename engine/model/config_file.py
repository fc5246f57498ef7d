"""config.json: read once, every field checked where it is asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from engine.errors import FileError

MAX_BYTES = 10_000_000
MAX_COUNT = 2**31 - 1
MAX_LAYERS = 10_000
SMALLEST, LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
SHOWN = 100  # characters of a stranger's value in a message
_REQUIRED: Any = object()


def read_json(path: Path, limit: int = MAX_BYTES) -> tuple[Any, bytes]:
    """A small JSON file and its bytes; FileError if it is absent, too large or no JSON."""
    try:
        if path.stat().st_size > limit:
            raise FileError(path, f"{path.stat().st_size:,} bytes, the limit is {limit:,}")
        raw = path.read_bytes()
        return json.loads(raw.decode("utf-8-sig")), raw
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is not valid JSON ({error}); fetch the file again") from None


def shown(value: Any) -> str:
    """A value from a file as a message shows it: its `repr`, cut where it gets long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def repeated(names: Iterable[str]) -> str | None:
    """The first name that has come before."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


class Fields:
    """The fields of one config.json; a wrong one is a FileError that names it and its limit."""

    def __init__(self, path: Path, data: dict[str, Any]) -> None:
        self.path = path
        self.data = data

    def fail(self, why: str) -> NoReturn:
        raise FileError(self.path, why)

    def value(self, name: str, default: Any = None) -> Any:
        """The field as it stands; `default` where it is absent or null."""
        found = self.data.get(name)
        return default if found is None else found

    def count(self, name: str, default: Any = _REQUIRED, low: int = 1) -> int:
        """A whole number from `low` to 2^31."""
        found = self.value(name, default)
        if found is _REQUIRED:
            self.fail(f"the field {name} is missing")
        if type(found) is not int or not low <= found <= MAX_COUNT:
            self.fail(f"{name}: {shown(found)} is not a whole number from {low} to {MAX_COUNT:,}")
        return found

    def layers(self, name: str) -> int:
        """A number of layers: bounded before anything is made per layer."""
        found = self.count(name)
        if found > MAX_LAYERS:
            self.fail(f"{name}: {found:,} is above {MAX_LAYERS:,}")
        return found

    def number(self, name: str, default: Any = _REQUIRED, above: float = -math.inf) -> float:
        """A finite number greater than `above`, within what float32 can hold."""
        found = self.value(name, default)
        if found is _REQUIRED:
            self.fail(f"the field {name} is missing")
        if isinstance(found, bool) or not isinstance(found, int | float):
            self.fail(f"{name}: {shown(found)} is not a number")
        fits = found == 0 or SMALLEST <= abs(found) <= LARGEST  # False for NaN
        if not fits or found <= above:
            limit = "" if above == -math.inf else f" above {above:g}"
            self.fail(f"{name}: {shown(found)} is not a finite number{limit} in float32")
        return float(found)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        found = self.value(name, default)
        if not isinstance(found, bool):
            self.fail(f"{name}: {shown(found)} is neither true nor false")
        return found

    def choice(self, name: str, default: str, table: dict[str, Any]) -> Any:
        """What `table` holds under the field's text; the failure lists the table."""
        found = self.value(name, default)
        if not isinstance(found, str) or found not in table:
            self.fail(f"{name}: {shown(found)} is not supported; known are {', '.join(table)}")
        return table[found]

    def inside(self, name: str) -> Fields:
        """The fields of an object inside this one; empty where it is absent."""
        found = self.value(name, {})
        if not isinstance(found, dict):
            self.fail(f"{name}: {shown(found)} is not an object")
        return Fields(self.path, found)

    def refuse(self, name: str, harmless: tuple[Any, ...], why: str) -> None:
        """Fail, naming the field, unless it is absent, null or one of the harmless values."""
        found = self.value(name)
        if found is not None and found not in harmless:
            self.fail(f"{name}: {shown(found)} is not supported: {why}")

    def token(self, name: str, d_vocab: int) -> int | None:
        """A token id, or None where it is absent or no row of the vocabulary."""
        found = self.value(name)
        if type(found) is not int or not 0 <= found < d_vocab:
            return None
        return found

    def tokens(self, name: str, d_vocab: int) -> tuple[int, ...]:
        """One token id or a list of them."""
        found = self.value(name)
        listed = found if isinstance(found, list) else [found]
        return tuple(item for item in listed if type(item) is int and 0 <= item < d_vocab)

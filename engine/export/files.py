"""Arrays as NPZ files; files are written as a whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import FileError
from engine.session import pack
from engine.session.file import is_session
from engine.session.json_text import strict_json
from engine.technique import Technique, to_json


def write_npz(
    path: str | Path, result: Any, spec: Technique, provenance: Mapping[str, Any] | None = None
) -> None:
    """A result's fields by name, plus the spec as JSON in `spec` and what made it in `provenance`.

    Texts become arrays of text, a table or lists of several lengths a text of JSON; a field that
    is None is left out. At once or not at all.
    """
    arrays = arrays_of(result)
    own = {"spec": to_json(spec), "provenance": dict(provenance or {})}
    if taken := own.keys() & arrays.keys():
        raise ValueError(f"a result field may not be called {', '.join(sorted(taken))}")
    texts = {name: np.array(strict_json(value)) for name, value in own.items()}
    write_arrays(path, arrays | texts)


def arrays_of(result: Any) -> dict[str, npt.NDArray[Any]]:
    """Every field of a result that is not None as an array."""
    arrays, values = pack(result)
    return arrays | {name: _array(value) for name, value in values.items() if value is not None}


def _array(value: Any) -> npt.NDArray[Any]:
    if value == []:
        return np.zeros(0, np.str_)
    if not isinstance(value, Mapping):
        with suppress(ValueError):  # lists of several lengths
            cells = np.asarray(value)
            if cells.dtype != object:
                return cells
    return np.asarray(json.dumps(value))


def write_arrays(path: str | Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """An NPZ file of named arrays, never of objects; the same bytes for the same arrays."""
    with whole_file(path) as fresh, zipfile.ZipFile(fresh, "x") as archive:
        for name, array in arrays.items():
            # A ZipInfo of its own: the date of today would make every file differ.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.asarray(array), allow_pickle=False)


def write_text(path: str | Path, text: str) -> None:
    """A text file in UTF-8, its line ends as they are in the text."""
    with whole_file(path) as fresh:
        fresh.write_bytes(text.encode("utf-8", "replace"))


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Where to write what becomes the file if nothing goes wrong; FileError if something does."""
    path = Path(path)
    check_writable(path)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield fresh
        os.replace(fresh, path)
    except OSError as error:
        raise FileError(path, f"it cannot be written ({error.strerror or error})") from error
    finally:
        fresh.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """FileError if a file cannot be written there; asked before hours of work, not after.

    A session is never written over: it may hold a year of runs.
    """
    path = Path(path)
    if path.is_dir():
        raise FileError(path, "it is a folder: name a file")
    if not path.parent.is_dir():
        raise FileError(path, "its folder does not exist: make it first")
    try:
        if path.is_file() and is_session(path):
            raise FileError(path, "it is a session with its runs: name another file")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FileError(path, f"it cannot be written ({error.strerror})") from error

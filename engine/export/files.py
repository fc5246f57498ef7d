"""Arrays as NPZ files; files are written as a whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import FileError
from engine.session import pack
from engine.technique import Technique, to_json


def write_npz(
    path: str | Path, result: Any, spec: Technique, provenance: Mapping[str, Any] | None = None
) -> None:
    """A result's fields by name, plus the spec as JSON in `spec` and what made it in `provenance`.

    Texts become arrays of text, a field that is None is left out. At once or not at all.
    """
    arrays, values = pack(result)
    for name, value in values.items():
        if isinstance(value, Mapping):
            arrays[name] = np.array(json.dumps(value))
        elif isinstance(value, list) and not value:
            arrays[name] = np.zeros(0, np.str_)
        elif value is not None:
            arrays[name] = np.asarray(value)
    own = {"spec": to_json(spec), "provenance": dict(provenance or {})}
    if taken := own.keys() & arrays.keys():
        raise ValueError(f"a result field may not be called {', '.join(sorted(taken))}")
    texts = {name: np.array(msgspec.json.encode(value).decode()) for name, value in own.items()}
    write_arrays(path, arrays | texts)


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
    """FileError if a file cannot be written there; asked before hours of work, not after."""
    path = Path(path)
    if path.is_dir():
        raise FileError(path, "it is a folder: name a file")
    if not path.parent.is_dir():
        raise FileError(path, "its folder does not exist: make it first")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise FileError(path, f"it cannot be written ({error.strerror})") from error

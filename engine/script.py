"""A run as something to keep outside the window: a Python script, a command, an NPZ file.

A script is imports + load + `repr(spec).run(model)`; executing it gives the same arrays.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

import engine
from engine.errors import FileError, SpecError
from engine.session import Run, pack
from engine.technique import Technique, field_values, to_json

_WIDTH = 88  # columns; a longer call has one argument per line


def to_script(
    what: Run | Technique,
    folder: str | Path = "",
    changes: Iterable[tuple[int, Mapping[str, Any]]] = (),
    interventions: Sequence[Any] = (),
) -> str:
    """Python that runs a technique again; a Run brings its own folder, changes, interventions."""
    if isinstance(what, Run):
        changes, interventions = changes or what.changes, interventions or what.interventions
        folder = folder or (what.model.folder if what.model else "")
        what = what.spec
    changes = [(step, dict(change)) for step, change in changes]
    needs_model = bool(what.needs)
    values = [what, *interventions, changes]
    imports = {f"from {cls.__module__} import {cls.__qualname__}" for cls in _classes(values)}
    if needs_model:
        imports.add("from engine.model import open_model")
    lines = [
        f'"""{what.title or type(what).__name__}: exported from Mechanoscope {engine.__version__}.'
        '"""',
        "",
        *sorted(imports),
        "",
    ]
    if needs_model:
        lines.append(f"model = open_model({str(folder)!r})")
    lines.append(f"spec = {_call(what)}")
    model = "model" if needs_model else "None"
    if interventions:
        lines.append(f"interventions = {_sequence(interventions)}")
        model = "model.under(interventions)"
    if changes:
        lines.append(f"changes = {_sequence(changes)}")
        lines.append(f"result = spec.run({model}, changes)")
    else:
        lines.append(f"result = spec.run({model})")
    return "\n".join(lines) + "\n"


def _classes(value: Any) -> set[type]:
    """Every dataclass whose name the `repr` of a value uses."""
    if is_dataclass(value) and not isinstance(value, type):
        inner = [_classes(getattr(value, item.name)) for item in fields(value)]
        return {type(value)}.union(*inner)
    if isinstance(value, Mapping):
        return _classes(list(value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_classes, value))
    return set()


def _call(spec: Technique) -> str:
    if len(repr(spec)) <= _WIDTH:
        return repr(spec)
    arguments = [f"    {item.name}={getattr(spec, item.name)!r}," for item in fields(spec)]
    return "\n".join([f"{type(spec).__qualname__}(", *arguments, ")"])


def _sequence(values: Sequence[Any]) -> str:
    return "\n".join(["[", *(f"    {value!r}," for value in values), "]"])


def to_command(spec: Technique, folder: str | Path = "", out: str = "") -> str:
    """The line for a terminal that runs a technique headless and writes its arrays."""
    kind = type(spec).__name__
    words = ["mechanoscope", "run", kind]
    if spec.needs:
        words += ["--model", str(folder)]
    for name, value in to_json(spec).items():
        if name not in ("kind", "version"):
            words += ["--set", f"{name}={_word(type(spec), name, value)}"]
    words += ["--out", out or f"{kind}.npz"]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _word(cls: type[Technique], name: str, value: Any) -> str:
    """A field's value as it is typed: plain text where that is read back as the same text."""
    if isinstance(value, str):
        with suppress(SpecError):
            if read_value(cls, name, value) == value:
                return value
    return json.dumps(value)


def read_value(cls: type[Technique], name: str, text: str) -> Any:
    """A value typed for a field: JSON if it is JSON that fits the field, else the text itself.

    A list or an object that does not fit is refused: nobody means `[1, 2.5]` as a prompt's text.
    """
    value: Any = None
    try:
        value = json.loads(text)
        return field_values(cls, {name: value})[name]
    except (ValueError, RecursionError) as error:  # SpecError is a ValueError
        if isinstance(value, list | dict):
            raise
        try:
            return field_values(cls, {name: text})[name]
        except SpecError:
            if isinstance(error, SpecError):
                raise error from None
            raise


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
    path = Path(path)
    check_writable(path)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(fresh, "x") as archive:
            for name, array in arrays.items():
                # A ZipInfo of its own: the date of today would make every file differ.
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as part:
                    np.lib.format.write_array(part, np.asarray(array), allow_pickle=False)
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

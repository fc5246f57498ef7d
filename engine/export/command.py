"""A run as a line for a terminal, and the words of such a line read back."""

from __future__ import annotations

import difflib
import json
import math
import os
import shlex
import subprocess
import typing
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec

from engine.data.prompt_table import KIND, SUFFIXES
from engine.errors import FileError, SpecError
from engine.export.recipe import Recipe
from engine.model import Intervention
from engine.program import spoken
from engine.refs import Ref, of_file
from engine.session import Run
from engine.technique import Technique, field_values, to_json


def to_command(
    what: Run | Technique,
    folder: str | Path = "",
    out: str = "",
    changes: Iterable[tuple[int, Mapping[str, Any]]] = (),
    interventions: Sequence[Any] = (),
) -> str:
    """The line for a terminal that runs a technique headless and writes its arrays."""
    recipe = Recipe.of(what, folder, changes, interventions)
    cls = type(recipe.spec)
    words = [spoken(), "run", cls.__name__]
    if recipe.spec.needs:
        words += ["--model", recipe.folder]
    for name, value in to_json(recipe.spec).items():
        if name not in ("kind", "version"):
            words += ["--set", f"{name}={_word(cls, name, value)}"]
    for step, change in recipe.changes:
        for name, value in msgspec.to_builtins(change).items():
            words += ["--change", f"{step}:{name}={_word(cls, name, value)}"]
    for entry in recipe.interventions if recipe.spec.needs else ():
        words += ["--intervene", json.dumps(_told(entry))]
    words += ["--out", out or f"{cls.__name__}.npz"]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _word(cls: type[Technique], name: str, value: Any) -> str:
    """A field's value as it is typed: plain text where that is read back as the same text.

    Text with a line end or a zero byte, which not every terminal takes, is typed as JSON.
    """
    if isinstance(value, str) and value.isprintable():
        with suppress(SpecError):
            if read_value(cls, name, value) == value:
                return value
    return json.dumps(value)


def _told(entry: Intervention) -> dict[str, Any]:
    """An intervention's fields but for those that say nothing new."""
    told = {item.name: getattr(entry, item.name) for item in fields(entry)
            if getattr(entry, item.name) != item.default}  # fmt: skip
    return msgspec.to_builtins(told)


def read_value(cls: type[Technique], name: str, text: str) -> Any:
    """A value typed for a field: JSON if it is JSON that fits the field, else the text itself.

    For an input the path of its file will do. A list or an object that does not fit is refused:
    nobody means `[1, 2.5]` as a prompt's text.
    """
    value: Any = None
    try:
        value = json.loads(text)
        return field_values(cls, {name: value})[name]
    except (ValueError, RecursionError) as error:  # SpecError is a ValueError
        if isinstance(value, list | dict):
            raise
        if _holds_ref(cls, name) and os.path.exists(text):
            about = next(item.metadata for item in fields(cls) if item.name == name)
            return of_file(about.get("role") or name.replace("_", " "), text)
        try:
            return field_values(cls, {name: text})[name]
        except SpecError:
            if isinstance(error, SpecError):
                raise error from None
            raise


def _holds_ref(cls: type[Technique], name: str) -> bool:
    return typing.get_type_hints(cls).get(name) in (Ref, Ref | None)


def read_change(cls: type[Technique], text: str) -> tuple[int, dict[str, Any]]:
    """A live change typed as STEP:FIELD=VALUE; SpecError if it is none."""
    step, colon, rest = text.partition(":")
    name, equals, value = rest.partition("=")
    if not (colon and equals and step.isascii() and step.isdigit()):
        raise SpecError("--change", f"{text}: write it as step:field=value, such as 100:lr=0.001")
    return int(step), {name: read_value(cls, name, value)}


def read_intervention(text: str) -> Intervention:
    """An intervention typed as JSON: its fields by name; SpecError if it is none.

    For a direction, a data set or an SAE the path of its file or folder will do.
    """
    form = """write it as {"name": "blocks.0.hook_attn_out", "action": "zero"}"""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise SpecError("--intervene", f"{text} is no JSON object: {form}")
    known = [item.name for item in fields(Intervention)]
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
            raise SpecError("--intervene", f"an intervention has no {name!r}; {hint}")
    for name in ("direction", "data", "sae"):
        if isinstance(path := values.get(name), str):
            values[name] = msgspec.to_builtins(_named_file(name, path))
    try:
        # msgspec leaves defaults to the class, and would not write them down again; replace does.
        entry = replace(msgspec.convert(values, Intervention))
    except msgspec.ValidationError as error:
        raise SpecError("--intervene", f"{error}: {form}") from None
    if not math.isfinite(entry.factor):  # the rest is checked against the model
        raise SpecError("--intervene", f"factor {entry.factor} is not a finite number")
    return entry


def _named_file(name: str, path: str) -> Ref:
    """The input that an intervention names by its file's path; SpecError if it is not there."""
    table = Path(path).suffix.lower() in SUFFIXES
    kinds = {"direction": name, "sae": "SAE"}
    kind = kinds.get(name, KIND if table else "text")
    try:
        return of_file(kind, path)
    except FileError as error:
        raise SpecError("--intervene", f"{name}: {error}") from None

"""Python source of a spec's values: what `repr` says, wrapped at 100 columns, and executable."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

WIDTH = 100  # columns
_STEP = " " * 4


def source(value: Any, indent: str = "", before: int = 0) -> str:
    """A value as Python source that stands `before` columns into a line indented by `indent`.

    Dataclasses are written by name and keyword (see `imports`), long texts as several literals.
    """
    line = _one_line(value)
    if before + len(line) < WIDTH:  # one column is left for a comma
        return line
    inner = indent + _STEP
    if is_dataclass(value):
        lines = [
            f"{inner}{name}={source(part, inner, len(inner) + len(name) + 1)},"
            for name, part in _parts(value)
        ]
        return "\n".join([f"{type(value).__qualname__}(", *lines, f"{indent})"])
    if isinstance(value, str):
        pieces = [f"{inner}{piece!r}" for piece in _pieces(value, WIDTH - len(inner) - 2)]
        return "\n".join(["(", *pieces, f"{indent})"])
    if isinstance(value, Mapping):
        lines = []
        for key, part in value.items():
            name = _one_line(key)
            lines.append(f"{inner}{name}: {source(part, inner, len(inner) + len(name) + 2)},")
        return "\n".join(["{", *lines, f"{indent}}}"])
    if isinstance(value, list | tuple):
        opening, closing = ("[", "]") if isinstance(value, list) else ("(", ")")
        if all(isinstance(part, int | float) for part in value):
            numbers = ", ".join(map(_one_line, value)) + ","
            lines = textwrap.wrap(
                numbers, WIDTH, initial_indent=inner, subsequent_indent=inner,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
        else:
            lines = [f"{inner}{source(part, inner, len(inner))}," for part in value]
        return "\n".join([opening, *lines, f"{indent}{closing}"])
    return line


def _one_line(value: Any) -> str:
    if is_dataclass(value):
        parts = ", ".join(f"{name}={_one_line(part)}" for name, part in _parts(value))
        return f"{type(value).__qualname__}({parts})"
    if isinstance(value, Mapping):
        parts = (f"{_one_line(key)}: {_one_line(part)}" for key, part in value.items())
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_one_line, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_one_line, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"  # its repr is a name that nobody defines
    return repr(value)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    return ((item.name, getattr(value, item.name)) for item in fields(value) if item.init)


def _pieces(text: str, width: int) -> Iterator[str]:
    """A text in pieces whose `repr` fits into `width`, broken after blanks where there are any."""
    piece = ""
    for word in re.findall(r"\S{1,40}\s{0,10}|\s{1,10}", text):
        if piece and len(repr(piece + word)) > width:
            yield piece
            piece = ""
        if len(repr(word)) > width:  # written as escapes, up to ten columns a character
            few = max(1, width // 10 - 1)
            yield from (word[at : at + few] for at in range(0, len(word), few))
        else:
            piece += word
    if piece:
        yield piece


def imports(values: Iterable[Any]) -> set[str]:
    """The import statements that the source of these values needs."""
    return {f"from {cls.__module__} import {cls.__qualname__}" for cls in _classes(list(values))}


def _classes(value: Any) -> set[type]:
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value)}.union(*(_classes(part) for _, part in _parts(value)))
    if isinstance(value, Mapping):
        return _classes(list(value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(_classes, value))
    return set()


def docstring(lines: Iterable[str]) -> str:
    """Lines of text as a docstring. A title from a stranger's file cannot end it early."""
    told = [_harmless(line) for line in lines]
    raw = "r" if any("\\" in line for line in told) else ""
    if len(told) == 1 and len(told[0]) <= WIDTH - 6 and not raw:
        return f'"""{told[0]}"""'
    wrapped: list[str] = []
    for line in told:
        wrapped += textwrap.wrap(
            line, WIDTH - 4, subsequent_indent=_STEP, break_on_hyphens=False
        ) or [""]
    return "\n".join([f'{raw}"""{wrapped[0]}', *wrapped[1:], '"""'])


def _harmless(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line).replace('"', "'")

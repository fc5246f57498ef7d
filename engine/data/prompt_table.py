"""Prompt tables: pairs of prompts from a CSV, TSV or JSON Lines file, row by row, with a digest.

The first line names the columns: `clean`, and any of `corrupted answer wrong bos title`. In JSON
Lines a prompt may also be a list of token ids. A row that cannot be read is left out and named by
its line; a file that is too large, or no UTF-8, is refused.
"""

from __future__ import annotations

import csv
import io
import json
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.refs import Ref, Report, Watch, of_bytes

KIND = "prompt pairs"
SUFFIXES = (".csv", ".tsv", ".jsonl")
COLUMNS = ("clean", "corrupted", "answer", "wrong", "bos", "title")
MAX_BYTES, MAX_ROWS, MAX_CELL = 64 * 2**20, 100_000, 100_000  # characters in a cell
LARGEST_ID = 2**31  # no vocabulary is as large
EVERY = 1_000  # rows between two looks at Stop
SEPARATORS = {";": "semicolon", "\t": "tab", ",": "comma"}
BOS = {"": "auto", "auto": "auto", "yes": "yes", "no": "no", "true": "yes", "false": "no"}
BLANK = ("", None)
ROW = "prompts, row "

Ids = tuple[int, ...]


@dataclass(frozen=True)
class PromptRow:
    """One pair; prompts are text or token ids, "" and None say nothing. `line` is its first."""

    clean: str | Ids
    corrupted: str | Ids = ""
    answer: str | int | None = None
    wrong: str | int | None = None
    bos: str = "auto"
    title: str = ""
    line: int = 0


@dataclass(frozen=True)
class PromptTable:
    """rows in the file's order; left_out: (line, why) of each row that could not be read."""

    rows: tuple[PromptRow, ...]
    ref: Ref
    name: str
    left_out: tuple[tuple[int, str], ...] = ()
    unused: tuple[str, ...] = ()  # columns that mean nothing here

    def role(self, index: int) -> str:
        """What a run calls its input when it read the row at `index`: rows count from 1."""
        return f"{ROW}{index + 1}"

    def index(self, inputs: Mapping[str, Ref]) -> int | None:
        """The row that a run's inputs came from; None if it is of no row, or of another table."""
        role = next((role for role, ref in inputs.items() if ref == self.ref), "")
        number = role.removeprefix(ROW)
        known = role.startswith(ROW) and number.isdigit() and 0 < int(number) <= len(self.rows)
        return int(number) - 1 if known else None


def read_table(path: Path | str, watch: Watch = None, report: Report = None) -> PromptTable:
    """The pairs in a file; FileError says what to mend, Cancelled comes from `watch`."""
    path = Path(path).absolute()
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise FileError(path, "not a file; choose a .csv, .tsv or .jsonl file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(path, (error.strerror or type(error).__name__).lower()) from None
    return parse_table(content, str(path), watch, report)


def parse_table(
    content: bytes, where: str, watch: Watch = None, report: Report = None
) -> PromptTable:
    """The pairs in bytes; `where` is their path or name, and its suffix says how they are written.

    The whole is refused with a FileError, a row is left out with its line and the reason.
    """
    path = Path(where)
    if len(content) > MAX_BYTES:
        raise FileError(path, f"larger than {MAX_BYTES // 2**20} MB; split the table")
    unused: dict[str, None] = {}  # in order, each once
    lines = _records(content, path, unused)
    rows: list[PromptRow] = []
    left_out: list[tuple[int, str]] = []
    for number, (line, values) in enumerate(lines, 1):
        if number > MAX_ROWS:
            raise FileError(path, f"more than {MAX_ROWS:,} rows; split the table")
        try:
            rows.append(_row(values, line))
        except ValueError as error:
            left_out.append((line, str(error)))
        if number % EVERY == 0:
            if watch is not None:
                watch()
            if report is not None:
                report(number, 0)
    if not rows:
        why = "; line {}: {}".format(*left_out[0]) if left_out else ""
        raise FileError(path, f"no row with a prompt{why}")
    name = path.name
    return PromptTable(
        tuple(rows), of_bytes(KIND, content, where), name, tuple(left_out), tuple(unused)
    )


def to_line(row: PromptRow) -> bytes:
    """A pair as one line of JSON; `parse_table(…, "kept.jsonl")` reads it again."""
    said = {name: getattr(row, name) for name in COLUMNS if getattr(row, name) not in BLANK}
    return json.dumps(said, ensure_ascii=False).encode() + b"\n"


Values = Mapping[str, Any] | ValueError
Records = Iterator[tuple[int, Values]]


def _records(content: bytes, path: Path, unused: dict[str, None]) -> Records:
    """(first line, cells by column, or why they cannot be read) of each row; fills `unused`."""
    _check_text(content, path)
    if path.suffix.lower() == ".jsonl":
        return _json_lines(content, unused)
    names, separator, skip = _header(content, path)
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise FileError(path, f"two columns are called {twice[0]}; keep one")
    unused.update(dict.fromkeys(name for name in names if name and name not in COLUMNS))
    return _rows(content, path, names, separator, skip)


def _check_text(content: bytes, path: Path) -> None:
    try:
        if b"\0" not in content:
            content.decode()
            return
        at, what = content.index(b"\0"), "holds a zero byte, so it is no text in UTF-8"
    except UnicodeDecodeError as error:
        at, what = error.start, "is not UTF-8 (perhaps Latin-1 or Windows-1252)"
    line = len((content[:at] + b".").splitlines())
    raise FileError(path, f"line {line} {what}; save the file again as UTF-8")


def _json_lines(content: bytes, unused: dict[str, None]) -> Records:
    for line, text in enumerate(io.BytesIO(content.removeprefix(b"\xef\xbb\xbf")), 1):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            yield line, ValueError("not JSON")
            continue
        if not isinstance(values, dict):
            yield line, ValueError('not an object such as {"clean": "…", "corrupted": "…"}')
            continue
        values = {_column(name): value for name, value in values.items()}
        unused.update(dict.fromkeys(name for name in values if name not in COLUMNS))
        yield line, values


def _header(content: bytes, path: Path) -> tuple[list[str], str, int]:
    """The names of the columns, what separates them, and how many lines come before the rows."""
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    first, skip = lines.readline(MAX_CELL).rstrip("\r\n"), 1
    if first.lower().startswith("sep=") and len(first) == 5:  # how a spreadsheet is told
        first, skip = lines.readline(MAX_CELL).rstrip("\r\n"), 2
    best: tuple[list[str], str] = ([], ",")
    for separator in ("\t",) if path.suffix.lower() == ".tsv" else SEPARATORS:
        names = [_column(name) for name in next(csv.reader([first], delimiter=separator), [])]
        if _known(names) > _known(best[0]):
            best = names, separator
    if "clean" not in best[0]:
        raise FileError(
            path,
            "the first line names no column 'clean'; begin the file with a line such as "
            "clean,corrupted,answer,wrong",
        )
    return best[0], best[1], skip


def _known(names: Sequence[str]) -> int:
    return sum(name in COLUMNS for name in names)


def _rows(content: bytes, path: Path, names: Sequence[str], separator: str, skip: int) -> Records:
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    for _ in range(skip):
        text.readline()
    reader = csv.reader(text, delimiter=separator, strict=True)
    while True:
        line = skip + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            why = _csv_words(str(error))
            if skip + reader.line_num > line:  # where the next row begins can no longer be told
                raise FileError(path, f"line {line}: {why}") from None
            yield line, ValueError(why)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names):
            comma = SEPARATORS[separator]
            more = f"{len(cells)} cells where the first line names {len(names)} columns"
            yield line, ValueError(f'{more}; a text with a {comma} needs "quotes"')
        else:
            yield line, dict(zip(names, cells, strict=False))


def _csv_words(error: str) -> str:
    if "end of data" in error:
        return 'a quote " is opened and never closed'
    if "field larger" in error:
        return f"a cell has more than {MAX_CELL:,} characters"
    return 'a quote " inside a text must be written twice, and the text be in quotes'


def _column(name: str) -> str:
    """A column by its name in any spelling; one prompt without a counterpart is the clean one."""
    name = name.strip().lower()
    return "clean" if name == "prompt" else name


def _row(values: Values, line: int) -> PromptRow:
    """A row from its cells; ValueError says what is wrong with it."""
    if isinstance(values, ValueError):
        raise values
    made = {name: _READ[name](name, values[name]) for name in COLUMNS if name in values}
    row = PromptRow(**{"clean": "", **made, "line": line})
    if not (row.clean if isinstance(row.clean, tuple) else row.clean.strip()):
        raise ValueError("the clean prompt is empty")
    return row


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    if len(value) > MAX_CELL:
        raise ValueError(f"{name} has more than {MAX_CELL:,} characters")
    if not value.isascii() and any("\ud800" <= mark <= "\udfff" for mark in value):
        raise ValueError(f"{name} holds half a character (a lone surrogate)")
    return value


def _id(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST_ID:
        raise ValueError(f"{name}: {str(value)[:20]} is not a token id")
    return value


def _prompt(name: str, value: Any) -> str | Ids:
    if not isinstance(value, list):
        return _text(name, value)
    if len(value) > MAX_CELL:
        raise ValueError(f"{name} has more than {MAX_CELL:,} token ids")
    return tuple(_id(name, token) for token in value)


def _token(name: str, value: Any) -> str | int | None:
    """A token keeps its blanks; only nothing at all is no choice."""
    if value in BLANK:
        return None
    return _id(name, value) if isinstance(value, int) else _text(name, value)


def _bos(name: str, value: Any) -> str:
    said = str(value if value is not None else "").strip().lower()
    if said not in BOS:
        raise ValueError(f"{name}: {said[:20]!r} is not one of auto, yes, no")
    return BOS[said]


_READ: dict[str, Callable[[str, Any], Any]] = {
    "clean": _prompt, "corrupted": _prompt, "answer": _token, "wrong": _token,
    "bos": _bos, "title": _text,
}  # fmt: skip

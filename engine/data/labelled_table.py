"""Labelled texts from a CSV, TSV or JSON Lines file: a label for a text, or one for each word.

A first line names the columns: `text`, any columns of labels (`label` first of all), and `group`,
which is never parted between training and test. In JSON Lines a row may hold `words` (or `tokens`;
whole numbers are token ids) and columns with a label for each of them, such as the little world's
labels.jsonl. An empty cell or null is no label. A row that cannot be read is left out and named by
its line; a file that is too large, or no UTF-8, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.data.table_file import (
    MAX_BYTES,
    MAX_CELL,
    MAX_ROWS,
    SUFFIXES,
    Columns,
    Values,
    read_bytes,
    records,
    text,
)
from engine.errors import FileError
from engine.refs import Ref, Report, Watch, of_bytes

__all__ = ["KIND", "SUFFIXES", "LabelledRow", "LabelledTable", "parse_labelled", "read_labelled"]

KIND = "labelled text"
COLUMNS = Columns(
    ("text", "words", "label", "group"), ("text", "words"), "text,label",
    (("tokens", "words"), ("word", "words"), ("sentence", "text"), ("prompt", "text"),
     ("class", "label"), ("labels", "label")),
)  # fmt: skip
LARGEST_ID = 2**31  # no vocabulary is as large
LONGEST_LABEL = 200  # characters
EVERY = 1_000  # rows between two looks at Stop

Label = str | tuple[str, ...]
"""Of a text, or one for each of its words; "" = none."""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One text. words: its words, or token ids, where it came so; else () and `text` is all.

    labels: by column, one for the text or as many as there are words. line: its first in the file.
    """

    text: str
    words: tuple[str | int, ...]
    labels: Mapping[str, Label]
    group: str = ""
    line: int = 0


@dataclass(frozen=True)
class LabelledTable:
    """rows in the file's order; columns: those that hold labels; per_word: those with one a word.

    left_out: (line, why) of each row that could not be read.
    """

    rows: tuple[LabelledRow, ...]
    columns: tuple[str, ...]
    per_word: frozenset[str]
    ref: Ref
    name: str
    left_out: tuple[tuple[int, str], ...] = ()


def read_labelled(path: Path | str, watch: Watch = None, report: Report = None) -> LabelledTable:
    """The labelled texts in a file; FileError says what to mend, Cancelled comes from `watch`."""
    path = Path(path).absolute()
    return parse_labelled(read_bytes(path, MAX_BYTES), str(path), watch, report)


def parse_labelled(
    content: bytes, where: str, watch: Watch = None, report: Report = None
) -> LabelledTable:
    """The labelled texts in bytes; the suffix of `where` says how they are written.

    The whole is refused with a FileError, a row is left out with its line and the reason.
    """
    path = Path(where)
    if path.suffix.lower() not in SUFFIXES:
        raise FileError(path, f"is not one of {', '.join(SUFFIXES)}; rename or convert it")
    if len(content) > MAX_BYTES:
        raise FileError(path, f"larger than {MAX_BYTES // 2**20} MB; split the table")
    _check_utf8(content, path)
    rows: list[LabelledRow] = []
    left_out: list[tuple[int, str]] = []
    seen: dict[str, None] = {}  # columns of labels, in order, each once
    shared: dict[Label, Label] = {}  # equal labels of many rows are one object
    for number, (line, values) in enumerate(records(content, path, COLUMNS, {}), 1):
        if number > MAX_ROWS:
            raise FileError(path, f"more than {MAX_ROWS:,} rows; split the table")
        try:
            row = _row(values, line, shared)
        except ValueError as error:
            left_out.append((line, str(error)))
        else:
            rows.append(row)
            seen.update(dict.fromkeys(row.labels))
        if number % EVERY == 0:
            if watch is not None:
                watch()
            if report is not None:
                report(number, 0)
    if not rows:
        why = "; line {}: {}".format(*left_out[0]) if left_out else ""
        raise FileError(path, f"no row with a text{why}")
    if not seen:
        raise FileError(path, "no column holds labels; begin the file with a line such as "
                        f"{COLUMNS.example}")  # fmt: skip
    columns = sorted(seen, key=lambda name: name != "label")  # `label` first, else as in the file
    per_word = {
        name for name in columns if any(isinstance(row.labels.get(name), tuple) for row in rows)
    }
    for row in rows:
        for name in per_word & row.labels.keys():
            if isinstance(row.labels[name], str) and row.labels[name]:
                raise FileError(path, f"line {row.line}: {name} is one label here and one for each "
                                "word in other rows; write it one way")  # fmt: skip
    ref = of_bytes(KIND, content, where)
    return LabelledTable(
        tuple(rows), tuple(columns), frozenset(per_word), ref, path.name, tuple(left_out)
    )


def _check_utf8(content: bytes, path: Path) -> None:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        byte, line = content[error.start], content.count(b"\n", 0, error.start) + 1
        short = path.name
        raise FileError(
            path,
            f"line {line}, byte {error.start + 1:,} of the file (0x{byte:02X}) is not UTF-8, "
            "perhaps Latin-1 or Windows-1252: save it again as UTF-8, or convert it with "
            f"iconv -f WINDOWS-1252 -t UTF-8 {short} > utf8-{short}",
        ) from None


def _row(values: Values, line: int, shared: dict[Label, Label]) -> LabelledRow:
    """A row from its cells; ValueError says what is wrong with it."""
    if isinstance(values, ValueError):
        raise values
    words = _words(values.get("words"))
    written = text("text", values.get("text"))
    if not words and not written.strip():
        raise ValueError("the text is empty")
    labels = {
        name: _label(name, value, len(words), shared)
        for name, value in values.items()
        if name and name not in ("text", "words", "group")
    }
    if not written:
        written = " ".join(map(str, words))
    group = values.get("group")
    if isinstance(group, int | float) and not isinstance(group, bool):
        group = str(group)
    return LabelledRow(written, words, labels, text("group", group), line)


def _words(value: Any) -> tuple[str | int, ...]:
    if value in (None, ""):
        return ()
    if isinstance(value, str):  # in a CSV file: words between blanks
        return tuple(text("words", value).split())
    if not isinstance(value, list):
        raise ValueError("words is not a list")
    if len(value) > MAX_CELL:
        raise ValueError(f"words has more than {MAX_CELL:,} of them")
    ids = [isinstance(one, int) and not isinstance(one, bool) for one in value]
    if any(ids) != all(ids):
        raise ValueError("words holds texts and token ids; write one or the other")
    for one in value:
        if isinstance(one, int) and not 0 <= one < LARGEST_ID:
            raise ValueError(f"words: {one} is not a token id")
        if not isinstance(one, int) and (not text("words", one).strip() or len(one.split()) > 1):
            raise ValueError(f"words: {str(one)[:20]!r} is not one word")
    return tuple(one if isinstance(one, int) else one.strip() for one in value)


def _label(name: str, value: Any, n_words: int, shared: dict[Label, Label]) -> Label:
    if isinstance(value, list):
        if not n_words:
            raise ValueError(f"{name} has a label for each word, and no words stand beside it")
        if len(value) != n_words:
            raise ValueError(f"{name} has {len(value)} labels for {n_words} words")
        label: Label = tuple(_one_label(name, one) for one in value)
    else:
        label = _one_label(name, value)
    return shared.setdefault(label, label)


def _one_label(name: str, value: Any) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    elif isinstance(value, int | float):
        value = f"{value:g}" if isinstance(value, float) else str(value)
    label = text(name, value).strip()
    if len(label) > LONGEST_LABEL:
        raise ValueError(f"{name} has {len(label):,} characters, and a label at most "
                         f"{LONGEST_LABEL}")  # fmt: skip
    return label

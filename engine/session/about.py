"""What is recorded beside a run: title, note, exact tokens, inputs, words, view; a row of its own.

It has a seal of its own, so that a title may change and a damaged note leaves the run readable.
The words are sealed through their digest, so that a list of runs need not read them.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from engine.refs import Ref
from engine.session.json_text import from_object, from_text, plain_text, to_text
from engine.session.run import Run

SEALED = ("title", "note", "tokens", "inputs", "view", "words_digest")
SELECT = f"SELECT {', '.join(SEALED)}, seal FROM about WHERE run = ?"
Row = dict[str, Any]


def to_row(number: int, run: Run) -> Row:
    """The columns of `about` for a run that is stored under this number."""
    words = to_text({str(token): text for token, text in run.words.items()})
    row = {
        "run": number,
        "title": plain_text(run.title),
        "note": plain_text(run.note),
        "tokens": to_text(dict(run.tokens)),
        "inputs": to_text({role: msgspec.to_builtins(ref) for role, ref in run.inputs.items()}),
        "view": to_text(dict(run.view)),
        "words_digest": _digest(words),
        "deleted": "",
        "changed": "",
        "words": words,
    }
    return row | {"seal": seal(number, [row[name] for name in SEALED])}


def noted(number: int, note: str, changed: str) -> Row:
    """The columns for a run of which nothing was recorded but, perhaps, a note."""
    words = to_text({})
    sealed = ["", note, to_text({}), to_text({}), to_text({}), _digest(words)]
    row = dict(zip(SEALED, sealed, strict=True)) | {"run": number, "deleted": "", "words": words}
    return row | {"changed": changed, "seal": seal(number, sealed)}


def insert(db: sqlite3.Connection, row: Row) -> None:
    marks = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT OR IGNORE INTO about ({', '.join(row)}) VALUES ({marks})", row)


def read(db: sqlite3.Connection, number: int, format: int) -> dict[str, Any]:
    """Fields of a Run, but for its words; {} if none are recorded, ValueError if damaged."""
    if format == 1:
        row = db.execute("SELECT text FROM notes WHERE run = ?", (number,)).fetchone()
        return {} if row is None else {"note": row[0]}
    return _fields(number, db.execute(SELECT, (number,)).fetchone())


def _fields(number: int, row: tuple[Any, ...] | None) -> dict[str, Any]:
    if row is None:
        return {}
    *values, sealed = row
    if not all(type(value) is str for value in values):
        raise ValueError("it holds something that is not text")
    if seal(number, values) != sealed:
        raise ValueError("it is not what was stored")
    title, note, tokens, inputs, view, _ = values
    return {
        "title": title,
        "note": note,
        "tokens": msgspec.convert(from_object(tokens), dict[str, tuple[int, ...]]),
        "inputs": msgspec.convert(from_object(inputs), dict[str, Ref]),
        "view": from_object(view),
    }


def read_words(db: sqlite3.Connection, number: int, format: int) -> dict[int, str]:
    """How the tokens of a run are spelled; ValueError if that is damaged."""
    if format == 1:
        return {}
    row = db.execute("SELECT words, words_digest FROM about WHERE run = ?", (number,)).fetchone()
    if row is None:
        return {}
    text, digest = row
    if _digest(text) != digest:
        raise ValueError("its words are not what was stored")
    words = msgspec.convert(from_text(text), dict[str, str])
    return {int(token): word for token, word in words.items()}


def change(db: sqlite3.Connection, number: int, changes: Mapping[str, str]) -> None:
    """Other columns for a run, sealed anew; ValueError if what is there is damaged."""
    row = db.execute(SELECT, (number,)).fetchone()
    _fields(number, row)  # or damage would be sealed as if it were sound
    if row is None:
        insert(db, noted(number, "", ""))
        row = db.execute(SELECT, (number,)).fetchone()
    values: Row = {**dict(zip(SEALED, row[:-1], strict=True)), **changes}
    columns = {**changes, "changed": now(), "seal": seal(number, [values[n] for n in SEALED])}
    marks = ", ".join(f"{name} = :{name}" for name in columns)
    db.execute(f"UPDATE about SET {marks} WHERE run = :run", columns | {"run": number})


def mark_deleted(db: sqlite3.Connection, number: int, when: str) -> None:
    """Into the trash, or out of it where `when` is "". Not sealed: damage must not keep it out."""
    if when:
        insert(db, noted(number, "", ""))
    db.execute("UPDATE about SET deleted = ? WHERE run = ?", (when, number))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seal(number: int, values: Sequence[Any]) -> str:
    """SHA-256 over a row; the number too, so that no note is taken for another run's."""
    return _digest(json.dumps([number, *values]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

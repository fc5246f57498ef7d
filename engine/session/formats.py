"""The tables of a session file, format by format, and how an older file becomes one of today.

A file of every released format must open for ever, so no text of an older format is ever edited.
"""

from __future__ import annotations

import sqlite3

from engine.session import about

FORMAT = 2
_SHARED = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "models": """CREATE TABLE models (
 id INTEGER PRIMARY KEY, digest TEXT NOT NULL, name TEXT NOT NULL, folder TEXT NOT NULL,
 config TEXT NOT NULL, UNIQUE (digest, name, folder)) STRICT""",
    "runs": """CREATE TABLE runs (
 id INTEGER PRIMARY KEY, kind TEXT NOT NULL, version INTEGER NOT NULL, spec TEXT NOT NULL,
 changes TEXT NOT NULL, interventions TEXT NOT NULL, model INTEGER REFERENCES models (id),
 status TEXT NOT NULL, started TEXT NOT NULL, seconds REAL NOT NULL, blas_threads INTEGER NOT NULL,
 metrics TEXT NOT NULL, error TEXT NOT NULL, versions TEXT NOT NULL, digest TEXT NOT NULL,
 size INTEGER NOT NULL, seal TEXT NOT NULL, fields TEXT) STRICT""",
    "arrays": """CREATE TABLE arrays (
 run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE, name TEXT NOT NULL,
 part INTEGER NOT NULL, dtype TEXT NOT NULL, shape TEXT NOT NULL, data BLOB NOT NULL,
 PRIMARY KEY (run, name, part)) STRICT""",
}
# What is long stands last in its row: the columns before it are read without it.
_OF_TODAY = {
    "about": """CREATE TABLE about (
 run INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, title TEXT NOT NULL,
 note TEXT NOT NULL, tokens TEXT NOT NULL, inputs TEXT NOT NULL, view TEXT NOT NULL,
 words_digest TEXT NOT NULL, seal TEXT NOT NULL, deleted TEXT NOT NULL, changed TEXT NOT NULL,
 words TEXT NOT NULL) STRICT""",
    "data": """CREATE TABLE data (
 digest TEXT NOT NULL, kind TEXT NOT NULL, origin TEXT NOT NULL, place TEXT NOT NULL,
 rows INTEGER NOT NULL, size INTEGER NOT NULL, content BLOB, PRIMARY KEY (digest, kind)) STRICT""",
    "artifacts": """CREATE TABLE artifacts (
 id INTEGER PRIMARY KEY, run INTEGER REFERENCES runs (id) ON DELETE SET NULL, kind TEXT NOT NULL,
 digest TEXT NOT NULL, origin TEXT NOT NULL, place TEXT NOT NULL, size INTEGER NOT NULL,
 content BLOB) STRICT""",
}
_OF_FORMAT_1 = {
    "data": """CREATE TABLE data (
 digest TEXT PRIMARY KEY, kind TEXT NOT NULL, origin TEXT NOT NULL, rows INTEGER NOT NULL,
 content BLOB) STRICT""",
    "artifacts": """CREATE TABLE artifacts (
 id INTEGER PRIMARY KEY, run INTEGER REFERENCES runs (id) ON DELETE SET NULL, kind TEXT NOT NULL,
 digest TEXT NOT NULL, origin TEXT NOT NULL, content BLOB) STRICT""",
    "notes": """CREATE TABLE notes (
 run INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, text TEXT NOT NULL,
 changed TEXT NOT NULL) STRICT""",
}
TABLES = {1: _SHARED | _OF_FORMAT_1, FORMAT: _SHARED | _OF_TODAY}
# As bytes: one note in another encoding must not keep the file from being opened.
_NOTES = """SELECT n.run, CAST(n.text AS BLOB), CAST(n.changed AS BLOB)
 FROM notes n JOIN runs r ON r.id = n.run"""


def version_of(db: sqlite3.Connection) -> int:
    """The format of an open file: the log may know a newer one than the file's first page."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def upgrade(db: sqlite3.Connection) -> None:
    """Format 1 to today's, inside a transaction of the caller: all of it or nothing.

    Runs stay as they are; one without a row in `about` is one of which nothing was recorded.
    """
    if version_of(db) == FORMAT:
        return  # another window was quicker
    notes = db.execute(_NOTES).fetchall()
    for name in ("data", "artifacts"):
        db.execute(f"ALTER TABLE {name} RENAME TO old_{name}")
    for sql in _OF_TODAY.values():
        db.execute(sql)
    for number, text, changed in notes:
        # A forged page may hold NULL where the table says it cannot.
        words = [(value or b"").decode(errors="replace") for value in (text, changed)]
        row = about.noted(number, *words)
        about.insert(db, row)
    db.execute(
        "INSERT INTO data (digest, kind, origin, place, rows, size, content)"
        " SELECT digest, kind, origin, '', rows, coalesce(length(content), 0), content"
        " FROM old_data"
    )
    db.execute(
        "INSERT INTO artifacts (id, run, kind, digest, origin, place, size, content)"
        " SELECT id, run, kind, digest, origin, '', coalesce(length(content), 0), content"
        " FROM old_artifacts"
    )
    for name in ("old_data", "old_artifacts", "notes"):
        db.execute(f"DROP TABLE {name}")
    db.execute(f"PRAGMA user_version = {FORMAT}")

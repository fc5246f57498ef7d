"""The file of a session: its tables, how it is made, opened with distrust, and copied.

SQLite's own advice for files from strangers (sqlite.org/security.html), and one step more: what
the file says its tables are must be our own text to the letter, so no view, trigger, generated
column or virtual table of a stranger is ever prepared.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from engine.errors import FileError

FORMAT = 1
_APPLICATION = 0x4D534350  # "MSCP", at byte 68 of the file
_MAGIC = b"SQLite format 3\0"
_BUSY_SECONDS = 5.0
_TABLES = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    "models": """CREATE TABLE models (
 id INTEGER PRIMARY KEY, digest TEXT NOT NULL, name TEXT NOT NULL, folder TEXT NOT NULL,
 config TEXT NOT NULL, UNIQUE (digest, name, folder)) STRICT""",
    "data": """CREATE TABLE data (
 digest TEXT PRIMARY KEY, kind TEXT NOT NULL, origin TEXT NOT NULL, rows INTEGER NOT NULL,
 content BLOB) STRICT""",
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
    "artifacts": """CREATE TABLE artifacts (
 id INTEGER PRIMARY KEY, run INTEGER REFERENCES runs (id) ON DELETE SET NULL, kind TEXT NOT NULL,
 digest TEXT NOT NULL, origin TEXT NOT NULL, content BLOB) STRICT""",
    "notes": """CREATE TABLE notes (
 run INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE, text TEXT NOT NULL,
 changed TEXT NOT NULL) STRICT""",
}
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 64 << 20,  # bytes of one value: eight of our chunks
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 20,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 3,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}
_WHY = {
    "SQLITE_FULL": "the disk is full: free some space, then save again",
    "SQLITE_READONLY": "it is read-only: save the session under another name",
    "SQLITE_BUSY": "another window is writing to it: save again when that is done",
    "SQLITE_CANTOPEN": "it cannot be opened: is its folder there and writable?",
    "SQLITE_PERM": "this user may not open it",
    "SQLITE_NOTADB": "it is not a Mechanoscope session",
    "SQLITE_CORRUPT": "it is damaged: open a copy of an earlier day",
    "SQLITE_TOOBIG": "a value in it is too large to be ours",
    "SQLITE_IOERR": "the disk reports an error while it is read or written",
}


def why(error: sqlite3.Error) -> str:
    """What an error of SQLite means to the user, and the next step."""
    name = getattr(error, "sqlite_errorname", "")
    return next((text for code, text in _WHY.items() if name.startswith(code)), str(error))


@contextmanager
def speaking(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the system into a FileError that names the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise FileError(path, why(error)) from error
    except UnicodeDecodeError as error:  # a flipped bit in a name
        raise FileError(path, _WHY["SQLITE_CORRUPT"]) from error
    except FileExistsError as error:
        raise FileError(path, "there is a file of that name: choose another") from error
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error


def create(path: Path, about: Mapping[str, str]) -> None:
    """A new file with empty tables; FileExistsError if there is one."""
    path.open("xb").close()
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            # One transaction, before there is a write-ahead log: a crash leaves all or nothing.
            db.execute("BEGIN")
            for sql in _TABLES.values():
                db.execute(sql)
            db.executemany("INSERT INTO meta VALUES (?, ?)", sorted(about.items()))
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            db.execute("COMMIT")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open an existing session; True if it can only be read. FileError if it is not one of ours."""
    _check_header(path)
    log = path.with_name(path.name + "-wal")
    read_only = not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    mode = "rw"
    if read_only:
        # Nobody can be writing to it, unless a log says that somebody was.
        mode = "ro" if log.exists() and log.stat().st_size else "ro&immutable=1"
    db = _connect(path, mode)
    try:
        _check_tables(path, db)
        if not read_only:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
            db.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing that was finished
    except BaseException:
        db.close()
        raise
    return db, read_only


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
    for limit, value in _LIMITS.items():
        db.setlimit(limit, value)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("PRAGMA mmap_size = 0").fetchone()
    return db


def _check_header(path: Path) -> None:
    if not path.is_file():
        raise FileError(path, "there is no such file")
    with path.open("rb") as stream:
        head = stream.read(100)
    if len(head) < 100 or not head.startswith(_MAGIC) or _number(head, 68) != _APPLICATION:
        raise FileError(path, "it is not a Mechanoscope session")
    if (version := _number(head, 60)) > FORMAT:
        reads = f"its format is {version}, and this Mechanoscope reads up to {FORMAT}"
        raise FileError(path, f"{reads}: install a newer one")


def _number(head: bytes, at: int) -> int:
    return struct.unpack_from(">I", head, at)[0]


def _check_tables(path: Path, db: sqlite3.Connection) -> None:
    found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL LIMIT 50")
    if dict(found.fetchall()) != _TABLES:
        raise FileError(path, "its tables are not those of a session; another program changed it")


def copy(source: sqlite3.Connection, path: Path) -> None:
    """Write a whole copy of an open session to `path`, at once or not at all."""
    fresh = path.with_name(path.name + ".part")
    with speaking(path):
        if path.with_name(path.name + "-wal").exists():
            raise FileError(path, "it is open in another window: choose another name")
        try:
            with closing(sqlite3.connect(fresh)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE").fetchone()
            os.replace(fresh, path)
        finally:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

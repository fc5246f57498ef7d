"""The file of a session: how it is made, opened with distrust, brought to today's format, copied.

SQLite's own advice for files from strangers (sqlite.org/security.html), and two steps more: what
the file says its tables are must be our own text to the letter, so no view, trigger, generated
column or virtual table of a stranger is ever prepared; and no statement may go on without end.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.session.formats import FORMAT, TABLES, upgrade, version_of

_APPLICATION = 0x4D534350  # "MSCP", at byte 68 of the file
_MAGIC = b"SQLite format 3\0"
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")  # ends a journal that names a second file
BUSY_SECONDS = 15.0  # another window may be storing some hundred MB on a slow disk
_FOLDING_SECONDS = 1.0  # a log that cannot be folded now is folded by the next to close the file
READING_SECONDS = 1.0  # of computing in one statement; our own take milliseconds
WRITING_SECONDS = 600.0
_READ_BYTES = 9 << 20  # of one value: our chunks have 8 MB
_WRITE_BYTES = 64 << 20  # of one row
_OPCODES = 10_000  # between two looks at the clock
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: _READ_BYTES,
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
    "SQLITE_LOCKED": "another window is writing to it: save again when that is done",
    "SQLITE_CANTOPEN": "it cannot be opened: is its folder there and writable?",
    "SQLITE_PERM": "this user may not open it",
    "SQLITE_NOTADB": "it is not a Mechanoscope session",
    "SQLITE_CORRUPT": "it is damaged: open a copy of an earlier day",
    "SQLITE_TOOBIG": "a value in it is too large to be ours",
    "SQLITE_INTERRUPT": "it takes far too long to read: it is damaged, or was made to do that",
    "SQLITE_IOERR": "the disk reports an error while it is read or written",
}


class Connection(sqlite3.Connection):
    """A connection in which a value has its largest size and a statement its time."""

    format = FORMAT

    def guard(self) -> None:
        for limit, value in _LIMITS.items():
            self.setlimit(limit, value)
        self._clock = _Clock()
        self.set_progress_handler(self._clock.late, _OPCODES)

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        self._clock.start()
        return super().execute(sql, values)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Longer rows and more time, for what is our own."""
        self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _WRITE_BYTES)
        self.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)  # VACUUM brings a file of its own
        self._clock.seconds = WRITING_SECONDS
        try:
            yield
        finally:
            self.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _READ_BYTES)
            self.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            self._clock.seconds = READING_SECONDS

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside, or nothing."""
        with self.writing():
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back already
                    self.execute("ROLLBACK")
                raise

    def fold(self) -> bool:
        """Bring what is in the write-ahead log into the file; False while somebody reads it."""
        self.execute(f"PRAGMA busy_timeout = {int(_FOLDING_SECONDS * 1000)}").fetchone()
        busy, _, _ = self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}").fetchone()
        return not busy


class _Clock:
    """Tells SQLite to give up; apart from the connection, which would otherwise hold itself."""

    def __init__(self) -> None:
        self.seconds = READING_SECONDS
        self._until = 0.0

    def start(self) -> None:
        self._until = time.monotonic() + self.seconds

    def late(self) -> bool:
        return time.monotonic() > self._until


def why(error: Exception) -> str:
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
    except (UnicodeDecodeError, MemoryError) as error:  # a flipped bit in a name, or in a length
        raise FileError(path, _WHY["SQLITE_CORRUPT"]) from error
    except FileExistsError as error:
        raise FileError(path, "there is a file of that name: choose another") from error
    except OSError as error:
        raise FileError(path, error.strerror or str(error)) from error


def create(path: Path, about: Mapping[str, str]) -> None:
    """A new file with empty tables; FileExistsError if there is one.

    It is made under another name and appears whole: a crash leaves nothing that looks like ours.
    """
    if path.exists() or path.is_symlink():
        raise FileExistsError
    with _beside(path) as fresh:
        with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
            db.execute("BEGIN")
            for sql in TABLES[FORMAT].values():
                db.execute(sql)
            db.executemany("INSERT INTO meta VALUES (?, ?)", sorted(about.items()))
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            db.execute("COMMIT")
        try:
            os.link(fresh, path)  # refuses where there is a file by now
        except FileExistsError:
            raise
        except OSError:  # a disk without links
            os.rename(fresh, path)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """An empty file of our own in the same folder, gone afterwards; never somebody's link."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        for end in ("", "-journal"):
            with suppress(OSError):
                os.unlink(name + end)


def connect(path: Path, only_read: bool = False) -> tuple[Connection, bool]:
    """Open an existing session; True if it is only read. FileError if it is not one of ours.

    A file of an older format is brought to today's; where it is only read, it is read as it is.
    """
    _check_header(path)
    _check_journal(path)
    log = path.with_name(path.name + "-wal")
    read_only = not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    mode = "rw"
    if read_only:
        # Nobody can be writing to it, unless a log says that somebody was.
        mode = "ro" if log.exists() and log.stat().st_size else "ro&immutable=1"
    db = _connect(path, mode)
    try:
        _check_tables(path, db)
        if only_read:
            db.execute("PRAGMA query_only = ON")
        elif not read_only:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
            db.execute("PRAGMA synchronous = FULL")  # a power cut loses nothing that was finished
            read_only = not _is_of_today(path, db)
    except BaseException:
        db.close()
        raise
    return db, read_only or only_read


def address(uri: str) -> str:
    """A file's URI as SQLite takes it: a share of Windows is a path there, not another host."""
    return uri if uri.startswith("file:///") else uri.replace("file://", "file:////", 1)


def _connect(path: Path, mode: str) -> Connection:
    uri = f"{address(path.resolve().as_uri())}?mode={mode}"
    db = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS, factory=Connection
    )
    db.guard()
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("PRAGMA mmap_size = 0").fetchone()
    return db


def _check_header(path: Path) -> None:
    if not path.is_file():
        raise FileError(path, "there is no such file")
    with path.open("rb") as stream:
        head = stream.read(100)
    if not _is_ours(head):
        raise FileError(path, "it is not a Mechanoscope session")
    _check_format(path, _number(head, 60))


def is_session(path: Path) -> bool:
    """Whether a file begins as a session does, readable or not."""
    with path.open("rb") as stream:
        return _is_ours(stream.read(100))


def _is_ours(head: bytes) -> bool:
    return len(head) == 100 and head.startswith(_MAGIC) and _number(head, 68) == _APPLICATION


def _check_format(path: Path, version: int) -> None:
    if version > FORMAT:
        reads = f"its format is {version}, and this Mechanoscope reads up to {FORMAT}"
        raise FileError(path, f"{reads}: install a newer one")


def _check_journal(path: Path) -> None:
    """Refuse a journal that names another file: SQLite would delete that one. Ours never does."""
    journal = path.resolve().with_name(path.resolve().name + "-journal")
    with suppress(FileNotFoundError), journal.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - len(_NAMES_ANOTHER)))
        if stream.read() == _NAMES_ANOTHER:
            raise FileError(path, f"{journal.name} is not of ours: move it away")


def _number(head: bytes, at: int) -> int:
    return struct.unpack_from(">I", head, at)[0]


def _check_tables(path: Path, db: Connection) -> None:
    db.format = version_of(db)
    _check_format(path, db.format)
    found = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 50").fetchall()
    tables = TABLES.get(db.format, {})
    wanted = [("table", name, name, sql) for name, sql in tables.items()]
    ours = [row for row in found if row[3] is not None]  # the others are indexes of our own keys
    if len(ours) != len(wanted) or set(ours) != set(wanted):
        raise FileError(path, "its tables are not those of a session; another program changed it")


def _is_of_today(path: Path, db: Connection) -> bool:
    """Upgrade a file of an older format; False where a full disk or damage does not let us."""
    if db.format < FORMAT:
        try:
            with db.transaction():
                upgrade(db)
        except (sqlite3.Error, MemoryError) as error:
            if why(error) == _WHY["SQLITE_BUSY"]:
                raise
            return False
        _check_tables(path, db)
    return True


def copy(source: sqlite3.Connection, path: Path) -> None:
    """Write a whole copy of an open session to `path`, at once or not at all."""
    with speaking(path):
        if path.with_name(path.name + "-wal").exists():
            raise FileError(path, "it is open in another window: choose another name")
        with _beside(path) as fresh:
            with closing(sqlite3.connect(fresh)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode = DELETE").fetchone()
            os.replace(fresh, path)

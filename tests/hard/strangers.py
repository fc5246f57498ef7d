"""Session files by somebody who wants his code run: hostile schemas, logs, journals and links."""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path

from tests.hard.spoiling import MARK_SQL, Rng, log_of, one, sql, tables


def write_row(db: sqlite3.Connection, kind: str, name: str, table: str, root: int, text: str | None,
              before: str = "") -> None:  # fmt: skip
    """A line of the schema as no SQLite would write it; `before` the line of that table."""
    if before:
        at = "(SELECT min(rowid) FROM sqlite_master WHERE type = 'table' AND name = ?)"
        rows = [r for (r,) in db.execute(f"SELECT rowid FROM sqlite_master WHERE rowid >= {at}"
                                         " ORDER BY rowid DESC", (before,))]  # fmt: skip
        for row in rows:
            db.execute("UPDATE sqlite_master SET rowid = rowid + 1 WHERE rowid = ?", (row,))
        values = (rows[-1], kind, name, table, root, text)
        db.execute("INSERT INTO sqlite_master (rowid, type, name, tbl_name, rootpage, sql)"
                   " VALUES (?, ?, ?, ?, ?, ?)", values)  # fmt: skip
    else:
        db.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)",
                   (kind, name, table, root, text))  # fmt: skip
    (version,) = db.execute("PRAGMA schema_version").fetchone()
    db.execute(f"PRAGMA schema_version = {version + 1}")


def more_in_the_schema(path: Path, rng: Rng) -> str:
    """What a stranger may add to a file, beside our tables."""
    mark = f"BEGIN INSERT INTO meta VALUES ('x', {MARK_SQL}); END"
    text = one(rng, (
        f"CREATE VIEW spy AS SELECT {MARK_SQL}",
        f"CREATE TRIGGER t AFTER INSERT ON runs {mark}",
        "CREATE TRIGGER t AFTER UPDATE ON runs BEGIN DELETE FROM runs; END",
        f"CREATE TRIGGER t BEFORE DELETE ON runs {mark}",
        "CREATE TABLE more (x)",
        "CREATE TABLE sqlite_stat1 (tbl, idx, stat)",
        "CREATE TABLE g (x, y AS (x || x))",
        "ALTER TABLE runs ADD COLUMN extra TEXT",
        "ALTER TABLE runs ADD COLUMN made TEXT AS (kind || kind)",
        "CREATE INDEX i ON runs (abs(id))",
        "CREATE INDEX i ON runs (kind) WHERE length(kind) > 1",
        "CREATE VIRTUAL TABLE v USING fts5 (x)",
        "CREATE VIRTUAL TABLE v USING rtree (id, a, b)",
        "CREATE VIEW forever AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT max(i) FROM n",
        "DROP TABLE artifacts",
        "DROP TABLE meta",
        "CREATE TABLE IF NOT EXISTS notes (x)",
    ))  # fmt: skip
    with sql(path) as db, suppress(sqlite3.Error):
        db.execute(text)
    return text[:80]


def hidden_in_the_schema(path: Path, rng: Rng) -> str:
    """Triggers and indexes that carry the name of one of our tables."""
    with sql(path) as db:
        names = list(tables(db))  # in the order of the schema: a trigger must follow its table
        at = int(rng.integers(1, len(names)))
        name, on = names[at], names[int(rng.integers(at))]
        if rng.random() < 0.3:
            name, on = on, name
        event = one(rng, ("INSERT", "INSERT", "UPDATE", "DELETE"))
        kind, root, text = one(rng, (
            *[("trigger", 0, f"CREATE TRIGGER {name} AFTER {event} ON {on} BEGIN"
               f" INSERT OR REPLACE INTO meta VALUES ('x', {MARK_SQL}); END")] * 3,
            ("trigger", 0, f"CREATE TRIGGER {name} BEFORE {event} ON {on} BEGIN"
             " DELETE FROM runs; END"),
            ("trigger", 0, f"CREATE TRIGGER {name} AFTER {event} ON {on} BEGIN SELECT"
             " load_extension('/tmp/x.so'), writefile('x', 'y'), fts3_tokenizer('x'); END"),
            ("index", 3, f"CREATE INDEX {name} ON {on} (rowid)"),
            ("view", 0, f"CREATE VIEW {name} AS SELECT {MARK_SQL}"),
        ))  # fmt: skip
        write_row(db, kind, name, on, root, text, before=one(rng, ("", name, name, name)))
    return f"{kind} {name} on {on}"


def changed_tables(path: Path, rng: Rng) -> str:
    """Our own tables with something more in their text, or views in their place."""
    with sql(path) as db:
        name, text = one(rng, sorted(tables(db).items()))
        column = one(rng, [row[1] for row in db.execute(f"PRAGMA table_info({name})")])
        end = text.rindex(")")
        forever = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        kind, root, changed = one(rng, (
            ("table", None, f"{text[:end]}, CHECK (writefile('x', 'y')))"),
            ("table", None, f"{text[:end]}, CHECK (randomblob(1000000000) <> 1)) STRICT"),
            ("table", None, f"{text[:end]}, more TEXT DEFAULT ({MARK_SQL})){text[end + 1 :]}"),
            ("table", None, f"{text[:end]}, more TEXT AS ({MARK_SQL}) STORED){text[end + 1 :]}"),
            ("table", None, text.replace(" STRICT", "")),
            ("table", None, text + " "),
            ("table", None, text.replace("CREATE TABLE", "create table")),
            ("table", None, text.replace(column, column.upper(), 1)),
            ("table", 0, f"CREATE VIRTUAL TABLE {name} USING fts5 (x)"),
            ("table", 0, f"CREATE VIRTUAL TABLE {name} USING dbstat (main)"),
            ("view", 0, f"CREATE VIEW {name} AS {forever} SELECT i AS {column} FROM n"),
            ("view", 0, f"CREATE VIEW {name} AS SELECT {MARK_SQL} AS {column}"),
            ("table", None, None),
            ("table", None, "CREATE TABLE " + "x" * 200_000),
            ("table", None, f"{text[:end]}, {'(' * 5000}1{')' * 5000})"),
            ("table", None, f"CREATE TABLE {name} ({', '.join(f'c{i}' for i in range(1900))})"),
        ))  # fmt: skip
        (old,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        db.execute(
            "UPDATE sqlite_master SET type = ?, rootpage = ?, sql = ? WHERE name = ?",
            (kind, old if root is None else root, changed, name),
        )
    return f"{name}: {str(changed)[-60:]}"


def swapped_roots(path: Path, rng: Rng) -> str:
    """Each table by its own text, but the rows of another, of none, or of the schema itself."""
    with sql(path) as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        rows = db.execute("SELECT rowid, name, rootpage FROM sqlite_master").fetchall()
        row, name, _ = one(rng, rows)
        root = int(one(rng, (0, 1, -1, pages, pages + 5, 2**40, one(rng, rows)[2],
                             int(rng.integers(2, pages + 1)))))  # fmt: skip
        db.execute("UPDATE sqlite_master SET rootpage = ? WHERE rowid = ?", (root, row))
    return f"{name} from page {root}"


def foreign_log(path: Path, rng: Rng) -> str:
    """A write-ahead log of another file, of another state of it, or damaged."""
    log = log_of(path)
    own = log.read_bytes() if log.exists() else b""
    other = path.with_name("other")
    with closing(sqlite3.connect(other, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute("CREATE TABLE runs (x)")
        for number in range(int(rng.integers(1, 50))):
            db.execute("INSERT INTO runs VALUES (zeroblob(3000) || ?)", (number,))
        strange = log_of(other).read_bytes()
    for file in (other, log_of(other), log_of(other, "-shm")):
        file.unlink(missing_ok=True)
    kind = one(rng, ("foreign", "noise", "bits", "cut", "tail", "magic"))
    data = bytearray(own or strange)
    if kind == "foreign":
        data = bytearray(strange)
    elif kind == "noise":
        data = bytearray(rng.bytes(20_000))
    elif kind == "bits":
        for at in rng.integers(0, len(data), 8):
            data[at] ^= 1 << int(rng.integers(8))
    elif kind == "cut":
        del data[int(rng.integers(len(data))) :]
    elif kind == "tail":
        data += rng.bytes(9000)
    else:
        data[:32] = struct.pack(">II", 0x377F0682, 3007000) + rng.bytes(24)
    log.write_bytes(bytes(data))
    if rng.random() < 0.5:
        log_of(path, "-shm").write_bytes(rng.bytes(32768))
    return f"log: {kind}"


def foreign_journal(path: Path, rng: Rng) -> str:
    """A rollback journal that writes pages of its own, or names a file to be deleted."""
    victim = path.with_name("PRECIOUS")
    name, kind = str(victim).encode(), one(rng, ("super", "pages", "noise"))
    pages = path.stat().st_size // 4096
    count, body = 0, b""
    if kind == "pages":
        page = rng.bytes(4096)
        check = (7 + sum(page[at] for at in range(4096 - 200, 0, -200))) & 0xFFFFFFFF
        count, body = 1, struct.pack(">I", 1) + page + struct.pack(">I", check)
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", count, 7, pages, 512, 4096)
    data = head.ljust(512, b"\0") + body
    if kind == "super":
        total = sum(struct.unpack(f"{len(name)}b", name)) & 0xFFFFFFFF
        data += struct.pack(">I", (0x40000000 // 4096) + 1) + name
        data += struct.pack(">II", len(name), total) + bytes.fromhex("d9d505f920a163d7")
    log_of(path).unlink(missing_ok=True)
    log_of(path, "-journal").write_bytes(rng.bytes(9000) if kind == "noise" else data)
    return f"journal: {kind}"


def links(path: Path, rng: Rng) -> str:
    """A name that leads elsewhere, or nowhere."""
    kind = one(rng, ("session", "circle", "nothing", "folder", "pipe", "log", "shm", "copy"))
    precious, elsewhere = path.with_name("PRECIOUS"), path.with_name("ELSEWHERE")
    if kind == "log":
        log_of(path).unlink(missing_ok=True)
        log_of(path).symlink_to(precious)
    elif kind == "shm":
        log_of(path, "-shm").symlink_to(precious)
    elif kind == "copy":
        path.with_name(f"copy of {path.name}.part").symlink_to(precious)
    else:
        path.rename(elsewhere)
        if kind == "session":
            path.symlink_to(elsewhere)
        elif kind == "circle":
            path.symlink_to(path)
        elif kind == "nothing":
            path.symlink_to("absent")
        elif kind == "folder":
            path.mkdir()
        elif kind == "pipe" and hasattr(os, "mkfifo"):
            os.mkfifo(path)
    return f"link: {kind}"

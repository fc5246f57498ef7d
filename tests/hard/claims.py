"""Values that no session of ours holds: of the wrong type, too deep, too large, too many."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from engine.session import about, rows
from tests.hard.spoiling import Rng, one, sql, tables

_HUGE = ("1000000000000", "9223372036854775807", "4611686018427387904", "9" * 400, "-1", "1e300")


def _value(rng: Rng) -> Any:
    deep = int(one(rng, (500, 100_000, 1_000_000)))
    return one(rng, (
        None, 0, -1, 2**63 - 1, -(2**63), 1.5, float("inf"), -0.0, "", "\0", "x" * 1_000_000, b"",
        b"\xff\xfe", bytes(1_000_000), "[" * deep, '{"a":' * deep, "[" * deep + "]" * deep,
        "[]", "{}", "null", "NaN", '"text"', "9" * 5000, "[1e999]", '{"kind": "__import__"}',
        '{"prompt": {"kind": "corpus", "digest": "", "where": "PRECIOUS"}}', '[[1, {"prompt": 3}]]',
        "[[1e308, {}]]", '[["a", {}]]', '{"a": 1, "a": 2}', "\ud7ff\u2028\u202e", "-1", "1" * 30,
        '{"1": "x", "-5": "y", "99999999999999999999999": "z"}', '{"x": NaN, "y": -Infinity}',
        '{"focus": {"layer": 1e400}, "panel": []}', '{"tokens": [1, 2, 1e99]}', "[" + "0," * 10**6,
        '{"tokens": ' + str([-1, 2**70]) + "}", '{"tokens": [' + "0, " * 10**6 + "0]}",
        "x" * 7_000_000, '{"a": ' * 900 + "1" + "}" * 900, '{"5": "' + "w" * 5_000_000 + '"}',
        '{"prompt": {"kind": "corpus", "digest": "' + "0" * 64 + '", "where": "PRECIOUS"}}',
        '"' + "\\u0000" * 1000 + '"', "{" * 100,
    ))  # fmt: skip


def wrong_values(path: Path, rng: Rng) -> str:
    """Any value of any type in any column, though the tables are strict."""
    done = []
    with sql(path) as db:
        for _ in range(int(rng.integers(1, 4))):
            name, text = one(rng, sorted(tables(db).items()))
            column = one(rng, [row[1] for row in db.execute(f"PRAGMA table_info({name})")])
            value = _value(rng)
            where = "" if rng.random() < 0.5 else " WHERE rowid = (SELECT min(rowid) FROM {name})"
            _loosen(path, db, name, text, f"UPDATE {name} SET {column} = ?{where}", name, value)
            done.append(f"{name}.{column} = {str(value)[:20]!r}")
    return ", ".join(done)


def _loosen(path: Path, db: sqlite3.Connection, table: str, text: str, change: str, name: str,
            *values: Any) -> None:  # fmt: skip
    """Make a change that the table's own rules forbid, then put the rules back."""
    loose = text.replace(") STRICT", ")").replace(" NOT NULL", "")
    for word in (" TEXT", " INTEGER", " REAL", " BLOB"):
        if word != " INTEGER":
            loose = loose.replace(word, "")
    loose = loose.replace(" INTEGER PRIMARY KEY", " #").replace(" INTEGER", "")
    loose = loose.replace(" #", " INTEGER PRIMARY KEY")
    db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (loose, table))
    with closing(sqlite3.connect(path, isolation_level=None)) as other, suppress(sqlite3.Error):
        other.execute(change.format(name=name), values)
    db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (text, table))


def sealed_by_a_stranger(path: Path, rng: Rng) -> str:
    """A value that makes no sense under a seal that is right: who writes a file can do that."""
    with sql(path) as db:
        found = tables(db)
        table = one(rng, [name for name in ("runs", "about") if name in found])
        key = {"runs": "id", "about": "run"}[table]
        number = one(rng, [n for (n,) in db.execute(f"SELECT {key} FROM {table}")])
        names = rows.COLUMNS if table == "runs" else (*about.SEALED, "words")
        column, value = one(rng, names), _value(rng)
        change = f"UPDATE {table} SET {column} = ? WHERE {key} = {number}"
        _loosen(path, db, table, found[table], change, table, value)
        if table == "runs":
            row = db.execute(rows.SELECT, (number,)).fetchone()
            seal, end = rows.seal, row[rows.SEALED][64:]
            sealed = row[: rows.SEALED]
        else:
            if column == "words" and isinstance(value, str):
                digest = hashlib.sha256(value.encode()).hexdigest()
                db.execute(f"UPDATE about SET words_digest = ? WHERE run = {number}", (digest,))
            row = db.execute(about.SELECT, (number,)).fetchone()
            seal, end = lambda values: about.seal(number, values), ""
            sealed = row[: len(about.SEALED)]
        with suppress(TypeError):  # bytes have no seal
            change = f"UPDATE {table} SET seal = ? WHERE {key} = {number}"
            _loosen(path, db, table, found[table], change, table, seal(sealed) + end)
    return f"{table}.{column} = {str(value)[:20]!r} under a right seal"


def wrong_bytes_in_texts(path: Path, rng: Rng) -> str:
    """Texts that are no UTF-8, as a flipped bit makes them."""
    with sql(path) as db:
        name = one(rng, sorted(tables(db)))
        texts = [r[1] for r in db.execute(f"PRAGMA table_info({name})") if r[2] == "TEXT"]
        if texts:
            column = one(rng, texts)
            db.execute(f"UPDATE OR IGNORE {name} SET {column} = CAST(x'ff' || {column} AS TEXT)")
    return f"no UTF-8 in {name}"


def giant_claims(path: Path, rng: Rng) -> str:
    """Shapes, types and lengths of arrays that are not there."""
    number = one(rng, _HUGE)
    change = one(rng, (
        f"UPDATE arrays SET shape = '[{number}]'",
        f"UPDATE arrays SET shape = '[{number}, {number}]'",
        f"UPDATE arrays SET shape = '[0, {number}]', data = x'', part = 0",
        f"UPDATE arrays SET shape = '[{'1, ' * 100}1]'",
        f"UPDATE arrays SET shape = '[{'1, ' * 100000}1]'",
        "UPDATE arrays SET shape = '[true]'",
        "UPDATE arrays SET dtype = '<U999999'",
        "UPDATE arrays SET dtype = '<f9'",
        "UPDATE arrays SET dtype = '<U0', shape = '[99999999999999]', data = x''",
        "UPDATE arrays SET dtype = '|O'",
        "UPDATE arrays SET dtype = '<M8[ns]'",
        "UPDATE OR IGNORE arrays SET part = 4611686018427387904",
        "UPDATE OR IGNORE arrays SET part = part + 1",
        "UPDATE OR IGNORE arrays SET part = -part - 1",
        f"UPDATE runs SET size = {one(rng, _HUGE[:3])}",
        "UPDATE runs SET size = -5",
        "UPDATE arrays SET data = zeroblob(30000000) WHERE rowid = 1",
        "UPDATE arrays SET data = zeroblob(70000000) WHERE rowid = 1",
        "UPDATE runs SET id = 9223372036854775807 WHERE id = (SELECT max(id) FROM runs)",
        "UPDATE runs SET id = -id",
    ))  # fmt: skip
    with sql(path) as db:
        db.execute(change)
    return change[:80]


def too_many(path: Path, rng: Rng) -> str:
    """A hundred thousand rows: of runs, of parts of one array, of anything else."""
    name = one(rng, ("runs", "arrays", "about", "data", "artifacts", "models", "meta"))
    with sql(path) as db:
        found = tables(db)
        name = name if name in found else "arrays"
        _loosen(path, db, name, found[name], "", name)
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        unique = {"runs": "id", "artifacts": "id", "models": "id", "arrays": "part"}
        key = unique.get(name, columns[0])
        fresh = "i" if key in ("id", "part", "run") else "'k' || i"
        short = {"data": "x''", "content": "x''"}  # or the file has 400 MB
        short |= {"name": "'m' || i"} if name == "models" else {}
        values = [fresh if c == key else short.get(c, f"t.{c}") for c in columns]
        db.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 101000)"
            f" INSERT OR IGNORE INTO {name} ({', '.join(columns)}) SELECT {', '.join(values)}"
            f" FROM n, (SELECT * FROM {name} LIMIT 1) t"
        )
        (count,) = db.execute(f"SELECT count(*) FROM {name}").fetchone()
    return f"{count} rows in {name}"

"""kill -9 at any moment: what was told to be durable is there, and every file opens."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.session import Run, Session
from engine.techniques.logit_lens import LogitLens
from tests.hard.child import Child
from tests.hard.work import mark

OLD_RUNS = 1000  # in a file of an older format: enough that its upgrade takes a while
LONGEST = {"fresh": 1.5, "again": 1.5, "created": 0.04, "upgrade": 0.3}  # s until the kill
KINDS = ("fresh", "again", "created", "upgrade", "again", "fresh", "again")
COPIES = ("copy 0.mscope", "copy 1.mscope")

State = dict[str, tuple[str, str, bool]]  # mark of a result -> title, note, deleted


@dataclass
class Killed:
    """One file over the kills that it lives through."""

    path: Path
    old: int = 0  # runs that it had before the first kill, with the lowest ids
    state: State = field(default_factory=dict)
    copies: dict[str, list[State | None]] = field(
        default_factory=lambda: {name: [None] for name in COPIES}
    )

    def outcomes(self, said: Sequence[dict[str, Any]]) -> list[State]:
        """What the file may hold: after the last durable turn, or after any that followed it."""
        durable = max((line["durable"] for line in said if "durable" in line), default=0)
        now = dict(self.state)
        may_be = [] if durable else [now]
        for line in said:
            if "turn" not in line:
                continue
            turn, what, about = line["turn"], line["what"], line["mark"]
            now = dict(now)
            if what == "add":
                now[about] = ("", "", False)
            elif what == "describe":
                now[about] = (line["text"], line["text"] + "\n", now[about][2])
            elif what in ("delete", "restore"):
                now[about] = (*now[about][:2], what == "delete")
            elif what == "compact":
                now = {key: value for key, value in now.items() if not value[2]}
            else:
                before = self.copies[line["target"]] if turn > durable else []
                self.copies[line["target"]] = [*before, now]
            if turn >= durable:
                may_be.append(now)
        return may_be


def seen(path: Path, old: int) -> State:
    """What a session lists and loads; fails if anything in it is not readable."""
    found: State = {}
    with Session.open(path) as session:
        assert not session.read_only
        rows = [*session.runs(), *session.runs(deleted=True)]
        assert not [row.unreadable for row in rows if row.unreadable]
        assert len({row.id for row in rows}) == len(rows)
        for row in rows:
            loaded = session.load(row.id) if row.id > old or row.id % 100 == 1 else row.run
            assert loaded is not None
            key = f"old {row.id}" if row.id <= old else mark(loaded.result)
            found[key] = (loaded.title, loaded.note, row.deleted)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return found


def check(killed: Killed, said: Sequence[dict[str, Any]]) -> None:
    """The file and its copies after a kill."""
    may_be = killed.outcomes(said)
    if killed.path.exists():
        killed.state = seen(killed.path, killed.old)
        assert killed.state in may_be, difference(killed.state, may_be)
    else:
        assert not any("created" in line for line in said), "it was created and is not there"
    for name in COPIES:
        copy = killed.path.with_name(name)
        there = seen(copy, killed.old) if copy.exists() else None
        assert there in killed.copies[name], f"{name}: {difference(there, killed.copies[name])}"
        killed.copies[name] = [there]
    sessions = {file.name for file in killed.path.parent.glob("*.mscope")}
    assert sessions <= {killed.path.name, *COPIES}, "something half made looks like a session"


def difference(there: State | None, states: Sequence[State | None]) -> str:
    if there is None or None in states:
        return f"there: {there is not None}, and there are {len(states)} possibilities"
    nearest = min(
        (s for s in states if s is not None), key=lambda s: len(s.items() ^ there.items())
    )
    more, less = there.items() - nearest.items(), nearest.items() - there.items()
    return f"only in the file: {list(more)[:5]}; missing in it: {list(less)[:5]}"


def go_on(killed: Killed) -> None:
    """The next window writes on, copies over what was half copied, and leaves one whole file."""
    run = Run(spec=LogitLens(prompt=(1, 2)))
    make = Session.open if killed.path.exists() else Session.create
    with make(killed.path) as session:
        number = session.add(run)
        for name in COPIES:
            session.save_as(killed.path.with_name(name))
        session.delete([number])
        session.compact()
        assert not session.runs(deleted=True)
    for name in COPIES:
        with Session.open(killed.path.with_name(name)) as copy:
            rows = [*copy.runs(), *copy.runs(deleted=True)]
            assert len(rows) == len(killed.state) + 1
            assert rows[-1].deleted or rows[-1].run == copy.load(number)
    left = {file.name for file in killed.path.parent.iterdir()}
    logs = {f"{name}{end}" for name in (killed.path.name, *COPIES) for end in ("-wal", "-shm")}
    assert not left & logs, "a closed session is not one whole file"


def aged(source: Path, path: Path) -> int:
    """A file of format 1 with a long history, the same runs over and over; how many it has."""
    shutil.copyfile(source, path)
    with closing(sqlite3.connect(path)) as db:
        (there,) = db.execute("SELECT max(id) FROM runs").fetchone()
        for table, key in (("runs", "id"), ("arrays", "run")):
            named = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
            others = ", ".join(name for name in named if name != key)
            for step in range(1, OLD_RUNS // there):
                db.execute(
                    f"INSERT INTO {table} ({key}, {others}) SELECT {key} + {there * step}, {others}"
                    f" FROM {table} WHERE {key} <= {there}"
                )
        db.commit()
    return OLD_RUNS // there * there


@pytest.mark.parametrize(
    ("kills", "share"), [(6, 0.4), pytest.param(200, 1.0, marks=pytest.mark.hard)]
)
def test_kill_9_loses_no_finished_run_and_every_file_opens(
    kills: int, share: float, seed: int, say: Callable[[str], None], tmp_path: Path, data: Path
) -> None:
    rng = np.random.default_rng(seed)
    old = tmp_path / "old.mscope"
    runs = aged(data / "sessions" / "format-1.mscope", old)
    count: Counter[str] = Counter()
    killed: Killed | None = None
    spare = Child("toiler")
    try:
        for number in range(kills):
            kind, then = (KINDS[at % len(KINDS)] for at in (number, number + 1))
            if kind != "again" or killed is None:
                folder = tmp_path / f"{number}"
                folder.mkdir()
                killed = Killed(folder / "a session.mscope", runs if kind == "upgrade" else 0)
                if kind == "upgrade":
                    shutil.copyfile(old, killed.path)
                    killed.state = {f"old {id}": ("", "", False) for id in range(1, runs + 1)}
            moment = float(rng.uniform(0, LONGEST[kind] * share))
            child, about = spare, f"kill {number} of seed {seed}: {kind}, after {moment:.3f} s"
            with child:
                child.expect("ready")
                child.tell(path=str(killed.path), seed=int(rng.integers(1 << 31)))
                child.expect("began")
                said = child.kill_after(moment)
            spare = Child("toiler")  # starts while this one's file is read
            try:
                check(killed, said)
                if then != "again":
                    go_on(killed)
                    shutil.rmtree(killed.path.parent)
            except BaseException as error:
                error.add_note(about)
                raise
            count.update(line["what"] for line in said if "what" in line)
            count["durable"] += sum("durable" in line for line in said)
            count["before it was there"] += not any("created" in line for line in said)
    finally:
        spare.end()
    say(f"{kills} kills of seed {seed}: 0 lost; " + ", ".join(f"{v} {k}" for k, v in count.items()))

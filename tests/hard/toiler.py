"""The process that is killed: it runs, stores, edits, compacts and copies without end.

Before each thing that reaches the file it says what it is about to do, and says so again when the
writer told that it is durable; between the two, either outcome is right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.session import Saved, Session, Writer
from tests.hard import work
from tests.hard.child import say, told

EDITS = ("describe", "delete", "restore", "compact", "save_as")
SHARES = (0.3, 0.25, 0.15, 0.15, 0.15)
RUNS_SHARE = 0.6
WAITING = 4  # things on their way into the file at once


class Toiler:
    """One session file and the writer of it."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.rng, self.model = path, np.random.default_rng(seed), work.model()
        self.writer = Writer(path)
        self.ids: dict[str, int] = {}  # of the runs that are durable, by mark
        self.deleted: dict[str, int] = {}
        self._turn = 0
        self._under_way: dict[int, tuple[int, Any]] = {}  # by id(), which lives as long as it does

    def go(self) -> None:
        while True:
            if self.rng.random() < RUNS_SHARE:
                self.add()
            else:
                self.edit(str(self.rng.choice(EDITS, p=SHARES)))
            self.listen()
            while self.writer.pending >= WAITING:  # a person goes on working while it is written
                work.driven(work.random_spec(self.model, self.rng), self.model)
                self.listen()

    def add(self) -> None:
        run = work.random_run(self.model, self.rng)
        self._announce(run, what="add", mark=work.mark(run.result))
        self.writer.add(run)

    def edit(self, what: str) -> None:
        of = self.deleted if what == "restore" else self.ids
        if not of and what in ("describe", "delete", "restore"):
            return
        mark = list(of)[int(self.rng.integers(len(of)))] if of else ""
        number, text = of.get(mark, 0), f"{what} {self._turn}"
        if what == "delete":
            self.deleted[mark] = self.ids.pop(mark)
        elif what == "restore":
            self.ids[mark] = self.deleted.pop(mark)
        elif what == "compact":
            self.deleted.clear()
        target = self.path.with_name(f"copy {self.rng.integers(2)}.mscope")
        edits = {
            "describe": lambda session: session.describe(number, title=text, note=text + "\n"),
            "delete": lambda session: session.delete([number]),
            "restore": lambda session: session.restore([number]),
            "compact": lambda session: session.compact(),
            "save_as": lambda session: session.save_as(target),
        }
        # Told before it is queued: the writer's thread may be at it at once.
        turn = self._announce(None, what=what, mark=mark, text=text, target=target.name)
        edit = self.writer.do(edits[what], text)
        self._under_way[id(edit)] = turn, edit

    def _announce(self, what_is_stored: Any, **words: Any) -> int:
        self._turn += 1
        say(turn=self._turn, **words)
        if what_is_stored is not None:
            self._under_way[id(what_is_stored)] = self._turn, what_is_stored
        return self._turn

    def listen(self) -> None:
        for news in self.writer.poll():
            if news.error is not None:
                raise news.error
            turn, _ = self._under_way.pop(id(news.run if isinstance(news, Saved) else news.edit))
            say(durable=turn)
            if isinstance(news, Saved):
                self.ids[work.mark(news.run.result)] = news.id


def main() -> None:
    model = work.model()
    work.driven(work.random_spec(model, np.random.default_rng(0)), model)  # what is lazy is ready
    say(ready=True)
    order = told()
    if order is None:
        return
    path = Path(order["path"])
    say(began=True)
    if path.exists():
        Session.open(path).close()  # of an older format: upgraded now
    else:
        Session.create(path).close()
    say(created=True)
    Toiler(path, order["seed"]).go()


if __name__ == "__main__":
    main()

"""A second program on the same session file: it adds runs, or holds the file for itself.

python -m tests.hard.neighbour add PATH COUNT SEED
python -m tests.hard.neighbour hold PATH
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from engine.session import Writer
from tests.hard import work
from tests.hard.child import say, told


def add(path: Path, count: int, seed: int) -> None:
    model, rng = work.model(), np.random.default_rng(seed)
    runs = [work.random_run(model, rng, most=200_000) for _ in range(count)]
    say(ready=True)
    told()
    writer = Writer(path)
    saved = []
    for run in runs:
        writer.add(run)
        saved += writer.close()  # one by one, so that the two take turns
    say(marks=[work.mark(one.run.result) for one in saved if one.error is None],
        errors=[str(one.error) for one in saved if one.error is not None])  # fmt: skip


def hold(path: Path) -> None:
    """Until told to let go."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        say(ready=True)
        told()
    say(free=True)


def main() -> None:
    what, path, *numbers = sys.argv[1:]
    {"add": add, "hold": hold}[what](Path(path), *map(int, numbers))


if __name__ == "__main__":
    main()

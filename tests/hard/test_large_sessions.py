"""A session of 1 GB is listed without its arrays; 500 runs of history do not delay the start."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.session import Session
from tests.hard import work
from tests.hard.child import Child
from tests.hard.measured import BIG, BIG_RUNS

ROOM = 3 << 30  # bytes of disk: the file, its log, and the new file while it is compacted
STARTS = 3
HISTORY = 500  # runs
LISTED_S, LISTED_BYTES, START_S = 1.0, 100 << 20, 2.0

Say = Callable[[str], None]


def measured(*arguments: object, word: str) -> dict[str, Any]:
    with Child("measured", *arguments) as child:
        return child.expect(word)


@pytest.mark.hard
def test_a_session_of_1_gb_opens_without_reading_its_arrays(say: Say, tmp_path: Path) -> None:
    if (free := shutil.disk_usage(tmp_path).free) < ROOM:
        pytest.skip(f"{free >> 20} MB of disk are free, and {ROOM >> 20} MB are needed")
    path = tmp_path / "large.mscope"
    with Child("measured", "make", path) as child:
        assert child.process.wait(120) == 0, child.end()
    found = measured("open", path, word="titles")
    say(
        f"{found['size'] >> 20} MB listed in {found['seconds']:.3f} s, memory grew by"
        f" {found['grown'] >> 20} MB"
    )
    assert found["titles"] == [f"run {number}" for number in range(BIG_RUNS)]
    assert found["size"] == pytest.approx(sum(found["sizes"]), rel=0.02)
    assert found["size"] >= BIG_RUNS * BIG
    emptied = measured("empty", path, word="freed")
    say(
        f"{BIG_RUNS - 1} of {BIG_RUNS} runs deleted in {emptied['deleting']:.3f} s; for good in"
        f" {emptied['seconds']:.1f} s, {emptied['freed'] >> 20} MB freed, memory grew by"
        f" {emptied['grown'] >> 20} MB"
    )
    assert emptied["size"] == path.stat().st_size == pytest.approx(BIG, rel=0.02)
    assert emptied["freed"] == pytest.approx(found["size"] - emptied["size"], abs=1 << 20)
    assert emptied["grown"] < LISTED_BYTES
    with Session.open(path) as session:
        (row,) = session.runs()
        assert session.load(row.id).result is not None
    assert found["seconds"] < LISTED_S
    assert found["grown"] < LISTED_BYTES


@pytest.mark.hard
def test_500_runs_of_history_do_not_delay_the_start(model: Any, say: Say, tmp_path: Path) -> None:
    path, rng = tmp_path / "history.mscope", np.random.default_rng(0)
    with Session.create(path) as session:
        for number in range(HISTORY):
            run = work.random_run(model, rng, most=64 << 10)
            session.add(replace(run, title=f"run {number}", note="seen twice"))
    taken: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(STARTS):
        for name, arguments in (("without", ()), ("with", (path, HISTORY))):
            began = time.time()
            taken[name].append(measured("start", *arguments, word="at")["at"] - began)
    without, filled = min(taken["without"]), min(taken["with"])
    say(
        f"start {without:.2f} s, with {HISTORY} runs listed {filled:.2f} s, best of {STARTS}"
        f" (worst {max(taken['without']):.2f} and {max(taken['with']):.2f} s)"
    )
    assert filled - without < START_S

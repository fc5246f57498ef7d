"""The window is killed at work, or the disk is full: no run that was saved or shown is lost;
and a spoiled session is opened as far as it can be read, or refused in words.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.session import Session
from tests.hard import work
from tests.hard.child import Child
from tests.hard.claims import sealed_by_a_stranger, too_many, wrong_values
from tests.hard.damage import flipped_bits_in_the_tables

SHOWN = (sealed_by_a_stranger, wrong_values, too_many, flipped_bits_in_the_tables)
FILES = 120
LONGEST = 2.0  # seconds at work


@pytest.mark.hard
@pytest.mark.parametrize(
    ("kills", "share"), [(1, 0.5), pytest.param(12, 1.0, marks=pytest.mark.hard)]
)
def test_a_killed_window_is_found_again_with_its_runs(
    kills: int, share: float, seed: int, say: Callable[[str], None], home: Path
) -> None:
    rng = np.random.default_rng(seed)
    total = 0
    for number in range(kills):
        shutil.rmtree(home)
        home.mkdir()
        moment = float(rng.uniform(0, LONGEST * share))
        about = f"kill {number} of seed {seed}, after {moment:.3f} s"
        with Child("sitter", "work", int(rng.integers(1 << 31))) as child:
            child.expect("ready")
            said = child.kill_after(moment)
        saved = [line for line in said if "saved" in line]
        paths = {line["path"] for line in saved}
        assert len(paths) <= 1, about
        with Child("sitter", "look") as child:
            next_start = child.expect("found")
        assert not next_start["trouble"], about
        assert not next_start["still"], f"{about}: it is closed now, and said to be not"
        if saved:
            assert next_start["found"] == list(paths), about
        for found in next_start["found"]:
            with Session.open(found) as session:
                assert [row.id for row in session.runs()] == next_start["listed"], about
                loaded = [session.load(at) for at in next_start["listed"]]
            marks = {work.mark(run.result) for run in loaded}
            assert {line["saved"] for line in saved} <= marks, about
        total += len(saved)
    say(f"{kills} windows killed, seed {seed}: {total} saved runs, all found again")


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no limits for a process")
@pytest.mark.hard
def test_a_full_disk_is_said_in_the_window_and_work_goes_on_in_memory(home: Path) -> None:
    with Child("sitter", "full") as child:
        before, full, after = (child.expect("states") for _ in range(3))
        assert child.process.wait(20) == 0, child.end()
    count = len(before["states"])
    assert before["states"] == ["saved"] * count
    assert not before["bad"]
    assert full["states"] == ["saved"] * count + ["memory"] * count
    assert full["bad"]
    assert "disk" in full["said"]
    assert full["loaded"]
    assert full["drawn"]
    assert after["states"] == ["saved"] * (3 * count)
    assert not after["bad"]


@pytest.mark.hard
def test_spoiled_sessions_are_opened_or_refused_by_the_window(
    seed: int, say: Callable[[str], None], data: Path, tmp_path: Path, home: Path
) -> None:
    rng = np.random.default_rng([seed, 1])
    bases = sorted((data / "sessions").glob("*.mscope"))
    wrong: list[str] = []
    slowest, opened = 0.0, 0
    with Child("sitter", "open") as child:
        child.expect("ready")
        for case in range(FILES):
            folder = tmp_path / f"{case}"
            folder.mkdir()
            base = bases[int(rng.integers(len(bases)))]
            for file in base.parent.glob(f"{base.name}*"):
                shutil.copyfile(file, folder / file.name)
            path = folder / base.name
            spoil = SHOWN[case % len(SHOWN)]
            about = f"seed {seed}, file {case}: {base.name}: {spoil(path, rng)}"
            child.tell(path=str(path))
            answer = child.hear()
            assert answer is not None, f"{about}: {child.end()}"
            wrong += [f"{about}: {bug}" for bug in answer["bugs"]]
            if not (answer["opened"] or answer["refused"]):
                wrong.append(f"{about}: neither opened nor refused")
            slowest, opened = max(slowest, answer["seconds"]), opened + answer["opened"]
            shutil.rmtree(folder)
    say(f"{FILES} spoiled files in the window, seed {seed}: {opened} opened, {len(wrong)} wrong;"
        f" slowest {slowest:.2f} s until it was listed or refused")  # fmt: skip
    assert not wrong, "\n".join([f"{len(wrong)} wrong", *wrong[:50]])

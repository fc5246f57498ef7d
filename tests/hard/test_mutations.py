"""A thousand spoiled session files: no crash, no hang, no code run, nothing told that is untrue."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hard.child import Child

SECONDS = 2.0  # of one call: open, list, load, an edit, compact, save as
SHOWN = 100  # of what went wrong
MEMORY = 500 << 20  # bytes that the process needed more than it had before the file


class Reader:
    """The process that reads; a new one after each that crashed."""

    def __init__(self, folder: Path, bases: list[Path]) -> None:
        self._arguments = (folder / "case", *bases)
        self._child = self._begin()

    def _begin(self) -> Child:
        child = Child("reader", *self._arguments)
        child.expect("ready")
        return child

    def read(self, seed: int, case: int) -> dict[str, Any]:
        """What became of one file; "wrong" tells of a crash or a hang, too."""
        self._child.tell(seed=seed, case=case)
        answer = self._child.hear()
        if answer is None:
            errors = self._child.end()
            code = self._child.process.returncode
            answer = {"about": "", "refused": "", "seconds": 0.0, "longest": "", "grown": 0,
                      "wrong": [f"it ended with {code}: {errors}"]}  # fmt: skip
            self._child = self._begin()
        return answer

    def end(self) -> None:
        self._child.end()


@pytest.mark.parametrize("files", [16, pytest.param(1000, marks=pytest.mark.hard)])
def test_spoiled_sessions_do_no_harm(
    files: int, seed: int, say: Callable[[str], None], bases: list[Path], tmp_path: Path
) -> None:
    given = os.environ.get("MECHANOSCOPE_CASE")
    reader = Reader(tmp_path, bases)
    wrong: list[str] = []
    count: Counter[str] = Counter()
    slowest, largest = (0.0, ""), (0, "")
    try:
        for case in [int(given)] if given else range(files):
            answer = reader.read(seed, case)
            if answer["seconds"] > SECONDS:  # twice, or it was the machine
                again = reader.read(seed, case)
                answer["wrong"] += again["wrong"]
                answer["seconds"] = min(answer["seconds"], again["seconds"])
                if answer["seconds"] > SECONDS:
                    answer["wrong"].append(f"{answer['longest']} took {answer['seconds']:.1f} s")
            if answer["grown"] > MEMORY:
                answer["wrong"].append(f"memory grew by {answer['grown'] >> 20} MB")
            slowest = max(slowest, (answer["seconds"], f"{answer['longest']} of {answer['about']}"))
            largest = max(largest, (answer["grown"], answer["about"]))
            count["refused" if answer["refused"] else "opened"] += 1
            about = f"MECHANOSCOPE_SEED={seed} MECHANOSCOPE_CASE={case}: {answer['about']}"
            wrong += [f"{about}: {what}" for what in dict.fromkeys(answer["wrong"])]
    finally:
        reader.end()
    say(
        f"{files} spoiled files of seed {seed}: {len(wrong)} wrong, {dict(count)}; slowest"
        f" {slowest[0]:.2f} s ({slowest[1]}); memory grew by at most {largest[0] >> 20} MB"
    )
    assert not wrong, "\n".join([f"{len(wrong)} wrong", *wrong[:SHOWN]])

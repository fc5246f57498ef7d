"""The progress line of a run without a window."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from engine import headless
from engine.worker import Tick


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _progress(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, seconds: int) -> str:
    """What is shown of `seconds` seconds of a run of 600 steps, ten a second."""
    now = [0.0]
    monkeypatch.setattr("engine.headless.time", SimpleNamespace(monotonic=lambda: now[0]))
    progress = headless.Progress(stream)
    for step in range(1, seconds * 10 + 1):
        now[0] = step / 10
        progress.show(Tick(step, 600, {"loss": 0.5}, "", now[0]))
    return stream.getvalue()


def test_progress_redraws_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _progress(_Terminal(), monkeypatch, 15)
    assert "\n" not in shown
    assert shown.split("\r")[-1].endswith("150/600  25%, 0:45 left  loss 0.5")


def test_progress_in_a_log_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _progress(io.StringIO(), monkeypatch, 25).splitlines()
    assert len(lines) == 2
    assert "100/600" in lines[0]

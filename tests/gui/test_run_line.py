"""One run in words."""

from __future__ import annotations

from datetime import UTC, date, datetime

from gui.run_line import RunLine, duration, when
from tests.gui.fake_session import made


def test_times_are_said_as_people_say_them():
    spoken = [duration(s) for s in (0, 0.0004, 0.004, 0.25, 0.9999, 1.234, 42.2, 312, 7500)]
    assert spoken == ["0 ms", "0.4 ms", "4 ms", "250 ms", "1.00 s", "1.23 s", "42 s",
                      "5 min 12 s", "2 h 5 min"]  # fmt: skip
    assert duration(float("nan")) == ""
    today = date(2026, 3, 2)
    moments = [datetime(2026, 3, 2, 21, 40), datetime(2026, 3, 1, 9, 5), datetime(2025, 12, 24, 7)]
    spoken = [when(moment.replace(tzinfo=UTC), today) for moment in moments]
    assert spoken == ["today 21:40", "yesterday 9:05", "24 Dec 2025 7:00"]


def test_a_strange_time_or_prompt_in_a_file_is_no_reason_to_stumble():
    line = RunLine(made(1, started="the day before", spec={"prompt": tuple(range(3000))}))
    assert line.when == ""
    assert len(line.prompt) <= 200
    assert line.has(("2999",))


def test_markup_in_a_strangers_note_is_shown_and_not_followed():
    line = RunLine(made(1, note="<img src='there'>\nsecond line", title="<b>big</b>"))
    assert "<img" not in line.tip
    assert "&lt;b&gt;big" in line.tip
    assert "second line" in line.tip
    assert len(RunLine(made(1, note="a line\n" * 10_000)).tip) < 4000

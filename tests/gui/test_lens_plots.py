"""The plots of the lenses, and how a list of tokens stands in a form."""

import numpy as np
import pytest

from gui.entry import _read, _write
from gui.plots import Line
from gui.plots.lens_text import LensText
from gui.plots.rank_curve import RankCurve
from gui.plots.waterfall import Part, Waterfall


def test_a_text_with_nothing_in_it_says_so(qtbot):
    text = LensText()
    qtbot.addWidget(text)
    text.resize(300, 200)
    assert not text.grab().isNull()
    text.set_data(np.zeros((2, 0)), ["embed", "0"], [], [[], []])
    assert text.is_empty()


def test_the_bars_of_a_waterfall_begin_where_the_last_one_ended(qtbot):
    plot = Waterfall()
    qtbot.addWidget(plot)
    plot.resize(400, 300)
    parts = [Part("a", 2.0, 0), Part("b", -0.5, 1), Part("c", 1.0, 2, quiet=True)]
    plot.set_parts(parts, 2.5, name="sum", unit="logits")
    assert not plot.grab().isNull()
    np.testing.assert_allclose(plot._running, [0, 2, 1.5, 2.5])
    assert plot.x(plot._running[-1]) == pytest.approx(plot.x(plot.sum))
    assert "from 2.000 to 1.500" in plot.describe(1, 0)
    plot.set_parts(parts, 2.5, name="sum", unit="logits", by_size=True)
    plot.settle()
    assert [part.name for part in plot.shown] == ["a", "c", "b"]


def test_a_low_waterfall_puts_small_bars_together_and_keeps_the_sum(qtbot):
    plot = Waterfall()
    qtbot.addWidget(plot)
    plot.resize(400, 100)
    values = np.array([0.1, 5.0, -0.2, -3.0, 0.3, 0.05, 1.0, -0.4])
    parts = [Part(f"p{at}", float(value), at) for at, value in enumerate(values)]
    plot.set_parts(parts, float(values.sum()), name="sum", unit="logits")
    plot.settle()
    rest = plot.shown[-1]
    assert rest.index == -1
    assert "others" in rest.name
    assert {"p1", "p3"} <= {part.name for part in plot.shown}
    assert sum(part.value for part in plot.shown) == pytest.approx(values.sum())
    assert "share one bar" in plot.cramped()


def test_names_at_the_end_of_curves_stand_apart_and_ranks_have_human_ticks(qtbot):
    plot = RankCurve()
    qtbot.addWidget(plot)
    plot.resize(320, 200)
    lines = [Line(f"t{at}", np.array([900.0, 40.0, 1.0]), f"okabe:{at}") for at in range(4)]
    plot.set_lines(lines, ["embed", "0", "1"], ranks=True)
    assert not plot.grab().isNull()
    assert [word for _, word in plot._marks] == ["1", "10", "100"]
    assert "t0 900" in plot.describe(0, 0)
    plot.set_lines([], [])
    assert plot.is_empty()


def test_a_list_of_tokens_is_read_as_it_is_written():
    hint = tuple[str | int, ...]
    for tokens in ((5, "5", " Mary", "John", ","), (7,), ()):
        assert _read(_write(tokens), hint) == tokens
    assert _read("7, cat", hint) == (7, "cat")

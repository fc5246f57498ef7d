"""The plots of a trained SAE: L0 against recovered, and the histogram of latents."""

import numpy as np
import pytest

from gui.plots.density_histogram import DensityHistogram
from gui.plots.pareto import Pareto, ParetoPoint


def test_the_frontier_holds_what_no_other_dot_beats(qtbot):
    plot = Pareto()
    qtbot.addWidget(plot)
    plot.resize(300, 240)
    points = [(4, 0.5), (8, 0.45), (8, 0.7), (20, 0.7), (30, 0.9), (0, 1.0), (9, float("nan"))]
    plot.set_data([ParetoPoint(str(at), *each) for at, each in enumerate(points)])
    assert plot.frontier() == [0, 2, 4]
    assert plot.cell_at(plot.place(4).toPoint()) == (0, 4)
    assert "90.00 %" in plot.describe(0, 4)
    assert not plot.grab().isNull()


def test_a_dot_far_below_zero_stays_at_the_edge(qtbot):
    plot = Pareto()
    qtbot.addWidget(plot)
    plot.resize(300, 240)
    plot.set_data([ParetoPoint("bad", 10, -30.0), ParetoPoint("good", 20, 0.9)])
    assert plot.place(0).y() == pytest.approx(plot.box.bottom())
    assert plot.place(1).y() < plot.box.center().y()


def test_a_histogram_counts_what_it_was_given(qtbot):
    plot = DensityHistogram()
    qtbot.addWidget(plot)
    plot.resize(300, 200)
    edges = np.linspace(-6, 0, 25)  # [bin + 1]
    counts = np.zeros(24, int)
    counts[[9, 14]] = 3, 5  # in -3.75 .. -3.5 and -2.5 .. -2.25
    plot.set_data(edges, counts, title="share", silent=4)
    assert plot.counts.sum() == 8
    assert (plot.edges[0], plot.edges[-1]) == (-4, -2)
    assert plot.describe(0, 0) == "4 of 12 latents were never active"
    plot.set_data(edges, counts, title="share", silent=None)
    assert plot.describe(0, 1).startswith("3 of 8 latents")
    assert not plot.grab().isNull()
    plot.set_data(edges, counts * 0, title="share", silent=0)
    assert plot.is_empty()

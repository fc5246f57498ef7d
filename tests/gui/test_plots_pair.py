"""Pair: gallery, large pattern and legend share a room; long patterns are made small once."""

import numpy as np
import pytest
from PySide6.QtWidgets import QLabel

from gui.plots import Gallery, HeatMap, Key, Legend, Pair
from gui.plots import gallery as gallery_module

WORDS = ["When", " Mary", " and", " John", " went", " to", " the", " store"]


@pytest.fixture
def pair(qtbot):
    made = Pair(
        Gallery(), HeatMap(name="large", origin="top", square=True), QLabel("Head 0.0"), Legend()
    )
    qtbot.addWidget(made)
    made.show()
    return made


def fill(pair, layers, heads):
    pattern = np.full((layers, heads, len(WORDS), len(WORDS)), 0.5, np.float32)
    pair.gallery.set_patterns(pattern)
    pair.large.set_data(pattern[0, 0], WORDS, WORDS, scale="probability", tokens="both")
    pair.legend.set_keys([Key("ramp", "attention"), Key("badge", "induction", letter="I")])
    pair.arrange()


@pytest.mark.parametrize("heads", [(2, 4), (12, 12), (3, 3), (5, 8), (1, 1), (24, 2)])
@pytest.mark.parametrize("room", [(405, 340), (315, 220), (720, 300), (240, 420)])
def test_all_parts_stay_in_the_room_and_none_lies_over_another(pair, heads, room):
    pair.resize(*room)
    fill(pair, *heads)
    parts = [w.geometry() for w in (pair.caption, pair.gallery, pair.large, pair.legend)]
    assert all(pair.rect().contains(part) for part in parts), parts
    for index, part in enumerate(parts):
        assert not any(part.intersects(other) for other in parts[index + 1 :]), parts
    assert pair.gallery.cells.cell.width() >= 5


def test_more_room_makes_larger_tiles(pair):
    pair.resize(315, 220)
    fill(pair, 12, 12)
    small = pair.gallery.cells.cell.width()
    pair.resize(800, 600)
    pair.arrange()
    assert pair.gallery.cells.cell.width() > small


def test_a_run_that_grows_is_made_small_layer_by_layer(qtbot, monkeypatch):
    made = Gallery()
    qtbot.addWidget(made)
    asked = []
    real = gallery_module.shrink
    monkeypatch.setattr(
        gallery_module, "shrink", lambda p, size: asked.append(p.shape) or real(p, size)
    )
    whole = np.random.default_rng(0).random((3, 2, 300, 300), np.float32)
    growing = np.full_like(whole, np.nan)
    for layer in range(3):
        growing[layer] = whole[layer]
        made.set_patterns(growing)
        np.testing.assert_array_equal(made.patterns[: layer + 1], real(whole, 128)[: layer + 1])
        assert np.isnan(made.patterns[layer + 1 :]).all()
    assert asked == [(2, 300, 300)] * 3
    other = whole[::-1].copy()
    made.set_patterns(other)  # another array is another run
    np.testing.assert_array_equal(made.patterns, real(other, 128))


def test_a_layer_that_is_half_written_is_looked_at_again(qtbot):
    made = Gallery()
    qtbot.addWidget(made)
    pattern = np.full((1, 1, 300, 300), np.nan, np.float32)
    pattern[..., -1, :] = 1.0
    made.set_patterns(pattern)
    assert np.isnan(made.patterns).any()
    pattern[:] = 0.25
    made.set_patterns(pattern)
    np.testing.assert_array_equal(made.patterns, 0.25)

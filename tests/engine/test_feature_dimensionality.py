"""Feature dimensionality: plateaus, lines, progress, and what it says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.errors import RunError, SpecError
from engine.techniques import feature_dimensionality
from engine.techniques.feature_dimensionality import (
    LINES,
    FeatureDimensionality,
    FeatureDimensionalityResult,
    on_lines,
)
from engine.toy.reading_diagrams import dimensionality_sentence
from engine.worker import Worker

SMALL = FeatureDimensionality(
    n_features=20, d_hidden=4, points=(1.0, 2.5, 8.0), n_steps=60, batch=32
)
NAMES = [name for _, name in LINES]
PAIR = NAMES.index("antipodal pair")


def same(one: FeatureDimensionalityResult, other: FeatureDimensionalityResult) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name != "line_name")
        for name in FeatureDimensionalityResult.__dataclass_fields__
    )


def test_each_feature_is_on_its_nearest_line_only() -> None:
    D = np.array([[1.0, 0.51, 0.49, 0.387, 0.39, 0.58, 0.01, np.nan]])
    represented = np.array([[True] * 6 + [False, False]])
    share = dict(zip(NAMES, on_lines(D, represented)[0], strict=True))
    assert share["dedicated"] == pytest.approx(1 / 6)
    assert share["antipodal pair"] == pytest.approx(2 / 6)
    assert share["square antiprism"] == share["pentagon"] == pytest.approx(1 / 6)
    assert share["not represented"] == pytest.approx(1 / 7)
    assert np.isnan(on_lines(D, represented & False)[0, 0])


def test_the_numbers_are_those_of_the_trained_weights() -> None:
    result = SMALL.run(None)
    assert np.allclose(result.density, [1, 0.4, 0.125])
    assert np.allclose(result.D_star, 4 / (result.norm**2).sum(1))
    assert (result.represented == (result.norm**2 > 0.5)).all()
    assert (result.D >= 0).all()
    assert (result.D <= 1 + 1e-6).all()
    assert np.allclose(result.D.sum(1), 4, atol=0.5)  # the dimensions are shared out
    assert (result.loss < result.zero_loss).all()
    assert result.trained_steps.tolist() == [60, 60, 60]


@pytest.fixture
def short_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four steps of SMALL per update."""
    monkeypatch.setattr(feature_dimensionality, "PER_UPDATE", 4 * 20 * 32)


@pytest.mark.usefixtures("short_updates")
def test_it_fills_density_by_density_and_moves_within_one() -> None:
    states = [update.snapshot() for update in replace(SMALL, n_steps=12).steps(None)]
    made = np.array([state.trained_steps for state in states])
    assert (np.diff(made.sum(1)) > 0).all()
    assert made[0].tolist() == [4, 0, 0]
    assert not np.array_equal(states[0].D[0], states[1].D[0])
    for state in states:
        begun = state.trained_steps > 0
        assert (np.isfinite(state.D).all(1) == begun).all()
        assert (np.isfinite(state.D_star) == begun).all()
        assert dimensionality_sentence(state)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    first = SMALL.run(None)
    assert same(first, SMALL.run(None))
    assert not same(first, replace(SMALL, seed=1).run(None))


def test_densities_are_evenly_spaced_in_the_logarithm_or_given() -> None:
    spaced = replace(SMALL, points=(), lowest=1.5, highest=6.0, count=3, n_steps=1).run(None)
    assert np.allclose(spaced.inverse, [1.5, 3.0, 6.0])
    given = replace(SMALL, points=(4.0, 2.0), n_steps=1).run(None)
    assert given.inverse.tolist() == [2.0, 4.0]


def test_stop_keeps_what_is_trained() -> None:
    worker = Worker(replace(SMALL, n_steps=50_000))
    worker.start()
    while not worker.poll().ticks:
        assert not worker.join(0.01)
    worker.cancel()
    assert worker.join(10)
    end = worker.poll()
    assert end.state == "cancelled"
    assert 0 < end.result.trained_steps[0] < 50_000
    assert np.isfinite(end.result.D[0]).all()


@pytest.mark.usefixtures("short_updates")
def test_numbers_that_are_not_finite_are_an_error_and_the_last_good_state_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    class Spoiled(feature_dimensionality.Trainer):
        def __init__(self, **fields: Any) -> None:
            made.append(self)
            super().__init__(**fields)

        def advance(self, count: int) -> None:
            super().advance(count)
            if len(made) == 2 and self.step > 8:
                self.W[:] = np.nan

    monkeypatch.setattr(feature_dimensionality, "Trainer", Spoiled)
    worker = Worker(replace(SMALL, n_steps=12))
    worker.start()
    assert worker.join(30)
    end = worker.poll()
    assert end.state == "failed"
    assert isinstance(end.error, RunError)
    assert "at 1/(1 - S) = 2.5" in str(end.error)
    assert end.result.trained_steps.tolist() == [12, 8, 0]
    assert np.isfinite(end.result.D[:2]).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"d_hidden": 20}, "d_hidden: 20 is not below the 20 features"),
        ({"points": (), "lowest": 5.0, "highest": 2.0}, "lowest: 5 is above highest, 2"),
        ({"points": (0.5,)}, "points: 0.5 is below 1.0"),
        ({"n_features": 1}, "n_features: 1 is below 2"),
        ({"batch": 10**9}, "batch: 1000000000 is above"),
    ],
)
def test_bad_input_names_the_field_and_the_limit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        replace(SMALL, **fields).run(None)


def test_words_are_computed_from_the_numbers() -> None:
    result = SMALL.run(None)
    share = np.zeros_like(result.on_line)
    share[0] = np.nan
    share[1:, PAIR] = 0.97
    share[2, NAMES.index("triangle")] = 0.3
    words = dimensionality_sentence(replace(result, on_line=share, D_star=np.array([1, 0.5, 0.2])))
    assert "from 1.00 at 1/(1−S) = 1 to 0.20 at 8" in words
    assert "A plateau at 1/2 (antipodal pair) at 2.5 and 8" in words
    assert "Also seen, at 10% of the features or more: 2/3 (triangle)." in words
    assert "Not seen: 1 (dedicated), 3/4 (tetrahedron)" in words
    nothing = replace(result, D_star=np.full(3, np.nan))
    assert dimensionality_sentence(nothing) == "No density has been trained yet."
    none = replace(result, on_line=np.full_like(share, np.nan))
    assert "No single feature is represented" in dimensionality_sentence(none)


def test_plateaus_of_a_small_figure() -> None:
    points = (1.1, 2.6, 10.0)
    spec = FeatureDimensionality(n_features=80, d_hidden=8, points=points, n_steps=1500)
    result = spec.run(None)
    assert 0.97 <= result.D_star[0] <= 1.04
    assert result.on_line[1, PAIR] >= 0.95
    assert result.D_star[2] < 0.25
    assert np.isnan(result.on_line[0, PAIR])  # near p = 1 no single feature is represented

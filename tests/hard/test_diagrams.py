"""The diagrams of toy models over twenty fresh seeds: what one run showed must hold for all.

Their short forms are in tests/engine, with the figures' other tests.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.techniques.feature_dimensionality import LINES, FeatureDimensionality, small_figure
from engine.techniques.phase_diagram import CASES, PhaseDiagram
from engine.toy.reading_diagrams import dimensionality_sentence, seen

SEEDS = 20
LEAST = {"2 in 1": 0.93, "3 in 2": 0.88}  # agreement that the best of 5 must reach
NAMES = [name for _, name in LINES]
PAIR, TETRAHEDRON = NAMES.index("antipodal pair"), NAMES.index("tetrahedron")


@pytest.mark.hard
@pytest.mark.parametrize("case", CASES)
def test_the_best_of_five_agrees_with_the_closed_form(
    case: str, seed: int, say: Callable[[str], None]
) -> None:
    results = [PhaseDiagram(case=case, seed=seed + number).run(None) for number in range(SEEDS)]
    best = np.array([result.agreement for result in results])  # [seed]
    single = np.array([result.run_agreement for result in results])  # [seed]
    say(
        f"{case}: the best of 5 agrees in {best.mean():.3f}, {best.min():.3f} to {best.max():.3f} "
        f"over {SEEDS} seeds; single runs in {single.mean():.3f}, at most {single.max():.3f}"
    )
    assert (best >= LEAST[case]).all()
    assert single.max() < best.min()


@pytest.mark.hard
def test_the_plateaus_are_there_for_every_seed(seed: int, say: Callable[[str], None]) -> None:
    results = [small_figure(seed + number).run(None) for number in range(SEEDS)]
    x = results[0].inverse
    D_star = np.array([result.D_star for result in results])  # [seed, density]
    pairs = np.array([result.on_line[:, PAIR] for result in results])  # [seed, density]
    pairs = pairs[:, (x >= 2.5) & (x <= 3.3)]
    dense, sparse = D_star[:, x <= 1.2], D_star[:, x == 10]
    tetrahedra = max(float(np.nan_to_num(seen(result))[TETRAHEDRON]) for result in results)
    say(
        f"n=120, m=12, {SEEDS} seeds: D* {dense.min():.3f} to {dense.max():.3f} at 1.2 and below; "
        f"pairs {pairs.min():.3f} or more, {pairs.mean():.3f} on average, at 2.7 and 3.3; "
        f"D* {sparse.max():.3f} or less at 10; most on 3/4 at any density {tetrahedra:.3f}"
    )
    assert ((dense >= 0.97) & (dense <= 1.04)).all()
    assert (pairs >= 0.95).all()
    assert (sparse < 0.25).all()


@pytest.mark.hard
def test_the_papers_size_has_the_plateau_of_pairs(seed: int, say: Callable[[str], None]) -> None:
    points = (1.2, 2.0, 3.0, 4.5, 6.0, 8.0, 12.0)
    result = FeatureDimensionality(points=points, seed=seed).run(None)
    say(f"n=400, m=30: {dimensionality_sentence(result)}")
    assert 0.97 <= result.D_star[0] <= 1.04
    assert result.on_line[2, PAIR] >= 0.95
    assert result.D_star[-1] < 0.25

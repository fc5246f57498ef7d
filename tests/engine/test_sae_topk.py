"""The k largest of a row and of a batch: what a sort gives, whatever the numbers look like."""

from __future__ import annotations

import numpy as np
import pytest

from engine.sae.topk import BatchTop, row_top


@pytest.mark.parametrize(("n", "k"), [(12, 1), (12, 12), (1024, 32), (5000, 7), (4096, 300)])
@pytest.mark.parametrize("kind", ["normal", "ties", "neighbours", "one group", "equal"])
def test_the_k_largest_of_each_row_are_those_of_a_sort(n: int, k: int, kind: str) -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((9, n)).astype(np.float32)  # [row, n]
    if kind == "ties":
        values = np.round(values * 2) / 2
    elif kind == "neighbours":
        values[:, : n // 3] += 4
    elif kind == "one group":
        values[:, ::512] += 9
    elif kind == "equal":
        values[...] = 1
    index, value = row_top(values.copy(), k)
    wanted = np.sort(np.argsort(-values, axis=1, kind="stable")[:, :k], axis=1)  # [row, k]
    np.testing.assert_array_equal(index, wanted)
    np.testing.assert_array_equal(value, np.take_along_axis(values, wanted, axis=1))


def test_a_row_with_a_nan_shows_it_and_the_others_are_right() -> None:
    values = np.random.default_rng(4).standard_normal((6, 2048)).astype(np.float32)
    values[2, 7] = np.nan
    index, value = row_top(values, 16)
    assert np.isnan(value[2]).any()
    others = [0, 1, 3, 4, 5]
    wanted = np.sort(np.argsort(-values[others], axis=1)[:, :16], axis=1)  # [row, k]
    np.testing.assert_array_equal(index[others], wanted)


@pytest.mark.parametrize("count", [1, 50, 3000, 40_000])
@pytest.mark.parametrize("ties", [False, True])
def test_the_largest_of_a_batch_are_those_of_a_sort(count: int, ties: bool) -> None:
    values = np.random.default_rng(5).standard_normal((40, 2000)).astype(np.float32)
    if ties:
        values = np.round(values * 4) / 4
    top = BatchTop(count, 2000)
    for first in range(0, 40, 15):
        top.add(values[first : first + 15].copy(), first)
    row, column, value = top.chosen()
    order = np.argsort(-values, axis=None, kind="stable")[:count]
    order = np.sort(order[values.reshape(-1)[order] > 0])
    np.testing.assert_array_equal(row * 2000 + column, order)
    np.testing.assert_array_equal(value, values.reshape(-1)[order])

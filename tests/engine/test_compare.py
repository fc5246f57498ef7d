"""Two runs against each other: exact about what is the same, plain about what has no difference."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from engine.compare import ABSENT, ArrayPair, Difference, compare
from engine.errors import RunError
from engine.model import Intervention, open_model
from engine.session import ModelRef, Run
from engine.technique import Ref, Technique, array, param
from engine.techniques.logit_lens import LogitLens


@dataclass(frozen=True)
class _AnyResult:
    tokens: Any = array("pos", "what was read")
    value: Any = array("layer pos", "a grid")


@dataclass(frozen=True, kw_only=True)
class _Any(Technique):
    Result: ClassVar[type] = _AnyResult
    lr: float = param(0.1, "a rate")
    seed: int = param(0, "a seed", role="seed")
    data: Ref | None = param(None, "an input")


def run(value: Any, ids: Any = (1, 2), **about: Any) -> Run:
    return Run(spec=_Any(), result=_AnyResult(np.array(ids), value), **about)


def pair(a: Any, b: Any) -> ArrayPair:
    return compare(run(a), run(b)).arrays[1]


def test_the_difference_is_b_minus_a_in_doubles() -> None:
    found = pair(np.array([[1.0, 2.0]], np.float32), np.array([[1.5, 1.0]], np.float32))
    assert found.difference is not None
    assert found.difference.dtype == np.float64
    assert found.difference.tolist() == [[0.5, -1.0]]
    assert (found.largest, found.at, found.mean_abs) == (-1.0, (0, 1), 0.75)
    assert (found.unequal, found.same_bits, found.why) == (2, False, "")
    assert (found.axes, found.help) == (("layer", "pos"), "a grid")


def test_equal_results_have_the_same_bits_nan_included() -> None:
    grid = np.array([[1.0, np.nan, np.inf, -np.inf]])
    found = pair(grid, grid.copy())
    assert (found.same_bits, found.unequal, found.largest, found.mean_abs) == (True, 0, 0.0, 0.0)
    assert compare(run(grid), run(grid.copy())).same_bits
    for other in (grid.astype(np.float32), np.array([[1.0, 0.0, np.inf, -np.inf]])):
        assert not pair(grid, other).same_bits
    close = grid.copy()
    close[0, 0] = np.nextafter(1.0, 2.0)
    found = pair(grid, close)
    assert not found.same_bits
    assert found.at == (0, 0)


def test_the_order_in_memory_does_not_matter() -> None:
    a = np.arange(6.0).reshape(2, 3)
    b = np.asfortranarray(a * 2)
    found = pair(a, b)
    np.testing.assert_array_equal(found.difference, a)
    assert (found.largest, found.at) == (5.0, (1, 2))
    equal = pair(np.asfortranarray(np.full((2, 3), np.inf)), np.full((2, 3), np.inf))
    np.testing.assert_array_equal(equal.difference, np.zeros((2, 3)))


def test_a_half_filled_grid_differs_where_both_have_a_number() -> None:
    found = pair(np.array([[1.0, np.nan], [np.nan, 2.0]]), np.array([[2.0, 5.0], [np.nan, 2.0]]))
    assert found.difference is not None
    np.testing.assert_array_equal(found.difference, [[1.0, np.nan], [np.nan, 0.0]])
    assert (found.largest, found.at, found.mean_abs, found.unequal) == (1.0, (0, 0), 0.5, 2)
    empty = pair(np.full((1, 2), np.nan), np.zeros((1, 2)))
    assert np.isnan([empty.largest, empty.mean_abs]).all()
    assert (empty.at, empty.unequal) == (None, 2)


def test_infinity_against_a_number_is_the_largest() -> None:
    found = pair(np.array([[np.inf, 3.0]]), np.array([[0.0, 1.0]]))
    assert (found.largest, found.at) == (-np.inf, (0, 0))


def test_prompts_of_different_lengths_have_no_difference() -> None:
    both = compare(run(np.zeros((12, 16)), range(16)), run(np.zeros((12, 14)), range(14)))
    tokens, value = both.arrays
    assert (value.why, value.difference, value.unequal) == ("12 x 16 against 12 x 14", None, -1)
    assert tokens.why == "16 against 14"
    assert not both.same_bits
    assert pair(np.zeros((2, 3)), 1.0).why == "2 x 3 against one value"


def test_token_ids_are_counted_not_subtracted() -> None:
    tokens = compare(run(0.0, (1, 2, 3)), run(0.0, (1, 5, 4))).arrays[0]
    assert (tokens.difference, tokens.unequal) == (None, 2)
    assert tokens.why == "token ids are names, not amounts"


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [
        (np.array([3, 0]), np.array([1, 0]), [-2.0, 0.0]),
        (np.array([0], np.uint8), np.array([255], np.uint8), [255.0]),
        (np.array([True, False]), np.array([False, False]), [-1.0, 0.0]),
        (2, 5, 3.0),
        (0.5, np.float32(1.5), 1.0),
    ],
)
def test_whole_numbers_and_truths_are_subtracted_as_doubles(a: Any, b: Any, difference: Any):
    found = pair(a, b)
    assert found.difference is not None
    assert found.difference.dtype == np.float64
    assert found.difference.tolist() == difference


@pytest.mark.parametrize(
    ("a", "b", "why", "unequal"),
    [
        ("one", "two", "texts", 1),
        (("a", "b"), ("a", "c"), "texts", 1),
        (("a", "b"), ("a",), "2 against 1", -1),
        ({"a": 1}, {"a": 2}, "tables", 1),
        (None, 1.0, "one of them is none", 1),
        (np.array([1j]), np.array([2j]), "no real numbers", 1),
        (np.array(["a"]), np.array([1]), "texts", 1),
    ],
)
def test_what_is_no_number_says_why(a: Any, b: Any, why: str, unequal: int) -> None:
    found = pair(a, b)
    assert (found.why, found.difference, found.unequal) == (why, None, unequal)
    assert not found.same_bits


def test_what_is_no_number_may_be_the_same() -> None:
    for value in ("one", ("a", "b"), (), {"a": 1}, None):
        assert pair(value, value).same_bits


def test_settings_that_differ_are_named_in_words() -> None:
    a = run(
        0.0, model=ModelRef("gpt2", "header:1"), words={1: " cat", 2: "s"},
        tokens={"tokens": (1, 2)}, blas_threads=2,
    )  # fmt: skip
    entry = Intervention("hook_embed", positions=(1,))
    b = replace(
        a, spec=_Any(lr=0.2, seed=3, data=Ref("corpus", "ab")), model=ModelRef("pythia", "2"),
        tokens={"tokens": (1, 9)}, interventions=(entry,), changes=((4, {"lr": 0.5}),),
        blas_threads=1, versions={**a.versions, "numpy": "1.0"}, status="cancelled",
        inputs={"rows": Ref("prompt pairs", "cd")},
    )  # fmt: skip
    told = {entry.name: (entry.a, entry.b) for entry in compare(a, b).settings}
    assert told == {
        "model": ("gpt2", "pythia"),
        "model digest": ("1 (of the header; the weights were not read)", "2"),
        "lr": ("0.1", "0.2"),
        "seed": ("0", "3"),
        "data": ("none", "corpus ab"),
        "tokens": ("·cat s (2)", "·cat 9 (2)"),
        "input, rows": (ABSENT, "prompt pairs cd"),
        "interventions": (ABSENT, "zero hook_embed at position 1"),
        "live changes": (ABSENT, "lr = 0.5 from step 4"),
        "status": ("finished", "cancelled"),
        "BLAS threads": ("2", "1"),
        "version of numpy": (np.__version__, "1.0"),
    }
    assert compare(a, a).settings == ()


def test_tokens_of_the_same_text_differ_by_their_ids() -> None:
    words = {1: "a", 2: "a"}
    (entry,) = compare(
        run(0.0, tokens={"tokens": (1,)}, words=words),
        run(0.0, tokens={"tokens": (2,)}, words=words),
    ).settings
    assert (entry.name, entry.a, entry.b) == ("tokens, ids", "1", "2")


def test_a_result_that_was_not_kept_says_so_and_may_be_known_to_be_the_same() -> None:
    a = run(np.zeros((1, 1)), digest="ab")
    gone = replace(a, result=None)
    for one, other, which in ((gone, a, "first"), (a, gone, "second")):
        both = compare(one, other)
        assert both.same_bits
        assert {pair.why for pair in both.arrays} == {
            f"the arrays of the {which} run were not kept"
        }
    assert not compare(gone, replace(a, digest="cd")).same_bits
    assert "first and the second run" in compare(gone, gone).arrays[0].why


def test_only_runs_of_one_kind_are_compared() -> None:
    with pytest.raises(RunError, match="_Any and LogitLens have no result in common"):
        compare(run(0.0), Run(spec=LogitLens(prompt=(1,))))


def test_real_runs_of_a_model(data: Path) -> None:
    model, spec = open_model(data / "families" / "gpt2-tied"), LogitLens(prompt=(1, 2, 3))
    zero = (Intervention("blocks.0.hook_attn_out"),)
    a = Run(spec=spec, result=spec.run(model))
    b = Run(spec=spec, result=spec.run(model.under(zero)), interventions=zero)
    both = {pair.name: pair for pair in compare(a, b).arrays}
    expected = b.result.kl.astype(np.float64) - a.result.kl
    np.testing.assert_array_equal(both["kl"].difference, expected)
    assert both["tokens"].same_bits
    assert compare(a, Run(spec=spec, result=spec.run(model))).same_bits


def test_a_large_run_is_compared_in_two_more_copies() -> None:
    a = np.ones((10, 1000, 1000), np.float32)
    b = np.ones_like(a)
    tracemalloc.start()
    try:
        found = pair(a, b)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.same_bits
    assert peak < 2.3 * a.nbytes


def test_a_header_is_not_taken_for_other_weights() -> None:
    a = run(0.0, model=ModelRef("gpt2", "header:12"))
    (entry,) = compare(a, replace(a, model=ModelRef("gpt2", "34"))).settings
    assert entry == Difference(
        "model digest", "12 (of the header; the weights were not read)", "34"
    )


def test_the_same_input_elsewhere_is_no_difference() -> None:
    a, b = (replace(run(0.0), spec=_Any(data=Ref("corpus", "ab", where))) for where in ("/a", "/b"))
    assert compare(a, b).settings == ()

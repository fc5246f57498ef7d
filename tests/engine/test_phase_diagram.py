"""The phase diagram: closed forms, the exact loss that picks the best run, and what it reaches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.errors import RunError, SpecError
from engine.technique import of
from engine.techniques import phase_diagram
from engine.techniques.phase_diagram import CASES, PhaseDiagram, PhaseDiagramResult, coarse_to_fine
from engine.toy import theory
from engine.toy.reading_diagrams import agreeing, cell_sentence, phase_sentence, stuck
from engine.worker import Worker

SMALL = PhaseDiagram(columns=4, rows=4, best_of=2, n_steps=40, batch=16)
LEAST = {"2 in 1": 0.93, "3 in 2": 0.88}  # agreement that the best of 5 must reach on 12 x 12


def same(one: PhaseDiagramResult, other: PhaseDiagramResult) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
        for name in PhaseDiagramResult.__dataclass_fields__
    )


def test_with_two_equal_features_superposition_is_cheaper_below_four_sevenths() -> None:
    losses = theory.phase_losses(2, np.array([4 / 7 - 1e-6, 4 / 7 + 1e-6]), np.array([1.0]))[:, 0]
    assert losses[0].argmin() == theory.SUPERPOSITION
    assert losses[1].argmin() != theory.SUPERPOSITION
    assert losses[1, theory.NOT_REPRESENTED] == losses[1, theory.DEDICATED]


def test_two_options_as_good_as_each_other_are_both_right() -> None:
    losses = theory.phase_losses(2, np.array([0.9, 0.9, 0.9]), np.array([1.0]))[:, 0]
    assert theory.is_best(losses, np.array([0, 1, 2])).tolist() == [True, False, True]
    assert not theory.is_best(losses[:1], np.array([-1])).any()


@pytest.mark.parametrize(
    ("W", "b", "option"),
    [
        ([[1, 0]], [0, 0.5], theory.NOT_REPRESENTED),
        ([[1, -1]], [0, 0], theory.SUPERPOSITION),
        ([[0, 1]], [0.5, 0], theory.DEDICATED),
        ([[1, 0, 0], [0, 1, 0]], [0, 0, 0.5], theory.NOT_REPRESENTED),
        ([[1, 0, 0], [0, 1, -1]], [0, 0, 0], theory.SUPERPOSITION),
        ([[1, -1, 0], [0, 0, 1]], [0, 0, 0], theory.DEDICATED),
    ],
)
def test_the_exact_loss_of_ideal_weights_is_the_closed_form(W: Any, b: Any, option: int) -> None:
    W, b, p, r = np.array([W], float), np.array(b, float), 0.2, 3.0
    bias = np.where(b > 0, p / 2, 0.0)[None]  # what is left out is replaced by its mean
    importance = np.ones((1, W.shape[-1]))
    importance[:, -1] = r
    closed = theory.phase_losses(W.shape[-1], np.array([p]), np.array([r]))[0, 0, option]
    assert theory.exact_loss(W, bias, np.array([p]), importance)[0] == pytest.approx(closed, 1e-3)


def test_the_exact_loss_is_what_a_large_sample_gives() -> None:
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((1, 2, 3)), 0.2 * rng.standard_normal((1, 3))
    x = rng.random((400_000, 3)) * (rng.random((400_000, 3)) < 0.3)
    output = np.maximum(x @ W[0].T @ W[0] + b[0], 0)
    weight = np.array([1.0, 1.0, 4.0])
    sampled = (weight * (x - output) ** 2).mean()
    exact = theory.exact_loss(W, b, np.array([0.3]), weight[None])[0]
    assert exact == pytest.approx(sampled, rel=0.01)


def test_the_general_closed_form_is_the_least_of_the_three_options() -> None:
    p, r = np.geomspace(0.01, 1, 9), np.geomspace(0.1, 10, 8)
    for n in CASES.values():
        importance = np.ones((8, n))
        importance[:, -1] = r
        general = [theory.closed_form_loss(density, importance, n - 1) for density in p]
        assert np.allclose(general, theory.phase_losses(n, p, r).min(-1))
    pentagon = theory.closed_form_loss(0.05, 0.9 ** np.arange(5), 2)
    assert pentagon < theory.linear_loss(0.05, 0.9 ** np.arange(5), 2)
    assert theory.zero_loss(0.3, np.ones((2, 5))).tolist() == pytest.approx([0.1, 0.1])


def test_the_first_cells_are_a_lattice_over_the_whole_picture() -> None:
    cells = coarse_to_fine(12, 12)
    assert len(set(cells)) == 144
    assert set(cells[:9]) == {(row, column) for row in (0, 4, 8) for column in (0, 4, 8)}
    assert len(set(coarse_to_fine(3, 20))) == 60


def test_cells_fill_block_by_block_and_stay_as_they_are() -> None:
    spec = replace(SMALL, best_of=20)
    filled, last = 0, None
    for update in spec.steps(None):
        result = update.snapshot()
        known = result.trained >= 0
        assert known.sum() >= filled
        for name in ("loss", "norm", "superposition", "W", "b", "run_losses"):
            values = getattr(result, name)
            assert (np.isfinite(values) == known.reshape(4, 4, *[1] * (values.ndim - 2))).all()
            if last is not None:
                before = last.trained >= 0
                assert np.array_equal(values[before], getattr(last, name)[before])
        filled, last = known.sum(), result
    assert update.step == update.total == 16 * 40
    assert filled == 16


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    first = SMALL.run(None)
    assert same(first, SMALL.run(None))
    assert not same(first, replace(SMALL, seed=1).run(None))


def test_what_is_shown_of_a_cell_belongs_to_its_best_run() -> None:
    result = replace(SMALL, best_of=3, case="3 in 2").run(None)
    assert (result.loss == result.run_losses.min(-1)).all()
    importance = np.ones((4, 3))
    importance[:, -1] = result.importance
    for row in range(4):
        p = np.full(4, result.density[row])
        exact = theory.exact_loss(result.W[row], result.b[row], p, importance)
        assert np.allclose(exact, result.loss[row])
        assert np.allclose(result.norm[row], np.linalg.norm(result.W[row, ..., -1], axis=-1))
    assert result.agreement == agreeing(result).mean()


@pytest.mark.parametrize("case", CASES)
def test_a_cell_opens_as_a_toy_model_at_its_own_weights(case: str) -> None:
    diagram = replace(SMALL, case=case, n_steps=400)
    result = diagram.run(None)
    spec, model = diagram.cell(result, 3, 2)
    assert type(model) is of("ToyModel").Result
    assert np.array_equal(model.W[0], result.W[3, 2])
    assert model.norm[0, -1] == pytest.approx(result.norm[3, 2])
    assert model.interference[0, -1] == pytest.approx(result.superposition[3, 2])
    assert model.closed_form_loss[0] == pytest.approx(result.closed_form_losses[3, 2].min())
    assert spec.importances[-1] == result.importance[2]
    again = spec.run(None)  # the same kind of model, trained afresh
    for name in of("ToyModel").Result.__dataclass_fields__:
        one, other = getattr(model, name), getattr(again, name)
        assert type(one) is type(other), name
        if isinstance(one, np.ndarray):
            axis = 1 if name.startswith("history_") else 0
            assert one.dtype == other.dtype, name
            assert one.shape[axis:] == other.shape[axis:], name


def test_a_cell_that_is_not_trained_does_not_open() -> None:
    result = next(SMALL.steps(None)).snapshot()
    result = replace(result, trained=np.full((4, 4), -1))
    with pytest.raises(RunError, match="row 1, column 2 has not been trained"):
        SMALL.cell(result, 1, 2)


def test_stop_keeps_the_cells_that_are_done() -> None:
    worker = Worker(replace(SMALL, rows=12, columns=12, n_steps=1000))
    worker.start()
    while (shown := worker.poll().result) is None or not np.isfinite(shown.loss).any():
        assert not worker.join(0.01)
    worker.cancel()
    assert worker.join(10)
    end = worker.poll()
    assert end.state == "cancelled"
    assert 0 < (end.result.trained >= 0).sum() < 144


def test_numbers_that_are_not_finite_are_an_error_and_the_finished_cells_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    class Spoiled(phase_diagram.Trainer):
        def __init__(self, **fields: Any) -> None:
            made.append(self)
            super().__init__(**fields)

        def advance(self, count: int) -> None:
            super().advance(count)
            if len(made) == 2:
                self.W[:] = np.nan

    monkeypatch.setattr(phase_diagram, "Trainer", Spoiled)
    worker = Worker(replace(SMALL, best_of=5))
    worker.start()
    assert worker.join(30)
    end = worker.poll()
    assert end.state == "failed"
    assert isinstance(end.error, RunError)
    assert "lr: 0.01" in str(end.error)
    assert (end.result.trained >= 0).sum() == 9
    assert np.isfinite(end.result.loss).sum() == 9


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("case", "4 in 1", "'4 in 1' is not one of"),
        ("rows", 1, "1 is below 2"),
        ("best_of", 0, "0 is below 1"),
        ("lr", float("nan"), "not a finite number"),
        ("lr", 1e9, "is above 10.0"),
    ],
)
def test_a_field_out_of_range_is_named(field: str, value: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        PhaseDiagram(**{field: value})


def test_words_are_computed_from_the_numbers() -> None:
    result = SMALL.run(None)
    known = np.zeros((4, 4), bool)
    known[:2] = True
    sixth = result.closed_form.copy()
    trained = np.where(known, sixth, -1)
    trained[0, 0] = (sixth[0, 0] + 2) % 3
    cheapest = result.closed_form_losses.min(-1)
    loss = np.where(known, cheapest, np.nan)
    loss[0, 0] *= 7
    half = replace(result, trained=trained, loss=loss, run_agreement=0.6)
    assert stuck(half).sum() == 1
    words = phase_sentence(half)
    assert "In 7 of 8 cells so far (87.5%) the best of 2 runs" in words
    assert "Single runs do in 60%" in words
    assert "1 stuck in all 2 runs, at up to 7.0 times" in words
    assert "not trained yet" in cell_sentence(half, 3, 3)
    assert "7.00 times the closed form's" in cell_sentence(half, 0, 0)
    border = replace(half, loss=np.where(known, cheapest, np.nan))
    assert "1 beside a border" in phase_sentence(border)
    nothing = replace(result, trained=np.full((4, 4), -1))
    assert phase_sentence(nothing).startswith("None of 16 cells")


@pytest.mark.parametrize("case", CASES)
def test_a_small_diagram_agrees_with_the_closed_form(case: str) -> None:
    spec = PhaseDiagram(case=case, rows=6, columns=6, n_steps=1200, seed=3)
    result = spec.run(None)
    assert result.agreement >= LEAST[case]
    assert result.agreement > result.run_agreement

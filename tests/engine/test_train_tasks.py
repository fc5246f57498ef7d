"""What transformers are trained on: batches, held-out data, and measures with known answers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.errors import RunError, SpecError
from engine.train import held_out, memory, tasks
from engine.train.addition import Addition
from engine.train.architecture import Architecture, config_of
from engine.train.induction import Induction
from engine.train.sorting import Sorting

INDUCTION = {"d_vocab": 64, "n_ctx": 64, "low": 8, "high": 32}


def spec(**changes: Any) -> SimpleNamespace:
    defaults = {
        "task": "induction", "period": "random", "period_low": 8, "period_high": 32,
        "d_vocab": 64, "n_ctx": 64, "modulus": 59, "train_fraction": 0.5, "list_length": 6,
        "corpus": None, "tokenizer": None, "seed": 0,
    }  # fmt: skip
    return SimpleNamespace(**{**defaults, **changes})


def told(tokens: np.ndarray, d_vocab: int) -> np.ndarray:
    """Logits that are sure of every next token [batch, pos, d_vocab]."""
    return 50.0 * np.eye(d_vocab)[np.maximum(held_out.next_tokens(tokens), 0)]


def pattern_at(keys: np.ndarray, queries: np.ndarray, n_pos: int) -> np.ndarray:
    """[query, key]: all attention of each query on its key, of other queries on position 0."""
    square = np.zeros((n_pos, n_pos))
    others = np.setdiff1d(np.arange(n_pos), queries)
    square[queries, keys] = 1
    square[others, 0] = 1
    return square


def looked(logits: Any, *patterns: np.ndarray, batch: int = 1) -> Any:
    """A look whose one layer has these heads, the same for every prompt."""
    stacked = None
    if patterns:
        stacked = np.broadcast_to(np.stack(patterns), (1, batch, len(patterns), *patterns[0].shape))
    return SimpleNamespace(logits=logits, patterns=stacked)


def test_token_losses_are_the_cross_entropy_and_skip_what_is_not_scored() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((3, 4, 7)).astype(np.float32)
    targets = rng.integers(0, 7, (3, 4))
    targets[1, 2] = -1
    found = held_out.token_losses(logits, targets)
    for b, p in np.ndindex(3, 4):
        row = logits[b, p].astype(float)
        wanted = np.log(np.exp(row).sum()) - row[targets[b, p]]
        assert (b, p) == (1, 2) or found[b, p] == pytest.approx(wanted, abs=1e-6)
    assert np.isnan(found[1, 2])


def test_a_network_of_nan_is_right_nowhere_and_its_loss_is_nan() -> None:
    logits = np.full((2, 3, 5), np.nan)
    targets = np.zeros((2, 3), int)
    assert held_out.right(logits, targets).sum() == 0
    assert np.isnan(held_out.token_losses(logits, targets)).all()


def test_held_out_data_do_not_depend_on_the_seed_and_training_batches_do() -> None:
    first, second = (tasks.task_of(spec(seed=seed)) for seed in (0, 10_007))
    assert np.array_equal(first.held_out, second.held_out)
    rows = {row.tobytes() for row in first.held_out}
    for seed in range(5):
        tokens, _ = first.batch(np.random.default_rng(seed), 64)
        assert not rows & {row[: first.held_out.shape[1]].tobytes() for row in tokens}


def test_induction_batches_repeat_a_block_and_ask_for_the_next_word() -> None:
    task = Induction(**INDUCTION, fixed=False)
    tokens, targets = task.batch(np.random.default_rng(0), 200)
    assert np.array_equal(targets[:, :-1], tokens[:, 1:])
    assert (targets[:, -1] == -1).all()
    periods = {next(L for L in range(1, 65) if np.array_equal(row[L:], row[:-L])) for row in tokens}
    assert min(periods) >= 8
    assert max(periods) <= 32
    assert len(periods) > 15


def test_halves_of_a_perfect_copier_are_told_apart() -> None:
    task = Induction(**INDUCTION, fixed=False)
    logits = told(task.held_out, 64)
    logits[:, : task.length] = 0  # nothing is known in the first copy
    found = task.measure(looked(logits))
    assert found["first_half"] == pytest.approx(np.log(64))
    assert found["second_half"] == pytest.approx(0, abs=1e-9)
    assert found["accuracy"] == 1
    by_position = task.position_loss(looked(logits))
    assert np.isnan(by_position[-1])
    assert by_position[task.length :][:-1].max() < 1e-9


def test_head_scores_are_one_for_the_textbook_head_and_uniform_attention_scores_the_null() -> None:
    task = Induction(**INDUCTION, fixed=False)
    L, n_pos = task.length, task.held_out.shape[1]
    queries = np.arange(L, 2 * L)
    even = np.tril(np.ones((n_pos, n_pos))) / np.arange(1, n_pos + 1)[:, None]
    heads = [pattern_at(queries - back, queries, n_pos) for back in (1, L, L - 1)]
    scores = task.head_scores(looked(None, *heads, even, batch=len(task.held_out)))
    for index, name in enumerate(task.score_names):
        wanted = np.eye(3)[index]
        assert np.allclose(scores[name][0, :3], wanted)
        assert scores[name][0, 3] == pytest.approx(task.score_null[index])


def test_a_head_that_looks_a_fixed_way_back_is_no_induction_head_in_a_fixed_task() -> None:
    task = Induction(**INDUCTION, fixed=True)
    n_pos = task.held_out.shape[1]
    queries = np.arange(31, n_pos)
    positional = pattern_at(queries - 31, queries, n_pos)
    naive = held_out.stripes(looked(None, positional).patterns, 32)["induction"]
    assert naive[0, 0] == 1  # measured at the trained length it looks like one
    scores = task.head_scores(looked(None, positional, batch=len(task.held_out)))
    assert scores["induction"][0, 0] <= task.score_null[2]
    logits = np.zeros((*task.held_out.shape, 64))
    copied = task.held_out[:, :-31]
    logits[:, 31:] = 50.0 * np.eye(64)[copied]  # what stood 31 places back
    found = task.measure(looked(logits))
    assert found["second_half"] < 1e-9
    assert found["other_period"] > np.log(64)


def test_addition_splits_all_pairs_once_and_asks_for_the_sum() -> None:
    task = Addition(7, 0.4, seed=3)
    tokens, targets = task.batch()
    assert task.trained.sum() == len(tokens) == round(0.4 * 49)
    assert ((tokens[:, 0] + tokens[:, 1]) % 7 == targets[:, 2]).all()
    assert (targets[:, :2] == -1).all()
    assert (tokens[:, 2] == 7).all()
    assert not task.trained[task.prompt[0] * 7 + task.prompt[1]]
    assert not np.array_equal(Addition(7, 0.4, seed=4).trained, task.trained)


def test_addition_measures_training_and_held_out_pairs_apart() -> None:
    task = Addition(7, 0.4, seed=3)
    right = 50.0 * np.eye(7)[task.answers]  # [pair, p]
    known = np.where(task.trained[:, None], right, 0.0)  # by heart: nothing on held-out pairs
    network = SimpleNamespace(parameters=SimpleNamespace(weights=SimpleNamespace(W_E=np.eye(8))))
    found = task.measure(looked(known[:, None]), network)
    assert found["train_accuracy"] == 1
    assert found["test_accuracy"] < 0.5
    assert found["train_loss"] < 1e-9
    assert found["test_loss"] == pytest.approx(np.log(7))
    assert np.isnan(found["restricted_loss"])  # an even spectrum has no key frequency
    assert task.position_loss(looked(known[:, None]))[2] == pytest.approx(np.log(7))


def test_sorting_asks_for_the_sorted_numbers_alone() -> None:
    task = Sorting(6, 64)
    tokens, targets = task.batch(np.random.default_rng(0), 50)
    assert (tokens[:, 6] == 63).all()
    assert np.array_equal(np.sort(tokens[:, :6]), tokens[:, 7:])
    assert all(len(set(row)) == 6 for row in tokens[:, :6].tolist())
    assert np.array_equal(targets[:, 6:12], tokens[:, 7:])
    assert (np.delete(targets, np.arange(6, 12), axis=1) == -1).all()


def test_sorting_scores_the_head_that_looks_at_the_answer_whatever_positions_a_look_keeps() -> None:
    task = Sorting(6, 64)
    logits = told(task.held_out, 64)
    for kept in (logits, logits[:, 6:12]):
        found = task.measure(looked(kept))
        assert found["accuracy"] == found["whole_list"] == 1
        assert np.isfinite(task.position_loss(looked(kept))).sum() == 6
    patterns = np.zeros((1, len(task.held_out), 1, 13, 13))
    for row, numbers in enumerate(task.held_out[:, :6].tolist()):
        for step, number in enumerate(sorted(numbers)):
            patterns[0, row, 0, 6 + step, numbers.index(number)] = 1
    look: Any = SimpleNamespace(logits=None, patterns=patterns)
    scores = task.head_scores(look)
    assert scores["answer"][0, 0] == 1
    assert scores["duplicate"][0, 0] == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"task": "poetry"}, "task"),
        ({"period_high": 40}, "period_high"),
        ({"period": "fixed", "period_high": 3}, "period_high"),
        ({"period_low": 33}, "period_low"),
        ({"task": "addition", "modulus": 2}, "modulus"),
        ({"task": "addition", "train_fraction": 1.0}, "train_fraction"),
        ({"task": "sorting", "list_length": 64}, "list_length"),
        ({"task": "text"}, "corpus"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused_at_their_field(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(SpecError) as caught:
        tasks.check(spec(**changes))
    assert caught.value.field == field


@pytest.mark.parametrize("task", ["induction", "addition", "sorting", "cycle"])
def test_a_task_is_of_one_piece(task: str) -> None:
    made = tasks.task_of(spec(task=task))
    tokens, targets = made.batch(np.random.default_rng(0), 4)
    assert tokens.shape == targets.shape
    assert tokens.shape[1] == made.n_ctx
    assert len(made.words) == made.d_vocab == len(set(made.words))
    assert max(tokens.max(), made.held_out.max(), made.prompt.max()) < made.d_vocab
    assert targets.max() < made.d_vocab_out
    assert len(made.prompt) <= min(48, made.n_ctx)
    assert made.held_out.shape[1] <= made.n_ctx
    assert len(made.score_null) == len(made.score_names)
    scored = slice(None) if made.scored is None else made.scored
    there = np.zeros(made.n_ctx, bool)
    there[scored] = True
    assert not (targets[:, ~there] >= 0).any()


def test_the_smallest_induction_task_holds_together() -> None:
    for fixed in (False, True):
        task = Induction(d_vocab=4, n_ctx=12, low=2, high=6, fixed=fixed)
        task.batch(np.random.default_rng(0), 2)
        assert task.held_out.shape[1] <= 12
        found = task.measure(looked(told(task.held_out, 4)))
        assert set(found) == set(task.measures)


def test_a_training_that_does_not_fit_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    task = tasks.task_of(spec())
    cfg = config_of(Architecture(), n_ctx=64, d_vocab=64, d_vocab_out=64)
    memory.check(cfg, 16, task)
    assert 1e6 < memory.needed_memory(cfg, 16, task) < 3e8
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000_000)
    with pytest.raises(RunError, match="lower batch"):
        memory.check(cfg, 16, task)
    wide = config_of(Architecture(), n_ctx=64, d_vocab=50_000, d_vocab_out=50_000)
    with pytest.raises(RunError, match="vocabulary, now 50,000"):
        memory.check(wide, 16, task)

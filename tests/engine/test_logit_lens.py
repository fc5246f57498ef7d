"""The logit lens: identities, streaming, and what it says of bad input."""

from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine import technique
from engine.errors import RunError, SpecError
from engine.lens import predicting, tuned
from engine.lens.top import BLOCK, Tops, block_maxima
from engine.model import Intervention, open_model, ops
from engine.techniques.logit_lens import settled, top_k

FAMILIES = Path(__file__).parents[1] / "data" / "families"
LogitLens = technique.of("LogitLens")


@pytest.mark.parametrize("case", ["gpt2-tied", "llama-gqa", "tl-bidirectional", "neox-parallel"])
def test_the_last_row_is_the_models_own_prediction(case: str) -> None:
    model = open_model(FAMILIES / case)
    ids = (1, 4, 2, 7, 5)
    lens = LogitLens(prompt=ids, top_k=3).run(model)
    logp = ops.log_softmax(model.forward(ids).logits[0])
    assert (lens.top_ids[-1, :, 0] == logp.argmax(-1)).all()
    assert np.allclose(lens.top_probabilities[-1, :, 0], np.exp(logp.max(-1)), atol=1e-6)
    assert np.allclose(lens.kl[-1], 0.0, atol=1e-6)
    assert (lens.target_rank[-1] == 0).all()


def test_each_row_unembeds_that_layers_stream_with_its_own_norm_statistics() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    ids = (1, 4, 2, 7, 5)
    lens = LogitLens(prompt=ids, target=9, top_k=24).run(model)
    run = model.forward(ids, names=["*resid*"])
    final = ops.log_softmax(run.logits[0].astype(np.float64))
    for row, name in enumerate(["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post"]):
        logp = ops.log_softmax(model.unembed(run.cache[name][0]).astype(np.float64))
        assert np.allclose(lens.target_probability[row], np.exp(logp[:, 9]), atol=1e-6)
        assert (lens.target_rank[row] == (logp > logp[:, [9]]).sum(-1)).all()
        assert np.allclose(lens.entropy[row], -(np.exp(logp) * logp).sum(-1), atol=1e-5)
        kl = (np.exp(final) * (final - logp)).sum(-1)
        assert np.allclose(lens.kl[row], kl, atol=1e-5)


def test_rows_arrive_from_the_top_and_the_snapshot_is_of_the_results_own_type() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    steps = LogitLens(prompt=(1, 2, 3)).steps(model.under())
    updates = [(update, update.snapshot()) for update in steps]
    (one, first), (two, last) = updates
    assert type(first) is type(last) is LogitLens.Result
    assert (one.step, two.step, two.total) == (1, 2, 2)
    assert np.isfinite(first.entropy[-1]).all()
    assert np.isnan(first.entropy[:-1]).all()
    assert np.isfinite(last.entropy).all()


def test_settled_finds_where_the_answer_stays_and_where_it_first_appears() -> None:
    best = np.array([[5, 1, 2], [9, 2, 2], [5, 1, 3], [5, 1, 4]])[:, :, None]  # [layer, pos, k]
    stays, appears = settled(best)
    assert stays.tolist() == [2, 2, 3]
    assert appears.tolist() == [0, 0, 3]
    half = best.copy()
    half[:2] = -1  # not computed yet
    stays, appears = settled(half)
    assert stays.tolist() == [-1, -1, 3]
    assert appears.tolist() == [-1, -1, -1]


def test_top_k_by_block_maxima_equals_a_full_sort() -> None:
    rng = np.random.default_rng(0)
    for n in (5, 64, 700, 5_003):
        values = rng.integers(0, 50 if n < 700 else 10**6, (4, n)).astype(np.float32)
        for k in (1, 3, 5):
            full = np.argsort(-values, axis=-1, kind="stable")[:, :k]
            assert (top_k(values, k) == full).all(), (n, k)


def test_bad_input_names_the_thing_the_value_and_the_limit() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    with pytest.raises(RunError, match="empty"):
        LogitLens(prompt=()).run(model)
    with pytest.raises(RunError, match="at most 16"):
        LogitLens(prompt=(1,) * 17).run(model)
    with pytest.raises(RunError, match=r"999 is outside .* 24"):
        LogitLens(prompt=(1, 999)).run(model)
    with pytest.raises(RunError, match="99"):
        LogitLens(prompt=(1, 2), target=99).run(model)
    with pytest.raises(SpecError, match="top_k: 0 is below 1"):
        LogitLens(prompt=(1,), top_k=0)
    with pytest.raises(SpecError, match="'maybe' is not one of"):
        LogitLens(prompt=(1,), bos="maybe")


def test_weights_that_overflow_are_reported_not_shown() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    block = model.weights.blocks[1]
    block.W_out = np.full_like(block.W_out, 3e38)
    with np.errstate(all="ignore"), pytest.raises(RunError, match="not finite"):
        LogitLens(prompt=(1, 2)).run(model)


# --- rows, chosen tokens, tuned lenses ----------------------------------------------------------

IDS = (1, 4, 2, 7, 5)


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("gpt2-tied", ("embed", "0.attn", "0.mlp", "1.attn", "1.mlp")),
        ("neox-parallel", ("embed", "0", "1")),
        ("tl-attn-only", ("embed", "0.attn", "1.attn")),
    ],
)
def test_sublayers_are_the_points_where_something_was_added(
    case: str, names: tuple[str, ...]
) -> None:
    model = open_model(FAMILIES / case)
    lens = LogitLens(prompt=IDS, detail="sublayers").run(model)
    assert lens.row_names == names
    assert len(lens.entropy) == len(names)
    cache = model.forward(IDS, names=list(lens.row_hooks)).cache
    for row, hook in enumerate(lens.row_hooks):
        logits = model.unembed(cache[hook][0])
        assert (lens.top_ids[row, :, 0] == logits.argmax(-1)).all()
        assert np.allclose(lens.target_logit[row], logits[range(5), lens.target_ids], atol=1e-5)
    blocks = LogitLens(prompt=IDS).run(model)
    ends = [row for row, hook in enumerate(lens.row_hooks) if hook in blocks.row_hooks]
    assert np.allclose(blocks.entropy, lens.entropy[ends], atol=1e-6)


def test_chosen_tokens_are_followed_through_every_row() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    lens = LogitLens(prompt=IDS, watch=(3, 11), top_k=24).run(model)
    assert lens.watched_ids.tolist() == [3, 11]
    assert lens.watched_rank.shape == (2, 3, 5)
    for number, token in enumerate((3, 11)):
        at = lens.top_ids == token  # [layer, pos, k]
        assert (lens.watched_rank[number] == at.argmax(-1)).all()
        assert np.allclose(
            lens.watched_probability[number], lens.top_probabilities[at].reshape(3, 5)
        )
    run = model.forward(IDS)
    assert np.allclose(lens.watched_logit[:, -1], run.logits[0][:, [3, 11]].T, atol=1e-6)
    assert LogitLens(prompt=IDS).run(model).watched_logit.shape == (0, 3, 5)
    with pytest.raises(RunError, match="token id 24 is outside"):
        LogitLens(prompt=IDS, watch=(24,)).run(model)


def test_an_intervention_is_seen_in_the_rows_above_it() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    entry = Intervention("blocks.0.hook_mlp_out", "steer", 3.0, positions=(4,), units=(1,))
    spec = LogitLens(prompt=IDS, target=9, detail="sublayers")
    plain, changed = spec.run(model), spec.run(model.under([entry]))
    moved = np.abs(plain.target_logit - changed.target_logit) > 1e-4  # [layer, pos]
    assert moved.any(axis=1).tolist() == [False, False, True, True, True]
    assert moved[2].tolist() == [False] * 4 + [True]


def translators(model: Any, layers: tuple[int, ...], size: float) -> tuned.Translators:
    rng, d = np.random.default_rng(0), model.config.d_model
    W = size * rng.standard_normal((len(layers), d, d)).astype(np.float32)
    return tuned.Translators(layers, W, size * rng.standard_normal((len(layers), d), np.float32))


def test_a_tuned_lens_of_zeros_is_the_logit_lens_to_the_last_bit(tmp_path: Path) -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    ref = tuned.save(tmp_path / "lens", translators(model, (0, 1), 0.0), model)
    plain = LogitLens(prompt=IDS, detail="sublayers").run(model)
    with_lens = LogitLens(prompt=IDS, detail="sublayers", lens=ref).run(model)
    for name in ("top_ids", "top_probabilities", "entropy", "kl", "target_logit", "target_rank"):
        assert np.array_equal(getattr(plain, name), getattr(with_lens, name)), name
    read = ("tuned lens", "logit lens", "tuned lens", "logit lens", "the model itself")
    assert with_lens.read_by == read
    assert "tuned lens" not in plain.read_by


def test_a_tuned_lens_translates_the_rows_it_was_trained_on_and_no_others(tmp_path: Path) -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    lens = translators(model, (1,), 0.3)
    ref = tuned.save(tmp_path / "lens", lens, model)
    plain, read = (LogitLens(prompt=IDS, lens=of).run(model) for of in (None, ref))
    stream = model.forward(IDS, names=["blocks.1.hook_resid_pre"]).cache["blocks.1.hook_resid_pre"]
    logits = model.unembed(lens.apply(1, stream[0]))
    assert (read.top_ids[1, :, 0] == logits.argmax(-1)).all()
    assert not np.allclose(read.entropy[1], plain.entropy[1])
    assert np.array_equal(read.entropy[[0, 2]], plain.entropy[[0, 2]])
    assert read.read_by == ("logit lens", "tuned lens", "the model itself")


def test_a_result_of_version_1_has_its_rows_named_and_what_it_lacks_unknown() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    today = LogitLens(prompt=IDS).run(model)
    old = {name: value for name, value in vars(today).items() if isinstance(value, np.ndarray)}
    for name in [name for name in old if "watched" in name or name == "target_logit"]:
        del old[name]
    arrays, values = LogitLens.upgrade_result(old, {}, 1)
    result = LogitLens.Result(**arrays, **values)
    assert tuple(result.row_names) == today.row_names
    assert tuple(result.row_hooks) == today.row_hooks
    assert tuple(result.read_by) == today.read_by
    assert np.isnan(result.target_logit).all()
    assert result.watched_rank.shape == (0, 3, 5)


def test_the_induction_model_knows_the_answer_only_after_its_second_layer(project: Path) -> None:
    model = open_model(project / "resources" / "models" / "induction-2l")
    rng, found = np.random.default_rng(7), []
    for _ in range(20):
        block = rng.choice(model.config.d_vocab, 16, replace=False)
        ids = (*block.tolist(), *block[:8].tolist())
        lens = LogitLens(prompt=ids, target=int(block[8])).run(model)
        found.append(lens.target_probability[:, -1])
    embed, first, second = np.mean(found, axis=0)
    assert embed <= 0.05
    assert first <= 0.05
    assert second >= 0.80


# --- a vocabulary of many tiles -----------------------------------------------------------------


def read_to_the_end(reading: Generator[float, None, Any]) -> Any:
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value


def unembedding(n_out: int, d_model: int, biased: bool, stored: str) -> Any:
    rng = np.random.default_rng(1)
    W_U = 0.7 * rng.standard_normal((n_out, d_model), np.float32)  # [output, d_model]
    W_U = W_U.T if stored == "by output" else np.ascontiguousarray(W_U.T)
    b_U = 30 + rng.standard_normal(n_out, np.float32) if biased else None
    return SimpleNamespace(weights=SimpleNamespace(W_U=W_U, b_U=b_U), listen=lambda: None)


@pytest.mark.parametrize(("biased", "stored"), [(False, "by output"), (True, "by input")])
def test_tiles_give_the_softmax_of_the_whole_vocabulary(biased: bool, stored: str) -> None:
    model = unembedding(9_001, 24, biased, stored)
    rng = np.random.default_rng(2)
    y = 2 * rng.standard_normal((40, 24), np.float32)  # [row, d_model]
    tracked = rng.integers(0, 9_001, (40, 2))
    assert predicting.tile_width(40, 9_001) < 9_001 / 2
    seen = read_to_the_end(predicting.predictions(model, y, 7, tracked, 11))
    logits = y @ model.weights.W_U + (0 if model.weights.b_U is None else model.weights.b_U)
    logits = logits.astype(np.float64)  # [row, output]
    logp = ops.log_softmax(logits)
    p = np.exp(logp)
    rows = np.arange(40)[:, None]
    assert np.allclose(seen.log_total, logits[:, 0] - logp[:, 0], atol=1e-5)
    assert np.allclose(seen.entropy, -(p * logp).sum(-1), atol=2e-5)
    assert (seen.top_ids == top_k(logits, 7)).all()
    assert np.allclose(seen.top_logits, logits[rows, seen.top_ids], atol=1e-4)
    assert np.allclose(seen.logits, logits[rows, tracked], atol=1e-4)
    ranks = (logits[:, None] > logits[rows, tracked][..., None]).sum(-1)
    assert np.abs(seen.ranks - ranks).max() <= 1  # rounding parts neighbours
    assert np.allclose(seen.expected, p[:11] @ model.weights.W_U.T, atol=1e-5)


@pytest.mark.parametrize("k", [1, 5, 40])
def test_tops_of_tiles_equal_a_full_sort_with_ties_to_the_lower_index(k: int) -> None:
    rng = np.random.default_rng(k)
    for high in (30, 10**6):
        values = rng.integers(-high, high, (3_000, 6)).astype(np.float32)  # [entry, row]
        values[values == 0] = np.where(rng.random((values == 0).sum()) < 0.5, 0.0, -0.0)
        tops = Tops(6, k)
        for first in range(0, 3_000, 7 * BLOCK):
            tile = values[first : first + 7 * BLOCK]
            tops.offer(first, tile, block_maxima(tile, tops.block))
        ids, found = tops.result()
        order = np.argsort(-values, axis=0, kind="stable")[:k].T  # [row, k]
        assert (ids == order).all()
        assert (found == np.take_along_axis(values.T, order, axis=1)).all()


def test_a_tile_never_holds_more_than_its_share() -> None:
    for n_rows in (1, 13, 130, predicting.MOST_ROWS):
        width = predicting.tile_width(n_rows, 250_000)
        assert width % BLOCK == 0
        assert width * n_rows <= predicting.TILE
    assert predicting.tile_width(16, 24) == 24

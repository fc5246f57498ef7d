"""The logit lens: identities, streaming, and what it says of bad input."""

from pathlib import Path

import numpy as np
import pytest

from engine import technique
from engine.errors import RunError, SpecError
from engine.model import open_model, ops
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
    updates = list(LogitLens(prompt=(1, 2, 3)).steps(model.under()))
    first, last = updates[0].snapshot(), updates[-1].snapshot()
    assert type(first) is type(last) is LogitLens.Result
    assert updates[-1].step == updates[-1].total == model.config.n_layers + 1
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

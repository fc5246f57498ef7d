"""Attention patterns: rows sum to one, scores mean what their names say."""

from pathlib import Path

import numpy as np
import pytest

from engine import technique
from engine.errors import RunError
from engine.model import open_model
from engine.techniques.attention_patterns import strongest

FAMILIES = Path(__file__).parents[1] / "data" / "families"
AttentionPatterns = technique.of("AttentionPatterns")


@pytest.mark.parametrize("case", ["gpt2-tied", "llama-gqa", "mistral-window", "tl-bidirectional"])
def test_patterns_are_those_of_the_cache_and_rows_sum_to_one(case: str) -> None:
    model = open_model(FAMILIES / case)
    ids = (1, 4, 2, 7, 5, 4, 2)
    result = AttentionPatterns(prompt=ids).run(model)
    cache = model.forward(ids, names=["*.hook_pattern"]).cache
    for layer in range(model.config.n_layers):
        assert (result.pattern[layer] == cache[f"blocks.{layer}.attn.hook_pattern"][0]).all()
    assert np.allclose(result.pattern.sum(-1), 1.0, atol=1e-5)


def test_layers_stream_and_those_to_come_are_nan() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    updates = AttentionPatterns(prompt=(1, 2, 3)).steps(model.under())
    first = next(updates).snapshot()
    assert np.isfinite(first.pattern[0]).all()
    assert np.isnan(first.pattern[1]).all()


def test_scores_equal_their_definition_on_a_repeated_block() -> None:
    model = open_model(FAMILIES / "tl-attn-only")
    ids = (3, 1, 4, 3, 1, 4)
    result = AttentionPatterns(prompt=ids).run(model)
    a = result.pattern  # [layer, head, query, key]
    assert np.allclose(result.previous_token, np.mean([a[..., i, i - 1] for i in range(1, 6)], 0))
    assert np.allclose(result.duplicate_token, np.mean([a[..., i, i - 3] for i in range(3, 6)], 0))
    assert np.allclose(result.induction, np.mean([a[..., i, i - 2] for i in range(3, 6)], 0))
    assert np.allclose(result.current_token, np.mean([a[..., i, i] for i in range(6)], 0))
    assert np.allclose(result.first_token, np.mean([a[..., i, 0] for i in range(1, 6)], 0))


def test_a_score_without_a_query_is_nan_not_zero() -> None:
    result = AttentionPatterns(prompt=(1, 2, 3)).run(open_model(FAMILIES / "tl-attn-only"))
    assert np.isnan(result.duplicate_token).all()
    assert strongest(result.duplicate_token, 3) == []


def test_patterns_that_would_not_fit_are_refused_with_their_size(monkeypatch) -> None:
    monkeypatch.setattr("engine.techniques.attention_patterns._MAX_BYTES", 100)
    with pytest.raises(RunError, match="shorten the prompt"):
        AttentionPatterns(prompt=(1, 2, 3)).run(open_model(FAMILIES / "tl-attn-only"))


def test_the_bundled_model_has_the_heads_that_its_recipe_measured(project: Path) -> None:
    import json

    folder = project / "resources" / "models" / "induction-2l"
    measured = json.loads((folder / "measured.json").read_text())["measured"]
    model = open_model(folder)
    rng = np.random.default_rng(3)
    block = rng.choice(64, 25, replace=False)
    result = AttentionPatterns(prompt=tuple(map(int, [*block, *block]))).run(model)
    a = result.pattern
    for layer, head in ((1, 0), (1, 2), (1, 3)):
        stripe = np.mean([a[layer, head, i, i - 24] for i in range(25, 50)])
        assert stripe > 0.8
        assert abs(stripe - measured["head scores"][f"induction {layer}.{head}"]) < 0.15
    assert result.previous_token[0].max() > 0.5
    assert sum(f.stat().st_size for f in folder.iterdir()) < 1_000_000

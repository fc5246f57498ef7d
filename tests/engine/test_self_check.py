"""The self-check passes on every family and notices a model that is read wrongly."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import RunError
from engine.model import open_model, self_check
from engine.model.saving import save_hooked

FAMILIES = Path(__file__).parents[1] / "data" / "families"
CASES = sorted(folder.name for folder in FAMILIES.iterdir() if (folder / "golden.npz").exists())

UNSAID = {
    "gpt2-hub-names": "scores scaled by layer",
    "llama-gqa": "stretched rotary",
    "llama-tied-biases": "biases inside a gated MLP",
    "mistral-window": "sliding window",
    "qwen2-window": "sliding window",
}


@pytest.mark.parametrize("case", CASES)
def test_every_family_passes(case: str) -> None:
    found = self_check(open_model(FAMILIES / case))
    assert found.passed, found.sentence
    assert len(found.checks) == 6
    assert 0.0 <= found.worst <= 1e-4


@pytest.mark.parametrize(
    ("fault", "broken", "noticed"),
    [
        ("engine.model.ops.softmax_vjp", lambda dy, y: dy * y, "the gradient equals"),
        ("engine.model.resume_group.Group._spread", lambda *_: None, "patching|a resumed"),
        (
            "engine.model.transformer.Transformer.unembed",
            lambda self, x, taps, _columns=None: (
                self.linear(self.final_norm(x, taps), self.weights.W_U) + 1
            ),
            "direct logit attribution",
        ),
    ],
)
def test_a_fault_in_the_engine_is_noticed(monkeypatch, fault, broken, noticed) -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    monkeypatch.setattr(fault, broken)
    failed = [check.name for check in self_check(model).checks if not check.passed]
    assert any(re.match(noticed, name) for name in failed), failed


@pytest.mark.parametrize("case", CASES)
def test_a_model_written_in_the_hooked_layout_gives_the_same_logits(case, tmp_path) -> None:
    model = open_model(FAMILIES / case)
    if case in UNSAID:
        with pytest.raises(RunError, match=UNSAID[case]):
            save_hooked(model, tmp_path / "copy")
        return
    save_hooked(model, tmp_path / "copy")
    again = open_model(tmp_path / "copy")
    ids = np.array([1, 2, 3, 4, 2])
    assert np.abs(again.forward(ids).logits - model.forward(ids).logits).max() <= 1e-5


def test_the_view_for_a_run_leaves_the_model_as_it_was() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    view = model.under(watch=lambda: None)
    assert model.watch is None
    assert view.weights is model.weights
    assert replace(model).n_params == model.n_params

"""Direct logit attribution: the bars sum to the logit, whatever the model and whatever is changed.

The identity is the one of Elhage et al. 2021: the final norm's scale is held as it was.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import technique
from engine.errors import RunError, SpecError
from engine.model import Intervention, Transformer, open_model

FAMILIES = Path(__file__).parents[1] / "data" / "families"
CASES = sorted(folder.name for folder in FAMILIES.iterdir() if (folder / "golden.npz").exists())
REAL = (
    "arena-brackets", "arena-palindromes", "feature-routing", "feature-routing-hf",
    "grok-induction-2l", "grok-mod113-wd0.1", "nano-gpt-sort", "stories260k", "tracr-frac-prevs",
    "tracr-reverse",
)  # fmt: skip
UNITS = ("component", "layer", "head", "neuron")
CLOSE = 1e-5  # of the sum of |bars|
Attribution = technique.of("DirectLogitAttribution")


def prompt_of(folder: Path) -> tuple[int, ...]:
    golden = np.load(folder / "golden.npz")
    key = next(key for key in golden if key.endswith("input_ids"))
    return tuple(map(int, golden[key][0]))


def assert_adds_up(found: Any) -> None:
    """Every sum of bars is the model's own logit, at every position."""
    size = np.abs(found.value).sum(axis=0)  # [pos]
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.logit).all()
    assert np.allclose(found.total, found.value.sum(axis=0), rtol=0, atol=0)
    assert (np.abs(found.total - found.logit) <= CLOSE * size).all()
    assert (found.deviation == found.total - found.logit).all()


def assert_identity(folder: Path) -> None:
    model, ids = open_model(folder), prompt_of(folder)
    logits = model.forward(ids).logits[0].astype(np.float64)  # [pos, output]
    asked = ("raw", None), ("folded", 0), ("folded", None), ("raw", 0)
    for unit, (weights, wrong) in zip(UNITS, asked, strict=True):
        found = Attribution(
            prompt=ids, answer=1, wrong=wrong, unit=unit, weights=weights, top_neurons=7
        ).run(model)
        assert_adds_up(found)
        said = logits[:, 1] - (0 if wrong is None else logits[:, 0])
        if weights == "folded" and wrong is None:
            said = said - logits.mean(axis=1)
        size = np.abs(found.value).sum(axis=0)  # [pos]
        assert (np.abs(found.logit - said) <= CLOSE * (size + np.abs(logits).max())).all()
        whole = found.accumulated[-1] + found.constant
        assert np.allclose(whole, said, rtol=0, atol=CLOSE * size.max())


@pytest.mark.parametrize("case", CASES)
def test_the_bars_sum_to_the_logit_in_every_family(case: str) -> None:
    assert_identity(FAMILIES / case)


@pytest.mark.parametrize("name", REAL)
def test_the_bars_sum_to_the_logit_in_every_real_model(shared_models: Path, name: str) -> None:
    assert_identity(shared_models / name)


@pytest.fixture(scope="module")
def model() -> Transformer:
    return open_model(FAMILIES / "gpt2-tied")


IDS = (1, 5, 8, 2, 6)


def run(model: Any, **settings: Any) -> Any:
    return Attribution(prompt=IDS, answer=3, wrong=9, **settings).run(model)


def test_bars_are_what_each_activation_writes_through_the_held_scale(model: Transformer) -> None:
    found = run(model, unit="head", position=2)
    kept = model.forward(IDS, names=["*", "blocks.1.attn.hook_result"]).cache
    W_U, norm = model.weights.W_U, model.weights.ln_final
    assert norm is not None
    direction = (norm.w * (W_U[:, 3] - W_U[:, 9])).astype(np.float64)  # [d_model]
    scale = kept["ln_final.hook_scale"][0]  # [pos, 1]

    def through(stream: np.ndarray) -> np.ndarray:
        return ((stream - stream.mean(axis=-1, keepdims=True)) / scale) @ direction  # [pos]

    bars = dict(zip(found.names, found.value, strict=True))
    assert np.allclose(bars["0.mlp"], through(kept["blocks.0.hook_mlp_out"][0]), atol=1e-6)
    for head in range(model.config.n_heads):
        result = through(kept["blocks.1.attn.hook_result"][0][:, head])
        assert np.allclose(bars[f"1.{head}"], result, atol=1e-6)
        assert np.allclose(found.heads[1, head], result, atol=1e-6)
    assert np.allclose(found.scale, scale[:, 0])
    W_out, post = model.weights.blocks[0].W_out, kept["blocks.0.mlp.hook_post"][0]
    assert W_out is not None
    at = np.flatnonzero(found.neuron_layer == 0)[0]
    neuron = found.neuron_index[at]
    alone = through(post[:, [neuron]] * W_out[neuron])  # [pos]
    assert np.isclose(found.neuron_value[at], alone[2], atol=1e-6)
    assert (np.diff(np.abs(found.neuron_value)) <= 0).all()


def test_raw_and_folded_differ_in_single_logits_and_not_in_differences(model: Transformer) -> None:
    raw, folded = (run(model, weights=weights) for weights in ("raw", "folded"))
    assert np.allclose(raw.logit, folded.logit, atol=1e-6)
    one, other = (
        Attribution(prompt=IDS, answer=3, weights=weights).run(model)
        for weights in ("raw", "folded")
    )
    mean = model.forward(IDS).logits[0].mean(axis=1)  # [pos]
    assert np.allclose(one.logit - other.logit, mean, atol=1e-5)
    assert np.abs(mean).max() > 1e-3
    assert "final norm bias" in one.names
    assert "final norm bias" not in other.names
    heads = [run(model, unit="head", weights=weights) for weights in ("raw", "folded")]
    assert not np.allclose(heads[0].heads, heads[1].heads)  # value biases moved out of the heads
    assert np.allclose(heads[0].total, heads[1].total, atol=1e-6)


CHANGES = (
    ("blocks.0.hook_resid_pre", "steer", 2.0), ("blocks.1.hook_resid_pre", "scale", 0.5),
    ("blocks.0.hook_resid_mid", "scale", 2.0), ("blocks.1.hook_resid_post", "steer", -1.0),
    ("blocks.1.hook_attn_out", "scale", 3.0), ("blocks.0.attn.hook_z", "zero", 0.0),
    ("blocks.0.mlp.hook_post", "clamp", 1.0), ("ln_final.hook_scale", "scale", 2.0),
    ("ln_final.hook_normalized", "scale", 0.5), ("unembed.hook_in", "steer", 0.25),
    ("unembed.hook_out", "scale", 2.0), ("hook_embed", "scale", 2.0),
)  # fmt: skip


@pytest.mark.parametrize(("name", "action", "factor"), CHANGES)
def test_the_bars_sum_to_the_logit_under_interventions(
    model: Transformer, name: str, action: Any, factor: float
) -> None:
    units = {"ln_final.hook_scale": None, "unembed.hook_out": (3,)}.get(name, (0, 2))
    entries = [Intervention(name, action, factor, positions=(1, 4), units=units)]
    said = model.under(entries).forward(IDS).logits[0]
    for unit in UNITS:
        found = run(model.under(entries), unit=unit)
        assert_adds_up(found)
        assert np.allclose(found.logit, said[:, 3] - said[:, 9], atol=1e-5)
    assert np.abs(found.logit - run(model).logit).max() > 1e-4


def test_a_change_of_the_stream_is_a_bar_of_its_own(model: Transformer) -> None:
    entry = Intervention("blocks.0.hook_resid_mid", "steer", 3.0, positions=(4,), units=(2,))
    found = run(model.under([entry]))
    at = found.names.index("change of blocks.0.hook_resid_mid")
    assert found.kinds[at] == "intervention"
    assert abs(found.value[at, 4]) > 1e-3
    assert np.abs(found.value[at, :4]).max() < 1e-6


def test_the_answer_is_the_final_prediction_unless_one_is_given(model: Transformer) -> None:
    logits = model.forward(IDS).logits[0]
    assert Attribution(prompt=IDS).run(model).answer_id == logits[-1].argmax()
    assert Attribution(prompt=IDS, position=1).run(model).answer_id == logits[1].argmax()
    entry = Intervention("unembed.hook_out", "steer", 99.0, units=(7,))
    assert Attribution(prompt=IDS).run(model.under([entry])).answer_id == 7


def test_a_half_finished_result_is_nan_and_does_not_change_later(model: Transformer) -> None:
    steps = Attribution(prompt=IDS, answer=3).steps(model.under())
    made = [(update.step, update.snapshot()) for update in steps]
    assert [step for step, _ in made] == [1, 2, 3]
    first, last = made[0][1], made[-1][1]
    assert first.names == last.names
    assert np.isnan(first.value).all()
    assert np.isfinite(last.value).all()
    assert np.isnan(first.logit).all()


def test_bad_input_names_the_thing_the_value_and_the_limit(model: Transformer) -> None:
    with pytest.raises(SpecError, match="position: 5 is not in this prompt of 5 tokens"):
        run(model, position=5)
    with pytest.raises(RunError, match=r"both '3'.*difference is zero"):
        Attribution(prompt=IDS, answer=3, wrong=3).run(model)
    with pytest.raises(RunError, match="99 is outside the 24 outputs"):
        Attribution(prompt=IDS, answer=99).run(model)
    with pytest.raises(SpecError, match="'all' is not one of"):
        Attribution(prompt=IDS, unit="all")

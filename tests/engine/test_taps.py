"""What a tap or an intervention does takes effect, or is refused: never silence."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from engine.errors import RunError
from engine.model import Intervention, Patch, Transformer, base_names, open_model, resume
from engine.model.backward import backward, tape_names
from engine.model.hooks import optional_axes

FAMILIES = Path(__file__).parents[1] / "data" / "families"
POSITIONAL = (
    "gpt2-tied", "llama-gqa", "neox-parallel", "tl-bidirectional", "tl-rms-shortformer",
)  # fmt: skip


def some_ids(model: Transformer) -> np.ndarray:
    return np.random.default_rng(0).integers(2, model.config.d_vocab, (2, 6))  # [batch, pos]


def uneven(shape: tuple[int, ...]) -> np.ndarray:
    """Factors that no norm and no softmax undoes."""
    return np.linspace(0.5, 2.0, int(np.prod(shape)), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("case", POSITIONAL)
def test_a_replacement_of_any_activation_moves_the_logits(case: str) -> None:
    model = open_model(FAMILIES / case)
    ids = some_ids(model)
    plain = model.forward(ids).logits
    for name in (*model.hooks(), *optional_axes(model.config)):

        def tap(hook: str, value: np.ndarray, name: str = name) -> np.ndarray | None:
            return value * uneven(value.shape) if hook == name else None

        moved = model.forward(ids, tap=tap, names=[name]).logits
        assert np.abs(moved - plain).max() > 1e-6, name


@pytest.mark.parametrize("case", POSITIONAL)
def test_an_activation_cannot_be_edited_in_place_unnoticed(case: str) -> None:
    model = open_model(FAMILIES / case)
    for name in (*model.hooks(), *optional_axes(model.config)):

        def tap(hook: str, value: np.ndarray, name: str = name) -> None:
            if hook == name:
                value *= 2.0

        with pytest.raises(ValueError, match="read-only"):
            model.forward(some_ids(model), tap=tap, names=[name])


def test_head_results_put_back_unchanged_give_the_same_run() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    name, ids = "blocks.0.attn.hook_result", some_ids(model)
    moved = model.forward(ids, tap=lambda hook, v: v.copy() if hook == name else None, names=[name])
    assert np.allclose(moved.logits, model.forward(ids).logits, atol=1e-5)


def test_a_replacement_that_is_no_array_is_judged_by_its_shape() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    with pytest.raises(RunError, match="hook_embed has shape"):
        model.forward([1, 2, 3], tap=lambda hook, _: 0.0 if hook == "hook_embed" else None)


def by_hand(model: Transformer, entry: Intervention):
    """A tap that does what an intervention says, axis by axis."""
    axes = model.hooks()[entry.name].split()

    def tap(name: str, value: np.ndarray) -> np.ndarray | None:
        if name != entry.name:
            return None
        chosen = [np.arange(n) for n in value.shape]
        if entry.head is not None:
            chosen[next(i for i, axis in enumerate(axes) if axis in ("head", "kv_head"))] = (
                np.array([entry.head])
            )
        if entry.positions is not None:
            chosen[axes.index("pos" if "pos" in axes else "query")] = np.array(entry.positions)
        value = value.copy()
        value[np.ix_(*chosen)] *= np.float32(entry.factor)
        return value

    return tap


@pytest.mark.parametrize("case", POSITIONAL)
def test_an_intervention_is_what_a_tap_would_do(case: str) -> None:
    model = open_model(FAMILIES / case)
    ids = some_ids(model)
    for name, axes in model.hooks().items():
        heads = (None, 1) if {"head", "kv_head"} & set(axes.split()) else (None,)
        for head in heads:
            for positions in (None, (1, 4)):
                entry = Intervention(name, "scale", 0.5, head, positions)
                got = model.under([entry]).forward(ids).logits
                wanted = model.forward(ids, tap=by_hand(model, entry)).logits
                assert np.allclose(got, wanted, atol=1e-6), (name, head, positions)


@pytest.mark.parametrize("action", ["zero", "scale", "clamp"])
def test_a_masked_score_stays_masked_whatever_is_done_to_it(
    action: Literal["zero", "scale", "clamp"],
) -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    entry = Intervention("blocks.0.attn.hook_attn_scores", action)
    name = "blocks.0.attn.hook_pattern"
    pattern = model.under([entry]).forward([1, 2, 3], names=[name]).cache[name]
    assert np.allclose(pattern[0, 0], np.tril(np.ones((3, 3))) / np.arange(1, 4)[:, None])


@pytest.mark.parametrize("site", ["attn.hook_attn_scores", "attn.hook_pattern", "ln1.hook_scale"])
@pytest.mark.parametrize("case", ["gpt2-tied", "qwen2-window", "tl-bidirectional"])
def test_interventions_inside_attention_hold_in_resumed_runs(site: str, case: str) -> None:
    _resumed_is_full(case, Intervention(f"blocks.1.{site}", "scale", 0.5, positions=(2, 5)))


@pytest.mark.parametrize(
    "name",
    ["ln_final.hook_scale", "ln_final.hook_normalized", "unembed.hook_in", "unembed.hook_out"],
)
def test_interventions_above_the_last_block_hold_in_resumed_runs(name: str) -> None:
    _resumed_is_full("tl-bidirectional", Intervention(name, "scale", 0.5, positions=(5,)))


def _resumed_is_full(case: str, entry: Intervention) -> None:
    model = open_model(FAMILIES / case).under([entry])
    clean, corrupted = some_ids(model)
    name = "blocks.0.hook_resid_pre"
    base = model.forward(corrupted, names=base_names(model, ["hook_resid_pre"]))
    value = model.forward(clean, names=[name]).cache[name][0]
    for at in range(len(clean)):

        def tap(hook: str, seen: np.ndarray, at: int = at) -> np.ndarray | None:
            if hook != name:
                return None
            seen = seen.copy()
            seen[0, at] = value[at]
            return seen

        wanted = model.forward(corrupted, tap=tap).logits[0, -1]
        variant = [Patch(name, np.array([at]), value[at : at + 1])]
        columns = np.array([1, 0])
        assert np.allclose(resume(model, base, [variant])[0], wanted, atol=1e-5), at
        few = resume(model, base, [variant], columns=columns)[0]
        assert np.allclose(few, wanted[columns], atol=1e-5), at


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Intervention("hook_embed", head=1), "hook_embed has no heads"),
        (Intervention("blocks.0.attn.hook_z", head=99), "head 99 is not in 0..3"),
        (Intervention("blocks.0.attn.hook_k", head=2), "head 2 is not in 0..1"),
        (Intervention("blocks.0.attn.hook_z", positions=(-1,)), "position -1 is not in 0.."),
        (Intervention("blocks.0.attn.hook_z", positions=()), "names no position"),
        (Intervention("blocks.0.ln1.hook_scale"), "divided by"),
        (Intervention("hook_embed", "melt"), "'melt'"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_an_intervention_that_makes_no_sense_is_refused(entry: Intervention, message: str) -> None:
    with pytest.raises(RunError, match=message):
        open_model(FAMILIES / "llama-gqa").under([entry])


def test_an_intervention_that_meets_no_position_of_the_prompt_is_an_error() -> None:
    view = open_model(FAMILIES / "gpt2-tied").under([Intervention("hook_embed", positions=(5,))])
    with pytest.raises(RunError, match="hook_embed meets none of the 3 positions"):
        view.forward([1, 2, 3])


def test_every_intervention_of_a_stack_must_meet_its_own_position() -> None:
    two = [Intervention("hook_embed", positions=(0,)), Intervention("hook_embed", positions=(5,))]
    with pytest.raises(RunError, match=r"meets none .* \(5,\)"):
        open_model(FAMILIES / "gpt2-tied").under(two).forward([1, 2, 3])


def test_an_intervention_that_a_walk_does_not_come_by_is_an_error() -> None:
    view = open_model(FAMILIES / "gpt2-tied").under([Intervention("unembed.hook_in")])
    with pytest.raises(RunError, match=r"unembed\.hook_in never fired"):
        list(view.walk([1, 2, 3], tap=lambda _name, _value: None))


def test_another_gradient_of_a_scale_goes_on_to_the_stream() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    run = model.forward([1, 2, 3], names=tape_names(model))
    seed = np.random.default_rng(0).standard_normal(run.logits.shape).astype(np.float32)
    name, scale = "blocks.1.hook_resid_post", "ln_final.hook_scale"
    plain = backward(model, run, seed).cache[name]
    frozen = backward(
        model, run, seed, grad_tap=lambda hook, g: g * 0 if hook == scale else None
    ).cache[name]
    # With the scale held, the norm is centring and a division: no term along the stream is left.
    normed = run.cache["ln_final.hook_normalized"]
    assert np.abs((plain * normed).sum(-1)).max() < 1e-4
    assert np.abs((frozen * normed).sum(-1)).max() > 1e-2

"""A resumed run equals the full run, whatever is patched, in every kind of model."""

import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Cancelled, RunError
from engine.model import Intervention, Patch, Transformer, base_names, open_model, resume
from engine.model.resume import SITES

resume_module = sys.modules["engine.model.resume"]  # `engine.model.resume` is the function
FAMILIES = Path(__file__).parents[1] / "data" / "families"
CASES = sorted(folder.name for folder in FAMILIES.iterdir() if (folder / "golden.npz").exists())


def prompts(model: Transformer, length: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    n = min(length, model.config.n_ctx)
    ids = rng.integers(0, model.config.d_vocab, (2, n))
    ids[ids == model.config.mask_token] = 0  # a mask belongs to its own prompt
    return tuple(ids)


def full_run(model: Transformer, ids: np.ndarray, patches: list[Patch], position: int):
    """The slow truth: one forward pass with the patches written by a tap."""

    def tap(name: str, value: np.ndarray) -> np.ndarray | None:
        mine = [patch for patch in patches if patch.name == name]
        if not mine:
            return None
        value = value.copy()
        for patch in mine:
            if patch.head is None:
                value[0, patch.positions] = patch.value
            else:
                value[0, patch.positions, patch.head] = patch.value
        return value

    return model.forward(ids, tap=tap).logits[0, position]


def test_every_site_layer_and_place_equals_the_full_run_in_every_family() -> None:
    for case in CASES:
        model = open_model(FAMILIES / case)
        clean, corrupted = prompts(model)
        sites = [site for site in SITES if f"blocks.0.{site}" in model.hooks()]
        base = model.forward(corrupted, names=base_names(model, sites))
        source = model.forward(clean, names="all")
        variants: list[list[Patch]] = []
        for layer in range(model.config.n_layers):
            for site in sites:
                name = f"blocks.{layer}.{site}"
                value = source.cache[name][0]
                if site == "attn.hook_z":
                    variants += [
                        [Patch(name, np.arange(len(clean)), value[:, head], head)]
                        for head in range(model.config.n_heads)
                    ]
                variants += [
                    [Patch(name, np.array([at]), value[at : at + 1])]
                    for at in range(0, len(clean), 3)
                ]
        for position in (-1, 3):
            logits = resume(model, base, variants, position=position)
            truth = np.stack([full_run(model, corrupted, v, position) for v in variants])
            assert np.abs(logits - truth).max() <= 2e-6 * np.abs(truth).max() + 1e-6, case


def test_several_patches_in_one_variant_equal_the_full_run() -> None:
    for case in ("gpt2-tied", "llama-gqa", "neox-parallel", "tl-bidirectional"):
        model = open_model(FAMILIES / case)
        clean, corrupted = prompts(model)
        sites = [site for site in SITES if f"blocks.0.{site}" in model.hooks()]
        base = model.forward(corrupted, names=base_names(model, sites))
        source = model.forward(clean, names="all")
        rng = np.random.default_rng(2)
        variants = []
        for _ in range(40):
            patches = []
            for _ in range(rng.integers(1, 5)):
                site, layer = rng.choice(sites), rng.integers(model.config.n_layers)
                name = f"blocks.{layer}.{site}"
                where = np.sort(rng.choice(len(clean), rng.integers(1, 4), replace=False))
                patches.append(Patch(name, where, source.cache[name][0][where]))
            variants.append(patches)
        logits = resume(model, base, variants)
        truth = np.stack([full_run(model, corrupted, v, -1) for v in variants])
        assert np.abs(logits - truth).max() <= 2e-6 * np.abs(truth).max() + 1e-6, case


def test_patching_nothing_gives_the_base_run_to_the_bit() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    _clean, corrupted = prompts(model)
    base = model.forward(corrupted, names=base_names(model, ["hook_resid_pre"]))
    name = "blocks.1.hook_resid_pre"
    same = [Patch(name, np.array([2]), base.cache[name][0][2:3])]
    assert (resume(model, base, [same, []]) == base.logits[0, -1]).all()


def test_patching_everything_gives_the_other_run() -> None:
    for case in CASES:
        model = open_model(FAMILIES / case)
        clean, corrupted = prompts(model)
        base = model.forward(corrupted, names=base_names(model, ["hook_resid_pre"]))
        source = model.forward(clean, names="all")
        for layer in range(model.config.n_layers):
            name = f"blocks.{layer}.hook_resid_pre"
            everything = [Patch(name, np.arange(len(clean)), source.cache[name][0])]
            logits = resume(model, base, [everything])[0]
            assert np.abs(logits - source.logits[0, -1]).max() <= 1e-5 * np.abs(logits).max(), case


def test_columns_are_those_of_the_whole_answer() -> None:
    model = open_model(FAMILIES / "tl-bidirectional")  # has an unembedding bias
    clean, corrupted = prompts(model)
    base = model.forward(corrupted, names=base_names(model, ["hook_mlp_out"]))
    name = "blocks.0.hook_mlp_out"
    value = model.forward(clean, names=[name]).cache[name][0]
    variants = [[Patch(name, np.array([at]), value[at : at + 1])] for at in range(len(clean))]
    columns = np.array([3, 1])
    whole = resume(model, base, variants)[:, columns]
    assert np.allclose(resume(model, base, variants, columns=columns), whole, atol=1e-6)


def test_interventions_hold_in_resumed_runs_too() -> None:
    for entry in (
        Intervention("blocks.1.attn.hook_z", head=1),
        Intervention("blocks.0.mlp.hook_post", action="scale", factor=0.5),
        Intervention("blocks.1.hook_resid_mid", action="scale", factor=2.0, positions=(4, 5)),
    ):
        model = open_model(FAMILIES / "gpt2-tied").under([entry])
        clean, corrupted = prompts(model)
        base = model.forward(corrupted, names=base_names(model, ["hook_resid_pre"]))
        name = "blocks.0.hook_resid_pre"
        value = model.forward(clean, names=[name]).cache[name][0]
        variants = [[Patch(name, np.array([at]), value[at : at + 1])] for at in range(len(clean))]
        logits = resume(model, base, variants)
        truth = np.stack([full_run(model, corrupted, v, -1) for v in variants])
        assert np.abs(logits - truth).max() <= 1e-5


def test_an_intervention_changes_the_run_and_one_on_nothing_is_refused() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    ids, _ = prompts(model)
    plain = model.forward(ids).logits
    ablated = model.under([Intervention("blocks.0.attn.hook_z", head=0)]).forward(ids).logits
    assert np.abs(plain - ablated).max() > 1e-3
    assert (model.forward(ids).logits == plain).all()
    with pytest.raises(RunError, match=r"blocks\.9\.attn\.hook_z"):
        model.under([Intervention("blocks.9.attn.hook_z")])


def test_groups_count_every_row_of_a_model_that_reads_both_ways(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resume_module, "GROUP_FLOPS", 1e5)
    model = open_model(FAMILIES / "tl-bidirectional")
    clean, corrupted = prompts(model)
    name = "blocks.0.hook_resid_pre"
    base = model.forward(corrupted, names=base_names(model, ["hook_resid_pre"]))
    value = model.forward(clean, names=[name]).cache[name][0]
    variants = [[Patch(name, np.array([at]), value[at : at + 1])] for at in range(len(clean))]
    first, last = (
        len(list(resume_module.resume_in_groups(model, base, variants, position=position)))
        for position in (0, -1)
    )
    assert first == last > 1


def test_a_patch_of_the_wrong_shape_is_refused_by_name() -> None:
    model = open_model(FAMILIES / "gpt2-tied")
    _clean, corrupted = prompts(model)
    base = model.forward(corrupted, names=base_names(model, ["hook_resid_pre"]))
    wrong = [Patch("blocks.0.hook_resid_pre", np.array([1]), np.zeros((1, 3), np.float32))]
    with pytest.raises(RunError, match=r"blocks\.0\.hook_resid_pre"):
        resume(model, base, [wrong])


def test_stop_is_heard_between_activations() -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise Cancelled

    model = open_model(FAMILIES / "gpt2-tied").under(watch=stop)
    with pytest.raises(Cancelled):
        model.forward([1, 2, 3])

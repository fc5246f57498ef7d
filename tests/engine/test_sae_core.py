"""The SAE itself and its training: against SAELens' own steps, plain formulas, and itself."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.errors import RunError, SpecError
from engine.sae import gradient, sae, topk
from engine.sae.adam import Adam
from engine.sae.sae import ARCHITECTURES, SAE
from engine.sae.step import METRICS, Settings, Trainer

Array = npt.NDArray[Any]
JUMP: dict[str, Any] = {"architecture": "jumprelu", "bandwidth": 0.3, "init_threshold": 0.1}
SAELENS: dict[str, dict[str, Any]] = {
    "standard": {"architecture": "standard", "l1": 0.2, "sparsity_warm_up": 5},
    "standard_rows": {
        "architecture": "standard", "l1": 0.2, "normalize_activations": "constant_norm_rescale"},
    "standard_layer_norm": {
        "architecture": "standard", "l1": 0.2, "normalize_activations": "layer_norm"},
    "topk": {"architecture": "topk", "k": 3},
    "batchtopk": {"architecture": "batchtopk", "k": 3},
    "jumprelu_step": {**JUMP, "l1": 0.1},
    "jumprelu_tanh": {
        **JUMP, "l1": 0.1, "l0_loss": "tanh", "pre_act": 0.3, "ste_to_input": True,
        "init_threshold": 1.5},
    "jumprelu_quadratic": {**JUMP, "l1": 0.02, "l0_loss": "quadratic", "target_l0": 4.0},
    "gated": {"architecture": "gated", "l1": 0.2},
}  # fmt: skip


@functools.cache
def random_sae(architecture: str, d_in: int = 8, d_sae: int = 40, **fields: Any) -> SAE:
    rng = np.random.default_rng(1)

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(np.float32)

    gated = architecture == "gated"
    given = {
        "b_enc": None if gated else draw(d_sae), "k": 5 if "topk" in architecture else None,
        "threshold": 0.5 + np.abs(draw(d_sae)) if "j" in architecture or "b" in architecture[:1]
        else None,
        "b_gate": draw(d_sae) if gated else None, "b_mag": draw(d_sae) if gated else None,
        "r_mag": 0.3 * draw(d_sae) if gated else None,
    } | fields  # fmt: skip
    return SAE(architecture, draw(d_in, d_sae), draw(d_sae, d_in), draw(d_in), **given)


def rows(n_rows: int = 30, d_in: int = 8, seed: int = 2) -> Array:
    return np.random.default_rng(seed).standard_normal((n_rows, d_in)).astype(np.float32)


def trained(steps: int = 6, seed: int = 0, **fields: Any) -> Trainer:
    own = Trainer(Settings(**{"k": 3, "lr": 0.01, "dead_window": 2} | fields), 8, 32, seed=seed)
    for step in range(steps):
        own.step(rows(48, seed=step))
    return own


# --- the SAE ------------------------------------------------------------------------------------


def plain_encode(own: SAE, x: Array) -> Array:
    """f [row, d_sae] in float64, as REFERENCE C.11 has it."""
    W_enc, W_dec = own.W_enc.astype(float), own.W_dec.astype(float)
    c = (x.astype(float) - own.b_dec * own.apply_b_dec_to_input) @ W_enc
    if own.architecture == "gated":
        assert own.r_mag is not None
        gate = c + own.b_gate
        return (gate > 0) * np.maximum(c * np.exp(own.r_mag.astype(float)) + own.b_mag, 0)
    h = c + own.b_enc
    if own.rescale_acts_by_decoder_norm:
        h = h * np.linalg.norm(W_dec, axis=1)
    if own.architecture == "topk":
        least = np.sort(h, axis=1)[:, -(own.k or 0), None]
        return np.maximum(h, 0) * (h >= least)
    return np.maximum(h, 0) * (h > (0 if own.threshold is None else own.threshold))


@pytest.mark.parametrize("rescales", [False, True])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_way_to_encode_and_decode_gives_the_formula(
    architecture: str, centred: bool, rescales: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rescales and "topk" not in architecture:
        with pytest.raises(RunError, match="rescale_acts_by_decoder_norm"):
            random_sae(architecture, rescale_acts_by_decoder_norm=True)
        return
    monkeypatch.setattr(sae, "BLOCK", 7 * 40 * 4)  # seven rows at a time
    own = random_sae(
        architecture, apply_b_dec_to_input=centred, rescale_acts_by_decoder_norm=rescales
    )
    x = rows()
    f = plain_encode(own, x)  # [row, d_sae]
    np.testing.assert_allclose(own.encode(x), f, atol=2e-5)
    np.testing.assert_allclose(own.csr(x).toarray(), f, atol=2e-5)
    np.testing.assert_allclose(own.encode(x.reshape(5, 6, 8)), f.reshape(5, 6, 40), atol=2e-5)
    some = np.array([7, 3, 31])
    np.testing.assert_allclose(own.activations(x, some), f[:, some], atol=2e-5)
    scale = np.linalg.norm(own.W_dec, axis=1) if rescales else 1
    x_hat = (f / scale) @ own.W_dec.astype(float) + own.b_dec  # [row, d_in]
    for found in (own.decode(own.encode(x)), own.decode(own.csr(x)), own.reconstruct(x)):
        np.testing.assert_allclose(found, x_hat, atol=1e-4)
        assert found.dtype == np.float32
    if architecture == "topk":
        index, value = own.sparse(x)
        np.testing.assert_allclose(value, np.take_along_axis(f, index, axis=1), atol=2e-5)
        with pytest.raises(RunError, match="compete"):
            own.columns(some)
    else:
        with pytest.raises(RunError, match="csr"):
            own.sparse(x)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_folding_scale_and_norms_changes_nothing_that_is_reconstructed(architecture: str) -> None:
    free = {"rescale_acts_by_decoder_norm": True} if "topk" in architecture else {}
    own = random_sae(
        architecture, normalize_activations="expected_average_only_in", scaling=2.5, **free
    )
    folded = own.with_scaling_folded()
    assert (folded.normalize_activations, folded.scaling) == ("none", None)
    unit = folded.with_norms_folded()
    np.testing.assert_allclose(unit.decoder_norms, 1, atol=1e-6)
    for other in (folded, unit, own.with_norms_folded()):
        np.testing.assert_allclose(other.reconstruct(rows()), own.reconstruct(rows()), atol=2e-4)
    np.testing.assert_array_equal(unit.encode(rows()) > 0, own.encode(rows()) > 0)


def test_norms_of_a_topk_sae_that_does_not_compare_them_are_not_folded() -> None:
    with pytest.raises(RunError, match="would change which k"):
        random_sae("topk").with_norms_folded()


@pytest.mark.parametrize("kind", ["constant_norm_rescale", "layer_norm"])
def test_a_normalisation_per_row_is_undone(kind: str) -> None:
    own = random_sae("standard", normalize_activations=kind)
    inside, undo = own.normalised(rows())
    np.testing.assert_allclose(undo(inside), rows(), atol=1e-4)
    bare = replace(own, normalize_activations="none")
    np.testing.assert_allclose(own.reconstruct(rows()), undo(bare.reconstruct(inside)), atol=1e-5)
    if kind == "constant_norm_rescale":
        np.testing.assert_allclose(np.linalg.norm(inside, axis=1), np.sqrt(8), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "transcoder"}, "none of"), ({"b_enc": None}, "needs it"),
        ({"b_dec": np.zeros(9, np.float32)}, r"shape \(9,\)"), ({"k": 41}, "between 1 and the 40"),
        ({"W_dec": np.zeros((8, 40), np.float32)}, "d_sae, d_in"),
        ({"normalize_activations": "whitening"}, "none of"),
    ],
)  # fmt: skip
def test_an_sae_that_cannot_be_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RunError, match=words):
        replace(random_sae("topk"), **change)


def test_a_wrong_width_names_both_and_the_hook() -> None:
    with pytest.raises(RunError, match=r"width 5 .* 8 numbers of blocks\.0\.hook_mlp_out"):
        replace(random_sae("standard"), hook_name="blocks.0.hook_mlp_out").encode(rows(3, 5))


# --- training -----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SAELENS)
def test_training_follows_saelens_step_by_step(case: str, data: Path) -> None:
    with np.load(data / "sae_steps.npz") as file:
        known = dict(file)
    x, W_dec = known["x"], known["W_dec"]  # [step, row, d_in], [d_sae, d_in]
    settings = Settings(
        **SAELENS[case], lr=0.01, warm_up=3, decay=4, n_steps=len(x), dead_window=2,
        decoder_init_norm=0.5,
    )  # fmt: skip
    own = Trainer(settings, x.shape[2], len(W_dec))
    own.parameters["W_dec"][...] = W_dec
    own.parameters["encoder"][:, :-1] = W_dec
    seen = [own.step(batch) for batch in x]
    losses = [metrics["loss"] for metrics in seen]
    np.testing.assert_allclose(losses, known[f"{case}.losses"], rtol=2e-5)
    extra = {"topk": "auxiliary", "batchtopk": "auxiliary", "jumprelu_tanh": "pre_act"}.get(case)
    assert extra is None or any(metrics[extra] > 0 for metrics in seen)
    final = own.sae()
    for name in ("W_enc", "W_dec", "b_dec", "b_enc", "threshold", "b_gate", "b_mag", "r_mag"):
        wanted = known.get(f"{case}.{name}")
        if wanted is not None and wanted.shape:
            np.testing.assert_allclose(getattr(final, name), wanted, atol=2e-4, err_msg=name)
    if case == "batchtopk":
        assert own.threshold == pytest.approx(float(known["batchtopk.threshold"]), rel=1e-4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_going_on_from_a_state_is_never_having_stopped_to_the_bit(architecture: str) -> None:
    fields = {"architecture": architecture, "resample_every": 4, "sparsity_warm_up": 6}
    whole, first = trained(9, **fields), trained(5, **fields)
    again = Trainer(first.settings, 8, 32, seed=0)
    again.restore(first.state())
    for step in range(5, 9):
        again.step(rows(48, seed=step))
    for name, array in whole.state().items():
        np.testing.assert_array_equal(again.state()[name], array, err_msg=name)


def test_a_state_of_another_size_is_refused_and_a_snapshot_never_changes() -> None:
    own = trained()
    with pytest.raises(RunError, match="belongs to another"):
        Trainer(own.settings, 8, 33).restore(own.state())
    before = own.sae()
    kept = before.W_enc.copy(), before.W_dec.copy(), before.b_dec.copy()
    own.step(rows(48))
    for array, copy in zip((before.W_enc, before.W_dec, before.b_dec), kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    start = Trainer(own.settings, 8, 32, start=before).sae()
    np.testing.assert_array_equal(start.W_enc, before.W_enc)
    with pytest.raises(RunError, match="apply_b_dec_to_input: the SAE to begin with has True"):
        Trainer(replace(own.settings, apply_b_dec_to_input=False), 8, 32, start=before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_batch_in_which_nothing_fires_is_a_step_like_any_other(architecture: str) -> None:
    own = trained(1, architecture=architecture)
    own.parameters["encoder"][:, -1] = -100
    metrics = own.step(rows(5))
    assert metrics["l0"] == 0
    assert metrics["mse"] == pytest.approx(
        ((rows(5) - own.parameters["b_dec"]) ** 2).sum() / 5, 0.1
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_snapshot_computes_what_the_step_computed(architecture: str) -> None:
    own = trained(6, architecture=architecture, norm="unit", l1=0.1)
    before, x = own.sae(), rows(48, seed=9)
    metrics = own.step(x)
    if architecture != "batchtopk":  # which uses its threshold instead of the batch
        f = before.encode(x)
        error = ((before.reconstruct(x) - x) ** 2).sum(axis=1).mean()
        assert metrics["mse"] == pytest.approx(error, rel=1e-4)
        assert metrics["l0"] == (f > 0).sum(axis=1).mean()
        spread = ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()
        assert metrics["explained_variance"] == pytest.approx(1 - error / spread, abs=1e-5)
    np.testing.assert_allclose(own.sae().decoder_norms, 1, atol=1e-6)
    assert tuple(metrics) == METRICS
    assert own.density().sum() == pytest.approx(own.fired.sum() / (7 * 48))


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated"])
def test_dense_products_and_entries_train_alike(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for few in (0.0, 1.1):
        monkeypatch.setattr(gradient, "_FEW", few)
        found.append(trained(8, architecture=architecture, l1=0.1).sae())
    np.testing.assert_allclose(found[0].W_dec, found[1].W_dec, atol=1e-5)


def test_adam_is_the_textbooks_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    w = rng.standard_normal((50, 1001)).astype(np.float32)
    own, wanted, m, v = Adam({"w": w}), w.astype(float), 0.0, 0.0
    for t in range(1, 5):
        g = rng.standard_normal(w.shape).astype(np.float32)
        own.step({"w": g}, 0.01, 0.5, (0.9, 0.99), 1e-6)
        m, v = 0.9 * m + 0.1 * 0.5 * g, 0.99 * v + 0.01 * (0.5 * g.astype(float)) ** 2
        wanted -= 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-6)
    np.testing.assert_allclose(w, wanted, atol=2e-6)


def test_latents_that_do_not_fire_start_anew_where_the_loss_is_large() -> None:
    own = trained(8, architecture="standard", resample_every=20, l1=0.1, lr=1e-3)
    own.parameters["encoder"][:5, -1] = -100
    own.since_fired[:5] = 10
    x = rows(48)
    x[:40] *= 1e-3  # their loss is nearly 0
    assert own.resample(x) == 5
    inside = x - own.parameters["b_dec"]
    decoder = own.parameters["W_dec"][:5] / own.sae().decoder_norms[:5, None]
    cosine = decoder @ (inside / np.linalg.norm(inside, axis=1, keepdims=True)).T  # [5, row]
    assert (cosine.argmax(axis=1) >= 40).all()
    np.testing.assert_allclose(cosine.max(axis=1), 1, atol=1e-5)
    assert not own.parameters["encoder"][:5, -1].any()
    length = np.linalg.norm(own.parameters["encoder"][:, :-1], axis=1)  # [d_sae]
    np.testing.assert_allclose(length[:5], 0.2 * length[5:].mean(), rtol=1e-5)
    state = own.state()
    assert not state["adam.m.W_dec"][:5].any()
    assert state["adam.m.W_dec"][5:].any()
    assert own.resample(x) == 0


def test_rates_rise_and_fall_as_stated() -> None:
    settings = Settings(lr=0.8, l1=2.0, warm_up=4, sparsity_warm_up=5, decay=4, n_steps=20)
    assert [settings.lr_at(step) for step in (0, 1, 3, 10, 16, 17, 19, 20)] == pytest.approx(
        [0.2, 0.4, 0.8, 0.8, 0.8, 0.6, 0.2, 0.0]
    )
    assert [settings.l1_at(step) for step in (0, 1, 4, 5, 9)] == pytest.approx([0, 0.4, 1.6, 2, 2])


@pytest.mark.parametrize("how", ["nan", "stopped"])
def test_a_step_that_fails_leaves_everything_as_it_was(how: str) -> None:
    own = trained()
    before, x = own.state(), rows(48)

    def stop() -> None:
        raise KeyboardInterrupt

    if how == "nan":
        x[3, 3] = np.nan
        with pytest.raises(RunError, match=r"loss is nan .* at step 6; lower lr"):
            own.step(x)
    else:
        with pytest.raises(KeyboardInterrupt):
            own.step(x, stop)
    for name, array in own.state().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


def test_what_cannot_be_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="architecture: 'relu' is none of"):
        Settings("relu")
    with pytest.raises(SpecError, match="bandwidth: 0"):
        Settings(bandwidth=0)
    with pytest.raises(SpecError, match="scaling"):
        Settings(normalize_activations="expected_average_only_in")
    own = trained()
    with pytest.raises(RunError, match="norm: cannot change"):
        own.settings = replace(own.settings, norm="unit")
    own.settings = replace(own.settings, lr=0.5)
    assert own.step(rows(48))["lr"] == 0.5
    with pytest.raises(RunError, match=r"shape \(4, 9\) .* reads 8"):
        own.step(rows(4, 9))
    with pytest.raises(RunError, match="k: 9 is above the 4 latents"):
        Trainer(Settings(k=9), 8, 4)


def test_a_wide_step_never_holds_more_than_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    true = topk.row_top
    monkeypatch.setattr(gradient, "_TOP_BLOCK", 64 * 2048 * 4)
    monkeypatch.setattr(
        gradient, "row_top", lambda values, k: made.append(values.nbytes) or true(values, k)
    )
    own = Trainer(Settings(k=4), 8, 2048)
    own.step(rows(200))
    assert made == [64 * 2048 * 4] * 3 + [8 * 2048 * 4]

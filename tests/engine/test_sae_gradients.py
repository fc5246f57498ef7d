"""SAE training: every gradient against central differences of the loss written plainly, float64.

JumpReLU's steps have no derivative; what is checked there is the stated surrogate: around where
they are, f and L0 are lines in (h - threshold) of slope threshold / bandwidth and 1 / bandwidth
inside the kernel, along the threshold, and with `ste_to_input` along h too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from engine.sae import gradient
from engine.sae.step import Settings, Trainer

Array = npt.NDArray[Any]
D_IN, D_SAE, ROWS = 6, 20, 40
SMALL = 1e-6


def trainer(**fields: Any) -> Trainer:
    """One in the middle of a training: no parameter is 0, some latents are dead."""
    own = Trainer(Settings(**{"k": 4, "l1": 0.3} | fields), D_IN, D_SAE, seed=3, dtype=np.float64)
    rng = np.random.default_rng(5)
    for name, array in own.parameters.items():
        array += rng.normal(0, 0.2, array.shape)
        if name == "threshold":
            array[...] = rng.uniform(0.05, 0.4, array.shape)
    own._constrain()
    own.since_fired[::3] = 10_000
    return own


def batch() -> Array:
    return np.random.default_rng(6).normal(0.2, 1, (ROWS, D_IN))  # [row, d_in]


def chosen(settings: Settings, pre: Array) -> Array:
    """bool [row, d_sae]: which pre-activations TopK or BatchTopK keeps, by sorting them."""
    if settings.architecture == "topk":
        order = np.argsort(-pre, axis=1)[:, : settings.k]
        kept = np.zeros(pre.shape, bool)
        np.put_along_axis(kept, order, True, axis=1)
        return kept
    least = np.sort(np.maximum(pre, 0), axis=None)[-settings.k * len(pre)]
    return np.maximum(pre, 0) >= least


def plain_loss(own: Trainer, p: dict[str, Array], x: Array, base: dict[str, Any]) -> float:
    """The loss of parameters p. `base` holds what gradients stop at; it is filled where empty."""
    s, dead = own.settings, own.dead
    inside, target, weight = x, x, np.ones((len(x), 1))
    if s.normalize_activations == "constant_norm_rescale":
        weight = np.linalg.norm(x, axis=1, keepdims=True) / np.sqrt(D_IN)
        inside = target = x / weight
    elif s.normalize_activations == "layer_norm":
        weight = x.std(axis=1, keepdims=True, ddof=1)
        target = (x - x.mean(axis=1, keepdims=True)) / weight
        inside = (x - x.mean(axis=1, keepdims=True)) / (weight + 1e-5)
    h = (inside - s.apply_b_dec_to_input * p["b_dec"]) @ p["encoder"][:, :-1].T
    h = h + p["encoder"][:, -1]
    n = np.linalg.norm(p["W_dec"], axis=1) if s.norm == "weighted" else np.ones(D_SAE)

    def square(error: Array) -> float:
        return float((weight**2 * error**2).sum(axis=1).mean())

    def error_of(f: Array) -> Array:
        return f @ p["W_dec"] + p["b_dec"] - target

    if s.architecture == "standard":
        f = np.maximum(h, 0)
        return square(error_of(f)) + s.l1 * (f * n).sum(axis=1).mean()
    if "topk" in s.architecture:
        compared = h * n if s.rescales else h
        kept = chosen(s, compared)
        f = np.maximum(h, 0) * kept
        residual = base.setdefault("residual", -error_of(f))
        most = min(D_IN // 2, int(dead.sum()))
        z = np.where(dead, compared, -np.inf)
        z = np.where(z >= np.sort(z, axis=1)[:, [-most]], h, 0)
        extra = square(z @ p["W_dec"] - residual) * min(1, dead.sum() / (D_IN // 2))
        return square(error_of(f)) + s.aux_k * extra
    if s.architecture == "gated":
        shared = h - p["encoder"][:, -1]
        f = (h > 0) * np.maximum(shared * np.exp(p["r_mag"]) + p["b_mag"], 0)
        gate = np.maximum(h, 0)
        frozen = base if s.norm == "unit" else p
        again = gate @ frozen["W_dec"] + frozen["b_dec"] - target
        return square(error_of(f)) + s.l1 * (gate * n).sum(axis=1).mean() + square(again)
    assert s.architecture == "jumprelu"
    th = p["threshold"]
    h0, th0 = base.setdefault("h", h), base.setdefault("threshold", th)
    open_ = h0 > th0
    kernel = (np.abs(h0 - th0) / s.bandwidth < 0.5) / s.bandwidth
    moved = kernel * ((h - h0) * s.ste_to_input - (th - th0))
    f = h * open_ + th0 * moved
    l0 = (open_ + moved).sum(axis=1)
    sparsity = {
        "step": l0, "quadratic": 2 / s.target_l0 * (l0 - s.target_l0) ** 2,
        "tanh": np.tanh(s.tanh_scale * f * n).sum(axis=1),
    }[s.l0_loss].mean()  # fmt: skip
    pre_act = (np.maximum(th - h, 0) * dead * n).sum(axis=1).mean()
    return square(error_of(f)) + s.l1 * sparsity + s.pre_act * pre_act


CASES: dict[str, dict[str, Any]] = {
    "standard": {"architecture": "standard"},
    "standard, unit norm": {"architecture": "standard", "norm": "unit"},
    "standard, raw input": {"architecture": "standard", "apply_b_dec_to_input": False},
    "standard, no b_dec": {"architecture": "standard", "b_dec": False},
    "standard, rescaled rows": {
        "architecture": "standard", "normalize_activations": "constant_norm_rescale"},
    "standard, layer norm": {"architecture": "standard", "normalize_activations": "layer_norm"},
    "topk": {"architecture": "topk", "aux_k": 0.7},
    "topk, unit norm": {"architecture": "topk", "norm": "unit"},
    "topk, layer norm": {"architecture": "topk", "normalize_activations": "layer_norm"},
    "topk, not rescaled": {"architecture": "topk", "rescale_acts_by_decoder_norm": False},
    "batchtopk": {"architecture": "batchtopk"},
    "jumprelu": {"architecture": "jumprelu", "bandwidth": 0.3},
    "jumprelu, unit norm": {"architecture": "jumprelu", "bandwidth": 0.3, "norm": "unit"},
    "jumprelu, tanh": {"architecture": "jumprelu", "bandwidth": 0.3, "l0_loss": "tanh"},
    "jumprelu, quadratic": {
        "architecture": "jumprelu", "bandwidth": 0.3, "l0_loss": "quadratic", "target_l0": 5},
    "jumprelu, into the encoder": {
        "architecture": "jumprelu", "bandwidth": 0.3, "ste_to_input": True},
    "jumprelu, waking the dead": {"architecture": "jumprelu", "bandwidth": 0.3, "pre_act": 0.4},
    "gated": {"architecture": "gated"},
    "gated as in the paper": {"architecture": "gated", "norm": "unit"},
}  # fmt: skip


@pytest.mark.parametrize("few", [0.0, 1.1], ids=["dense", "entries"])
@pytest.mark.parametrize("case", CASES)
def test_the_gradient_agrees_with_central_differences(
    case: str, few: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradient, "_FEW", few)
    for name in ("_DENSE_BLOCK", "_TOP_BLOCK"):
        monkeypatch.setattr(gradient, name, 16 * D_SAE * 8)  # three blocks of rows
    own, x = trainer(**CASES[case]), batch()
    metrics, gradients = own.loss_and_gradients(x)
    at = {name: array.copy() for name, array in own.parameters.items()}
    base: dict[str, Any] = {"W_dec": at["W_dec"], "b_dec": at["b_dec"]}
    assert metrics["loss"] == pytest.approx(plain_loss(own, at, x, base), rel=1e-10)
    rng = np.random.default_rng(7)
    assert gradients.keys() == at.keys() - (() if own.settings.b_dec else {"b_dec"})
    for name, found in gradients.items():
        for _ in range(3):
            way = rng.normal(0, 1, found.shape)
            if name == "W_dec" and own.settings.norm == "unit":  # along the sphere
                way -= (way * at[name]).sum(axis=1, keepdims=True) * at[name]
            there, back = (
                plain_loss(own, at | {name: at[name] + sign * SMALL * way}, x, base)
                for sign in (1, -1)
            )
            difference = (there - back) / (2 * SMALL)
            assert float((found * way).sum()) == pytest.approx(difference, rel=1e-5, abs=1e-6), name


def test_the_decoders_gradient_has_no_part_along_rows_of_unit_length() -> None:
    own = trainer(architecture="standard", norm="unit")
    along = (own.loss_and_gradients(batch())[1]["W_dec"] * own.parameters["W_dec"]).sum(axis=1)
    np.testing.assert_allclose(along, 0, atol=1e-12)


def test_latents_that_never_fired_get_a_gradient_only_from_the_auxiliary_loss() -> None:
    for weight in (0.0, 1.0):
        own = trainer(architecture="topk", aux_k=weight)
        own.parameters["encoder"][::3, -1] = -50  # the dead ones, below every other
        metrics, gradients = own.loss_and_gradients(batch())
        assert np.any(gradients["W_dec"][::3]) == (weight > 0)
        assert (metrics["auxiliary"] > 0) == (weight > 0)

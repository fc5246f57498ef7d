"""What the five architectures do to pre-activations, and what comes back: elementwise rules.

Every rule is written once for both forms of `active.py`. With e = x_hat - x and n_i the norm of
decoder row i, all have the loss mean_b |e|^2 over the rows b of a batch and

    standard   + l1 mean_b sum_i f_i n_i
    topk       (the k largest; dead latents have a loss of their own, dead.py)
    jumprelu   + l1 mean_b L0 ("step"), sum_i tanh(c f_i n_i), or 2/t (L0 - t)^2; f = h 1[h > th]
    gated      + l1 mean_b sum_i relu(gate_i) n_i + mean_b |x - relu(gate) W_dec - b_dec|^2

as SAELens 6.54. With unit norms n_i = 1, and the gated one is that of the paper (arXiv:2404.16014):
its last term moves neither decoder nor b_dec. JumpReLU's steps have the gradient of a kernel of
width eps (arXiv:2407.14435): df/dth = -(th / eps) rect((h - th) / eps), dL0/dth = -rect(..) / eps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from engine.sae.active import Active
from engine.sae.settings import Settings
from engine.sae.topk import Array

__all__ = ["Block", "Outcome", "matters", "run"]


@dataclass(frozen=True)
class Block:
    """Rows on their way through a step. A parameter [d_sae] may also be named by `at`."""

    settings: Settings
    parameters: Mapping[str, Array]
    target: Array  # [row, d_in] what x_hat - b_dec should be
    weight: Array  # [row, 1] squared: how much an error of this row counts; 1 without a row norm
    norms: Array  # [d_sae] of the decoder rows; ones where they are constrained
    dead: Array  # [d_sae] bool
    l1: float
    per: float  # 1 / rows of the batch


@dataclass
class Outcome:
    """What a block gives: values of the active form, gradients, and the terms of the loss."""

    f: Array  # values
    error: Array  # [row, d_in]
    decoded: list[tuple[Array, Array]]  # (values, [row, d_in]): values^T rows is dL/dW_dec
    into_b_dec: Array  # [row, d_in]: its sum is what dL/db_dec has beside the encoder's part
    encoder: Array  # values: dL/d(x W_enc)
    losses: dict[str, float]  # terms beside the mean square error
    norms: Array | None = None  # [d_sae] dL/dn
    others: dict[str, Array] = field(default_factory=dict)  # [d_sae] dL/d of other parameters
    bias: Array | None = None  # [d_sae] dL/d of the encoder's bias, where not `encoder` summed


def matters(block: Block, h: Array) -> Array:
    """h [row, d_sae] -> bool [row, d_sae]: where a loss or a gradient is not 0."""
    settings = block.settings
    if settings.architecture != "jumprelu":
        return h > 0
    if settings.pre_act and block.dead.any():
        return np.ones(h.shape, bool)
    return h > block.parameters["threshold"] - settings.bandwidth / 2


def run(block: Block, h: Array, active: Active) -> Outcome:
    """h, the pre-activations as values of `active`, may be used up."""
    architecture = block.settings.architecture
    if architecture == "jumprelu":
        return _jumprelu(block, h, active)
    if architecture == "gated":
        return _gated(block, h, active)
    return _relu(block, h, active)


def _reconstruct(block: Block, f: Array, active: Active) -> tuple[Array, Array, Array]:
    """(error [row, d_in], dL/dx_hat [row, d_in], dL/df as values) of the mean square error."""
    factor = 2 * block.per * block.weight  # [row, 1]
    error, inner = active.error(f, block.parameters["W_dec"], block.target, factor)
    return error, error * factor, inner


def _relu(block: Block, h: Array, active: Active) -> Outcome:
    f = np.maximum(h, 0, out=h)
    error, down, inner = _reconstruct(block, f, active)
    losses, norms = {}, None
    if block.settings.architecture == "standard":
        per = block.l1 * block.per
        sums = active.per_latent(f)  # [d_sae]
        losses["sparsity"] = per * float(sums @ block.norms)
        inner += (per * block.norms)[active.at]
        norms = per * sums  # [d_sae]
    inner *= f > 0
    return Outcome(f, error, [(f, down)], down, inner, losses, norms)


def _jumprelu(block: Block, h: Array, active: Active) -> Outcome:
    settings, per, l1 = block.settings, block.per, block.l1
    threshold = block.parameters["threshold"][active.at]  # values
    own_norm = block.norms[active.at]  # values
    open_ = h > threshold  # values
    kernel = (np.abs(h - threshold) < settings.bandwidth / 2) / h.dtype.type(settings.bandwidth)
    f = h * open_
    error, down, inner = _reconstruct(block, f, active)
    norms = None
    if settings.l0_loss == "tanh":
        slope = np.tanh(settings.tanh_scale * f * own_norm)  # values
        losses = {"sparsity": l1 * per * float(slope.sum())}
        slope = l1 * per * settings.tanh_scale * (1 - slope * slope)  # values
        inner += slope * own_norm
        norms = active.per_latent(slope * f)  # [d_sae]
        counted = np.zeros_like(h)
    else:
        l0 = active.per_row(open_)  # [row]
        each, rate = l0, np.ones(len(l0))  # [row]
        if settings.l0_loss == "quadratic":
            each = 2 / settings.target_l0 * (l0 - settings.target_l0) ** 2
            rate = 4 / settings.target_l0 * (l0 - settings.target_l0)
        losses = {"sparsity": l1 * per * float(each.sum())}
        counted = l1 * per * active.of_row(rate.astype(h.dtype)) * kernel  # values
    through = threshold * kernel * inner + counted  # values: -dL/dthreshold
    encoder = inner * open_
    if settings.ste_to_input:
        encoder += through
    onto_threshold = -active.per_latent(through)  # [d_sae]
    if settings.pre_act and block.dead.any():
        short = np.maximum(threshold - h, 0) * block.dead[active.at]  # values
        weight = settings.pre_act * per
        sums = active.per_latent(short)  # [d_sae]
        losses["pre_act"] = weight * float(sums @ block.norms)
        pushed = weight * (short > 0) * own_norm  # values
        encoder -= pushed
        onto_threshold += active.per_latent(pushed)
        norms = weight * sums + (0 if norms is None else norms)
    others = {"threshold": onto_threshold}
    return Outcome(f, error, [(f, down)], down, encoder, losses, norms, others)


def _gated(block: Block, h: Array, active: Active) -> Outcome:
    """h is the gate's pre-activation; its bias is the encoder's."""
    parameters, per = block.parameters, block.l1 * block.per
    stretch = np.exp(parameters["r_mag"])[active.at]  # values
    bias = parameters["encoder"][:, -1][active.at]  # values
    open_ = h > 0  # values
    shared = (h - bias) * stretch  # values: x W_enc e^r
    magnitude = shared + parameters["b_mag"][active.at]  # values
    f = np.maximum(magnitude, 0) * open_
    error, down, inner = _reconstruct(block, f, active)
    inner *= f > 0  # dL/dmagnitude
    gate = np.maximum(h, 0)  # values
    via_gate, gate_down, gate_inner = _reconstruct(block, gate, active)
    sums = active.per_latent(gate)  # [d_sae]
    losses = {
        "sparsity": per * float(sums @ block.norms),
        "auxiliary": block.per * float((block.weight * via_gate * via_gate).sum()),
    }
    gate_inner += (per * block.norms)[active.at]
    gate_inner *= open_
    others = {
        "b_mag": active.per_latent(inner),
        "r_mag": active.per_latent(inner * shared),
    }  # [d_sae] each
    decoded, into_b_dec = [(f, down)], down
    if block.settings.norm == "weighted":
        decoded.append((gate, gate_down))
        into_b_dec = down + gate_down
    encoder = inner * stretch + gate_inner
    bias_gradient = active.per_latent(gate_inner)  # [d_sae]
    return Outcome(
        f, error, decoded, into_b_dec, encoder, losses, per * sums, others, bias_gradient
    )

"""Inside: a batch as the weights read it, normalised and centred, with the bias' column of ones.

expected_average_only_in: x s, in which the loss is taken too. constant_norm_rescale: x sqrt(d) /
|x|, layer_norm: (x - mean) / (std + 1e-5), both undone before the loss: an error of a row then
counts times the square of what it was divided by. As in SAELens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import RunError
from engine.sae.sae import LAYER_NORM_EPS
from engine.sae.settings import Settings
from engine.sae.topk import Array

__all__ = ["Inside"]


@dataclass(frozen=True)
class Inside:
    """x [row, d_in + 1] what the encoder reads, target [row, d_in] what x_hat - b_dec should be.

    weight [row, 1]: how much a squared error of the row counts. variance: the mean over rows of
    what the batch's mean leaves over, in the units of the loss.
    """

    x: Array
    target: Array
    weight: Array
    variance: float

    @classmethod
    def of(cls, settings: Settings, x: Array, b_dec: Array) -> Inside:
        """x [row, d_in] as it comes. A RunError names a wrong width."""
        if x.ndim != 2 or x.shape[1:] != b_dec.shape:
            raise RunError(
                f"a batch of shape {x.shape} does not fit an SAE that reads {len(b_dec)} numbers: "
                "choose the hook that it was made for"
            )
        rows = np.asarray(x, b_dec.dtype)  # [row, d_in]
        weight = np.ones((len(x), 1), rows.dtype)  # [row, 1]
        inside = target = rows  # [row, d_in]
        if settings.normalize_activations == "expected_average_only_in":
            inside = target = rows * rows.dtype.type(settings.scaling or 1)  # [row, d_in]
        elif settings.normalize_activations == "constant_norm_rescale":
            length = np.linalg.norm(rows, axis=1, keepdims=True)  # [row, 1]
            divisor = np.maximum(length, 1e-30) / np.sqrt(rows.dtype.type(len(b_dec)))
            inside = target = rows / divisor  # [row, d_in]
            weight = divisor * divisor  # [row, 1]
        elif settings.normalize_activations == "layer_norm":
            centred = rows - rows.mean(axis=1, keepdims=True)  # [row, d_in]
            spread = rows.std(axis=1, keepdims=True, ddof=1)  # [row, 1]
            inside = centred / (spread + LAYER_NORM_EPS)  # [row, d_in]
            target = centred / np.maximum(spread, 1e-30)  # [row, d_in]
            weight = spread * spread  # [row, 1]
        read = np.ones((len(rows), len(b_dec) + 1), rows.dtype)  # [row, d_in + 1]
        np.subtract(inside, b_dec if settings.apply_b_dec_to_input else 0, out=read[:, :-1])
        shown = inside if settings.normalize_activations == "expected_average_only_in" else rows
        spread_out = shown - shown.mean(axis=0, dtype=np.float64).astype(rows.dtype)
        variance = float(np.vdot(spread_out, spread_out)) / len(rows)
        wanted = read[:, :-1]  # [row, d_in]
        if target is not inside or not settings.apply_b_dec_to_input:
            wanted = target - b_dec
        return cls(read, wanted, weight, variance)

"""Dead latents: the auxiliary loss of TopK SAEs, and resampling.

Gao et al. 2024 (arXiv:2406.04093, A.2): the k_aux = d_in / 2 largest dead latents reconstruct what
the living ones left over, e = x - x_hat, taken as a constant and without b_dec. Bricken et al. 2023
(Towards Monosemanticity): a dead latent starts anew at an input that is badly reconstructed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.sae.settings import Settings
from engine.sae.topk import Array, row_top

__all__ = ["ENCODER_SHARE", "Auxiliary", "chosen_rows"]

ENCODER_SHARE = 0.2  # of the living encoders' mean length, for a latent that starts anew
_BLOCK = 16 << 20  # bytes of [row, dead] at a time


@dataclass
class Auxiliary:
    """The auxiliary loss of a batch, and its gradients at the dead latents."""

    loss: float
    dead: Array  # [dead] latents
    W_dec: Array  # [dead, d_in]
    encoder: Array  # [dead, d_in + 1]

    @classmethod
    def of(
        cls, settings: Settings, encoder: Array, W_dec: Array, norms: Array, dead: Array,
        x: Array, residual: Array, weight: Array, per: float,
    ) -> Auxiliary:  # fmt: skip
        """encoder [d_sae, d_in + 1], x [row, d_in + 1] with ones, residual [row, d_in] = x - x_hat.

        dead [dead] latents, weight [row, 1] as in Block, norms [d_sae], per = 1 / rows.
        """
        most = max(1, residual.shape[1] // 2)
        share = settings.aux_k * min(len(dead) / most, 1.0)
        k = min(most, len(dead))
        own, rows_dec, own_norms = encoder[dead], W_dec[dead], norms[dead]
        onto = cls(0.0, dead, np.zeros_like(rows_dec), np.zeros_like(own))
        size = max(1, _BLOCK // (len(dead) * x.itemsize))
        for first in range(0, len(x), size):
            at = slice(first, first + size)
            z = x[at] @ own.T  # [row, dead]
            if k < len(dead):
                z *= own_norms
                index, value = row_top(z, k)
                z[...] = 0
                np.put_along_axis(z, index.astype(np.int64), value, axis=1)
                z /= own_norms
            error = z @ rows_dec  # [row, d_in]
            error -= residual[at]
            down = error * (2 * share * per * weight[at])  # [row, d_in]
            onto.loss += share * per * float((weight[at] * error * error).sum())
            onto.W_dec += z.T @ down
            back = down @ rows_dec.T  # [row, dead]
            if k < len(dead):
                back *= z != 0
            onto.encoder += back.T @ x[at]
        return onto


def chosen_rows(loss: Array, count: int, seed: int, step: int) -> Array:
    """[count] rows, drawn with probability proportional to loss [row] squared.

    Without replacement where there are enough rows with a loss. Empty where all losses are 0.
    """
    chance = np.asarray(loss, np.float64) ** 2  # [row]
    total = chance.sum()
    if not (np.isfinite(total) and total > 0):
        return np.zeros(0, np.int64)
    again = bool(count > np.count_nonzero(chance))
    rng = np.random.default_rng([seed, step])
    return rng.choice(len(chance), count, replace=again, p=chance / total)

"""What can be known of a toy model without training it: losses in closed form, by quadrature.

A feature is 0 with probability 1 - p and uniform on [0, 1] otherwise; the loss is the mean over
features of importance times squared error, as in Elhage et al. 2022
(transformer-circuits.pub/2022/toy_model). With v = p/3 - p^2/4, the variance of a feature:

    left out       importance * v            its output is its mean, p/2
    dedicated      0                         a dimension of its own
    antipodal      importance * p^2 / 6      two features share a dimension with opposite signs,
                                             b = 0: both lose min(x, y) when both are active

What would fool you: these are losses of ideal weights, lengths 1 and a bias that is not tuned, so
a trained model may be below them (by up to 9 % in a phase diagram, beside its borders); triangles,
pentagons and everything else that is no pair are not among them.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NOT_REPRESENTED, SUPERPOSITION, DEDICATED = VERDICT_CODES = (0, 1, 2)
VERDICTS = ("not represented", "superposition", "dedicated")
"""What becomes of the extra feature of a phase diagram, by code."""

GAUSS = ((), (32,), (16, 23), (10, 13, 17))
"""Gauss-Legendre points per axis, by how many features are active; all losses within 1e-3. Counts
differ, or the fold of an antipodal pair, x = y, would run through grid points: 5e-3 too much."""
TIE = 1e-9  # relative; two options as good as each other are both right


def variance(density: Any) -> Floats:
    """Variance of one feature, p/3 - p^2/4: what it costs to output the mean instead."""
    p = np.asarray(density, np.float64)
    return p / 3 - p * p / 4


def zero_loss(density: Any, importance: Any) -> Floats:
    """Loss of a model whose output is always zero.

    density [instance] or scalar, importance [instance, feature] or [feature] -> [instance].
    """
    weight = np.asarray(importance, np.float64)
    return np.asarray(density, np.float64) / 3 * weight.mean(-1)


def linear_loss(density: Any, importance: Any, d_hidden: int) -> Floats:
    """Loss of the best linear model: the `d_hidden` most important features, means of the others.

    density [instance] or scalar, importance [instance, feature] or [feature] -> [instance].
    """
    weight = np.sort(np.asarray(importance, np.float64), axis=-1)[..., ::-1]
    left_out = weight[..., d_hidden:].sum(-1) / weight.shape[-1]
    return variance(density) * left_out


def closed_form_loss(density: Any, importance: Any, d_hidden: int) -> Floats:
    """Loss of the best of all arrangements of dedicated dimensions and antipodal pairs.

    With k pairs the m - k most important features are dedicated, the next 2k paired and the rest
    left out; the least over k. How the 2k are paired makes no difference. k = 0 is `linear_loss`.
    density [instance] or scalar, importance [instance, feature] or [feature] -> [instance].
    """
    weight = np.sort(np.asarray(importance, np.float64), axis=-1)[..., ::-1]
    p, n = np.asarray(density, np.float64), weight.shape[-1]
    losses = []
    for pairs in range(min(d_hidden, max(n - d_hidden, 0)) + 1):
        paired = weight[..., d_hidden - pairs : d_hidden + pairs].sum(-1)
        left_out = weight[..., d_hidden + pairs :].sum(-1)
        losses.append((p * p / 6 * paired + variance(p) * left_out) / n)
    return np.min(losses, axis=0)


def phase_losses(n_features: int, density: Any, importance: Any) -> Floats:
    """Closed-form losses of the three fates of an extra feature, in the order of VERDICTS.

    `n_features` features of importance 1, the last of `importance`, in one dimension fewer; 2 or 3.
    density [row], importance [column] -> [row, column, option].
    """
    p = np.asarray(density, np.float64)[:, None]  # [row, 1]
    r = np.asarray(importance, np.float64)[None, :]  # [1, column]
    v, pair = variance(p), p * p / 6
    dedicated = v + 0 * r  # another feature is left out
    if n_features == 3:
        dedicated = np.minimum(dedicated, 2 * pair)  # or the two others share a dimension
    return np.stack([r * v, (1 + r) * pair, dedicated], axis=-1) / n_features


def is_best(losses: Floats, verdict: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Whether the option `verdict` [...] is the least of `losses` [..., option], ties included."""
    chosen = np.take_along_axis(losses, np.maximum(verdict, 0)[..., None], -1)[..., 0]
    return (chosen <= losses.min(-1) * (1 + TIE)) & (verdict >= 0)


def exact_loss(W: Any, b: Any, density: Any, importance: Any) -> Floats:
    """Expected loss of given weights, without the noise of a sample: which of k runs is the best?

    Every subset of active features with its probability, a grid inside; for at most 3 features.
    W [instance, d_hidden, feature], tied, b [instance, feature], density [instance],
    importance [instance, feature] -> [instance], float64.
    """
    W, b = np.asarray(W, np.float64), np.asarray(b, np.float64)
    n = W.shape[-1]
    if n >= len(GAUSS):
        raise ValueError(f"{n} features are more than {len(GAUSS) - 1}: the grid would be too fine")
    p = np.asarray(density, np.float64)
    gram = W.swapaxes(-1, -2) @ W  # [instance, feature, feature]
    total = np.zeros(W.shape[0])  # [instance]
    for active in product((False, True), repeat=n):
        x, share = _grid(active)
        output = np.maximum(x @ gram + b[:, None], 0.0)  # [instance, point, feature]
        error = np.einsum("ipf,p->if", (output - x) ** 2, share)  # [instance, feature]
        count = sum(active)
        total += p**count * (1 - p) ** (n - count) * (importance * error).mean(-1)
    return total


def _grid(active: tuple[bool, ...]) -> tuple[Floats, Floats]:
    """Points [point, feature] where the active features run over [0, 1], and weights [point]."""
    sizes = iter(GAUSS[sum(active)])
    nothing = np.zeros(1), np.ones(1)
    axes = [_gauss(next(sizes)) if is_active else nothing for is_active in active]
    points = np.meshgrid(*(axis[0] for axis in axes), indexing="ij")
    shares = np.meshgrid(*(axis[1] for axis in axes), indexing="ij")
    x = np.stack([values.ravel() for values in points], axis=-1)  # [point, feature]
    return x, np.prod([values.ravel() for values in shares], axis=0)


def _gauss(count: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2

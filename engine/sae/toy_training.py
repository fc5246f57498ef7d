"""Bench: many small SAEs of three-dimensional activations, trained together in NumPy.

x_hat = W_dec^T f + b_dec, f = act(W_enc (x - b_dec) + b_enc), as engine.sae.step trains one large
one; a step here is some fifteen calls for all instances, where one instance at a time would pay
them for each. Layout [instance, latent, sample], so that every factor is constant along the inner
loop; the bias is one more row of x. Losses are sums over the dimensions and means over the batch:

    standard  |x - x_hat|^2 + sparsity * sum_l f_l n_l
    topk      |x - x_hat|^2, f = the k largest of relu(pre)
    jumprelu  |x - x_hat|^2 + sparsity * sum_l 1[pre_l > threshold_l], straight through with a
              rectangle of width `bandwidth` (Rajamanoharan et al. 2024, arXiv:2407.14435)

n_l is 1, or with norm "weighted" the length of the decoder row. With "unit" every decoder row is
kept at length 1 and the gradient's part along it taken out; "free" leaves the length alone, and
then the penalty is evaded by small activations and long rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from engine.sae.concepts import Array, directions, draw

__all__ = [
    "ARCHITECTURES", "HELD_OUT", "NORMS", "OPTIMIZERS", "SCHEDULES", "WIDTH", "Bench", "encode",
]  # fmt: skip

ARCHITECTURES = ("standard", "topk", "jumprelu")
NORMS = ("unit", "weighted", "free")
OPTIMIZERS = ("adam", "sgd")
SCHEDULES = ("linear", "constant")
WIDTH = 3  # dimensions of the activations
HELD_OUT = 4000  # samples that no SAE learns from
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # Adam's usual ones (Kingma and Ba, arXiv:1412.6980)
_WILD = 1e6  # a parameter beyond has run away, and is infinite a few steps later
_DRAWN = 64  # steps whose batches are chosen at a time; part of what a seed means
_THRESHOLD = 0.5  # of "jumprelu" at the start: of 60 seeds, 60 find all concepts; from 0.1, 57


def encode(
    architecture: str, k: int, weights: Mapping[str, Array], x: Array, instance: int
) -> Array:
    """x [3, sample] -> f [latent, sample] of one instance.

    weights: W_enc [instance, 3, latent], b_enc, b_dec and threshold [instance, ..].
    """
    W_enc, b_enc, b_dec, threshold = (
        weights[name][instance] for name in ("W_enc", "b_enc", "b_dec", "threshold")
    )
    pre = W_enc.T @ (x - b_dec[:, None]) + b_enc[:, None]  # [latent, sample]
    on = active(architecture, k, pre, threshold)
    return np.where(on, pre, 0)


def active(
    architecture: str, k: int, pre: Array, threshold: Array, out: Array | None = None
) -> Array:
    """Which latents fire at pre [..., latent, sample], bool alike; threshold [..., latent]."""
    if architecture == "jumprelu":
        return np.greater(pre, np.maximum(threshold, 0)[..., None], out=out)
    on = np.greater(pre, 0, out=out)
    if architecture == "topk" and k < pre.shape[-2]:
        least = np.partition(pre, -k, axis=-2)[..., -k, None, :]  # [..., 1, sample]
        on &= pre >= least
    return on


class Bench:
    """Instances with the seeds seed, seed + 1, ...: each its own directions, data and weights.

    Instance i is, to the bit, what a bench of one with seed + i trains. `theta` holds for each
    latent a row of its W_enc and its b_enc; `W_dec` [instance, latent, 3] lies one latent a row.
    """

    def __init__(
        self, *, kind: str, concepts: int, density: float, samples: int, latents: int,
        architecture: str, norm: str, sparsity: float, k: int, bandwidth: float, b_dec: bool,
        batch: int, lr: float, steps: int, schedule: str, optimizer: str, resample_every: int,
        seed: int, instances: int, dtype: Any = np.float32,
        listen: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """`listen` may raise to stop; it is called between two instances that are made."""
        self.architecture, self.norm, self.k, self.bandwidth = architecture, norm, k, bandwidth
        self.has_b_dec, self.batch, self.optimizer = b_dec, batch, optimizer
        self.schedule, self.resample_every = schedule, resample_every
        self.sparsity, self.lr, self.steps = sparsity, lr, steps
        self.step, self._since, self._dtype = 0, 0, np.dtype(dtype)
        kind_of = self._dtype
        self._rngs = [np.random.default_rng([seed + at, 0]) for at in range(instances)]
        worlds = [np.random.default_rng([seed + at, 1]) for at in range(instances)]
        true, drawn, held = [], [], []
        for rng in worlds:
            (listen or (lambda: None))()
            true.append(directions(kind, concepts, rng))
            drawn.append(draw(true[-1], density, samples, rng)[0].T)
            held.append(draw(true[-1], density, HELD_OUT, rng))
        self.true = np.stack(true)  # [instance, concept, 3]
        self.data = np.stack(drawn).astype(kind_of)  # [instance, sample, 3]
        self.held = np.stack([x for x, _ in held]).astype(kind_of)  # [instance, 3, sample]
        self.amounts = np.stack([a for _, a in held])  # [instance, concept, sample]
        rows = [rng.standard_normal((latents, WIDTH)) for rng in self._rngs]
        W_dec = np.stack(rows)  # [instance, latent, 3]
        W_dec /= np.linalg.norm(W_dec, axis=-1, keepdims=True)
        count, width = instances, WIDTH
        # one flat row of parameters per instance, so that Adam is one pass over all of them
        sizes = [latents * (width + 1), latents * width, width, latents]
        ends = np.cumsum([0, *sizes])
        self._theta = np.zeros((count, ends[-1]), kind_of)  # [instance, parameter]
        self._grad, self._mean, self._square, self._spare = (
            np.zeros_like(self._theta) for _ in range(4)
        )

        def views(flat: Array) -> tuple[Array, Array, Array, Array]:
            parts = [flat[:, a:b] for a, b in pairwise(ends.tolist())]
            return (
                parts[0].reshape(count, latents, width + 1),
                parts[1].reshape(count, latents, width), parts[2], parts[3],
            )  # fmt: skip

        self.encoder, self.W_dec, self.b_dec, self.threshold = views(self._theta)
        self._views = views
        self._d_encoder, self._d_W_dec, self._d_b_dec, self._d_threshold = views(self._grad)
        self.W_dec[:] = W_dec
        self.encoder[:, :, :width] = W_dec
        self.threshold[:] = _THRESHOLD if architecture == "jumprelu" else 0
        self.fired = np.zeros((count, latents), np.int64)  # [instance, latent] steps since it fired
        self._x = np.ones((count, width + 1, batch), kind_of)  # [instance, xyz and one, sample]
        self._error = np.empty((count, width, batch), kind_of)  # [instance, xyz, sample]
        self._pre, self._f, self._g, self._some = (
            np.empty((count, latents, batch), kind_of) for _ in range(4)
        )  # each [instance, latent, sample]
        self._on = np.empty((count, latents, batch), bool)  # [instance, latent, sample]
        self.chosen = np.zeros((count, _DRAWN, batch), np.int64)  # [instance, step, sample]

    # --- what a caller sees ---------------------------------------------------------------------

    @property
    def sound(self) -> bool:
        """Whether every parameter is a number that an SAE of unit directions can have."""
        return bool((np.abs(self._theta) < _WILD).all())

    def change(self, *, sparsity: float, lr: float, steps: int) -> None:
        """Go on under new settings from where the weights are; the decay begins anew."""
        self.sparsity, self.lr, self.steps, self._since = sparsity, lr, steps, self.step

    def advance(self, count: int) -> None:
        """Train for `count` steps more. The same bits however the steps are divided into calls."""
        with np.errstate(all="ignore"):  # a wild learning rate is told by `sound`
            for _ in range(count):
                self._gradient(self._batch())
                self._descend()
                self.step += 1
                if self.resample_every and self.step % self.resample_every == 0:
                    self._resample()

    # --- one step -------------------------------------------------------------------------------

    def _batch(self) -> Array:
        """The samples of this step, [instance, xyz and one, sample]."""
        at = self.step % _DRAWN
        if at == 0:
            for chosen, rng in zip(self.chosen, self._rngs, strict=True):
                chosen[:] = rng.integers(self.data.shape[1], size=chosen.shape)
        for x, data, chosen in zip(self._x, self.data, self.chosen[:, at], strict=True):
            x[:WIDTH] = data[chosen].T
        if self.has_b_dec:
            self._x[:, :WIDTH] -= self.b_dec[:, :, None]
        return self._x

    def _gradient(self, x: Array) -> None:
        """Of the mean loss over x [instance, xyz and one, sample], in `_grad`."""
        pre, f, g, on, error = self._pre, self._f, self._g, self._on, self._error
        np.matmul(self.encoder, x, out=pre)
        active(self.architecture, self.k, pre, self.threshold, on)
        np.multiply(pre, on, out=f)
        np.matmul(self.W_dec.transpose(0, 2, 1), f, out=error)
        error -= x[:, :WIDTH]  # b_dec is on both sides
        error *= self._dtype.type(2 / self.batch)
        np.matmul(f, error.transpose(0, 2, 1), out=self._d_W_dec)
        np.matmul(self.W_dec, error, out=g)
        share = self._dtype.type(self.sparsity / self.batch)
        if self.architecture == "jumprelu":
            self._through_threshold(share)
        elif self.architecture == "standard":
            if self.norm == "weighted":
                length = np.linalg.norm(self.W_dec, axis=-1, keepdims=True)  # [instance, latent, 1]
                g += share * length
                total = f.sum(axis=-1, keepdims=True)  # [instance, latent, 1]
                self._d_W_dec += share * total * self.W_dec / np.maximum(length, 1e-8)
            else:
                g += share
        g *= on
        np.matmul(g, x.transpose(0, 2, 1), out=self._d_encoder)
        if self.has_b_dec:
            np.sum(error, axis=-1, out=self._d_b_dec)
            through = self._d_encoder[:, :, WIDTH, None] * self.encoder[:, :, :WIDTH]
            self._d_b_dec -= through.sum(axis=1)
        if self.resample_every:
            self.fired += 1
            self.fired[on.any(axis=-1)] = 0

    def _through_threshold(self, share: Any) -> None:
        """The straight-through estimate for the thresholds: a rectangle around each of them.

        With g = dL/df: -(theta / width) g from f = pre 1[pre > theta], and -share / width from the
        penalty, summed over the samples within half a width of the threshold.
        """
        pre, some = self._pre, self._some
        theta = self.threshold[:, :, None]  # [instance, latent, 1]
        np.subtract(pre, theta, out=some)
        np.abs(some, out=some)
        near = some < self.bandwidth / 2  # [instance, latent, sample]
        np.multiply(self._g, theta, out=some)
        some += share
        some *= near
        np.sum(some, axis=-1, out=self._d_threshold)
        self._d_threshold *= self._dtype.type(-1 / self.bandwidth)

    def rate(self) -> float:
        """The learning rate of the next step."""
        if self.schedule == "constant":
            return self.lr
        span = max(1, self.steps - self._since)
        return self.lr * (1 - min(1.0, (self.step - self._since) / span))

    def _descend(self) -> None:
        theta, grad, mean, square, kind = (
            self._theta, self._grad, self._mean, self._square, self._dtype.type
        )  # fmt: skip
        if self.norm == "unit":
            along = (self._d_W_dec * self.W_dec).sum(axis=-1, keepdims=True)
            self._d_W_dec -= along * self.W_dec
        rate, t = self.rate(), self.step + 1
        if self.optimizer == "sgd":
            grad *= kind(rate)
            theta -= grad
        else:
            mean *= kind(_BETA1)
            mean += kind(1 - _BETA1) * grad
            square *= kind(_BETA2)
            np.square(grad, out=grad)
            grad *= kind(1 - _BETA2)
            square += grad
            np.multiply(square, kind(1 / (1 - _BETA2**t)), out=grad)
            np.sqrt(grad, out=grad)
            grad += kind(_EPSILON)
            np.divide(mean, grad, out=grad)
            grad *= kind(rate / (1 - _BETA1**t))
            theta -= grad
        if self.norm == "unit":
            self._normalise()
        if self.architecture == "jumprelu":
            np.maximum(self.threshold, 0, out=self.threshold)

    def _normalise(self) -> None:
        length = np.sqrt(np.einsum("ild,ild->il", self.W_dec, self.W_dec))  # [instance, latent]
        self.W_dec /= np.maximum(length, 1e-8)[:, :, None]

    def _resample(self) -> None:
        """Dead latents begin anew at badly reconstructed samples (Towards Monosemanticity)."""
        dead = self.fired >= self.resample_every  # [instance, latent]
        means, squares = self._views(self._mean), self._views(self._square)
        for at in np.flatnonzero(dead.any(axis=1)):
            x = self.data[at].T  # [3, sample]
            own = np.flatnonzero(dead[at])
            pre = self.encoder[at, :, :WIDTH] @ (x - self.b_dec[at, :, None])  # [latent, sample]
            pre += self.encoder[at, :, WIDTH:]
            on = active(self.architecture, self.k, pre, self.threshold[at])
            left = x - self.W_dec[at].T @ (pre * on) - self.b_dec[at, :, None]  # [3, sample]
            loss = np.square(left.astype(np.float64)).sum(axis=0) ** 2  # [sample]
            if not loss.sum() > 0:
                continue
            picked = self._rngs[at].choice(len(loss), size=len(own), p=loss / loss.sum())
            rows = self.data[at, picked] - self.b_dec[at]  # [dead, 3]
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-8)
            alive = self.encoder[at, ~dead[at], :WIDTH]  # [alive, 3]
            size = 0.2 * np.linalg.norm(alive, axis=1).mean() if len(alive) else 1.0
            self.W_dec[at, own] = rows
            self.encoder[at, own, :WIDTH] = size * rows
            self.encoder[at, own, WIDTH] = 0
            for part in (*means, *squares):
                if part.ndim > 2 or part.shape[1] == len(dead[at]):
                    part[at, own] = 0
            self.fired[at, own] = 0

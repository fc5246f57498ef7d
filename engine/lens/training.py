"""The training step of a tuned lens: KL(final || lens) of every layer at once, and its gradients.

Softmax is an exponential family in y, the normalised stream: with A(y) = log sum exp(y W_U + b_U)
and m(y) = softmax(y W_U + b_U) W_U^T, which is A's gradient,

    KL(final || lens) = A(y) - A(y_f) - m(y_f) . (y - y_f),    dKL/dy = m(y) - m(y_f).

So A and m of a row are all that is ever wanted: the final layer's once for all layers, and no array
of probabilities. Both come from one walk over blocks of the vocabulary that stay in the cache, the
largest logit so far kept beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from engine.model import ops
from engine.model.weights import Array

BLOCK_BYTES = 4 << 20  # of logits at a time: rows x words
LEAST_WORDS = 256  # in a block, or the products become thin
CACHED = 1 << 17  # numbers that exp and its neighbours pass over at a time: half a megabyte
MOST_ROWS = 2048  # rows of all layers together in one product

Listen = Callable[[], object]


class Readout:
    """Final norm and unembedding of a model: A(y) and m(y) of rows, and back to the stream."""

    def __init__(self, model: Any) -> None:
        weights = model.weights
        self.norm, self.W_U, self.b_U = weights.ln_final, weights.W_U, weights.b_U
        self.eps, self.rms = model.config.eps, model.config.is_rms("ln_final.")
        self.listen: Listen = model.listen
        self._logits = np.zeros(0, self.W_U.dtype)

    def normalise(self, h: Array) -> tuple[Array, tuple[Array, Array] | None]:
        """h [row, d_model] -> what W_U reads, and what `back` needs."""
        if self.norm is None:
            return h, None
        y, scale = (ops.rms_norm if self.rms else ops.layer_norm)(h, self.eps)
        out = y * self.norm.w  # [row, d_model]
        if self.norm.b is not None:
            out += self.norm.b
        return out, (y, scale)

    def back(self, dy: Array, kept: tuple[Array, Array] | None) -> Array:
        """Gradient of what W_U reads -> of the stream; dy is overwritten."""
        if self.norm is None or kept is None:
            return dy
        dy *= self.norm.w
        return (ops.rms_norm_vjp if self.rms else ops.layer_norm_vjp)(dy, *kept)[0]

    def read(self, y: Array, mean: bool = True) -> tuple[Array, Array]:
        """A [row] in float64 and m [row, d_model] of rows y; m is not filled without `mean`."""
        n_words = self.W_U.shape[1]
        width = min(n_words, max(LEAST_WORDS, BLOCK_BYTES // (y.itemsize * max(1, len(y)))))
        if self._logits.size < len(y) * width or self._logits.dtype != y.dtype:
            self._logits = np.empty(len(y) * width, y.dtype)
        top = np.full(len(y), -np.inf, y.dtype)  # [row]
        total = np.zeros(len(y))  # [row]
        m = np.zeros_like(y) if mean else y[:0]  # [row, d_model]
        for first in range(0, n_words, width):
            self.listen()
            W = self.W_U[:, first : first + width]  # [d_model, word]
            size = W.shape[1]
            z = self._logits[: len(y) * size].reshape(len(y), size)  # [row, word]
            np.matmul(y, W, out=z)
            if self.b_U is not None:
                z += self.b_U[first : first + width]
            before = top.copy()
            some = max(1, CACHED // size)
            for row in range(0, len(y), some):
                _weights(z[row : row + some], top[row : row + some], total[row : row + some])
            if mean:
                if first:
                    m *= np.exp(before - top)[:, None]
                    m += z @ W.T
                else:
                    np.matmul(z, W.T, out=m)
        if mean:
            m /= total.astype(y.dtype)[:, None]
        return np.log(total) + top, m


def _weights(z: Array, top: Array, total: Array) -> None:
    """Logits [row, word] -> exp(z - top) in place; `top` and `total` [row] are brought up to it."""
    largest = np.maximum(top, z.max(axis=1))  # [row]
    total *= np.exp(top - largest)  # exp(-inf) is 0: nothing before the first block
    top[...] = largest
    z -= largest[:, None]
    np.exp(z, out=z)
    total += z.sum(axis=1)


class Translating:
    """Translators W [layer, d_model, d_model] and b [layer, d_model] in training, and gradients."""

    def __init__(self, model: Any, n_layers: int) -> None:
        d, dtype = model.config.d_model, model.weights.W_U.dtype
        self.readout = Readout(model)
        self.W = np.zeros((n_layers, d, d), dtype)
        self.b = np.zeros((n_layers, d), dtype)
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def kl(self, streams: Array, final: Array, share: float = 0.0) -> Array:
        """Sum over rows of KL(final || lens) [layer], in nats, float64.

        streams [layer, row, d_model], final [row, d_model]. share: what one row counts in the loss;
        unless 0, the gradients of share * (sum over layers and rows) are added to dW and db.
        """
        n_layers, n_rows, _ = streams.shape
        found = np.zeros(n_layers)  # [layer]
        some = max(1, MOST_ROWS // (n_layers + 1))
        for first in range(0, n_rows, some):
            rows = slice(first, first + some)
            found += self._slab(streams[:, rows], final[rows], share)
        return found

    def _slab(self, streams: Array, final: Array, share: float) -> Array:
        n_layers, n, d = streams.shape
        h = np.empty((n_layers + 1, n, d), streams.dtype)  # [layer + final, row, d_model]
        for layer, stream in enumerate(streams):
            np.matmul(stream, self.W[layer].T, out=h[layer])
            h[layer] += self.b[layer]
            h[layer] += stream
        h[-1] = final
        y, kept = self.readout.normalise(h.reshape(-1, d))  # [row of all layers, d_model]
        A, m = self.readout.read(y, mean=bool(share))
        if not share:
            _, m_final = self.readout.read(y[-n:])
        else:
            m_final = m[-n:]  # [row, d_model]
        A, y = A.reshape(n_layers + 1, n), y.reshape(n_layers + 1, n, d)
        apart = np.empty((n_layers, n))  # [layer, row] m(y_f) . (y - y_f)
        target = m_final.astype(np.float64)  # [row, d_model]
        for layer in range(n_layers):
            apart[layer] = np.einsum("rd,rd->r", target, y[layer] - y[-1])
        kl = (A[:-1] - A[-1] - apart).sum(axis=1)  # [layer]
        if share:
            dy = m.reshape(n_layers + 1, n, d)
            dy -= m_final.copy()  # the final rows become 0
            dy *= np.asarray(share, dy.dtype)
            dh = self.readout.back(dy.reshape(-1, d), kept).reshape(n_layers + 1, n, d)
            for layer, stream in enumerate(streams):
                self.dW[layer] += dh[layer].T @ stream
                self.db[layer] += dh[layer].sum(axis=0)
        return kl


class Optimiser:
    """SGD with Nesterov's momentum, or Adam that keeps the largest square (Reddi et al. 2018).

    As the authors train (Belrose et al. 2023, section 3.2): weight decay is part of the gradient,
    after clipping by the norm of all translators' gradients together.
    """

    MOMENTUM, SQUARE, EPS = 0.9, 0.999, 1e-8
    RATE: ClassVar[dict[str, float]] = {"sgd": 1 - MOMENTUM, "adam": 1e-3}
    TINY = 1e-6  # beside the norm in clipping

    def __init__(self, kind: str, lens: Translating) -> None:
        self.kind, self.lens, self.made = kind, lens, 0
        pairs = ((lens.W, lens.dW), (lens.b[:, None], lens.db[:, None]))
        self.parts = [(p, g) for values, grads in pairs
                      for p, g in zip(values, grads, strict=True)]  # fmt: skip
        n_states = 1 if kind == "sgd" else 3
        self.state: list[list[Array]] = [
            [np.zeros_like(p) for p, _ in self.parts] for _ in range(n_states)
        ]

    def step(self, scale: float, weight_decay: float, clip: float) -> float:
        """Move W and b, set the gradients to 0; the norm that the gradient had.

        scale: of the kind's own learning rate, schedule included.
        """
        norm = float(np.sqrt(sum(np.vdot(g, g).astype(np.float64) for _, g in self.parts)))
        shrink = min(1.0, clip / (norm + self.TINY))
        self.made += 1
        spare: Any = None
        for index, (p, g) in enumerate(self.parts):
            self.lens.readout.listen()
            work = spare if spare is not None and spare.shape == p.shape else np.empty_like(p)
            spare = work
            g *= p.dtype.type(shrink)
            if weight_decay:
                g += np.multiply(p, p.dtype.type(weight_decay), out=work)
            states: list[Array] = [state[index] for state in self.state]
            (self._sgd if self.kind == "sgd" else self._adam)(p, g, work, states, scale)
            g[...] = 0.0
        return norm

    def _sgd(self, p: Array, g: Array, work: Array, states: list[Array], scale: float) -> None:
        (velocity,) = states
        velocity *= p.dtype.type(self.MOMENTUM)
        velocity += g
        np.multiply(velocity, p.dtype.type(self.MOMENTUM), out=work)
        work += g
        work *= p.dtype.type(scale * self.RATE["sgd"])
        p -= work

    def _adam(self, p: Array, g: Array, work: Array, states: list[Array], scale: float) -> None:
        mean, square, largest = states
        one = p.dtype.type
        mean += np.multiply(np.subtract(g, mean, out=work), one(1 - self.MOMENTUM), out=work)
        square *= one(self.SQUARE)
        square += np.multiply(np.square(g, out=work), one(1 - self.SQUARE), out=work)
        np.maximum(largest, square, out=largest)
        np.sqrt(largest, out=work)
        work /= one((1 - self.SQUARE**self.made) ** 0.5)
        work += one(self.EPS)
        np.divide(mean, work, out=work)
        work *= one(scale * self.RATE["adam"] / (1 - self.MOMENTUM**self.made))
        p -= work

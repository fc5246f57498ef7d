"""Block: some instances of a Trainer, sampled and compared in buffers that fit the cache.

Everything is times -p: the samples -p x, what goes into the activation, and the error. With u - p
for the draw u an active feature is a negative number, whose sign bit, shifted over all bits, is the
mask of the activation. Products of two such things have the factor p^2, which the trainer divides
out in its small matrices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from engine.toy.training import Trainer

Array = npt.NDArray[Any]

_EXACT_LOG = 0.005  # density below which 1 - v loses more digits than the draws v have


class Block:
    """Some instances of a trainer and the buffers that they share with all other blocks."""

    def __init__(self, trainer: Trainer, first: int, last: int, flat: list[Array]) -> None:
        own, count = slice(first, last), last - first
        n, m, batch = trainer.n_features, trainer.d_hidden, trainer.batch
        self.trainer, self.chosen, self.n = trainer, own, n
        rows = (n + 1, n, n, m + 1, m)
        self.x, self.pre, self.g, self.h, self.dh = (
            part[: count * row * batch].reshape(count, row, batch)
            for part, row in zip(flat, rows, strict=True)
        )
        signed = np.dtype(f"i{trainer._dtype.itemsize}")
        self.sign_bit = 8 * signed.itemsize - 1
        self.inputs, self.last = self.x[:, :n], self.x[:, n:]
        self.inputs_T, self.g_T = self.inputs.transpose(0, 2, 1), self.g.transpose(0, 2, 1)
        self.pre_bits, self.g_bits = self.pre.view(signed), self.g.view(signed)
        self.input_bits = self.x.view(signed)[:, :n]
        self.flat = self.x.reshape(-1)
        self.p, self.scale = trainer._p[own], trainer._scale[own]
        self.minus_p = -self.p
        self.importance = trainer.importance[own]
        self.W, self.spare = trainer.W[own], trainer._spare[own, :m]
        self.decoder_T = trainer._decoder[own].transpose(0, 2, 1)
        self.grad_W, self.grad_decoder = trainer._grad[own, :m], trainer._grad[own, -m - 1 :]
        if trainer._gram:
            self.map, self.outer = trainer._map[own], trainer._outer[own]
        else:
            self.weighted = trainer._weighted[own]
        kind = trainer._dtype.type
        if trainer.conditional:
            p = trainer.density[own, None, None]
            self.some = -(1 - trainer._empty[own, :, None]).astype(kind)  # [instance, 1, 1]
            with np.errstate(divide="ignore"):
                self.per_log = (1 / np.log1p(-p)).astype(kind)  # -0 where p = 1
            self.rare = bool(p.min() < _EXACT_LOG)
            self.ordinal = -np.arange(1, n + 1, dtype=kind)[:, None]  # [feature, 1]
            self.first = np.empty((count, 1, batch), kind)
            self.place = np.empty(count * batch, np.intp)
            self.value = np.empty(count * batch, kind)
            self.first_flat, self.value_rows = self.first.reshape(-1), self.value.reshape(count, -1)
            instance = np.arange(count)[:, None, None] * (n + 1) * batch
            self.corner = (instance + np.arange(batch)).reshape(-1)  # of each sample in `flat`

    def sample(self, rng: np.random.Generator) -> None:
        """-p x in `inputs`, and -p in the last row, so that the bias needs no pass of its own.

        With `conditional` the last row of the draws chooses the first active feature by the
        inverse of a geometric distribution truncated at n; those before it are off, it is on.
        """
        trainer, x, g = self.trainer, self.x, self.g
        rng.random(out=x, dtype=trainer._dtype)
        if trainer.conditional:
            first, place = self.first, self.place
            np.multiply(self.last, self.some, out=first)
            if self.rare:
                np.log1p(first, out=first)
            else:  # a fifth of the time
                first += 1
                np.log(first, out=first)
            first *= self.per_log
            np.minimum(first, self.n - 1, out=first)
            np.trunc(first, out=first)
            np.copyto(place, self.first_flat, casting="unsafe")
            place *= trainer.batch
            place += self.corner
            self.flat.take(place, out=self.value, mode="clip")  # the other modes make a copy
            np.multiply(self.value_rows, self.p[:, 0], out=self.value_rows)
            self.flat[place] = self.value
            np.add(self.ordinal, first, out=g)  # at least 0 before the first active one
        np.subtract(self.inputs, self.p, out=self.inputs)
        if trainer.conditional:
            np.maximum(self.inputs, g, out=self.inputs)
        np.right_shift(self.input_bits, self.sign_bit, out=self.g_bits)  # all ones where negative
        np.bitwise_and(self.input_bits, self.g_bits, out=self.input_bits)
        self.last[:] = self.minus_p

    def error(self) -> None:
        """-p times the derivative of half the squared error by what goes into the activation."""
        if self.trainer.activation == "linear":
            np.subtract(self.pre, self.inputs, out=self.g)
            return
        np.subtract(self.pre, self.inputs, out=self.g)
        np.right_shift(self.pre_bits, self.sign_bit, out=self.pre_bits)
        np.bitwise_and(self.g_bits, self.pre_bits, out=self.g_bits)

    def loss(self) -> Array:
        """[instance]: mean over the samples drawn and the features of importance * error^2."""
        error = self.g
        if self.trainer.activation == "linear":
            np.subtract(self.pre, self.inputs, out=error)
        else:
            np.minimum(self.pre, 0, out=error)
            error -= self.inputs
        squares = np.einsum("ijb,ijb->ij", error, error).astype(float)  # [instance, feature]
        per = self.p[:, 0].astype(float) ** 2 * (error.shape[2] * self.n)  # [instance, 1]
        return (squares * self.importance / per).sum(axis=1)

"""The loss of many logistic probes of one matrix, its gradient and its curvature, in slabs.

mean over training rows of -log p(label | x) + lambda/2 |w|^2, with p = sigmoid(w.x + b) or softmax.
A point is [problem, output, d + 1]: weights of activations standardised by the problem's own
training rows, and the bias last. Gradient R'X with R = (p - y)/n; curvature along u: S'X with
S = D (X u), D = p(1 - p)/n (or diag(p) - pp' over n). Products in float32, sums over slabs and
points in float64; `precise` makes the products float64 too.
"""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.probes.problems import Booleans, Floats, Integers, Problems, Progress, Singles
from engine.probes.standardising import Own, Rows

KEPT_BYTES = 256 << 20  # probabilities of all rows up to this are kept between products
MULTIPLY_ADDS = 1e9  # about 30 ms of products: progress is told after so many

Array = npt.NDArray[Any]


class Meter:
    """Tells of progress after about 30 ms of products, by counting them: never by a clock."""

    def __init__(self, problems: int, note: str) -> None:
        self.problems, self.done, self.note = problems, 0.0, note
        self._work = 0.0

    def due(self, multiply_adds: float) -> Generator[Progress, None, None]:
        self._work += multiply_adds
        if self._work >= MULTIPLY_ADDS:
            self._work = 0.0
            yield Progress(min(self.done / self.problems, 1.0), self.note)


class LogisticLoss:
    """Loss, gradient and curvature of the problems `at`, on the rows that `rows` holds."""

    _columns = ("label", "weight", "penalty", "stretch", "shift", "absent", "spread")

    def __init__(
        self, rows: Rows, problems: Problems, at: Integers, own: Own, meter: Meter
    ) -> None:
        task = problems.task[at]  # [problem]
        train = rows.of(problems.train[task])  # [problem, row]
        usual = problems.counts[task].argmax(axis=1)  # [problem] stands in where nothing is learnt
        label = np.where(train, rows.of(problems.labels[task]), usual[:, None])  # [problem, row]
        self.rows, self.meter, self.outputs = rows, meter, problems.outputs
        self.label: Integers = label.astype(np.int32)
        self.weight: Singles = (train / train.sum(axis=1)[:, None]).astype(np.float32)
        self.penalty: Floats = problems.penalty[at]  # [problem]
        self.stretch: Floats = own.stretch[task]  # [problem, d]
        self.shift: Floats = own.shift[task]  # [problem, d]
        self.absent: Booleans = problems.counts[task] == 0  # [problem, class]
        self.spread: Floats = np.ones((len(at), self.outputs))  # [problem, output] mean p(1 - p)
        self.precise = False
        self._point: Array = np.zeros(0)
        # [problem, output, row]: p, or for two classes the weight of the row in the curvature
        self._chance: Singles | None = None

    def __len__(self) -> int:
        return len(self.penalty)

    def take(self, at: Booleans) -> LogisticLoss:
        """The problems that the mask names, at the point where they are."""
        if at.all():
            return self
        out = copy.copy(self)
        for name in self._columns:
            setattr(out, name, getattr(self, name)[at])
        out._point = self._point[at]
        out._chance = None if self._chance is None else self._chance[at]
        return out

    def evaluate(self, point: Floats) -> Generator[Progress, None, tuple[Floats, Floats]]:
        """Loss [problem] and gradient [problem, output, d + 1] at a point, which is kept."""
        kind = np.float64 if self.precise else np.float32
        self._point, self._chance = point, None
        if len(self) * self.outputs * self.rows.n * 4 <= KEPT_BYTES:
            self._chance = np.empty((len(self), self.outputs, self.rows.n), np.float32)
        matrix, offset = self._at_point(kind)
        loss = np.zeros(len(self))  # [problem]
        self.spread = np.zeros((len(self), self.outputs))  # [problem, output]
        slope, lean = self._zeros()
        for at in self.rows.slabs(len(matrix)):
            x = self.rows[at].astype(kind, copy=False)  # [row, d]
            z = self._scores(x, matrix, offset)  # [problem, output, row]
            compare = self._two_classes if self.outputs == 1 else self._classes
            lost, residual, chance = compare(z, at)
            loss += lost
            if self._chance is not None:
                self._chance[..., at] = chance
            slope += residual.reshape(len(matrix), -1) @ x
            lean += residual.sum(axis=2, dtype=np.float64)
            yield from self.meter.due(2.0 * x.size * len(matrix))
        gradient = self._unfolded(slope, lean)  # [problem, output, d + 1]
        w = point[..., :-1]  # [problem, output, d]
        gradient[..., :-1] += self.penalty[:, None, None] * w
        return loss + 0.5 * self.penalty * np.einsum("pod,pod->p", w, w), gradient

    def curvature(self, u: Singles) -> Generator[Progress, None, Singles]:
        """The Hessian at the kept point times u [problem, output, d + 1], of the same shape."""
        matrix, offset = self._folded(u, np.float32)
        again = self._at_point(np.float32) if self._chance is None else None
        slope, lean = self._zeros()
        for at in self.rows.slabs(len(matrix)):
            x = self.rows[at]  # [row, d]
            change = self._scores(x, matrix, offset)  # [problem, output, row]
            if self._chance is not None:
                chance = self._chance[..., at]  # [problem, output, row]
            else:
                assert again is not None
                chance = self._chances(self._scores(x, *again), at)
            if self.outputs > 1:
                change -= np.einsum("por,por->pr", chance, change)[:, None]
                change *= self.weight[:, None, at]
            change *= chance
            slope += change.reshape(len(matrix), -1) @ x
            lean += change.sum(axis=2)
            yield from self.meter.due(2.0 * x.size * len(matrix))
        out = self._unfolded(slope, lean).astype(np.float32)  # [problem, output, d + 1]
        out[..., :-1] += self.penalty[:, None, None].astype(np.float32) * u[..., :-1]
        return out

    def _two_classes(self, z: Array, at: slice) -> tuple[Floats, Array, Array]:
        """Loss [problem], residual and curvature weights [problem, 1, row] of scores z."""
        z, s, y = z[:, 0], self.weight[:, at], self.label[:, at]  # [problem, row] each
        e = np.exp(-np.abs(z))  # [problem, row]
        p = np.where(z >= 0, 1, e)  # [problem, row]
        p /= 1 + e
        lost = np.maximum(z, 0) + np.log1p(e) - y * z  # [problem, row]
        spread = s * e / np.square(1 + e)  # [problem, row]
        self.spread[:, 0] += spread.sum(axis=1, dtype=np.float64)
        total = np.einsum("pr,pr->p", s, lost, dtype=np.float64)  # [problem]
        return total, (s * (p - y))[:, None], spread[:, None]

    def _classes(self, z: Array, at: slice) -> tuple[Floats, Array, Array]:
        """Loss [problem], residual and probabilities [problem, output, row] of scores z."""
        s, true = self.weight[:, at], self.label[:, None, at]  # [problem, (1,) row]
        z -= z.max(axis=1, keepdims=True)
        lost = -np.take_along_axis(z, true, 1)[:, 0]  # [problem, row]
        p = np.exp(z, out=z)  # [problem, output, row]
        total = p.sum(axis=1)  # [problem, row]
        p /= total[:, None]
        lost += np.log(total)
        residual = p * s[:, None]  # [problem, output, row]
        self.spread += np.einsum("por,por->po", residual, 1 - p, dtype=np.float64)
        held = np.take_along_axis(residual, true, 1) - s[:, None]  # [problem, 1, row]
        np.put_along_axis(residual, true, held, 1)
        return np.einsum("pr,pr->p", s, lost, dtype=np.float64), residual, p

    def _chances(self, z: Array, at: slice) -> Array:
        """What `_chance` would hold of one slab, where all of it is too large to keep."""
        if self.outputs == 1:
            e = np.exp(-np.abs(z))  # [problem, 1, row]
            return self.weight[:, None, at] * e / np.square(1 + e)
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z, out=z)  # [problem, output, row]
        p /= p.sum(axis=1, keepdims=True)
        return p

    def _scores(self, x: Array, matrix: Array, offset: Array) -> Array:
        z = (matrix @ x.T).reshape(len(self), self.outputs, -1)  # [problem, output, row]
        z += offset[..., None]
        return z

    def _at_point(self, kind: Any) -> tuple[Array, Array]:
        matrix, offset = self._folded(self._point, kind)
        if self.outputs > 1:
            offset[self.absent] = -np.inf  # a class without examples has no probability
        return matrix, offset

    def _folded(self, point: Array, kind: Any) -> tuple[Array, Array]:
        """Weights [problem * output, d] and offsets [problem, output] for rows as `rows` has them.

        x_own = x * stretch + shift, so w.x_own + b = (w stretch).x + (w.shift + b).
        """
        w = point[..., :-1]  # [problem, output, d]
        matrix = (w * self.stretch[:, None]).astype(kind).reshape(-1, self.rows.d)
        offset = point[..., -1] + np.einsum("pod,pd->po", w, self.shift)  # [problem, output]
        return matrix, offset.astype(kind)

    def _unfolded(self, slope: Floats, lean: Floats) -> Floats:
        """R'X_own and R'1 as one array [problem, output, d + 1], from R'X and R'1."""
        out = np.empty((len(self), self.outputs, self.rows.d + 1))  # [problem, output, d + 1]
        slope = slope.reshape(len(self), self.outputs, -1)  # [problem, output, d]
        out[..., :-1] = slope * self.stretch[:, None] + lean[..., None] * self.shift[:, None]
        out[..., -1] = lean
        return out

    def _zeros(self) -> tuple[Floats, Floats]:
        """Sums to fill: R'X [problem * output, d] and R'1 [problem, output]."""
        d = self.rows.d
        return np.zeros((len(self) * self.outputs, d)), np.zeros((len(self), self.outputs))

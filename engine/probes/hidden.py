"""Probes with one hidden layer, for contrast: what a stronger reader finds and a linear one misses.

relu(W_1 x + b_1) -> logits, cross-entropy + lambda/2 (|W_1|^2 + |W_2|^2), Adam (Kingma & Ba 2014)
with a rate that falls linearly, on standardised activations. All problems take their steps
together: one product with a batch of rows serves the hidden layers of all of them.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from engine.probes.problems import Fitted, Inner, Integers, Listen, Problems, Progress, Singles
from engine.probes.standardising import Rows

EPOCHS, BATCH, LR = 40, 256, 3e-3
LEAST_STEPS = 400  # of small data sets, which have few batches
BETAS, EPS = (0.9, 0.999), 1e-8
GROUP_UNITS = 4096  # hidden units of the problems that step together
TOLD = 1e9  # multiply-adds: about 30 ms


def fit_hidden(
    X: Singles, problems: Problems, units: int, seed: int, listen: Listen
) -> Generator[Progress, None, Fitted]:
    """All problems, in groups whose hidden layers make one product of a good width."""
    d, n = X.shape[1], len(problems)
    mean, scale = np.zeros((2, len(problems.labels), d))  # [task, d] each
    first = np.zeros((n, units, d), np.float32)  # [problem, unit, d]
    first_bias = np.zeros((n, units))  # [problem, unit]
    weights = np.zeros((n, problems.outputs, units), np.float32)  # [problem, output, unit]
    bias, loss = np.zeros((n, problems.outputs)), np.zeros(n)
    step, done = max(1, GROUP_UNITS // units), 0
    for tasks in problems.splits():
        rows = Rows(X, problems.of_tasks(tasks).learning_rows(), listen)
        mean[tasks], scale[tasks] = rows.mean, rows.scale
        of_split = np.flatnonzero(np.isin(problems.task, tasks))  # [problem of the split]
        for begin in range(0, len(of_split), step):
            at = of_split[begin : begin + step]  # [problem of the group]
            nets = Nets(problems, at, rows, units, seed)
            for share in nets.train(rows, listen):
                yield Progress((done + share * len(at)) / n, "hidden probes")
            done += len(at)
            # A unit of the model that never moved in training says nothing elsewhere.
            first[at] = nets.W_1 * (~rows.dead / rows.scale)
            first_bias[at] = nets.b_1 - first[at] @ rows.mean
            weights[at], bias[at], loss[at] = nets.W_2, nets.b_2, nets.loss
    if problems.outputs > 1:
        bias[problems.counts[problems.task] == 0] = -np.inf
    return Fitted(
        "hidden", weights, bias, mean[problems.task], scale[problems.task], loss,
        np.full(n, np.nan), np.zeros(n, np.int64), Inner(first, first_bias),
    )  # fmt: skip


class Nets:
    """The networks of some problems and their Adam moments."""

    def __init__(self, problems: Problems, at: Integers, rows: Rows, units: int, seed: int) -> None:
        n, outputs, d = len(at), problems.outputs, rows.d
        self.label = rows.of(problems.labels[problems.task[at]])  # [problem, row]
        self.absent = problems.counts[problems.task[at]] == 0  # [problem, class]
        self.penalty = problems.penalty[at].astype(np.float32)[:, None, None]  # [problem, 1, 1]
        rng = np.random.default_rng(seed)
        self.order = np.random.default_rng([seed, 1])
        start = rng.standard_normal((units, d), dtype=np.float32)  # [unit, d]
        out = rng.standard_normal((outputs, units), dtype=np.float32)  # [output, unit]
        self.W_1: Singles = np.tile(start * np.float32(np.sqrt(2 / d)), (n, 1, 1))
        self.W_2: Singles = np.tile(out * np.float32(np.sqrt(1 / units)), (n, 1, 1))
        self.b_1: Singles = np.zeros((n, units), np.float32)  # [problem, unit]
        self.b_2: Singles = np.zeros((n, outputs), np.float32)  # [problem, output]
        self.loss = np.full(n, np.nan)  # [problem] mean over the last batches
        self.moments = [
            (np.zeros_like(one), np.zeros_like(one))
            for one in (self.W_1, self.b_1, self.W_2, self.b_2)
        ]

    def train(self, rows: Rows, listen: Listen) -> Generator[float, None, None]:
        """Adam over shuffled batches; gives the share of steps done after about 30 ms of them."""
        batch = min(BATCH, rows.n)
        per_epoch = -(-rows.n // batch)
        steps = max(EPOCHS * per_epoch, LEAST_STEPS)
        order, work = np.zeros(0, np.int64), 0.0
        for step in range(steps):
            listen()
            if len(order) < batch:
                order = np.concatenate([order, self.order.permutation(rows.n)])
            pick, order = order[:batch], order[batch:]
            x = rows.pick(pick)  # [row, d]
            gradients = self._gradients(x, self.label[:, pick])
            self._adam(gradients, LR * (1 - step / steps), step + 1)
            work += 3.0 * x.size * self.W_1.shape[0] * self.W_1.shape[1]
            if work >= TOLD:
                work = 0.0
                yield step / steps

    def _gradients(self, x: Singles, label: Integers) -> list[Any]:
        """Of W_1, b_1, W_2, b_2 on a batch x [row, d] with labels [problem, row]."""
        n, units, d = self.W_1.shape
        h = (self.W_1.reshape(-1, d) @ x.T).reshape(n, units, -1)  # [problem, unit, row]
        h += self.b_1[..., None]
        np.maximum(h, 0, out=h)
        z = self.W_2 @ h + self.b_2[..., None]  # [problem, output, row]
        if z.shape[1] == 1:
            e = np.exp(-np.abs(z))  # [problem, 1, row]
            p = np.where(z >= 0, np.float32(1), e) / (1 + e)
            lost = (np.maximum(z, 0) + np.log1p(e) - label[:, None] * z)[:, 0]  # [problem, row]
            back = (p - label[:, None]).astype(np.float32)  # [problem, 1, row]
        else:
            z[self.absent] = -np.inf
            z -= z.max(axis=1, keepdims=True)
            p = np.exp(z)  # [problem, output, row]
            total = p.sum(axis=1, keepdims=True)  # [problem, 1, row]
            p /= total
            true = np.take_along_axis(p, label[:, None], 1)  # [problem, 1, row]
            lost = -np.log(np.maximum(true, np.float32(1e-30)))[:, 0]  # [problem, row]
            back = p
            np.put_along_axis(back, label[:, None], true - 1, 1)
        now = lost.mean(axis=1)  # [problem]
        self.loss = np.where(np.isnan(self.loss), now, 0.9 * self.loss + 0.1 * now)
        back /= np.float32(len(x))
        to_h = self.W_2.transpose(0, 2, 1) @ back  # [problem, unit, row]
        to_h *= h > 0
        lean = to_h.sum(axis=2)  # [problem, unit]
        slope = (to_h.reshape(n * units, -1) @ x).reshape(n, units, d)  # [problem, unit, d]
        slope += self.penalty * self.W_1
        out = back @ h.transpose(0, 2, 1) + self.penalty * self.W_2  # [problem, output, unit]
        return [slope, lean, out, back.sum(axis=2)]

    def _adam(self, gradients: list[Any], lr: float, step: int) -> None:
        rate = lr * np.sqrt(1 - BETAS[1] ** step) / (1 - BETAS[0] ** step)
        for value, gradient, (m, v) in zip(
            (self.W_1, self.b_1, self.W_2, self.b_2), gradients, self.moments, strict=True
        ):
            m += (1 - BETAS[0]) * (gradient - m)
            gradient *= gradient
            v += (1 - BETAS[1]) * (gradient - v)
            value -= rate * m / (np.sqrt(v) + EPS)

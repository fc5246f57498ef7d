"""Logistic probes by Newton's method, many at once: the products with X serve all of them.

A step solves H x = -g by conjugate gradients with the Hessian as an operator (two products per
iteration). They are preconditioned by (c C + lambda)^-1, with C the correlations of the units and c
the mean of p(1 - p): H itself if that were the same in every row. Only the leading directions of C
are found (Frangella, Tropp & Udell 2021, arXiv:2110.02820); the rest is taken for round. From the
largest lambda down each solution is the next one's start. scikit-learn's LogisticRegression has the
same minimum at C = 1 / (lambda n).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.probes.logistic_loss import LogisticLoss, Meter
from engine.probes.problems import (
    Fitted,
    Floats,
    Integers,
    Listen,
    Problems,
    Progress,
    Singles,
    in_raw_space,
)  # fmt: skip
from engine.probes.standardising import Own, Rows, own

TOLERANCE = 1e-6  # largest entry of the gradient at the solution
# An error of the gradient is one of the weights of up to 1/lambda as much: this much is left.
ERROR, LEAST = 1e-3, 1e-8
LEADING = 256  # directions of C that are found one by one
LOOSE = 0.2  # a first Newton step leaves this share of the gradient, later ones less
STEPS, PRODUCTS = 200, 400  # bounds for what does not converge: Newton steps, products in one
DESCENT = 1e-4  # least share of the predicted descent (Armijo)
HALVINGS = 30
ROUNDING = 1e-6  # of the loss: less than that, float32 cannot say that it rose
GROUP_BYTES = 512 << 20  # what a group of problems holds per row and output
FILLS = 12  # columns of a product that use a core well: so many are worth a matrix of their own


@dataclass
class Solved:
    """Where the problems are: point [problem, output, d + 1] in standardised space, and so on."""

    point: Any
    loss: Floats  # [problem]
    gradient_norm: Floats  # [problem]
    products: Integers  # [problem]


class Whitening:
    """(c C + lambda)^-1 for any c and lambda, C [d, d] the correlations of standardised rows."""

    def __init__(self, rows: Rows) -> None:
        d, trace = rows.d, 0.0
        rng = np.random.default_rng(0)
        rank = min(LEADING, d)
        start = rng.standard_normal((d, rank), dtype=np.float32)  # [d, direction]
        for _ in range(2 if rank < d else 1):
            basis = np.linalg.qr(start)[0]  # [d, direction]
            start, trace = np.zeros_like(start), 0.0
            for at in rows.slabs(rank):
                x = rows[at]  # [row, d]
                start += x.T @ (x @ basis)
                trace += float(np.einsum("rd,rd->", x, x))
        small = (basis.T @ start).astype(np.float64) / rows.n  # [direction, direction]
        size, turn = np.linalg.eigh((small + small.T) / 2)
        self.size = np.maximum(size, 0.0)  # [direction]
        self.basis = basis @ turn.astype(np.float32)  # [d, direction]
        self.rest = max(trace / rows.n - size.sum(), 0.0) / max(d - rank, 1)

    def solve(self, r: Singles, c: Floats, penalty: Floats) -> Singles:
        """r [problem, output, d + 1], c [problem, output], penalty [problem] -> like r."""
        weight = penalty[:, None]  # [problem, 1]
        rest = (1 / (c * self.rest + weight))[..., None].astype(np.float32)  # [p, o, 1]
        along = 1 / (c[..., None] * self.size + weight[..., None])  # [problem, output, direction]
        inner = r[..., :-1]  # [problem, output, d]
        seen = inner.reshape(-1, inner.shape[-1]) @ self.basis  # [problem * output, direction]
        seen = seen.reshape(along.shape) * (along.astype(np.float32) - rest)
        out = np.empty_like(r)  # [problem, output, d + 1]
        back = seen.reshape(-1, len(self.size)) @ self.basis.T  # [problem * output, d]
        out[..., :-1] = back.reshape(inner.shape) + rest * inner
        out[..., -1] = r[..., -1] / c
        return out


def dot(a: Singles, b: Singles) -> Floats:
    """[problem] of two arrays [problem, output, d + 1]."""
    return np.einsum("pod,pod->p", a, b).astype(np.float64)


def newton_direction(
    loss: LogisticLoss, whitening: Whitening, gradient: Floats, leave: Floats, products: Integers
) -> Generator[Progress, None, Floats]:
    """x with |H x + g| <= leave |g| (in the preconditioner's norm), [problem, output, d + 1].

    leave [problem]; products [problem] is counted up.
    """
    x = np.zeros(gradient.shape, np.float32)  # [problem, output, d + 1]
    live = np.arange(len(loss))  # [problem at work]
    size = np.abs(gradient).max(axis=(1, 2), keepdims=True)  # keeps float32 away from its least
    r = (-gradient / size).astype(np.float32)  # [problem, output, d + 1]
    scale = np.maximum(loss.spread, 1e-6)  # [problem, output]
    z = whitening.solve(r, scale, loss.penalty)
    p: Any = z  # [problem at work, output, d + 1]
    rz = dot(r, z)  # [problem at work]
    goal = np.square(leave) * rz  # [problem]
    part = loss
    for _ in range(PRODUCTS):
        bent = yield from part.curvature(p)
        products[live] += 1
        pace = (rz / np.maximum(dot(p, bent), 1e-30)).astype(np.float32)[:, None, None]
        x[live] += pace * p
        r = r - pace * bent
        z = whitening.solve(r, scale[live], part.penalty)
        before, rz = rz, dot(r, z)
        p = z + (rz / before).astype(np.float32)[:, None, None] * p
        stay = rz > goal[live]  # [problem at work]
        if not stay.all():
            live, part = live[stay], part.take(stay)
            r, p, rz = r[stay], p[stay], rz[stay]
        if not live.size:
            break
    return x.astype(np.float64) * size


def minimise(
    loss: LogisticLoss, whitening: Whitening, start: Floats, tolerance: Floats
) -> Generator[Progress, None, Solved]:
    """Newton steps from `start` [problem, output, d + 1] to a largest gradient entry [problem].

    Float32 first; products turn to float64 where no step descends any more.
    """
    n = len(loss)
    done = Solved(start.copy(), np.zeros(n), np.zeros(n), np.zeros(n, np.int64))
    live, meter = np.arange(n), loss.meter
    value, gradient = yield from loss.evaluate(done.point)
    done.products += 1
    for step in range(STEPS):
        size = np.abs(gradient).max(axis=(1, 2))  # [problem at work]
        done.loss[live], done.gradient_norm[live] = value, size
        stay = size > tolerance[live]
        if step == STEPS - 1:
            break
        meter.done += float(np.count_nonzero(~stay))
        live, loss = live[stay], loss.take(stay)
        value, gradient, size = value[stay], gradient[stay], size[stay]
        if not live.size:
            break
        leave = np.clip(np.sqrt(size), 0.3 * tolerance[live] / size, LOOSE)  # [problem at work]
        counted = np.zeros(len(live), np.int64)  # [problem at work]
        x = yield from newton_direction(loss, whitening, gradient, leave, counted)
        done.products[live] += counted
        slope = np.einsum("pod,pod->p", gradient, x)  # [problem at work]
        base, length = done.point[live], np.ones(len(live))
        for _ in range(HALVINGS):
            point = base + length[:, None, None] * x
            tried, bent = yield from loss.evaluate(point)
            done.products[live] += 1
            lower = tried <= value + DESCENT * length * slope
            flatter = np.abs(bent).max(axis=(1, 2)) < size
            fine = lower | (flatter & (tried <= value * (1 + ROUNDING)))
            if fine.all():
                break
            length[~fine] /= 2
        else:
            if loss.precise:
                break
            loss.precise = True
            value, gradient = yield from loss.evaluate(base)
            continue
        done.point[live], value, gradient = point, tried, bent
    return done


def fit_logistic(
    X: Singles, problems: Problems, meter: Meter, listen: Listen, tolerance: float = TOLERANCE
) -> Generator[Progress, None, Fitted]:
    """All problems; tasks that learn from the same rows read a matrix of these rows alone."""
    shape = (len(problems), problems.outputs)
    point = np.zeros((*shape, X.shape[1] + 1), np.float32)  # [problem, output, d + 1]
    loss, size = np.zeros(shape[0]), np.zeros(shape[0])  # [problem] each
    products = np.zeros(shape[0], np.int64)  # [problem]
    mean, scale = np.zeros((2, len(problems.labels), X.shape[1]))  # [task, d] each
    everything = Rows(X, problems.learning_rows(), listen)
    whitening = Whitening(everything)
    for tasks in bundles(problems):
        part = problems.of_tasks(tasks)
        rows = everything
        if len(tasks) < len(problems.labels):
            rows = Rows(X, part.learning_rows(), listen)
        own_rows = own(rows, rows.of(part.train))
        at = np.flatnonzero(np.isin(problems.task, tasks))  # [problem]
        found = yield from solve(rows, part, own_rows, whitening, meter, tolerance)
        # The preconditioner mixes units; one that never moved in training says nothing elsewhere.
        found.point[..., :-1] *= (own_rows.stretch[part.task] > 0)[:, None]
        point[at], loss[at] = found.point, found.loss
        size[at], products[at] = found.gradient_norm, found.products
        mean[tasks], scale[tasks] = own_rows.mean, own_rows.scale
    if problems.outputs > 1:  # the loss knows biases but for a common number
        present = problems.counts[problems.task] > 0  # [problem, class]
        common = np.where(present, point[..., -1], 0).sum(axis=1) / present.sum(axis=1)
        point[..., -1] -= common[:, None]
    return in_raw_space(
        "logistic", problems, point[..., :-1], point[..., -1], mean, scale,
        loss=loss, gradient_norm=size, iterations=products,
    )  # fmt: skip


def solve(
    rows: Rows, problems: Problems, own_rows: Own, whitening: Whitening, meter: Meter,
    tolerance: float,
) -> Generator[Progress, None, Solved]:  # fmt: skip
    """All problems on these rows, by falling lambda, in groups that fit into memory."""
    n, shape = len(problems), (len(problems), problems.outputs, rows.d + 1)
    out = Solved(np.zeros(shape, np.float32), np.zeros(n), np.zeros(n), np.zeros(n, np.int64))
    most = max(1, GROUP_BYTES // (16 * rows.n * problems.outputs))
    previous = np.full(len(problems.labels), -1)  # [task] its problem of the last larger lambda
    for rank in ranks(problems):
        for begin in range(0, len(rank), most):
            at = rank[begin : begin + most]  # [problem of the group]
            before = previous[problems.task[at]]  # [problem of the group]
            start = out.point[before].astype(np.float64)  # [problem of the group, output, d + 1]
            start[before < 0] = 0.0
            loss = LogisticLoss(rows, problems, at, own_rows, meter)
            loose = tolerance / TOLERANCE
            largest = np.clip(  # [problem]
                loose * ERROR * problems.penalty[at], loose * LEAST, tolerance
            )
            found = yield from minimise(loss, whitening, start, largest)
            out.point[at], out.loss[at] = found.point, found.loss
            out.gradient_norm[at], out.products[at] = found.gradient_norm, found.products
            previous[problems.task[at]] = at
    return out


def bundles(problems: Problems) -> list[Integers]:
    """Tasks that are solved on one matrix: those of one split if they fill it, else all."""
    together = problems.splits()
    if min(len(tasks) for tasks in together) * problems.outputs >= FILLS:
        return together
    return [np.arange(len(problems.labels))]


def ranks(problems: Problems) -> list[Integers]:
    """Problem indices by falling lambda within their task: first all largest, and so on."""
    order = np.lexsort((-problems.penalty, problems.task))  # [problem]
    task = problems.task[order]  # [problem]
    rank = np.arange(len(order)) - np.searchsorted(task, task)  # [problem]
    return [np.sort(order[rank == r]) for r in range(int(rank.max(initial=-1)) + 1)]

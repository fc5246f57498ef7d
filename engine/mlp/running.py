"""Running: networks in training, and what is measured of them at every record.

Rows of a probe: the network's own training points, a fifth of them kept for choosing lambda, and
the points that neither the network nor the probe has learned from. The control task of Hewitt and
Liang 2019 (arXiv:1909.03368) needs word types: here a type is a cell of a 16 x 16 grid, and every
cell has a random class with the frequency that class 1 has in train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engine.errors import RunError
from engine.mlp import tasks
from engine.mlp.config import MLPConfig
from engine.mlp.model import Array
from engine.mlp.probing import Labels, probe
from engine.mlp.training import PROBE, Trainer
from engine.technique import Update

CURVES = ("linear probe", "control task", "random weights", "shuffled labels")
TASK, CONTROL, RANDOM, SHUFFLED = range(4)
ASKED = [TASK, CONTROL, SHUFFLED]  # the problems of one network; random weights are another network
VALIDATION = 0.2  # of the training points: they choose lambda
SHOWN = 400  # points in the result
FINE, COARSE = 96, 32  # cells on a side of the decision map, and of a unit's map
UPDATE = 0.015  # seconds of work between two updates: a window asks 30 times a second
PER_STEP, PER_NUMBER, PER_PRODUCT = 8e-5, 2.5e-9, 4e-11  # seconds; sizes decide, never a clock
PER_RECORD = 4  # passes over a point that its measurement is worth
NEWTON = 40  # and where the probes are logistic


class Running:
    """The trainer of a spec, the probes of its last record, and the history of instance 0."""

    def __init__(
        self, spec: Any, result: type, listen: Callable[[], None] | None, slow: bool
    ) -> None:
        """slow: probes take so long that only instance 0 is probed before the end."""
        self.result, self.slow = result, slow
        self.listen = listen or (lambda: None)
        self.config = MLPConfig((2, *(spec.width,) * spec.depth, 1), spec.act_fn, spec.task)
        self.seeds = tuple(range(spec.seed, spec.seed + spec.instances))
        self.trainer = Trainer(
            self.config, self.seeds, spec.n_train, spec.n_test, spec.batch, spec.lr, spec.n_steps,
            spec.schedule, listen=self.listen,
        )  # fmt: skip
        self.split = spec.n_train - max(1, round(VALIDATION * spec.n_train))
        self.labels = []
        for index in range(spec.instances):
            self.listen()
            self.labels.append(self._asked(index))
        n_sites = spec.depth + 1
        self.accuracies = np.full((len(CURVES), spec.instances, n_sites), np.nan)
        self.loss = np.full(spec.instances, np.nan)  # [instance]
        self.accuracy = np.full(spec.instances, np.nan)  # [instance]
        self.history: list[tuple[int, float, float, float, Array]] = []
        self.due = 0
        self.record(spec)

    @property
    def step(self) -> int:
        return self.trainer.step

    def change(self, spec: Any) -> None:
        """Go on as `spec` says."""
        self.trainer.change(spec.lr, spec.n_steps)
        if self.slow and self.step < spec.n_steps:  # of an end that is none any more
            self.accuracies[ASKED, 1:] = np.nan
        if self.history[-1][0] < self.step:
            self.record(spec)

    def advance(self, spec: Any) -> None:
        """Train until the next update; RunError where the weights are no numbers any more."""
        trainer, spent = self.trainer, 0.0
        end = min(self.step + spec.pace if spec.pace else spec.n_steps, spec.n_steps)
        per_step, per_record = self._costs(spec)
        while self.step < end and (spec.pace or spent < UPDATE):
            n = min(self.due, end) - self.step
            if not spec.pace:
                n = min(n, max(1, int((UPDATE - spent) / per_step)))
            n = min(n, max(1, int(UPDATE / per_step)))  # and Stop is heard in between
            trainer.advance(n)
            spent += n * per_step
            self.listen()
            if not trainer.finite:
                raise RunError(f"loss is NaN at step {self.step}; lower lr, now {spec.lr:g}")
            if self.step in (self.due, spec.n_steps):
                self.record(spec)
                spent += per_record

    def _costs(self, spec: Any) -> tuple[float, float]:
        """Seconds that a step and a record take, about."""
        numbers = spec.instances * spec.width * spec.depth
        per_point = numbers * (PER_NUMBER + PER_PRODUCT * 6 * spec.width)
        per_record = (NEWTON if self.slow else PER_RECORD) * (spec.n_train + spec.n_test)
        return PER_STEP + per_point * self.trainer.batch, per_record * per_point

    # --- measuring ------------------------------------------------------------------------------

    def record(self, spec: Any) -> None:
        """Measure every network as it is now, and note instance 0 in the history."""
        for index in range(len(self.seeds)):
            self._measure(spec, index)
        n = len(self.history)
        history = self.accuracies[:, 0].copy()  # [curve, site]
        rate = self.trainer.rate()
        self.history.append((self.step, self.loss[0], self.accuracy[0], rate, history))
        every = max(1, spec.n_steps // max(1, spec.record - 1))
        self.due = every if n == 0 else self.step - self.step % every + every

    def _measure(self, spec: Any, index: int) -> None:
        """Loss and accuracy on held-out points; the probes of every site."""
        x, y = self.trainer.train[0][index], self.trainer.test[0][index]  # [3, point]
        test = self.trainer.hidden(index, y, self.listen)
        truth = self.trainer.test[1][index] > 0.5  # [point]
        logit = test[-1][0].astype(np.float64)  # [point]
        self.accuracy[index] = ((logit > 0) == truth).mean()
        self.loss[index] = np.logaddexp(0, np.where(truth, -logit, logit)).mean()
        if self.slow and index and self.step < spec.n_steps:
            return
        train = self.trainer.hidden(index, x, self.listen)
        for site, found in enumerate(self._probed(spec, index, train, test)):
            self.accuracies[ASKED, index, site] = found.accuracy
            if index == 0:
                self._keep_probe(site, found, test[site][:, :SHOWN])
        if np.isnan(self.accuracies[RANDOM, index]).any():  # the network before its training
            untrained = self.trainer.start
            train = self.trainer.hidden(index, x, self.listen, untrained)
            test = self.trainer.hidden(index, y, self.listen, untrained)
            for site, found in enumerate(self._probed(spec, index, train, test, slice(1))):
                self.accuracies[RANDOM, index, site] = found.accuracy[0]

    def _probed(
        self, spec: Any, index: int, train: list[Array], test: list[Array],
        problems: slice = slice(None),
    ) -> Iterator[Any]:  # fmt: skip
        """The probes of each site but the output; train and test [unit, point] site by site."""
        asked, split = self.labels[index], self.split
        labels = asked[0][problems], asked[1][problems], asked[2][problems]
        for own, held in zip(train[:-1], test[:-1], strict=True):
            self.listen()
            yield probe(spec.probe, (own[:, :split], own[:, split:], held), labels, self.listen)

    def _keep_probe(self, site: int, found: Any, shown: Array) -> None:
        if site == 0:
            n_sites, widest = self.config.n_layers + 1, max(self.config.widths)
            self.weights = np.full((n_sites, widest), np.nan)  # [site, unit]
            self.bias, self.penalty = np.full((2, n_sites), np.nan)  # [site] each
            self.score = np.full((n_sites, shown.shape[1]), np.nan)  # [site, point]
        self.weights[site, : len(shown)] = found.weights[0]
        self.bias[site], self.penalty[site] = found.bias[0], found.penalty[0]
        self.score[site] = found.weights[0] @ shown + found.bias[0]

    def _asked(self, index: int) -> Labels:
        """Classes of the three problems on the three parts: [problem, row] each."""
        trainer, rng = self.trainer, np.random.default_rng((self.seeds[index], PROBE))
        (x, y), (x_test, y_test) = (
            (points[index], labels[index]) for points, labels in (trainer.train, trainer.test)
        )
        share = y[: self.split].mean()  # of class 1
        control = rng.random(tasks.CELLS**2) < share  # [cell]
        split = slice(self.split), slice(self.split, None)
        parts = [(x[:2, at], y[at]) for at in split] + [(x_test[:2], y_test)]
        train, validation, test = (
            np.stack([labels > 0.5, control[tasks.cells(own.T)], rng.permutation(labels) > 0.5])
            for own, labels in parts
        )
        return train, validation, test

    # --- giving ---------------------------------------------------------------------------------

    def update(self, spec: Any) -> Update:
        """The networks as they are now, copied: the trainer goes on in place."""
        theta, step = self.trainer.theta.copy(), self.step
        fresh = {
            "loss": self.loss.copy(), "accuracy": self.accuracy.copy(),
            "accuracies": self.accuracies.copy(), "probe_weights": self.weights.copy(),
            "probe_bias": self.bias.copy(), "probe_lambda": self.penalty.copy(),
            "probe_score": self.score.copy(),
        }  # fmt: skip
        history = tuple(self.history)

        def snapshot() -> Any:
            return self._result(spec, step, theta, history, fresh)

        metrics = {"loss": float(self.loss[0]), "accuracy": float(self.accuracy[0])}
        return Update(step, spec.n_steps, snapshot, metrics)

    def _result(self, spec: Any, step: int, theta: Array, history: Any, fresh: Any) -> Any:
        x, y = (part[0] for part in self.trainer.test)  # of instance 0
        points = np.ascontiguousarray(x[:2, :SHOWN].T)  # [point, xy]
        shown = _sites(self.trainer, theta, points)
        fine = _sites(self.trainer, theta, tasks.grid(FINE))[-1][0]  # [row * col]
        coarse = _sites(self.trainer, theta, tasks.grid(COARSE))[1:-1]
        steps, losses, accuracies, rates, probes = zip(*history, strict=True)
        train, test = (part[1] for part in (self.trainer.train, self.trainer.test))
        larger = train.mean(axis=1, keepdims=True) > 0.5  # [instance, 1]
        return self.result(
            step=step, task=spec.task, act_fn=spec.act_fn, probe=spec.probe,
            widths=np.array(self.config.widths), weights=theta.copy(),
            network=np.array(self.seeds),
            majority=((test > 0.5) == larger).mean(axis=1),
            boundary=_probability(fine).reshape(FINE, FINE),
            points=points, labels=y[:SHOWN].astype(np.int64), decision=_probability(shown[-1][0]),
            hidden=np.stack([own.T for own in shown[1:-1]]),
            unit_map=np.stack(coarse).reshape(len(coarse), -1, COARSE, COARSE),
            history_step=np.array(steps), history_loss=np.array(losses),
            history_accuracy=np.array(accuracies), history_lr=np.array(rates),
            curve_names=CURVES,
            site_labels=("input", *(f"layer {i + 1}" for i in range(spec.depth))),
            probe_history=np.stack(probes, axis=1),
            **{name: value.copy() for name, value in fresh.items()},
        )  # fmt: skip


def _sites(trainer: Trainer, theta: Array, points: Array) -> list[Array]:
    """[inputs, point] at every site of instance 0 with weights theta, for points [point, xy]."""
    rows = np.ones((3, len(points)), theta.dtype)  # [xy and one, point]
    rows[:2] = points.T
    return trainer.hidden(0, rows, theta=theta)


def _probability(logit: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * logit))  # [point]

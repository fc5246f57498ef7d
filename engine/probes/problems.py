"""Many probes of one matrix: what they are asked, how far they are, what came out.

A *task* is a labelling of the rows and the rows it may learn from; a *problem* is a task at one
strength of the penalty. All problems of one `Problems` read the same activations X [row, d], so
that one matrix product serves them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.errors import RunError

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
Integers = npt.NDArray[np.integer]
Booleans = npt.NDArray[np.bool_]
Listen = Callable[[], None]

Kind = Literal["logistic", "ridge", "mass_mean", "mass_mean_corrected", "hidden", "sparse"]
KINDS: tuple[Kind, ...] = (
    *("logistic", "ridge", "mass_mean", "mass_mean_corrected"),
    *("hidden", "sparse"),
)
SHOWN = 5  # problems or classes that an error names before it counts the rest


def nobody() -> None:
    """Listens to nobody: a fit outside a run."""


@dataclass(frozen=True)
class Problems:
    """What is asked of X [row, d].

    labels [task, row]: the class of each row, 0..n_classes-1, or -1 where the row has none.
    train [task, row]: the rows that the task learns from (those with label -1 are left out).
    n_classes: 2 = one weight vector for class 1 against class 0; more = one per class.
    task [problem], penalty [problem] > 0: problem i is task task[i] at lambda penalty[i].
    Raises RunError where a task has fewer than two classes among its training rows.
    """

    labels: Integers
    train: Booleans
    n_classes: int
    task: Integers
    penalty: Floats
    counts: Integers = field(init=False)  # [task, class] training rows of each class

    def __post_init__(self) -> None:
        labels, train = np.asarray(self.labels), np.asarray(self.train, bool)  # [task, row]
        if labels.ndim != 2 or labels.shape != train.shape:
            raise ValueError(f"labels {labels.shape} and train {train.shape} are not [task, row]")
        if self.n_classes < 2:
            raise RunError(f"{self.n_classes} class: a probe needs two classes to tell apart")
        if labels.size and labels.max() >= self.n_classes:
            raise ValueError(f"label {labels.max()} is not below n_classes {self.n_classes}")
        task = np.asarray(self.task, np.int64)  # [problem]
        penalty = np.asarray(self.penalty, np.float64)  # [problem]
        if task.shape != penalty.shape or task.ndim != 1:
            raise ValueError(f"task {task.shape} and penalty {penalty.shape} are not [problem]")
        if not (np.isfinite(penalty).all() and (penalty > 0).all()):
            raise RunError(f"lambda {penalty.min():g}: every penalty of a probe is above 0")
        train = train & (labels >= 0)  # [task, row]
        counts = np.zeros((len(labels), self.n_classes), np.int64)  # [task, class]
        for count, one, own in zip(counts, labels, train, strict=True):
            count += np.bincount(one[own], minlength=self.n_classes)
        lonely = np.flatnonzero((counts > 0).sum(axis=1) < 2)  # [task]
        if lonely.size:
            rows = int(counts[lonely[0]].sum())
            raise RunError(
                f"task {lonely[0]}: its {rows:,} training rows hold fewer than two classes; "
                "read more examples or take another column"
            )
        for name, value in (("labels", labels), ("train", train), ("task", task)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "penalty", penalty)
        object.__setattr__(self, "counts", counts)

    @classmethod
    def crossed(
        cls, labels: Integers, train: Booleans, n_classes: int, lambdas: npt.ArrayLike
    ) -> Problems:
        """Every task at every lambda: problem = task * len(lambdas) + lambda.

        labels, train [task, row], lambdas [lambda].
        """
        grid = np.asarray(lambdas, np.float64)  # [lambda]
        task = np.repeat(np.arange(len(labels)), len(grid))  # [problem]
        return cls(labels, train, n_classes, task, np.tile(grid, len(labels)))

    def of_tasks(self, tasks: Integers) -> Problems:
        """The problems of these tasks (ascending), in their order, as problems of their own."""
        at = np.isin(self.task, tasks)  # [problem]
        task = np.searchsorted(tasks, self.task[at])  # [problem]
        return Problems(
            self.labels[tasks], self.train[tasks], self.n_classes, task, self.penalty[at]
        )

    def splits(self) -> list[Integers]:
        """The tasks that learn from the same rows, together: arrays of tasks [task]."""
        known: dict[bytes, list[int]] = {}
        for task, train in enumerate(self.train):
            known.setdefault(np.packbits(train).tobytes(), []).append(task)
        return [np.array(tasks) for tasks in known.values()]

    def learning_rows(self) -> Integers | None:
        """Rows that some task learns from; None = all."""
        used = self.train.any(axis=0)  # [row]
        return None if used.all() else np.flatnonzero(used)

    @property
    def outputs(self) -> int:
        """Weight vectors of one problem: 1 for two classes, else one per class."""
        return 1 if self.n_classes == 2 else self.n_classes

    def __len__(self) -> int:
        return len(self.task)


@dataclass(frozen=True)
class Progress:
    """How much of the work of a fit is done, 0 to 1, in words that a message line can show."""

    share: float
    note: str


@dataclass(frozen=True)
class Inner:
    """The hidden layer of the one-hidden-layer probes: relu(W x + b) in raw activation space."""

    weights: Singles  # [problem, unit, d]
    bias: Floats  # [problem, unit]


@dataclass(frozen=True)
class Fitted:
    """Probes in raw activation space: score = weights . x + bias.

    For two classes there is one output, the score of class 1 (0 is the border; a logit for the
    logistic kinds); for more, one per class and the largest wins. A class that a task has not seen
    in training has weights 0 and bias -inf. With `inner`, `weights` read its hidden units.
    """

    kind: Kind
    weights: Singles  # [problem, output, d] (or unit)
    bias: Floats  # [problem, output]
    mean: Floats  # [problem, d] of the training rows; 0 where the kind does not standardise
    scale: Floats  # [problem, d] their standard deviation; 1 for a constant column
    loss: Floats  # [problem] mean loss plus penalty at the solution; NaN where there is none
    gradient_norm: Floats  # [problem] largest entry of the gradient, standardised; NaN likewise
    iterations: Integers  # [problem] products with X (pairs) that the problem needed
    inner: Inner | None = None
    units: Integers | None = None  # [problem, k]: what a sparse probe reads, best first

    def standardised(self) -> Floats:
        """[problem, output, d]: the weights of standardised activations, for comparing units."""
        return self.weights * self.scale[:, None, :]

    def take(self, problems: npt.ArrayLike) -> Fitted:
        """The probes at these indices (for example the chosen lambda of each task)."""
        at = np.asarray(problems)
        inner = self.inner and Inner(self.inner.weights[at], self.inner.bias[at])
        arrays = ("weights", "bias", "mean", "scale", "loss", "gradient_norm", "iterations")
        taken = {name: getattr(self, name)[at] for name in arrays}
        units = None if self.units is None else self.units[at]
        return replace(self, inner=inner, units=units, **taken)


def in_raw_space(
    kind: Kind, problems: Problems, weights: npt.NDArray[Any], bias: npt.NDArray[Any],
    mean: Floats, scale: Floats, **measured: npt.NDArray[Any],
) -> Fitted:  # fmt: skip
    """Probes of standardised activations as probes of the activations themselves.

    weights [problem, output, d], bias [problem, output]; mean, scale [task, d]. The bias is made
    for the weights as float32 holds them: their rounding times a large mean would be felt.
    """
    mean, scale = mean[problems.task], scale[problems.task]  # [problem, d] each
    raw = (weights / scale[:, None]).astype(np.float32)  # [problem, output, d]
    level = bias - np.einsum("pod,pd->po", raw, mean)  # [problem, output]
    if problems.outputs > 1:
        level[problems.counts[problems.task] == 0] = -np.inf
    nothing = np.full(len(problems), np.nan)  # [problem]
    values = {"loss": nothing, "gradient_norm": nothing,
              "iterations": np.zeros(len(problems), np.int64)} | measured  # fmt: skip
    return Fitted(kind, raw, level, mean, scale, **values)  # pyright: ignore[reportArgumentType]

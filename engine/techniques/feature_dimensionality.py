"""FeatureDimensionality: how much of a dimension does a feature get, as features become rarer?

n features of equal importance in m dimensions, x' = ReLU(W^T W x + b), trained once per density
p = 1 - S. The x-axis is 1/(1 - S), the expected number of features per active one.

    D* = m / |W|_F^2                             dimensions per feature that is represented
    D_i = |W_i|^2 / sum_j (W^_i . W_j)^2         the share of a dimension that feature i has

Features settle on lines, because they arrange themselves in small regular solids, each in a
subspace of its own: two opposite ones have 1/2 each, three at 120 degrees 2/3.
Elhage et al. 2022, "The geometry of superposition" (transformer-circuits.pub/2022/toy_model),
with 100 densities, batch 4,096 and 50,000 steps; settings here need seconds.

What would fool you: a line in the picture is not evidence that anything sits on it: with these
settings the tetrahedron's 3/4 has not been seen at all, while 1/4, which has no line in the paper,
has. Near p = 1 D* is 1 although no single feature is represented: with equal importances any
rotated basis is as good, lengths are spread over all features, and a count of those with
norm^2 > 1/2 says 0. D_i of a feature that is not represented is small but not 0, and without
meaning. One run per density: neighbours on the axis are different random seeds.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.technique import RunError, SpecError, Technique, Update, array, param
from engine.toy import geometry, theory
from engine.toy.training import Trainer

Floats = npt.NDArray[np.floating]

LINES = (
    (1.0, "dedicated"), (3 / 4, "tetrahedron"), (2 / 3, "triangle"), (1 / 2, "antipodal pair"),
    (2 / 5, "pentagon"), (3 / 8, "square antiprism"), (1 / 4, "not in the paper"),
    (0.0, "not represented"),
)  # fmt: skip
"""D and the shape that gives it, from the top; all but 1/4 are the paper's."""
WITHIN = 0.025  # a feature this near to a line, and nearer than to any other, is on it
REPRESENTED = 0.5  # of norm^2
PER_UPDATE = 2_000_000  # numbers through the model per update, about 30 ms


@dataclass(frozen=True)
class FeatureDimensionalityResult:
    """One row per density, densest first. Rows not begun hold NaN, the last may be halfway."""

    density: Floats = array("density", "probability p = 1 - S that a feature is active")
    inverse: Floats = array("density", "1/(1 - S), the x-axis")
    D_star: Floats = array("density", "m / |W|_F^2, dimensions per feature")
    D: Floats = array("density feature", "dimensionality of each feature, 0 to 1")
    norm: Floats = array("density feature", "length of each feature")
    represented: npt.NDArray[np.bool_] = array("density feature", "whether norm^2 > 1/2")
    loss: Floats = array("density", "running training loss; mean over features")
    zero_loss: Floats = array("density", "loss of a model whose output is always zero")
    trained_steps: npt.NDArray[np.integer] = array("density", "training steps made so far")
    line: Floats = array("line", "reference lines for D, from the top")
    line_name: tuple[str, ...] = array("line", "the shape that gives each")
    on_line: Floats = array(
        "density line", "share of the represented features within 0.025 of each line, for 0 of all "
        "features; NaN where there are none",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FeatureDimensionality(Technique):
    """Train one model per density and measure how much of a dimension each feature has."""

    Result: ClassVar[type] = FeatureDimensionalityResult
    title: ClassVar[str] = "Feature dimensionality"
    summary: ClassVar[str] = "How much of a dimension each feature gets, as features become rarer"
    quick: ClassVar[Mapping[str, Any]] = {
        "n_features": 12,
        "d_hidden": 3,
        "count": 2,
        "n_steps": 20,
    }
    needs: ClassVar[tuple[str, ...]] = ()
    takes_interventions: ClassVar[bool] = False
    blas: ClassVar[Any] = "one"

    n_features: int = param(400, "features n", low=2, high=1000)
    d_hidden: int = param(30, "dimensions m", low=1, high=200)
    lowest: float = param(1.2, "1/(1 - S) of the densest model; 1 is always active",
                          low=1.0, high=1000.0)  # fmt: skip
    highest: float = param(12.0, "1/(1 - S) of the sparsest model", low=1.0, high=1000.0)
    count: int = param(7, "densities, evenly spaced in the logarithm", low=1, high=100)
    points: tuple[float, ...] = param((), "values of 1/(1 - S) instead of these three",
                                      low=1.0, high=1000.0, advanced=True)  # fmt: skip
    n_steps: int = param(2200, "training steps of each model", low=1, high=100_000)
    batch: int = param(256, "examples per step", low=1, high=1024, advanced=True)
    lr: float = param(0.01, "learning rate of Adam, falling linearly to 0", low=1e-6, high=10.0,
                      advanced=True)  # fmt: skip
    seed: int = param(0, "of the initial weights and the examples", low=0, role="seed")

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        curve = _Curve(self)
        count = max(1, PER_UPDATE // (self.n_features * self.batch))
        total, done = len(curve.inverse) * self.n_steps, 0
        for row, value in enumerate(curve.inverse):
            trainer = curve.trainer(row)
            while left := self.n_steps - trainer.step:
                trainer.advance(min(left, count))
                curve.keep(row, trainer)
                done += min(left, count)
                note = f"1/(1 - S) = {value:.3g}, {row + 1} of {len(curve.inverse)}"
                loss = {"loss": float(curve.loss[row])}
                yield Update(done, total, curve.result, loss, note)


def small_figure(seed: int = 0) -> FeatureDimensionality:
    """The smaller figure, n=120, m=12 at 14 densities: the plateaus in half a minute."""
    points = (1.05, 1.2, 1.5, 1.8, 2.2, 2.7, 3.3, 4.0, 5.0, 6.5, 8.0, 10.0, 15.0, 25.0)
    return FeatureDimensionality(
        n_features=120, d_hidden=12, points=points, n_steps=3500, seed=seed
    )


def on_lines(D: Floats, represented: npt.NDArray[np.bool_]) -> Floats:
    """Share of features on each of LINES. D and represented [density, feature] -> [density, line].

    Of the represented features, for the line 0 of all; each belongs to the nearest line only.
    """
    lines = np.array([value for value, _ in LINES])  # [line]
    distance = np.abs(D[..., None] - lines)  # [density, feature, line]
    nearest = distance == distance.min(-1, keepdims=True)
    on = nearest & (distance <= WITHIN)  # [density, feature, line]
    counted = np.where(lines == 0.0, True, represented[..., None])  # [density, feature, line]
    known = np.isfinite(D)[..., None] & counted
    number = known.sum(1)  # [density, line]
    return np.where(number > 0, (on & known).sum(1) / np.maximum(number, 1), np.nan)


class _Curve:
    """The densities of one run as they are trained."""

    def __init__(self, spec: FeatureDimensionality) -> None:
        if spec.d_hidden >= spec.n_features:
            raise SpecError("d_hidden", f"{spec.d_hidden} is not below the {spec.n_features} "
                            "features, which then need no superposition")  # fmt: skip
        if spec.lowest > spec.highest and not spec.points:
            raise SpecError("lowest", f"{spec.lowest:g} is above highest, {spec.highest:g}")
        self.spec = spec
        spaced = np.geomspace(spec.lowest, spec.highest, spec.count)
        self.inverse = np.array(sorted(spec.points)) if spec.points else spaced  # [density]
        rows, n = len(self.inverse), spec.n_features
        self.W: dict[int, Floats] = {}  # of rows begun: [d_hidden, feature]
        self.loss = np.full(rows, np.nan)  # [density]
        self.made = np.zeros(rows, np.int64)  # [density]
        self.D = np.full((rows, n), np.nan)  # [density, feature]
        self.norm = np.full((rows, n), np.nan)  # [density, feature]

    def trainer(self, row: int) -> Trainer:
        spec = self.spec
        seed = np.random.SeedSequence((spec.seed, row)).generate_state(1)[0]
        return Trainer(
            n_features=spec.n_features, d_hidden=spec.d_hidden, density=1 / self.inverse[[row]],
            importance=np.ones(spec.n_features), batch=spec.batch, lr=spec.lr, steps=spec.n_steps,
            seed=int(seed),
        )  # fmt: skip

    def keep(self, row: int, trainer: Trainer) -> None:
        """Take over a state that is good; what is measured of it waits until somebody asks."""
        if not trainer.finite:
            raise RunError(
                f"lr: {self.spec.lr:g} led to numbers that are not finite by step {trainer.step} "
                f"at 1/(1 - S) = {self.inverse[row]:.3g}: choose a smaller one"
            )
        self.W[row] = trainer.W[0].copy()  # [d_hidden, feature]
        self.loss[row], self.made[row] = trainer.loss()[0], trainer.step

    def result(self) -> FeatureDimensionalityResult:
        for row, W in self.W.items():
            self.D[row] = geometry.dimensionality(W[None])[0]
            self.norm[row] = geometry.norms(W[None])[0]
        self.W = {}
        represented = np.nan_to_num(self.norm) ** 2 > REPRESENTED  # [density, feature]
        size = (self.norm**2).sum(-1)  # [density]
        return FeatureDimensionalityResult(
            density=1 / self.inverse,
            inverse=self.inverse.copy(),
            D_star=self.spec.d_hidden / np.where(size > 0, size, np.nan),
            D=self.D.copy(),
            norm=self.norm.copy(),
            represented=represented,
            loss=self.loss.copy(),
            zero_loss=theory.zero_loss(1 / self.inverse, np.ones(self.spec.n_features)),
            trained_steps=self.made.copy(),
            line=np.array([value for value, _ in LINES]),
            line_name=tuple(name for _, name in LINES),
            on_line=on_lines(self.D, represented),
        )

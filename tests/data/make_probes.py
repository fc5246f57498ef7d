"""Makes tests/data/probes.npz: logistic probes by scikit-learn on small and awkward activations.

Run from the top of the repository by an interpreter that has the peer:

    pip install scikit-learn==1.9.1
    python tests/data/make_probes.py

Cases: two classes, four classes, separable classes, more units than rows, near-collinear columns, a
constant column (a dead unit), two examples of one class, units far from 0. `<case>/X` [row, d]
float32, `<case>/y` [row]; `lambdas` [lambda]; `<case>/<tolerance>/coef` [lambda, output, d], `bias`
[lambda, output] and `loss` [lambda]: LogisticRegression (lbfgs) on X standardised in float64,
C = 1 / (lambda n), to a largest gradient entry of that tolerance; loss = mean log loss + lambda/2
|w|^2. `made_by` names the versions.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent
LAMBDAS = (1.0, 1e-2, 1e-4)
TOLERANCES = (1e-6, 1e-10)
Case = tuple[np.ndarray, np.ndarray]


def drawn(rng: np.random.Generator, n: int, d: int, classes: int, noise: float) -> Case:
    """Gaussian units and labels that depend on them linearly, up to Gumbel noise."""
    X = rng.standard_normal((n, d)) * (1 + np.arange(d)) ** -0.5
    z = (X / X.std(axis=0)) @ rng.standard_normal((d, classes))
    return X, (z + noise * rng.gumbel(size=z.shape)).argmax(axis=1)


def cases() -> dict[str, Case]:
    rng = np.random.default_rng(7)
    out = {
        "two classes": drawn(rng, 120, 10, 2, 3.0),
        "four classes": drawn(rng, 120, 8, 4, 3.0),
        "separable": drawn(rng, 80, 8, 2, 0.0),
        "wide": drawn(rng, 30, 40, 2, 1.0),
    }
    X, y = drawn(rng, 100, 6, 2, 3.0)
    out["near-collinear"] = np.hstack([X, X[:, :3] + 1e-3 * rng.standard_normal((100, 3))]), y
    X, y = drawn(rng, 100, 6, 3, 3.0)
    X[:, 2] = 3.7
    out["dead unit"] = X, y
    X, y = drawn(rng, 100, 6, 2, 3.0)
    y[:] = 0
    y[[17, 60]] = 1
    out["two examples"] = X, y
    X, y = drawn(rng, 100, 6, 2, 3.0)
    out["far from 0"] = X * 40 + np.array([3000.0, 0, 0, -800, 0, 0]), y
    return {name: (X.astype(np.float32), y) for name, (X, y) in out.items()}


def fitted(x: np.ndarray, y: np.ndarray, penalty: float, tolerance: float) -> LogisticRegression:
    C = 1 / (penalty * len(y))
    return LogisticRegression(C=C, tol=tolerance, max_iter=100_000).fit(x, y)


def loss_of(model: LogisticRegression, x: np.ndarray, y: np.ndarray, penalty: float) -> float:
    z = x @ model.coef_.T + model.intercept_  # [row, output]
    if z.shape[1] == 1:
        z = np.hstack([np.zeros_like(z), z])
    log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    return -log_p[np.arange(len(y)), y].mean() + penalty / 2 * np.square(model.coef_).sum()


def main() -> None:
    found: dict[str, np.ndarray] = {"lambdas": np.array(LAMBDAS)}
    for name, (X, y) in cases().items():
        x = X.astype(np.float64)
        spread = x.std(axis=0)
        spread[np.ptp(x, axis=0) == 0] = 1
        x = (x - x.mean(axis=0)) / spread
        found |= {f"{name}/X": X, f"{name}/y": y.astype(np.int8)}
        for tolerance in TOLERANCES:
            models = [fitted(x, y, penalty, tolerance) for penalty in LAMBDAS]
            pairs = zip(models, LAMBDAS, strict=True)
            losses = [loss_of(one, x, y, penalty) for one, penalty in pairs]
            found |= {
                f"{name}/{tolerance:g}/coef": np.stack([one.coef_ for one in models]),
                f"{name}/{tolerance:g}/bias": np.stack([one.intercept_ for one in models]),
                f"{name}/{tolerance:g}/loss": np.array(losses),
            }
        apart = [found[f"{name}/{tolerance:g}/coef"] for tolerance in TOLERANCES]
        print(f"{name}: coefficients differ by {np.abs(apart[0] - apart[1]).max():.1e}")
    packages = ("scikit-learn", "scipy", "numpy")
    found["made_by"] = np.array([f"{name} {version(name)}" for name in packages])
    np.savez_compressed(HERE / "probes.npz", **found)
    print(f"{(HERE / 'probes.npz').stat().st_size} bytes, {len(found)} arrays")


if __name__ == "__main__":
    main()

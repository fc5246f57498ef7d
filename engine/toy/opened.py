"""A model that something else trained, as a result of ToyModel: one state, no history before it.

So a cell of a phase diagram opens in the wheel. What would fool you: the spec beside it trains a
model of the same kind, from its own seed, and may end in another optimum; only the weights here are
those of the cell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from engine.toy import geometry
from engine.toy.recording import Recording


def opened(spec: Any, W: Any, b: Any, loss: float) -> Any:
    """The result of a ToyModel `spec` that stands, after all its steps, at these tied weights.

    W [d_hidden, feature], b [feature], loss of these weights; `spec.importances` is given.
    """
    begun = next(spec.steps(None)).snapshot()  # what does not depend on the weights
    W, b = W[None].copy(), b[None].copy()  # [1, d_hidden, feature], [1, feature]
    history = Recording(2, spec.n_steps, spec.n_features, spec.d_hidden)
    history.keep(
        spec.n_steps, W[0], b[0], None, False, loss=loss, density=spec.density, decay=np.nan
    )
    return replace(
        begun, W=W, W_out=W, b=b, norm=geometry.norms(W), recovered=geometry.recovered(W, b),
        interference=geometry.interference(W), dimensionality=geometry.dimensionality(W),
        gram=geometry.gram(W), loss=np.array([loss]), step=spec.n_steps, **history.fields(),
    )  # fmt: skip

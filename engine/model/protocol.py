"""Model: what a technique may ask of any network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.model.config import ModelConfig

Array = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]
Tap = Callable[[str, Array], Array | None]
"""Sees a named activation during a forward pass; what it returns, unless None, replaces it."""
Names = Collection[str] | Callable[[str], bool] | str
"""Which activations to keep: names, patterns like 'blocks.*.hook_resid_pre', a predicate, 'all'."""


class Model(Protocol):
    """A network whose named activations can be seen, replaced and differentiated."""

    name: str
    digest: str

    @property
    def config(self) -> ModelConfig: ...

    def hooks(self) -> dict[str, str]:
        """Hook name -> axis names separated by blanks, in the order of the forward pass."""
        ...

    def forward(self, tokens: Any, *, tap: Tap | None = None, names: Names = ()) -> Any: ...

    def backward(self, run: Any, seed: Array) -> Any: ...

    def listen(self) -> None:
        """Raise Cancelled if Stop was pressed: for loops between forward passes."""
        ...

    def under(
        self, interventions: Sequence[Any] = (), watch: Callable[[], None] | None = None
    ) -> Model:
        """A view of this model with interventions in force; `watch` may stop its work."""
        ...

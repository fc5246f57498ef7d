"""Checks: what every SAE of a run kept of held-out text, reading by reading."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.sae.metrics import COSINE_EDGES, binned, nearest_cosine
from engine.sae.splicing import HeldOut, Measured, recovered

__all__ = ["Checks"]

Array = npt.NDArray[Any]

ROWS = ("recovered", "explained", "l0")


class Checks:
    """All readings so far, and the newest one in full; NaN before the first."""

    def __init__(self, n_variants: int, d_sae: int) -> None:
        n, empty = n_variants, np.full(n_variants, np.nan)  # [variant]
        self.steps = np.zeros(0, np.int64)  # [check]
        self.rows = {name: np.zeros((0, n)) for name in ROWS}  # [check, variant]
        self.now: dict[str, Array] = {
            "ce_spliced": empty, "recovered": empty, "explained_variance": empty, "l0": empty,
            "alive": np.full(n, -1, np.int64),
            "nearest_cosine": np.full((n, d_sae), np.nan, np.float32),  # [variant, latent]
        }  # fmt: skip

    def add(
        self, step: int, held: HeldOut, found: Sequence[Measured], decoders: Sequence[Array],
        listen: Callable[[], object],
    ) -> None:  # fmt: skip
        """One reading: of each variant what was measured, and its decoder [latent, d_in]."""
        kept = [recovered(held.clean, held.zero, one.ce) for one in found]
        self.now = {
            "ce_spliced": np.array([one.ce for one in found]),
            "recovered": np.array(kept),
            "explained_variance": np.array([one.explained_variance for one in found]),
            "l0": np.array([one.l0 for one in found]),
            "alive": np.array([one.alive for one in found], np.int64),
            "nearest_cosine": np.stack([nearest_cosine(one, listen) for one in decoders]),
        }  # each [variant], the last [variant, latent]
        self.steps = np.append(self.steps, step)
        for name in ROWS:
            full = "explained_variance" if name == "explained" else name
            self.rows[name] = np.concatenate([self.rows[name], self.now[full][None]])

    def newest(self) -> dict[str, float]:
        """Of the last reading: the mean over variants, for one line of text."""
        return {"recovered": float(self.now["recovered"].mean())}

    def fields(self, held: HeldOut) -> dict[str, Any]:
        """The result's fields: arrays here are made anew by `add`, never changed."""
        return {
            "check_step": self.steps,
            **{f"check_{name}": values for name, values in self.rows.items()},
            "ce_clean": held.clean, "ce_zero": held.zero, **self.now,
            "cosine_edges": COSINE_EDGES.copy(),
            "cosine_counts": binned(self.now["nearest_cosine"], COSINE_EDGES),
        }  # fmt: skip

    def state(self) -> dict[str, Array]:
        """Everything, for a checkpoint."""
        rows = {f"rows.{name}": values for name, values in self.rows.items()}
        return {"steps": self.steps, **rows, **{f"now.{name}": a for name, a in self.now.items()}}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from a `state()` of the same sizes; KeyError or ValueError where it is none."""
        for name, mine in self.now.items():
            if state[f"now.{name}"].shape != mine.shape:
                raise ValueError(f"{name} has the shape {state[f'now.{name}'].shape}")
        n = self.rows["l0"].shape[1]
        for name in ROWS:
            if state[f"rows.{name}"].shape != (len(state["steps"]), n):
                raise ValueError(f"{name} has the shape {state[f'rows.{name}'].shape}")
        self.steps = state["steps"]
        self.rows = {name: state[f"rows.{name}"] for name in ROWS}
        self.now = {name: state[f"now.{name}"] for name in self.now}

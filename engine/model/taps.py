"""ActivationCache and interventions: what sees, keeps or replaces named activations.

Everything is passed in to one forward pass; nothing stays behind in the model, so there is nothing
to reset and an exception leaves no trace.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from engine.errors import RunError
from engine.model.config import ModelConfig
from engine.model.protocol import Names, Tap
from engine.model.weights import Array, Ids

OVER_KEYS = ("hook_attn_scores", "hook_pattern")
"""Activations [batch, head, query, key]; all others have rows [batch, pos] first."""


class ActivationCache(Mapping[str, Array]):
    """Hook name -> activation with a batch axis, in the order of the forward pass."""

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = arrays

    def __getitem__(self, name: str) -> Array:
        try:
            return self._arrays[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._arrays, 3)
            hint = f"; did you mean {', '.join(close)}?" if close else ""
            raise KeyError(f"{name} was not kept in this run{hint}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self._arrays.values())


def chooser(names: Names, hooks: Iterable[str], optional: Iterable[str] = ()) -> frozenset[str]:
    """The hook names that `names` asks for; RunError for a name or pattern that matches none.

    `optional` ones are chosen by their exact name only.
    """
    known, by_name = list(hooks), set(optional)
    if callable(names):
        return frozenset(name for name in known if names(name))
    if isinstance(names, str):
        names = known if names == "all" else [names]
    chosen: set[str] = set()
    for wanted in names:
        found = [wanted] if wanted in by_name or wanted in known else fnmatch.filter(known, wanted)
        if not found:
            close = difflib.get_close_matches(wanted, known, 3, 0.4)
            hint = f"; close ones: {', '.join(close)}" if close else ""
            raise RunError(f"no activation is called {wanted!r}{hint}")
        chosen.update(found)
    return frozenset(chosen)


@dataclass(frozen=True)
class Intervention:
    """An activation changed while the model runs, as data: it can be stored, shown and replayed.

    name: a hook name. action: "zero" sets to 0, "scale" multiplies by `factor`. head and positions
    None mean all of them; of scores and patterns, positions are those of the query. Each is linear
    in the activation, so its vjp is the same map.
    """

    name: str
    action: Literal["zero", "scale"] = "zero"
    factor: float = 0.0
    head: int | None = None
    positions: tuple[int, ...] | None = None

    def check(self, hooks: Mapping[str, str], cfg: ModelConfig) -> None:
        """RunError if a model with these hooks (name -> axes) has no such thing to change."""
        axes = hooks.get(self.name, "").split()
        heads = {"head": cfg.n_heads, "kv_head": cfg.n_key_value_heads}
        n_heads = next((heads[axis] for axis in axes if axis in heads), 0)
        outside = [at for at in self.positions or () if not 0 <= at < cfg.n_ctx]
        why = ""
        if not axes:
            why = "there is no such hook"
        elif self.action not in ("zero", "scale"):
            why = f"{self.action!r} is neither zero nor scale"
        elif self.head is not None and not n_heads:
            why = f"{self.name} has no heads"
        elif self.head is not None and not 0 <= self.head < n_heads:
            why = f"head {self.head} is not in 0..{n_heads - 1}"
        elif self.positions == ():
            why = "it names no position"
        elif outside:
            why = f"position {outside[0]} is not in 0..{cfg.n_ctx - 1}"
        elif self.name.endswith("hook_scale") and self._factor == 0.0:
            why = "the stream is divided by a norm's scale, so it cannot be zero"
        if why:
            raise RunError(f"the intervention on {self.name}: {why}")

    @property
    def _factor(self) -> float:
        return 0.0 if self.action == "zero" else self.factor

    def meets(self, position: Ids) -> bool:
        """Whether any of these rows stands where this changes something."""
        return self.positions is None or bool(np.isin(position, self.positions).any())

    def apply(self, value: Array, position: Ids) -> Array:
        """A changed copy; also its own vjp.

        value [*rows, (head,) width], position [*rows]; scores and patterns
        [batch, head, query, key], position [batch, query]. A masked score (-inf) stays masked.
        """
        value = value.copy()
        rows = value.swapaxes(1, 2) if self.name.endswith(OVER_KEYS) else value
        part = rows if self.head is None else rows[..., self.head, :]  # [*rows, ...]
        scale = np.ones(position.shape, value.dtype)  # [*rows]
        scale[np.isin(position, self.positions) if self.positions is not None else ...] = (
            self._factor
        )
        scale = scale.reshape(position.shape + (1,) * (part.ndim - position.ndim))
        np.multiply(part, scale, out=part, where=part != -np.inf)
        return value


@dataclass(eq=False)
class Taps:
    """What one forward pass does at each named activation: keep, show, change, or stop.

    position [batch, pos] (or [row]) tells an intervention where each row of the activation stands.
    """

    keep: frozenset[str] = frozenset()
    tap: Tap | None = None
    interventions: Sequence[Intervention] = ()
    watch: Callable[[], None] | None = None
    position: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    kept: dict[str, Array] = field(default_factory=dict)
    fired: dict[str, float] = field(default_factory=dict)
    met: list[Intervention] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.changes = {entry.name for entry in self.interventions}
        # Nobody looks: the pass may overwrite its own activations.
        self.idle = not self.keep and self.tap is None and not self.interventions

    def listen(self) -> None:
        """Raise Cancelled if Stop was pressed."""
        if self.watch is not None:
            self.watch()

    def see(self, name: str, value: Array) -> Array:
        """Offer an activation; the array to go on with comes back."""
        self.listen()
        if self.idle:
            return value
        if name in self.changes:
            value = self._intervene(name, value)
        if self.tap is not None:
            shown = value.view()
            shown.flags.writeable = False  # an edit in place would reach other names, or none
            replaced = self.tap(name, shown)
            if replaced is not None and replaced is not shown:
                value = _checked(name, value, replaced)
        if name in self.keep:
            self.kept[name] = value
        return value

    def _intervene(self, name: str, value: Array) -> Array:
        before = value
        for entry in self.interventions:
            if entry.name == name:
                value = entry.apply(value, self.position)
                if entry.meets(self.position):
                    self.met.append(entry)
        moved = value != before
        self.fired[name] = float(np.abs(value[moved] - before[moved]).max(initial=0.0))
        return value

    def finish(self, whole: bool = True) -> None:
        """An intervention that touched nothing is an error, never silence.

        whole: this pass saw the whole prompt, so that a position it did not meet is not to come.
        """
        for entry in self.interventions:
            if entry.name not in self.fired:
                raise RunError(
                    f"the intervention on {entry.name} never fired: this computation does not "
                    "come by it"
                )
            if whole and entry not in self.met:
                raise RunError(
                    f"the intervention on {entry.name} meets none of the {self.position.shape[-1]} "
                    f"positions of this prompt: {entry.positions}"
                )


def _checked(name: str, value: Array, replaced: Array) -> Array:
    replaced = np.asarray(replaced)
    if replaced.shape != value.shape:
        raise RunError(f"{name} has shape {value.shape}; the replacement has {replaced.shape}")
    return np.asarray(replaced, dtype=value.dtype)

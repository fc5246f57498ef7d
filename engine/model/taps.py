"""ActivationCache and Taps: what sees, keeps or replaces named activations during one pass.

Everything is passed in to one forward pass; nothing stays behind in the model, so there is nothing
to reset and an exception leaves no trace.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.errors import RunError
from engine.model.in_force import InForce
from engine.model.interventions import Intervention
from engine.model.protocol import Names, Tap
from engine.model.weights import Array, Ids

__all__ = ["ActivationCache", "Intervention", "Taps", "chooser"]


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


@dataclass(eq=False)
class Taps:
    """What one forward pass does at each named activation: keep, show, change, or stop.

    position [batch, pos] (or [row]) tells an intervention where each row of the activation stands.
    given: of an activation that is kept, what an intervention that reads it was given.
    """

    keep: frozenset[str] = frozenset()
    tap: Tap | None = None
    interventions: Sequence[InForce] = ()
    watch: Callable[[], None] | None = None
    position: Ids = field(default_factory=lambda: np.zeros(0, np.int64))
    kept: dict[str, Array] = field(default_factory=dict)
    passed: set[InForce] = field(default_factory=set)
    met: set[InForce] = field(default_factory=set)
    given: dict[InForce, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.changes = {entry.name for entry in self.interventions}
        self.length = self.position.shape[-1]
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
        for entry in self.interventions:
            if entry.name == name:
                self.passed.add(entry)
                before, value = value, entry.apply(value, self.position)
                if entry.reads and name in self.keep:
                    self.given[entry] = before
                if value is not before:
                    self.met.add(entry)
                    entry.note(before, value)
        return value

    def finish(self, whole: bool = True) -> None:
        """An intervention that touched nothing is an error, never silence.

        whole: this pass saw the whole prompt, so that a position it did not meet is not to come.
        """
        for entry in self.interventions:
            if entry not in self.passed:
                raise RunError(
                    f"the intervention on {entry.name} never fired: this computation does not "
                    "come by it"
                )
            if whole and entry not in self.met:
                at, keys = entry.entry.positions, entry.entry.units
                last = (
                    ""
                    if self.position.shape[-1] == self.length
                    else (
                        " (what comes after the last block is computed for the last of them only)"
                    )
                )
                raise RunError(
                    f"the intervention on {entry.name} meets none of the {self.length} "
                    f"positions of this prompt: {at if keys is None else (at, keys)}{last}"
                )


def _checked(name: str, value: Array, replaced: Array) -> Array:
    replaced = np.asarray(replaced)
    if replaced.shape != value.shape:
        raise RunError(f"{name} has shape {value.shape}; the replacement has {replaced.shape}")
    return np.asarray(replaced, dtype=value.dtype)

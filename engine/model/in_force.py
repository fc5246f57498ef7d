"""InForce: interventions on one view of a model, with their values and a count of what fired.

Each is a pair like any op, its effect and its vjp: a constant passes no gradient to what it
replaces, a sum passes it unchanged, a factor along a direction is its own transpose. What it does
to features hangs on the activation itself, so their vjp asks for what the effect was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.model.intervention_values import Values
from engine.model.interventions import Intervention
from engine.model.weights import Array, Ids

if TYPE_CHECKING:
    from engine.model.transformer import Transformer
    from engine.sae.edited import EditedLatents


@dataclass(frozen=True)
class Fired:
    """How often an intervention met its activation, and the largest change of one number there."""

    entry: Intervention
    times: int = 0
    largest: float = 0.0


@dataclass(eq=False)
class InForce:
    """One intervention on one view.

    direction [width], of length 1. value: what is put in, [(head,) width] if it is the same
    everywhere, else [pos, (head,) width]; of scores and patterns [query, head, key]. latents: the
    features that are changed; they read their head, or all heads flattened.
    """

    entry: Intervention
    direction: Array | None = None
    value: Array | None = None
    causal: bool = True
    latents: EditedLatents | None = None
    times: int = 0
    largest: float = 0.0

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def reads(self) -> bool:
        """Whether its vjp asks for the activation that the effect was given."""
        return self.latents is not None

    @property
    def fired(self) -> Fired:
        return Fired(self.entry, self.times, self.largest)

    def apply(self, value: Array, position: Ids) -> Array:
        """A changed copy; the very array where it meets nothing of it.

        value [*rows, (head,) width], position [*rows]; scores and patterns
        [batch, head, query, key], position [batch, query]. A masked score (-inf) stays masked.
        """
        return self._changed(value, position, self._effect)

    def vjp(self, grad: Array, position: Ids, given: Array | None = None) -> Array:
        """Gradient of what `apply` gave -> of what it was given; shapes as there.

        given: the activation that `apply` was given, where this one `reads` it.
        """
        return self._changed(grad, position, self._through, given)

    def note(self, before: Array, after: Array) -> None:
        """Count a change that was made."""
        moved = after != before  # -inf twice is no change, and their difference is none
        self.times += 1
        largest = np.abs(after[moved] - before[moved]).max(initial=0.0)
        self.largest = max(self.largest, float(largest))

    def _changed(
        self, value: Array, position: Ids, change: Callable[..., Array], given: Array | None = None
    ) -> Array:
        entry, width = self.entry, value.shape[-1]
        chosen = np.ones(position.shape, bool)  # [*rows]
        if entry.positions is not None:
            chosen = np.isin(position, entry.positions)
        where = self._within(width)
        few = entry.units is not None and not self.reads
        if not chosen.any() or (few and not len(where[-1])):
            return value
        value = value.copy()
        rows = value.swapaxes(1, 2) if entry.over_keys else value  # [*rows, (head,) width]
        part = rows[chosen]  # [row, (head,) width]
        was = None if given is None else given[chosen][where]
        part[where] = change(part[where], position[chosen], width, was)
        rows[chosen] = part
        return value

    def _within(self, width: int) -> tuple[Any, ...]:
        """Index of what is changed in [row, (head,) width]; of keys there may be few."""
        entry, last = self.entry, slice(None)
        head = entry.head
        if self.latents is not None:
            head = self.latents.sae.hook_head_index
        elif entry.units is not None:
            last = np.array([unit for unit in entry.units if unit < width], np.int64)  # [unit]
        return (..., last) if head is None else (..., head, last)

    def _effect(self, x: Array, position: Ids, width: int, _given: Array | None) -> Array:
        """x [row, (head,) width or units] -> what stands there instead."""
        if self.latents is not None:
            return self.latents.apply(x.reshape(len(x), -1)).reshape(x.shape)
        new = None if self.value is None else self._value(position, width).astype(x.dtype)
        if self.direction is not None:
            u = self.direction.astype(x.dtype)  # [width]
            if self.entry.action == "steer":
                return x + x.dtype.type(self.entry.factor) * u
            now = (x @ u)[..., None]  # [row, (head,) 1]
            wanted = self._moved(now, None if new is None else (new @ u)[..., None])
            return x + (wanted - now) * u
        if not self.name.endswith("hook_attn_scores"):
            return self._moved(x, new)
        hidden = x == -np.inf
        moved = self._moved(np.where(hidden, x.dtype.type(0), x), new)
        return np.where(hidden, x, moved)

    def _moved(self, x: Array, new: Array | None) -> Array:
        """What the action makes of numbers x, be they components along the direction."""
        factor = x.dtype.type(self.entry.factor)
        match self.entry.action:
            case "scale":
                return x * factor
            case "steer":
                return x + factor
            case "clamp":
                return np.full_like(x, factor)
            case "zero":
                return np.zeros_like(x)
        assert new is not None, "in_force finds the values"
        return np.broadcast_to(new, x.shape)

    def _through(self, grad: Array, _position: Ids, _width: int, given: Array | None) -> Array:
        entry = self.entry
        if self.latents is not None:
            assert given is not None, "the pass that is gone back over keeps what they read"
            x = given.reshape(len(given), -1)  # [row, d_in]
            return self.latents.vjp(grad.reshape(x.shape), x).reshape(grad.shape)
        if entry.action == "steer":
            return grad
        factor = grad.dtype.type(entry.factor if entry.action == "scale" else 0.0)
        if self.direction is None:
            return grad * factor
        u = self.direction.astype(grad.dtype)  # [width]
        return grad + (factor - 1) * (grad @ u)[..., None] * u

    def _value(self, position: Ids, width: int) -> Array:
        """What is put in at these rows: as `x` there, or without the rows."""
        assert self.value is not None
        value = self.value
        if not self.entry.everywhere:
            last = int(position.max())
            if last >= len(value):
                raise self.entry.refused(
                    f"position {last} is beyond the {len(value)} tokens its values come from: "
                    "choose positions, or a longer prompt"
                )
            value = value[position]  # [row, (head,) width]
        if self.entry.over_keys:
            value = self._over(value, width)
        return value[self._within(width)]

    def _over(self, value: Array, n_keys: int) -> Array:
        """Rows of a score or pattern over the keys of this prompt: later ones are not looked at."""
        if self.causal:
            shape = (*value.shape[:-1], max(0, n_keys - value.shape[-1]))
            nothing = 0.0 if self.name.endswith("hook_pattern") else -np.inf
            more = np.full(shape, nothing, value.dtype)  # [row, head, key]
            value = np.concatenate([value[..., :n_keys], more], axis=-1)
        elif value.shape[-1] != n_keys:
            raise self.entry.refused(
                f"its values look at {value.shape[-1]} keys, and this prompt has {n_keys}: "
                "take prompts of equal length"
            )
        return value


def in_force(model: Transformer, entries: Sequence[Intervention]) -> tuple[InForce, ...]:
    """Interventions with the values they need, found by plain passes of `model`, each made once.

    model: a view without interventions. RunError says what is wrong with a prompt or a file.
    """
    if not entries:
        return ()
    values = Values(model, entries)
    causal = model.config.attention_dir == "causal"
    return tuple(
        InForce(
            entry, values.direction(entry), values.of(entry), causal, values.latents(entry)
        )
        for entry in entries
    )  # fmt: skip

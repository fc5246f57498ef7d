"""Intervention: an activation that is changed while the model runs, as data.

Zero, mean and resample ablation, patching (Vig et al. 2020, arXiv:2004.12265), steering (Turner et
al. 2023, arXiv:2308.10248), scaling and clamping: of whole activations, of one head, of chosen
units, along a direction, or of features: latents of a sparse autoencoder (Templeton et al. 2024).
What is in force during a run is `in_force.InForce`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from engine.errors import RunError
from engine.model.config import ModelConfig
from engine.refs import Ref

Action = Literal["zero", "mean", "resample", "patch", "scale", "steer", "clamp"]
ACTIONS = get_args(Action)
BORROWED = ("mean", "resample", "patch")
"""Actions that put in values of other runs of the same model."""
OVER_KEYS = ("hook_attn_scores", "hook_pattern")
"""Activations [batch, head, query, key]; all others have rows [batch, pos] first."""


@dataclass(frozen=True)
class Intervention:
    """An activation changed while the model runs, as data: it can be stored, shown and replayed.

    name: a hook name. head, positions and units None mean all of them; a unit is an index of the
    last axis, and of scores and patterns positions are those of the query and units the keys.
    direction: a vector as wide as the last axis, or a file of one; only its unit vector u counts.
    sae: a folder or a file of an SAE of this hook, of which `units` are latents then.

    With x what the activation holds, or its component along u, the rest untouched: "zero" gives 0,
    "scale" factor x, "steer" x + factor, "clamp" factor. "patch" gives what the prompt `source`
    holds at the same positions. "resample" does so too, from `source` or from one row, drawn by
    `seed`, of `data` (a table of prompts, of which the clean ones are read, or a text).
    "mean" gives the mean over the positions of `source`, or over all rows and positions of `data`;
    with by_position over the rows of `data` at each position. bos: how a `source` of text begins.

    Of a latent the same is done to its activation f: x + (f' - f) W_dec, so what the SAE does not
    explain stays.
    """

    name: str
    action: Action = "zero"
    factor: float = 0.0
    head: int | None = None
    positions: tuple[int, ...] | None = None
    units: tuple[int, ...] | None = None
    direction: Ref | tuple[float, ...] | None = None
    source: str | tuple[int, ...] = ""
    data: Ref | None = None
    by_position: bool = False
    bos: str = "auto"
    seed: int = 0
    sae: Ref | None = None

    def check(self, hooks: Mapping[str, str], cfg: ModelConfig) -> None:
        """RunError if a model with these hooks (name -> axes) has no such thing to change.

        Files and prompts are looked at where the intervention is put in force.
        """
        axes = hooks.get(self.name, "").split()
        if not axes:
            raise self.refused("there is no such hook")
        for why in (*self._wrong_place(axes, cfg), *self._wrong_change(axes, cfg)):
            raise self.refused(why)

    def refused(self, why: str) -> RunError:
        """The error that says what is wrong with this one."""
        return RunError(f"the intervention on {self.name}: {why}")

    @property
    def over_keys(self) -> bool:
        return self.name.endswith(OVER_KEYS)

    @property
    def everywhere(self) -> bool:
        """Whether it puts in the same at every position."""
        return self.action == "mean" and not self.by_position

    def _wrong_place(self, axes: list[str], cfg: ModelConfig) -> Iterator[str]:
        n_heads = next((n for axis, n in heads_of(cfg).items() if axis in axes), 0)
        width = width_of(axes, cfg)
        if self.action not in ACTIONS:
            yield f"{self.action!r} is none of {', '.join(ACTIONS)}"
        if self.head is not None and not n_heads:
            yield f"{self.name} has no heads"
        if self.head is not None and not 0 <= self.head < n_heads:
            yield f"head {self.head} is not in 0..{n_heads - 1}"
        if self.positions == ():
            yield "it names no position"
        for at in self.positions or ():
            if not 0 <= at < cfg.n_ctx:
                yield f"position {at} is not in 0..{cfg.n_ctx - 1}"
        if self.units == ():
            yield "it names no unit"
        if self.sae is not None:  # how many latents there are its file says
            yield from self._wrong_features(width)
            return
        for unit in self.units or ():
            if not 0 <= unit < width:
                yield f"{'key' if self.over_keys else 'unit'} {unit} is not in 0..{width - 1}"
        if self.units is not None and width == 1:
            yield "it has one number at each position: leave the units out"

    def _wrong_features(self, width: int) -> Iterator[str]:
        if self.over_keys or width == 1:
            yield "no SAE reads it, so it has no features"
        if self.units is None:
            yield "say which features of the SAE (units)"
        for unit in self.units or ():
            if unit < 0:
                yield f"feature {unit} is below 0"
        if self.direction is not None:
            yield "name features or a direction, not both"
        if self.action in BORROWED:
            yield f"features take no values from other prompts, so there is none to {self.action}"

    def _wrong_change(self, axes: list[str], cfg: ModelConfig) -> Iterator[str]:
        yield from self._wrong_direction(axes, cfg)
        if not math.isfinite(self.factor):
            yield f"factor {self.factor} is not a finite number"
        if self.action == "steer" and self.direction is None and self.units is None:
            yield "to steer, say along which direction or which units"
        if self.action == "steer" and self.factor == 0.0:
            yield "to steer by 0 changes nothing: give a factor"
        none = self.action == "zero" or (self.action in ("scale", "clamp") and self.factor == 0.0)
        if none and self.name.endswith("hook_scale"):
            yield "the stream is divided by a norm's scale, so it cannot be zero"
        if (self.source or self.data is not None) and self.action not in BORROWED:
            yield f"{self.action} takes no values from other prompts: leave source and data out"
        if self.action in BORROWED:
            yield from self._wrong_values()

    def _wrong_direction(self, axes: list[str], cfg: ModelConfig) -> Iterator[str]:
        width = width_of(axes, cfg)
        if self.direction is None:
            return
        if self.over_keys or width == 1:
            yield "it has no directions, only heads and positions"
        if self.units is not None:
            yield "name units or a direction, not both"
        if isinstance(self.direction, tuple):
            yield from wrong_vector(self.direction, width)

    def _wrong_values(self) -> Iterator[str]:
        if self.action == "patch" and self.data is not None:
            yield "a patch comes from one prompt (source): for a set, resample or take its mean"
        if bool(self.source) == (self.data is not None):
            takes = "a prompt (source)" if self.action == "patch" else "source or data, one of them"
            yield f"{self.action} needs values of other prompts: give {takes}"
        if self.by_position and (self.action != "mean" or self.data is None):
            yield "by_position is for the mean over a data set"
        if self.over_keys and self.action == "mean" and not self.by_position:
            yield "queries of a prompt see different keys: take the mean by_position of a data set"


def heads_of(cfg: ModelConfig) -> dict[str, int]:
    """How long the axes are that count heads."""
    return {"head": cfg.n_heads, "kv_head": cfg.n_key_value_heads}


def width_of(axes: list[str], cfg: ModelConfig) -> int:
    """How long the last axis of an activation is; of keys, at most."""
    return {"key": cfg.n_ctx, "1": 1}.get(axes[-1]) or getattr(cfg, axes[-1])


def wrong_vector(vector: tuple[float, ...], width: int) -> Iterator[str]:
    """What keeps numbers from being a direction in an activation of this width."""
    if len(vector) != width:
        yield f"the direction has {len(vector)} numbers, and this activation is {width} wide"
    elif not all(map(math.isfinite, vector)):
        yield "the direction holds a number that is not finite"
    elif not any(vector):
        yield "the direction is zero everywhere"

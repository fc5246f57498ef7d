"""MLP: relu(... relu(x W_0 + b_0) ...) W_out + b_out, a network that reads points.

A Model like any other: every activation has a name and can be seen, replaced, differentiated and
intervened on. What a transformer calls tokens are points here; each is a prompt of one position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from engine.errors import RunError
from engine.mlp.config import ACTIVATION, MLPConfig
from engine.model import ops
from engine.model.backward import Gradients
from engine.model.in_force import Fired, InForce
from engine.model.intervention_values import Values
from engine.model.interventions import BORROWED
from engine.model.protocol import Names, Tap
from engine.model.taps import ActivationCache, Taps, chooser

Array = npt.NDArray[np.floating]
MOST_COORDINATE = 1e6  # of a point: beyond, products of layers leave float32


@dataclass(frozen=True, eq=False)
class PointPass:
    """One forward pass: points [point, d_in], logits [point, d_out], kept activations."""

    points: Array
    logits: Array
    cache: ActivationCache


@dataclass(eq=False)
class MLP:
    """weights: (W [inputs, outputs], b [outputs]) of each layer, the output layer last."""

    inputs: ClassVar[str] = "points"

    config: MLPConfig
    weights: tuple[tuple[Array, Array], ...]
    name: str = "network"
    folder: Path | None = None
    digest: str = ""
    interventions: tuple[InForce, ...] = ()
    watch: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        shapes = tuple(W.shape for W, _ in self.weights)
        if shapes != self.config.shapes or any(b.shape != W.shape[1:] for W, b in self.weights):
            raise RunError(f"weights of shapes {shapes} are not those of {self.config.shapes}")
        self.digest = self.digest or _digest(self)

    @classmethod
    def from_flat(cls, config: MLPConfig, flat: Array, name: str = "network") -> MLP:
        """The network whose numbers stand in one vector, as training keeps them.

        flat [parameter]: layer by layer, of each unit its weights and then its bias.
        """
        if flat.shape != (config.n_params,):
            raise RunError(f"{flat.shape} numbers are not the {config.n_params} of {config.widths}")
        weights, at = [], 0
        for n, m in config.shapes:
            rows = flat[at : at + (n + 1) * m].reshape(m, n + 1)  # [output, input and bias]
            weights.append((np.ascontiguousarray(rows[:, :-1].T), rows[:, -1].copy()))
            at += (n + 1) * m
        return cls(config, tuple(weights), name)

    @property
    def n_params(self) -> int:
        return self.config.n_params

    def with_random_weights(self, seed: int) -> MLP:
        """The same network with weights drawn as before its training; see `start`."""
        name = f"{self.name}, random weights"
        return MLP.from_flat(self.config, start(self.config, seed), name)

    # --- what a technique may ask --------------------------------------------------------------

    def hooks(self) -> dict[str, str]:
        return self.config.hooks()

    def under(
        self, interventions: Sequence[Any] = (), watch: Callable[[], None] | None = None
    ) -> MLP:
        """This network with interventions in force; `watch` is called between activations.

        RunError where one makes no sense here: a network without prompts borrows no values.
        """
        known, config = self.hooks(), self.config
        plain = replace(self, interventions=(), watch=watch)
        values = Values(plain, interventions)  # pyright: ignore[reportArgumentType]
        found = []
        for entry in interventions:
            if entry.action in BORROWED:
                raise entry.refused(
                    f"{self.name} reads points, not prompts, so there are no values to "
                    f"{entry.action}: zero, scale, steer or clamp"
                )
            if entry.sae is not None:
                raise entry.refused(f"{self.name} reads points, and SAEs read transformers")
            entry.check(known, config)
            found.append(InForce(entry, values.direction(entry)))
        return replace(plain, interventions=tuple(found))

    def fired(self) -> tuple[Fired, ...]:
        """What each intervention of this view has done since the view was made."""
        return tuple(entry.fired for entry in self.interventions)

    def listen(self) -> None:
        """Raise Cancelled if Stop was pressed: for loops between forward passes."""
        if self.watch is not None:
            self.watch()

    def tokens(self, *_: Any, **__: Any) -> NoReturn:
        raise RunError(
            f"{self.name} reads points of a plane, not text: probe its layers, or open a "
            "transformer for this"
        )

    token = pieces = vocabulary = tokens

    # --- the forward pass ----------------------------------------------------------------------

    def forward(self, points: Any, *, tap: Tap | None = None, names: Names = ()) -> PointPass:
        """Run on points [point, d_in] or [d_in], offering every activation by name.

        `tap(name, value)` sees each activation and may return a replacement of the same shape;
        `names` are kept.
        """
        x = self.check(points)  # [point, d_in]
        keep = chooser(names, self.hooks()) if names else frozenset()
        at = np.zeros(len(x), np.int64)  # [point]: each is a prompt of one position
        taps = Taps(keep, tap, self.interventions, self.watch, at)
        act = ACTIVATION[self.config.act_fn].forward
        h = taps.see("hook_in", x)
        for layer, (W, b) in enumerate(self.weights[:-1]):
            h = taps.see(f"layers.{layer}.hook_pre", ops.linear(h, W, b))  # [point, d_mlp]
            free = h if taps.idle else None  # nobody keeps it
            h = taps.see(f"layers.{layer}.hook_post", act(h, out=free))  # [point, d_mlp]
        logits = taps.see("hook_out", ops.linear(h, *self.weights[-1]))  # [point, d_out]
        taps.finish()
        return PointPass(x, logits, ActivationCache(taps.kept))

    def check(self, points: Any) -> Array:
        """Points [point, d_in] in the dtype of the weights; RunError says what is wrong."""
        x = np.asarray(points)
        if x.dtype.kind not in "iuf" or x.ndim > 2:
            raise RunError(f"points are numbers [point, {self.config.d_in}], not {x.dtype}")
        x = np.atleast_2d(x.astype(self.weights[0][0].dtype))
        if not x.size or x.shape[1] != self.config.d_in:
            wanted = f"[point, {self.config.d_in}], at least one"
            raise RunError(f"points of shape {x.shape}; {self.name} reads {wanted}")
        if not (np.abs(x) <= MOST_COORDINATE).all():
            raise RunError(f"a point is not within {MOST_COORDINATE:g} of the centre, or no number")
        return x

    def backward(
        self, run: PointPass, seed: Array, *, names: Names = "all", weights: bool = False,
        grad_tap: Tap | None = None,
    ) -> Gradients:  # fmt: skip
        """Gradients of sum(seed * logits), seed [point, d_out], at the activations of `run`.

        run kept every activation (names="all"). Weights' gradients go by `W_0 b_0 ... W_out b_out`.
        """
        missing = [name for name in self.hooks() if name not in run.cache]
        if missing:
            raise RunError(f"backward needs {missing[0]} of the forward pass; keep all names")
        keep, kept, found = chooser(names, self.hooks()), {}, {}
        at = np.zeros(len(run.points), np.int64)  # [point]

        def see(name: str, grad: Array) -> Array:
            self.listen()
            if grad_tap is not None:
                other = grad_tap(name, grad)
                grad = grad if other is None else other
            if name in keep:
                kept[name] = grad
            for entry in reversed(self.interventions):
                grad = entry.vjp(grad, at) if entry.name == name else grad
            return grad

        vjp, n = ACTIVATION[self.config.act_fn].vjp, self.config.n_layers
        dy = see("hook_out", np.asarray(seed, run.logits.dtype))  # [point, d_out]
        for layer in reversed(range(n + 1)):
            W, _ = self.weights[layer]
            source = f"layers.{layer - 1}.hook_post" if layer else "hook_in"
            if weights:
                mark = "out" if layer == n else str(layer)
                found[f"W_{mark}"], found[f"b_{mark}"] = ops.linear_weight_grad(
                    run.cache[source], dy
                )
            dy = see(source, ops.linear_vjp(dy, W))  # [point, inputs]
            if layer:
                pre = f"layers.{layer - 1}.hook_pre"
                dy = see(pre, vjp(dy, run.cache[pre]))  # [point, d_mlp]
        ordered = {name: kept[name] for name in self.hooks() if name in kept}
        return Gradients(ActivationCache(ordered), found)


def start(config: MLPConfig, seed: int | tuple[int, ...]) -> Array:
    """Fresh weights [parameter] in the order of `MLP.from_flat`: normal, biases 0.

    Standard deviation sqrt(2 / inputs) before a relu or gelu (He et al. 2015, arXiv:1502.01852),
    1 / sqrt(inputs) otherwise.
    """
    rng, parts = np.random.default_rng(seed), []
    for layer, (n, m) in enumerate(config.shapes):
        gain = 1.0 if config.act_fn == "tanh" or layer == config.n_layers else 2.0
        rows = np.zeros((m, n + 1))  # [output, input and bias]
        rows[:, :-1] = np.sqrt(gain / n) * rng.standard_normal((m, n))
        parts.append(rows.ravel())
    return np.concatenate(parts).astype(np.float32)


def _digest(model: MLP) -> str:
    """SHA-256 of the config and every weight."""
    total = hashlib.sha256(repr(model.config).encode())
    for W, b in model.weights:
        total.update(np.ascontiguousarray(W).tobytes() + b.tobytes())
    return total.hexdigest()

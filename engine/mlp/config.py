"""MLPConfig: what a network that reads points is; the activation functions it may have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.errors import RunError
from engine.model import ops
from engine.model.ops import Activation, Array


def tanh(x: Array, out: Array | None = None) -> Array:
    return np.tanh(x, out=out)


def tanh_vjp(dy: Array, x: Array) -> Array:
    slope = np.tanh(x)  # [row, width]
    np.square(slope, out=slope)
    np.subtract(1.0, slope, out=slope)
    slope *= dy
    return slope


ACTIVATION: dict[str, Activation] = {
    "relu": ops.ACTIVATIONS["relu"],
    "tanh": Activation(tanh, tanh_vjp),
    "gelu": ops.ACTIVATIONS["gelu"],
}
ACTIVATIONS = tuple(ACTIVATION)


@dataclass(frozen=True)
class MLPConfig:
    """widths: numbers per point at the input, after each hidden layer (all alike), at the output.

    task and seed say what it was trained on and from where; "" where that is not known. The rest is
    what an intervention asks of any model: there are no heads, and a point is one position.
    """

    widths: tuple[int, ...]
    act_fn: str = "relu"
    task: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.widths) < 3 or min(self.widths) < 1:
            raise RunError(f"widths {self.widths}: give the input, hidden layers and the output")
        if len(set(self.widths[1:-1])) > 1:
            raise RunError(f"widths {self.widths}: the hidden layers must be equally wide")
        if self.act_fn not in ACTIVATION:
            raise RunError(f"act_fn {self.act_fn!r} is not one of {', '.join(ACTIVATIONS)}")

    @property
    def n_layers(self) -> int:
        """Hidden layers."""
        return len(self.widths) - 2

    @property
    def d_in(self) -> int:
        return self.widths[0]

    @property
    def d_mlp(self) -> int:
        return self.widths[1]

    @property
    def d_out(self) -> int:
        return self.widths[-1]

    @property
    def n_heads(self) -> int:
        return 0

    @property
    def n_key_value_heads(self) -> int:
        return 0

    @property
    def n_ctx(self) -> int:
        return 1

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(inputs, outputs) of each layer, the output layer last."""
        return tuple(zip(self.widths, self.widths[1:], strict=False))

    @property
    def n_params(self) -> int:
        return sum((n + 1) * m for n, m in self.shapes)

    def hooks(self) -> dict[str, str]:
        """Hook name -> axis names, in the order of the forward pass."""
        table = {"hook_in": "point d_in"}
        for layer in range(self.n_layers):
            table |= {f"layers.{layer}.hook_{at}": "point d_mlp" for at in ("pre", "post")}
        return table | {"hook_out": "point d_out"}

    def width(self, hook: str) -> int:
        """Numbers per point of an activation; RunError where there is no such hook."""
        if hook not in self.hooks():
            raise RunError(f"there is no hook {hook}; there are {', '.join(self.hooks())}")
        return getattr(self, self.hooks()[hook].split()[-1])

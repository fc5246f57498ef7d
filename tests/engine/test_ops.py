"""Every op's vjp against central differences in a random direction, in float64."""

import math

import numpy as np
import pytest

from engine.model import ops

RNG = np.random.default_rng(0)


def check(forward, vjp, *inputs, step: float = 1e-6) -> None:
    """`forward(*inputs)` and `vjp(dy) -> one gradient per input`, along random directions."""
    y = forward(*inputs)
    dy = RNG.standard_normal(y.shape)
    gradients = vjp(dy)
    for index, gradient in enumerate(gradients):
        direction = RNG.standard_normal(inputs[index].shape)
        ends = []
        for sign in (1, -1):
            moved = list(inputs)
            moved[index] = inputs[index] + sign * step * direction
            ends.append((forward(*moved) * dy).sum())
        slope = (ends[0] - ends[1]) / (2 * step)
        expected = (gradient * direction).sum()
        assert abs(slope - expected) <= 1e-5 * max(1.0, abs(expected)), index


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape)


def test_linear() -> None:
    x, W = normal(5, 4), normal(4, 3)
    check(
        lambda x, W: ops.linear(x, W),
        lambda dy: (ops.linear_vjp(dy, W), ops.linear_weight_grad(x, dy)[0]),
        x, W,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_norms(name: str) -> None:
    x = normal(6, 9)
    norm, vjp = getattr(ops, name), getattr(ops, f"{name}_vjp")
    normalized, scale = norm(x, 1e-5)
    check(lambda x: norm(x, 1e-5)[0], lambda dy: (vjp(dy, normalized, scale)[0],), x)


@pytest.mark.parametrize("name", sorted(ops.ACTIVATIONS))
def test_activation_functions(name: str) -> None:
    act = ops.ACTIVATIONS[name]
    x = normal(7, 5) * 2
    check(lambda x: act.forward(x), lambda dy: (act.vjp(dy, x),), x)


@pytest.mark.parametrize("adjacent", [False, True])
def test_rotary_positions(adjacent: bool) -> None:
    x, angle = normal(3, 2, 8), normal(3, 1, 3)
    cos, sin = np.cos(angle), np.sin(angle)
    check(
        lambda x: ops.rotate(x, cos, sin, adjacent),
        lambda dy: (ops.rotate_vjp(dy, cos, sin, adjacent),),
        x,
    )


@pytest.mark.parametrize("n_kv", [4, 2, 1])
def test_attention_scores_with_shared_keys(n_kv: int) -> None:
    q, k = normal(2, 5, 4, 3), normal(2, 6, n_kv, 3)
    check(
        lambda q, k: ops.attention_scores(q, k, 1.7),
        lambda dy: ops.attention_scores_vjp(dy, q, k, 1.7),
        q, k,
    )  # fmt: skip


@pytest.mark.parametrize("n_kv", [4, 2, 1])
def test_attend_with_shared_values(n_kv: int) -> None:
    pattern, v = normal(2, 4, 5, 6), normal(2, 6, n_kv, 3)
    check(ops.attend, lambda dy: ops.attend_vjp(dy, pattern, v), pattern, v)


def test_softmax() -> None:
    x = normal(3, 4, 6)
    check(ops.softmax, lambda dy: (ops.softmax_vjp(dy, ops.softmax(x)),), x)


def test_softmax_of_a_fully_masked_row_is_zero() -> None:
    assert (ops.softmax(np.full((2, 3), -np.inf, np.float32)) == 0).all()


def test_cross_entropy() -> None:
    logits, targets = normal(6, 5), RNG.integers(0, 5, 6)
    check(
        lambda logits: np.array([ops.cross_entropy(logits, targets)[0]]),
        lambda dy: (ops.cross_entropy(logits, targets)[1] * dy,),
        logits,
    )


def test_float32_erf_equals_the_exact_one() -> None:
    x = np.linspace(-6, 6, 20_001).astype(np.float32)
    exact = np.array([math.erf(value) for value in x])
    assert np.abs(ops.erf(x) - exact).max() < 5e-7

"""Every operation of a transformer as a pair: the forward map and its vector-Jacobian product.

Arrays are [row, width] unless a comment says otherwise; a row is one position of one prompt. Each
forward takes `out=` where it may overwrite its argument. A vjp takes the gradient of its output and
what the forward saw, and gives the gradient of its input. Checked pair by pair in tests/engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

# --- linear -------------------------------------------------------------------------------------


THIN_ROWS, THIN_SLAB = 64, 1024
# Few rows against a matrix stored [m, n] (Hugging Face's Linear, tied embeddings): BLAS is 1.2 to
# 1.6 times as fast on W x^T, a slab of outputs at a time, the copy of the small result included.


def linear(x: Array, W: Array, b: Array | None = None) -> Array:
    """x W + b: [row, n], [n, m], [m] -> fresh [row, m], C-ordered. One matrix product."""
    if len(x) <= THIN_ROWS and W.flags.f_contiguous and not W.flags.c_contiguous:
        y = np.empty((len(x), W.shape[1]), x.dtype)  # [row, m]
        stored, columns = W.T, x.T
        for first in range(0, W.shape[1], THIN_SLAB):
            slab = slice(first, first + THIN_SLAB)
            y[:, slab] = (stored[slab] @ columns).T
    else:
        y = x @ W  # [row, m]
    if b is not None:
        y += b
    return y


def linear_vjp(dy: Array, W: Array) -> Array:
    """[row, m] -> [row, n]."""
    return dy @ W.T  # [row, n]


def linear_weight_grad(x: Array, dy: Array) -> tuple[Array, Array]:
    """Gradients of W [n, m] and b [m], summed over rows."""
    return x.T @ dy, dy.sum(axis=0)


# --- normalisation ------------------------------------------------------------------------------


def layer_norm(x: Array, eps: float) -> tuple[Array, Array]:
    """(x - mean) / sqrt(var + eps), before gain and bias -> (normalized [row, d_model], scale)."""
    y = x - x.mean(axis=-1, keepdims=True)  # [row, d_model]
    scale = np.sqrt(np.square(y).mean(axis=-1, keepdims=True) + x.dtype.type(eps))  # [row, 1]
    y /= scale
    return y, scale


def rms_norm(x: Array, eps: float) -> tuple[Array, Array]:
    """x / sqrt(mean(x^2) + eps), before the gain -> (normalized [row, d_model], scale [row, 1])."""
    scale = np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + x.dtype.type(eps))  # [row, 1]
    return x / scale, scale


def rms_norm_vjp(dy: Array, normalized: Array, scale: Array) -> tuple[Array, Array]:
    """Gradient of the normalized rows -> (gradient of x [row, d_model], of scale [row, 1])."""
    through = np.einsum("...d,...d->...", dy, normalized)[..., None]  # [row, 1]
    dx = dy - normalized * (through / dy.shape[-1])  # [row, d_model]
    dx /= scale
    return dx, -through / scale


def layer_norm_vjp(dy: Array, normalized: Array, scale: Array) -> tuple[Array, Array]:
    """As `rms_norm_vjp`, and centred: the mean was taken away."""
    dx, d_scale = rms_norm_vjp(dy, normalized, scale)
    dx -= dx.mean(axis=-1, keepdims=True)
    return dx, d_scale


# --- activation functions -----------------------------------------------------------------------

_GELU_C = math.sqrt(2.0 / math.pi)
_GELU_A = 0.044715  # Hendrycks & Gimpel 2016 (arXiv:1606.08415), tanh approximation


def relu(x: Array, out: Array | None = None) -> Array:
    return np.maximum(x, 0, out=out)


def relu_vjp(dy: Array, x: Array) -> Array:
    return dy * (x > 0)


def _gelu_inner_tanh(x: Array) -> Array:
    inner = np.square(x)  # never x**3: NumPy calls pow for it
    inner *= _GELU_A
    inner += 1.0
    inner *= x
    inner *= _GELU_C
    return np.tanh(inner, out=inner)


def gelu_tanh(x: Array, out: Array | None = None) -> Array:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): GPT-2's "gelu_new"."""
    gate = _gelu_inner_tanh(x)
    gate += 1.0
    gate *= 0.5
    return np.multiply(x, gate, out=out)


def gelu_tanh_vjp(dy: Array, x: Array) -> Array:
    gate = _gelu_inner_tanh(x)
    slope = 1.0 - np.square(gate)
    slope *= _GELU_C * (1.0 + 3.0 * _GELU_A * np.square(x))
    slope *= x
    slope += 1.0 + gate
    slope *= 0.5
    slope *= dy
    return slope


# Rational approximation of erf on [-4, 4], odd numerator over even denominator in x^2 (the float32
# coefficients in common use; checked against math.erf to 5e-7 in tests/engine/test_ops.py).
_ERF_P = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_Q = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)


def erf(x: Array) -> Array:
    """Error function; float32 by a rational approximation, float64 exactly (slowly)."""
    if x.dtype != np.float32:
        return np.vectorize(math.erf, otypes=[x.dtype])(x)
    x = np.clip(x, -4.0, 4.0)
    square = np.square(x)
    top = np.full_like(x, _ERF_P[0])
    for coefficient in _ERF_P[1:]:
        top *= square
        top += np.float32(coefficient)
    bottom = np.full_like(x, _ERF_Q[0])
    for coefficient in _ERF_Q[1:]:
        bottom *= square
        bottom += np.float32(coefficient)
    top *= x
    top /= bottom
    return top


def gelu(x: Array, out: Array | None = None) -> Array:
    """x Phi(x), with the exact normal distribution: "gelu" of Pythia."""
    gate = erf(x * x.dtype.type(math.sqrt(0.5)))
    gate += 1.0
    gate *= 0.5
    return np.multiply(x, gate, out=out)


def gelu_vjp(dy: Array, x: Array) -> Array:
    slope = erf(x * x.dtype.type(math.sqrt(0.5)))
    slope += 1.0
    slope *= 0.5
    slope += x * np.exp(-0.5 * np.square(x)) * x.dtype.type(1.0 / math.sqrt(2.0 * math.pi))
    slope *= dy
    return slope


def _sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) through tanh, which cannot overflow."""
    gate = np.multiply(x, 0.5)
    np.tanh(gate, out=gate)
    gate += 1.0
    gate *= 0.5
    return gate


def silu(x: Array, out: Array | None = None) -> Array:
    """x sigmoid(x)."""
    return np.multiply(x, _sigmoid(x), out=out)


def silu_vjp(dy: Array, x: Array) -> Array:
    gate = _sigmoid(x)
    slope = 1.0 - gate
    slope *= x
    slope += 1.0
    slope *= gate
    slope *= dy
    return slope


@dataclass(frozen=True)
class Activation:
    """An elementwise function f(x, out=None) and its vjp(dy, x)."""

    forward: Callable[..., Array]
    vjp: Callable[[Array, Array], Array]


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu, relu_vjp),
    "gelu": Activation(gelu, gelu_vjp),
    "gelu_new": Activation(gelu_tanh, gelu_tanh_vjp),
    "gelu_fast": Activation(gelu_tanh, gelu_tanh_vjp),
    "gelu_pytorch_tanh": Activation(gelu_tanh, gelu_tanh_vjp),
    "silu": Activation(silu, silu_vjp),
}

# --- rotary positions ---------------------------------------------------------------------------


def rotate(x: Array, cos: Array, sin: Array, adjacent: bool = False) -> Array:
    """Rotate pairs of the first 2 * n_pairs entries of each head by their position's angle.

    x [..., head, d_head], cos and sin [..., 1, n_pairs] -> fresh [..., head, d_head]. Pairs are
    (i, i + n_pairs) ("half-split", GPT-NeoX and Llama) or, if `adjacent`, (2i, 2i + 1).
    """
    y = x.copy()  # [..., head, d_head]
    n = cos.shape[-1]
    first, second = _pairs(x, n, adjacent)
    y_first, y_second = _pairs(y, n, adjacent)
    np.multiply(first, cos, out=y_first)
    y_first -= second * sin
    np.multiply(second, cos, out=y_second)
    y_second += first * sin
    return y


def rotate_vjp(dy: Array, cos: Array, sin: Array, adjacent: bool = False) -> Array:
    """A rotation's transpose is the rotation back."""
    return rotate(dy, cos, -sin, adjacent)


def _pairs(x: Array, n: int, adjacent: bool) -> tuple[Array, Array]:
    if adjacent:
        return x[..., 0 : 2 * n : 2], x[..., 1 : 2 * n : 2]
    return x[..., :n], x[..., n : 2 * n]


# --- attention ----------------------------------------------------------------------------------


def attention_scores(q: Array, k: Array, scale: float) -> Array:
    """q k^T / scale: q [batch, query, head, d_head], k [batch, key, kv_head, d_head].

    -> fresh [batch, head, query, key]. Several query heads may share one key head.
    """
    batch, n_query, n_heads, _ = q.shape
    n_kv, n_key = k.shape[2], k.shape[1]
    keys = k.transpose(0, 2, 3, 1)  # [batch, kv_head, d_head, key]
    if n_kv == n_heads:
        scores = q.transpose(0, 2, 1, 3) @ keys  # [batch, head, query, key]
    else:
        scores = _by_kv_head(q, n_kv) @ keys  # [batch, kv_head, group * query, key]
        scores = scores.reshape(batch, n_heads, n_query, n_key)
    scores *= q.dtype.type(1.0 / scale)
    return scores


def _by_kv_head(x: Array, n_kv: int) -> Array:
    """[batch, query, head, d] -> [batch, kv_head, group * query, d], a group's heads together."""
    batch, n_query, n_heads, d = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, n_kv, (n_heads // n_kv) * n_query, d)


def softmax(x: Array, out: Array | None = None) -> Array:
    """Softmax over the last axis; a row of which every entry is -inf gives zeros."""
    top = x.max(axis=-1, keepdims=True)
    top[top == -np.inf] = 0.0
    y = np.subtract(x, top, out=out)
    np.exp(y, out=y)
    total = y.sum(axis=-1, keepdims=True)
    total[total == 0.0] = 1.0
    y /= total
    return y


def softmax_vjp(dy: Array, y: Array) -> Array:
    """dy, y [..., key] -> gradient of the scores."""
    dx = dy * y  # [..., key]
    dx -= y * dx.sum(axis=-1, keepdims=True)
    return dx


def attend(pattern: Array, v: Array) -> Array:
    """pattern [batch, head, query, key], v [batch, key, kv_head, d_head] -> z.

    z [batch, query, head, d_head], contiguous.
    """
    batch, n_heads, n_query, n_key = pattern.shape
    n_kv, d_head = v.shape[2], v.shape[3]
    values = v.transpose(0, 2, 1, 3)  # [batch, kv_head, key, d_head]
    if n_kv != n_heads:
        pattern = pattern.reshape(batch, n_kv, (n_heads // n_kv) * n_query, n_key)
    z = pattern @ values  # [batch, kv_head, group * query, d_head]
    z = z.reshape(batch, n_heads, n_query, d_head)
    return np.ascontiguousarray(z.transpose(0, 2, 1, 3))  # [batch, query, head, d_head]


def attend_vjp(dz: Array, pattern: Array, v: Array) -> tuple[Array, Array]:
    """Gradient of z -> of pattern [batch, head, query, key] and v [batch, key, kv_head, d_head]."""
    batch, n_heads, n_query, n_key = pattern.shape
    n_kv = v.shape[2]
    grouped = _by_kv_head(dz, n_kv)  # [batch, kv_head, group * query, d_head]
    d_pattern = grouped @ v.transpose(0, 2, 3, 1)  # [batch, kv_head, group * query, key]
    folded = pattern.reshape(batch, n_kv, (n_heads // n_kv) * n_query, n_key)
    dv = folded.transpose(0, 1, 3, 2) @ grouped  # [batch, kv_head, key, d_head]
    return d_pattern.reshape(pattern.shape), dv.transpose(0, 2, 1, 3)


def attention_scores_vjp(ds: Array, q: Array, k: Array, scale: float) -> tuple[Array, Array]:
    """Gradient of the scores -> of q [batch, query, head, d_head], k [batch, key, kv, d_head]."""
    batch, n_query, n_heads, d_head = q.shape
    n_kv, n_key = k.shape[2], k.shape[1]
    folded = ds.reshape(batch, n_kv, (n_heads // n_kv) * n_query, n_key)
    dq = folded @ k.transpose(0, 2, 1, 3)  # [batch, kv_head, group * query, d_head]
    dk = folded.transpose(0, 1, 3, 2) @ _by_kv_head(q, n_kv)  # [batch, kv_head, key, d_head]
    dq *= q.dtype.type(1.0 / scale)
    dk *= q.dtype.type(1.0 / scale)
    dq = dq.reshape(batch, n_heads, n_query, d_head).transpose(0, 2, 1, 3)
    return dq, dk.transpose(0, 2, 1, 3)


# --- the output ---------------------------------------------------------------------------------


def log_softmax(logits: Array) -> Array:
    """[..., d_vocab] -> fresh log probabilities, in nats."""
    y = logits - logits.max(axis=-1, keepdims=True)  # [..., d_vocab]
    y -= np.log(np.exp(y).sum(axis=-1, keepdims=True))
    return y


def cross_entropy(logits: Array, targets: npt.NDArray[np.integer]) -> tuple[float, Array]:
    """Mean -log p(target) over rows, in nats, and its gradient [row, d_vocab]. No one-hot."""
    rows = np.arange(len(targets))
    logp = log_softmax(logits)  # [row, d_vocab]
    loss = -float(logp[rows, targets].mean(dtype=np.float64))
    grad = np.exp(logp, out=logp)  # [row, d_vocab]
    grad[rows, targets] -= 1.0
    grad /= len(targets)
    return loss, grad

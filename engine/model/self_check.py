"""Six identities that any correct run satisfies, measured on the model that is open.

They hold for every transformer, so a deviation means a fault in the reading of this model, and the
window shows the largest one. Run on a few tokens drawn with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.model.backward import backward, tape_names
from engine.model.resume import Patch, base_names, resume
from engine.model.weights import Array, Ids

if TYPE_CHECKING:
    from engine.model.config import ModelConfig
    from engine.model.transformer import Pass, Transformer

TOKENS = 8
EXACT = 1e-4  # float32 sums over a whole network, relative to the largest value compared
SLOPE = 2e-3  # a float32 central difference is no better than this


@dataclass(frozen=True)
class Check:
    """One identity: its largest deviation, relative to the largest value, and its limit."""

    name: str
    deviation: float
    limit: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.deviation <= self.limit


@dataclass(frozen=True)
class SelfCheck:
    """All identities of one model."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def worst(self) -> float:
        """The largest deviation among the exact identities (the slope has a limit of its own)."""
        exact = [check.deviation for check in self.checks if check.limit <= EXACT]
        return max(exact, default=0.0)

    @property
    def sentence(self) -> str:
        good = sum(check.passed for check in self.checks)
        if self.passed:
            return f"{good} of {len(self.checks)}, worst {self.worst:.1e}"
        failed = next(check for check in self.checks if not check.passed)
        return f"{failed.name} is off by {failed.deviation:.1e}, limit {failed.limit:.0e}"


def self_check(model: Transformer, watch: Callable[[], None] | None = None) -> SelfCheck:
    """Measure every identity on two random prompts of up to eight tokens."""
    view = model.under((), watch)
    clean, corrupted = _prompts(model.config)  # [pos]
    run = view.forward(clean, names=(*tape_names(view), *_outputs(view)))
    other = view.forward(corrupted, names=base_names(view, ("hook_resid_pre",)))
    return SelfCheck((
        _stream(view, run),
        _attribution(view, run),
        *_patching(view, run, other),
        _resume(view, run, other),
        _slope(view, run, clean),
    ))  # fmt: skip


def _prompts(cfg: ModelConfig) -> Ids:
    """Two prompts of random tokens [2, pos], none of them the one that is masked."""
    masked = [] if cfg.mask_token is None else [cfg.mask_token]
    allowed = np.setdiff1d(np.arange(min(cfg.d_vocab, 50_000)), masked)
    if not len(allowed):  # one token, which is masked: then it is
        allowed = np.array(masked)
    return np.random.default_rng(0).choice(allowed, (2, min(TOKENS, cfg.n_ctx)))


def _outputs(model: Transformer) -> list[str]:
    written = ("hook_attn_out", "hook_mlp_out", "hook_embed", "hook_pos_embed")
    return [name for name in model.hooks() if name.endswith(written)]


def _relative(difference: Array, size: Array | float) -> float:
    top = float(np.abs(difference).max(initial=0.0))
    largest = float(np.abs(size).max(initial=0.0))
    return top / largest if largest > 0 else top


def _components(model: Transformer, run: Pass) -> list[Array]:
    """Everything that is added into the residual stream [pos, d_model], in float64."""
    skip = "hook_pos_embed" if model.config.positional_embedding_type == "shortformer" else "-"
    names = [name for name in _outputs(model) if name != skip]
    return [run.cache[name][0].astype(np.float64) for name in names]


def _stream(model: Transformer, run: Pass) -> Check:
    end = run.cache[f"blocks.{model.config.n_layers - 1}.hook_resid_post"][0]  # [pos, d_model]
    total = sum(_components(model, run))
    return Check("contributions sum to the residual stream", _relative(total - end, end), EXACT)


def _attribution(model: Transformer, run: Pass) -> Check:
    """Direct logit attribution with the cached final scale: sum = logit - b_U - beta W_U."""
    w, cfg = model.weights, model.config
    token = int(run.logits[0, -1].argmax())
    direction = w.W_U[:, token].astype(np.float64)  # [d_model]
    constant = float(w.b_U[token]) if w.b_U is not None else 0.0
    scale = 1.0
    if w.ln_final is not None:
        if w.ln_final.b is not None:
            constant += float(w.ln_final.b.astype(np.float64) @ direction)
        direction = direction * w.ln_final.w
        scale = float(run.cache["ln_final.hook_scale"][0, -1, 0])
    parts = []
    for component in _components(model, run):
        row = component[-1]  # [d_model]
        centred = row - row.mean() if cfg.normalization_type == "LN" else row
        parts.append(float(centred @ direction) / scale)
    difference = abs(sum(parts) - (float(run.logits[0, -1, token]) - constant))
    size = sum(abs(part) for part in parts)
    return Check("direct logit attribution sums to the logit", difference / max(size, 1e-30), EXACT)


def _patching(model: Transformer, run: Pass, base: Pass) -> tuple[Check, Check]:
    """All patched at the first layer gives the clean run; nothing patched the corrupted one."""
    first = "blocks.0.hook_resid_pre"
    positions = np.arange(run.tokens.shape[1])
    everything = [Patch(first, positions, run.cache[first][0])]
    nothing = [Patch(first, positions, base.cache[first][0])]
    logits = resume(model, base, [everything, nothing])  # [2, d_vocab_out]
    clean, corrupted = run.logits[0, -1], base.logits[0, -1]  # [d_vocab_out]
    off = [_relative(logits[0] - clean, clean), _relative(logits[1] - corrupted, corrupted)]
    return (
        Check("patching everything gives the clean run", off[0], EXACT),
        Check("patching nothing gives the corrupted run", off[1], EXACT),
    )


def _resume(model: Transformer, run: Pass, base: Pass) -> Check:
    """One position patched in the middle layer: resumed, and as one full run with a tap."""
    layer, n = model.config.n_layers // 2, run.tokens.shape[1]
    name, at = f"blocks.{layer}.hook_resid_pre", n // 2
    value = run.cache[name][0, at : at + 1]  # [1, d_model]

    def swap(hook: str, activation: Array) -> Array | None:
        if hook != name:
            return None
        changed = activation.copy()
        changed[0, at] = value[0]
        return changed

    full = model.forward(base.tokens, tap=swap, logits="last").logits[0, -1]  # [d_vocab_out]
    quick = resume(model, base, [[Patch(name, np.array([at]), value)]])[0]  # [d_vocab_out]
    return Check("a resumed run equals the full run", _relative(quick - full, full), EXACT)


def _slope(model: Transformer, run: Pass, tokens: Ids) -> Check:
    """The gradient against a central difference along the gradient's own direction."""
    logits = run.logits[0, -1]  # [d_vocab_out]
    high, low = int(logits.argmax()), int(logits.argmin())
    seed = np.zeros_like(run.logits)  # [batch, pos, d_vocab_out]
    seed[0, -1, high], seed[0, -1, low] = 1.0, -1.0
    name = f"blocks.{model.config.n_layers // 2}.hook_resid_pre"
    grad = backward(model, run, seed, names=[name]).cache[name]  # [batch, pos, d_model]
    steepness = float(np.sqrt(np.square(grad, dtype=np.float64).sum()))
    if steepness == 0.0 or high == low:
        return Check("the gradient equals a difference quotient", 0.0, SLOPE, "gradient is zero")
    stream = run.cache[name]  # [batch, pos, d_model]
    size = float(np.sqrt(np.square(stream, dtype=np.float64).mean()))
    best = np.inf
    for fraction in (3e-2, 1e-2, 3e-3):  # curvature shrinks with the step, rounding grows
        step = (grad / steepness * (fraction * size)).astype(stream.dtype)
        ends = []
        for moved in (stream + step, stream - step):
            tap = _replacing(name, moved)
            out = model.forward(tokens, tap=tap, logits="last").logits[0, -1].astype(np.float64)
            ends.append(out[high] - out[low])
        length = float(np.sqrt(np.square(step, dtype=np.float64).sum()))
        best = min(best, float(abs((ends[0] - ends[1]) / (2 * length) - steepness) / steepness))
    return Check("the gradient equals a difference quotient", best, SLOPE, "float32 differences")


def _replacing(name: str, value: Array) -> Callable[[str, Array], Array | None]:
    return lambda hook, _: value if hook == name else None

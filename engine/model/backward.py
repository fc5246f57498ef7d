"""backward: the gradient of a scalar at every named activation, and at every weight if asked.

The activations that `forward` kept are the tape: each step of the forward pass is undone by the vjp
of its op, in reverse. A gradient is offered under its activation's name, as the total derivative of
the scalar with respect to that activation (TransformerLens' backward hooks give the same).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import RunError
from engine.model import ops
from engine.model.attention import Mask, rotary_tables
from engine.model.taps import ActivationCache, chooser
from engine.model.weights import Array, Block, Norm

if TYPE_CHECKING:
    from engine.model.protocol import Names
    from engine.model.transformer import Pass, Transformer


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients at activations by hook name and, if asked for, at weights by their name."""

    cache: ActivationCache
    weights: dict[str, Array]


def tape_names(model: Transformer) -> tuple[str, ...]:
    """The activations that a pass must keep so that `backward` can run over it."""
    skip = ("attn_scores", "attn_out", "mlp_out", "hook_embed", "unembed.hook_in", "hook_out")
    read = {entry.name for entry in model.interventions if entry.reads}
    return tuple(name for name in model.hooks() if name in read or not name.endswith(skip))


def backward(
    model: Transformer,
    run: Pass,
    seed: Array,
    *,
    names: Names = "all",
    weights: bool = False,
    grad_tap: Callable[[str, Array], Array | None] | None = None,
) -> Gradients:
    """Gradients of sum(seed * logits), seed [batch, pos, d_vocab_out] as run.logits.

    run: a forward pass that kept `tape_names`. `grad_tap(name, gradient)` sees each gradient and
    may return another to go on with. names: which gradients to keep.
    """
    missing = [name for name in tape_names(model) if name not in run.cache]
    if missing:
        raise RunError(f"backward needs {missing[0]} of the forward pass; keep `tape_names`")
    walk = _Walk(model, run, chooser(names, model.hooks()), grad_tap, weights)
    walk.all(seed)
    ordered = {name: walk.kept[name] for name in model.hooks() if name in walk.kept}
    return Gradients(ActivationCache(ordered), walk.weights)


class _Walk:
    """One walk from the logits back to the embeddings."""

    def __init__(
        self, model: Transformer, run: Pass, keep: frozenset[str], grad_tap: Callable | None,
        weights: bool,
    ) -> None:  # fmt: skip
        self.model, self.cfg, self.cache, self.tokens = model, model.config, run.cache, run.tokens
        self.keep, self.grad_tap, self.want_weights = keep, grad_tap, weights
        self.kept: dict[str, Array] = {}
        self.weights: dict[str, Array] = {}
        position = np.broadcast_to(np.arange(run.tokens.shape[1]), run.tokens.shape)
        self.position = position
        self.d_pos: Array | None = None  # [batch, pos, d_model], of shortformer positions
        self.given = run.given
        self.changes: dict[str, list] = {}
        for entry in model.interventions:
            self.changes.setdefault(entry.name, []).insert(0, entry)

    def all(self, seed: Array) -> None:
        cfg, w = self.cfg, self.model.weights
        last = f"blocks.{cfg.n_layers - 1}.hook_resid_post"
        x = self.cache[last]  # [batch, pos, d_model]
        normed = self._again("unembed.hook_in", self._normed(w.ln_final, "ln_final.", x))
        seed = self._see("unembed.hook_out", seed)
        self._linear_grads("W_U", "b_U" if w.b_U is not None else "", normed, seed)
        dy = self._see("unembed.hook_in", self._through(seed, w.W_U))  # [batch, pos, d_model]
        dx = self._norm(w.ln_final, "ln_final.", x, dy)
        for layer in reversed(range(cfg.n_layers)):
            dx = self._block(layer, w.blocks[layer], dx)
        self._embeddings(dx)

    def _see(self, name: str, grad: Array) -> Array:
        """Offer a gradient, then take it back through what interventions did to the activation."""
        if self.model.watch is not None:
            self.model.watch()
        if self.grad_tap is not None:
            other = self.grad_tap(name, grad)
            grad = grad if other is None else other
        if name in self.keep:
            self.kept[name] = grad
        for entry in self.changes.get(name, ()):
            grad = entry.vjp(grad, self.position, self.given.get(entry))
        return grad

    def _again(self, name: str, value: Array) -> Array:
        """What interventions made of an activation that is not on the tape."""
        for entry in reversed(self.changes.get(name, [])):
            value = entry.apply(value, self.position)
        return value

    def _block(self, layer: int, block: Block, d_post: Array) -> Array:
        cfg, at = self.cfg, f"blocks.{layer}."
        d_post = self._see(f"{at}hook_resid_post", d_post)  # [batch, pos, d_model]
        pre = self.cache[f"{at}hook_resid_pre"]
        if cfg.attn_only:
            dx = d_post + self._attention(layer, block, pre, d_post)
        elif cfg.parallel_attn_mlp:
            dx = d_post + self._mlp(layer, block, pre, d_post)
            dx += self._attention(layer, block, pre, d_post)
        else:
            mid = self.cache[f"{at}hook_resid_mid"]
            d_mid = d_post + self._mlp(layer, block, mid, d_post)
            d_mid = self._see(f"{at}hook_resid_mid", d_mid)
            dx = d_mid + self._attention(layer, block, pre, d_mid)
        return self._see(f"{at}hook_resid_pre", dx)

    def _mlp(self, layer: int, block: Block, source: Array, d_out: Array) -> Array:
        """Gradient of the MLP's output -> of the stream it read, through its norm."""
        at = f"blocks.{layer}."
        if block.W_in is None or block.W_out is None:
            raise ValueError("this layer has no MLP")
        vjp = ops.ACTIVATIONS[self.cfg.act_fn].vjp
        forward = ops.ACTIVATIONS[self.cfg.act_fn].forward
        d_out = self._see(f"{at}hook_mlp_out", d_out)
        self._linear_grads(
            f"{at}W_out", self._bias(block, at, "b_out"), self.cache[f"{at}mlp.hook_post"], d_out
        )
        d_post = self._see(f"{at}mlp.hook_post", self._through(d_out, block.W_out))
        pre = self.cache[f"{at}mlp.hook_pre"]  # [batch, pos, d_mlp]
        normed = self._normed(block.ln2, f"{at}ln2.", source)
        if block.W_gate is None:
            d_pre = self._see(f"{at}mlp.hook_pre", vjp(d_post, pre))
            self._linear_grads(f"{at}W_in", self._bias(block, at, "b_in"), normed, d_pre)
            dh = self._through(d_pre, block.W_in)
        else:
            up = self.cache[f"{at}mlp.hook_pre_linear"]  # [batch, pos, d_mlp]
            d_up = self._see(f"{at}mlp.hook_pre_linear", d_post * forward(pre))
            d_pre = self._see(f"{at}mlp.hook_pre", vjp(d_post * up, pre))
            self._linear_grads(f"{at}W_in", self._bias(block, at, "b_in"), normed, d_up)
            self._linear_grads(f"{at}W_gate", self._bias(block, at, "b_gate"), normed, d_pre)
            dh = self._through(d_up, block.W_in) + self._through(d_pre, block.W_gate)
        return self._norm(block.ln2, f"{at}ln2.", source, dh)

    def _attention(self, layer: int, block: Block, source: Array, d_out: Array) -> Array:
        """Gradient of the attention's output -> of the stream it read, through its norm."""
        cfg, at, cache = self.cfg, f"blocks.{layer}.", self.cache
        d_out = self._see(f"{at}hook_attn_out", d_out)
        z = cache[f"{at}attn.hook_z"]  # [batch, pos, head, d_head]
        flat = z.reshape(*z.shape[:2], -1)  # [batch, pos, d_attn]
        self._linear_grads(f"{at}W_O", self._bias(block, at, "b_O"), flat, d_out)
        dz = self._see(f"{at}attn.hook_z", self._through(d_out, block.W_O).reshape(z.shape))
        pattern, v = cache[f"{at}attn.hook_pattern"], cache[f"{at}attn.hook_v"]
        d_pattern, dv = ops.attend_vjp(dz, pattern, v)
        d_pattern = self._see(f"{at}attn.hook_pattern", d_pattern)
        rotary = rotary_tables(cfg, self.position[0])
        rot = "rot_" if rotary is not None else ""
        q, k = cache[f"{at}attn.hook_{rot}q"], cache[f"{at}attn.hook_{rot}k"]
        if f"{at}attn.hook_pattern" in self.changes:
            pattern = self._pattern_before(layer, q, k)
        ds = self._see(f"{at}attn.hook_attn_scores", ops.softmax_vjp(d_pattern, pattern))
        dq, dk = ops.attention_scores_vjp(ds, q, k, cfg.scale_of(layer))
        if rotary is not None:
            dq = self._see(f"{at}attn.hook_rot_q", dq)
            dk = self._see(f"{at}attn.hook_rot_k", dk)
            dq = ops.rotate_vjp(dq, *rotary, cfg.rotary_adjacent_pairs)
            dk = ops.rotate_vjp(dk, *rotary, cfg.rotary_adjacent_pairs)
        dq = self._see(f"{at}attn.hook_q", dq)
        dk = self._see(f"{at}attn.hook_k", dk)
        dv = self._see(f"{at}attn.hook_v", dv)
        dh = self._qkv(block, at, source, dq, dk, dv)
        return self._norm(block.ln1, f"{at}ln1.", source, dh)

    def _pattern_before(self, layer: int, q: Array, k: Array) -> Array:
        """The pattern [batch, head, query, key] as it was before interventions on it."""
        scores = ops.attention_scores(q, k, self.cfg.scale_of(layer))
        Mask.of(self.cfg, self.tokens).layer(layer).apply(scores)
        scores = self._again(f"blocks.{layer}.attn.hook_attn_scores", scores)
        return ops.softmax(scores, out=scores)

    def _qkv(self, block: Block, at: str, source: Array, dq: Array, dk: Array, dv: Array) -> Array:
        """Gradients of q, k, v -> of the normalised stream that the projections read."""
        rows = dq.shape[:2]
        parts = [grad.reshape(*rows, -1) for grad in (dq, dk, dv)]
        normed = self._normed(block.ln1, f"{at}ln1.", source)
        bias = self._bias(block, at, "b_QKV")
        W_pos = self.model.weights.W_pos
        if self.cfg.positional_embedding_type != "shortformer" or W_pos is None:
            d_qkv = np.concatenate(parts, axis=-1)  # [batch, pos, d_attn + 2 d_kv]
            self._linear_grads(f"{at}W_QKV", bias, normed, d_qkv)
            return self._through(d_qkv, block.W_QKV)
        split = self.cfg.d_attn + self.cfg.d_kv
        d_qk, d_v = np.concatenate(parts[:2], axis=-1), parts[2]
        d_moved = self._through(d_qk, block.W_QKV[:, :split])  # [batch, pos, d_model]
        if self.want_weights:
            moved = (normed + self.cache["hook_pos_embed"]).reshape(-1, normed.shape[-1])
            grad = np.empty_like(block.W_QKV)
            np.matmul(moved.T, d_qk.reshape(-1, split), out=grad[:, :split])
            flat = normed.reshape(-1, normed.shape[-1])
            np.matmul(flat.T, d_v.reshape(len(flat), -1), out=grad[:, split:])
            self.weights[f"{at}W_QKV"] = grad
            if bias:
                self.weights[bias] = np.concatenate([d_qk, d_v], -1).sum(axis=(0, 1))
        self.d_pos = d_moved if self.d_pos is None else self.d_pos + d_moved
        return d_moved + self._through(d_v, block.W_QKV[:, split:])

    def _embeddings(self, dx: Array) -> None:
        w = self.model.weights
        if w.W_pos is not None:
            shared = self.cfg.positional_embedding_type == "standard"  # added to the stream itself
            d_pos = self._see("hook_pos_embed", dx if shared or self.d_pos is None else self.d_pos)
            if self.want_weights:
                grad = np.zeros_like(w.W_pos)  # [n_ctx, d_model]
                grad[: d_pos.shape[1]] = d_pos.sum(axis=0)
                self.weights["W_pos"] = grad
        dx = self._see("hook_embed", dx)
        if self.want_weights:
            grad = np.zeros_like(w.W_E)  # [d_vocab, d_model]
            np.add.at(grad, self.tokens.reshape(-1), dx.reshape(-1, dx.shape[-1]))
            self.weights["W_E"] = grad

    # --- norms and products ----------------------------------------------------------------------

    def _normed(self, norm: Norm | None, at: str, x: Array) -> Array:
        """What the sublayer read: the norm's output with its gain, from the tape."""
        if norm is None:
            return x
        y = self.cache[f"{at}hook_normalized"] * norm.w  # [batch, pos, d_model]
        return y if norm.b is None else y + norm.b

    def _norm(self, norm: Norm | None, at: str, x: Array, dy: Array) -> Array:
        """Gradient of the norm's output -> of its input x."""
        if norm is None:
            return dy
        scale, normalized = self.cache[f"{at}hook_scale"], self.cache[f"{at}hook_normalized"]
        self._norm_grads(norm, at, normalized, dy)
        rms = self.cfg.is_rms(at)
        plain = normalized  # [batch, pos, d_model], what x alone makes of it
        if self.changes.keys() & {f"{at}hook_scale", f"{at}hook_normalized"}:
            plain, own = (ops.rms_norm if rms else ops.layer_norm)(x, self.cfg.eps)
            normalized = plain * (own / scale)
        dy = self._see(f"{at}hook_normalized", dy * norm.w)
        dx, d_scale = (ops.rms_norm_vjp if rms else ops.layer_norm_vjp)(dy, normalized, scale)
        other = self._see(f"{at}hook_scale", d_scale)
        if other is not d_scale or plain is not normalized:
            # d scale / d x = plain / d_model, for both norms: another part comes through the scale.
            dx += (other * plain - d_scale * normalized) / plain.shape[-1]
        return dx

    def _norm_grads(self, norm: Norm, at: str, plain: Array, dy: Array) -> None:
        if self.want_weights:
            self.weights[f"{at}w"] = (plain * dy).sum(axis=(0, 1))  # [d_model]
            if norm.b is not None:
                self.weights[f"{at}b"] = dy.sum(axis=(0, 1))  # [d_model]

    def _through(self, dy: Array, W: Array) -> Array:
        """dy [..., m] -> [..., n] through W [n, m]."""
        return self.model.linear(dy, W.T)

    def _linear_grads(self, name: str, bias: str, x: Array, dy: Array) -> None:
        if not self.want_weights:
            return
        flat = x.reshape(-1, x.shape[-1])  # [row, n]
        dW, db = ops.linear_weight_grad(flat, dy.reshape(len(flat), -1))
        self.weights[name] = dW
        if bias:
            self.weights[bias] = db

    def _bias(self, block: Block, at: str, name: str) -> str:
        return f"{at}{name}" if getattr(block, name) is not None else ""

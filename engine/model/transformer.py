"""Transformer: the forward pass of every family in one place, each activation offered by name.

Elhage et al. 2021's residual-stream view; hook names and shapes as in TransformerLens. The same
row-wise pieces (`normalize`, `project_qkv`, `mlp`) serve `forward`, `resume` and generation, so a
number is computed by one piece of code wherever it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.errors import RunError
from engine.model import ops
from engine.model.attention import Mask, attention, rotary_tables
from engine.model.config import ModelConfig
from engine.model.hooks import hook_axes, optional_axes
from engine.model.in_force import Fired, InForce, in_force
from engine.model.interventions import Intervention
from engine.model.protocol import Names, Tap
from engine.model.taps import ActivationCache, Taps, chooser
from engine.model.weights import Array, Block, Ids, Norm, Weights

SLAB_FLOPS = 4e9  # one matrix product between two looks at Stop: under 100 ms on a slow core


@dataclass(frozen=True, eq=False)
class Pass:
    """One forward pass: tokens [batch, pos], logits [batch, pos, d_vocab_out], kept activations.

    given: what interventions that read their activation were given of those kept, for `backward`.
    """

    tokens: Ids
    logits: Array
    cache: ActivationCache
    given: Mapping[InForce, Array] = field(default_factory=dict)

    def example(self, index: int) -> Pass:
        """One prompt of the batch, batch axis kept."""
        one = slice(index, index + 1)
        cache = ActivationCache({name: array[one] for name, array in self.cache.items()})
        given = {entry: array[one] for entry, array in self.given.items()}
        return Pass(self.tokens[one], self.logits[one], cache, given)


@dataclass(eq=False)
class Past:
    """Keys and values of the positions already read, one [batch, n, kv_head, d_head] per layer."""

    k: list[Array]
    v: list[Array]
    length: int = 0


@dataclass(eq=False)
class Transformer:
    """A loaded model. `under` gives the view that techniques work on; nothing here ever changes."""

    name: str
    config: ModelConfig
    weights: Weights
    tokenizer: Any = None
    folder: Path | None = None
    digest: str = ""
    interventions: Sequence[InForce] = ()
    watch: Callable[[], None] | None = None
    n_params: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        tied = self.config.tied
        self.n_params = sum(
            array.size for name, array in self.weights.named() if not (tied and name == "W_U")
        )

    # --- what a technique may ask --------------------------------------------------------------

    def hooks(self) -> dict[str, str]:
        """Hook name -> axis names, in the order of the forward pass."""
        return hook_axes(self.config)

    def under(
        self,
        interventions: Sequence[Intervention] = (),
        watch: Callable[[], None] | None = None,
    ) -> Transformer:
        """This model with interventions in force; `watch` is called between activations.

        Values of other prompts are computed now, once, by passes without interventions. RunError
        where one makes no sense for this model or what it reads is not there.
        """
        known = self.hooks()
        for entry in interventions:
            entry.check(known, self.config)
        plain = replace(self, interventions=(), watch=watch)
        return replace(plain, interventions=in_force(plain, interventions))

    def fired(self) -> tuple[Fired, ...]:
        """What each intervention of this view has done since the view was made."""
        return tuple(entry.fired for entry in self.interventions)

    def listen(self) -> None:
        """Raise Cancelled if Stop was pressed: for loops between forward passes."""
        if self.watch is not None:
            self.watch()

    def tokens(self, prompt: str | Sequence[int] | Ids, bos: str = "auto") -> Ids:
        """A prompt's exact token ids [pos]: text through the tokenizer, ids as they are."""
        if isinstance(prompt, str):
            if self.tokenizer is None:
                raise RunError(f"{self.name} has no tokenizer; write the prompt as token ids")
            if not prompt:
                raise RunError("the prompt is empty: write at least one token")
            ids = np.asarray(self.tokenizer.encode(prompt, bos), np.int64)  # [pos]
        else:
            ids = np.asarray(prompt)  # [pos]
        return self.check(ids)

    def check(self, ids: Ids) -> Ids:
        """Token ids within the vocabulary and the context; RunError says what is wrong."""
        ids = np.asarray(ids)
        if ids.size == 0:
            raise RunError("the prompt is empty: write at least one token")
        if not np.issubdtype(ids.dtype, np.integer):
            raise RunError(f"token ids are integers, not {ids.dtype}")
        if ids.shape[-1] > self.config.n_ctx:
            raise RunError(
                f"the prompt has {ids.shape[-1]} tokens; {self.name} reads at most "
                f"{self.config.n_ctx}: shorten it"
            )
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= self.config.d_vocab:
            wrong = low if low < 0 else high
            raise RunError(
                f"token id {wrong} is outside this vocabulary of {self.config.d_vocab} (0 to "
                f"{self.config.d_vocab - 1})"
            )
        return ids.astype(np.int64)

    def token(self, text: str | int) -> int:
        """One output token's id from its text or id; RunError if the text is several tokens."""
        if isinstance(text, str):
            if self.tokenizer is None:
                raise RunError(f"{self.name} has no tokenizer; write the token's id")
            text = int(self.tokenizer.token(text))
        if not 0 <= text < self.config.d_vocab_out:
            raise RunError(
                f"token id {text} is outside the {self.config.d_vocab_out} outputs of {self.name}"
            )
        return text

    def pieces(self, ids: Sequence[int] | Ids) -> list[str]:
        """Display texts of tokens, leading blanks kept."""
        if self.tokenizer is None:
            return [str(int(token)) for token in ids]
        return self.tokenizer.pieces([int(token) for token in ids])

    def vocabulary(self) -> list[str]:
        """Display text of every token id."""
        if self.tokenizer is None:
            return [str(token) for token in range(self.config.d_vocab)]
        return self.tokenizer.vocabulary()

    # --- the forward pass ----------------------------------------------------------------------

    def forward(
        self,
        tokens: Any,
        *,
        tap: Tap | None = None,
        names: Names = (),
        logits: Literal["all", "last", "none"] = "all",
        past: Past | None = None,
    ) -> Pass:
        """Run the model on tokens [batch, pos] or [pos], offering every activation by name.

        `tap(name, value)` sees each activation and may return a replacement of the same shape;
        `names` are kept. logits "last" computes only the last position's (axis kept), "none" none.
        `past` is what `generate` has read already; it is extended in place.
        """
        ids = np.atleast_2d(self.check(np.asarray(tokens)))  # [batch, pos]
        taps = self._taps(ids, tap, names, past.length if past else 0)
        *_, x = self._blocks(ids, taps, past)  # [batch, pos, d_model]
        if logits == "none":
            out = np.zeros((len(ids), 0, self.config.d_vocab_out), np.float32)
        else:
            read = slice(-1 if logits == "last" else 0, None)
            taps.position = taps.position[:, read]
            out = self.unembed(x[:, read], taps)
        taps.finish(whole=past is None)
        ordered = {name: taps.kept[name] for name in self.hooks() if name in taps.kept}
        ordered |= taps.kept  # then the optional ones
        return Pass(ids, out, ActivationCache(ordered), taps.given)

    def walk(self, tokens: Any, *, tap: Tap) -> Iterator[int]:
        """The same pass one block at a time, without logits: yields each layer when it is done."""
        ids = np.atleast_2d(self.check(np.asarray(tokens)))  # [batch, pos]
        taps = self._taps(ids, tap, (), 0)
        for layer, _ in enumerate(self._blocks(ids, taps, None)):
            yield layer
        taps.finish()

    def _taps(self, ids: Ids, tap: Tap | None, names: Names, start: int) -> Taps:
        keep = chooser(names, self.hooks(), optional_axes(self.config)) if names else frozenset()
        position = np.broadcast_to(np.arange(start, start + ids.shape[1]), ids.shape)
        return Taps(keep, tap, self.interventions, self.watch, position)

    def _blocks(self, ids: Ids, taps: Taps, past: Past | None) -> Iterator[Array]:
        """The residual stream [batch, pos, d_model] after each block."""
        position = taps.position[0]  # [pos]
        mask = Mask.of(self.config, ids, past.length if past else 0)
        tables = rotary_tables(self.config, position)
        x, moved = self.embed(ids, position, taps)  # [batch, pos, d_model]
        for layer in range(self.config.n_layers):
            x = self._block(layer, x, moved, taps, mask, tables, past)
            if past is not None and layer == self.config.n_layers - 1:
                past.length += ids.shape[1]
            yield x

    def embed(self, ids: Ids, position: Ids, taps: Taps) -> tuple[Array, Array | None]:
        """tokens [batch, pos] at position [pos] -> the residual stream's start.

        Beside it, for shortformer positions, what is added to the query and key inputs.
        """
        W_E, W_pos = self.weights.W_E, self.weights.W_pos
        x = taps.see("hook_embed", W_E[ids])  # [batch, pos, d_model]
        if W_pos is None:
            return x, None
        rows = np.broadcast_to(W_pos[position], x.shape)  # [batch, pos, d_model]
        rows = taps.see("hook_pos_embed", rows)
        if self.config.positional_embedding_type == "shortformer":
            return x, rows
        return x + rows, None

    def _block(
        self, layer: int, x: Array, moved: Array | None, taps: Taps, mask: Mask, tables: Any,
        past: Past | None,
    ) -> Array:  # fmt: skip
        see, at = taps.see, f"blocks.{layer}."
        cfg, block = self.config, self.weights.blocks[layer]
        x = see(f"{at}hook_resid_pre", x)  # [batch, pos, d_model]
        h = self.normalize(block.ln1, x, taps, f"{at}ln1.")  # [batch, pos, d_model]
        q, k, v = self.project_qkv(block, h, moved)  # [batch, pos, head, d_head]
        q = see(f"{at}attn.hook_q", q)
        k = see(f"{at}attn.hook_k", k)
        v = see(f"{at}attn.hook_v", v)
        if tables is not None:
            cos, sin = tables  # [pos, 1, n_pairs]
            q = see(f"{at}attn.hook_rot_q", ops.rotate(q, cos, sin, cfg.rotary_adjacent_pairs))
            k = see(f"{at}attn.hook_rot_k", ops.rotate(k, cos, sin, cfg.rotary_adjacent_pairs))
        if past is not None:
            k, v = _extended(past, layer, k, v)
        z = attention(q, k, v, mask.layer(layer), cfg.scale_of(layer), taps, f"{at}attn.")
        z = see(f"{at}attn.hook_z", z)  # [batch, pos, head, d_head]
        attn_out = self._attn_out(block, z, taps, f"{at}attn.")
        attn_out = see(f"{at}hook_attn_out", attn_out)  # [batch, pos, d_model]
        free = attn_out if taps.idle else None  # nobody keeps it: add in place
        if cfg.attn_only:
            return see(f"{at}hook_resid_post", np.add(attn_out, x, out=free))
        if cfg.parallel_attn_mlp:
            h = self.normalize(block.ln2, x, taps, f"{at}ln2.")
            mlp_out = see(f"{at}hook_mlp_out", self.mlp(block, h, taps, f"{at}mlp."))
            post = np.add(x, attn_out, out=free)
            post += mlp_out
            return see(f"{at}hook_resid_post", post)
        mid = see(f"{at}hook_resid_mid", np.add(x, attn_out, out=free))  # [batch, pos, d_model]
        h = self.normalize(block.ln2, mid, taps, f"{at}ln2.")
        mlp_out = see(f"{at}hook_mlp_out", self.mlp(block, h, taps, f"{at}mlp."))
        free = mlp_out if taps.idle else None
        return see(f"{at}hook_resid_post", np.add(mid, mlp_out, out=free))

    # --- row-wise pieces, shared with resume; x [..., width] -------------------------------------

    def linear(self, x: Array, W: Array, b: Array | None = None) -> Array:
        """x [..., n] W [n, m] + b as one two-dimensional product, in slabs that Stop can part."""
        rows = x.reshape(-1, x.shape[-1])  # [row, n]
        slab = max(16, int(SLAB_FLOPS / (2.0 * W.shape[0] * W.shape[1])))
        if len(rows) <= slab:
            y = ops.linear(rows, W, b)  # [row, m]
        else:
            y = np.empty((len(rows), W.shape[1]), x.dtype)  # [row, m]
            for first in range(0, len(rows), slab):
                self.listen()
                np.matmul(rows[first : first + slab], W, out=y[first : first + slab])
            if b is not None:
                y += b
        return y.reshape(*x.shape[:-1], W.shape[1])

    def normalize(self, norm: Norm | None, x: Array, taps: Taps, at: str) -> Array:
        """The norm before a sublayer, with its gain and bias; x itself where there is none."""
        if norm is None:
            return x
        rms = self.config.is_rms(at)
        y, scale = (ops.rms_norm if rms else ops.layer_norm)(x, self.config.eps)
        if not np.isfinite(scale).all():  # divided by infinity, what overflowed would read as zero
            raise RunError(f"the stream that {at.rstrip('.')} reads overflows: it is not finite")
        if not taps.idle:
            seen = taps.see(f"{at}hook_scale", scale)
            if seen is not scale:  # a tap has put another scale in its place
                y = y * (scale / seen)
            y = taps.see(f"{at}hook_normalized", y)
        y = np.multiply(y, norm.w, out=y if taps.idle else None)
        if norm.b is not None:
            y += norm.b
        return y

    def project_qkv(
        self, block: Block, h: Array, moved: Array | None
    ) -> tuple[Array, Array, Array]:
        """h [*rows, d_model] -> q [*rows, head, d_head], k and v [*rows, kv_head, d_head].

        One fused product; two where `moved` [*rows, d_model] is added for q and k but not for v.
        """
        cfg, rows = self.config, h.shape[:-1]
        split = cfg.d_attn + cfg.d_kv
        if moved is not None:
            b_qk, b_v = (None, None) if block.b_QKV is None else np.split(block.b_QKV, [split])
            qk = self.linear(h + moved, block.W_QKV[:, :split], b_qk)
            v = self.linear(h, block.W_QKV[:, split:], b_v)
        else:
            qkv = self.linear(h, block.W_QKV, block.b_QKV)  # [*rows, d_attn + 2 d_kv]
            qk, v = qkv[..., :split], qkv[..., split:]
        q, k = qk[..., : cfg.d_attn], qk[..., cfg.d_attn :]
        n_kv = cfg.n_key_value_heads
        return (
            q.reshape(*rows, cfg.n_heads, cfg.d_head),
            k.reshape(*rows, n_kv, cfg.d_head),
            v.reshape(*rows, n_kv, cfg.d_head),
        )

    def _attn_out(self, block: Block, z: Array, taps: Taps, at: str) -> Array:
        """z [batch, pos, head, d_head] -> [batch, pos, d_model]; by head only if that is asked."""
        if f"{at}hook_result" in taps.keep:
            made = self.head_results(block, z)  # [batch, pos, head, d_model]
            seen = taps.see(f"{at}hook_result", made)
            if seen is not made:  # a tap has put others in their place
                total = seen.sum(axis=-2)  # [batch, pos, d_model]
                return total if block.b_O is None else total + block.b_O
        return self.linear(z.reshape(*z.shape[:-2], -1), block.W_O, block.b_O)

    def head_results(self, block: Block, z: Array) -> Array:
        """What each head writes, without b_O: z [..., head, d_head] -> [..., head, d_model]."""
        by_head = block.W_O.reshape(self.config.n_heads, self.config.d_head, -1)
        out = np.empty((*z.shape[:-1], by_head.shape[-1]), z.dtype)  # [..., head, d_model]
        for head, W in enumerate(by_head):
            out[..., head, :] = self.linear(np.ascontiguousarray(z[..., head, :]), W)
        return out

    def mlp(self, block: Block, h: Array, taps: Taps, at: str) -> Array:
        """The MLP, gated or not: h [..., d_model] -> [..., d_model]."""
        if block.W_in is None or block.W_out is None:
            raise ValueError("this layer has no MLP")
        act = ops.ACTIVATIONS[self.config.act_fn].forward
        if block.W_gate is not None:
            pre = self.linear(h, block.W_gate, block.b_gate)  # [..., d_mlp]
            pre = taps.see(f"{at}hook_pre", pre)
            up = self.linear(h, block.W_in, block.b_in)  # [..., d_mlp]
            up = taps.see(f"{at}hook_pre_linear", up)
            post = act(pre, out=pre if taps.idle else None)  # [..., d_mlp]
            post *= up
        else:
            pre = self.linear(h, block.W_in, block.b_in)  # [..., d_mlp]
            pre = taps.see(f"{at}hook_pre", pre)
            post = act(pre, out=pre if taps.idle else None)  # [..., d_mlp]
        post = taps.see(f"{at}hook_post", post)
        return self.linear(post, block.W_out, block.b_out)  # [..., d_model]

    def final_norm(self, x: Array, taps: Taps | None = None) -> Array:
        """The last norm with its gain and bias, statistics of x itself."""
        taps = taps or Taps(watch=self.watch)
        return self.normalize(self.weights.ln_final, x, taps, "ln_final.")

    def unembed(self, x: Array, taps: Taps | None = None, columns: Ids | None = None) -> Array:
        """Residual stream [..., d_model] -> logits [..., d_vocab_out], through the final norm.

        columns: the only tokens whose logits are wanted.
        """
        taps = taps or Taps(watch=self.watch)
        W_U, b_U = self.weights.W_U, self.weights.b_U
        if columns is not None:
            W_U, b_U = W_U[:, columns], None if b_U is None else b_U[columns]
        y = taps.see("unembed.hook_in", self.final_norm(x, taps))  # [..., d_model]
        return taps.see("unembed.hook_out", self.linear(y, W_U, b_U))


def _extended(past: Past, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
    """Write new keys and values behind the old ones and give all of them."""
    end = past.length + k.shape[1]
    past.k[layer][:, past.length : end] = k
    past.v[layer][:, past.length : end] = v
    return past.k[layer][:, :end], past.v[layer][:, :end]

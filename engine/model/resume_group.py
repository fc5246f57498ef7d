"""Group: variants of one base run, resumed together layer by layer.

A *live* row is a (variant, position) that may differ from the base run. Rows come alive where a
patch is written and, after attention, everywhere to the right; only live rows are computed, all
variants' rows as one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import RunError
from engine.model import ops
from engine.model.attention import Mask, rotary_tables
from engine.model.taps import Taps
from engine.model.weights import Array, Ids

if TYPE_CHECKING:
    from engine.model.resume import Patch, Variant
    from engine.model.transformer import Pass, Transformer


class Group:
    """Variants resumed together, from the lowest patched layer up."""

    def __init__(
        self, model: Transformer, base: Pass, variants: Sequence[Variant], position: int
    ) -> None:
        self.model, self.base, self.cfg = model, base, model.config
        self.position = position
        causal = self.cfg.attention_dir == "causal"
        self.length = position + 1 if causal else base.tokens.shape[1]
        ids = base.tokens[:, : self.length]
        self.mask = Mask.of(self.cfg, ids)
        self.tables = rotary_tables(self.cfg, np.arange(self.length))
        self.patches: dict[str, list[tuple[int, Patch]]] = {}
        for index, variant in enumerate(variants):
            for patch in variant:
                self.patches.setdefault(patch.name, []).append((index, patch))
        self.first_layer = min(
            (patch.layer for variant in variants for patch in variant), default=self.cfg.n_layers
        )
        self.index = np.full((len(variants), self.length), -1)  # [variant, pos] -> live row
        self.variant = np.zeros(0, np.int64)  # [row]
        self.pos = np.zeros(0, np.int64)  # [row]
        self.x = np.zeros((0, self.cfg.d_model), model.weights.W_E.dtype)  # [row, d_model]

    def to_the_end(self) -> tuple[Ids, Array]:
        """-> (variants that changed [row], their last residual stream [row, d_model])."""
        for layer in range(self.first_layer, self.cfg.n_layers):
            self._layer(layer)
        return self.variant, self.x

    # --- one layer -----------------------------------------------------------------------------

    def _layer(self, layer: int) -> None:
        cfg, block, at = self.cfg, self.model.weights.blocks[layer], f"blocks.{layer}."
        last = layer == cfg.n_layers - 1
        self.x = self._seen(f"{at}hook_resid_pre", self.x, layer, last=False)
        z = self._attention(layer)  # [row, head, d_head]
        if last:
            z = self._only_read_rows(z)
        z = self._seen(f"{at}attn.hook_z", z, layer, last).reshape(-1, cfg.d_attn)
        attn_out = self.model.linear(z, block.W_O, block.b_O)  # [row, d_model]
        attn_out = self._seen(f"{at}hook_attn_out", attn_out, layer, last)
        if cfg.attn_only:
            post = self.x + attn_out  # [row, d_model]
        elif cfg.parallel_attn_mlp:
            mlp_out = self._mlp(layer, self.x, last)
            post = self._grown(f"{at}hook_attn_out", attn_out) + self.x
            post += mlp_out
        else:
            mid = np.add(self.x, attn_out, out=attn_out)  # [row, d_model]
            mid = self._seen(f"{at}hook_resid_mid", mid, layer, last)
            mlp_out = self._mlp(layer, mid, last)
            post = np.add(self._grown(f"{at}hook_resid_mid", mid), mlp_out, out=mlp_out)
        self.x = self._taps().see(f"{at}hook_resid_post", post)

    def _mlp(self, layer: int, source: Array, last: bool) -> Array:
        block, at, taps = self.model.weights.blocks[layer], f"blocks.{layer}.", self._taps()
        h = self.model.normalize(block.ln2, source, taps, f"{at}ln2.")  # [row, d_model]
        mlp_out = self.model.mlp(block, h, taps, f"{at}mlp.")  # [row, d_model]
        return self._seen(f"{at}hook_mlp_out", mlp_out, layer, last)

    def _seen(self, name: str, value: Array, layer: int, last: bool) -> Array:
        """Offer a row-wise activation to interventions, then write this variant's patches."""
        value = self._taps().see(name, value)
        return self._patched(name, value, layer, last) if name in self.patches else value

    def _taps(self) -> Taps:
        """Interventions and Stop, for the rows that are live now."""
        return self._taps_at(self.pos)

    def _taps_at(self, position: Ids) -> Taps:
        model = self.model
        return Taps(interventions=model.interventions, watch=model.watch, position=position)

    # --- rows come alive -----------------------------------------------------------------------

    def _admit(self, variant: Ids, pos: Ids, layer: int) -> None:
        """Make rows (variant, pos) live; their stream starts as the base run's."""
        new = self.index[variant, pos] < 0
        variant, pos = variant[new], pos[new]
        if not len(variant):
            return
        self.index[variant, pos] = len(self.pos) + np.arange(len(pos))
        self.variant = np.concatenate([self.variant, variant])
        self.pos = np.concatenate([self.pos, pos])
        stream = self.base.cache[f"blocks.{layer}.hook_resid_pre"][0]  # [pos, d_model]
        self.x = np.concatenate([self.x, stream[pos]])

    def _base_rows(self, name: str, rows: Ids) -> Array:
        """The base run's values [row, ...] of live rows."""
        return self.base.cache[name][0][self.pos[rows]]

    def _grown(self, name: str, value: Array) -> Array:
        """`value` for the rows it has, the base run's for rows that came alive after it."""
        if len(value) == len(self.pos):
            return value
        rows = np.arange(len(value), len(self.pos))
        return np.concatenate([value, self._base_rows(name, rows)])

    def _patched(self, name: str, value: Array, layer: int, last: bool) -> Array:
        """Write this activation's patches; a row patched with what it already holds stays dead."""
        entries = []
        for variant, patch in self.patches[name]:
            positions, new = self._that_matters(name, variant, patch, last)
            entries.append((np.full(len(positions), variant), positions, new, patch.head))
        self._admit(
            np.concatenate([entry[0] for entry in entries]),
            np.concatenate([entry[1] for entry in entries]),
            layer,
        )
        value = self._grown(name, value)
        for variant, positions, new, head in entries:
            rows = self.index[variant, positions]
            value[rows if head is None else (rows, head)] = new
        return value

    def _that_matters(self, name: str, variant: int, patch: Patch, last: bool) -> tuple[Ids, Array]:
        """The patch's positions and values that can change the logits that are read."""
        positions = np.asarray(patch.positions)
        if last:
            needed = positions == self.position
        elif self.cfg.attention_dir == "causal":
            needed = positions <= self.position
        else:
            needed = np.ones(len(positions), bool)
        positions, new = positions[needed], patch.value[needed]
        base = self.base.cache[name][0][positions]  # [position, (head,) width]
        if patch.head is not None:
            base = base[:, patch.head]
        if new.shape != base.shape:
            raise RunError(f"{name} takes {base.shape} at these positions; got {new.shape}")
        differs = (new != base).any(axis=tuple(range(1, new.ndim)))
        differs |= self.index[variant, positions] >= 0
        return positions[differs], new[differs]

    def _only_read_rows(self, value: Array) -> Array:
        """Keep the rows at the position that is read; nothing else can reach the logits."""
        keep = np.flatnonzero(self.pos == self.position)
        self.variant, self.pos, self.x = self.variant[keep], self.pos[keep], self.x[keep]
        self.index.fill(-1)
        self.index[self.variant, self.pos] = np.arange(len(keep))
        return value[keep]

    # --- attention -----------------------------------------------------------------------------

    def _attention(self, layer: int) -> Array:
        """z [row, head, d_head] of every row that is live once attention has spread the change."""
        cfg = self.cfg
        if not len(self.pos):
            return np.zeros((0, cfg.n_heads, cfg.d_head), self.x.dtype)
        last = layer == cfg.n_layers - 1
        fresh = len(self.pos)  # rows whose own q, k and v differ from the base run's
        q, k, v = self._qkv(layer)
        active, compact = np.unique(self.variant, return_inverse=True)  # [active], [row]
        first = np.full(len(active), self.length)  # first live position of each variant
        np.minimum.at(first, compact, self.pos)
        if cfg.attention_dir == "bidirectional":
            first[:] = 0
        self._spread(active, first, layer, last)
        place_of = np.full(len(self.index), -1)  # [variant] -> place among the active ones
        place_of[active] = np.arange(len(active))
        compact = place_of[self.variant]  # [row]
        return self._attend(layer, q, k, v, fresh, compact, len(active), int(first.min()), last)

    def _qkv(self, layer: int) -> tuple[Array, Array, Array]:
        block, at, taps = self.model.weights.blocks[layer], f"blocks.{layer}.", self._taps()
        h = self.model.normalize(block.ln1, self.x, taps, f"{at}ln1.")
        moved = None
        if self.cfg.positional_embedding_type == "shortformer":
            moved = self.base.cache["hook_pos_embed"][0][self.pos]  # [row, d_model]
        q, k, v = self.model.project_qkv(block, h, moved)  # [row, head, d_head]
        q, k, v = (
            taps.see(f"{at}attn.hook_{name}", a) for name, a in zip("qkv", (q, k, v), strict=True)
        )
        if self.tables is not None:
            cos, sin = (table[self.pos] for table in self.tables)  # [row, 1, n_pairs]
            q = taps.see(
                f"{at}attn.hook_rot_q", ops.rotate(q, cos, sin, self.cfg.rotary_adjacent_pairs)
            )
            k = taps.see(
                f"{at}attn.hook_rot_k", ops.rotate(k, cos, sin, self.cfg.rotary_adjacent_pairs)
            )
        return q, k, v

    def _spread(self, active: Ids, first: Ids, layer: int, last: bool) -> None:
        """Every position from a variant's first live one on is live after attention."""
        n = self.length - first  # [active]
        variant = np.repeat(active, n)  # [row]
        pos = np.concatenate([np.arange(start, self.length) for start in first])  # [row]
        if last:
            read = pos == self.position
            variant, pos = variant[read], pos[read]
        self._admit(variant, pos, layer)

    def _attend(
        self, layer: int, q: Array, k: Array, v: Array, fresh: int, compact: Ids, n_active: int,
        low: int, last: bool,
    ) -> Array:  # fmt: skip
        """Attention of live rows: to the base run's keys left of `low`, to their own from there.

        Rows are laid out [active variant, query from low, ...]; places of dead rows are wasted.
        """
        cfg, cache, at = self.cfg, self.base.cache, f"blocks.{layer}.attn."
        rot = "rot_" if self.tables is not None else ""
        base_q = cache[f"{at}hook_{rot}q"]  # [1, pos, head, d_head]
        base_k = cache[f"{at}hook_{rot}k"][:, : self.length]  # [1, pos, kv_head, d_head]
        base_v = cache[f"{at}hook_v"][:, : self.length]  # [1, pos, kv_head, d_head]
        mine, place = compact[:fresh], self.pos[:fresh] - low
        own_k = np.repeat(base_k[:, low:], n_active, axis=0)  # [active, key from low, kv_head, d]
        own_v = np.repeat(base_v[:, low:], n_active, axis=0)
        own_k[mine, place], own_v[mine, place] = k, v
        if last:
            queries = slice(self.position, self.position + 1)
        else:
            queries = slice(low, self.length)
        laid = np.repeat(base_q[:, queries], n_active, axis=0)  # [active, query, head, d_head]
        asked = self.pos[:fresh] == self.position if last else slice(None)
        laid[mine[asked], self.pos[:fresh][asked] - queries.start] = q[asked]
        z = self._two_part(laid, base_k, base_v, own_k, own_v, low, queries, layer)
        if not last:
            return z[compact, self.pos - low]  # [row, head, d_head]
        out = np.zeros((len(self.pos), cfg.n_heads, cfg.d_head), z.dtype)
        read = self.pos == self.position
        out[read] = z[compact[read], 0]
        return out

    def _two_part(
        self, q: Array, base_k: Array, base_v: Array, own_k: Array, own_v: Array, low: int,
        queries: slice, layer: int,
    ) -> Array:  # fmt: skip
        """softmax over [base keys left of low, own keys]: q [active, query, head, d_head] -> z."""
        scale = self.cfg.scale_of(layer)
        own = ops.attention_scores(q, own_k, scale)  # [active, head, query, key from low]
        scores = own
        folded = q.reshape(1, -1, *q.shape[2:])  # [1, active * query, head, d_head]
        if low:
            left = ops.attention_scores(folded, base_k[:, :low], scale)
            left = left.reshape(q.shape[2], q.shape[0], q.shape[1], low).swapaxes(0, 1)
            scores = np.concatenate([left, own], axis=-1)  # [active, head, query, key]
        self.mask.layer(layer).apply(scores, queries)
        asked = np.arange(self.length)[queries]  # [query]
        taps = self._taps_at(np.broadcast_to(asked, (len(q), len(asked))))
        scores = taps.see(f"blocks.{layer}.attn.hook_attn_scores", scores)
        pattern = ops.softmax(scores, out=scores)
        pattern = taps.see(f"blocks.{layer}.attn.hook_pattern", pattern)
        z = ops.attend(pattern[..., low:], own_v)  # [active, query, head, d_head]
        if low:
            left = pattern[..., :low].swapaxes(0, 1).reshape(1, q.shape[2], -1, low)
            z += ops.attend(left, base_v[:, :low]).reshape(z.shape)
        return z

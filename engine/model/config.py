"""ModelConfig: what a transformer is, under TransformerLens' field names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Llama3Scaling:
    """Rotary frequencies stretched for long contexts (Llama 3.1, `rope_type: llama3`)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_position_embeddings: int


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes and switches of a transformer. Sizes are counts; `d_` are widths.

    normalization_type: "LN", "RMS" or None. positional_embedding_type: "standard" (learned, added
    to the stream), "shortformer" (added to query and key inputs after the norm) or "rotary".
    window_size: how many keys, the query's own included, a layer in `sliding_layers` may see.
    final_rms: the last norm is RMS although the others are LN. scale_attn_by_inverse_layer_idx:
    scores of layer l are divided by attn_scale * (l + 1).
    mask_token: keys holding this token are masked in every layer. act_fn as in TransformerLens.
    """

    n_layers: int
    d_model: int
    n_heads: int
    d_head: int
    n_ctx: int
    d_vocab: int
    d_vocab_out: int
    n_key_value_heads: int
    d_mlp: int = 0
    act_fn: str = "relu"
    attn_only: bool = False
    gated_mlp: bool = False
    attention_dir: Literal["causal", "bidirectional"] = "causal"
    normalization_type: Literal["LN", "RMS"] | None = "LN"
    final_rms: bool = False
    eps: float = 1e-5
    positional_embedding_type: Literal["standard", "shortformer", "rotary"] = "standard"
    rotary_dim: int = 0
    rotary_base: float = 10_000.0
    rotary_adjacent_pairs: bool = False
    rotary_scaling: Llama3Scaling | None = None
    parallel_attn_mlp: bool = False
    attn_scale: float = 1.0
    scale_attn_by_inverse_layer_idx: bool = False
    window_size: int = 0
    sliding_layers: tuple[int, ...] = ()
    mask_token: int | None = None
    mask_value: float = float("-inf")
    tied: bool = False
    architecture: str = ""
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = field(default=())

    @property
    def d_attn(self) -> int:
        """Width of all heads' outputs together: n_heads * d_head."""
        return self.n_heads * self.d_head

    @property
    def d_kv(self) -> int:
        """Width of all keys (or values) together: n_key_value_heads * d_head."""
        return self.n_key_value_heads * self.d_head

    def scale_of(self, layer: int) -> float:
        """What the attention scores of a layer are divided by."""
        return self.attn_scale * (layer + 1 if self.scale_attn_by_inverse_layer_idx else 1)

    def is_rms(self, at: str) -> bool:
        """Whether the norm whose hooks begin with `at` ("blocks.0.ln1.", "ln_final.") is RMS."""
        return self.normalization_type == "RMS" or (self.final_rms and at == "ln_final.")

"""Hook names of a transformer, exactly TransformerLens' own, with their axes.

`hook_result` is optional, as there: it is n_heads times as large as the residual stream.
"""

from __future__ import annotations

from engine.model.config import ModelConfig

STREAM = "batch pos d_model"


def hook_axes(cfg: ModelConfig) -> dict[str, str]:
    """Hook name -> axis names, in the order of the forward pass."""
    table = {"hook_embed": STREAM}
    if cfg.positional_embedding_type != "rotary":
        table["hook_pos_embed"] = STREAM
    for layer in range(cfg.n_layers):
        table |= {f"blocks.{layer}.{name}": axes for name, axes in _block_axes(cfg).items()}
    if cfg.normalization_type is not None:
        table |= _norm_axes("ln_final.")
    return table | {"unembed.hook_in": STREAM, "unembed.hook_out": "batch pos d_vocab_out"}


def optional_axes(cfg: ModelConfig) -> dict[str, str]:
    """Activations that are made only for who asks by their exact name."""
    axes = "batch pos head d_model"
    return {f"blocks.{layer}.attn.hook_result": axes for layer in range(cfg.n_layers)}


def _norm_axes(at: str) -> dict[str, str]:
    return {f"{at}hook_scale": "batch pos 1", f"{at}hook_normalized": STREAM}


def _block_axes(cfg: ModelConfig) -> dict[str, str]:
    head, kv = "batch pos head d_head", "batch pos kv_head d_head"
    table = {"hook_resid_pre": STREAM}
    if cfg.normalization_type is not None:
        table |= _norm_axes("ln1.")
    table |= {"attn.hook_q": head, "attn.hook_k": kv, "attn.hook_v": kv}
    if cfg.positional_embedding_type == "rotary":
        table |= {"attn.hook_rot_q": head, "attn.hook_rot_k": kv}
    table |= {
        "attn.hook_attn_scores": "batch head query key",
        "attn.hook_pattern": "batch head query key",
        "attn.hook_z": head,
        "hook_attn_out": STREAM,
    }
    if not cfg.attn_only:
        if not cfg.parallel_attn_mlp:
            table["hook_resid_mid"] = STREAM
        if cfg.normalization_type is not None:
            table |= _norm_axes("ln2.")
        table["mlp.hook_pre"] = "batch pos d_mlp"
        if cfg.gated_mlp:
            table["mlp.hook_pre_linear"] = "batch pos d_mlp"
        table |= {"mlp.hook_post": "batch pos d_mlp", "hook_mlp_out": STREAM}
    table["hook_resid_post"] = STREAM
    return table

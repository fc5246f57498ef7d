"""save_hooked: write a model in TransformerLens' layout, which `open_model` reads again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file

from engine.errors import RunError
from engine.model.weights import Array, Block, Weights

if TYPE_CHECKING:
    from engine.model.config import ModelConfig
    from engine.model.transformer import Transformer


def save_hooked(model: Transformer, folder: Path, vocabulary: list[str] | None = None) -> None:
    """config.json, model.safetensors and, if given, vocab.json; existing files are replaced.

    RunError where the model does something that the layout has no words for.
    """
    _refuse(model)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: np.ascontiguousarray(array) for name, array in _tensors(model)}
    save_file(tensors, folder / "model.safetensors")
    text = json.dumps(hooked_config(model.config), indent=1)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    if vocabulary is not None:
        text = json.dumps(vocabulary, ensure_ascii=False)
        (folder / "vocab.json").write_text(text + "\n", encoding="utf-8")


def _refuse(model: Transformer) -> None:
    cfg, block = model.config, model.weights.blocks[0]
    lacking = {
        "stretched rotary frequencies": cfg.rotary_scaling is not None,
        "a sliding window": bool(cfg.window_size),
        "scores scaled by layer": cfg.scale_attn_by_inverse_layer_idx,
        "biases inside a gated MLP": cfg.gated_mlp and block.b_in is not None,
    }
    for what, there in lacking.items():
        if there:
            raise RunError(f"{model.name} has {what}, which TransformerLens' layout cannot say")


def hooked_config(cfg: ModelConfig) -> dict[str, object]:
    """config.json of the layout: TransformerLens' own field names."""
    grouped = cfg.n_key_value_heads != cfg.n_heads
    names = (
        "n_layers", "d_model", "n_ctx", "d_head", "n_heads", "d_mlp", "d_vocab", "d_vocab_out",
        "act_fn", "attn_only", "attention_dir", "normalization_type",
        "positional_embedding_type", "final_rms", "eps", "attn_scale", "parallel_attn_mlp",
    )  # fmt: skip
    rotary = cfg.positional_embedding_type == "rotary"
    return {
        "format": "hooked_transformer",
        "architectures": ["HookedTransformer"],
        **{name: getattr(cfg, name) for name in names},
        "gated_mlp": cfg.gated_mlp,
        "use_attn_scale": True,
        "n_key_value_heads": cfg.n_key_value_heads if grouped else None,
        "rotary_dim": cfg.rotary_dim if rotary else None,
        "rotary_base": cfg.rotary_base,
        "rotary_adjacent_pairs": cfg.rotary_adjacent_pairs,
        "mask_token": cfg.mask_token,
    }


def _tensors(model: Transformer) -> list[tuple[str, Array]]:
    w, cfg = model.weights, model.config
    rows: list[tuple[str, Array]] = [("embed.W_E", w.W_E), ("unembed.W_U", w.W_U)]
    bias = w.b_U if w.b_U is not None else np.zeros(cfg.d_vocab_out, w.W_E.dtype)
    rows.append(("unembed.b_U", bias))
    if w.W_pos is not None:
        rows.append(("pos_embed.W_pos", w.W_pos))
    rows += _norm(w, "ln_final", "ln_final", cfg.is_rms("ln_final."))
    for index, block in enumerate(w.blocks):
        rows += [(f"blocks.{index}.{name}", array) for name, array in _block(block, cfg)]
    return rows


def _norm(owner: Weights | Block, field: str, name: str, rms: bool) -> list[tuple[str, Array]]:
    norm = getattr(owner, field)
    if norm is None:
        return []
    bias = [] if rms else [(f"{name}.b", norm.b if norm.b is not None else np.zeros_like(norm.w))]
    return [(f"{name}.w", norm.w), *bias]


def _block(block: Block, cfg: ModelConfig) -> list[tuple[str, Array]]:
    heads = (cfg.n_heads, cfg.n_key_value_heads, cfg.n_key_value_heads)
    edges = np.cumsum([0, *(n * cfg.d_head for n in heads)])
    bias = block.b_QKV if block.b_QKV is not None else np.zeros(edges[-1], block.W_O.dtype)
    rows: list[tuple[str, Array]] = []
    for name, n, first, end in zip("QKV", heads, edges, edges[1:], strict=False):
        at = "_" if name != "Q" and cfg.n_key_value_heads != cfg.n_heads else ""
        by_head = block.W_QKV[:, first:end].reshape(cfg.d_model, n, cfg.d_head)
        rows.append((f"attn.{at}W_{name}", by_head.transpose(1, 0, 2)))
        rows.append((f"attn.{at}b_{name}", bias[first:end].reshape(n, cfg.d_head)))
    rows.append(("attn.W_O", block.W_O.reshape(cfg.n_heads, cfg.d_head, cfg.d_model)))
    zeros = np.zeros(cfg.d_model, block.W_O.dtype)
    rows.append(("attn.b_O", block.b_O if block.b_O is not None else zeros))
    for name in ("ln1", "ln2"):
        rows += _norm(block, name, name, cfg.is_rms(name))
    for name in ("W_in", "W_gate", "b_in", "W_out", "b_out"):
        array = getattr(block, name)
        if array is not None:
            rows.append((f"mlp.{name}", array))
    return rows

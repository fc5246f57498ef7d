"""The layout of TransformerLens: config.json with `format: hooked_transformer`.

Tensors under the names of HookedTransformer's state_dict (TransformerLens 3.9): W_Q [head,
d_model, d_head], W_in [d_model, d_mlp]. Files of older tools hold the transposed matrices under
the same names (Nanda's grokking runs); they are recognised by shape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from engine.model.config import Llama3Scaling, ModelConfig
from engine.model.config_file import Fields, shown
from engine.model.layout import Layout, Row
from engine.model.rotary_fields import stretched
from engine.model.safetensors_file import TensorInfo

ACTIVATIONS = {
    name: name for name in ("relu", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "silu")
}
NORMS: dict[str | None, tuple[Literal["LN", "RMS"] | None, bool]] = {
    None: (None, False),
    "LN": ("LN", False),
    "LNPre": ("LN", True),
    "RMS": ("RMS", False),
    "RMSPre": ("RMS", True),
}
"""normalization_type -> ours, and whether gain and bias were folded into later weights."""

ARENA_MASK = -1e5  # the score that ARENA's bracket classifier gives to padding
HEADS_OLDER = (("n_heads d_head d_model", "older heads"),)
KV_OLDER = (("n_key_value_heads d_head d_model", "older heads"),)

ROWS = (
    Row("W_E", "embed.W_E", "d_vocab d_model", older=(("d_model d_vocab", "T"),)),
    Row("W_pos", "pos_embed.W_pos", "n_ctx d_model", when="W_pos"),
    Row("ln_final.w", "ln_final.w", "d_model", when="gain"),
    Row("ln_final.b", "ln_final.b", "d_model", when="final bias"),
    Row("W_U", "unembed.W_U", "d_model d_vocab_out", older=(("d_vocab_out d_model", "T"),)),
    Row("b_U", "unembed.b_U", "d_vocab_out", when="b_U"),
)
BLOCK = (
    Row("ln1.w", "ln1.w", "d_model", when="gain"),
    Row("ln1.b", "ln1.b", "d_model", when="bias"),
    Row("W_QKV", "attn.W_Q", "n_heads d_model d_head", "heads", older=HEADS_OLDER),
    Row("W_QKV", "attn.W_K", "n_key_value_heads d_model d_head", "heads", older=KV_OLDER),
    Row("W_QKV", "attn.W_V", "n_key_value_heads d_model d_head", "heads", older=KV_OLDER),
    Row("b_QKV", "attn.b_Q", "n_heads d_head", "bias heads", when="attn.b_Q"),
    Row("b_QKV", "attn.b_K", "n_key_value_heads d_head", "bias heads", when="attn.b_Q"),
    Row("b_QKV", "attn.b_V", "n_key_value_heads d_head", "bias heads", when="attn.b_Q"),
    Row(
        "W_O", "attn.W_O", "n_heads d_head d_model", "out heads",
        older=(("n_heads d_model d_head", "older out heads"), ("d_model n_heads*d_head", "T")),
    ),
    Row("b_O", "attn.b_O", "d_model", when="attn.b_O"),
    Row("ln2.w", "ln2.w", "d_model", when="gain mlp"),
    Row("ln2.b", "ln2.b", "d_model", when="bias mlp"),
    Row("W_in", "mlp.W_in", "d_model d_mlp", when="mlp", older=(("d_mlp d_model", "T"),)),
    Row("W_gate", "mlp.W_gate", "d_model d_mlp", when="gate", older=(("d_mlp d_model", "T"),)),
    Row("W_out", "mlp.W_out", "d_mlp d_model", when="mlp", older=(("d_model d_mlp", "T"),)),
    Row("b_in", "mlp.b_in", "d_mlp", when="mlp.b_in"),
    Row("b_out", "mlp.b_out", "d_model", when="mlp.b_out"),
)  # fmt: skip
UNSUPPORTED = {
    "use_qk_norm": (False,), "use_logn_attn": (False,), "use_dynamic_ntk_rope": (False,),
    "clip_qkv": (), "num_experts": (), "post_embedding_ln": (False,),
    "use_normalization_before_and_after": (False,), "attn_scores_soft_cap": (-1, 0),
    "output_logits_soft_cap": (-1, 0), "use_yarn_rope": (False,), "load_in_4bit": (False,),
    "use_attention_sinks": (False,), "rotary_base_local": (), "quantization_method": (),
}  # fmt: skip
"""Switches that change the computation in ways we do not have -> their harmless values."""


def hooked_transformer(fields: Fields, tensors: Mapping[str, TensorInfo]) -> Layout:
    """A HookedTransformer: any mix of norms, positions, directions, with or without MLPs."""
    for name, harmless in UNSUPPORTED.items():
        fields.refuse(name, harmless, "this engine has no such operation")
    config, folded = _config(fields)
    switches = {"W_pos"} if config.positional_embedding_type != "rotary" else set()
    if config.normalization_type is not None and not folded:
        switches |= {"gain"} if config.attn_only else {"gain", "gain mlp"}
        if config.normalization_type == "LN":
            switches |= {"bias"} if config.attn_only else {"bias", "bias mlp"}
            switches |= set() if config.final_rms else {"final bias"}
    if not config.attn_only:
        switches |= {"mlp", "gate"} if config.gated_mlp else {"mlp"}
    # Older files lack biases altogether; one that is there in any layer must be in every layer.
    biases = ["attn.b_Q", "attn.b_O"] + ([] if config.attn_only else ["mlp.b_in", "mlp.b_out"])
    switches |= {bias for bias in biases if any(name.endswith(bias) for name in tensors)}
    switches |= {"b_U"} if "unembed.b_U" in tensors else set()
    return Layout(
        config=config,
        rows=ROWS,
        block_rows=tuple(_block_rows(config, tensors)),
        block="blocks.{}.",
        sizes={name: (getattr(config, name), name) for name in (
            "d_vocab", "d_vocab_out", "d_model", "d_mlp", "n_ctx", "n_heads", "d_head",
            "n_key_value_heads",
        )},
        buffers=r"blocks\.\d+\.attn\.(mask|IGNORE|rotary_sin|rotary_cos)",
        switches=frozenset(switches),
        plain_norms=folded,
    )  # fmt: skip


def _block_rows(config: ModelConfig, tensors: Mapping[str, TensorInfo]) -> list[Row]:
    rows = []
    for row in BLOCK:
        kind, _, name = row.name.partition(".")
        if name in ("W_K", "W_V", "b_K", "b_V") and f"blocks.0.{kind}._{name}" in tensors:
            row = replace(row, name=f"{kind}._{name}")
        if row.name == "mlp.b_in" and config.gated_mlp:
            # HookedTransformer adds it after the gate, everyone else before.
            row = replace(row, turn="zero")
        rows.append(row)
    return rows


def _config(fields: Fields) -> tuple[ModelConfig, bool]:
    d_model, d_head = fields.count("d_model"), fields.count("d_head")
    n_layers, n_ctx = fields.layers("n_layers"), fields.count("n_ctx")
    n_heads = fields.count("n_heads", max(1, d_model // d_head))
    n_kv = fields.count("n_key_value_heads", n_heads)
    if n_heads % n_kv:
        fields.fail(f"n_heads {n_heads} is not a multiple of n_key_value_heads {n_kv}")
    attn_only = fields.flag("attn_only", False)
    norm = fields.value("normalization_type") if "normalization_type" in fields.data else "LN"
    if not isinstance(norm, str | None) or norm not in NORMS:
        known = ", ".join(str(name) for name in NORMS)
        fields.fail(f"normalization_type: {shown(norm)} is not supported; known are {known}")
    kind, folded = NORMS[norm]
    d_vocab = fields.count("d_vocab")
    d_vocab_out = fields.data.get("d_vocab_out", -1)
    scale = fields.number("attn_scale", -1.0)
    scale = math.sqrt(d_head) if scale == -1.0 else scale
    if scale <= 0.0:
        fields.fail(f"attn_scale: {scale} is not above 0")
    config = ModelConfig(
        architecture="hooked_transformer",
        n_layers=n_layers,
        d_model=d_model,
        n_heads=n_heads,
        n_key_value_heads=n_kv,
        d_head=d_head,
        d_mlp=0 if attn_only else fields.count("d_mlp", 4 * d_model),
        n_ctx=n_ctx,
        d_vocab=d_vocab,
        d_vocab_out=d_vocab if d_vocab_out in (-1, None) else fields.count("d_vocab_out"),
        act_fn="relu" if attn_only else fields.choice("act_fn", "relu", ACTIVATIONS),
        attn_only=attn_only,
        gated_mlp=not attn_only and fields.flag("gated_mlp", False),
        normalization_type=kind,
        final_rms=fields.flag("final_rms", False) and kind == "LN",
        eps=fields.number("eps", 1e-5, above=0.0),
        parallel_attn_mlp=not attn_only and fields.flag("parallel_attn_mlp", False),
        attn_scale=scale if fields.flag("use_attn_scale", True) else 1.0,
        scale_attn_by_inverse_layer_idx=fields.flag("scale_attn_by_inverse_layer_idx", False),
        **_positions(fields, d_head),
        **_mask(fields, d_vocab, n_layers),
        bos_token_id=fields.token("bos_token_id", d_vocab),
        eos_token_ids=fields.tokens("eos_token_id", d_vocab),
    )
    return config, folded


def _positions(fields: Fields, d_head: int) -> dict[str, Any]:
    kinds = {name: name for name in ("standard", "shortformer", "rotary")}
    kind = fields.choice("positional_embedding_type", "standard", kinds)
    if kind != "rotary":
        return {"positional_embedding_type": kind}
    rotary_dim = fields.count("rotary_dim", d_head)
    if rotary_dim > d_head or rotary_dim % 2:
        fields.fail(f"rotary_dim: {rotary_dim} is not an even number up to d_head = {d_head}")
    scaling = None
    if fields.flag("use_NTK_by_parts_rope", False):
        scaling = Llama3Scaling(
            factor=fields.number("NTK_by_parts_factor", 8.0, above=0.0),
            low_freq_factor=fields.number("NTK_by_parts_low_freq_factor", 1.0, above=0.0),
            high_freq_factor=fields.number("NTK_by_parts_high_freq_factor", 4.0, above=0.0),
            original_max_position_embeddings=fields.count("NTK_original_ctx_len", 8192),
        )
    elif fields.number("rotary_scaling_factor", 1.0, above=0.0) != 1.0:
        scaling = stretched(fields.number("rotary_scaling_factor"))
    return {
        "positional_embedding_type": kind,
        "rotary_dim": rotary_dim,
        "rotary_base": fields.number("rotary_base", 10_000.0, above=0.0),
        "rotary_adjacent_pairs": fields.flag("rotary_adjacent_pairs", False),
        "rotary_scaling": scaling,
    }


def _mask(fields: Fields, d_vocab: int, n_layers: int) -> dict[str, Any]:
    ways = {name: name for name in ("causal", "bidirectional")}
    found: dict[str, Any] = {"attention_dir": fields.choice("attention_dir", "causal", ways)}
    if fields.value("mask_token") is not None:
        found["mask_token"] = fields.count("mask_token", low=0)
        found["mask_value"] = fields.number("mask_value", ARENA_MASK)
        if found["mask_token"] >= d_vocab:
            fields.fail(f"mask_token: {found['mask_token']} is no token of d_vocab = {d_vocab}")
    if fields.flag("use_local_attn", False) and found["attention_dir"] == "causal":
        kinds = fields.value("attn_types")
        if not isinstance(kinds, list) or len(kinds) != n_layers:
            fields.fail(f"attn_types: {shown(kinds)} is not a list of {n_layers} kinds")
        if not set(map(str, kinds)) <= {"local", "global"}:
            fields.fail(f"attn_types: {shown(kinds)} holds others than local and global")
        found["window_size"] = fields.count("window_size")
        found["sliding_layers"] = tuple(i for i, k in enumerate(kinds) if k == "local")
    return found

"""One table per architecture: tensor names, shapes, and the switches of config.json.

What a field means, and its value where it is absent, is as in `transformers` 5.23. The layout of
TransformerLens is in `hooked.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.model import hooked
from engine.model.config import ModelConfig
from engine.model.config_file import Fields, shown
from engine.model.layout import Layout, Row
from engine.model.rotary_fields import rotary
from engine.model.safetensors_file import TensorInfo

ACTIVATIONS = {
    "gelu": "gelu", "gelu_python": "gelu", "gelu_new": "gelu_new", "gelu_fast": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new", "gelu_python_tanh": "gelu_new",
    "relu": "relu", "silu": "silu", "swish": "silu",
}  # fmt: skip
"""transformers' name -> ours. The three tanh forms differ in rounding only."""

GPT2_ROWS = (
    Row("W_E", "wte.weight", "d_vocab d_model"),
    Row("W_pos", "wpe.weight", "n_ctx d_model"),
    Row("ln_final.w", "ln_f.weight", "d_model"),
    Row("ln_final.b", "ln_f.bias", "d_model"),
)
GPT2_BLOCK = (  # Conv1D: weights are stored [in, out]
    Row("ln1.w", "ln_1.weight", "d_model"),
    Row("ln1.b", "ln_1.bias", "d_model"),
    Row("W_QKV", "attn.c_attn.weight", "d_model 3*d_model"),
    Row("b_QKV", "attn.c_attn.bias", "3*d_model"),
    Row("W_O", "attn.c_proj.weight", "d_model d_model"),
    Row("b_O", "attn.c_proj.bias", "d_model"),
    Row("ln2.w", "ln_2.weight", "d_model"),
    Row("ln2.b", "ln_2.bias", "d_model"),
    Row("W_in", "mlp.c_fc.weight", "d_model d_mlp"),
    Row("b_in", "mlp.c_fc.bias", "d_mlp"),
    Row("W_out", "mlp.c_proj.weight", "d_mlp d_model"),
    Row("b_out", "mlp.c_proj.bias", "d_model"),
)

NEOX_ROWS = (
    Row("W_E", "embed_in.weight", "d_vocab d_model"),
    Row("ln_final.w", "final_layer_norm.weight", "d_model"),
    Row("ln_final.b", "final_layer_norm.bias", "d_model"),
)
NEOX_BLOCK = (
    Row("ln1.w", "input_layernorm.weight", "d_model"),
    Row("ln1.b", "input_layernorm.bias", "d_model"),
    Row("W_QKV", "attention.query_key_value.weight", "3*d_model d_model", "neox"),
    Row("b_QKV", "attention.query_key_value.bias", "3*d_model", "neox bias", "attention_bias"),
    Row("W_O", "attention.dense.weight", "d_model d_model", "T"),
    Row("b_O", "attention.dense.bias", "d_model", "", "attention_bias"),
    Row("ln2.w", "post_attention_layernorm.weight", "d_model"),
    Row("ln2.b", "post_attention_layernorm.bias", "d_model"),
    Row("W_in", "mlp.dense_h_to_4h.weight", "d_mlp d_model", "T"),
    Row("b_in", "mlp.dense_h_to_4h.bias", "d_mlp"),
    Row("W_out", "mlp.dense_4h_to_h.weight", "d_model d_mlp", "T"),
    Row("b_out", "mlp.dense_4h_to_h.bias", "d_model"),
)

LLAMA_ROWS = (
    Row("W_E", "embed_tokens.weight", "d_vocab d_model"),
    Row("ln_final.w", "norm.weight", "d_model"),
)
LLAMA_BLOCK = (
    Row("ln1.w", "input_layernorm.weight", "d_model"),
    Row("W_QKV", "self_attn.q_proj.weight", "n_heads*d_head d_model", "T"),
    Row("W_QKV", "self_attn.k_proj.weight", "n_key_value_heads*d_head d_model", "T"),
    Row("W_QKV", "self_attn.v_proj.weight", "n_key_value_heads*d_head d_model", "T"),
    Row("b_QKV", "self_attn.q_proj.bias", "n_heads*d_head", "", "qkv_bias"),
    Row("b_QKV", "self_attn.k_proj.bias", "n_key_value_heads*d_head", "", "qkv_bias"),
    Row("b_QKV", "self_attn.v_proj.bias", "n_key_value_heads*d_head", "", "qkv_bias"),
    Row("W_O", "self_attn.o_proj.weight", "d_model n_heads*d_head", "T"),
    Row("b_O", "self_attn.o_proj.bias", "d_model", "", "attention_bias"),
    Row("ln2.w", "post_attention_layernorm.weight", "d_model"),
    Row("W_gate", "mlp.gate_proj.weight", "d_mlp d_model", "T"),
    Row("b_gate", "mlp.gate_proj.bias", "d_mlp", "", "mlp_bias"),
    Row("W_in", "mlp.up_proj.weight", "d_mlp d_model", "T"),
    Row("b_in", "mlp.up_proj.bias", "d_mlp", "", "mlp_bias"),
    Row("W_out", "mlp.down_proj.weight", "d_model d_mlp", "T"),
    Row("b_out", "mlp.down_proj.bias", "d_model", "", "mlp_bias"),
)

Tensors = Mapping[str, TensorInfo]


def layout_of(fields: Fields, tensors: Tensors) -> Layout:
    """The family that config.json names, with its switches; FileError lists ours."""
    return ARCHITECTURES[architecture(fields)](fields, tensors)


def architecture(fields: Fields) -> str:
    """Key of ARCHITECTURES that config.json names; FileError names what it says instead."""
    named = fields.value("format") or fields.value("model_type")
    classes = fields.value("architectures")
    if named is None and isinstance(classes, list) and classes:
        named = "hooked_transformer" if classes[0] == "HookedTransformer" else classes[0]
    if not isinstance(named, str) or named not in ARCHITECTURES:
        fields.fail(
            f"the architecture {shown(named)} is not supported; supported are "
            f"{', '.join(ARCHITECTURES)} (field model_type, or format for TransformerLens' layout)"
        )
    fields.refuse("quantization_config", (), "quantised weights; take the original checkpoint")
    return named


def _prefix(tensors: Tensors, prefix: str, first: str) -> str:
    return "" if f"{prefix}{first}" not in tensors and first in tensors else prefix


def _unembedding(fields: Fields, tensors: Tensors, default: bool) -> tuple[bool, tuple[Row, ...]]:
    """A head in the file counts, whatever config.json says of ties, as in transformers."""
    name = next((n for n in ("lm_head.weight", "embed_out.weight") if n in tensors), None)
    tied = name is None and fields.flag("tie_word_embeddings", default)
    biases = [n for n in ("lm_head.bias", "embed_out.bias") if n in tensors]
    rows = [Row("b_U", bias, "d_vocab") for bias in biases]
    if not tied:
        rows.append(Row("W_U", name or "lm_head.weight", "d_vocab d_model", "T"))
    return tied, tuple(rows)


def _placed(rows: Iterable[Row], prefix: str) -> tuple[Row, ...]:
    return tuple(Row(r.slot, prefix + r.name, r.axes, r.turn, r.when) for r in rows)


def _width_of_head(fields: Fields, d_model: int, n_heads: int, width: str, heads: str) -> int:
    if d_model % n_heads:
        fields.fail(f"{width} {d_model} is not a multiple of {heads} {n_heads}")
    return d_model // n_heads


def _ends(fields: Fields, d_vocab: int) -> dict[str, Any]:
    return {
        "bos_token_id": fields.token("bos_token_id", d_vocab),
        "eos_token_ids": fields.tokens("eos_token_id", d_vocab),
    }


def gpt2(fields: Fields, tensors: Tensors) -> Layout:
    """GPT-2: learned positions, LayerNorm, one fused query-key-value matrix."""
    d_model, n_heads = fields.count("n_embd"), fields.count("n_head")
    d_head = _width_of_head(fields, d_model, n_heads, "n_embd", "n_head")
    d_vocab, n_ctx = fields.count("vocab_size"), fields.count("n_positions", 1024)
    d_mlp = fields.count("n_inner", 4 * d_model)
    fields.refuse("add_cross_attention", (False,), "the model needs an encoder")
    tied, head = _unembedding(fields, tensors, default=True)
    config = ModelConfig(
        architecture="gpt2",
        n_layers=fields.layers("n_layer"),
        d_model=d_model,
        n_heads=n_heads,
        n_key_value_heads=n_heads,
        d_head=d_head,
        d_mlp=d_mlp,
        n_ctx=n_ctx,
        d_vocab=d_vocab,
        d_vocab_out=d_vocab,
        act_fn=fields.choice("activation_function", "gelu_new", ACTIVATIONS),
        eps=fields.number("layer_norm_epsilon", 1e-5, above=0.0),
        attn_scale=math.sqrt(d_head) if fields.flag("scale_attn_weights", True) else 1.0,
        scale_attn_by_inverse_layer_idx=fields.flag("scale_attn_by_inverse_layer_idx", False),
        tied=tied,
        **_ends(fields, d_vocab),
    )
    prefix = _prefix(tensors, "transformer.", "wte.weight")
    return Layout(
        config=config,
        rows=(*_placed(GPT2_ROWS, prefix), *head),
        block_rows=GPT2_BLOCK,
        block=f"{prefix}h.{{}}.",
        sizes={
            "d_vocab": (d_vocab, "vocab_size"),
            "d_model": (d_model, "n_embd"),
            "n_ctx": (n_ctx, "n_positions"),
            "d_mlp": (d_mlp, "n_inner" if fields.value("n_inner") else "4 n_embd"),
        },
        # By exact name: a looser pattern for the causal mask would take c_attn.bias as well.
        buffers=r"(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)",
    )


def neox(fields: Fields, tensors: Tensors) -> Layout:
    """GPT-NeoX and Pythia: partial rotary positions, attention and MLP in parallel or in turn."""
    d_model, n_heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    d_head = _width_of_head(fields, d_model, n_heads, "hidden_size", "num_attention_heads")
    d_vocab, d_mlp = fields.count("vocab_size"), fields.count("intermediate_size")
    fields.refuse("is_decoder", (False,), "cross attention")
    tied, head = _unembedding(fields, tensors, default=False)
    config = ModelConfig(
        architecture="gpt_neox",
        n_layers=fields.layers("num_hidden_layers"),
        d_model=d_model,
        n_heads=n_heads,
        n_key_value_heads=n_heads,
        d_head=d_head,
        d_mlp=d_mlp,
        n_ctx=fields.count("max_position_embeddings", 2048),
        d_vocab=d_vocab,
        d_vocab_out=d_vocab,
        act_fn=fields.choice("hidden_act", "gelu", ACTIVATIONS),
        eps=fields.number("layer_norm_eps", 1e-5, above=0.0),
        attn_scale=math.sqrt(d_head),
        parallel_attn_mlp=fields.flag("use_parallel_residual", True),
        tied=tied,
        **rotary(fields, d_head, theta="rotary_emb_base", part="rotary_pct", whole=0.25),
        **_ends(fields, d_vocab),
    )
    prefix = _prefix(tensors, "gpt_neox.", "embed_in.weight")
    return Layout(
        config=config,
        rows=(*_placed(NEOX_ROWS, prefix), *head),
        block_rows=NEOX_BLOCK,
        block=f"{prefix}layers.{{}}.",
        sizes=_sizes(config),
        buffers=r"(gpt_neox\.)?(layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)"
        r"|rotary_emb\.inv_freq)",
        switches=frozenset(["attention_bias"] if fields.flag("attention_bias", True) else []),
    )


def llama(fields: Fields, tensors: Tensors) -> Layout:
    """Llama: RMSNorm, rotary positions, grouped queries, gated MLP."""
    on = [name for name in ("attention_bias", "mlp_bias") if fields.flag(name, False)]
    on += ["qkv_bias"] if "attention_bias" in on else []
    return _llama_like(fields, tensors, "llama", frozenset(on), 2048, 0, ())


def mistral(fields: Fields, tensors: Tensors) -> Layout:
    """Mistral: Llama in which every layer may have a sliding window."""
    window = fields.count("sliding_window", 4096) if _is_set(fields, "sliding_window", True) else 0
    layers = range(fields.layers("num_hidden_layers")) if window else ()
    return _llama_like(fields, tensors, "mistral", frozenset(), 131_072, window, tuple(layers))


def qwen2(fields: Fields, tensors: Tensors) -> Layout:
    """Qwen2: Llama with biases on query, key and value; the upper layers may have a window."""
    n_layers = fields.layers("num_hidden_layers")
    window = 0
    if fields.flag("use_sliding_window", False) and _is_set(fields, "sliding_window", True):
        window = fields.count("sliding_window", 4096)
    first = fields.count("max_window_layers", 28, low=0)
    kinds = ["sliding_attention" if window and i >= first else "full_attention"
             for i in range(n_layers)]  # fmt: skip
    kinds = fields.value("layer_types", kinds)
    known = {"sliding_attention", "full_attention"}
    if not isinstance(kinds, list) or len(kinds) != n_layers or not set(map(str, kinds)) <= known:
        fields.fail(
            f"layer_types: {shown(kinds)} is not a list of {n_layers} of {', '.join(known)}"
        )
    sliding = tuple(i for i, kind in enumerate(kinds) if kind == "sliding_attention")
    if sliding and not window:
        fields.fail("layer_types names sliding layers, and use_sliding_window is off")
    on = frozenset(["qkv_bias"])
    return _llama_like(fields, tensors, "qwen2", on, 32_768, window if sliding else 0, sliding)


def _is_set(fields: Fields, name: str, default: bool) -> bool:
    """A field that is written as null is off; one that is absent has the default."""
    return fields.data[name] is not None if name in fields.data else default


def _llama_like(
    fields: Fields,
    tensors: Tensors,
    name: str,
    switches: frozenset[str],
    n_ctx: int,
    window: int,
    sliding: tuple[int, ...],
) -> Layout:
    d_model, n_heads = fields.count("hidden_size"), fields.count("num_attention_heads")
    grouped = 8 if name == "mistral" and "num_key_value_heads" not in fields.data else n_heads
    n_kv = fields.count("num_key_value_heads", grouped)
    if n_heads % n_kv:
        fields.fail(f"num_attention_heads {n_heads} is no multiple of num_key_value_heads {n_kv}")
    if fields.value("head_dim") is None:
        d_head = _width_of_head(fields, d_model, n_heads, "hidden_size", "num_attention_heads")
    else:
        d_head = fields.count("head_dim")
    d_vocab = fields.count("vocab_size")
    tied, head = _unembedding(fields, tensors, default=False)
    config = ModelConfig(
        architecture=name,
        n_layers=fields.layers("num_hidden_layers"),
        d_model=d_model,
        n_heads=n_heads,
        n_key_value_heads=n_kv,
        d_head=d_head,
        d_mlp=fields.count("intermediate_size"),
        n_ctx=fields.count("max_position_embeddings", n_ctx),
        d_vocab=d_vocab,
        d_vocab_out=d_vocab,
        act_fn=fields.choice("hidden_act", "silu", ACTIVATIONS),
        gated_mlp=True,
        normalization_type="RMS",
        eps=fields.number("rms_norm_eps", 1e-6, above=0.0),
        attn_scale=math.sqrt(d_head),
        window_size=window,
        sliding_layers=sliding,
        tied=tied,
        **rotary(fields, d_head, theta="rope_theta", part="partial_rotary_factor", whole=1.0),
        **_ends(fields, d_vocab),
    )
    if config.rotary_dim != d_head:
        fields.fail("partial_rotary_factor: only 1.0 is supported for this architecture")
    prefix = _prefix(tensors, "model.", "embed_tokens.weight")
    return Layout(
        config=config,
        rows=(*_placed(LLAMA_ROWS, prefix), *head),
        block_rows=LLAMA_BLOCK,
        block=f"{prefix}layers.{{}}.",
        sizes=_sizes(config),
        buffers=r"(model\.)?(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq",
        switches=switches,
    )


def _sizes(config: ModelConfig) -> dict[str, tuple[int, str]]:
    return {
        "d_vocab": (config.d_vocab, "vocab_size"),
        "d_model": (config.d_model, "hidden_size"),
        "d_mlp": (config.d_mlp, "intermediate_size"),
        "n_heads": (config.n_heads, "num_attention_heads"),
        "n_key_value_heads": (config.n_key_value_heads, "num_key_value_heads"),
        "d_head": (config.d_head, "head_dim"),
    }


ARCHITECTURES: dict[str, Callable[[Fields, Tensors], Layout]] = {
    "gpt2": gpt2,
    "gpt_neox": neox,
    "llama": llama,
    "mistral": mistral,
    "qwen2": qwen2,
    "hooked_transformer": hooked.hooked_transformer,
}

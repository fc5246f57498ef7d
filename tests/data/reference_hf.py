"""Tiny random Hugging Face models of every family, with reference values by `transformers`.

Needs torch and transformers (see make_families.py); the project itself never imports this file.
Weights are random but *telling*: large, with random biases and gains, so that a missing bias or
a wrong wiring moves the logits far beyond any tolerance.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

N_BATCH, N_POS = 2, 8
D_VOCAB = 24


@dataclass(frozen=True)
class Case:
    """One model: the class of its config, the fields of it, and how it is written to disk."""

    name: str
    kind: str  # prefix of the transformers classes: GPT2, GPTNeoX, Llama, Mistral, Qwen2
    fields: dict[str, Any]
    dtype: torch.dtype = torch.float32
    shard: str = "5GB"
    older: Callable[[dict[str, Any]], None] | None = None  # edits config.json to its old spelling
    file_names: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]] | None = None


def rope_outside(config: dict[str, Any]) -> None:
    """Before transformers 5: `rope_theta` and `rope_scaling` at the top of config.json."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype")


def neox_rope_outside(config: dict[str, Any]) -> None:
    """GPT-NeoX spells it `rotary_emb_base` and `rotary_pct`."""
    rope = config.pop("rope_parameters")
    config["rotary_emb_base"] = rope["rope_theta"]
    config["rotary_pct"] = rope["partial_rotary_factor"]
    config["torch_dtype"] = config.pop("dtype")


def qwen_without_layer_types(config: dict[str, Any]) -> None:
    """Before `layer_types` the layers from `max_window_layers` on were the sliding ones."""
    rope_outside(config)
    del config["layer_types"]


def gpt2_hub_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The hub's own `gpt2`: no `transformer.` prefix, and mask buffers among the weights."""
    named = {name.removeprefix("transformer."): value for name, value in state.items()}
    n_layers = 1 + max(int(name.split(".")[1]) for name in named if name.startswith("h."))
    n_ctx = named["wpe.weight"].shape[0]
    for layer in range(n_layers):
        named[f"h.{layer}.attn.bias"] = torch.ones(1, 1, n_ctx, n_ctx).tril()
        named[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return named


def pythia_hub_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The hub's Pythia: `embed_out`, mask buffers and rotary frequencies among the weights."""
    named = {("embed_out.weight" if n == "lm_head.weight" else n): v for n, v in state.items()}
    n_layers = 1 + max(int(n.split(".")[2]) for n in named if n.startswith("gpt_neox.layers."))
    for layer in range(n_layers):
        attention = f"gpt_neox.layers.{layer}.attention"
        named[f"{attention}.bias"] = torch.ones(1, 1, 32, 32, dtype=torch.bool).tril()
        named[f"{attention}.masked_bias"] = torch.tensor(-1e9)
        named[f"{attention}.rotary_emb.inv_freq"] = torch.tensor([1.0, 0.01])
    return named


GPT2 = {"n_embd": 12, "n_layer": 2, "n_head": 3, "vocab_size": D_VOCAB, "n_positions": 16}
NEOX = {"vocab_size": D_VOCAB, "num_hidden_layers": 2, "max_position_embeddings": 32}
LLAMA_LIKE = {
    "vocab_size": D_VOCAB,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}

CASES = (
    Case("gpt2-tied", "GPT2", GPT2),
    Case(
        "gpt2-untied",
        "GPT2",
        {**GPT2, "n_inner": 20, "activation_function": "relu", "tie_word_embeddings": False}
        | {"scale_attn_by_inverse_layer_idx": False, "layer_norm_epsilon": 1e-3},
    ),
    Case(
        "gpt2-hub-names",
        "GPT2",
        {**GPT2, "n_head": 2, "n_inner": 20, "scale_attn_by_inverse_layer_idx": True},
        file_names=gpt2_hub_names,
    ),
    Case(
        "neox-parallel",
        "GPTNeoX",
        {**NEOX, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 24}
        | {"rotary_pct": 0.25, "use_parallel_residual": True, "hidden_act": "gelu"},
        dtype=torch.float16,
        older=neox_rope_outside,
        file_names=pythia_hub_names,
    ),
    Case(
        "neox-serial",
        "GPTNeoX",
        {**NEOX, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24}
        | {"rotary_pct": 0.5, "use_parallel_residual": False, "rotary_emb_base": 100},
        older=neox_rope_outside,
    ),
    Case(
        "llama-gqa",  # wavelengths 6, 20, 63, 199: one kept, two blended, one divided by 8
        "Llama",
        {**LLAMA_LIKE, "num_key_value_heads": 2, "head_dim": 8, "tie_word_embeddings": False}
        | {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 100.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
        shard="12KB",
        older=rope_outside,
    ),
    Case(
        "llama-tied-biases",
        "Llama",
        {**LLAMA_LIKE, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}},
        dtype=torch.bfloat16,
        older=rope_outside,
    ),
    Case(
        "mistral-window",
        "Mistral",
        {**LLAMA_LIKE, "num_key_value_heads": 2, "sliding_window": 5, "head_dim": 8},
        older=rope_outside,
    ),
    Case(
        "qwen2-plain",
        "Qwen2",
        {**LLAMA_LIKE, "hidden_size": 18, "num_attention_heads": 3, "num_key_value_heads": 1}
        | {"tie_word_embeddings": True, "rms_norm_eps": 1e-3},
        older=rope_outside,
    ),
    Case(
        "qwen2-window",
        "Qwen2",
        {**LLAMA_LIKE, "num_hidden_layers": 3, "hidden_size": 12, "tie_word_embeddings": False}
        | {"num_attention_heads": 2, "num_key_value_heads": 2}
        | {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
        older=qwen_without_layer_types,
    ),
)


def randomise(model: torch.nn.Module, seed: int, dtype: torch.dtype) -> None:
    """Matrices of std 0.25 (embeddings 0.5), biases of std 0.3, gains 1 +- 0.3.

    All are rounded to the file's dtype. The rotary frequencies are no parameters: they stay
    float32, as they are when such a file is opened.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, value in sorted(model.named_parameters()):
        noise = torch.randn(value.shape, generator=generator)
        is_gain = value.ndim == 1 and name.endswith("weight")
        is_embedding = any(part in name for part in ("wte", "wpe", "embed_in", "embed_tokens"))
        std = 0.3 if value.ndim == 1 else 0.5 if is_embedding else 0.25
        with torch.no_grad():
            value.copy_((noise * std + (1.0 if is_gain else 0.0)).to(dtype))


def build(case: Case, seed: int) -> torch.nn.Module:
    """The random model, rounded to the case's file type and back to float32."""
    config = getattr(transformers, f"{case.kind}Config")(**case.fields)
    config._attn_implementation = "eager"
    head = "LMHeadModel" if case.kind == "GPT2" else "ForCausalLM"
    model = getattr(transformers, case.kind + head)(config)
    randomise(model, seed, case.dtype)
    return model.eval()


def save(case: Case, model: Any, folder: Path) -> None:
    """save_pretrained, then the older spellings of config.json and of the tensor names."""
    rounded = copy.deepcopy(model).to(case.dtype)
    rounded.save_pretrained(folder, max_shard_size=case.shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if case.file_names is not None:
        weights = folder / "model.safetensors"
        named = case.file_names(load_file(weights))
        save_file(named, weights, metadata={"format": "pt"})
    if case.older is not None:
        config = json.loads((folder / "config.json").read_text())
        case.older(config)
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        (folder / "config.older.json").write_text(text)


def listen(case: Case, model: Any) -> list[tuple[str, Any, str, Callable[[Any], Any]]]:
    """(hook name, module, "in" or "out", reshaping) for every activation that a module shows."""
    config = model.config
    n_heads = config.num_attention_heads
    d_head = getattr(config, "head_dim", None) or config.hidden_size // n_heads
    heads = lambda x: x.unflatten(-1, (-1, d_head))  # noqa: E731  # [batch, pos, head, d_head]
    same = lambda x: x  # noqa: E731
    part = lambda i: lambda x: heads(x.chunk(3, -1)[i])  # noqa: E731
    # NeoX stores q, k and v of one head side by side: [head, 3, d_head]
    neox = lambda i: lambda x: x.unflatten(-1, (n_heads, 3, d_head))[..., i, :]  # noqa: E731
    if case.kind == "GPT2":
        trunk, blocks = model.transformer, model.transformer.h
        top = [("hook_embed", trunk.wte, "out", same), ("hook_pos_embed", trunk.wpe, "out", same)]
        final, first, second = trunk.ln_f, "ln_1", "ln_2"
        out, project = "attn.c_proj", [("attn.c_attn", part)] * 3
        mlp = {"pre": "mlp.c_fc", "down": "mlp.c_proj"}
    elif case.kind == "GPTNeoX":
        trunk, blocks = model.gpt_neox, model.gpt_neox.layers
        top = [("hook_embed", trunk.embed_in, "out", same)]
        final, first = trunk.final_layer_norm, "input_layernorm"
        second = "post_attention_layernorm"
        out, project = "attention.dense", [("attention.query_key_value", neox)] * 3
        mlp = {"pre": "mlp.dense_h_to_4h", "down": "mlp.dense_4h_to_h"}
    else:
        trunk, blocks = model.model, model.model.layers
        top = [("hook_embed", trunk.embed_tokens, "out", same)]
        final, first = trunk.norm, "input_layernorm"
        second = "post_attention_layernorm"
        out = "self_attn.o_proj"
        project = [(f"self_attn.{name}_proj", lambda i: heads) for name in "qkv"]
        mlp = {"pre": "mlp.gate_proj", "pre_linear": "mlp.up_proj", "down": "mlp.down_proj"}
    found = [*top, ("ln_final", final, "norm", same)]
    for layer, block in enumerate(blocks):
        at, module = f"blocks.{layer}", block.get_submodule
        found += [
            (f"{at}.hook_resid_pre", block, "in", same),
            (f"{at}.ln1", module(first), "norm", same),
            (f"{at}.ln2", module(second), "norm", same),
            (f"{at}.attn.hook_z", module(out), "in", heads),
            (f"{at}.hook_attn_out", module(out), "out", same),
            (f"{at}.mlp.hook_pre", module(mlp["pre"]), "out", same),
            (f"{at}.mlp.hook_post", module(mlp["down"]), "in", same),
            (f"{at}.hook_mlp_out", module(mlp["down"]), "out", same),
        ]
        for i, (path, reshape) in enumerate(project):
            found.append((f"{at}.attn.hook_{'qkv'[i]}", module(path), "out", reshape(i)))
        if "pre_linear" in mlp:
            found.append((f"{at}.mlp.hook_pre_linear", module(mlp["pre_linear"]), "out", same))
        if layer == len(blocks) - 1:  # below, it is the next block's hook_resid_pre
            found.append((f"{at}.hook_resid_post", block, "out", same))
        if not getattr(config, "use_parallel_residual", False):
            found.append((f"{at}.hook_resid_mid", module(second), "in", same))
    return found


def normalise(module: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """TransformerLens' hook_scale [batch, pos, 1] and hook_normalized, before gain and bias."""
    if isinstance(module, torch.nn.LayerNorm):
        x, eps = x - x.mean(-1, keepdim=True), module.eps
    else:
        eps = module.variance_epsilon
    scale = (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()  # [batch, pos, 1]
    return scale, x / scale


def run(case: Case, model: Any, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """One forward pass; every activation under its TransformerLens name."""
    seen: dict[str, torch.Tensor] = {}
    handles = []
    for name, module, side, reshape in listen(case, model):

        def keep(module, args, kwargs, output, name=name, side=side, reshape=reshape):
            given = args[0] if args else kwargs["hidden_states"]
            value = output[0] if isinstance(output, tuple) else output
            if side == "norm":
                scale, normalised = normalise(module, given)
                seen[f"{name}.hook_scale"] = scale.clone()
                if name == "ln_final":
                    seen[f"{name}.hook_normalized"] = normalised.clone()
            else:
                seen[name] = reshape(given if side == "in" else value).clone()

        handles.append(module.register_forward_hook(keep, with_kwargs=True))
    source = __import__(type(model).__module__, fromlist=["x"])
    rotate = getattr(source, "apply_rotary_pos_emb", None)
    layer = 0

    def keep_rotated(*args: Any, **kwargs: Any) -> Any:
        nonlocal layer
        q, k = rotate(*args, **kwargs)  # [batch, head, pos, d_head]
        seen[f"blocks.{layer}.attn.hook_rot_q"] = q.transpose(1, 2).clone()
        seen[f"blocks.{layer}.attn.hook_rot_k"] = k.transpose(1, 2).clone()
        layer += 1
        return q, k

    if rotate is not None:
        source.apply_rotary_pos_emb = keep_rotated
    try:
        with torch.no_grad():
            output = model(tokens, output_attentions=True, use_cache=False)
    finally:
        if rotate is not None:
            source.apply_rotary_pos_emb = rotate
        for handle in handles:
            handle.remove()
    for i, pattern in enumerate(output.attentions):
        seen[f"blocks.{i}.attn.hook_pattern"] = pattern  # [batch, head, query, key]
    if "hook_pos_embed" in seen:
        seen["hook_pos_embed"] = seen["hook_pos_embed"].expand_as(seen["hook_embed"])
    return {"logits": output.logits, **seen}


def prompts(seed: int, d_vocab: int = D_VOCAB, n_pos: int = N_POS) -> torch.Tensor:
    """Random token ids [batch, pos]."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, d_vocab, (N_BATCH, n_pos)))

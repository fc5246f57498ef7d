"""Tiny random models in the TransformerLens layout, with every activation that it caches.

Needs torch and transformer_lens (see make_families.py); the project never imports this file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformer_lens import HookedTransformer, HookedTransformerConfig

D_VOCAB = 24
MASKED = -1e5  # what a masked key's score becomes, as in the ARENA bracket classifier
SMALL = {
    "n_layers": 2,
    "d_model": 16,
    "d_head": 6,
    "n_heads": 3,
    "d_mlp": 24,
    "n_ctx": 10,
    "d_vocab": D_VOCAB,
    "act_fn": "relu",
    "normalization_type": None,
    "attn_only": True,
    "device": "cpu",
}
# What config.json says, in the order of the files that are found in the wild.
WRITTEN = (
    *("n_layers", "d_model", "n_ctx", "d_head", "n_heads", "d_mlp", "d_vocab", "d_vocab_out"),
    *("act_fn", "attn_only", "attention_dir", "normalization_type"),
    *("positional_embedding_type", "final_rms", "eps", "use_attn_scale", "attn_scale"),
    *("n_key_value_heads", "parallel_attn_mlp", "rotary_dim"),
)


@dataclass(frozen=True)
class HookedCase:
    """One model: fields over SMALL, and what its file holds besides the weights."""

    name: str
    fields: dict[str, Any]
    mask_token: int | None = None
    with_buffers: bool = False  # save `mask` and `IGNORE` too, as torch.save(state_dict) did
    with_result: bool = False  # also record hook_result (TransformerLens leaves it out)


CASES = (
    HookedCase("tl-attn-only", {}, with_result=True),
    HookedCase(
        "tl-ln-gelu",
        {"attn_only": False, "act_fn": "gelu", "normalization_type": "LN"},
        with_buffers=True,
        with_result=True,
    ),
    HookedCase(
        "tl-rms-shortformer",
        {"normalization_type": "RMS", "positional_embedding_type": "shortformer"},
    ),
    HookedCase(
        "tl-rms-rotary",
        {"attn_only": False, "act_fn": "gelu_new", "normalization_type": "RMS"}
        | {"positional_embedding_type": "rotary", "rotary_base": 100},
    ),
    HookedCase(
        "tl-ln-rotary-part",
        {"normalization_type": "LN", "positional_embedding_type": "rotary"}
        | {"rotary_dim": 4, "rotary_adjacent_pairs": True},
    ),
    HookedCase(
        "tl-bidirectional",
        {"attn_only": False, "normalization_type": "LN", "attention_dir": "bidirectional"}
        | {"d_vocab": 11, "d_vocab_out": 5},
        mask_token=3,
    ),
    HookedCase(
        "tl-lnpre-parallel",
        {"attn_only": False, "act_fn": "silu", "normalization_type": "LNPre"}
        | {"parallel_attn_mlp": True, "use_attn_scale": False},
    ),
)


def build(case: HookedCase, seed: int) -> HookedTransformer:
    """A HookedTransformer with random weights, biases and gains; no weight processing."""
    config = HookedTransformerConfig(**{**SMALL, **case.fields}, seed=seed)
    model = HookedTransformer(config)
    generator = torch.Generator().manual_seed(seed)
    for name, value in sorted(model.named_parameters()):
        noise = torch.randn(value.shape, generator=generator)
        last = name.rsplit(".", 1)[-1]
        is_bias = last.startswith("b")
        std = 0.3 if is_bias or last == "w" else 0.5 if "embed" in name else 0.3
        with torch.no_grad():
            value.copy_(noise * std + (1.0 if last == "w" else 0.0))
    return model.eval()


def in_float64(case: HookedCase, model: HookedTransformer) -> HookedTransformer:
    """The same weights in double precision."""
    config = HookedTransformerConfig(**{**SMALL, **case.fields}, dtype=torch.float64)
    double = HookedTransformer(config)
    with torch.no_grad():
        for name, value in model.named_parameters():
            double.get_parameter(name).copy_(value)
    return double.eval()


def hide_keys(model: HookedTransformer, tokens: torch.Tensor, token: int) -> None:
    """Keys whose token is `token` get the score MASKED, in every layer."""
    hidden = (tokens == token)[:, None, None, :]  # [batch, 1, 1, key]

    def mask(scores: torch.Tensor, hook: Any) -> torch.Tensor:
        return scores.masked_fill(hidden, MASKED)

    for block in model.blocks:
        block.attn.hook_attn_scores.add_hook(mask)


def run(case: HookedCase, model: HookedTransformer, tokens: torch.Tensor) -> dict[str, Any]:
    """Logits and everything that run_with_cache keeps (hook_result where asked for)."""
    model.reset_hooks()
    if case.mask_token is not None:
        hide_keys(model, tokens, case.mask_token)
    with torch.no_grad():
        logits, cache = model.run_with_cache(tokens)
        seen = {"logits": logits, **dict(cache.items())}
        if case.with_result:
            model.set_use_attn_result(True)
            _, cache = model.run_with_cache(tokens)
            seen |= {n: value for n, value in cache.items() if n.endswith("hook_result")}
            model.set_use_attn_result(False)
    model.reset_hooks()
    return seen


def save(case: HookedCase, model: HookedTransformer, folder: Path) -> None:
    """config.json and model.safetensors under the names of TransformerLens' state_dict."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"format": "hooked_transformer", "architectures": ["HookedTransformer"]}
    config |= {name: getattr(model.cfg, name) for name in WRITTEN}
    if model.cfg.positional_embedding_type == "rotary":
        config |= {n: getattr(model.cfg, n) for n in ("rotary_base", "rotary_adjacent_pairs")}
    if case.mask_token is not None:
        config["mask_token"] = case.mask_token
    text = json.dumps(config, indent=1, default=float) + "\n"
    (folder / "config.json").write_text(text)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    if not case.with_buffers:
        weights = {name for name, _ in model.named_parameters()}
        state = {name: value for name, value in state.items() if name in weights}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})

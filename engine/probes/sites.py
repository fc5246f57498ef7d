"""Sites: which activations of a model are read, layer by layer, and how axes name them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import RunError, SpecError
from engine.model.interventions import width_of
from engine.probes.layer_result import EMBEDDING

SITES = {  # the choice of a form -> the hook of a layer
    "resid_pre": "hook_resid_pre", "resid_mid": "hook_resid_mid", "resid_post": "hook_resid_post",
    "attn_out": "hook_attn_out", "mlp_out": "hook_mlp_out", "z": "attn.hook_z",
    "q": "attn.hook_q", "k": "attn.hook_k", "v": "attn.hook_v",
    "mlp_pre": "mlp.hook_pre", "mlp_post": "mlp.hook_post",
}  # fmt: skip
OF_POINTS = {"resid_post": "hook_post", "mlp_post": "hook_post", "mlp_pre": "hook_pre"}
"""The same choices in a network that reads points and has no stream."""


@dataclass(frozen=True)
class Site:
    """One activation: its hook, how an axis names it, its block (-1 = before the first), width."""

    hook: str
    label: str
    layer: int
    width: int


def sites(model: Any, site: str, hook: str, layers: Sequence[int]) -> list[Site]:
    """What is read, from the input on; SpecError or RunError names what this model has not.

    hook: exact names or a pattern, instead of a site and layers; layers (): all, and the embedding.
    """
    known = model.hooks()
    if hook:
        found = fnmatch.filter(known, hook)
        if not found:
            raise SpecError("hook", f"no activation of {model.name} is called {hook!r}")
        return [_site(model, name, short=len(found) > 1) for name in found]
    ends, at = (OF_POINTS, "layers.") if _points(model) else (SITES, "blocks.")
    n_layers = model.config.n_layers
    for layer in layers:
        if layer >= n_layers:
            raise SpecError("layers", f"layer {layer} is not in -1..{n_layers - 1} of {model.name}")
    wanted = sorted(set(layers)) if layers else range(EMBEDDING, n_layers)
    names = [
        embedding_hook(model) if layer == EMBEDDING else f"{at}{layer}.{ends.get(site, site)}"
        for layer in wanted
    ]
    missing = [name for name in names if name not in known]
    if missing:
        have = [name for name, end in ends.items() if f"{at}0.{end}" in known]
        raise SpecError("site", f"{model.name} has no {missing[0]}; it has {', '.join(have)}")
    if site == "resid_pre" and not layers and not _points(model):
        names = names[1:] if names[0] == names[1] else names  # block 0 reads the embedding
    return [_site(model, name, short=True) for name in names]


def one_site(model: Any, site: str, hook: str, layer: int) -> Site:
    """The one activation that is read; `hook` must name exactly one."""
    found = sites(model, site, hook, () if hook else (layer,))
    if len(found) != 1:
        raise SpecError("hook", f"{hook!r} names {len(found)} activations; name one")
    return found[0]


def embedding_hook(model: Any) -> str:
    """What the first block reads: the stream's start with its positions, or the points."""
    return "hook_in" if _points(model) else "blocks.0.hook_resid_pre"


def raw_hook(model: Any) -> str:
    """The input without any context or position."""
    return "hook_in" if _points(model) else "hook_embed"


def after_last_block(hook: str) -> bool:
    """Whether only a pass with logits comes by this activation."""
    return hook.startswith(("ln_final.", "unembed."))


def _points(model: Any) -> bool:
    return getattr(model, "inputs", "tokens") == "points"


def _site(model: Any, hook: str, short: bool) -> Site:
    axes = model.hooks()[hook].split()
    if "query" in axes:
        raise SpecError("hook", f"{hook} is as wide as a text is long; a probe needs one width")
    layer = int(found.group(1)) if (found := re.match(r"\w+\.(\d+)\.", hook)) else EMBEDDING
    embedding = hook in ("hook_embed", "hook_pos_embed", embedding_hook(model))
    if after_last_block(hook) or hook == "hook_out":
        layer = model.config.n_layers
    if not short:
        label = hook
    elif embedding:
        label, layer = "input" if _points(model) else "embed", EMBEDDING
    else:
        label = str(layer) if layer < model.config.n_layers else "out"
    return Site(hook, label, layer, _width(model, hook, axes))


def _width(model: Any, hook: str, axes: list[str]) -> int:
    if _points(model):
        return int(model.config.width(hook))
    heads = {"head": model.config.n_heads, "kv_head": model.config.n_key_value_heads}
    width = width_of(axes, model.config)
    for axis in axes:
        width *= heads.get(axis, 1)
    if width == 0:
        raise RunError(f"{hook} of {model.name} is empty")
    return width

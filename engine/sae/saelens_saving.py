"""Writing SAELens folders, in the layout of SAELens 6.54.12, which loads them as they stand.

Everything is folded first: a file of ours is never ambiguous. A batchtopk SAE is written as
jumprelu, as SAELens does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from engine.errors import RunError
from engine.model.config_file import shown
from engine.sae.sae import SAE
from engine.sae.saelens_files import KEPT, OURS
from engine.sae.tensors import shapes

__all__ = ["VERSION", "config_of", "plain", "tensors_of", "text_of"]

VERSION = "6.54.12"  # whose layout is written
OF_A_READING = ("format", "warnings", "folded")


def tensors_of(sae: SAE) -> tuple[SAE, dict[str, Any]]:
    """What is written: the SAE with everything folded, and its tensors by SAELens' names.

    Norms before the scale: so activations keep the units that they have in `sae`, where SAELens'
    order at the end of a training divides them by the scale.
    """
    if sae.rescale_acts_by_decoder_norm:
        sae = sae.with_norms_folded()
    sae = sae.with_scaling_folded()
    if sae.architecture == "batchtopk":
        sae = replace(sae, architecture="jumprelu")
    names = shapes(sae.architecture, sae.d_in, sae.d_sae)
    tensors = {name: np.ascontiguousarray(getattr(sae, name), np.float32) for name in names}
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise RunError(
                f"{name} of this SAE holds numbers that are not finite: it is not saved; go back "
                "to a checkpoint of before, and train on with a lower lr"
            )
    return sae, tensors


def config_of(sae: SAE, trained: SAE) -> dict[str, Any]:
    """cfg.json of `sae`, which `tensors_of` made of `trained`."""
    about = {name: plain(value) for name, value in trained.about.items()}
    known = {name: about[name] for name in KEPT if name in about}
    known.setdefault("sae_lens_training_version", None)
    if trained.architecture == "batchtopk":
        known |= {"training_architecture": "batchtopk",
                  "training_architecture_details": {"k": trained.k or about.get("k")}}  # fmt: skip
    ours = {name: about[name] for name in about if name not in (*KEPT, *OF_A_READING)}
    whole = sae.hook_name.endswith("hook_z") and sae.hook_head_index is None
    config = {
        "architecture": sae.architecture, "d_in": sae.d_in, "d_sae": sae.d_sae,
        "dtype": "float32", "device": "cpu",
        "apply_b_dec_to_input": sae.apply_b_dec_to_input,
        "normalize_activations": sae.normalize_activations,
        "reshape_activations": "hook_z" if whole else "none",
        "metadata": {
            **known, "sae_lens_version": VERSION, "model_name": sae.model_name,
            "hook_name": sae.hook_name, "hook_head_index": sae.hook_head_index,
            OURS: {"model_digest": sae.model_digest, "about": ours},
        },
    }  # fmt: skip
    if sae.architecture == "topk":
        config |= {"k": sae.k, "rescale_acts_by_decoder_norm": False}
    return config


def plain(value: Any) -> Any:
    """The same as JSON values: tuples become lists, a number that is not finite null."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise RunError(f"about: {shown(value)} is no JSON value")


def text_of(config: Mapping[str, Any]) -> str:
    """cfg.json as it is written."""
    return json.dumps(config, indent=1, allow_nan=False) + "\n"

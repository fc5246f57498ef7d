"""ae.pt + config.json, as github.com/saprmarks/dictionary_learning saves them.

State dicts of torch, read by the restricted reader alone. Matrices lie the other way round than in
SAELens' files (torch.nn.Linear: weight [out, in]) except in those of JumpReLU.

What would fool you: a TopK dictionary carries a threshold too, and does not use it; the JumpReLU
one does not take b_dec off its input, and the others do.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.errors import FileError
from engine.model import torch_file
from engine.model.config_file import Fields, read_json
from engine.sae.sae import SAE
from engine.sae.tensors import Shape, Watch, read, shapes, widths

__all__ = ["CONFIG", "FORMAT", "WEIGHTS", "load"]

CONFIG, WEIGHTS = "config.json", "ae.pt"
FORMAT = "dictionary_learning"


@dataclass(frozen=True)
class _Class:
    """How one class of dictionaries writes an architecture: our name -> its own."""

    architecture: str
    names: dict[str, str]
    transposed: tuple[str, ...] = ("encoder.weight", "decoder.weight")
    centred: bool = True


_LINEAR = {"W_enc": "encoder.weight", "W_dec": "decoder.weight"}
_KEPT = {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "b_dec"}
_CLASSES = {
    "AutoEncoder": _Class("standard", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "bias"}),
    "AutoEncoderNew": _Class(
        "standard", {**_LINEAR, "b_enc": "encoder.bias", "b_dec": "decoder.bias"}, centred=False
    ),
    "AutoEncoderTopK": _Class("topk", _KEPT),
    "BatchTopKSAE": _Class("batchtopk", {**_KEPT, "topk_threshold": "threshold"}),
    "GatedAutoEncoder": _Class(
        "gated",
        {**_LINEAR, "b_dec": "decoder_bias", "b_gate": "gate_bias", "b_mag": "mag_bias",
         "r_mag": "r_mag"},
    ),
    "JumpReluAutoEncoder": _Class(
        "jumprelu", {name: name for name in shapes("jumprelu", 1, 1)}, (), centred=False
    ),
}  # fmt: skip


def load(folder: Path, watch: Watch = None) -> SAE:
    """The dictionary in a folder of ae.pt and config.json; FileError says what is not right."""
    data, _raw = read_json(folder / CONFIG)
    fields = Fields(folder / CONFIG, data if isinstance(data, dict) else {})
    trainer = fields.inside("trainer")
    if not trainer.data:
        fields.fail("the field trainer is missing: it says of what class the dictionary is")
    how = trainer.choice("dict_class", "", _CLASSES)
    header = torch_file.read_header(folder / WEIGHTS)
    matrix = how.names["W_enc"]
    found = widths(header.file, header.tensors, matrix)
    d_in, d_sae = found[::-1] if matrix in how.transposed else found
    for name, own in (("activation_dim", d_in), ("dict_size", d_sae)):
        if (said := trainer.count(name, own)) != own:
            raise FileError(
                folder, f"{CONFIG} says {name} {said:,} and the weights in {WEIGHTS} {own:,}: the "
                "two do not belong together"
            )  # fmt: skip
    wanted: dict[str, Shape] = {
        how.names[name]: shape for name, shape in shapes(how.architecture, d_in, d_sae).items()
    }
    tensors = read(header, wanted, watch, how.transposed)
    arrays: dict[str, Any] = {name: tensors[other] for name, other in how.names.items()}
    if "topk_threshold" in arrays:
        arrays["threshold"] = np.full(d_sae, arrays.pop("topk_threshold"), np.float32)  # [d_sae]
    k = trainer.count("k") if "topk" in how.architecture else None
    if k is not None and k > d_sae:
        trainer.fail(f"k: {k:,} is more than the {d_sae:,} latents")
    warnings = []
    layer, name = trainer.value("layer"), trainer.value("lm_name", "")
    hook_name = f"blocks.{layer}.hook_resid_post" if type(layer) is int and layer >= 0 else ""
    if hook_name:
        place = trainer.value("submodule_name")
        warnings.append(
            f"{CONFIG} says layer {layer}{f' and {place!r}' if isinstance(place, str) else ''}, "
            f"which is read as {hook_name}: SAELens reads it so too"
        )
    about = {"format": FORMAT, "warnings": tuple(warnings), "folded": ()}
    return SAE(
        how.architecture, **arrays, k=k, apply_b_dec_to_input=how.centred, hook_name=hook_name,
        model_name=name.rpartition("/")[2] if isinstance(name, str) else "",
        about=MappingProxyType(about),
    )  # fmt: skip

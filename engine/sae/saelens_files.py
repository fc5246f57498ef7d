"""SAELens folders: cfg.json + sae_weights.safetensors (github.com/decoderesearch/SAELens, 6.54.12).

Read are standard, topk, jumprelu and gated SAEs and their training checkpoints (batchtopk only
exists as one: it is saved as jumprelu), in the layout of version 6 and in the flat one before it.
Whatever the file holds, what comes out is plain: scales of the inputs and decoder norms are inside
the weights, so that W_dec is in the units of the model's activations.

What would fool you: `expected_average_only_in` means that the weights read x times a number that
is written elsewhere, or nowhere once it has been folded; a checkpoint of a training still holds the
decoder norms that activations are multiplied by; a fine-tuning factor multiplies only what is
decoded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.errors import FileError
from engine.model.config_file import Fields, read_json, shown
from engine.model.safetensors_file import Header, read_header
from engine.sae.sae import NORMALISATIONS, SAE
from engine.sae.tensors import Watch, all_finite, read, shapes, widths

__all__ = ["CONFIG", "KEPT", "OURS", "SCALER", "WEIGHTS", "load"]

CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
SCALER = "activation_scaler.json"  # beside checkpoints of a training
FORMAT, FLAT = "SAELens 6", "SAELens before 6"
OURS = "mechanoscope"  # the key in the metadata under which we keep what SAELens has no word for
READ = ("standard", "topk", "batchtopk", "jumprelu", "gated")
KEPT = (
    "context_size", "prepend_bos", "exclude_special_tokens", "seqpos_slice", "dataset_path",
    "neuronpedia_id", "training_architecture", "training_architecture_details", "l0",
    "sae_lens_version", "sae_lens_training_version", "model_from_pretrained_kwargs",
)  # fmt: skip
"""Metadata that is passed on as it stands."""
RENAMED = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
    "uses_scaling_factor": "finetuning_scaling_factor",
}
"""Field names of old configurations -> those of the last version before 6."""
LOG_ONLY = {"log_threshold"}  # in checkpoints of jumprelu trainings before 6.5
FINETUNED = ("scaling_factor", "finetuning_scaling_factor")


@dataclass
class _Reading:
    """What is found out about one folder on the way."""

    folder: Path
    fields: Fields
    flat: bool
    warnings: list[str] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)


def load(folder: Path, watch: Watch = None) -> SAE:
    """The SAE in a folder; FileError says which field or tensor is not what it should be.

    `about` holds "format", "warnings" (sentences, where the folder is ambiguous) and "folded"
    (what was put into the weights), besides what the metadata say.
    """
    reading = _opened(folder)
    architecture = _architecture(reading)
    header = read_header(folder / WEIGHTS)
    d_in, d_sae = _sizes(reading, header)
    wanted = shapes(architecture, d_in, d_sae)
    if "threshold" in wanted and {"threshold", "log_threshold"} & set(header.tensors) == LOG_ONLY:
        wanted["log_threshold"] = wanted.pop("threshold")
    factor = next((name for name in FINETUNED if name in header.tensors), None)
    if factor is not None:
        wanted[factor] = (d_sae,)
    unused = [name for name in header.tensors if name not in wanted]
    if unused:
        listed = ", ".join(sorted(unused)[:4])
        reading.warnings.append(
            f"{WEIGHTS} holds {shown(listed)}, which a {architecture} SAE does not use"
        )
    arrays = read(header, wanted, watch)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is found at the end
        sae = _made(reading, architecture, arrays, factor, watch)
    return all_finite(header.file, sae, watch)


def _made(
    reading: _Reading, architecture: str, arrays: dict[str, Any], factor: str | None, watch: Watch
) -> SAE:
    """The SAE of tensors by their names in the file, everything folded."""
    _finetuned(reading, arrays, factor)
    if "log_threshold" in arrays:
        arrays["threshold"] = np.exp(arrays.pop("log_threshold"))  # [d_sae]
    if "topk_threshold" in arrays:
        threshold, d_sae = arrays.pop("topk_threshold"), len(arrays["W_dec"])
        arrays["threshold"] = np.full(d_sae, threshold, np.float32)  # [d_sae]
        reading.warnings.append(
            "a checkpoint of a batchtopk training: read as SAELens saves it, with the threshold "
            "of its training in place of k"
        )
    return _assembled(reading, architecture, arrays, watch)


def _opened(folder: Path) -> _Reading:
    """The configuration, its old names replaced; `flat` where it is of before version 6."""
    data, _raw = read_json(folder / CONFIG)
    if not isinstance(data, dict):
        raise FileError(folder / CONFIG, "is not a JSON object; fetch the file again")
    if not (folder / WEIGHTS).is_file():
        raise FileError(folder, f"holds {CONFIG} and no {WEIGHTS}; fetch the weights")
    fields = Fields(folder / CONFIG, data)
    metadata = fields.inside("metadata")
    said = fields.value("sae_lens_version") or metadata.value("sae_lens_version")
    number = re.match(r"\s*(\d{1,4})\.", said) if isinstance(said, str) else None
    flat = number is None or int(number[1]) < 6
    if flat:
        old = {RENAMED.get(str(name), str(name)): value for name, value in data.items()}
        fields = Fields(folder / CONFIG, {**metadata.data, **old})
    return _Reading(folder, fields, flat)


def _architecture(reading: _Reading) -> str:
    fields = reading.fields
    name = fields.value("architecture", "standard")
    if reading.flat:
        activation = fields.value("activation_fn", "relu")
        given = fields.inside("activation_fn_kwargs")
        if activation == "topk":
            given.refuse("signed", (False,), "activations below zero would be kept")
            if "k" in given.data:
                fields.data["k"] = given.data["k"]
            name = "topk"
        elif activation != "relu" and name != "topk":
            fields.fail(
                f"activation_fn: {shown(activation)} is not supported; known are relu and topk"
            )
    if not isinstance(name, str) or name not in READ:
        fields.fail(
            f"architecture: {shown(name)} is not supported; read are {', '.join(READ)} (a "
            "matryoshka or batchtopk SAE as its training saves it: as jumprelu)"
        )
    d_in, d_out = fields.value("d_in"), fields.value("d_out")
    if d_out is not None and d_out != d_in:
        fields.fail(f"d_out: {shown(d_out)} is not d_in, so this is a transcoder, no SAE")
    return name


def _sizes(reading: _Reading, header: Header) -> tuple[int, int]:
    """d_in and d_sae: of the configuration, and of W_enc where an old one leaves d_sae out."""
    found = widths(header.file, header.tensors)
    d_in = reading.fields.count("d_in")
    d_sae = reading.fields.count("d_sae", found[1] if reading.flat else None)
    if (d_in, d_sae) != found:
        raise FileError(
            reading.folder, f"{CONFIG} says d_in {d_in:,} and d_sae {d_sae:,}, and W_enc in "
            f"{WEIGHTS} has the shape {list(found)}: the two do not belong together"
        )  # fmt: skip
    return found


def _finetuned(reading: _Reading, arrays: dict[str, Any], name: str | None) -> None:
    """The factor [d_sae] of old fine-tuned SAEs goes into W_dec: features are as they were."""
    said = reading.fields.value("finetuning_scaling_factor", False)
    if name is None:
        if said:
            reading.warnings.append(
                f"{CONFIG} asks for a fine-tuning factor and {WEIGHTS} holds none: read without"
            )
        return
    factor = arrays.pop(name)  # [d_sae]
    if np.allclose(factor, 1):
        return
    if not said:
        reading.warnings.append(
            f"{WEIGHTS} holds a fine-tuning factor per latent and {CONFIG} does not ask for it: "
            "it is not used; SAELens refuses such a folder"
        )
        return
    arrays["W_dec"] *= factor[:, None]
    reading.folded.append("fine-tuning factor per latent, into the decoder")


def _assembled(reading: _Reading, architecture: str, arrays: dict[str, Any], watch: Watch) -> SAE:
    fields = reading.fields
    metadata = fields if reading.flat else fields.inside("metadata")
    ours = metadata.inside(OURS)
    normalised = _normalisation(reading)
    scaling = _scaling(reading, normalised)
    rescales = fields.flag("rescale_acts_by_decoder_norm", False) and "topk" in architecture
    k = _k(fields, architecture, len(arrays["W_dec"]))
    sae = SAE(
        architecture, **arrays,
        k=int(k) if k is not None and k == int(k) else None,
        apply_b_dec_to_input=fields.flag("apply_b_dec_to_input", True),
        rescale_acts_by_decoder_norm=rescales,
        normalize_activations=normalised, scaling=scaling,
        hook_name=_text(metadata, "hook_name"), hook_head_index=_head(metadata),
        model_digest=_text(ours, "model_digest"), model_name=_text(metadata, "model_name"),
    )  # fmt: skip
    if scaling is not None:
        sae = sae.with_scaling_folded()
        reading.folded.append(f"scale {scaling:g} of the activations")
        if watch is not None:
            watch()
    if rescales:
        sae = sae.with_norms_folded()
        reading.folded.append("decoder norms")
        if watch is not None:
            watch()
    about = {name: metadata.data[name] for name in KEPT if metadata.value(name) is not None}
    about |= ours.inside("about").data
    about |= {
        "format": FLAT if reading.flat else FORMAT, "warnings": tuple(reading.warnings),
        "folded": tuple(reading.folded),
    }  # fmt: skip
    if k is not None:
        about["k"] = k
    return replace(sae, about=MappingProxyType(about))


def _k(fields: Fields, architecture: str, d_sae: int) -> float | None:
    """How many latents are kept: a whole number for topk, a mean for batchtopk."""
    if architecture == "batchtopk":
        return fields.number("k", above=0)
    if architecture != "topk":
        return None
    k = fields.count("k")
    if k > d_sae:
        fields.fail(f"k: {k:,} is more than the {d_sae:,} latents")
    return k


def _normalisation(reading: _Reading) -> str:
    fields = reading.fields
    said = fields.value("normalize_activations", "none")
    if reading.flat and isinstance(said, bool):
        said = "expected_average_only_in" if said else "none"
    if not isinstance(said, str) or said not in NORMALISATIONS:
        fields.fail(
            f"normalize_activations: {shown(said)} is not supported; known are "
            f"{', '.join(NORMALISATIONS)}"
        )
    return said


def _scaling(reading: _Reading, normalised: str) -> float | None:
    """The factor of the inputs that is still to be folded; a warning where nobody can know."""
    path, factor = reading.folder / SCALER, None
    if path.is_file():
        data, _raw = read_json(path)
        scaler = Fields(path, data if isinstance(data, dict) else {})
        if scaler.value("has_whitening", False) is True:
            scaler.fail("has_whitening: activations that are whitened are not supported")
        if scaler.value("scaling_factor") is not None:
            factor = scaler.number("scaling_factor", above=0)
    averaged = normalised == "expected_average_only_in"
    if averaged and factor is None:
        reading.warnings.append(
            f"{CONFIG} says that activations are scaled to the mean norm √d_in, and no {SCALER} "
            "says by what: read as if the weights held the scale already. If it reconstructs "
            "badly, they do not"
        )
    if not averaged and factor is not None:
        reading.warnings.append(
            f"{SCALER} says {factor:g} and {CONFIG} that activations are read as they are: the "
            "scale is taken to be in the weights already"
        )
    return factor if averaged else None


def _text(fields: Fields, name: str) -> str:
    found = fields.value(name, "")
    if not isinstance(found, str):
        fields.fail(f"{name}: {shown(found)} is not text")
    return found


def _head(metadata: Fields) -> int | None:
    if metadata.value("hook_head_index") is None:
        return None
    return metadata.count("hook_head_index", low=0)

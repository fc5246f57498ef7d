"""How config.json spells rotary positions, in new files and old ones."""

from __future__ import annotations

from typing import Any

from engine.model.config import Llama3Scaling
from engine.model.config_file import Fields, shown


def rotary(fields: Fields, d_head: int, theta: str, part: str, whole: float) -> dict[str, Any]:
    """Fields of ModelConfig from `rope_parameters` (transformers 5), or from older spellings.

    theta, part: what the base and the rotated share of a head were called before; whole: the share
    where no field says it.
    """
    inner = fields.inside("rope_scaling" if fields.value("rope_scaling") else "rope_parameters")
    base = inner.number("rope_theta", fields.number(theta, 10_000.0, above=0.0), above=0.0)
    share = inner.number("partial_rotary_factor", fields.number(part, whole), above=0.0)
    rotary_dim = int(d_head * share)
    if share > 1.0 or rotary_dim % 2 or not rotary_dim:
        fields.fail(f"{part}: {share} of a head of {d_head} rotates {rotary_dim}, no even number")
    return {
        "positional_embedding_type": "rotary",
        "rotary_dim": rotary_dim,
        "rotary_base": base,
        "rotary_scaling": _scaling(fields, inner),
    }


def stretched(factor: float) -> Llama3Scaling:
    """Every frequency divided by `factor` ("linear"): with no context at all each one is slow."""
    return Llama3Scaling(factor, 1.0, 4.0, original_max_position_embeddings=0)


def _scaling(fields: Fields, inner: Fields) -> Llama3Scaling | None:
    kind = inner.value("rope_type", inner.value("type", "default"))
    if kind == "default":
        return None
    if kind == "linear":
        return stretched(inner.number("factor", above=0.0))
    if kind != "llama3":
        fields.fail(
            f"rope_type: rotary positions of type {shown(kind)} are not supported; "
            "default, linear and llama3 are"
        )
    low = inner.number("low_freq_factor", above=0.0)
    trained = fields.value("original_max_position_embeddings")
    trained = fields.value("max_position_embeddings", 2048) if trained is None else trained
    return Llama3Scaling(
        factor=inner.number("factor", above=0.0),
        low_freq_factor=low,
        high_freq_factor=inner.number("high_freq_factor", above=low),
        original_max_position_embeddings=inner.count("original_max_position_embeddings", trained),
    )

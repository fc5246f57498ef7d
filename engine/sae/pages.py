"""What a feature browser found, and one latent of it as a page.

Slots of a latent's examples are the same for all latents: first the highest tokens, each of another
prompt, then a sample from each band of activation, highest band first, then (where activations have
a sign) the lowest tokens. A slot without an example has sequence -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import RunError
from engine.technique import array

__all__ = ["BASES", "Example", "FeaturesResult", "Page", "empty", "page"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

BASES = ("SAE", "neurons", "components", "direction")


@dataclass(frozen=True)
class FeaturesResult:
    """Every latent of a basis over a text. NaN, -1 = not yet, none, or (latent) never active."""

    basis: str = array("", "what is read: an SAE, neurons, components or a direction")
    basis_name: str = array("", "which one, in words")
    basis_digest: str = array("", "digest of the SAE or direction; empty for the others")
    hook: str = array("", "the activation that is read")
    source: str = array("", "the text")
    signed: bool = array("", "whether an activation may lie below 0; active still means above 0")
    n_read: int = array("", "tokens read so far, those left out not counted")
    n_wanted: int = array("", "tokens there are to read")
    l0: float = array("", "latents active at a token, mean")
    memory: int = array("", "bytes held to find the examples, beside the model")
    active_count: Ints = array("latent", "tokens at which it was active")
    density: Floats = array("latent", "share of tokens at which it is active, 0 to 1")
    highest: Floats = array("latent", "largest activation; 0 where it was never active")
    mean_active: Floats = array("latent", "mean activation over the tokens where it is active")
    top_ids: Ints = array("latent", "token id at the largest activation; -1 never active")
    histogram: Ints = array(
        "latent bin", "tokens by activation, those at exactly 0 left out; bins of equal width"
    )
    histogram_low: Floats = array("latent", "lower edge of its first bin")
    histogram_high: Floats = array("latent", "upper edge of its last bin, a power of 2")
    sequence_tokens: Ints = array("sequence pos", "token ids of the prompts that were read")
    band_names: tuple[str, ...] = array("band", "how the examples were chosen")
    slot_band: Ints = array("slot", "band of each slot of a latent's examples")
    example_sequence: Ints = array("latent slot", "prompt of each example; -1 none")
    example_position: Ints = array("latent slot", "position in it of the token it is about")
    example_value: Floats = array("latent slot", "activation there")
    example_window: Floats = array(
        "latent slot offset", "activations from so many tokens before to so many after it; NaN "
        "beyond the prompt and at tokens left out",
    )  # fmt: skip
    unit: Ints = array(
        "latent", "the unit of the hook that its decoder row is longest along: the neuron to set "
        "beside it; -1 where the units themselves are the basis",
    )  # fmt: skip
    unit_weight: Floats = array("latent", "that entry of the decoder row, for a row of length 1")
    unit_correlation: Floats = array(
        "latent", "correlation of its activation with that unit's, over all tokens counted"
    )
    example_unit: Floats = array(
        "latent slot unit_offset", "that unit's activations around each example, as example_window"
    )
    band_edges: Floats = array(
        "latent cut", "activation at each of the quantiles that part the bands, among the tokens "
        "where it is active; estimated from a sample where those are many",
    )  # fmt: skip
    promoted_ids: Ints = array("latent rank", "output tokens that a unit of it raises most")
    promoted_logits: Floats = array(
        "latent rank", "by how much: through the final norm's gain and W_U, less the mean over "
        "tokens, for a decoder row of length 1; NaN where it does not write to the stream",
    )  # fmt: skip
    suppressed_ids: Ints = array("latent rank", "output tokens that it lowers most")
    suppressed_logits: Floats = array("latent rank", "by how much, negative")
    nearest: Ints = array("latent rank", "latents with the most similar decoder row; -1 none")
    nearest_cosine: Floats = array("latent rank", "cosine of the two rows")
    decoder_norm: Floats = array("latent", "length of its decoder row")
    warnings: tuple[str, ...] = array("sentence", "what one should know; mostly none")


def empty(spec: Any) -> FeaturesResult:
    """What is known of a basis that is itself still being computed: no latent at all."""
    ids, numbers = np.zeros(0, np.int64), np.zeros(0, np.float32)  # [latent]
    table, values = ids.reshape(0, 0), numbers.reshape(0, 0)  # [latent, ...]
    return FeaturesResult(
        basis=spec.basis, basis_name="", basis_digest="", hook=spec.hook, source="", signed=True,
        n_read=0, n_wanted=0, l0=np.float64(np.nan), memory=0, active_count=ids, density=numbers,
        highest=numbers, mean_active=numbers, top_ids=ids, histogram=table, histogram_low=numbers,
        histogram_high=numbers, sequence_tokens=table, band_names=(), slot_band=ids,
        example_sequence=table, example_position=table, example_value=values,
        example_window=numbers.reshape(0, 0, 1), unit=ids, unit_weight=numbers,
        unit_correlation=numbers, example_unit=numbers.reshape(0, 0, 0),
        band_edges=values, promoted_ids=table, promoted_logits=values, suppressed_ids=table,
        suppressed_logits=values, nearest=table, nearest_cosine=values, decoder_norm=numbers,
        warnings=(),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Example:
    """A stretch of a prompt: ids and values [token], the token it is about at `at`.

    A value is NaN where the token was left out of the count. beside [token]: the unit's.
    """

    sequence: int
    position: int
    value: float
    ids: Ints
    values: Floats
    beside: Floats
    at: int


@dataclass(frozen=True, eq=False)
class Page:
    """One latent. `bands`: (name, examples) in the order of the slots, empty ones left out."""

    latent: int
    dead: bool
    count: int
    density: float
    highest: float
    mean_active: float
    top_id: int
    counts: Ints  # [bin]
    edges: Floats  # [bin + 1]
    cuts: Floats  # [cut], activation at the quantiles that part the bands
    bands: tuple[tuple[str, tuple[Example, ...]], ...]
    promoted: tuple[tuple[int, float], ...]  # (token id, logit), strongest first
    suppressed: tuple[tuple[int, float], ...]
    nearest: tuple[tuple[int, float], ...]  # (latent, cosine), most similar first
    decoder_norm: float
    unit: int  # the neuron beside it, or -1
    unit_weight: float
    unit_correlation: float


def page(result: FeaturesResult, latent: int) -> Page:
    """Everything about one latent; RunError names one that is not there."""
    n = len(result.density)
    if not 0 <= latent < n:
        raise RunError(f"latent {latent} is not in 0 to {n - 1} of {result.basis_name}")
    low, high = float(result.histogram_low[latent]), float(result.histogram_high[latent])
    n_bins = result.histogram.shape[1]
    edges = np.linspace(low, high, n_bins + 1)  # [bin + 1]
    shown = [
        (name, tuple(_examples(result, latent, np.flatnonzero(result.slot_band == band))))
        for band, name in enumerate(result.band_names)
    ]
    count = int(result.active_count[latent])
    return Page(
        latent=latent, dead=result.n_read > 0 and count == 0, count=count,
        density=float(result.density[latent]), highest=float(result.highest[latent]),
        mean_active=float(result.mean_active[latent]), top_id=int(result.top_ids[latent]),
        counts=result.histogram[latent].copy(), edges=edges,
        cuts=result.band_edges[latent].copy(),
        bands=tuple((name, found) for name, found in shown if found),
        promoted=_pairs(result.promoted_ids[latent], result.promoted_logits[latent]),
        suppressed=_pairs(result.suppressed_ids[latent], result.suppressed_logits[latent]),
        nearest=_pairs(result.nearest[latent], result.nearest_cosine[latent]),
        decoder_norm=float(result.decoder_norm[latent]), unit=int(result.unit[latent]),
        unit_weight=float(result.unit_weight[latent]),
        unit_correlation=float(result.unit_correlation[latent]),
    )  # fmt: skip


def _examples(result: FeaturesResult, latent: int, slots: Ints) -> list[Example]:
    found = []
    n_pos = result.sequence_tokens.shape[1]
    for slot in slots.tolist():
        sequence = int(result.example_sequence[latent, slot])
        if sequence < 0:
            continue
        position = int(result.example_position[latent, slot])
        window = result.example_window[latent, slot]  # [offset]
        side = len(window) // 2
        first, end = max(0, position - side), min(n_pos, position + side + 1)
        offset = first - (position - side)
        found.append(Example(
            sequence, position, float(result.example_value[latent, slot]),
            result.sequence_tokens[sequence, first:end].copy(),
            window[offset : offset + end - first].copy(),
            result.example_unit[latent, slot, offset : offset + end - first].copy(),
            position - first,
        ))  # fmt: skip
    return found


def _pairs(which: Ints, values: Floats) -> tuple[tuple[int, float], ...]:
    return tuple(
        (int(one), float(value)) for one, value in zip(which, values, strict=True) if one >= 0
    )

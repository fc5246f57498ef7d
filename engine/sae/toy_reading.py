"""What a ToySAE result says: one moment of one SAE, its sentence, and the spread over seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.sae.concepts import Array
from engine.sae.matching import DEAD, DUPLICATE, MATCHED, MIXED, cosines
from engine.sae.toy_training import encode

__all__ = ["Moment", "describe", "describe_more", "metric", "moment", "record_of"]

NEARLY = 0.8  # |cosine| of two true directions that is worth a word
WEIGHTS = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")


@dataclass(frozen=True)
class Moment:
    """One SAE at one step, on the samples that are shown."""

    step: int
    true: Array  # [concept, 3]
    W_dec: Array  # [latent, 3]
    cosine: Array  # [latent, concept]
    role: Array  # [latent]
    matched: Array  # [concept]
    amount: Array  # [concept, sample]
    f: Array  # [latent, sample]
    metrics: Array  # [metric]

    @property
    def concept(self) -> Array:
        """[latent]: the concept it points to; -1 where it is dead or points to none."""
        found = np.where(self.role == DUPLICATE, self.cosine.argmax(axis=1), -1)  # [latent]
        for concept, latent in enumerate(self.matched):
            if latent >= 0 and self.role[latent] == MATCHED:
                found[latent] = concept
        return found

    @property
    def latent_order(self) -> Array:
        """Latents as a table wants them: concept by concept, its match first; mixed, then dead."""
        last = len(self.true)
        group = np.where(self.role == DEAD, last + 1, self.concept)  # [latent]
        group = np.where(self.role == MIXED, last, group)
        return np.lexsort((-self.cosine.max(axis=1), self.role, group))


def record_of(result: Any, step: int | None) -> int | None:
    """The record nearest to a step; None for the newest state."""
    steps = np.asarray(result.history_step)
    if step is None or not len(steps) or step >= steps[-1]:
        return None
    return int(np.abs(steps - step).argmin())


def moment(result: Any, instance: int = 0, record: int | None = None) -> Moment:
    """An SAE as it is now, or instance 0 as it was at a record."""
    true = np.asarray(result.directions[instance])
    amount = np.asarray(result.sample_amount[instance])
    if record is None:
        return Moment(
            int(result.step), true, result.W_dec[instance], result.cosine[instance],
            result.role[instance], result.matched[instance], amount, result.sample_f[instance],
            result.metrics[:, instance],
        )  # fmt: skip
    W_dec = result.history_W_dec[record]  # [latent, 3]
    then = {name: getattr(result, f"history_{name}")[record : record + 1] for name in WEIGHTS}
    f = encode(result.architecture, result.k, then, result.sample_x[0], 0)  # [latent, sample]
    return Moment(
        int(result.history_step[record]), true, W_dec, cosines(W_dec, true),
        result.history_role[record], result.history_matched[record], amount, f,
        result.history[:, record, 0],
    )  # fmt: skip


def metric(result: Any, name: str) -> int:
    """Where a score is in `metrics` and `history`."""
    return list(result.metric_names).index(name)


def describe(result: Any, seen: Moment, record: int | None = None) -> str:
    """The sentence: how many concepts are found, and how near, beside chance."""
    count, n_latents = len(seen.true), len(seen.W_dec)
    found = int(seen.metrics[metric(result, "found")])
    mmcs = seen.metrics[metric(result, "MMCS")]
    said = (
        f"{'All' if found == count else found} {'' if found == count else 'of '}{count} concepts "
        f"found; mean best cosine {mmcs:.2f}, where {n_latents} random directions have "
        f"{result.chance:.2f}."
    )
    if not found:
        said = (
            f"None of {count} concepts is found; mean best cosine {mmcs:.2f}, where {n_latents} "
            f"random directions have {result.chance:.2f}."
        )
    return said if record is None else f"At step {seen.step:,}: {said[:1].lower()}{said[1:]}"


def describe_more(
    result: Any, seen: Moment, instance: int, record: int | None = None
) -> tuple[str, ...]:
    """More sentences: when latents fire, what the others do, what no SAE could tell."""
    at = {name: float(seen.metrics[metric(result, name)]) for name in result.metric_names}
    others = [
        f"{int(at[name])} {word if at[name] != 1 else one}"
        for name, word, one in (
            ("duplicates", "duplicates", "duplicate"), ("mixed", "mixed", "mixed"),
            ("dead", "dead", "dead"),
        )
        if at[name]
    ]  # fmt: skip
    of = f"Of {len(seen.W_dec)} latents, {_listed(others)}." if others else ""
    if record is None and len(result.metrics[0]) > 1:
        own = f"Shown: seed {int(result.sae_seed[instance])}, F1 {at['F1']:.2f}."
        return tuple(filter(None, [_over_seeds(result), own, of]))
    fires = (
        f"F1 {at['F1']:.2f} at the best thresholds, {at['F1 at h > 0']:.2f} at h > 0; "
        f"{at['L0']:.2f} latents fire per sample, which holds "
        f"{float(result.true_l0[instance]):.2f} concepts."
    )
    return tuple(filter(None, [fires, of, _overlap(result, seen)]))


def _over_seeds(result: Any) -> str:
    count = len(result.directions[0])
    found = result.metrics[metric(result, "found")]  # [instance]
    mmcs, f1 = result.metrics[metric(result, "MMCS")], result.metrics[metric(result, "F1")]
    return (
        f"{int((found == count).sum())} of {len(found)} SAEs find all {count}: cosine "
        f"{mmcs.mean():.2f} [{mmcs.min():.2f}, {mmcs.max():.2f}], "
        f"F1 {f1.mean():.2f} [{f1.min():.2f}, {f1.max():.2f}]."
    )


def _overlap(result: Any, seen: Moment) -> str:
    """The pair of concepts that is hardest to tell apart, if any is."""
    cosine = seen.true @ seen.true.T  # [concept, concept]
    pairs = np.where(np.triu(np.ones_like(cosine), 1) > 0, np.abs(cosine), -1)
    one, other = np.unravel_index(int(pairs.argmax()), pairs.shape)
    value = float(cosine[one, other])
    if abs(value) < NEARLY:
        return ""
    names = f"{result.names[one].capitalize()} and {result.names[other]}"
    size = f"{value:.2f}".replace("-", "\N{MINUS SIGN}")
    if value < 0:
        return f"{names} stand opposite (cosine {size}) and cancel when both are there."
    return f"{names} nearly point the same way (cosine {size}): no SAE tells them well apart."


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

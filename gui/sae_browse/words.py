"""Words of the feature browser: fields of its forms, and what one latent of a basis is called."""

from __future__ import annotations

from typing import Any

from gui.probes.fields import Group, Plan, Values

WORDS = {
    "sae": "SAE, a folder or params.npz", "basis": "Read as", "direction": "Direction",
    "hook": "Hook by name", "data": "Text (none: the model's own world)", "n_tokens": "Tokens",
    "context": "Tokens in a prompt", "top": "Top examples", "quantiles": "Bands part at",
    "examples_per_quantile": "From each band", "window": "Tokens around",
    "ranks": "Ranks listed", "n_components": "Components", "count_bos": "Count BOS too",
    "seed": "Seed", "latents": "Always these features", "bos": "BOS",
    "auto": "as given: SAE, direction or neurons", "SAE": "features of the SAE",
    "neurons": "neurons: the hook's units", "components": "principal components",
}  # fmt: skip
"""Names of fields and choices as the forms show them."""
WORDS_ON_PROMPT = WORDS | {"top": "Features shown"}

_SINGULAR = {"SAE": "feature", "neurons": "neuron", "components": "component",
             "direction": "direction"}  # fmt: skip
_APPLIES = {
    "direction": lambda now: now["basis"] in ("auto", "direction"),
    "n_components": lambda now: now["basis"] == "components",
}


def _of_components(now: Values) -> bool:
    return now["basis"] == "components"


BROWSING = Plan(
    groups=(
        Group("What is read", ("sae", "basis", "direction", "hook", "n_components")),
        Group("On which text", ("data", "n_tokens", "context")),
        Group("Kept of each", ("top", "examples_per_quantile", "window", "ranks", "quantiles")),
        Group("Advanced: seed, BOS", ("seed", "count_bos"), folded=True),
    ),
    wide=("sae", "basis", "direction", "hook", "data", "quantiles", "n_components"),
    applies=_APPLIES, blanks={"hook": "the SAE's", "direction": "none"},
)  # fmt: skip
ON_PROMPT = Plan(
    groups=(
        Group("What is read", ("sae", "basis", "direction", "hook", "n_components")),
        Group("What is shown", ("top", "latents")),
        Group("Advanced: BOS, text",
              ("count_bos", "data", "n_tokens", "context"), folded=True),
    ),
    wide=("sae", "basis", "direction", "hook", "data", "latents", "n_components"),
    applies=_APPLIES
    | dict.fromkeys(("data", "n_tokens", "context"), _of_components),
    blanks={"hook": "the SAE's", "direction": "none", "latents": "none"},
)  # fmt: skip


def one(result: Any) -> str:
    """What one latent is: "feature", "neuron", "component", "direction"."""
    return _SINGULAR.get(str(result.basis), "feature")


def many(result: Any, count: int) -> str:
    """ "2,048 features", "1 neuron"."""
    return f"{count:,} {one(result)}{'' if count == 1 else 's'}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]

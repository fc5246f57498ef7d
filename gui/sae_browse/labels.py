"""Labels: what a person calls the features of a dictionary, kept in the settings by its digest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui.settings import read, write

MOST, LETTERS = 5_000, 120  # labels of a dictionary that are kept, and letters of one


def key_of(result: Any, model_name: str) -> str:
    """By what the labels of a result's basis are kept: the SAE's own bytes where it has them."""
    digest = str(result.basis_digest)
    if digest:
        return f"labels/{digest}"
    hook = str(result.hook).replace("/", "_")
    return f"labels/{model_name or 'a model'}, {result.basis} of {hook}"


def labels_of(key: str) -> dict[int, str]:
    return checked(read(key, {}))


def checked(value: Any) -> dict[int, str]:
    """Latent -> label, from JSON values that anyone may have written."""
    if not isinstance(value, Mapping):
        return {}
    pairs = [(str(at), text) for at, text in value.items() if isinstance(text, str)]
    named = {
        int(at): text.strip()[:LETTERS] for at, text in pairs if at.isdecimal() and len(at) < 9
    }
    return {at: text for at, text in list(named.items())[:MOST] if text}


def write_label(key: str, latent: int, text: str) -> dict[int, str]:
    """Call a latent so, or ("") nothing; all labels of the dictionary."""
    kept = labels_of(key)
    kept.pop(latent, None)
    if text.strip():
        kept[latent] = text.strip()[:LETTERS]
    write(key, {str(at): name for at, name in list(kept.items())[-MOST:]})
    return kept

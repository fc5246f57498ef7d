"""Rows of a lens: from a row's name ("embed", "3", "3.attn") to words, to the Focus and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gui.focus import Focus

EMBED, HOOK_EMBED = "embed", "hook_embed"
PARTS = {"attn": "the attention", "mlp": "the MLP"}


def parse(name: str) -> tuple[int | None, str]:
    """ "3.attn" -> (3, "attn"), "3" -> (3, ""), "embed" -> (None, "")."""
    number, _, part = name.partition(".")
    return (int(number), part) if number.isdigit() else (None, "")


def in_words(name: str) -> str:
    """As a sentence says it."""
    layer, part = parse(name)
    if layer is None:
        return "the embedding"
    return f"{PARTS[part]} of layer {layer}" if part in PARTS else f"layer {layer}"


def focus_fields(name: str, hook: str) -> dict[str, Any]:
    """What a click on a row turns the Focus to."""
    layer, part = parse(name)
    if layer is None:
        return {"layer": None, "hook": HOOK_EMBED, "component": EMBED}
    component = f"blocks.{layer}.{part}" if part in PARTS else f"blocks.{layer}"
    return {"layer": layer, "hook": hook, "component": component}


def row_of(focus: Focus, names: Sequence[str], hooks: Sequence[str]) -> int | None:
    """The row that a Focus looks at; None where it names no layer that is there."""
    if focus.hook == HOOK_EMBED:
        return names.index(EMBED) if EMBED in names else None
    if focus.hook in hooks and focus.hook:
        at = hooks.index(focus.hook)
        if parse(names[at])[0] == focus.layer:
            return at
    of_layer = [at for at, name in enumerate(names) if parse(name)[0] == focus.layer]
    if focus.layer is None or not of_layer:
        return None
    if focus.component.endswith(".attn") or ".attn." in focus.hook:
        return of_layer[0]
    return of_layer[-1]

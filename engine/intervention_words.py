"""Interventions in words: exactly, for captions and details, and short, for a chip that is clicked.

What is told exactly may come from a stranger's file: what makes no sense there is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from engine.model.interventions import BORROWED, Intervention
from engine.refs import SHORT, Ref

_LETTERS = 40  # of a prompt
_FEW = 6  # positions, units or token ids that are told one by one


def in_words(entry: Intervention) -> str:
    """Such as "ablate head 1.3 (zero)" or "steer resid_pre 5 by +4 along direction happy.npy"."""
    what, along = _what(entry), _along(entry)
    match entry.action:
        case "zero" if along:
            words = f"remove {along} from {what}"
        case "zero":
            words = f"ablate {what} (zero)"
        case "mean" | "resample":
            how = "mean" if entry.action == "mean" else "resampled"
            words = f"ablate {what}{_before(along)} ({how} {_origin(entry)})"
        case "patch":
            words = f"patch {what}{_before(along)} {_origin(entry)}"
        case "scale":
            words = f"scale {what} by {entry.factor:g}{_before(along)}"
        case "steer":
            words = f"steer {what} by {entry.factor:+g}{_before(along)}"
        case _:
            words = f"clamp {what} to {entry.factor:g}{_before(along)}"
    if entry.positions is not None:
        words += f" at {_counted('position', entry.positions)}"
    return _line(words)


def interventions_in_words(entries: Iterable[Any]) -> list[str]:
    """Such as "zero blocks.0.hook_attn_out at positions 1, 2", one text each."""
    told = []
    for entry in entries:
        values = entry if isinstance(entry, Mapping) else _builtins(entry)
        if isinstance(values, Mapping) and values.get("name"):
            told.append(_line(_exactly(values)))
    return told


# --- short ----------------------------------------------------------------------------------------


def _what(entry: Intervention) -> str:
    """Such as "head 1.3", "k of head 0.2", "resid_pre 5", "neuron 1.12"; "feature 12 of sae"."""
    if entry.sae is not None:
        return f"{_counted('feature', entry.units or ())} of {_dictionary(entry.sae)}"
    parts = entry.name.split(".")
    layer = parts[1] if parts[0] == "blocks" and len(parts) > 2 else ""
    site = parts[-1].removeprefix("hook_")
    if len(parts) == 4 and parts[2].startswith("ln"):
        site = f"{parts[2]} {site}"
    if not layer and len(parts) > 1:
        site = f"{parts[0]} {site}"
    if "attn" in parts:
        what = "heads" if entry.head is None else "head"
        number = layer if entry.head is None else f"{layer}.{entry.head}"
        owner = f"{what} {'of layer ' if entry.head is None else ''}{number}"
        words = owner if site == "z" else f"{site} of {owner}"
    elif site == "post" and "mlp" in parts and entry.units is not None:
        several = "s" if len(entry.units) > 1 else ""
        return f"neuron{several} " + _listed([f"{layer}.{unit}" for unit in entry.units])
    else:
        words = f"{site} {layer}".rstrip()
    if entry.units is not None:
        words += f", {_counted('key' if entry.over_keys else 'unit', entry.units)}"
    return words


def _dictionary(ref: Ref) -> str:
    """An SAE by its folder, said to be one where its name does not say it."""
    return ref.name if "sae" in ref.name.lower() else f"SAE {ref.name or ref.short}"


def _along(entry: Intervention) -> str:
    if isinstance(entry.direction, Ref):
        return f"direction {entry.direction.name or entry.direction.short}"
    if entry.direction is None:
        return ""
    used = [at for at, number in enumerate(entry.direction) if number]
    if len(used) == 1:
        return f"{'minus ' if entry.direction[used[0]] < 0 else ''}unit {used[0]}"
    return f"a direction of {len(entry.direction)} numbers"


def _before(along: str) -> str:
    return f" along {along}" if along else ""


def _origin(entry: Intervention) -> str:
    """Where the values come from: "of 'When Mary and …'", "from tokens 1, 5", "of pairs.csv"."""
    link = "of" if entry.action == "mean" else "from"
    if entry.data is not None:
        each = " at each position" if entry.by_position else ""
        return f"{link} {entry.data.name or entry.data.short}{each}"
    if isinstance(entry.source, str):
        text = entry.source
        return f"{link} '{text if len(text) <= _LETTERS else text[: _LETTERS - 1] + '…'}'"
    return f"{link} tokens {_listed(entry.source)}"


def _counted(name: str, numbers: Sequence[Any]) -> str:
    return f"{name}{'s' if len(numbers) > 1 else ''} {_listed(numbers)}"


def _listed(numbers: Sequence[Any]) -> str:
    more = f" and {len(numbers) - _FEW} more" if len(numbers) > _FEW else ""
    return ", ".join(map(str, numbers[:_FEW])) + more


# --- exactly --------------------------------------------------------------------------------------


def _exactly(values: Mapping[str, Any]) -> str:
    action = values.get("action", "zero")
    words = f"{action} {values['name']}"
    if action in ("scale", "steer", "clamp"):
        words += f" {'to' if action == 'clamp' else 'by'} {values.get('factor', 0.0)}"
    if values.get("head") is not None:
        words += f" of head {values['head']}"
    sae = values.get("sae")
    dictionary = f" of {_input(sae)}" if isinstance(sae, Mapping) else ""
    unit = "feature" if dictionary else "unit"
    for name, what in (("units", unit), ("positions", "position")):
        numbers = values.get(name)
        if isinstance(numbers, Sequence) and not isinstance(numbers, str):
            link = "at" if what == "position" else "in"
            words += f" {link} {what}{'s' if len(numbers) > 1 else ''} "
            words += ", ".join(map(str, numbers))
            words += dictionary if what == "feature" else ""
    direction = values.get("direction")
    if isinstance(direction, Mapping):
        words += f" along {_input(direction)}"
    elif isinstance(direction, Sequence) and not isinstance(direction, str):
        words += f" along ({_listed([_short(number) for number in direction])})"
    return words + (_taken(values) if action in BORROWED else "")


def _taken(values: Mapping[str, Any]) -> str:
    source, data = values.get("source"), values.get("data")
    words = ""
    if isinstance(source, str) and source:
        words = f" from '{source}' (BOS {values.get('bos', 'auto')})"
    elif isinstance(source, Sequence) and source:
        words = f" from tokens {', '.join(map(str, source))}"
    elif isinstance(data, Mapping):
        words = f" from {_input(data)}"
    if values.get("by_position"):
        words += " at each position"
    if values.get("action") == "resample" and isinstance(data, Mapping):
        words += f", seed {values.get('seed', 0)}"
    return words


def _input(ref: Mapping[str, Any]) -> str:
    """A stored Ref: its kind, its file's name, the beginning of its digest."""
    where = ref.get("where")
    name = where.replace("\\", "/").rpartition("/")[2] if isinstance(where, str) else ""
    parts = (ref.get("kind"), name, str(ref.get("digest", ""))[:SHORT])
    return " ".join(str(part) for part in parts if part)


def _short(number: Any) -> str:
    return f"{number:.3g}" if isinstance(number, int | float) else "?"


def _builtins(value: Any) -> Any:
    try:
        return msgspec.to_builtins(value)
    except TypeError:
        return None


def _line(text: str) -> str:
    """One line without control characters."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))

"""What stands under a figure and inside its file: of one run, or of both that are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gui.showing import entry_of, is_ids

if TYPE_CHECKING:
    from gui.comparison import Comparison
    from gui.panel import Panel


def caption_of(panel: Panel) -> str:
    """What is drawn, of which network, on which tokens, with what; "" where nothing is."""
    return in_words(origin(panel))


def origin(panel: Panel, seen: Comparison | None = None) -> dict[str, Any]:
    """What made the picture, without folders; {} where nothing is drawn.

    Of a comparison {"shows": the slice of the difference, "a": ..., "b": ...}. seen: the one on
    the page, which may show less than the panel's.
    """
    seen = seen if seen is not None else panel.comparison
    if seen is None or seen.found is None:
        return _shared(panel.provenance())
    a, b = both(panel)
    if seen.mode in ("a", "b"):
        return a if seen.mode == "a" else b
    return {"shows": _shows(seen), "a": a, "b": b}


def both(panel: Panel) -> tuple[dict[str, Any], dict[str, Any]]:
    """The provenance of A and of B, without folders."""
    assert panel.comparison is not None
    run = panel.comparison.run
    entry = entry_of(panel._records, run)
    named = {} if entry is None else {"title": entry.run.title, "note": entry.run.note}
    return _shared(panel.provenance()), _shared(run.provenance() | named)


def in_words(about: dict[str, Any]) -> str:
    """Of two runs: the slice, A in full, and of B what it is and what differs."""
    from engine.caption import caption  # with the session

    if "shows" not in about:
        return caption(about) if about else ""
    a, b = (caption(about[side]).splitlines() or [""] for side in ("a", "b"))
    lines = [about["shows"], f"A: {a[0]}", *a[1:], f"B: {b[0]}"]
    return "\n".join(line for line in (*lines, *(own for own in b[1:] if own not in a)) if line)


def slice_in_words(seen: Comparison) -> str:
    """Such as "B − A, pattern, layer 1, head 0": the head of a difference on paper."""
    pair = seen.pair
    if pair is None:
        return ""
    what = "Where A and B differ" if is_ids(pair.name) else "B − A"
    chosen = (combo.currentText() for combo in seen.indices[: len(seen._index)])
    return ", ".join((what, pair.name.replace("_", " "), *chosen))


def _shows(seen: Comparison) -> str:
    pair = seen.pair
    if pair is None or not seen._seen("difference"):
        return ""
    return f"{slice_in_words(seen)}: {pair.help}."


def _shared(about: dict[str, Any]) -> dict[str, Any]:
    from engine.export import shared  # with the session

    return shared(about)

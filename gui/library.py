"""Models ready to read on this machine: bundled, opened before, in the Hugging Face cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import FileError
from gui.settings import remembered
from resources import path

BUNDLED = ("world-4l", "induction-2l")  # in the order in which they are offered


@dataclass(frozen=True)
class Found:
    """One model that `peek` accepts. origin: "bundled", "recent" or "cached"."""

    folder: Path
    name: str
    facts: str
    file_bytes: int
    origin: str


def facts(peek: Any, *, long: bool = False) -> str:
    """`12 layers, 12 heads, 124 M parameters, float32` from a header."""
    config = peek.config
    parts = [_count(config.n_layers, "layer"), _count(config.n_heads, "head")]
    if config.attn_only:
        parts.append("attention only")
    if long or not config.attn_only:
        parts.append(f"{short_count(peek.n_params)} parameters")
    if long:
        parts.append(dtype(peek))
    return ", ".join(part for part in parts if part)


def dtype(peek: Any) -> str:
    """The stored type of most weights, in NumPy's words."""
    words = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
    by_size: dict[str, int] = {}
    for tensor in getattr(peek, "tensors", ()):
        kind = str(getattr(tensor, "dtype", ""))
        by_size[kind] = by_size.get(kind, 0) + int(getattr(tensor, "nbytes", 1))
    most = max(by_size, key=lambda kind: by_size[kind], default="")
    return words.get(most, most.lower())


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def short_count(number: float) -> str:
    """124 M, 7.1 M, 1.5 B, 768."""
    for unit, step in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= step:
            value = number / step
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{number:.0f}"


def bundled() -> list[Path]:
    """The folders that travel with the program; the first one is what a newcomer reads."""
    models = path("models")
    if not models.is_dir():
        return []
    found = [entry for entry in models.iterdir() if (entry / "config.json").is_file()]
    return sorted(found, key=lambda entry: (_place(entry.name), entry.name))


def bundled_model(name: str) -> Path:
    """The folder of one of them."""
    return path("models", name)


def saes_beside(folder: Path) -> list[Path]:
    """SAEs that lie in a model's folder: in `sae`, or each in a folder of its own there."""
    place = folder / "sae"
    try:
        found = [place, *sorted(entry for entry in place.iterdir() if entry.is_dir())]
    except OSError:
        return []
    return [entry for entry in found if (entry / "cfg.json").is_file()]


def _place(name: str) -> int:
    return BUNDLED.index(name) if name in BUNDLED else len(BUNDLED)


def scan(watch: Callable[[], None], report: Callable[[int, int], None]) -> list[Found]:
    """Every model found, bundled first; runs on a worker, as it reads many headers."""
    from engine.model import peek
    from engine.model.hub_cache import cached_models

    folders = [(folder, "bundled") for folder in bundled()]
    folders += [(Path(entry), "recent") for entry in remembered("recent/models")]
    folders += [(folder, "cached") for _, folder in cached_models()]
    found: dict[Path, Found] = {}
    for index, (folder, origin) in enumerate(folders):
        report(index, len(folders))
        place = folder.absolute()
        if place in found:
            continue
        try:
            header = peek(folder)
        except FileError:
            continue  # of a kind we do not read, or gone
        found[place] = Found(folder, header.name, facts(header), header.file_bytes, origin)
    return list(found.values())

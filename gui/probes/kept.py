"""Kept: directions that were written to files, to be compared with and to intervene along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from engine.errors import FileError, RunError
from engine.probes import directions
from engine.refs import Ref
from gui.probes.words import class_text

Array = np.ndarray
MOST = 8  # that are listed, the newest first
MOST_BYTES = 1 << 20  # of one that is


def folder() -> Path:
    """Where the directions of all probes live."""
    return Path(platformdirs.user_data_dir("mechanoscope")) / "directions"


def keep(result: Any, spec: Any, model: Any, site: int, which: int) -> Ref:
    """Write a probe's direction; FileError where the disk does not take it."""
    found = directions.About(
        model=str(getattr(model, "name", "")), model_digest=str(getattr(model, "digest", "")),
        hook=str(result.site_names[site]), column=str(result.column),
        label=class_text(result.classes[which]), probe=str(getattr(spec, "probe", "")),
        accuracy=_share(np.asarray(result.mean)[0, site]), data=str(result.data_name),
    )  # fmt: skip
    return directions.keep(folder(), result.direction(site, which), found)


def _share(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def listed(model: Any) -> list[tuple[str, Array]]:
    """(name, vector) of the newest ones of a model; what cannot be read is left out."""
    digest, found = getattr(model, "digest", None), []
    for path in _newest(folder()):
        told = directions.about(path)
        if told is None or told.model_digest != digest:
            continue
        try:
            vector, _ = directions.read(directions.of_file(directions.KIND, path))
        except (FileError, RunError):
            continue
        found.append((told.name, vector))
        if len(found) == MOST:
            break
    return found


def _newest(where: Path) -> Sequence[Path]:
    try:
        files = [(path.stat().st_mtime, path) for path in where.glob("*.npy")
                 if path.stat().st_size <= MOST_BYTES]  # fmt: skip
    except OSError:
        return []
    return [path for _, path in sorted(files, reverse=True)]

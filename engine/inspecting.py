"""What a folder holds, a model or a sparse autoencoder: for the command `inspect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine import headless
from engine.sae import files


def inspected(folder: str) -> dict[str, Any]:
    """What is in a folder, as JSON values; FileError where that is neither of the two."""
    return files.described(folder) if files.is_one(folder) else headless.about_model(folder)


def told(about: Mapping[str, Any]) -> str:
    """What `inspected` found, as lines of text."""
    return files.told(about) if "d_sae" in about else _model(about)


def _model(about: Mapping[str, Any]) -> str:
    lines = [
        f"{about['name']}: {about['architecture'] or 'a transformer'} in {about['folder']}",
        f"  parameters   {about['parameters']:,}",
        f"  files        {about['file_bytes'] / 1e6:,.1f} MB",
        f"  memory       {about['memory_bytes'] / 1e6:,.1f} MB",
    ]
    for name, value in about["config"].items():
        if value not in (None, "", []) and value is not False and name != "architecture":
            lines.append(f"  {name:<28} {value}")
    lines.append(f"  self-check   {'passed' if about['self_check']['passed'] else 'FAILED'}")
    for one in about["self_check"]["checks"]:
        mark = "ok" if one["passed"] else "NO"
        deviation = f"{one['deviation']:.1e} (limit {one['limit']:.0e})"
        lines.append(f"    {mark}  {one['name']:<44} {deviation}")
    return "\n".join(lines)

"""SAEs on disk: which of the known layouts a path is in, reading it, and writing SAELens' own.

Read: SAELens folders (`saelens_files`), Gemma Scope's params.npz (`gemma_scope`), ae.pt of
dictionary_learning (`dictionary_files`). Written: SAELens folders, whole or not at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType
from typing import Any

import numpy as np

from engine.errors import FileError
from engine.refs import Ref, of_file
from engine.sae import dictionary_files, gemma_scope, saelens_files, saelens_saving
from engine.sae.sae import SAE
from engine.sae.tensors import Watch

__all__ = ["KIND", "described", "is_one", "load", "place", "save"]

KIND = "SAE"  # of the Ref
LAYOUTS = (
    (saelens_files.CONFIG, (saelens_files.CONFIG, saelens_files.WEIGHTS)),
    (dictionary_files.WEIGHTS, (dictionary_files.WEIGHTS, dictionary_files.CONFIG)),
    (gemma_scope.PARAMS, (gemma_scope.PARAMS,)),
)
"""What tells a layout -> all the files that a folder of it holds."""
WRITTEN = (saelens_files.CONFIG, saelens_files.WEIGHTS)


def is_one(path: Path | str) -> bool:
    """Whether a path looks like an SAE: a folder or one of the files in it. Nothing is read."""
    try:
        return bool(_layout(place(path)))
    except OSError:
        return False


def place(path: Path | str) -> Path:
    """What stands for the SAE that a path points at: its folder, or a params.npz itself."""
    path = Path(path).expanduser()
    named = {name for _, files in LAYOUTS for name in files} - {gemma_scope.PARAMS}
    return path.parent if path.name in named and path.is_file() else path


def load(path: Path | str, watch: Watch = None) -> SAE:
    """The SAE in a folder or a file; FileError names what is wrong. `watch` may raise to stop.

    `about` holds "format", "warnings" (sentences, where the file is ambiguous) and "folded" (what
    was put into the weights). W_dec is in the units of the model's activations.
    """
    found = place(path)
    layout = _layout(found)
    if layout == saelens_files.CONFIG or (not layout and _has(found, saelens_files.CONFIG)):
        return saelens_files.load(found, watch)
    if layout == dictionary_files.WEIGHTS:
        return dictionary_files.load(found, watch)
    if layout == gemma_scope.PARAMS:
        return gemma_scope.load(found if found.is_file() else found / gemma_scope.PARAMS, watch)
    if not found.exists():
        raise FileError(found, "there is no such folder")
    known = "; ".join(" with ".join(files) for _, files in LAYOUTS)
    raise FileError(found, f"holds no SAE that is read; choose a folder of {known}")


def save(sae: SAE, folder: Path | str) -> Ref:
    """Write a SAELens folder (everything folded; batchtopk as jumprelu); its Ref.

    It is there whole or not at all, and replaces an SAE that was saved there before. FileError
    where the folder holds anything else, or the disk does not take it; RunError for an SAE with
    numbers that are not finite.
    """
    from safetensors import SafetensorError  # here, or a list of techniques would load them
    from safetensors.numpy import save_file

    folder = Path(folder).expanduser().absolute()
    written, tensors = saelens_saving.tensors_of(sae)
    text = saelens_saving.text_of(saelens_saving.config_of(written, sae))
    beside, old = None, None
    try:
        if folder.exists():
            _check_ours(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        fresh, old = beside / "new", beside / "old"
        fresh.mkdir()
        save_file(tensors, fresh / saelens_files.WEIGHTS)
        (fresh / saelens_files.CONFIG).write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except (OSError, SafetensorError) as error:
        raise FileError(folder, getattr(error, "strerror", None) or str(error)) from None
    finally:
        if beside is not None:
            shutil.rmtree(beside, ignore_errors=True)
    return of_file(KIND, folder)


def _check_ours(folder: Path) -> None:
    if not folder.is_dir():
        raise FileError(folder, "is a file; name a folder that is new or empty")
    other = sorted(one.name for one in folder.iterdir() if one.name not in WRITTEN)
    if other:
        raise FileError(
            folder, f"holds other files ({', '.join(other[:3])}), and what stands beside an SAE "
            "can change its meaning; name a folder that is new or empty"
        )  # fmt: skip


def _layout(path: Path) -> str:
    """The file that tells a layout; "" for none of those that are read."""
    if path.is_file():
        return gemma_scope.PARAMS if path.suffix.lower() == ".npz" else ""
    for telling, needed in LAYOUTS:
        if all(_has(path, name) for name in needed):
            return telling
    return ""


def _has(folder: Path, name: str) -> bool:
    return (folder / name).is_file()


def described(path: Path | str, watch: Watch = None) -> dict[str, Any]:
    """What an SAE is, as JSON values: for `mechanoscope inspect`. Every byte is read."""
    sae = load(path, watch)
    about = {name: saelens_saving.plain(value) for name, value in sae.about.items()}
    with np.errstate(over="ignore"):
        norms = sae.decoder_norms  # [d_sae]
    return {
        "folder": str(place(path)),
        "format": about.pop("format"),
        "architecture": sae.architecture,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "k": sae.k if sae.k is not None else about.pop("k", None),
        "model_name": sae.model_name,
        "model_digest": sae.model_digest,
        "hook_name": sae.hook_name,
        "hook_head_index": sae.hook_head_index,
        "normalize_activations": sae.normalize_activations,
        "apply_b_dec_to_input": sae.apply_b_dec_to_input,
        "decoder_norms": [float(value) for value in np.quantile(norms, (0, 0.5, 1))],
        "folded": about.pop("folded"),
        "warnings": about.pop("warnings"),
        "about": about,
    }


def told(found: Mapping[str, Any]) -> str:
    """What `described` found, as lines of text."""
    at = found["hook_name"] or "a hook that its file does not name"
    if found["hook_head_index"] is not None:
        at += f", head {found['hook_head_index']}"
    kept = "" if found["k"] is None else f", k {found['k']:g}"
    low, middle, high = found["decoder_norms"]
    lines = [
        f"{Path(found['folder']).name}: {found['architecture']} SAE of {found['format']}{kept}",
        f"  reads        {at} of {found['model_name'] or 'a model that its file does not name'}",
        f"  size         {found['d_in']:,} -> {found['d_sae']:,} latents",
        f"  decoder rows {low:.3g} to {high:.3g} long, {middle:.3g} in the middle",
        f"  activations  {found['normalize_activations']}, b_dec "
        f"{'taken off' if found['apply_b_dec_to_input'] else 'left in'} before encoding",
    ]
    lines += [f"  folded       {one}" for one in found["folded"]]
    lines += [f"  {name:<12} {value}" for name, value in found["about"].items() if value != {}]
    return "\n".join(lines + [f"  warning: {one}" for one in found["warnings"]])


def warned(sae: SAE, *sentences: str) -> SAE:
    """The same SAE with further warnings in `about`."""
    already = tuple(sae.about.get("warnings", ()))
    return replace(sae, about=MappingProxyType({**sae.about, "warnings": already + sentences}))

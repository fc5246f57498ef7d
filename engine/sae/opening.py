"""open_sae: the SAE of a Ref or a path, checked against the model that it is to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.errors import RunError
from engine.model.interventions import width_of
from engine.model.opening import HEADER
from engine.refs import SHORT, Ref, locate, of_file
from engine.sae import files
from engine.sae.files import KIND
from engine.sae.sae import SAE
from engine.sae.tensors import Watch

__all__ = ["KIND", "check_fits", "open_sae", "ref_of"]


def ref_of(path: Path | str, watch: Watch = None) -> Ref:
    """The Ref of the SAE that a path points at: of its folder, or of a params.npz itself."""
    return of_file(KIND, files.place(path), watch)


def open_sae(
    sae: Ref | Path | str, model: Any = None, watch: Watch = None, field: str = "sae"
) -> SAE:
    """The SAE of a Ref (its bytes are compared) or a path; every call reads the files.

    With a model RunError where the SAE is another's or its hook has another width; `watch` may
    raise to stop, and is the model's own where none is given. field: the technique's, for the form.
    """
    if watch is None and model is not None:
        watch = model.listen
    path = locate(sae, watch, field) if isinstance(sae, Ref) else Path(sae)
    found = files.load(path, watch)
    return found if model is None else check_fits(found, model, files.place(path).name)


def check_fits(sae: SAE, model: Any, name: str = "") -> SAE:
    """The SAE, with a warning where it names another model without proof; RunError where it does
    not fit: both digests, or both widths and the hooks, are named.
    """
    title = f"the SAE {name}" if name else "this SAE"
    said = f"{sae.model_name or 'another model'} at {sae.hook_name or 'an unnamed hook'}"
    was, now = sae.model_digest, model.digest
    comparable = bool(was) and bool(now) and was.startswith(HEADER) == now.startswith(HEADER)
    if comparable and was != now:
        raise RunError(
            f"{title} was trained on {said} (sha {_short(was)}…), and this is {model.name} "
            f"(sha {_short(now)}…): open the model it was trained on, or choose an SAE of this one"
        )
    if sae.hook_name:
        _check_width(sae, model, title, said)
    if not comparable and sae.model_name and sae.model_name != model.name:
        return files.warned(
            sae, f"it was trained on {sae.model_name}, and this is {model.name}: its file does "
            "not hold the weights' digest, so nothing tells whether the two are the same"
        )  # fmt: skip
    return sae


def _check_width(sae: SAE, model: Any, title: str, said: str) -> None:
    hooks = model.hooks()
    if sae.hook_name not in hooks:
        near = [
            hook for hook in hooks if hook.rpartition(".")[2] == sae.hook_name.rpartition(".")[2]
        ]
        listed = ", ".join((near or list(hooks))[:4])
        raise RunError(
            f"{title} reads {sae.hook_name!r}, and {model.name} has no such hook; it has {listed}…"
        )
    axes = hooks[sae.hook_name].split()
    width, head = width_of(axes, model.config), sae.hook_head_index
    if axes[-2] in ("head", "kv_head"):
        names = {"head": "n_heads", "kv_head": "n_key_value_heads"}
        n_heads = getattr(model.config, names[axes[-2]])
        if head is not None and head >= n_heads:
            raise RunError(
                f"{title} reads head {head} of {sae.hook_name}, and {model.name} has {n_heads}"
            )
        width *= 1 if head is not None else n_heads
    if width != sae.d_in:
        raise RunError(
            f"{title}, trained on {said}, reads {sae.d_in:,} numbers, and {sae.hook_name} of "
            f"{model.name} has {width:,}: open the model it was trained on (sha "
            f"{_short(sae.model_digest) or 'unknown'}; this one is {_short(model.digest)})"
        )


def _short(digest: str) -> str:
    return digest.removeprefix(HEADER)[:SHORT]

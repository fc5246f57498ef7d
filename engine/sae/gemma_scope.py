"""Gemma Scope's params.npz (Lieberum et al. 2024, arXiv:2408.05147): JumpReLU SAEs of DeepMind.

W_enc [d_in, d_sae], W_dec [d_sae, d_in], b_enc, threshold [d_sae], b_dec [d_in]; f = pre where
pre = x W_enc + b_enc is above its threshold, with no b_dec taken off the input. The file says
nothing about model and place: both stand in the names of its folders, where those are kept.

What would fool you: the SAEs of the embedding were trained before Gemma multiplies it by √d_model,
and `hook_embed` holds it afterwards; a transcoder has the very same tensors.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np

from engine.errors import FileError
from engine.model.config_file import shown
from engine.sae.sae import SAE
from engine.sae.tensors import Shape, Watch, all_finite, check_memory, shapes
from engine.sae.topk import Array

__all__ = ["FORMAT", "PARAMS", "load"]

PARAMS = "params.npz"
FORMAT = "Gemma Scope"
SLAB = 4 << 20  # bytes read between two looks at Stop
MAX_HEADER, MAX_MEMBERS = 10_000, 64
MAGIC = b"\x93NUMPY"
HEADER = re.compile(
    r"\{'descr': '([^']{1,20})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,12}, ?){0,3}(?:\d{1,12})?)\), \} *\n"
)
FLOAT = re.compile(r"[<>]f[248]")
HOOKS = {"res": "hook_resid_post", "mlp": "hook_mlp_out", "att": "attn.hook_z"}
UNKNOWN = (
    "params.npz does not say which model and hook it reads, nor do the names of its folders: "
    "choose the hook yourself"
)


def load(file: Path, watch: Watch = None) -> SAE:
    """The SAE in a params.npz; FileError says what is not right. `about` as of `saelens_files`."""
    words = "/".join(file.absolute().parts[-9:-1]).lower()
    if "transcoder" in words:
        raise FileError(file, "lies in a folder of transcoders, which are no SAEs; it is refused")
    try:
        with zipfile.ZipFile(file) as whole:
            arrays = _arrays(file, whole, watch)
    except FileError:
        raise
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise FileError(file, f"cannot be read ({why[:200]}); fetch the file again") from None
    model_name, hook_name = _said(words)
    embedding = hook_name == "hook_embed"
    about = {
        "format": FORMAT,
        "warnings": () if hook_name else (UNKNOWN,),
        "folded": ("Gemma's √d_model of the embedding",) if embedding else (),
    }
    sae = SAE(
        "jumprelu", **arrays, apply_b_dec_to_input=False, hook_name=hook_name,
        model_name=model_name, about=MappingProxyType(about),
        normalize_activations="expected_average_only_in" if embedding else "none",
        scaling=len(arrays["b_dec"]) ** -0.5 if embedding else None,
    )  # fmt: skip
    with np.errstate(over="ignore"):
        return all_finite(file, sae.with_scaling_folded(), watch)


def _arrays(file: Path, whole: zipfile.ZipFile, watch: Watch) -> dict[str, Any]:
    """The five arrays; nothing is made before all five headers have been checked."""
    names = whole.namelist()
    if len(names) > MAX_MEMBERS:
        raise FileError(file, f"holds {len(names):,} arrays, the limit is {MAX_MEMBERS}")
    members = {_spelled(name): name for name in names}
    if "affine_skip_connection" in members:
        raise FileError(file, "holds a skip connection: a transcoder, no SAE; it is refused")
    found: dict[str, tuple[Shape, bool, np.dtype[Any]]] = {}
    for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold"):
        if name not in members:
            listed = ", ".join(sorted(members)[:6]) or "nothing"
            raise FileError(file, f"the array {name!r} is missing; it holds {listed[:200]}")
        with whole.open(members[name]) as member:
            found[name] = _header(file, name, member)
    if len(shape := found["W_enc"][0]) != 2 or 0 in shape:
        raise FileError(file, f"W_enc has the shape {list(shape)}; it is no SAE")
    wanted = shapes("jumprelu", *shape)
    for name, right in wanted.items():
        if found[name][0] != right:
            raise FileError(
                file, f"the array {name!r} has the shape {list(found[name][0])} and should have "
                f"{list(right)}; fetch the file again"
            )  # fmt: skip
    check_memory(file, wanted)
    return {name: _read(file, whole, members[name], name, watch) for name in wanted}


def _spelled(member: str) -> str:
    """SAELens' spelling of an array's name: w_enc.npy is W_enc."""
    name = member.removesuffix(".npy")
    return f"W_{name[2:]}" if name.startswith("w_") else name


def _header(file: Path, name: str, member: Any) -> tuple[Shape, bool, np.dtype[Any]]:
    """Shape, order and dtype of the .npy that begins here, as NumPy writes them, and no other way.

    NumPy's own reader takes any Python literal; a strange header should not reach a parser.
    """
    start = member.read(8)
    size = {b"\x01\x00": 2, b"\x02\x00": 4}.get(start[6:]) if start[:6] == MAGIC else None
    if size is None:
        raise FileError(file, f"the array {name!r} is no .npy of version 1 or 2; it is refused")
    length = int.from_bytes(member.read(size), "little")
    text = member.read(min(length, MAX_HEADER)).decode("latin-1")
    said = HEADER.fullmatch(text)
    if said is None:
        raise FileError(file, f"the array {name!r} is described by {shown(text)}, which is no .npy")
    if (dtype := FLOAT.fullmatch(said[1])) is None:
        raise FileError(
            file, f"the array {name!r} holds {shown(said[1])}; weights are float16, 32 or 64"
        )
    shape = tuple(int(axis) for axis in said[3].split(",") if axis.strip())
    return shape, said[2] == "True", np.dtype(dtype[0])


def _read(file: Path, whole: zipfile.ZipFile, member: str, name: str, watch: Watch) -> Array:
    """One array, float32 in C order and finite; Stop is answered between two slabs."""
    with whole.open(member) as stream:
        shape, by_column, dtype = _header(file, name, stream)
        raw = np.empty(shape[::-1] if by_column else shape, dtype)
        _fill(file, name, raw.reshape(-1).view(np.uint8), stream, watch)
    straight = raw.T if by_column else raw
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, found below
        array = np.ascontiguousarray(straight, np.float32)
    if not np.isfinite(array).all():
        raise FileError(file, f"the array {name!r} holds numbers that are not finite")
    return array


def _fill(file: Path, name: str, target: Array, stream: BinaryIO | Any, watch: Watch) -> None:
    """The bytes of an array into `target` [byte]: as many as its header says, and no more."""
    at = 0
    while at < len(target):
        piece = stream.read(min(SLAB, len(target) - at))
        if not piece:
            raise FileError(file, f"the array {name!r} is cut off; fetch the file again")
        target[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
        if watch is not None:
            watch()
    if stream.read(1):
        raise FileError(file, f"the array {name!r} is longer than it says; the file is refused")


def _said(words: str) -> tuple[str, str]:
    """Model and hook as the names of the folders tell them; "" where they do not."""
    repository = re.search(r"gemma-scope-(2b|9b|27b)-(pt|it)-(res|mlp|att)", words)
    if repository is None:
        return "", ""
    size, tuned, site = repository.groups()
    model = f"gemma-2-{size}-it" if tuned == "it" else f"gemma-2-{size}"
    after = words[repository.end() :]
    if site == "res" and re.search(r"(^|/)embedding(/|$)", after):
        return model, "hook_embed"
    layer = re.search(r"layer_(\d{1,3})(/|$)", after)
    return model, f"blocks.{layer[1]}.{HOOKS[site]}" if layer else ""

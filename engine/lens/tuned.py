"""Tuned lenses on disk: a folder of config.json and the translators (Belrose et al. 2023).

A translator of layer l is h' = h + h W^T + b on the input of block l (arXiv:2303.08112, section 3);
the last layer has none. Ours are config.json + params.safetensors; published folders hold
params.pt, which the restricted reader opens. Both spell "0.weight" [d_model, d_model], "0.bias".
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from engine.errors import FileError, RunError
from engine.model import torch_file
from engine.model.config_file import Fields, read_json, shown
from engine.model.layout import check_finite
from engine.model.opening import HEADER
from engine.model.safetensors_file import READABLE, TensorInfo, fill, map_file, read_header, view
from engine.model.weights import Array
from engine.refs import SHORT, Ref, locate, of_file

KIND = "tuned lens"  # of the Ref
CONFIG, PARAMS, PUBLISHED = "config.json", "params.safetensors", "params.pt"
FORMAT = "mechanoscope-tuned-lens-1"
LIMIT = 1 << 30  # bytes of all translators
SLAB = 4096  # rows of the unembedding hashed at a time


@dataclass(frozen=True, eq=False)
class Translators:
    """What a tuned lens adds to each stream before the final norm.

    layers: the block whose input each translator reads (0 = after the embedding). W [layer,
    d_model, d_model] and b [layer, d_model], float32, h' = h + h W^T + b. name: the lens's folder.
    warnings: sentences for the reader, such as a hash of the unembedding that differs.
    """

    layers: tuple[int, ...]
    W: Array
    b: Array
    name: str = ""
    warnings: tuple[str, ...] = field(default=())

    def __contains__(self, layer: object) -> bool:
        """Whether the input of block `layer` has a translator of its own."""
        return layer in self.layers

    def apply(self, layer: int, stream: Array) -> Array:
        """The input of block `layer`, [..., d_model], as the lens reads it: fresh, same shape."""
        index = self.layers.index(layer)
        rows = stream.reshape(-1, stream.shape[-1])  # [row, d_model]
        out = rows @ self.W[index].T  # [row, d_model]
        out += rows
        out += self.b[index]
        return out.reshape(stream.shape)


def save(folder: Path, lens: Any, model: Any) -> Ref:
    """Write config.json and params.safetensors of `lens` (layers, W, b) for `model`; its Ref.

    lens: Translators or a TunedLensResult. The folder is there whole or not at all; OSError where
    the disk does not take it.
    """
    W_U = np.asarray(model.weights.W_U, np.float32).T  # [d_vocab, d_model]
    layers = [int(layer) for layer in lens.layers]
    config = {
        "format": FORMAT,
        "lens_type": "linear_tuned_lens",
        "base_model_name_or_path": model.name,
        "base_model_revision": None,
        "d_model": model.config.d_model,
        "num_hidden_layers": model.config.n_layers,
        "bias": True,
        "unembed_hash": unembed_hash(W_U),
        "layers": layers,
        "model_digest": model.digest,
        "unembed_sha256": _sha256(W_U),
    }
    tensors = {}
    for index, layer in enumerate(layers):
        tensors[f"{layer}.weight"] = np.ascontiguousarray(lens.W[index], np.float32)
        tensors[f"{layer}.bias"] = np.ascontiguousarray(lens.b[index], np.float32)
    from safetensors import SafetensorError  # here: the list of techniques opens no file
    from safetensors.numpy import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        save_file(tensors, beside / PARAMS)
        (beside / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        beside.chmod(0o755)  # a temporary folder is its owner's alone
        if folder.is_dir():
            for name in (CONFIG, PARAMS):
                (beside / name).replace(folder / name)
            (folder / PUBLISHED).unlink(missing_ok=True)
        else:
            beside.rename(folder)
    except SafetensorError as error:
        raise OSError(str(error)) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return of_file(KIND, folder)


def load(lens: Ref | Path | str, model: Any) -> Translators:
    """The translators in a folder, ours or a published one, checked against `model`.

    RunError where the lens is of another width, depth or model (with both digests); FileError where
    a file is not what it should be; a published `unembed_hash` that differs is only a warning.
    """
    folder = locate(lens, model.listen, "lens") if isinstance(lens, Ref) else Path(lens)
    folder = folder if folder.is_dir() else folder.parent
    path = folder / CONFIG
    if not path.is_file():
        raise FileError(folder, f"holds no {CONFIG}; choose the folder of a tuned lens")
    data, _ = read_json(path)
    if not isinstance(data, dict):
        raise FileError(path, "is not a JSON object; fetch the file again")
    fields = Fields(path, data)
    fields.choice("lens_type", "linear_tuned_lens", {"linear_tuned_lens": True})
    _check_size(folder, fields, model)
    W_U = np.asarray(model.weights.W_U, np.float32).T  # [d_vocab, d_model]
    _check_model(folder, data, model, W_U)
    tensors = _tensors(folder)
    model.listen()
    layers, W, b = _translators(folder, fields, tensors, model)
    return Translators(layers, W, b, folder.name, _warnings(folder, data, W_U))


def unembed_hash(W_U: Array) -> str:
    """SHA-256 of NumPy's summarised print-out of the unembedding [d_vocab, d_model].

    What published lenses carry: of a large matrix only the corners are printed, to one digit.
    """
    with np.printoptions(threshold=1000, edgeitems=3, linewidth=75, suppress=False):
        return sha256(np.array_str(W_U, precision=1).encode()).hexdigest()


def _sha256(W_U: Array) -> str:
    """Of every number [d_vocab, d_model], whatever its order in memory."""
    seal = sha256()
    for first in range(0, len(W_U), SLAB):
        seal.update(np.ascontiguousarray(W_U[first : first + SLAB]).tobytes())
    return seal.hexdigest()


def _check_size(folder: Path, fields: Fields, model: Any) -> None:
    """RunError where width or depth are not the model's."""
    for name, own in (("d_model", model.config.d_model),
                      ("num_hidden_layers", model.config.n_layers)):  # fmt: skip
        if (found := fields.count(name)) != own:
            raise RunError(
                f"the tuned lens {folder.name} was trained for {_base(fields)} with {name} "
                f"{found:,}, and {model.name} has {own:,}: choose the lens of this model"
            )


def _base(fields: Fields) -> str:
    name = fields.value("base_model_name_or_path")
    return name if isinstance(name, str) and name else "a model"


def _check_model(folder: Path, data: dict[str, Any], model: Any, W_U: Array) -> None:
    """RunError where our own lens says that it is another model's."""
    pairs = [(data.get("unembed_sha256"), _sha256(W_U))] if "unembed_sha256" in data else []
    was, now = data.get("model_digest"), model.digest
    if isinstance(was, str) and was and was.startswith(HEADER) == now.startswith(HEADER):
        pairs.insert(0, (was, now))
    for old, new in pairs:
        if old != new:
            old, new = (str(one).removeprefix(HEADER)[:SHORT] for one in (old, new))
            what = data.get("base_model_name_or_path")
            raise RunError(
                f"the tuned lens {folder.name} was trained for {shown(what)} (sha {old}…), and "
                f"this is {model.name} (sha {new}…): choose its own lens, or train one"
            )


def _tensors(folder: Path) -> dict[str, TensorInfo]:
    if (folder / PARAMS).is_file():
        return read_header(folder / PARAMS).tensors
    if (folder / PUBLISHED).is_file():
        return torch_file.read_header(folder / PUBLISHED).tensors
    raise FileError(folder, f"holds neither {PARAMS} nor {PUBLISHED}; fetch the lens again")


def _translators(
    folder: Path, fields: Fields, tensors: dict[str, TensorInfo], model: Any
) -> tuple[tuple[int, ...], Array, Array]:
    """layers, W [layer, d_model, d_model], b [layer, d_model]: copies, all numbers finite."""
    d, n_layers = model.config.d_model, model.config.n_layers
    found = sorted(n for n in range(n_layers) if f"{n}.weight" in tensors)
    wanted = fields.value("layers")
    if not found or (found if wanted is None else wanted) != found or (
        wanted is None and len(found) < n_layers
    ):  # fmt: skip
        said = f"layers {shown(wanted)}" if wanted is not None else f"all {n_layers} layers"
        raise FileError(
            folder, f"should hold translators of {said} and has {shown(found)}; fetch it again"
        )
    if len(found) * d * d * 4 > LIMIT:
        raise RunError(f"the tuned lens {folder.name} is larger than {LIMIT >> 30} GB")
    mapped: dict[Path, Any] = {}
    W = np.zeros((len(found), d, d), np.float32)  # [layer, d_model, d_model]
    b = np.zeros((len(found), d), np.float32)  # [layer, d_model]
    biases = fields.flag("bias", True)
    for index, layer in enumerate(found):
        parts = [("weight", W[index])] + ([("bias", b[index])] if biases else [])
        for name, target in parts:
            _fill(folder, tensors, f"{layer}.{name}", target, mapped)
        model.listen()
    return tuple(found), W, b


def _fill(
    folder: Path, tensors: dict[str, TensorInfo], name: str, target: Array, mapped: dict[Path, Any]
) -> None:
    tensor = tensors.get(name)
    if tensor is None or tensor.dtype not in READABLE or tensor.shape != target.shape:
        what = "is missing" if tensor is None else f"is {tensor.dtype} {list(tensor.shape)}"
        raise FileError(
            folder, f"the tensor {name!r} {what} and should be F32 {list(target.shape)}; fetch the "
            "lens again"
        )  # fmt: skip
    if tensor.file not in mapped:
        mapped[tensor.file] = map_file(tensor.file)
    if len(mapped[tensor.file]) < tensor.end:
        raise FileError(tensor.file, "has changed while it was read; open it again")
    fill(target, view(mapped[tensor.file], tensor), tensor.dtype)
    check_finite(tensor, target)


def _warnings(folder: Path, data: dict[str, Any], W_U: Array) -> tuple[str, ...]:
    """A published lens only says a hash of a print-out, which another NumPy may write otherwise."""
    said = data.get("unembed_hash", data.get("unemebd_hash"))  # the typo of published files
    if data.get("format") == FORMAT or said is None or said == unembed_hash(W_U):
        return ()
    return (
        f"{folder.name} carries another hash of the unembedding than this model has "
        f"({str(said)[:SHORT]}… against {unembed_hash(W_U)[:SHORT]}…): it may be of another "
        "revision",
    )

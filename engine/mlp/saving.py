"""A network that reads points, as a folder: config.json and model.safetensors.

config.json says {"model_type": "mechanoscope-mlp", "widths", "act_fn", "task", "seed"}; the tensors
are W_0 b_0 W_1 b_1 ... W_out b_out, float32, W as [inputs, outputs]. A folder is read as if a
stranger had written it: every size is checked against the config before a number is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import FileError
from engine.mlp import tasks
from engine.mlp.config import ACTIVATION, MLPConfig
from engine.mlp.model import MLP, Array
from engine.model.config_file import Fields, read_json, shown
from engine.model.safetensors_file import Header, fill, map_file, read_header, view

MODEL_TYPE = "mechanoscope-mlp"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
CONFIG_BYTES = 1 << 20
MOST_LAYERS, MOST_WIDTH = 64, 4096


def save(model: MLP, folder: Path) -> None:
    """config.json and model.safetensors; existing files are replaced. OSError where it fails."""
    from safetensors.numpy import save_file  # here: whoever opens any model reads this file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for mark, (W, b) in zip(_marks(model.config), model.weights, strict=True):
        tensors[f"W_{mark}"] = np.ascontiguousarray(W, np.float32)
        tensors[f"b_{mark}"] = np.ascontiguousarray(b, np.float32)
    save_file(tensors, folder / WEIGHTS)
    cfg = model.config
    about = {"model_type": MODEL_TYPE, "widths": list(cfg.widths), "act_fn": cfg.act_fn,
             "task": cfg.task, "seed": cfg.seed}  # fmt: skip
    (folder / CONFIG).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def is_one(path: str | Path) -> bool:
    """Whether a folder, or the folder of a file, says that it holds such a network."""
    path = Path(path).expanduser()
    try:
        if not path.exists():
            return False
        data, _ = read_json((path if path.is_dir() else path.parent) / CONFIG, CONFIG_BYTES)
    except (FileError, OSError):
        return False
    return isinstance(data, dict) and data.get("model_type") == MODEL_TYPE


def opened(path: str | Path) -> MLP:
    """The network in a folder; FileError names what is wrong with it."""
    path = Path(path).expanduser()
    folder = path if path.is_dir() else path.parent
    data, _ = read_json(folder / CONFIG, CONFIG_BYTES)
    if not isinstance(data, dict):
        raise FileError(folder / CONFIG, "is not a JSON object; fetch the file again")
    config = _config(Fields(folder / CONFIG, data))
    header = read_header(folder / WEIGHTS)
    _check(header, config)
    mapped = map_file(header.file)  # [byte]
    arrays: dict[str, Array] = {}
    for name, tensor in header.tensors.items():
        arrays[name] = np.empty(tensor.shape, np.float32)
        fill(arrays[name], view(mapped, tensor), tensor.dtype)
        if not np.isfinite(arrays[name]).all():
            raise FileError(header.file, f"tensor {name} holds numbers that are not finite")
    weights = tuple((arrays[f"W_{mark}"], arrays[f"b_{mark}"]) for mark in _marks(config))
    return MLP(config, weights, folder.name, folder)


def _marks(config: MLPConfig) -> list[str]:
    return [*map(str, range(config.n_layers)), "out"]


def _config(fields: Fields) -> MLPConfig:
    widths: Any = fields.value("widths")
    if not isinstance(widths, list) or not 3 <= len(widths) <= MOST_LAYERS + 2:
        fields.fail(f"widths: {shown(widths)} is not a list of 3 to {MOST_LAYERS + 2} widths")
    for width in widths:
        if type(width) is not int or not 1 <= width <= MOST_WIDTH:
            fields.fail(f"widths: {shown(width)} is not a whole number from 1 to {MOST_WIDTH:,}")
    if len(set(widths[1:-1])) > 1:
        fields.fail(f"widths: {shown(widths)}: the hidden layers must be equally wide")
    act_fn = fields.choice("act_fn", "relu", {name: name for name in ACTIVATION})
    task = fields.choice("task", "", {name: name for name in ("", *tasks.NAMES)})
    if task and (widths[0], widths[-1]) != (2, 1):
        fields.fail(f"widths: {shown(widths)} do not read points of the plane, which {task} needs")
    return MLPConfig(tuple(widths), act_fn, task, fields.count("seed", 0, low=0))


def _check(header: Header, config: MLPConfig) -> None:
    """FileError unless the file holds exactly the tensors of the config."""
    wanted: dict[str, tuple[int, ...]] = {}
    for mark, (n, m) in zip(_marks(config), config.shapes, strict=True):
        wanted |= {f"W_{mark}": (n, m), f"b_{mark}": (m,)}
    for name in sorted(wanted.keys() | header.tensors.keys()):
        found = header.tensors.get(name)
        if found is None:
            raise FileError(header.file, f"holds no tensor {name}; {CONFIG} asks for it")
        if name not in wanted:
            raise FileError(header.file, f"holds {shown(name)}, of which {CONFIG} says nothing")
        if found.shape != wanted[name] or found.dtype not in ("F32", "F64", "F16", "BF16"):
            raise FileError(
                header.file,
                f"tensor {name} is {found.dtype} {list(found.shape)}; {CONFIG} asks for numbers "
                f"of shape {list(wanted[name])}",
            )

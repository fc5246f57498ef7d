"""Checkpoint: all that a training is at one step, in one safetensors file, durable by itself.

Weights, both of Adam's moments, the generator of the batches, the records so far, and the spec with
its changes: what goes on from it gives the bits of the run that it was taken from. A file is there
as a whole or not at all: it is written beside its place, forced to the disk, then renamed.
A file is a stranger's until every size and number in it has been checked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import refs
from engine.errors import FileError, RunError
from engine.model.config import ModelConfig
from engine.model.tokenizer import ToyTokenizer
from engine.model.transformer import Transformer
from engine.refs import Ref
from engine.technique import Changes, Technique, to_json
from engine.train.architecture import Architecture, config_of
from engine.train.parameters import weights_of

__all__ = [
    "KIND",
    "LAYOUTS",
    "Checkpoint",
    "architecture_of",
    "config_for",
    "file_name",
    "model_of",
    "open_as_folder",
    "save_model",
    "write_model",
]

Array = npt.NDArray[Any]

KIND = "checkpoint"  # of the Ref
FORMAT = "mechanoscope checkpoint 1"
LAYOUTS = ("hooked", "huggingface")
# The weights first: where another window holds them, Windows refuses, and all the rest stays.
_WRITTEN = (
    "model.safetensors", "config.json", "vocab.json", "tokenizer.json", "tokenizer_config.json"
)  # fmt: skip
VECTORS = ("weights", "moment1", "moment2")


def file_name(step: int) -> str:
    """What the checkpoint of a step is called; names sort as steps do."""
    return f"step-{step:06}.safetensors"


def architecture_of(spec: Any) -> Architecture:
    """The architecture that a TrainTransformer asks for."""
    names = ("n_layers", "d_model", "n_heads", "d_mlp", "norm", "positions", "act_fn", "gated_mlp",
             "biases")  # fmt: skip
    return Architecture(**{name: getattr(spec, name) for name in names})


def config_for(spec: Any, sizes: tuple[int, int, int]) -> ModelConfig:
    """Its config, with (n_ctx, d_vocab, d_vocab_out)."""
    n_ctx, d_vocab, d_vocab_out = sizes
    return config_of(architecture_of(spec), n_ctx=n_ctx, d_vocab=d_vocab, d_vocab_out=d_vocab_out)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training at one step.

    spec: as the run began; changes: the live ones since. weights, moment1, moment2 [parameter].
    rows: columns of the records, stride: steps between two of them. since: sum and number of the
    training losses since the last one. sizes: n_ctx, d_vocab, d_vocab_out. words: id -> text;
    tokenizer: a tokenizer.json, "" where there is none.
    """

    spec: Technique
    step: int
    weights: Array
    moment1: Array
    moment2: Array
    rng: Mapping[str, Any]
    rows: Mapping[str, Array]
    stride: int
    since: tuple[float, int]
    sizes: tuple[int, int, int]
    words: tuple[str, ...]
    tokenizer: str = ""
    changes: Changes = ()

    @property
    def now(self) -> Technique:
        """The spec with its changes, as it was at this step."""
        values = {name: value for _, change in self.changes for name, value in change.items()}
        return replace(self.spec, **values)

    @property
    def config(self) -> ModelConfig:
        return config_for(self.spec, self.sizes)

    # --- writing -------------------------------------------------------------------------------

    def save(self, path: Path) -> Ref:
        """Write it, whole or not at all; OSError where the disk does not take it."""
        from safetensors.numpy import save as to_bytes  # the list of techniques does without it

        raw = to_bytes(self._tensors(), self._about())
        fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with fresh.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)
        finally:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
        _force_names(path.parent)
        return Ref(KIND, hashlib.sha256(raw).hexdigest(), str(path.resolve()))

    def _tensors(self) -> dict[str, Array]:
        texts = {"words": json.dumps(self.words, ensure_ascii=False), "tokenizer": self.tokenizer}
        tensors = {name: np.ascontiguousarray(getattr(self, name)) for name in VECTORS}
        for name, column in self.rows.items():
            kind = np.float64 if column.dtype.kind == "i" else column.dtype
            tensors[name] = np.ascontiguousarray(column, kind)
        return tensors | {
            name: np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
            for name, text in texts.items()
        }

    def _about(self) -> dict[str, str]:
        return {
            "format": FORMAT,
            "spec": json.dumps(to_json(self.spec)),
            "changes": json.dumps([[step, dict(change)] for step, change in self.changes]),
            "rng": json.dumps(self.rng),
            "state": json.dumps({
                "step": self.step, "stride": self.stride, "sizes": self.sizes,
                "loss_sum": self.since[0], "loss_count": self.since[1],
            }),
        }  # fmt: skip

    # --- reading -------------------------------------------------------------------------------

    @staticmethod
    def load(where: Ref | Path | str, field: str = "start") -> Checkpoint:
        """Read and check one; FileError, or MissingInput for a Ref whose file is not there."""
        path = refs.locate(where, field=field) if isinstance(where, Ref) else Path(where)
        from engine.train.checkpoint_reader import Reader  # it makes Checkpoints

        return Reader(path).checkpoint()


def _force_names(folder: Path) -> None:
    """The new name itself onto the disk, where the system lets a folder be forced there."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# --- as a model ----------------------------------------------------------------------------------


def model_of(checkpoint: Checkpoint) -> Transformer:
    """The model of a checkpoint, its words as tokenizer where these are read at blanks."""
    cfg, words = checkpoint.config, checkpoint.words
    tokenizer = None
    if words and not checkpoint.tokenizer:
        ids = {word: token for token, word in enumerate(words)}
        tokenizer = ToyTokenizer(Path(), cfg.d_vocab, ids)
    name = f"{getattr(checkpoint.spec, 'task', 'model')}, step {checkpoint.step}"
    return Transformer(name, cfg, weights_of(cfg, checkpoint.weights), tokenizer)


def save_model(where: Ref | Path, folder: Path | str, layout: str = "hooked") -> Path:
    """Write a checkpoint as a model folder, whole or not at all; where it lies.

    layout: "hooked", TransformerLens' one, or "huggingface". FileError where the folder is not
    empty or not writable; RunError where the layout cannot say what this model is.
    """
    if layout not in LAYOUTS:
        raise RunError(f"{layout!r} is no layout; there are {', '.join(LAYOUTS)}")
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise FileError(folder, "it is not an empty folder: choose another name")
    return _as_folder(Checkpoint.load(where), folder, layout)


def open_as_folder(where: Ref | Path, folder: Path | str) -> Path:
    """The checkpoint in TransformerLens' layout in a folder of its own, which is made anew."""
    return _as_folder(Checkpoint.load(where), Path(folder), "hooked")


def _as_folder(checkpoint: Checkpoint, folder: Path, layout: str) -> Path:
    words, tokenizer = checkpoint.words, checkpoint.tokenizer
    return write_model(model_of(checkpoint), words, tokenizer, folder, layout)


def write_model(
    model: Transformer, words: Sequence[str], tokenizer: str, folder: Path, layout: str = "hooked"
) -> Path:
    """Write a model whole or not at all, in the place of one written before; where it lies.

    tokenizer: a tokenizer.json, "" where words are read at blanks. FileError as of `save_model`.
    """
    from safetensors import SafetensorError

    from engine.model.saving import save_hooked
    from engine.model.saving_hf import save_huggingface

    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        if layout == "huggingface":
            save_huggingface(model, fresh, words, tokenizer)
        else:
            save_hooked(model, fresh, None if tokenizer else list(words))
            if tokenizer:
                (fresh / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
        if folder.is_dir():
            _clear(folder)
        os.replace(fresh, folder)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise FileError(folder, f"the model cannot be written there ({why})") from error
    finally:
        if fresh.is_dir():
            with suppress(OSError):
                _clear(fresh)
    return folder


def _clear(folder: Path) -> None:
    """Remove a folder that holds a model written here; OSError where it holds anything else."""
    for name in _WRITTEN:
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()

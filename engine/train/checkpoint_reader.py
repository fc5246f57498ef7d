"""Reading a checkpoint: a stranger's file until every size and number in it has been checked.

Sizes are bounded before anything of that size is made; what is wrong is a FileError in words.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from engine import technique
from engine.errors import FileError, RunError, SpecError
from engine.model.config_file import shown
from engine.model.safetensors_file import Header, map_file, read_header
from engine.technique import Changes, Technique, field_values
from engine.train import recording, work
from engine.train.checkpoint import FORMAT, VECTORS, Array, Checkpoint, config_for
from engine.train.parameters import names_and_shapes

MOST_BYTES = 256 << 20  # of a file: four times what the largest training writes
MOST_HEADER = 1 << 20  # bytes: a spec and a generator take a few thousand
MOST_WORDS = 8 << 20  # bytes of the vocabulary
MOST_COLUMNS = 64  # curves, or scores
MOST_VOCABULARY = 200_000
ROWS = {"history_step": 0, "history_loss": 0, "history_lr": 0, "curves": 1, "scores": 3}
"""Columns of the records -> axes beside that of the record."""
DTYPES = {"F32": "<f4", "F64": "<f8", "U8": "u1"}


class Reader:
    """One file of which nothing is believed before it has been checked."""

    verdict = "it is no checkpoint that can be gone on from"
    dtypes: Mapping[str, str] = DTYPES
    most_bytes = MOST_BYTES

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                length = int.from_bytes(stream.read(8), "little")
        except OSError as error:
            raise FileError(path, f"cannot be read ({error.strerror or error})") from None
        if size > self.most_bytes:
            self.fail(f"has {size:,} bytes, and a checkpoint at most {self.most_bytes:,}")
        if MOST_HEADER < length <= size:
            self.fail(f"has a header of {length:,} bytes, the limit is {MOST_HEADER:,}")
        self.header: Header = read_header(path)
        self.mapped = map_file(path)  # [byte]

    def fail(self, why: str) -> NoReturn:
        raise FileError(self.path, f"{why}; {self.verdict}")

    def checkpoint(self) -> Checkpoint:
        about = json.loads(self.header.raw.decode("utf-8")).get("__metadata__")
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            self.fail(f"is not of the format {FORMAT!r}")
        spec = self.spec(self.json(about, "spec", dict))
        state = self.json(about, "state", dict)
        step, stride = (self.count(state, name) for name in ("step", "stride"))
        sizes = self.sizes(state.get("sizes"))
        if stride < 1:
            self.fail(f"a stride of {stride} is not possible")
        total, number = state.get("loss_sum"), self.count(state, "loss_count")
        if isinstance(total, bool) or not isinstance(total, int | float):
            self.fail(f"loss_sum {shown(total)} is no number")
        if not math.isfinite(total):
            self.fail("its training loss is not finite")
        count = self.parameters(spec, sizes)
        vectors = {name: self.tensor(name, "F32", (count,)) for name in VECTORS}
        for name, vector in vectors.items():
            if not np.isfinite(vector).all():
                self.fail(f"{name} holds numbers that are not finite")
        words = self.words(sizes[1])
        tokenizer = self.text("tokenizer")
        return Checkpoint(
            spec=spec, step=step, rng=self.json(about, "rng", dict), rows=self.rows(spec),
            stride=stride, since=(float(total), number), sizes=sizes, words=words,
            tokenizer=tokenizer, changes=self.changes(spec, self.json(about, "changes", list)),
            **vectors,
        )  # fmt: skip

    def json(self, about: Mapping[str, Any], name: str, kind: type) -> Any:
        text = about.get(name)
        try:
            value = json.loads(text if isinstance(text, str) else "")
        except (ValueError, RecursionError):
            self.fail(f"{name} is not JSON")
        if not isinstance(value, kind):
            self.fail(f"{name} is no {'object' if kind is dict else 'list'}")
        return value

    def count(self, values: Mapping[str, Any], name: str, low: int = 0) -> int:
        value = values.get(name)
        if type(value) is not int or not low <= value <= 1 << 40:
            self.fail(f"{name} {shown(value)} is no count")
        return value

    def sizes(self, given: Any) -> tuple[int, int, int]:
        """n_ctx, d_vocab and d_vocab_out."""
        if not isinstance(given, list) or len(given) != 3:
            self.fail(f"sizes {shown(given)} are not n_ctx, d_vocab and d_vocab_out")
        n_ctx, d_vocab, d_vocab_out = (
            self.count({"sizes": size}, "sizes", low=1) for size in given
        )
        if max(n_ctx, d_vocab, d_vocab_out) > MOST_VOCABULARY:
            self.fail(f"sizes of {given} are not possible")
        return n_ctx, d_vocab, d_vocab_out

    def spec(self, values: Mapping[str, Any]) -> Technique:
        kind = values.get("kind")
        if kind != "TrainTransformer":
            self.fail(f"it was made by {shown(kind)}, not by TrainTransformer")
        try:
            return technique.from_json(values)
        except (SpecError, RunError, TypeError, ValueError) as error:
            self.fail(f"its spec is not one ({error})")

    def changes(self, spec: Technique, entries: list[Any]) -> Changes:
        found = []
        try:
            for step, change in entries:
                if type(step) is not int or not isinstance(change, dict):
                    self.fail("a change is no step with its fields")
                fields = field_values(type(spec), change)
                spec = spec.changed(fields)
                found.append((step, fields))
        except (SpecError, TypeError, ValueError) as error:
            self.fail(f"its changes are not possible ({error})")
        return tuple(found)

    def parameters(self, spec: Any, sizes: tuple[int, ...]) -> int:
        """How many numbers this architecture has, told before anything is made of that size."""
        try:
            cfg = config_for(spec, (sizes[0], sizes[1], sizes[2]))
        except SpecError as error:
            self.fail(f"its architecture is not one ({error})")
        if (count := work.parameters(cfg)) > work.MOST_PARAMETERS:
            self.fail(f"{count:,} parameters are above {work.MOST_PARAMETERS:,}")
        shapes = names_and_shapes(cfg, getattr(spec, "biases", False))
        return sum(math.prod(shape) for shape in shapes.values())

    def tensor(self, name: str, dtype: str, shape: tuple[int, ...] | None = None) -> Array:
        info = self.header.tensors.get(name)
        if info is None:
            self.fail(f"the tensor {name} is missing")
        known, fits = dtype in self.dtypes, shape is None or info.shape == shape
        if info.dtype != dtype or not known or not fits:
            wanted = dtype if shape is None else f"{dtype} {list(shape)}"
            self.fail(f"{name} is {info.dtype} {list(info.shape)} and should be {wanted}")
        raw = self.mapped[info.begin : info.begin + info.nbytes]  # [byte]
        # A copy: the map would keep the file open, and its bytes could change under us.
        return raw.view(self.dtypes[dtype]).reshape(info.shape).copy()

    def rows(self, spec: Any) -> dict[str, Array]:
        found = {name: self.tensor(name, "F32" if name == "scores" else "F64") for name in ROWS}
        count = found["history_step"].size
        heads = (spec.n_layers, spec.n_heads)
        for name, axes in ROWS.items():
            shape = found[name].shape
            if len(shape) != axes + 1 or shape[0] != count or max((0, *shape[1:])) > MOST_COLUMNS:
                self.fail(f"{name} has the shape {list(shape)}")
        if found["scores"].shape[2:] != heads:
            self.fail(f"scores are of {found['scores'].shape[2:]} heads, the model has {heads}")
        steps = found["history_step"]
        if count > recording.MOST or not (np.isfinite(steps).all() and (np.diff(steps) > 0).all()):
            self.fail(f"its {count:,} records are not in the order of their steps")
        found["history_step"] = steps.astype(np.int64)
        return found

    def text(self, name: str, most: int = MOST_BYTES) -> str:
        raw = self.tensor(name, "U8")
        if raw.ndim != 1 or raw.size > most:
            self.fail(f"{name} has {raw.size:,} bytes, the limit is {most:,}")
        try:
            return raw.tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            self.fail(f"{name} is not UTF-8")

    def words(self, d_vocab: int, name: str = "words") -> tuple[str, ...]:
        try:
            words = json.loads(self.text(name, MOST_WORDS))
        except (ValueError, RecursionError):
            self.fail("words is not JSON")
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            self.fail("words is no list of texts")
        if len(words) > d_vocab:
            self.fail(f"{len(words):,} words are more than the {d_vocab:,} of the model")
        return tuple(words)

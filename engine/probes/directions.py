"""A probe's direction as an object: kept in a file, compared with others, read through W_U.

A kept direction is a folder of its own with direction.npy (one float32 vector, what an
intervention along a direction reads) and direction.json beside it, which says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from engine.errors import FileError, RunError
from engine.refs import Ref, Watch, locate, of_file

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

KIND = "direction"
RANKS = 10  # tokens at each end
ABOUT_BYTES = 1 << 20
MOST_BYTES = 16 << 20  # of a file with one vector


@dataclass(frozen=True)
class About:
    """Where a direction comes from. label: the class that it points to, among `column`'s."""

    model: str
    model_digest: str
    hook: str
    column: str
    label: str
    probe: str = ""
    accuracy: float | None = None
    data: str = ""

    @property
    def name(self) -> str:
        """What a list calls it."""
        return f"{self.column} = {self.label} at {self.hook}"


def keep(folder: Path, vector: Floats, about: About) -> Ref:
    """Write a direction [width] with what it is; the Ref of its .npy, which interventions take.

    FileError where the disk does not take it; RunError for a vector that is no direction.
    """
    vector = np.asarray(vector, np.float32)  # [width]
    if vector.ndim != 1 or not np.isfinite(vector).all() or not vector.any():
        raise RunError("this is no direction: it must be one finite vector that is not zero")
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{about.column} {about.label} {about.hook}").strip("-")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _free(folder, words[:80] or KIND)
        np.save(file, vector, allow_pickle=False)
        file.with_suffix(".json").write_bytes(
            msgspec.json.format(msgspec.json.encode(asdict(about)))
        )
    except OSError as error:
        raise FileError(folder, (error.strerror or type(error).__name__).lower()) from None
    return of_file(KIND, file)


def read(ref: Ref, watch: Watch = None, field: str = "direction") -> tuple[Floats, About | None]:
    """A kept direction [width] float64, and what it is where a .json beside it says so."""
    path = locate(ref, watch, field)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"is larger than {MOST_BYTES >> 20} MB")
        vector = np.load(path, allow_pickle=False)  # [width]
        if vector.ndim != 1 or vector.dtype.kind not in "fiu":
            raise ValueError(f"holds {vector.dtype} of shape {vector.shape}, not one vector")
    except (OSError, ValueError, EOFError) as error:
        raise RunError(
            f"the direction {path.name}: {error}; it is one vector in a .npy file"
        ) from None
    return vector.astype(np.float64), about(path)


def about(path: Path) -> About | None:
    """What the .json beside a direction's file says of it; None where there is none, or another."""
    beside = path.with_suffix(".json")
    try:
        if not beside.is_file() or beside.stat().st_size > ABOUT_BYTES:
            return None
        return msgspec.json.decode(beside.read_bytes(), type=About)
    except (OSError, msgspec.DecodeError):  # of which a value of the wrong type is one
        return None


def unit(vector: Floats) -> Floats:
    """The same direction [width] with length 1, in float64; RunError if it has none."""
    vector = np.asarray(vector, np.float64)
    largest = np.abs(vector).max(initial=0.0)
    if not np.isfinite(largest) or largest == 0:
        raise RunError("the direction is zero everywhere, or holds a number that is not finite")
    vector = vector / largest  # or the square of a small one might be zero
    return vector / np.linalg.norm(vector)


def cosines(vectors: Sequence[Floats], others: Sequence[Floats]) -> Floats:
    """Cosine [vector, other] of directions; NaN where widths differ or one is zero or unknown."""
    table = np.full((len(vectors), len(others)), np.nan)  # [vector, other]
    for row, one in enumerate(vectors):
        for col, other in enumerate(others):
            lengths = np.linalg.norm(one), np.linalg.norm(other)
            if np.shape(one) == np.shape(other) and min(lengths) > 0:
                table[row, col] = np.dot(one, other) / (lengths[0] * lengths[1])
    return table


def is_stream(model: Any, hook: str) -> bool:
    """Whether an activation lives in the residual stream, so that W_U reads it."""
    return (
        getattr(model, "inputs", "tokens") != "points"
        and model.hooks().get(hook, "").split()[-1:] == ["d_model"]
        and not hook.endswith("hook_normalized")
    )


def through_unembedding(
    model: Any, hook: str, direction: Floats, ranks: int = RANKS
) -> tuple[tuple[Ints, Floats], tuple[Ints, Floats]] | None:
    """(tokens, logits) that a unit of the direction writes most, and least, each [rank].

    Through the final norm's gain (and centring) and W_U, without its scale; mean over tokens taken
    off. None where the activation is no part of the stream or the direction is nothing.
    """
    length = np.linalg.norm(direction)
    if not is_stream(model, hook) or not np.isfinite(length) or length == 0:
        return None
    x = np.asarray(direction, np.float64) / length  # [d_model]
    norm, cfg = model.weights.ln_final, model.config
    if norm is not None:
        x = (x if cfg.is_rms("ln_final.") else x - x.mean()) * norm.w
    x = x.astype(np.float32)
    W_U = model.weights.W_U  # [d_model, d_vocab_out]
    logits = np.empty(W_U.shape[1], np.float32)  # [token]
    slab = max(1, int(2e8 / len(x)))
    for first in range(0, len(logits), slab):
        model.listen()
        np.matmul(x, W_U[:, first : first + slab], out=logits[first : first + slab])
    logits -= logits.mean()
    ranks = min(ranks, len(logits))
    top = np.argpartition(-logits, ranks - 1)[:ranks]
    top = top[np.lexsort((top, -logits[top]))]  # [rank]
    low = np.argpartition(logits, ranks - 1)[:ranks]
    low = low[np.lexsort((low, logits[low]))]  # [rank]
    return (top, logits[top]), (low, logits[low])


def _free(folder: Path, name: str) -> Path:
    """A file of this name that is not there yet."""
    file, number = folder / f"{name}.npy", 2
    while file.exists():
        file, number = folder / f"{name}-{number}.npy", number + 1
    return file

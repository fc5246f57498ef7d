"""What interventions put in: activations of other prompts, directions and SAEs from files.

Found once, when a view is made, by plain passes of the same model; prompts and data sets that
several interventions name are read once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import numpy as np

from engine.errors import FileError, RunError
from engine.model.interventions import (
    BORROWED,
    OVER_KEYS,
    Intervention,
    heads_of,
    width_of,
    wrong_vector,
)
from engine.model.weights import Array, Ids
from engine.refs import SHORT, Ref, locate

if TYPE_CHECKING:
    from engine.model.transformer import Transformer
    from engine.sae.edited import Edit, EditedLatents
    from engine.sae.sae import SAE

FIELD = "interventions"  # where a Ref that is missing was asked for
DIRECTION_BYTES = 16 << 20  # a hundred times the widest stream
TEXT_BYTES = 32 << 10  # read of a text: some 8,000 tokens, seconds on a small model
ROW_TOKENS = 128  # tokens of a stretch of a text


class Values:
    """What the interventions of one view need; `model` is a view without any."""

    def __init__(self, model: Transformer, entries: Sequence[Intervention]) -> None:
        self.model, self.entries = model, entries
        self._rows: dict[Any, list[Ids]] = {}
        self._runs: dict[Any, dict[str, Array]] = {}
        self._sums: dict[Any, dict[Any, tuple[Array, int]]] = {}
        self._saes: dict[str, SAE] = {}

    def direction(self, entry: Intervention) -> Array | None:
        """The unit vector [width] of an intervention along a direction."""
        given = entry.direction
        if given is None:
            return None
        if isinstance(given, Ref):
            ref, axes = given, self.model.hooks()[entry.name].split()
            given = _vector_in(ref, self.model.watch)
            for why in wrong_vector(given, width_of(axes, self.model.config)):
                raise entry.refused(f"{why} (in {ref.name})")
        vector = np.array(given, np.float64)  # [width]
        vector /= np.abs(vector).max()  # or the square of a small one might be zero
        return vector / np.linalg.norm(vector)

    def latents(self, entry: Intervention) -> EditedLatents | None:
        """The features that an intervention changes, of an SAE of this hook of this model."""
        ref, model = entry.sae, self.model
        if ref is None:
            return None
        # Here, or they would go round in a ring; and scipy comes with them, half a second of it.
        from engine.sae.edited import EditedLatents
        from engine.sae.opening import open_sae

        if ref.digest not in self._saes:
            try:
                self._saes[ref.digest] = open_sae(ref, model, field=FIELD)
            except (FileError, OSError) as error:
                raise entry.refused(str(error)) from None
        sae = self._saes[ref.digest]
        for why in _unfit(sae, entry, model):
            raise entry.refused(f"{ref.name or 'the SAE'} {why}")
        edit = cast("Edit", entry.action)  # `check` has refused all others
        return EditedLatents(sae, entry.units or (), edit, entry.factor, model.watch)

    def of(self, entry: Intervention) -> Array | None:
        """What is put in: [(head,) width] where it is the same everywhere, else [pos, ...]."""
        if entry.action not in BORROWED:
            return None
        if entry.action == "mean" and entry.data is not None:
            return self._mean_of_data(entry)
        value = self._run_of(entry)[entry.name]  # [pos, (head,) width]
        if entry.action == "mean":
            return value.mean(axis=0, dtype=np.float64)  # [(head,) width]
        for at in entry.positions or ():
            if at >= len(value):
                raise entry.refused(
                    f"position {at} is beyond the {len(value)} tokens of its source"
                )
        return value

    # --- one prompt ----------------------------------------------------------------------------

    def _run_of(self, entry: Intervention) -> dict[str, Array]:
        """Activations [pos, (head,) width] of the prompt that an intervention takes them from."""
        key = _prompt_key(entry)
        if key not in self._runs:
            names = {one.name for one in self.entries if _prompt_key(one) == key}
            self._runs[key] = self._read(self._prompt(entry), names)
        return self._runs[key]

    def _prompt(self, entry: Intervention) -> Ids:
        """Its source's tokens [pos], or those of one row of its data, by its seed."""
        if entry.data is not None:
            rows = self._rows_of(entry)
            return rows[int(np.random.default_rng(entry.seed).integers(len(rows)))]
        try:
            return self.model.tokens(entry.source, entry.bos)
        except RunError as error:
            raise entry.refused(f"its source: {error}") from None

    def _read(self, tokens: Ids, names: set[str]) -> dict[str, Array]:
        """One plain pass: activations [pos, (head,) width], of queries [query, head, key]."""
        above = any(name.startswith(("ln_final.", "unembed.")) for name in names)
        run = self.model.forward(tokens, names=names, logits="all" if above else "none")
        return {
            name: value[0].swapaxes(0, 1) if name.endswith(OVER_KEYS) else value[0]
            for name, value in run.cache.items()
        }

    # --- data sets -----------------------------------------------------------------------------

    def _mean_of_data(self, entry: Intervention) -> Array:
        """Mean over all rows and positions, or over the rows at each position."""
        key = entry.data, entry.bos
        if key not in self._sums:
            self._sums[key] = self._summed(entry)
        total, count = self._sums[key][entry.name, entry.by_position]
        return total / count

    def _summed(self, entry: Intervention) -> dict[Any, tuple[Array, int]]:
        """(name, by position) -> (sum, how many) of all that is averaged over this data set."""
        wanted = {
            (one.name, one.by_position)
            for one in self.entries
            if one.action == "mean" and (one.data, one.bos) == (entry.data, entry.bos)
        }
        rows = self._rows_of(entry)
        for number, row in enumerate(rows, 1):
            if len(row) != len(rows[0]) and any(by_position for _, by_position in wanted):
                raise entry.refused(
                    f"by_position needs prompts of equal length; the first has {len(rows[0])} "
                    f"tokens and number {number} {len(row)}"
                )
        sums: dict[Any, tuple[Array, int]] = {}
        for row in rows:
            values = self._read(row, {name for name, _ in wanted})
            for name, by_position in wanted:
                value, n = values[name].astype(np.float64), 1
                if not by_position:
                    value, n = value.sum(axis=0), len(value)
                before, count = sums.get((name, by_position), (0.0, 0))
                sums[name, by_position] = before + value, count + n
        return sums

    def _rows_of(self, entry: Intervention) -> list[Ids]:
        """Token ids [pos] of each row of a data set; of a table, its clean prompts."""
        ref = entry.data
        assert ref is not None
        key = ref, entry.bos
        if key not in self._rows:
            # Here, or the engine's data sets, which know the model, would go round in a ring.
            from engine.data.prompt_table import KIND

            path = locate(ref, self.model.watch, FIELD)
            read = self._table if ref.kind == KIND else self._text
            try:
                self._rows[key] = list(read(path, entry))
            except (FileError, OSError) as error:
                raise entry.refused(str(error)) from None
        return self._rows[key]

    def _table(self, path: Path, entry: Intervention) -> Iterator[Ids]:
        from engine.data.prompt_table import read_table

        for row in read_table(path, self.model.watch).rows:
            try:
                yield self.model.tokens(row.clean, row.bos)
            except RunError as error:
                raise entry.refused(f"{path.name}, line {row.line}: {error}") from None

    def _text(self, path: Path, entry: Intervention) -> Iterator[Ids]:
        """The beginning of a text in stretches of ROW_TOKENS, each with its BOS token."""
        if (tokenizer := self.model.tokenizer) is None:
            raise entry.refused(f"{self.model.name} has no tokenizer to read {path.name} with")
        with path.open("rb") as file:
            text = file.read(TEXT_BYTES).decode("utf-8", "ignore")
        ids = list(tokenizer.encode(text, "no"))
        start = list(tokenizer.encode(text, entry.bos))
        start = start[: len(start) - len(ids)]  # BOS, or nothing
        step = min(ROW_TOKENS, self.model.config.n_ctx) - len(start)
        if not ids or step < 1:
            raise entry.refused(f"{path.name} holds no text in UTF-8")
        whole = len(ids) // step * step
        for first in range(0, whole or len(ids), step):
            yield self.model.check(np.array(start + ids[first : first + step], np.int64))


def _unfit(sae: SAE, entry: Intervention, model: Transformer) -> Iterator[str]:
    """What keeps features of an SAE of this model from being changed by this intervention."""
    axes, cfg = model.hooks()[entry.name].split(), model.config
    n_heads = next((n for axis, n in heads_of(cfg).items() if axis in axes), 0)
    one, was, now = sae.hook_head_index, sae.model_digest, model.digest
    width = width_of(axes, cfg) * (n_heads if n_heads and one is None else 1)
    if sae.hook_name not in ("", entry.name):
        yield (
            f"reads {sae.hook_name}{_of_model(sae.model_name, was)}, and this is {entry.name}"
            f"{_of_model(model.name, now)}: name the SAE's own hook"
        )
    if entry.head is not None and entry.head != one:
        yield "reads all heads at once: leave the head out" if one is None else f"reads head {one}"
    if sae.d_in != width:
        yield (
            f"reads {sae.d_in} numbers{_of_model(sae.model_name, was)}, and {entry.name} holds "
            f"{width}{_of_model(model.name, now)}: name the hook that it was trained on"
        )
    for latent in entry.units or ():
        if latent >= sae.d_sae:
            yield f"has no feature {latent}: its features are 0..{sae.d_sae - 1}"


def _of_model(name: str, digest: str) -> str:
    """Such as " of gpt2 (sha 6be8a203…)"."""
    seal = f" (sha {digest.rpartition(':')[2][:SHORT]}…)" if digest else ""
    return f" of {name or 'a model'}{seal}" if name or digest else ""


def _prompt_key(entry: Intervention) -> Any:
    """The same for interventions that take values from the same run; None for the others."""
    if entry.action not in BORROWED or (entry.action == "mean" and entry.data is not None):
        return None
    if entry.data is not None:
        return entry.data, entry.bos, entry.seed
    return entry.source, entry.bos


def _vector_in(ref: Ref, watch: Any) -> tuple[float, ...]:
    """The numbers in a .npy or .json file of one vector; RunError says what is wrong with it."""
    path = locate(ref, watch, FIELD)
    try:
        if path.stat().st_size > DIRECTION_BYTES:
            raise ValueError(f"is larger than {DIRECTION_BYTES >> 20} MB")
        if path.suffix.lower() == ".npy":
            vector = np.load(path, mmap_mode="r", allow_pickle=False)  # [width]
            if vector.ndim != 1 or vector.dtype.kind not in "fiu":
                raise ValueError(f"holds {vector.dtype} of shape {vector.shape}, not one vector")
            return tuple(vector.astype(np.float64).tolist())
        return msgspec.json.decode(path.read_bytes(), type=tuple[float, ...])
    except (OSError, ValueError, EOFError) as error:
        raise RunError(
            f"the direction {path.name}: {error}; a direction is one vector in a .npy file, or a "
            "list of numbers in a .json file"
        ) from None

"""Checkpoint of a TrainSAE: all that goes on from one step, in one safetensors file.

The trainers (weights, Adam's moments, counts), the records, the checks and the spec as it was. The
store is not in it: its place follows from the step. Written whole or not at all; read as a
stranger's file, every size checked before anything of that size is made.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import refs, technique
from engine.errors import RunError, SpecError
from engine.model.config_file import shown
from engine.model.opening import HEADER
from engine.refs import SHORT, Ref
from engine.technique import Technique, to_json
from engine.train.checkpoint_reader import DTYPES, Reader

__all__ = ["KIND", "MAY_DIFFER", "Checkpoint", "file_name"]

Array = npt.NDArray[Any]

KIND = "SAE checkpoint"  # of the Ref
FORMAT = "mechanoscope SAE checkpoint 1"
MOST_BYTES = 8 << 30
MOST_TENSORS = 64  # of one variant, and of everything else
MAY_DIFFER = (
    "start", "lr", "warm_up", "sparsity_warm_up", "decay", "n_steps", "clip", "aux_k", "pre_act",
    "dead_window", "resample_every", "resample_last", "check_every", "checkpoint_every", "pace",
)  # fmt: skip
"""Fields in which a run may differ from the checkpoint that it starts from."""


def file_name(step: int) -> str:
    """What the checkpoint of a step is called; names sort as steps do."""
    return f"sae-step-{step:07}.safetensors"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """SAEs in training at one step.

    trainers: a Trainer's `state()` for each variant; told: arrays of what was recorded and
    measured so far, by name. scaling: the factor on activations, 0 where there is none.
    """

    spec: Technique
    step: int
    d_in: int
    d_sae: int
    scaling: float
    model_name: str
    model_digest: str
    trainers: tuple[Mapping[str, Array], ...]
    told: Mapping[str, Array]

    # --- writing -------------------------------------------------------------------------------

    def save(self, path: Path) -> Ref:
        """Write it, whole or not at all; OSError where the disk does not take it."""
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            save_file(self._tensors(), fresh, self._about())
            with fresh.open("rb+") as file:
                os.fsync(file.fileno())
                file.seek(0)
                seal = hashlib.file_digest(file, "sha256")
            os.replace(fresh, path)
        except SafetensorError as error:
            raise OSError(str(error)) from error
        finally:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
        return Ref(KIND, seal.hexdigest(), str(path.resolve()))

    def _tensors(self) -> dict[str, Array]:
        named = {f"told.{name}": array for name, array in self.told.items()}
        for at, state in enumerate(self.trainers):
            named |= {f"{at}.{name}": array for name, array in state.items()}
        named["scaling"] = np.array(self.scaling, np.float64)
        # not ascontiguousarray, which gives every scalar an axis
        return {name: np.require(array, requirements="C") for name, array in named.items()}

    def _about(self) -> dict[str, str]:
        state = {
            "step": self.step, "d_in": self.d_in, "d_sae": self.d_sae,
            "variants": len(self.trainers), "model_name": self.model_name,
            "model_digest": self.model_digest,
        }  # fmt: skip
        return {
            "format": FORMAT, "spec": json.dumps(to_json(self.spec)), "state": json.dumps(state),
        }  # fmt: skip

    # --- reading -------------------------------------------------------------------------------

    @staticmethod
    def load(where: Ref | Path | str, watch: Any = None, field: str = "start") -> Checkpoint:
        """Read and check one; FileError, or MissingInput for a Ref whose file is not there."""
        path = refs.locate(where, watch, field) if isinstance(where, Ref) else Path(where)
        return _Reader(path).sae_checkpoint()

    # --- going on ------------------------------------------------------------------------------

    def check(self, spec: Any, model: Any, site: Any, d_sae: int) -> None:
        """SpecError or RunError where a run of `spec` on `model` cannot go on from here."""
        mine, its = model.digest, self.model_digest
        comparable = bool(mine and its) and mine.startswith(HEADER) == its.startswith(HEADER)
        hook = getattr(self.spec, "hook", "")
        if comparable and mine != its:
            raise RunError(
                f"the checkpoint is of an SAE of {self.model_name} at {hook} (sha {_short(its)}…), "
                f"and {model.name} is open (sha {_short(mine)}…): open that model, or start anew"
            )
        for item in fields(spec):
            asked, was = getattr(spec, item.name), getattr(self.spec, item.name)
            if item.name not in MAY_DIFFER and asked != was:
                raise SpecError(
                    item.name,
                    f"{asked!r} is not the checkpoint's {was!r}: set it so, or start anew",
                )
        if (self.d_in, self.d_sae) != (site.width, d_sae):
            raise RunError(
                f"the checkpoint's SAE reads {self.d_in} numbers with {self.d_sae:,} latents, and "
                f"{site.label} of {model.name} asks for {site.width} with {d_sae:,}"
            )
        if spec.n_steps < self.step:
            raise SpecError(
                "n_steps",
                f"{spec.n_steps:,} is below {self.step:,}, the checkpoint's step; raise it",
            )


def _short(digest: str) -> str:
    return digest.removeprefix(HEADER)[:SHORT]


class _Reader(Reader):
    verdict = "it is no checkpoint of an SAE that can be gone on from"
    dtypes: Mapping[str, str] = MappingProxyType({**DTYPES, "I64": "<i8"})
    most_bytes = MOST_BYTES

    def sae_checkpoint(self) -> Checkpoint:
        try:
            about = json.loads(self.header.raw.decode("utf-8")).get("__metadata__")
        except (ValueError, RecursionError):
            about = None
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            self.fail(f"is not of the format {FORMAT!r}")
        spec = self.spec(self.json(about, "spec", dict))
        state = self.json(about, "state", dict)
        step = self.count(state, "step")
        d_in, d_sae = self.count(state, "d_in", 1), self.count(state, "d_sae", 1)
        n_variants = self.count(state, "variants", 1)
        if n_variants > MOST_TENSORS or len(self.header.tensors) > MOST_TENSORS * (n_variants + 1):
            self.fail(f"{len(self.header.tensors):,} tensors of {n_variants} variants are too many")
        names = [state.get("model_name"), state.get("model_digest")]
        if not all(isinstance(name, str) for name in names):
            self.fail(f"it names its model {shown(names)}")
        return Checkpoint(
            spec=spec, step=step, d_in=d_in, d_sae=d_sae,
            scaling=float(self.tensor("scaling", "F64", ())), model_name=str(names[0]),
            model_digest=str(names[1]),
            trainers=tuple(self._part(f"{at}.", finite=True) for at in range(n_variants)),
            told=self._part("told.", finite=False),
        )  # fmt: skip

    def spec(self, values: Mapping[str, Any]) -> Technique:
        kind = values.get("kind")
        if kind != "TrainSAE":
            self.fail(f"it was made by {shown(kind)}, not by TrainSAE")
        try:
            return technique.from_json(values)
        except (SpecError, RunError, TypeError, ValueError) as error:
            self.fail(f"its spec is not one ({error})")

    def _part(self, prefix: str, finite: bool) -> dict[str, Array]:
        """Every tensor whose name begins so, copied; the shapes are checked by who takes them."""
        found = {}
        for name, info in self.header.tensors.items():
            if name.startswith(prefix):
                array = self.tensor(name, info.dtype)
                if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
                    self.fail(f"{name} holds numbers that are not finite")
                found[name.removeprefix(prefix)] = array
        if not found:
            self.fail(f"it holds nothing that is called {prefix}…")
        return found

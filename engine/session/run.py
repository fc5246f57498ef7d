"""Run: what was asked of which network, how it went, what came out; a result as plain fields.

A result is a frozen dataclass of arrays, numbers, texts and tuples of the latter two. `pack` takes
it apart into named arrays and JSON values, `unpack` builds it again; files hold nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from engine.intervention_words import in_words
from engine.model.interventions import Intervention
from engine.refs import Ref, refs_in
from engine.session.json_text import plain_text
from engine.technique import Changes, Technique, result_fields, to_json
from engine.versions import versions
from engine.worker import Worker

Array = npt.NDArray[Any]
Status = Literal["finished", "cancelled", "failed"]
STATUSES = ("finished", "cancelled", "failed")
_SLAB = 1 << 20  # bytes hashed at a time
_ERROR = 10_000  # characters of an error that are kept
IDS = ("tokens", "ids", "_id")  # how names of result fields end that hold token ids
KINDS_STORED = "biufcU"  # NumPy's letters for bool, integers, floats, complex, text; never objects


@dataclass(frozen=True)
class ModelRef:
    """Which network a run read: its name, the digest of its weights, where it was, its config."""

    name: str
    digest: str = ""
    folder: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any) -> ModelRef:
        """The reference to an open model."""
        folder = getattr(model, "folder", None)
        where = "" if folder is None else str(Path(folder).resolve())
        config = json.loads(json.dumps(msgspec.to_builtins(getattr(model, "config", None)) or {}))
        return cls(plain_text(model.name), model.digest, plain_text(where), config)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished, cancelled or failed run; `spec`, `changes` and `interventions` replay it.

    started: ISO time in UTC. metrics: the last value of each. result None: there is none, or it was
    too large to keep; then `digest` (SHA-256 of `pack`ed fields, "" until stored) still says what
    it was. title: what a person calls it, "" = the technique's title. tokens: the exact ids the
    network read, by result field. words: how each token id that is shown was spelled; not read
    when runs are listed. inputs: by role. view: what the user saw, as JSON values. fired: how often
    each intervention met its activation and its largest change there; () = not recorded.
    """

    spec: Technique
    result: Any = None
    status: Status = "finished"
    error: str = ""
    changes: Changes = ()
    interventions: tuple[Intervention, ...] = ()
    model: ModelRef | None = None
    started: str = ""
    seconds: float = 0.0
    blas_threads: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=versions)
    digest: str = ""
    id: int = 0
    title: str = ""
    note: str = ""
    tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    words: Mapping[int, str] = field(default_factory=dict)
    inputs: Mapping[str, Ref] = field(default_factory=dict)
    view: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[tuple[int, Ref], ...] = ()
    fired: tuple[tuple[int, float], ...] = ()

    @property
    def kind(self) -> str:
        return type(self.spec).__name__

    @property
    def version(self) -> int:
        return type(self.spec).version

    @classmethod
    def of(
        cls,
        worker: Worker,
        result: Any,
        error: BaseException | None = None,
        metrics: Mapping[str, float] | None = None,
        *,
        words: Mapping[int, str] | None = None,
        inputs: Mapping[str, Ref] | None = None,
        view: Mapping[str, Any] | None = None,
    ) -> Run:
        """The run that a worker has just ended, with the result that was drawn.

        The spec's own Refs are among its inputs, each under the name of its field.
        """
        if worker.spec is None or worker.state not in STATUSES:
            raise ValueError(f"a worker that is {worker.state} has no run to keep")
        return cls(
            spec=worker.spec,
            result=result,
            status=worker.state,
            error="" if error is None else plain_text(str(error)[:_ERROR]) or type(error).__name__,
            changes=tuple(worker.changes),
            interventions=tuple(worker.interventions),
            model=None if worker.model is None else ModelRef.of(worker.model),
            started=datetime.fromtimestamp(worker.began, UTC).isoformat(timespec="milliseconds"),
            seconds=worker.seconds,
            blas_threads=worker.blas_threads,
            metrics=dict(metrics or {}),
            tokens=tokens_of(result),
            words={int(token): str(text) for token, text in (words or {}).items()},
            inputs=_own_inputs(worker.spec, worker.interventions) | dict(inputs or {}),
            view=dict(view or {}),
            artifacts=tuple(worker.kept),
            fired=tuple((one.times, one.largest) for one in worker.fired),
        )

    def provenance(self) -> dict[str, Any]:
        """Everything a figure's caption may need, as JSON values.

        A token's text is "" where it is not known, as in a run from a list, which has no words.
        """
        about = {
            name: getattr(self, name)
            for name in ("title", "note", "status", "error", "started", "seconds", "blas_threads")
        }
        return {
            "spec": to_json(self.spec),
            "changes": [[step, dict(change)] for step, change in self.changes],
            "interventions": msgspec.to_builtins(self.interventions),
            "fired": [
                [in_words(entry), times, largest]
                for entry, (times, largest) in zip(self.interventions, self.fired, strict=False)
            ],
            "model": None if self.model is None else msgspec.to_builtins(self.model),
            **about,
            "tokens": {
                name: {"ids": list(ids), "texts": [self.words.get(token, "") for token in ids]}
                for name, ids in self.tokens.items()
            },
            "inputs": {role: msgspec.to_builtins(ref) for role, ref in self.inputs.items()},
            "seed": getattr(self.spec, "seed", None),
            "digest": self.digest,
            "metrics": dict(self.metrics),
            "versions": dict(self.versions),
        }


def tokens_of(result: Any) -> dict[str, tuple[int, ...]]:
    """The exact token ids in a result: its integer fields whose names end in "tokens".

    Of 1-d fields, and of those of one prompt; of many prompts the input that they came from tells.
    """
    found = {}
    for item in () if result is None else fields(result):
        value = getattr(result, item.name)
        if not item.name.endswith("tokens") or not isinstance(value, np.ndarray):
            continue
        value = value[0] if value.ndim == 2 and len(value) == 1 else value
        if value.ndim == 1 and value.dtype.kind in "iu":
            found[item.name] = tuple(value.tolist())
    return found


def _own_inputs(spec: Technique, interventions: Sequence[Any]) -> dict[str, Ref]:
    """What the spec and the interventions name, by field; several of a field are numbered."""
    own: dict[str, Ref] = {}
    named = {item.name: getattr(spec, item.name) for item in fields(spec)}
    for name, value in {**named, "intervention": tuple(interventions)}.items():
        refs = refs_in(value)
        for number, ref in enumerate(refs):
            own[name if len(refs) == 1 else f"{name} {number}"] = ref
    return own


def pack(result: Any) -> tuple[dict[str, Array], dict[str, Any]]:
    """A result's arrays by field name, and its other fields as JSON values."""
    arrays: dict[str, Array] = {}
    values: dict[str, Any] = {}
    for item in () if result is None else fields(result):
        value = getattr(result, item.name)
        if isinstance(value, np.ndarray | np.generic):
            arrays[item.name] = np.asarray(value)
            if arrays[item.name].dtype.kind not in KINDS_STORED:
                raise TypeError(f"{item.name}: an array of {value.dtype} cannot be stored")
        else:
            values[item.name] = _plain(item.name, value)
    return arrays, values


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, tuple):
        return [_plain(name, element) for element in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(name, element) for key, element in value.items()}
    raise TypeError(f"{name}: a {type(value).__name__} cannot be stored in a result")


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(element) for element in value)
    if isinstance(value, dict):
        return {key: _frozen(element) for key, element in value.items()}
    return value


def unpack(
    kind: type[Technique], arrays: Mapping[str, Array], values: Mapping[str, Any], version: int = 0
) -> Any:
    """The technique's own result again. A 0-d array comes back as a NumPy scalar.

    version: of the technique that made it, 0 = today's.
    """
    if 0 < version < kind.version:
        arrays, values = kind.upgrade_result(dict(arrays), dict(values), version)
    whole = {name: array[()] if array.ndim == 0 else array for name, array in arrays.items()}
    whole |= {name: _frozen(value) for name, value in values.items()}
    known = {item.name for item in fields(kind.Result)}
    if strangers := sorted(whole.keys() - known):
        raise ValueError(f"{kind.__name__} has no result field {', '.join(strangers)}")
    _check_axes(kind, arrays)
    return kind.Result(**whole)


def _check_axes(kind: type[Technique], arrays: Mapping[str, Array]) -> None:
    """ValueError where a field has not the axes it declares: nothing could draw it."""
    for name, about in result_fields(kind).items():
        axes, shape = about.get("axes"), arrays[name].shape if name in arrays else None
        if axes is not None and shape is not None and len(axes.split()) != len(shape):
            raise ValueError(f"{name} has {len(shape)} axes and should have {len(axes.split())}")


def digest(arrays: Mapping[str, Array], values: Mapping[str, Any]) -> str:
    """SHA-256 of a packed result: the same for the same bits, whatever holds them."""
    seal = hashlib.sha256(json.dumps(values, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        seal.update(f"{name} {array.dtype.str} {array.shape}".encode())
        for slab in slabs(array, _SLAB):
            seal.update(slab)
    return seal.hexdigest()


def slabs(array: Array, most: int) -> Iterator[memoryview]:
    """The bytes of an array in C order, `most` at a time; each only until the next is asked for.

    Not as a whole: a copy of an array in another order would double the memory of a large result.
    """
    if not array.size:
        yield memoryview(b"")
        return
    length = max(1, most // max(1, array.itemsize))
    pieces = np.nditer(array, ["external_loop", "buffered"], order="C", buffersize=length)
    for piece in pieces:
        yield np.ascontiguousarray(piece).view(np.uint8).data

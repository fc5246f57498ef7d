"""Real runs on the bundled model, of any size, and what their results are to the bit."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.model import open_model
from engine.session import Run, Session
from engine.technique import Technique
from engine.techniques.activation_patching import ActivationPatching
from engine.techniques.attention_patterns import AttentionPatterns
from engine.techniques.logit_lens import LogitLens
from engine.worker import Worker
from resources import path

CLEAN = "cat sun tree boat fish lamp dog cat sun tree boat fish"
CORRUPTED = "cat sun tree boat fish hat dog cat sun tree boat fish"


def model() -> Any:
    return open_model(path("models") / "induction-2l")


def driven(spec: Technique, model: Any) -> Worker:
    """A worker that has ended this run."""
    worker = Worker(spec, model)
    worker.start()
    worker.join()
    return worker


def random_spec(model: Any, rng: np.random.Generator) -> Technique:
    """A cheap technique on random tokens."""
    length = int(rng.integers(2, model.config.n_ctx))
    prompt = tuple(int(token) for token in rng.integers(0, model.config.d_vocab, length))
    return (LogitLens, AttentionPatterns)[int(rng.integers(2))](prompt=prompt)


def grown(result: Any, nbytes: int, rng: np.random.Generator) -> Any:
    """The result with its first float array drawn anew, `nbytes` long: no two are the same."""
    name = next(f.name for f in fields(result) if getattr(result, f.name).dtype.kind == "f")
    rows, others = max(1, nbytes // 256), (1,) * (getattr(result, name).ndim - 2)
    return replace(result, **{name: rng.random((rows, *others, 64), np.float32)})


def random_run(model: Any, rng: np.random.Generator, least: int = 1 << 10, most: int = 8 << 20):
    """A finished run whose result has between `least` and `most` bytes, small ones as often."""
    worker = driven(random_spec(model, rng), model)
    size = int(np.exp(rng.uniform(np.log(least), np.log(most))))
    return Run.of(worker, grown(worker.poll().result, size, rng))


def mark(result: Any) -> str:
    """SHA-256 of a result by its own reckoning, not by the session's."""
    seal = hashlib.sha256()
    for item in fields(result) if result is not None else ():
        value = getattr(result, item.name)
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            seal.update(f"{item.name} {array.dtype.str} {array.shape}".encode())
            seal.update(array.tobytes())
        else:
            seal.update(f"{item.name} {value!r}".encode())
    return seal.hexdigest()


def sessions(folder: Path) -> list[Path]:
    """A session that was closed, and one as a killed program leaves it, with its log."""
    network, rng = model(), np.random.default_rng(0)
    whole, crashed = folder / "whole.mscope", folder / "crashed.mscope"
    with Session.create(whole) as session:
        for spec in (
            LogitLens(prompt=CLEAN),
            AttentionPatterns(prompt=CLEAN),
            ActivationPatching(clean=CLEAN, corrupted=CORRUPTED),
        ):
            worker = driven(spec, network)
            session.add(Run.of(worker, worker.poll().result))
        big, gone = (session.add(random_run(network, rng, size, size)) for size in (300_000, 5000))
        session.describe(1, title="The first", note="What is seen here\nsaid twice")
        ref = session.put("prompt pairs", b'{"clean": "a"}\n', origin="pairs.jsonl", rows=1)
        session.keep_artifact("direction", bytes(4096), run=big, origin=f"made from {ref.digest}")
        session.delete([gone])
    shutil.copyfile(whole, crashed)
    with Session.open(crashed) as session:
        session.add(random_run(network, rng, 20_000, 20_000))
        session.describe(2, title="While it was killed")
        log = crashed.with_name(crashed.name + "-wal")
        left = [(file, file.read_bytes()) for file in (crashed, log)]
    for file, content in left:
        file.write_bytes(content)
    return [whole, crashed]

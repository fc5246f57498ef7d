"""Makes tests/data/sessions/format-N.mscope in the format of today, from the bundled model.

A file of every released format stays here and must open for ever, so this is run once per format,
before the next one is begun: `python tests/data/make_sessions.py`. Dates and durations are made up;
nothing in the file names a machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.errors import RunError
from engine.model import open_model
from engine.model.opening import weights_digest
from engine.model.taps import Intervention
from engine.session import ModelRef, Run, Session, tokens_of
from engine.session.formats import FORMAT
from engine.technique import Technique
from engine.techniques.activation_patching import ActivationPatching
from engine.techniques.attention_patterns import AttentionPatterns
from engine.techniques.logit_lens import LogitLens

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "models/induction-2l"  # as the file says it, below resources
CLEAN = "cat sun tree boat fish lamp dog cat sun tree boat fish"
CORRUPTED = "cat sun tree boat fish hat dog cat sun tree boat fish"


def driven(
    spec: Technique, model: Any, interventions: Sequence[Intervention] = (), stop: int = 0
) -> Run:
    """A run as a worker would have ended it; `stop` cancels it after so many updates."""
    last, status, error = None, "finished", ""
    steps = spec.steps(model.under(interventions))
    try:
        for update in steps:
            last, stop = update, stop - 1
            if stop == 0:
                status = "cancelled"
                break
    except RunError as problem:
        status, error = "failed", str(problem)
    steps.close()
    result = last.snapshot() if last else None
    tokens = tokens_of(result)
    words = {id: model.pieces([id])[0] for ids in tokens.values() for id in ids}
    return Run(
        spec=spec,
        result=result,
        status=status,
        error=error,
        interventions=tuple(interventions),
        model=replace(ModelRef.of(model), folder=FOLDER),
        seconds=0.25,
        blas_threads=2,
        tokens=tokens,
        words=words,
        view={"focus": {"layer": 1}, "panel": {}},
    )


def main() -> None:
    model = open_model(ROOT / "resources" / FOLDER)
    patching = ActivationPatching(clean=CLEAN, corrupted=CORRUPTED)
    zero = Intervention("blocks.1.attn.hook_z", "zero", head=3)
    loud = Intervention("blocks.1.hook_resid_post", "scale", 1e38)
    runs = [
        driven(LogitLens(prompt=CLEAN), model),
        driven(AttentionPatterns(prompt=CLEAN), model),
        driven(patching, model),
        driven(patching, model, stop=1),
        driven(LogitLens(prompt=CORRUPTED, top_k=3), model, [loud]),
    ]
    model.digest = weights_digest(model)
    runs.append(driven(AttentionPatterns(prompt=CLEAN), model, [zero]))
    runs[0] = replace(runs[0], title="First look", note="induction at the second cat")
    runs.append(driven(AttentionPatterns(prompt=CORRUPTED), model))
    path = ROOT / "tests" / "data" / "sessions" / f"format-{FORMAT}.mscope"
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with Session.create(path) as session:
        for second, run in enumerate(runs):
            session.add(replace(run, started=f"2026-01-02T03:04:{second:02}.000+00:00"))
        session.delete([len(runs)])
        session.put("corpus", b"cat sun tree\n", origin="typed", rows=1)
        session.keep_artifact("direction", b"\0" * 64, run=2)
    print(path, path.stat().st_size, [(run.kind, run.status, run.error) for run in runs])


if __name__ == "__main__":
    main()

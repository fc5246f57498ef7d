"""Recipe: what has to be done again to get a run's arrays, and what is known of the first time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.export.source import imports, source
from engine.model.opening import HEADER
from engine.session import Run, pack
from engine.session.run import digest
from engine.technique import Changes, Technique, to_json

_OTHER_MODEL = 'f"{model.folder} holds another model than this run read: expect other numbers"'


@dataclass(frozen=True, eq=False)
class Recipe:
    """Spec, folder of the model, live changes, interventions; `run` if it was done before."""

    spec: Technique
    folder: str = ""
    changes: Changes = ()
    interventions: tuple[Any, ...] = ()
    run: Run | None = None

    @classmethod
    def of(
        cls,
        what: Run | Technique | Recipe,
        folder: Any = "",
        changes: Iterable[tuple[int, Mapping[str, Any]]] = (),
        interventions: Sequence[Any] = (),
    ) -> Recipe:
        """A Run brings its own folder, changes and interventions; what is given wins."""
        if isinstance(what, Recipe):
            return what
        run = what if isinstance(what, Run) else None
        spec = what.spec if isinstance(what, Run) else what
        if run is not None:
            changes, interventions = changes or run.changes, interventions or run.interventions
            folder = folder or (run.model.folder if run.model else "")
        steps = tuple((step, dict(change)) for step, change in changes)
        return cls(spec, str(folder), steps, tuple(interventions), run)

    @property
    def title(self) -> str:
        return self.spec.title or type(self.spec).__name__

    @property
    def model_digest(self) -> str:
        """The digest that the model had, "" if it was never recorded."""
        return self.run.model.digest if self.run is not None and self.run.model else ""

    @property
    def result_digest(self) -> str:
        """SHA-256 of the result's arrays, "" if there was none."""
        if self.run is None:
            return ""
        if self.run.digest or self.run.result is None:
            return self.run.digest
        return digest(*pack(self.run.result))

    def about(self) -> dict[str, Any]:
        """The provenance of the run, or what is known before there is one."""
        if self.run is None:
            return {"spec": to_json(self.spec)}
        return {**self.run.provenance(), "digest": self.result_digest}

    # --- the same in Python --------------------------------------------------------------------

    def preparation(self) -> str:
        """Source: imports, model, spec, and where there are any interventions and changes."""
        needed = imports([self.spec, self.interventions, self.changes])
        recorded = self.model_digest if self.spec.needs else ""
        cheap = recorded.startswith(HEADER)
        if self.spec.needs:
            names = "open_model" if cheap or not recorded else "open_model, weights_digest"
            needed.add(f"from engine.model import {names}")
        lines = ["import warnings", ""] if recorded else []
        lines += [*sorted(needed), ""]
        if self.spec.needs:
            lines.append(f"model = open_model({source(self.folder, before=19)})")
        if recorded:
            # The header's digest is there at once. That of the weights takes a second per GB, but
            # nothing cheaper tells a fine-tuned model from its original.
            now = "model.digest" if cheap else "weights_digest(model)"
            lines.append(f"if {now} != {recorded!r}:")
            lines.append(f"    warnings.warn({_OTHER_MODEL})")
        lines.append(f"spec = {source(self.spec, before=7)}")
        if self.interventions and self.spec.needs:
            lines.append(f"interventions = {source(list(self.interventions), before=16)}")
        if self.changes:
            lines.append(f"changes = {source(list(self.changes), before=10)}")
        return "\n".join(lines)

    def execution(self) -> str:
        """Source: the line that runs it."""
        model = "model" if self.spec.needs else "None"
        if self.interventions and self.spec.needs:
            model = "model.under(interventions)"
        return f"result = spec.run({model}{', changes' if self.changes else ''})"

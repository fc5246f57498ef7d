"""Running: a TrainSAE on its way: its text, its store, its trainers, what is recorded of them.

What happens at a step depends on the step and the spec alone, never on a clock or on where the run
began: a run that starts from a checkpoint gives the bits of one that never stopped.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from engine.errors import FileError, RunError
from engine.lens.text import prompts
from engine.refs import Ref
from engine.sae import files, variants
from engine.sae.checkpoint import KIND, Checkpoint, file_name
from engine.sae.metrics import Densities, Records
from engine.sae.reports import Checks
from engine.sae.splicing import HeldOut
from engine.sae.step import METRICS, Trainer
from engine.sae.store import ActivationStore, site_of
from engine.sae.training_result import TrainSAEResult
from engine.technique import Artifact, Update

__all__ = ["Running"]

Array = npt.NDArray[Any]

UPDATE = 0.03  # seconds of work between two updates
PER_FLOP, PER_NUMBER, PER_STEP = 1.5e-11, 1e-9, 5e-4  # seconds, of two ordinary cores
CURVES = tuple(name for name in METRICS if name != "lr")
AS_THEY_ARE = ("dead", "threshold", "l1")  # told at the record's step, not as a mean
MOST_CHECKPOINTS = 4 << 30  # bytes of all checkpoints of one run


class Running:
    """The state between two updates; used in a `with`, at whose end the store is gone."""

    def __init__(self, spec: Any, model: Any) -> None:
        self.spec, self.model = spec, model
        self.site = site_of(model, spec.hook, spec.head, int(spec.skip_first))
        self.d_sae = variants.latents(spec, self.site.width)
        self.variants = variants.of_spec(spec)
        start = None
        if spec.start is not None:
            start = Checkpoint.load(spec.start, model.listen)
            start.check(spec, model, self.site, self.d_sae)
        self.context = min(spec.context, model.config.n_ctx)
        rows, self.source = prompts(model, spec.data, spec.n_tokens, self.context)
        n_held = min(len(rows) - 1, max(1, round(spec.held_out * len(rows))))
        rest = rows[-n_held:]  # [context, pos]
        some = min(n_held, max(1, spec.n_held_out // self.context))
        chosen = rest[np.linspace(0, n_held - 1, some).astype(int)]  # [context, pos]
        self.held_out = HeldOut(model, self.site, chosen)
        self.step = 0
        self.checkpoints: list[int] = []
        self.artifacts: tuple[Artifact, ...] = ()
        self.records = Records(CURVES, len(self.variants), AS_THEY_ARE)
        self.densities = Densities(len(self.variants), self.d_sae)
        self.checks = Checks(len(self.variants), self.d_sae)
        with contextlib.ExitStack() as stack:
            self.store = stack.enter_context(
                ActivationStore(model, self.site, rows[:-n_held], spec.batch, seed=spec.seed,
                                limit=spec.buffer_mb << 20)
            )  # fmt: skip
            self.scaling = self._scaling(start)
            self.trainers = self._trainers(start)
            if start is not None:
                self._restore(start)
            self._stack = stack.pop_all()
        self.seconds = self._seconds()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- on the way ------------------------------------------------------------------------------

    def advance(self, spec: Any) -> None:
        """Train until the next update; RunError where the numbers are none any more."""
        self._obey(spec)
        self.artifacts = ()
        end = self._next(spec)
        while self.step < end:
            self.model.listen()
            x = self.store.next()  # [row, d_in]
            values = np.empty((len(CURVES), len(self.variants)))  # [metric, variant]
            lr = 0.0
            for at, trainer in enumerate(self.trainers):
                metrics = self._learn(at, trainer, x)
                values[:, at], lr = [metrics[name] for name in CURVES], metrics["lr"]
            self.step += 1
            self.records.add(self.step, lr, values)
        due, last = self.step % spec.check_every == 0, self.step >= spec.n_steps
        if due:
            self._check()
            self.densities.turn(*self._fired())
            for trainer in self.trainers:
                trainer.reset_density()
        if last or self.step % spec.checkpoint_every == 0:
            self._keep(spec)
        if last:
            if not due:  # not in the checkpoint: who goes on from there makes none here
                self._check()
            result = TrainSAEResult(**self._values())
            self.artifacts += tuple(self._finished(result, at) for at in range(result.n_variants))

    def _learn(self, at: int, trainer: Trainer, x: Array) -> dict[str, float]:
        try:
            return trainer.step(x, self.model.listen)
        except RunError as error:
            name = f"{self.variants[at].name}: " if len(self.variants) > 1 else ""
            raise RunError(f"{name}{error} (lr is now {trainer.settings.lr:g})") from None

    def update(self, spec: Any) -> Update:
        """The state as it is now, copied: training goes on in place."""
        values = self._values()
        metrics = self.records.newest() | self.checks.newest()
        return Update(
            self.step, spec.n_steps, lambda: TrainSAEResult(**values),
            {name: value for name, value in metrics.items() if math.isfinite(value)},
            note=self.store.note, artifacts=self.artifacts,
        )  # fmt: skip

    def _next(self, spec: Any) -> int:
        """The step of the next update: by work or `pace`, never past a check or the end."""
        every = spec.pace or max(1, int(UPDATE / self.seconds))
        stops = (every, spec.check_every, spec.checkpoint_every)
        due = min((self.step // stop + 1) * stop for stop in stops)
        return min(due, max(spec.n_steps, self.step + 1))

    def _obey(self, spec: Any) -> None:
        """Take live changes over."""
        if spec is not self.spec:
            self.spec = spec
            for variant, trainer in zip(self.variants, self.trainers, strict=True):
                trainer.settings = variant.settings(spec, self.scaling)

    def _check(self) -> None:
        """Read the held-out text with every SAE in turn, and look for near copies."""
        self.held_out.baselines()
        found = [self.held_out.measure(trainer.sae()) for trainer in self.trainers]
        decoders = [trainer.parameters["W_dec"] for trainer in self.trainers]
        self.checks.add(self.step, self.held_out, found, decoders, self.model.listen)

    # --- what is handed out ----------------------------------------------------------------------

    def _fired(self) -> tuple[Array, int]:
        """How often each latent fired since the last turn [variant, latent], of how many rows."""
        return np.stack([trainer.fired for trainer in self.trainers]), self.trainers[0].rows

    def _values(self) -> dict[str, Any]:
        """The result's fields; arrays that training goes on in are copied."""
        saes = [trainer.sae() for trainer in self.trainers]
        first, n = saes[0], len(saes)

        def each(name: str) -> Array:
            found = [getattr(sae, name) for sae in saes]
            if found[0] is None:
                return np.zeros((n, 0), np.float32)  # [variant, none]
            if n > 1 and name == "W_enc":  # its rows lie latent by latent
                return np.stack([one.T for one in found]).swapaxes(1, 2)
            return found[0][None] if n == 1 else np.stack(found)  # [variant, ...]

        names = ("W_enc", "W_dec", "b_dec", "b_enc", "threshold", "b_gate", "b_mag", "r_mag")
        return {
            "step": self.step, "variant_names": tuple(one.name for one in self.variants),
            "variant_value": np.array([one.value for one in self.variants], float),
            "architecture": self.spec.architecture, "hook": self.site.hook,
            "hook_head": self.site.head, "source": self.source, "model_name": self.model.name,
            "model_digest": self.model.digest, "normalize": self.spec.normalize,
            "scaling": self.scaling or 0.0,
            "apply_b_dec_to_input": first.apply_b_dec_to_input,
            "rescale_acts_by_decoder_norm": first.rescale_acts_by_decoder_norm,
            "context": self.context, **{name: each(name) for name in names},
            "metric_names": CURVES, **self.records.fields(),
            **self.densities.fields(*self._fired()), **self.checks.fields(self.held_out),
            "n_activations": self.step * self.spec.batch, "n_text": self.store.n_rows,
            "n_held_out": self.held_out.n_rows, "store_bytes": self.store.nbytes,
            "spill_bytes": self.store.spill_bytes,
            "checkpoint_step": np.array(self.checkpoints, np.int64),
        }  # fmt: skip

    # --- checkpoints -----------------------------------------------------------------------------

    def _keep(self, spec: Any) -> None:
        """A checkpoint for who keeps such. RunError where all of them would fill a disk."""
        self.model.listen()
        taken = self.checkpoint()
        size = sum(array.nbytes for state in taken.trainers for array in state.values())
        if len(self.checkpoints) * size > MOST_CHECKPOINTS:
            raise RunError(
                f"{len(self.checkpoints) + 1} checkpoints of {size / 2**20:,.0f} MB are above "
                f"{MOST_CHECKPOINTS / 2**30:.0f} GB: raise `checkpoint_every`, and go on from step "
                f"{self.checkpoints[-1]:,}"
            )
        self.checkpoints.append(self.step)

        def write(folder: Path) -> Ref:
            return taken.save(folder / file_name(taken.step))

        self.artifacts = (Artifact(KIND, file_name(self.step), self.step, write),)

    def checkpoint(self) -> Checkpoint:
        """All that it takes to go on from here, copied."""
        told = {f"records.{name}": array for name, array in self.records.state().items()}
        told |= {f"checks.{name}": array for name, array in self.checks.state().items()}
        told["density.before"] = self.densities.before.copy()
        told["density.rows"] = np.array(self.densities.rows_before, np.int64)
        told["baselines"] = np.array([self.held_out.clean, self.held_out.zero])
        return Checkpoint(
            spec=self.spec, step=self.step, d_in=self.site.width, d_sae=self.d_sae,
            scaling=self.scaling or 0.0,
            model_name=self.model.name, model_digest=self.model.digest,
            trainers=tuple(trainer.state() for trainer in self.trainers), told=told,
        )  # fmt: skip

    def _restore(self, start: Checkpoint) -> None:
        told = start.told

        def part(prefix: str) -> dict[str, Array]:
            return {name.removeprefix(prefix): array for name, array in told.items()
                    if name.startswith(prefix)}  # fmt: skip

        try:
            self.records.restore(part("records."))
            self.checks.restore(part("checks."))
            self.densities.restore(told["density.before"], int(told["density.rows"]))
            self.held_out.clean, self.held_out.zero = (float(one) for one in told["baselines"])
        except (KeyError, ValueError, TypeError) as error:
            where = start_path(self.spec)
            raise FileError(where, f"its records are not those of a checkpoint ({error})") from None
        self.step = start.step
        self.store.seek(start.step)

    def _finished(self, result: TrainSAEResult, at: int) -> Artifact:
        """The SAE of a variant as a folder, once training is done."""
        name = f"sae-{self.variants[at].stem}-step-{self.step:07}"

        def write(folder: Path) -> Ref:
            try:
                return files.save(result.sae(at), folder / name)
            except FileError as error:
                raise OSError(str(error)) from error

        return Artifact(files.KIND, name, self.step, write)

    # --- at the start ----------------------------------------------------------------------------

    def _scaling(self, start: Checkpoint | None) -> float | None:
        """sqrt(d_in) / mean |x| over the first activations, where one factor is asked for."""
        if self.spec.normalize != "expected_average_only_in":
            return None
        if start is not None:
            return start.scaling
        length = float(np.linalg.norm(self.store.first_rows(), axis=1).mean(dtype=np.float64))
        if not length > 0:
            raise RunError(f"{self.site.label} of {self.model.name} is zero on this text")
        return math.sqrt(self.site.width) / length

    def _trainers(self, start: Checkpoint | None) -> list[Trainer]:
        trainers = [
            Trainer(variant.settings(self.spec, self.scaling), self.site.width, self.d_sae,
                    self.spec.seed)
            for variant in self.variants
        ]  # fmt: skip
        if start is not None:
            if len(start.trainers) != len(trainers):
                raise FileError(start_path(self.spec), "it holds another number of SAEs")
            for trainer, state in zip(trainers, start.trainers, strict=True):
                trainer.restore(state)
        return trainers

    def _seconds(self) -> float:
        """About what one step takes: an estimate from sizes, so that updates keep their steps."""
        cells = self.spec.batch * self.d_sae  # [row, latent]
        dense = 2 if "topk" in self.spec.architecture else 6  # products of that size
        one = PER_FLOP * dense * cells * self.site.width + PER_NUMBER * cells
        one += 8 * PER_NUMBER * self.site.width * self.d_sae + PER_STEP  # the optimiser
        reading = 2 * PER_FLOP * self.model.n_params * self.spec.batch
        return len(self.trainers) * one + (0 if self.store.stays else reading)


def start_path(spec: Any) -> str:
    """The file that a run starts from, for an error."""
    return spec.start.where or spec.start.name if spec.start is not None else ""

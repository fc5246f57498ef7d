"""Running: toy SAEs in training, and what is measured of them at every record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import RunError
from engine.sae import matching
from engine.sae.concepts import NAMES, Array
from engine.sae.matching import DEAD, DUPLICATE, MIXED
from engine.sae.toy_training import HELD_OUT, WIDTH, Bench, encode
from engine.technique import Update

__all__ = ["METRICS", "Running"]

METRICS = (
    "MMCS", "found", "F1", "F1 at h > 0", "L0", "duplicates", "mixed", "dead",
    "explained variance",
)  # fmt: skip
SHOWN = 300  # samples in the result, per instance
UPDATE = 0.015  # seconds of work between two updates: a window asks 30 times a second
PER_STEP, PER_NUMBER = 1e-4, 6e-9  # seconds; sizes decide, never a clock
PER_SCORE = 2.5e-8  # seconds of an activation that is scored


def _on() -> None:
    """Where nobody may stop: a snapshot is also taken after a Stop."""


@dataclass(frozen=True)
class _Record:
    """What is kept of one moment: scores of every instance, and the weights of instance 0."""

    step: int
    sparsity: float
    metrics: Array  # [metric, instance]
    weights: dict[str, Array]
    role: Array  # [latent]
    matched: Array  # [concept]


class Running:
    """The bench of a spec, the scores of its SAEs, and the history."""

    def __init__(self, spec: Any, result: type, listen: Callable[[], None] | None) -> None:
        self.result, self.listen = result, listen or (lambda: None)
        self.listen()
        self.bench = Bench(
            kind=spec.directions, concepts=spec.n_concepts, density=spec.density,
            samples=spec.n_samples, latents=spec.n_latents, architecture=spec.architecture,
            norm=spec.norm, sparsity=spec.sparsity, k=spec.k, bandwidth=spec.bandwidth,
            b_dec=spec.b_dec, batch=spec.batch, lr=spec.lr, steps=spec.n_steps,
            schedule=spec.schedule, optimizer=spec.optimizer, resample_every=spec.resample_every,
            seed=spec.seed, instances=spec.instances, listen=self.listen,
        )  # fmt: skip
        self.seeds = np.arange(spec.seed, spec.seed + spec.instances)  # [instance]
        self.history: list[_Record] = []
        self.scored: tuple[int, dict[str, Array]] | None = None
        self.due = 0
        self.record(spec)

    @property
    def step(self) -> int:
        return self.bench.step

    def change(self, spec: Any) -> None:
        """Go on as `spec` says."""
        self.bench.change(sparsity=spec.sparsity, lr=spec.lr, steps=spec.n_steps)
        if self.history[-1].step < self.step:
            self.record(spec)

    def advance(self, spec: Any) -> None:
        """Train until the next update; RunError where the weights run away."""
        bench, spent = self.bench, 0.0
        end = min(self.step + spec.pace if spec.pace else spec.n_steps, spec.n_steps)
        numbers = spec.instances * spec.n_latents
        per_step = PER_STEP + PER_NUMBER * numbers * spec.batch
        per_record = PER_SCORE * numbers * HELD_OUT
        room = max(UPDATE, per_record)  # whoever looks pays for scores: at most half of the time
        while self.step < end and (spec.pace or spent < room):
            n = min(self.due, end) - self.step
            if not spec.pace:
                n = min(n, max(1, int((room - spent) / per_step)))
            n = min(n, max(1, int(UPDATE / per_step)))  # and Stop is heard in between
            bench.advance(n)
            spent += n * per_step
            self.listen()
            if not bench.sound:
                raise RunError(
                    f"the weights grow without bound at step {self.step}; lower lr, now {spec.lr:g}"
                )
            if self.step in (self.due, spec.n_steps):
                self.record(spec)
                spent += per_record

    # --- measuring ------------------------------------------------------------------------------

    def record(self, spec: Any) -> None:
        """Score every SAE as it is now, and note it in the history."""
        weights = self._weights()
        found = self._scores(spec, self.step, weights, self.listen)
        self.history.append(
            _Record(self.step, self.bench.sparsity, found["metrics"],
                    {name: value[0] for name, value in weights.items()}, found["role"][0],
                    found["matched"][0])
        )  # fmt: skip
        every = max(1, spec.n_steps // max(1, spec.record - 1))
        self.due = self.step - self.step % every + every

    def _weights(self) -> dict[str, Array]:
        """Fresh copies with an instance axis, in SAELens' orientation."""
        bench = self.bench
        return {
            "W_enc": bench.encoder[:, :, :WIDTH].transpose(0, 2, 1).copy(),
            "b_enc": bench.encoder[:, :, WIDTH].copy(), "W_dec": bench.W_dec.copy(),
            "b_dec": bench.b_dec.copy(), "threshold": bench.threshold.copy(),
        }  # fmt: skip

    def _scores(
        self, spec: Any, step: int, weights: dict[str, Array], listen: Callable[[], None]
    ) -> dict[str, Array]:
        """Fields of the result that are measured, of the weights of a step."""
        if self.scored is not None and self.scored[0] == step:
            return self.scored[1]
        bench = self.bench
        each, shown = [], []
        for at in range(len(self.seeds)):
            listen()
            x, W_dec = bench.held[at], weights["W_dec"][at]  # [xyz, sample], [latent, xyz]
            f = encode(spec.architecture, spec.k, weights, x, at)  # [latent, sample]
            x_hat = W_dec.T @ f + weights["b_dec"][at][:, None]  # [xyz, sample]
            shown.append(f[:, :SHOWN])
            each.append(matching.score(W_dec, bench.true[at], f, bench.amounts[at], x, x_hat))
        metrics = np.array([
            [s.mmcs, s.found, s.f1.mean(), s.f1_zero.mean(), s.l0, (s.role == DUPLICATE).sum(),
             (s.role == MIXED).sum(), (s.role == DEAD).sum(), s.explained]
            for s in each
        ]).T  # fmt: skip # [metric, instance]
        found = {
            name: np.stack([getattr(s, name) for s in each])
            for name in ("cosine", "role", "density", "matched", "f1", "f1_zero")
        }
        found |= {"f1_threshold": np.stack([s.threshold for s in each])}
        found |= {"metrics": metrics, "sample_f": np.stack(shown)}
        self.scored = step, found
        return found

    # --- giving ---------------------------------------------------------------------------------

    def update(self, spec: Any) -> Update:
        """The SAEs as they are now, copied: the bench goes on in place."""
        weights, step, history = self._weights(), self.step, tuple(self.history)

        def snapshot() -> Any:
            return self._result(spec, step, weights, history)

        last = dict(zip(METRICS, history[-1].metrics[:, 0].tolist(), strict=True))
        metrics = {"MMCS": last["MMCS"], "F1": last["F1"], "L0": last["L0"]}
        return Update(step, spec.n_steps, snapshot, metrics)

    def _result(
        self, spec: Any, step: int, weights: dict[str, Array], history: tuple[_Record, ...]
    ) -> Any:
        bench, scores = self.bench, self._scores(spec, step, weights, _on)
        past = {
            f"history_{name}": np.stack([record.weights[name] for record in history])
            for name in weights
        }
        return self.result(
            step=step, architecture=spec.architecture, k=spec.k,
            names=NAMES[: spec.n_concepts], metric_names=METRICS, sae_seed=self.seeds.copy(),
            directions=bench.true.copy(), true_l0=(bench.amounts > 0).sum(axis=1).mean(axis=1),
            chance=matching.by_chance(spec.n_latents),
            sample_x=bench.held[:, :, :SHOWN].copy(),
            sample_amount=bench.amounts[:, :, :SHOWN].copy(),
            history_step=np.array([record.step for record in history]),
            history_sparsity=np.array([record.sparsity for record in history]),
            history=np.stack([record.metrics for record in history], axis=1),
            history_role=np.stack([record.role for record in history]),
            history_matched=np.stack([record.matched for record in history]),
            **{name: value.copy() for name, value in (weights | scores).items()}, **past,
        )  # fmt: skip

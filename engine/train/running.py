"""Running: a TrainTransformer on its way: task, network, optimiser, records and checkpoints.

What happens at a step depends on the step and the spec alone, never on a clock or on where the run
began: so a run that starts from a checkpoint makes the same updates, records and checkpoints at the
same steps, and live changes replay on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import RunError, SpecError
from engine.technique import Artifact, Update
from engine.train import memory, work
from engine.train.architecture import fresh
from engine.train.checkpoint import KIND, Checkpoint, config_for, file_name
from engine.train.cycle import WORDS
from engine.train.network import Look, Network
from engine.train.optimiser import AdamW, rate
from engine.train.parameters import weights_of
from engine.train.recording import Marks, Recording
from engine.train.tasks import Task, task_of

__all__ = ["MAY_DIFFER", "Running", "check_sizes"]

Array = npt.NDArray[Any]

LEARNED = {"induction": "second_half", "addition": "test_loss", "sorting": "sorted_loss",
           "cycle": "train_loss"}  # fmt: skip
"""Task -> the curve that falls when it is learned; of others the first one."""
MAY_DIFFER = (
    "start", "period", "period_low", "period_high", "lr", "weight_decay", "schedule", "warm_up",
    "beta1", "beta2", "clip", "batch", "n_steps", "checkpoint_every", "pace",
)  # fmt: skip
"""Fields in which a run may differ from the checkpoint that it starts from."""
_ABLATED = 0.1  # seconds of work that all ablations of a checkpoint may take; else they are left


class Running:
    """The state between two updates."""

    def __init__(
        self, spec: Any, result: Callable[..., Any], watch: Callable[[], object] | None = None
    ) -> None:
        self.listen = watch or (lambda: None)  # raises after Stop: between any two pieces of work
        start = Checkpoint.load(spec.start) if spec.start is not None else None
        if start is not None:
            _agree(spec, start)
        self.spec, self.seen, self.result = spec, spec, result
        self.changes: list[tuple[int, dict[str, Any]]] = []
        self.task: Task = task_of(spec, watch)
        self.sizes = (self.task.n_ctx, self.task.d_vocab, self.task.d_vocab_out)
        self.rng = np.random.Generator(np.random.PCG64([spec.seed, 1]))
        cfg = config_for(spec, self.sizes)
        batch = len(self.task.batch(self.rng, 0)[0]) if self.task.full_batch else spec.batch
        self._check(spec, batch)
        memory.check(cfg, batch, self.task)
        if start is None:
            weights = fresh(cfg, np.random.default_rng([spec.seed, 0]), np.float32, spec.biases)
        else:
            if start.sizes != self.sizes:
                raise RunError(f"the checkpoint's model reads {start.sizes} (context, words in, "
                               f"words out), this data makes {self.sizes}")  # fmt: skip
            weights = weights_of(cfg, start.weights)
        self.listen()
        self.network = Network(cfg, weights, batch, self.task.n_ctx, self.listen)
        parameters = self.network.parameters
        self.optimiser = AdamW(parameters, (spec.beta1, spec.beta2), weight_decay=spec.weight_decay)
        scores = (len(self.task.score_names), cfg.n_layers, cfg.n_heads)
        self.recording = Recording(spec.score_every, len(self.task.measures), scores)
        self.marks = Marks()
        self.step, self.losses, self.artifacts = 0, (0.0, 0), ()
        self.seconds = work.step(cfg, batch, self.task.n_ctx, self._scored())
        self.listen()
        if start is None:
            self._record(spec, self._first_loss())
        else:
            self._restore(start)
        self._keep(spec)

    # --- on the way ------------------------------------------------------------------------------

    def advance(self, spec: Any) -> None:
        """Train until the next update; RunError where the numbers are none any more."""
        self._obey(spec)
        network, optimiser, parameters = self.network, self.optimiser, self.network.parameters
        end = self._next(spec)
        self.artifacts = ()
        while self.step < end:
            self.listen()
            tokens, targets = self.task.batch(self.rng, spec.batch)
            loss = network.loss_and_gradients(tokens, targets)
            lr = rate(spec.lr, spec.schedule, spec.warm_up, spec.n_steps, self.step)
            norm = optimiser.step(lr, spec.clip)
            self.step += 1
            if not (math.isfinite(loss) and math.isfinite(norm)):
                self._stop(spec)
            self.losses = (self.losses[0] + loss, self.losses[1] + 1)
            if self.step % self.recording.stride == 0:
                self._record(spec, self.losses[0] / self.losses[1])
                self.losses = (0.0, 0)
        if not np.isfinite(parameters.flat).all():
            self._stop(spec)
        if self.step % spec.checkpoint_every == 0 or self.step >= spec.n_steps:
            self._keep(spec)

    def update(self, spec: Any) -> Update:
        """The state as it is now, copied: training goes on in place."""
        task, words = self.task, self.task.words
        shown = self._shown()
        values = {
            "step": self.step, "task": task.name, "prompt": np.array(task.prompt),
            "words": tuple(words[token] for token in task.prompt),
            "weights": self.network.parameters.flat.copy(),
            "chance_loss": math.log(task.d_vocab_out), "curve_names": tuple(task.measures),
            "score_names": tuple(task.score_names), "score_null": np.array(task.score_null, float),
            "pattern": shown, **self.recording.fields(), **self.marks.fields(),
        }  # fmt: skip
        return Update(
            self.step, spec.n_steps, lambda: self.result(**values), self._metrics(values),
            artifacts=self.artifacts,
        )  # fmt: skip

    def _metrics(self, values: dict[str, Any]) -> dict[str, float]:
        """The newest record in numbers: the training loss, each curve, the best head of a score."""
        if not len(values["history_step"]):
            return {}
        found = {"training_loss": float(values["history_loss"][-1])}
        last = (float(curve[-1]) for curve in values["curves"])
        found |= dict(zip(values["curve_names"], last, strict=True))
        best = (float(score[-1].max()) for score in values["scores"])
        found |= dict(zip(values["score_names"], best, strict=True))
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _next(self, spec: Any) -> int:
        """The step of the next update: by work or `pace`, never past a checkpoint or the end."""
        every = spec.pace or max(1, int(work.UPDATE / self.seconds))
        due = (self.step // every + 1) * every
        kept = (self.step // spec.checkpoint_every + 1) * spec.checkpoint_every
        return min(due, kept, max(spec.n_steps, self.step + 1))

    def _obey(self, spec: Any) -> None:
        """Take live changes over, and note them for checkpoints."""
        if spec is self.seen:
            return
        both = ((item.name, getattr(self.seen, item.name), getattr(spec, item.name))
                for item in fields(spec))  # fmt: skip
        change = {name: new for name, old, new in both if new != old}
        self.seen = spec
        if change:
            self.changes.append((self.step, change))
        self.optimiser.weight_decay = spec.weight_decay

    def _stop(self, spec: Any) -> None:
        raise RunError(f"loss is NaN at step {self.step}; lower lr, now {spec.lr:g}")

    # --- what is written down --------------------------------------------------------------------

    def _first_loss(self) -> float:
        """Training loss before the first step, on a batch of its own generator."""
        rng = np.random.Generator(np.random.PCG64([self.spec.seed, 1]))
        tokens, targets = self.task.batch(rng, self.spec.batch)
        return self.network.loss_and_gradients(tokens, targets)

    def _look(self) -> Look:
        patterns = bool(self.task.score_names)
        return self.network.look(self.task.held_out, patterns, self._first())

    def _record(self, spec: Any, loss: float) -> None:
        self.listen()
        task, look = self.task, self._look()
        measured, scored = task.measure(look, self.network), task.head_scores(look)
        curves = np.array([measured[name] for name in task.measures])  # [curve]
        shape = (len(task.score_names), spec.n_layers, spec.n_heads)
        scores = np.array([scored[name] for name in task.score_names]).reshape(shape)
        lr = rate(spec.lr, spec.schedule, spec.warm_up, spec.n_steps, max(0, self.step - 1))
        self.recording.keep(self.step, loss, lr, curves, scores)

    def _shown(self) -> Array:
        """Patterns on the fixed prompt [layer, head, query, key]."""
        patterns = self.network.look(self.task.prompt[None], patterns=True).patterns
        assert patterns is not None
        return patterns[:, 0]

    def _keep(self, spec: Any) -> None:
        """What this checkpoint shows, and the checkpoint itself for who keeps such."""
        self.listen()
        task, look = self.task, self.network.look(self.task.held_out, first=self._first())
        losses = task.position_loss(look)
        self.listen()
        name = LEARNED.get(task.name, task.measures[0])
        self.marks.keep({
            "checkpoint_step": np.int64(self.step),
            "checkpoint_pattern": self._shown().astype(np.float16),
            "checkpoint_position_loss": np.asarray(losses, np.float64),
            "checkpoint_spectrum": np.asarray(task.spectrum(self.network), np.float64),
            "checkpoint_loss": np.float64(task.measure(look, self.network)[name]),
            "checkpoint_ablated": self._ablated(name),
        })  # fmt: skip
        taken = self.checkpoint()

        def write(folder: Any) -> Any:
            return taken.save(folder / file_name(taken.step))

        self.artifacts = (Artifact(KIND, file_name(self.step), self.step, write),)

    def show(self, checkpoint: Checkpoint) -> None:
        """Keep what another checkpoint of this training shows, from its weights."""
        self.step = checkpoint.step
        self.network.parameters.flat[...] = checkpoint.weights
        self._keep(self.spec)

    def _ablated(self, name: str) -> Array:
        """[layer, head]: that curve with the head's output 0; NaN where it would take too long."""
        cfg, tokens = self.network.cfg, self.task.held_out
        found = np.full((cfg.n_layers, cfg.n_heads), np.nan)
        seconds = work.forward(cfg, len(tokens), tokens.shape[1], tokens.shape[1])
        if seconds * found.size <= _ABLATED:
            for layer, head in np.ndindex(found.shape):
                self.listen()
                logits = self.network.ablated(tokens, layer, head, self._first())
                found[layer, head] = self.task.measure(Look(logits), self.network)[name]
        return found

    def checkpoint(self) -> Checkpoint:
        """All that it takes to go on from here, copied."""
        m, v, _ = self.optimiser.state
        return Checkpoint(
            spec=self.spec, step=self.step, weights=self.network.parameters.flat.copy(),
            moment1=m.copy(), moment2=v.copy(), rng=self.rng.bit_generator.state,
            rows=self.recording.rows(), stride=self.recording.stride, since=self.losses,
            sizes=self.sizes, words=tuple(self.task.words), tokenizer=self.task.tokenizer,
            changes=tuple(self.changes),
        )  # fmt: skip

    def _restore(self, start: Checkpoint) -> None:
        rows = start.rows
        if rows["curves"].shape[1] != len(self.task.measures) or (
            rows["scores"].shape[1] != len(self.task.score_names)
        ):
            raise SpecError("start", "its records are of other measures than this task has")
        try:
            self.rng.bit_generator.state = start.rng
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise RunError(f"the checkpoint's generator is not one ({error})") from None
        self.optimiser.restore(start.moment1, start.moment2, start.step)
        self.recording.restore(start.stride, rows)
        self.step, self.losses = start.step, start.since

    # --- limits ----------------------------------------------------------------------------------

    def _first(self) -> int:
        """The first position at which held-out logits are wanted, if the rest is up to the end."""
        scored = self.task.scored
        places = range(self.task.n_ctx) if scored is None else range(self.task.n_ctx)[scored]
        return places[0] if places[-1] == self.task.n_ctx - 1 else 0

    def _scored(self) -> int:
        """Positions of a prompt at which there are logits."""
        scored = self.task.scored
        return self.task.n_ctx if scored is None else len(range(self.task.n_ctx)[scored])

    def _check(self, spec: Any, batch: int) -> None:
        """SpecError where a step takes too long: once more, now that the data are known."""
        field = "modulus" if self.task.full_batch else "batch"
        work.check(config_for(spec, self.sizes), batch, self.task.n_ctx, self._scored(), field)


def check_sizes(spec: Any) -> None:
    """SpecError where the sizes do not go together, or a step takes too long. Reads no file."""
    batch, n_pos, scored, field = spec.batch, spec.n_ctx, spec.n_ctx, "batch"
    sizes = (n_pos, spec.d_vocab, spec.d_vocab)
    if spec.task == "addition":
        batch, n_pos, scored, field = round(spec.train_fraction * spec.modulus**2), 3, 1, "modulus"
        sizes = (n_pos, spec.modulus + 1, spec.modulus)
    elif spec.task == "sorting":
        n_pos, scored = 2 * spec.list_length + 1, spec.list_length
        sizes = (n_pos, spec.d_vocab, spec.d_vocab)
    elif spec.task == "cycle":
        batch = n_pos = scored = len(WORDS)
        sizes = (n_pos, n_pos, n_pos)
    work.check(config_for(spec, sizes), batch, n_pos, scored, field)


def _agree(spec: Any, start: Checkpoint) -> None:
    """SpecError where this run cannot go on from the checkpoint."""
    was: Any = start.spec
    for item in fields(spec):
        mine, its = getattr(spec, item.name), getattr(was, item.name)
        if item.name not in MAY_DIFFER and mine != its:
            raise SpecError(
                item.name, f"{mine!r} is not the checkpoint's {its!r}: set it so, or start anew"
            )
    if spec.n_steps < start.step:
        raise SpecError(
            "n_steps", f"{spec.n_steps:,} is below {start.step:,}, the checkpoint's step; raise it"
        )

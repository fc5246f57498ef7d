"""Running: a TunedLens on its way: its text, its translators, and how far they are.

What happens at a step depends on the step and the spec alone, never on a clock, so that live
changes replay to the same bits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import RunError, SpecError
from engine.lens import tuned
from engine.lens.text import prompts
from engine.lens.training import Optimiser, Translating
from engine.model.weights import Array, Ids
from engine.refs import Ref
from engine.technique import Artifact

UPDATE = 0.03  # seconds of work between two updates
PER_FLOP, PER_STEP = 1e-11, 5e-4  # seconds, of one ordinary core
CHECKS = 10  # times that held-out text is read on the way
MOST_HELD_OUT = 4  # batches of it, evenly from all there is: reading costs half of training
TOGETHER = 2048  # tokens whose streams are in memory at once
MOST_RECORDS = 1000


class Running:
    """The state between two updates; `step` steps are made."""

    def __init__(self, spec: Any, model: Any) -> None:
        cfg = model.config
        self.model, self.step, self.kind = model, 0, spec.optimizer
        self.layers = _layers(spec, model)
        context = min(spec.context, cfg.n_ctx, spec.batch)
        rows, self.source = prompts(model, spec.data, spec.n_tokens, context)
        n_held = min(len(rows) - 1, max(1, round(spec.held_out * len(rows))))
        self.text, rest = rows[:-n_held], rows[-n_held:]  # [prompt, pos]
        self.together = max(1, spec.batch // context)  # prompts of a step
        some = min(n_held, MOST_HELD_OUT * self.together)
        self.held_out = rest[np.linspace(0, n_held - 1, some).astype(int)]  # [prompt, pos]
        self.rng = np.random.default_rng(spec.seed)
        self.queue: Ids = np.zeros(0, np.int64)
        self.lens = Translating(model, len(self.layers))
        self.optimiser = Optimiser(spec.optimizer, self.lens)
        words = 4 * cfg.d_model * cfg.d_vocab_out  # there and back
        square = 4 * cfg.d_model**2
        tokens = self.together * context
        flops = tokens * (len(self.layers) + 1) * (words + square + 24 * cfg.d_model**2)
        self.every = max(1, int(UPDATE / (PER_STEP + PER_FLOP * flops)))  # steps
        self.records: list[tuple[int, Array]] = []
        self.stride, self.since = 1, []
        self.trained = 0
        self.lens_kl = self._measure()  # [layer]: translators are 0 yet
        self.held_out_kl, self.held_out_step = self.lens_kl, 0

    def advance(self, spec: Any) -> None:
        """Train until the next update; RunError where the numbers are none any more."""
        check = max(1, spec.n_steps // CHECKS)
        end = min(self.step + self.every, (self.step // check + 1) * check)
        end = min(end, max(spec.n_steps, self.step + 1))
        while self.step < end:
            kl = self._gradients()  # [layer], mean over tokens
            left = max(0.0, 1 - self.step / spec.n_steps)
            norm = self.optimiser.step(spec.lr * left, spec.weight_decay, spec.clip)
            if not (np.isfinite(kl).all() and np.isfinite(norm)):
                what = "KL" if np.isfinite(norm) else "gradient"
                raise RunError(
                    f"the {what} is not finite at step {self.step}; lower lr, now {spec.lr:g}"
                )
            self.step += 1
            self._record(kl)
        if self.step % check == 0 or self.step >= spec.n_steps:
            self.held_out_kl, self.held_out_step = self._measure(), self.step

    def _gradients(self) -> Array:
        """Add the gradients of the next batch to the translators'; its mean KL [layer]."""
        if len(self.queue) < self.together:
            self.queue = np.concatenate([self.queue, self.rng.permutation(len(self.text))])
            # a text shorter than a batch is read more than once in a step
            while len(self.queue) < self.together:
                more = self.rng.permutation(len(self.text))
                self.queue = np.concatenate([self.queue, more])
        chosen, self.queue = self.queue[: self.together], self.queue[self.together :]
        batch = self.text[chosen]  # [prompt, pos]
        self.trained += batch.size
        return self._read(batch, 1.0 / batch.size)

    def _measure(self) -> Array:
        """Mean KL [layer] on the held-out text."""
        return self._read(self.held_out, 0.0)

    def _read(self, rows: Ids, share: float) -> Array:
        total = np.zeros(len(self.layers))  # [layer]
        some = max(1, TOGETHER // rows.shape[1])
        for first in range(0, len(rows), some):
            streams, final = self._streams(rows[first : first + some])
            total += self.lens.kl(streams, final, share)
        return total / rows.size

    def _streams(self, rows: Ids) -> tuple[Array, Array]:
        """What each translator reads [layer, row, d_model], and the last stream [row, d_model]."""
        names = [f"blocks.{layer}.hook_resid_pre" for layer in self.layers]
        last = f"blocks.{self.model.config.n_layers - 1}.hook_resid_post"
        run = self.model.forward(rows, names=[*names, last], logits="none")
        flat = [run.cache[name].reshape(rows.size, -1) for name in (*names, last)]
        return np.stack(flat[:-1]), flat[-1]

    # --- what is handed out ----------------------------------------------------------------------

    def _record(self, kl: Array) -> None:
        self.since.append(kl)
        if len(self.since) < self.stride:
            return
        self.records.append((self.step, np.mean(self.since, axis=0)))
        self.since = []
        if len(self.records) > MOST_RECORDS:  # every two become one
            pairs = zip(self.records[::2], self.records[1::2], strict=False)
            self.records = [(later, (a + b) / 2) for (_, a), (later, b) in pairs]
            self.stride *= 2

    def metrics(self) -> dict[str, float]:
        """KL on the last step's text and on held-out text, mean over layers."""
        found = {"held_out_kl": float(self.held_out_kl.mean())}
        if self.records:
            found["kl"] = float(self.records[-1][1].mean())
        return found

    def values(self) -> dict[str, Any]:
        """The result's fields, copied: training goes on in place."""
        curve = [kl for _, kl in self.records]
        return {
            "step": self.step, "source": self.source, "layers": np.array(self.layers),
            "W": self.lens.W.astype(np.float32), "b": self.lens.b.astype(np.float32),
            "history_step": np.array([step for step, _ in self.records], np.int64),
            "history_kl": np.array(curve).reshape(len(curve), len(self.layers)),
            "held_out_step": self.held_out_step, "held_out_kl": self.held_out_kl.copy(),
            "lens_kl": self.lens_kl.copy(), "n_trained": self.trained,
            "n_text": int(self.text.size), "n_held_out": int(self.held_out.size),
            "model_name": self.model.name, "model_digest": self.model.digest,
        }  # fmt: skip

    def artifacts(self, spec: Any) -> tuple[Artifact, ...]:
        """The lens as a folder, once it is done."""
        if self.step < spec.n_steps or not self.step:
            return ()
        lens = tuned.Translators(self.layers, self.lens.W, self.lens.b)
        name = f"tuned-lens-step-{self.step:06d}"

        def write(folder: Path) -> Ref:
            return tuned.save(folder / name, lens, self.model)

        return (Artifact(tuned.KIND, name, self.step, write),)


def _layers(spec: Any, model: Any) -> tuple[int, ...]:
    cfg = model.config
    layers = spec.layers or tuple(range(cfg.n_layers))
    if max(layers) >= cfg.n_layers:
        raise SpecError(
            "layers", f"{max(layers)} is above {cfg.n_layers - 1}: {model.name} has "
            f"{cfg.n_layers} layers, whose inputs are 0 to {cfg.n_layers - 1}"
        )  # fmt: skip
    if len(set(layers)) < len(layers):
        raise SpecError("layers", f"{list(layers)} names a layer twice")
    size = 4 * len(layers) * (cfg.d_model**2 + cfg.d_model)
    if size > tuned.LIMIT:
        most = tuned.LIMIT // (4 * (cfg.d_model**2 + cfg.d_model))
        way = f"choose at most {most} `layers`" if most else "the model is too wide"
        raise RunError(
            f"translators of {len(layers)} layers of width {cfg.d_model:,} take "
            f"{size / 2**30:.1f} GB, the limit is 1 GB: {way}"
        )
    return tuple(sorted(layers))

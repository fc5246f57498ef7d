"""A training step of a tuned lens against torch, at the size of a small GPT-2, on this machine.

    python tests/benchmarks/tuned_lens.py [--quick] [--ours-only]

12 layers of width 768, LayerNorm, 50,257 words; streams of a random walk through the layers stand
for a model's, so that only the lens is timed. Ours: `Translating.kl` and `Optimiser`. Torch: the
same translators, autograd layer by layer as the authors train, log_softmax, clip_grad_norm_, SGD
with Nesterov's momentum; the final layer's log probabilities once a step. First both train 100
steps from the same data on 4,096 words and must have the same loss. Interleaved, medians, the
better thread count of torch. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the checkout itself, where it is not installed

from engine import blas  # noqa: E402
from engine.lens.training import Optimiser, Translating  # noqa: E402
from engine.model.weights import Norm  # noqa: E402

LAYERS, D, WORDS = 12, 768, 50_257
CHECKED_WORDS, CHECKED_STEPS, CHECKED_TOKENS = 4096, 100, 32
TOKENS = 128  # in a timed step
LOSS, TIMES_FASTER = 1e-4, 1.0
DECAY, CLIP, MOMENTUM, RATE, EPS = 1e-3, 1.0, 0.9, 0.1, 1e-5


def model(words: int) -> Any:
    """Final norm and unembedding, stored as GPT-2 stores them: [word, d_model]."""
    rng = np.random.default_rng(0)
    W = (0.1 * rng.standard_normal((words, D))).astype(np.float32)  # [word, d_model]
    norm = Norm((1 + 0.1 * rng.standard_normal(D)).astype(np.float32),
                (0.1 * rng.standard_normal(D)).astype(np.float32))  # fmt: skip
    return SimpleNamespace(
        weights=SimpleNamespace(W_U=W.T, b_U=None, ln_final=norm), listen=lambda: None,
        config=SimpleNamespace(d_model=D, eps=EPS, is_rms=lambda at: False),
    )  # fmt: skip


def streams(step: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """[layer, row, d_model] and the final one [row, d_model]: each layer adds to the one before.

    Half of what a layer adds is the same for every row, so that there is something to learn.
    """
    rng = np.random.default_rng([1, step])
    same = np.random.default_rng(2).standard_normal((LAYERS + 1, 1, D), dtype=np.float32)
    own = rng.standard_normal((LAYERS + 1, tokens, D), dtype=np.float32)
    walk = (own + same).cumsum(axis=0)  # [layer, row, d_model]
    return walk[:-1], walk[-1]


class Ours:
    def __init__(self, words: int, steps: int) -> None:
        self.lens, self.made, self.steps = Translating(model(words), LAYERS), 0, steps
        self.optimiser = Optimiser("sgd", self.lens)

    def step(self, h: np.ndarray, final: np.ndarray) -> float:
        """One step; the loss before it, mean over tokens, summed over layers."""
        kl = self.lens.kl(h, final, share=1 / len(final)) / len(final)
        self.optimiser.step(1 - self.made / self.steps, DECAY, CLIP)
        self.made += 1
        return float(kl.sum())


class Torch:
    def __init__(self, words: int, steps: int) -> None:
        import torch

        self.torch, about = torch, model(words).weights
        self.W_U = torch.from_numpy(np.ascontiguousarray(about.W_U.T))  # [word, d_model]
        self.gain, self.bias = (torch.from_numpy(x) for x in (about.ln_final.w, about.ln_final.b))
        self.lens = torch.nn.ModuleList(torch.nn.Linear(D, D) for _ in range(LAYERS))
        for parameter in self.lens.parameters():
            torch.nn.init.zeros_(parameter)
        self.optimiser = torch.optim.SGD(
            self.lens.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda made: max(0.0, 1 - made / steps)
        )

    def log_probabilities(self, h: Any) -> Any:
        functional = self.torch.nn.functional
        y = functional.layer_norm(h, (D,), self.gain, self.bias, EPS)
        return functional.linear(y, self.W_U).log_softmax(-1)

    def step(self, h: np.ndarray, final: np.ndarray) -> float:
        torch, total = self.torch, 0.0
        with torch.no_grad():
            wanted = self.log_probabilities(torch.from_numpy(final))  # [row, word]
            sure = wanted.exp()
        for layer, translator in enumerate(self.lens):
            stream = torch.from_numpy(h[layer])
            said = self.log_probabilities(stream + translator(stream))
            loss = (sure * (wanted - said)).sum(-1).mean()
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(self.lens.parameters(), CLIP)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad(set_to_none=False)
        return total


def agreement(torch_too: bool) -> bool:
    """Both from the same start and data: the loss of the last step, and the first."""
    sides = [Ours(CHECKED_WORDS, CHECKED_STEPS)]
    sides += [Torch(CHECKED_WORDS, CHECKED_STEPS)] if torch_too else []  # pyright: ignore[reportAssignmentType]
    losses = []
    for step in range(CHECKED_STEPS):
        data = streams(step, CHECKED_TOKENS)
        losses.append([side.step(*data) for side in sides])
    first, last = losses[0], losses[-1]
    print(f"loss over {LAYERS} layers: {first[0]:.3f} -> {last[0]:.3f} in {CHECKED_STEPS} steps")
    if not torch_too:
        return True
    apart = max(abs(a - b) for a, b in losses)
    print(f"largest difference to torch in {CHECKED_STEPS} steps: {apart:.1e} (goal {LOSS:.0e})")
    return apart <= LOSS


def timing(rounds: int, torch_too: bool) -> bool:
    data = streams(0, TOKENS)
    with blas.limit("all"):
        ours = Ours(WORDS, 1000)
        ours.step(*data)
    seconds: dict[str, list[float]] = {"ours": []}
    peers: dict[str, tuple[int, Any]] = {}
    if torch_too:
        import torch

        one = Torch(WORDS, 1000)
        for threads in sorted({1, blas.cores()}):
            name = f"torch, {threads} thread{'s' * (threads > 1)}"
            peers[name], seconds[name] = (threads, one), []
        torch.set_num_threads(blas.cores())
        one.step(*data)
    for _ in range(rounds):
        with blas.limit("all"):
            started = time.perf_counter()
            ours.step(*data)
            seconds["ours"].append(time.perf_counter() - started)
        for name, (threads, side) in peers.items():
            torch.set_num_threads(threads)
            started = time.perf_counter()
            side.step(*data)
            seconds[name].append(time.perf_counter() - started)
    flops = 4.0 * (LAYERS + 1) * TOKENS * D * WORDS + 4.0 * LAYERS * TOKENS * D * D
    best = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in best.items():
        print(f"{name}: {value:.2f} s a step of {TOKENS} tokens, {flops / value / 1e9:.0f} GFLOP/s")
    if not torch_too:
        return True
    ratio = min(value for name, value in best.items() if name != "ours") / best["ours"]
    print(f"times faster than torch: {ratio:.2f} (goal {TIMES_FASTER})")
    return ratio >= TIMES_FASTER


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds instead of seven")
    parser.add_argument("--ours-only", action="store_true", help="without torch")
    chosen = parser.parse_args()
    print(f"{blas.cores()} cores, load {os.getloadavg()[0]:.1f}")
    good = agreement(not chosen.ours_only)
    good &= timing(3 if chosen.quick else 7, not chosen.ours_only)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

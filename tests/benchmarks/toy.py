"""Toy models: how fast they train live, and many together against torch, on this machine.

    python tests/benchmarks/toy.py [--quick] [--live-only]

Live: one model through the technique's own generator, a snapshot taken about 30 times a second.
Together: instances trained at once by `Trainer` (one BLAS thread) against the same training written
in torch: tied weights, the same batch, Adam with the same falling rate, and conditional sampling of
the same distribution; batched matrix products, autograd, `torch.optim.Adam`, the best of its thread
counts and of its two formulas. Interleaved, medians. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the checkout itself, where it is not installed

from engine import blas  # noqa: E402
from engine.techniques.toy_model import ToyModel  # noqa: E402
from engine.toy.training import Trainer  # noqa: E402

LIVE = {64: 5000, 1024: 2000}  # batch -> least steps per second
TIMES_FASTER = 3.0
FRAME = 1 / 30  # seconds
CASES = {
    "ladder: 80 of n=8, m=2, batch 512": (80, 8, 2, 512),
    "phase diagram: 720 of n=2, m=1, batch 128": (720, 2, 1, 128),
    "phase diagram: 720 of n=3, m=2, batch 128": (720, 3, 2, 128),
    "20 of n=20, m=5, batch 256": (20, 20, 5, 256),
    "4 of n=80, m=20, batch 256": (4, 80, 20, 256),
}


def live(batch: int, seconds: float) -> float:
    """Steps per second of one model while somebody looks."""
    spec = ToyModel(batch=batch, n_steps=1_000_000, density=0.1)
    with blas.limit(spec.blas):
        generator = spec.steps(None)
        for _ in range(20):
            update = next(generator)
        begun, shown, first = time.perf_counter(), 0.0, update.step
        while (now := time.perf_counter()) - begun < seconds:
            update = next(generator)
            if now - shown > FRAME:
                update.snapshot()
                shown = now
        generator.close()
    return (update.step - first) / (now - begun)


def densities(count: int) -> np.ndarray:
    return np.geomspace(0.9, 0.03, count)  # [instance]


def ours(count: int, n: int, m: int, batch: int) -> Callable[[int], None]:
    trainer = Trainer(
        n_features=n, d_hidden=m, density=densities(count), importance=0.9 ** np.arange(n),
        batch=batch, steps=1_000_000,
    )  # fmt: skip

    def go(steps: int) -> None:
        with blas.limit("one"):
            trainer.advance(steps)

    return go


def theirs(count: int, n: int, m: int, batch: int, gram: bool, torch: Any) -> Callable[[int], None]:
    """The same training in torch. Conditional samples: the first active feature by inversion."""
    torch.manual_seed(0)
    p = torch.tensor(densities(count), dtype=torch.float32)[:, None, None]
    importance = torch.tensor(0.9 ** np.arange(n), dtype=torch.float32)
    empty = (1 - p) ** n  # [instance, 1, 1]
    some, per_log = 1 - empty, 1 / torch.log1p(-p)
    ordinal = torch.arange(n, dtype=torch.float32)
    W = (torch.randn(count, m, n) * (2 / (n + m)) ** 0.5).requires_grad_()
    b = torch.zeros(count, 1, n, requires_grad=True)
    adam = torch.optim.Adam([W, b], lr=0.01, foreach=True)
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / 1_000_000)

    def sample() -> Any:
        u = torch.rand(count, batch, n)
        first = torch.log1p(torch.rand(count, batch, 1).mul_(-some)).mul_(per_log)
        first = first.floor_().clamp_(max=n - 1)
        x = torch.where(u < p, u / p, 0.0)
        return torch.where(ordinal > first, x, torch.where(ordinal == first, u, 0.0))

    def go(steps: int) -> None:
        for _ in range(steps):
            x = sample()
            adam.zero_grad(set_to_none=True)
            if gram:
                pre = torch.baddbmm(b, x, torch.bmm(W.transpose(1, 2), W))
            else:
                pre = torch.baddbmm(b, torch.bmm(x, W.transpose(1, 2)), W)
            error = torch.relu(pre) - x
            inner = (error.square().mean(dim=1) * importance).mean(dim=-1)  # [instance]
            outer = (torch.relu(b[:, 0]).square() * importance).mean(dim=-1)
            loss = (some[:, 0, 0] * inner + empty[:, 0, 0] * outer).sum()
            loss.backward()
            adam.step()
            falling.step()

    return go


def seconds_per_step(go: Callable[[int], None], budget: float) -> float:
    """After a warm-up, the mean over about `budget` seconds."""
    go(3)
    start = time.perf_counter()
    go(3)
    steps = max(3, int(3 * budget / (time.perf_counter() - start)))
    start = time.perf_counter()
    go(steps)
    return (time.perf_counter() - start) / steps


def together(budget: float, repeats: int) -> bool:
    """Print a line per case; whether every goal is met."""
    import torch

    met, counts = True, sorted({1, blas.cores()})
    for name, sizes in CASES.items():
        own = ours(*sizes)
        peers = {
            (form, threads): theirs(*sizes, form == "W^T W", torch)
            for form in ("W^T W", "h") for threads in counts
        }  # fmt: skip
        mine: list[float] = []
        other: dict[Any, list[float]] = {key: [] for key in peers}
        for _ in range(repeats):
            mine.append(seconds_per_step(own, budget))
            for key, go in peers.items():
                torch.set_num_threads(key[1])
                other[key].append(seconds_per_step(go, budget))
        best = min(other, key=lambda key: statistics.median(other[key]))
        one, two = statistics.median(mine), statistics.median(other[best])
        ratio = two / one
        met &= ratio >= TIMES_FASTER
        print(
            f"{name:44} {1e3 * one:7.3f} ms against {1e3 * two:7.3f} ms of torch "
            f"({best[0]}, {best[1]} threads): {ratio:.1f} times faster, goal {TIMES_FASTER:g}"
        )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short repeat of everything")
    parser.add_argument("--live-only", action="store_true", help="without torch")
    arguments = parser.parse_args()
    budget, repeats = (0.3, 1) if arguments.quick else (1.0, 3)
    print(f"{blas.cores()} cores, load {os.getloadavg()[0]:.1f}")
    met = True
    for batch, goal in LIVE.items():
        rate = statistics.median(live(batch, 2 * budget) for _ in range(repeats))
        met &= rate >= goal
        print(f"live, n=8, m=2, batch {batch}: {rate:,.0f} steps/s, goal {goal:,}")
    if not arguments.live_only:
        met &= together(budget, repeats)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

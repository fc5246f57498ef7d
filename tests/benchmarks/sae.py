"""Training an SAE: steps per second against SAELens 6.54.12, on this machine.

    python tests/benchmarks/sae.py [--quick] [--ours-only] [--only topk standard ...]

Both train the same SAE (width 512, 8,192 latents, batch 2,048) from the same start on the same
batches, each in a process of its own that is asleep while the other computes, both on all cores.
SAELens: its own `SAETrainer.step`, TopK with dense or with sparse activations, whichever is faster
(torch's sparse ones cannot be rescaled by the decoder norm on a CPU, so they compute a little less
and another loss). Chunks of steps alternate, and the dense losses must agree. Medians. Exit code 1
if a goal is missed; on a loaded machine only the ratio says anything. The floor of a TopK step is
told by what it must compute and move: the encoder's product, Adam's 28 bytes a parameter, a gather.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the checkout itself, where it is not installed

from engine import blas  # noqa: E402
from engine.sae.init import decoder_start  # noqa: E402
from engine.sae.step import Settings, Trainer  # noqa: E402

D_IN, D_SAE, BATCH, K, LR = 512, 8192, 2048, 32, 3e-4
L1 = {"standard": 6.0, "jumprelu": 1.0, "gated": 6.0}
GOALS = {"topk": 2.0, "standard": 1.2}  # times faster; the others are told
KEPT = 12  # batches, taken in turn
CURVE = 0.005  # largest relative difference of two losses of the same step
Step = Callable[[np.ndarray], float]


def batches() -> list[np.ndarray]:
    """KEPT of [row, d_in]: 24 of 4,096 hidden directions at a time, and a little noise."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((4096, D_IN), dtype=np.float32)  # [direction, d_in]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = np.empty((KEPT, BATCH, D_IN), np.float32)  # [batch, row, d_in]
    for x in found.reshape(-1, 256, D_IN):  # in parts, or the peak of memory would be this
        active = rng.random((256, 4096), dtype=np.float32) < 24 / 4096  # [row, direction]
        size = rng.standard_exponential((256, 4096), dtype=np.float32)  # [row, direction]
        np.matmul(active * 2 * size, directions, out=x)
        x += 0.1 * rng.standard_normal(x.shape, dtype=np.float32)
    return list(found)


def ours(architecture: str) -> Step:
    settings = Settings(
        architecture, k=K, lr=LR, l1=L1.get(architecture, 1.0), n_steps=100_000
    )  # fmt: skip
    trainer = Trainer(settings, D_IN, D_SAE, seed=1)
    return lambda x: trainer.step(x)["loss"]


def theirs(architecture: str, sparse: bool) -> Step:
    """SAELens' own training step, on our start."""
    import torch
    from sae_lens import (
        BatchTopKTrainingSAE,
        BatchTopKTrainingSAEConfig,
        GatedTrainingSAE,
        GatedTrainingSAEConfig,
        JumpReLUTrainingSAE,
        JumpReLUTrainingSAEConfig,
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        TopKTrainingSAE,
        TopKTrainingSAEConfig,
    )
    from sae_lens.config import LoggingConfig, SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    torch.set_num_threads(blas.cores())
    sizes: dict[str, Any] = {"d_in": D_IN, "d_sae": D_SAE}
    weight = L1.get(architecture, 1.0)
    sae: Any = {
        "topk": lambda: TopKTrainingSAE(
            TopKTrainingSAEConfig(
                k=K,
                use_sparse_activations=sparse,
                rescale_acts_by_decoder_norm=not sparse,
                **sizes,
            )
        ),
        "batchtopk": lambda: BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=K, **sizes)),
        "standard": lambda: StandardTrainingSAE(
            StandardTrainingSAEConfig(l1_coefficient=weight, **sizes)
        ),
        "jumprelu": lambda: JumpReLUTrainingSAE(
            JumpReLUTrainingSAEConfig(l0_coefficient=weight, **sizes)
        ),
        "gated": lambda: GatedTrainingSAE(GatedTrainingSAEConfig(l1_coefficient=weight, **sizes)),
    }[architecture]()
    start = torch.tensor(decoder_start(D_IN, D_SAE, 0.1, 1, np.float32))
    sae.W_dec.data = start.clone()
    sae.W_enc.data = start.T.contiguous().clone()
    config = SAETrainerConfig(
        total_training_samples=100_000 * BATCH,
        train_batch_size_samples=BATCH,
        lr=LR,
        lr_end=LR,
        logger=LoggingConfig(log_to_wandb=False),
    )
    trainer = SAETrainer(config, sae, data_provider=iter(()))

    def step(x: np.ndarray) -> float:
        loss = trainer.step(torch.from_numpy(x)).loss.item()
        trainer.n_training_steps += 1
        return loss

    return step


def worker(which: str, architecture: str) -> None:
    """Reads numbers of steps, answers with their seconds, losses and the peak memory so far."""
    own = batches()
    if which == "ours":
        step = ours(architecture)
    else:
        step = theirs(architecture, which == "sparse")
    print(json.dumps({"mb": resident_now()}), flush=True)
    done = 0
    with blas.limit("all"):
        for line in sys.stdin:
            seconds, losses, cpu = [], [], time.process_time()
            for _ in range(int(line)):
                begun = time.perf_counter()
                losses.append(step(own[done % KEPT]))
                seconds.append(time.perf_counter() - begun)
                done += 1
            found = {"seconds": seconds, "losses": losses, "mb": peak_resident()}
            print(json.dumps(found | {"cpu": time.process_time() - cpu}), flush=True)


def peak_resident() -> float:
    """Peak resident memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_now() -> float:
    """Resident memory of this process in MB; its peak where the system has no such file."""
    held = Path("/proc/self/statm")
    if not held.exists():
        return peak_resident()
    return int(held.read_text().split()[1]) * resource.getpagesize() / 2**20


class Asked:
    """A worker process: asleep until it is asked for steps."""

    def __init__(self, which: str, architecture: str) -> None:
        command = [sys.executable, __file__, "--worker", which, architecture]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.seconds: list[float] = []
        self.losses: list[float] = []
        self.cpu: list[float] = []
        self.before = self.answer()["mb"]
        self.peak = self.before

    def answer(self) -> dict[str, Any]:
        while line := self.process.stdout.readline():  # type: ignore[union-attr]
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError("a worker ended; see above")

    def go(self, steps: int) -> None:
        self.process.stdin.write(f"{steps}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        found = self.answer()
        self.seconds += found["seconds"]
        self.losses += found["losses"]
        self.cpu.append(found["cpu"] / steps)
        self.peak = found["mb"]

    def told(self) -> str:
        """Time and memory in words."""
        return (
            f"{1e3 * statistics.median(self.seconds):.0f} ms a step, best "
            f"{1e3 * min(self.seconds):.0f}, {statistics.median(self.cpu):.2f} s of processor; "
            f"peak {self.peak:,.0f} MB, {self.peak - self.before:,.0f} of them for training"
        )

    def close(self) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()


def compare(architecture: str, chunks: int, per_chunk: int, alone: bool) -> bool:
    """Print what was measured; whether the goals are met."""
    kinds = ["ours"] if alone else ["ours", "dense"]
    if architecture == "topk" and not alone:
        kinds.append("sparse")
    asked = {kind: Asked(kind, architecture) for kind in kinds}
    for each in asked.values():
        each.go(2)  # warm
        each.seconds.clear()
        each.cpu.clear()
    for _ in range(chunks):
        for each in asked.values():
            each.go(per_chunk)
    mine = asked.pop("ours")
    one = statistics.median(mine.seconds)
    print(f"{architecture:10} ours {mine.told()}")
    met = True
    for kind, each in asked.items():
        apart = max(
            abs(a - b) / abs(b) for a, b in zip(mine.losses, each.losses, strict=True)
        )  # fmt: skip
        print(
            f"{'':10} SAELens ({kind}) {each.told()}; losses {each.losses[0]:.4g} -> "
            f"{each.losses[-1]:.4g}, ours {mine.losses[-1]:.4g}, at most {apart:.1e} apart"
        )
        met &= apart <= CURVE or kind == "sparse"
    if asked:
        best = min(statistics.median(each.seconds) for each in asked.values())
        goal = GOALS.get(architecture)
        told = f", goal {goal:g}" if goal else ""
        print(f"{'':10} {best / one:.2f} times faster{told}", flush=True)
        met &= best / one >= (goal or 0)
    for each in (mine, *asked.values()):
        each.close()
    return met


def floor(repeats: int) -> None:
    """What a TopK step cannot do without: the encoder's product, and the bytes of Adam."""
    x = np.ones((BATCH, D_IN), np.float32)
    W = np.ones((D_SAE, D_IN), np.float32)
    h = np.empty((BATCH, D_SAE), np.float32)
    product, moved = [], []
    parts = [np.ones(D_SAE * D_IN * 2, np.float32) for _ in range(2)]
    with blas.limit("all"):
        for _ in range(repeats):
            begun = time.perf_counter()
            np.matmul(x, W.T, out=h)
            product.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            np.add(parts[0], 1, out=parts[1])
            moved.append((time.perf_counter() - begun) / (2 * parts[0].nbytes))
    flops, entries = 2 * BATCH * D_IN * D_SAE, BATCH * K * D_IN
    size = 28 * 2 * D_IN * D_SAE + 4 * entries
    least = min(product) + size * min(moved)
    print(
        f"floor of a TopK step: encoder {flops / 1e9:.1f} GFLOP {1e3 * min(product):.0f} ms "
        f"({flops / min(product) / 1e9:.0f} GFLOP/s), {8 * entries / 1e9:.2f} GFLOP at the kept "
        f"entries, {size / 1e6:.0f} MB of Adam and gather {1e3 * size * min(moved):.0f} ms "
        f"({1e-9 / min(moved):.0f} GB/s): {1e3 * least:.0f} ms"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps of topk and standard")
    parser.add_argument("--ours-only", action="store_true", help="without SAELens")
    parser.add_argument("--only", nargs="+", help="these architectures")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
        return 0
    chosen = arguments.only or (
        ["topk", "standard"] if arguments.quick else
        ["topk", "standard", "batchtopk", "jumprelu", "gated"]
    )  # fmt: skip
    print(f"{blas.cores()} cores, load {os.getloadavg()[0]:.1f}")
    floor(3 if arguments.quick else 10)
    chunks, per_chunk = (2, 3) if arguments.quick else (5, 4)
    met = [compare(each, chunks, per_chunk, arguments.ours_only) for each in chosen]
    print(f"load {os.getloadavg()[0]:.1f}")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The logit lens against the matrix products that it cannot do without, on this machine.

    python tests/benchmarks/lens.py [--quick] [--json FILE]

A GPT-2-small-sized model with random weights, 256 tokens, one row after each block (13) and one
after each sublayer (25), all cores of this process, medians. The floor is the FLOPs of the forward
pass without its logits and of every row's unembedding, at the rate of a large sgemm measured in the
same rounds. Beside it, the same products one by one as plain `@` calls of 256 rows whose results
are thrown away, and the ratio of processor times on one core, which other processes disturb less
(on several, only the products are faster: what is done beside them weighs as much more). Peak
memory is a process's own, over the size of the weights on disk. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the checkout itself, where it is not installed

from bench import (  # noqa: E402
    D_MLP,
    D_MODEL,
    N_LAYERS,
    SGEMM_SIDE,
    Line,
    greeted,
    interleaved,
    peak_memory,
    told,
)

N_POS, D_VOCAB = 256, 50257
DETAILS = {"blocks": N_LAYERS + 1, "sublayers": 2 * N_LAYERS + 1}
GOAL, MEMORY = 1.5, 500  # times the floor; MB over the weights


def prompt() -> tuple[int, ...]:
    return tuple(np.random.default_rng(0).integers(0, D_VOCAB, N_POS).tolist())


def pass_flops() -> float:
    """FLOPs (2 per multiply-add) of the forward pass, its unembedding left out."""
    layer = 4 * D_MODEL**2 + 2 * D_MODEL * D_MLP
    attention = 2.0 * 2 * D_MODEL * N_POS * (N_POS + 1) / 2
    return N_LAYERS * (2.0 * N_POS * layer + attention)


def row_flops() -> float:
    """FLOPs of one row's unembedding."""
    return 2.0 * N_POS * D_MODEL * D_VOCAB


def lens(model: Any, detail: str, **settings: Any) -> Any:
    """The full table."""
    from engine import technique

    return technique.of("LogitLens")(prompt=prompt(), detail=detail, **settings).run(model)


def on_one_core(model: Any, detail: str) -> float:
    """Processor time of the table over that of its floor, one thread of BLAS."""
    from engine import blas, technique

    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((SGEMM_SIDE, SGEMM_SIDE), np.float32) for _ in "ab")
    spec = technique.of("LogitLens")(prompt=prompt(), detail=detail)

    def seconds(work: Callable[[], Any]) -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    with blas.limit("one"):
        sgemm = min(seconds(lambda: left @ right) for _ in range(4))
        took = min(seconds(lambda: [0 for _ in spec.steps(model.under())]) for _ in range(2))
    floor = (pass_flops() + DETAILS[detail] * row_flops()) * sgemm / (2.0 * SGEMM_SIDE**3)
    return took / floor


def alone(detail: str, folder: Path) -> float:
    """Peak bytes of a process that opens the model and makes one table."""
    command = [sys.executable, __file__, "--alone", detail, str(folder)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measured(folder: Path, quick: bool) -> list[Line]:
    """Times against the floor, memory, and equality with the plain computation."""
    from engine.model import open_model
    from engine.model.ops import log_softmax

    model = open_model(folder)
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((SGEMM_SIDE, SGEMM_SIDE), np.float32) for _ in "ab")
    names = [f"blocks.{layer}.hook_resid_post" for layer in range(N_LAYERS)]
    y = rng.standard_normal((N_POS, D_MODEL), np.float32)  # [pos, d_model]
    W_U = model.weights.W_U
    tasks = {
        "sgemm": lambda: left @ right,
        "blocks": lambda: lens(model, "blocks"),
        "product": lambda: y @ W_U,
        "sublayers": lambda: lens(model, "sublayers"),
        "pass": lambda: model.forward(prompt(), names=names, logits="none"),
        "top 100": lambda: lens(model, "blocks", top_k=100),
        "watched": lambda: lens(model, "blocks", watch=(1, 2, 3, 4, 5)),
    }
    few, some = (2, 3) if quick else (5, 15)
    took = interleaved(
        tasks, {name: some if name in ("sgemm", "product", "pass") else few for name in tasks}
    )
    rate = 2.0 * SGEMM_SIDE**3 / took["sgemm"]
    lines = []
    for detail, n_rows in DETAILS.items():
        floor = (pass_flops() + n_rows * row_flops()) / rate
        plain = took["pass"] + n_rows * took["product"]
        share = took[detail] / floor
        about = f"{share:5.2f} x   ({took[detail]:.2f} s against {floor:.2f} s)"
        what = f"full table, {n_rows} rows of {N_POS} tokens / its products at the sgemm rate"
        lines.append(Line(what, f"<= {GOAL:g} x", about, share <= GOAL))
        about = f"{took[detail] / plain:5.2f} x   ({plain:.2f} s)"
        lines.append(Line("  / the same pass and plain products, nothing read", "", about, None))
        about = f"{on_one_core(model, detail):5.2f} x"
        lines.append(Line("  the same of processor time, on one core", "", about, None))
    for name, what in (("top 100", "100 tops a cell"), ("watched", "five chosen tokens")):
        about = f"{took[name] / took['blocks']:5.2f} x"
        lines.append(Line(f"  with {what} / five tops and none, blocks", "", about, None))
    lines.append(Line("  sgemm rate", "", f"{rate / 1e9:5.0f} GFLOP/s", None))
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    for detail in DETAILS:
        over = (alone(detail, folder) - weights) / 1e6
        what = f"peak memory over the weights, {detail}"
        lines.append(Line(what, f"<= {MEMORY} MB", f"{over:5.0f} MB", over <= MEMORY))
    found, run = lens(model, "blocks"), model.forward(prompt(), names=names)
    final = log_softmax(run.logits[0])  # [pos, output]
    mine = log_softmax(model.unembed(run.cache[names[5]][0]))  # [pos, output]
    kl = (np.exp(final) * (final - mine)).sum(axis=-1, dtype=np.float64)  # [pos]
    entropy = -(np.exp(mine) * mine).sum(axis=-1, dtype=np.float64)  # [pos]
    off = max(np.abs(found.kl[6] - kl).max(), np.abs(found.entropy[6] - entropy).max())
    lines.append(Line("entropy and KL = plain", "<= 1e-4", f"{off:.1e} nats", bool(off <= 1e-4)))
    same = (found.top_ids[6, :, 0] == mine.argmax(axis=-1)).mean()
    lines.append(Line("tops = plain", "100 %", f"{same:.2%}", bool(same == 1)))
    return lines


def main() -> int:
    """Measure everything, print the table, write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two repeats of every table")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        from engine.model import open_model

        lens(open_model(Path(args.alone[1])), args.alone[0])
        print(peak_memory())
        return 0
    os.environ["HF_HUB_OFFLINE"] = "1"
    import peers

    about = greeted()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "gpt2-small-random"
        peers.random_gpt2(folder)
        lines = measured(folder, args.quick)
    return told(lines, about, args.json)


if __name__ == "__main__":
    sys.exit(main())

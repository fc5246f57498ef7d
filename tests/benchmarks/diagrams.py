"""How long the diagrams of toy models take on this machine, and what they reach.

    python tests/benchmarks/diagrams.py [--seeds N]

Both phase diagrams (12 x 12 cells, best of 5, 2,000 steps) and the dimensionality figure at the
paper's size (n=400, m=30, 7 densities, 2,200 steps), one BLAS thread, as the window runs them. The
longest update is how long Stop may have to wait. Other programs count: it waits until the cores are
idle, and says so where they are not. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the checkout itself, where it is not installed

from engine import blas  # noqa: E402
from engine.techniques.feature_dimensionality import FeatureDimensionality  # noqa: E402
from engine.techniques.phase_diagram import CASES, PhaseDiagram  # noqa: E402
from engine.toy import reading_diagrams  # noqa: E402

PHASE_SECONDS, CURVE_SECONDS, STOP_SECONDS = 20.0, 45.0, 0.2
LEAST = {"2 in 1": 0.93, "3 in 2": 0.88}
POINTS = (1.2, 2.0, 3.0, 4.5, 6.0, 8.0, 12.0)
BUSY, PATIENCE = 0.5, 60.0  # load of the last minute; seconds to wait for less


@dataclass(frozen=True)
class Timed:
    """One run: its result, seconds by the wall clock and of the processor, longest update."""

    result: Any
    wall: float
    processor: float
    longest: float


def timed(spec: Any) -> Timed:
    """Drive a spec as a worker does, with a snapshot after every update."""
    with blas.limit(spec.blas):
        start, spent = time.perf_counter(), time.process_time()
        last, longest, result = start, 0.0, None
        for update in spec.steps(None):
            result = update.snapshot()
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        return Timed(result, last - start, time.process_time() - spent, longest)


def wait_for_idle() -> None:
    if not hasattr(os, "getloadavg"):
        return
    end = time.monotonic() + PATIENCE
    while os.getloadavg()[0] > BUSY and time.monotonic() < end:
        time.sleep(1)
    if os.getloadavg()[0] > BUSY:
        print(f"The cores are busy (load {os.getloadavg()[0]:.1f}): read the processor's seconds.")


def line(what: str, run: Timed, seconds: float, words: str) -> bool:
    """Print one row; whether its goals are met."""
    met = run.wall <= seconds and run.longest <= STOP_SECONDS
    print(
        f"{what:38} {run.wall:6.1f} s  {run.processor:6.1f} s of processor  goal {seconds:.0f} s  "
        f"longest update {1000 * run.longest:4.0f} ms  {words}"
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="runs of each phase diagram")
    arguments = parser.parse_args()
    wait_for_idle()
    met = True
    for case in CASES:
        for seed in range(arguments.seeds):
            run = timed(PhaseDiagram(case=case, seed=seed))
            best, single = run.result.agreement, run.result.run_agreement
            words = f"agreement {best:.3f}, goal {LEAST[case]}; single runs {single:.3f}"
            met &= line(f"phase diagram, {case}, seed {seed}", run, PHASE_SECONDS, words)
            met &= best >= LEAST[case]
    spec = replace(FeatureDimensionality(), points=POINTS)
    run = timed(spec)
    met &= line("dimensionality, n=400, m=30", run, CURVE_SECONDS, f"D* {run.result.D_star}")
    print(reading_diagrams.dimensionality_sentence(run.result))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())

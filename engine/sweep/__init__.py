"""Sweeps: one technique over a grid of field values and seeds; here, on processes, on a cluster."""

from engine.sweep.cell import Lost, model_ref
from engine.sweep.executors import Factory, cluster, executor_of, processes
from engine.sweep.result import Failure, SweepResult
from engine.sweep.sweep import Sweep

__all__ = [
    "Factory",
    "Failure",
    "Lost",
    "Sweep",
    "SweepResult",
    "cluster",
    "executor_of",
    "model_ref",
    "processes",
]

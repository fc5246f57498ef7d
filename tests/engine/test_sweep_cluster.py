"""Sweeps on a real Dask cluster: a scheduler and two workers that the test starts on the loopback.

Skipped where the optional extra `dask` is not installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import RunError
from engine.sweep import Lost, Sweep, cluster, executor_of
from engine.worker import Worker
from tests.engine.sweeping import FOUR, GRID, PATIENCE, PROMPT, _Bowl, assert_same, until

Cluster = tuple[str, list[subprocess.Popen[bytes]]]


@pytest.fixture
def dask(tmp_path: Path, project: Path) -> Iterator[Cluster]:
    """host:port of a scheduler with two worker processes on the loopback, and those."""
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    file = tmp_path / "scheduler.json"
    env = os.environ | {
        "PYTHONPATH": str(project),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    }
    run = [sys.executable, "-m", "dask"]
    scheduler = [*run, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    commands = [[*scheduler, "--scheduler-file", str(file)]]
    worker = [*run, "worker", "--scheduler-file", str(file), "--no-nanny", "--nthreads", "1"]
    commands += [[*worker, "--no-dashboard", "--local-directory", str(tmp_path)]] * 2
    running = [
        subprocess.Popen(
            one, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for one in commands
    ]
    try:
        until(lambda: file.exists() and file.read_text().endswith("}"))
        yield json.loads(file.read_text())["address"].removeprefix("tcp://"), running[1:]
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_a_cluster_gives_the_same_bits_though_a_worker_is_killed(
    dask: Cluster, tmp_path: Path
) -> None:
    address, workers = dask
    spec = _Bowl(n=10, pause=0.02, place=str(tmp_path))
    sweep = Sweep(spec, GRID, seeds=4, executor=cluster(address))
    worker = Worker(work=sweep.run)
    worker.start()
    until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    workers[0].kill()
    assert worker.join(PATIENCE)
    poll = worker.poll()
    assert poll.error is None
    assert poll.result.finished == 24
    assert_same(poll.result, replace(sweep, executor=None).run())


def test_a_cell_that_kills_the_workers_of_a_cluster_is_named(dask: Cluster, tmp_path: Path) -> None:
    dying = _Bowl(ends=(3.0,), how="always", place=str(tmp_path))
    with pytest.raises(Lost, match=r"the cell x=3.0, seed=0 killed every worker"):
        Sweep(dying, FOUR, executor=cluster(dask[0])).run()
    assert Path(tmp_path, "died at 3.0").read_text() == "xx"


def test_stop_leaves_a_cluster_at_once(dask: Cluster, tmp_path: Path) -> None:
    spec = _Bowl(n=100, pause=0.05, place=str(tmp_path))
    worker = Worker(work=Sweep(spec, FOUR, seeds=4, executor=cluster(dask[0])).run)
    worker.start()
    until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    pressed = time.perf_counter()
    worker.cancel()
    assert worker.join(PATIENCE)
    assert time.perf_counter() - pressed < PROMPT
    assert worker.poll().state == "cancelled"


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    monkeypatch.setattr("engine.sweep.executors.PATIENCE", 0.5)
    with pytest.raises(RunError, match=r"no Dask scheduler answers at 127\.0\.0\.1:9"):
        Sweep(_Bowl(), FOUR, executor=executor_of("dask://127.0.0.1:9")).run()

"""Worker: one run on one thread, polled. No test waits for a clock: the technique itself waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import blas
from engine.errors import RunError, SpecError
from engine.technique import Technique, Update, array, param
from engine.worker import DONE, Worker

PATIENCE = 10.0  # seconds; a test that needs them has failed


@dataclass(frozen=True)
class _CountResult:
    counts: npt.NDArray[np.float64] = array("step", "what was added at each step")


@dataclass
class _Gate:
    """A stand-in for a model: it lets a technique go on when the test says so."""

    permits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    closed: threading.Event = field(default_factory=threading.Event)
    snapshots: list[int] = field(default_factory=list)
    watch: Callable[[], None] | None = None

    def under(self, interventions: Any, watch: Callable[[], None]) -> _Gate:
        self.watch = watch
        return self

    def wait(self) -> None:
        while not self.permits.acquire(timeout=0.005):
            if self.watch is not None:
                self.watch()

    def let(self, n: int) -> None:
        self.permits.release(n)


@dataclass(frozen=True, kw_only=True)
class _Count(Technique):
    """Adds `by` at every step; fails at `fail_at`."""

    Result: ClassVar[type] = _CountResult
    n: int = param(5, "steps", low=1)
    by: float = param(1.0, "added at each step", low=0.0, live=True)
    fail_at: int = param(0, "step that fails, 0 = none")
    fail_snapshot: bool = param(False, "fail while the result is made")

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        spec, counts, total = self, [], 0.0

        def snapshot() -> _CountResult:
            if self.fail_snapshot and len(counts) > 1:
                raise RunError("no result")
            model.snapshots.append(len(counts))
            return _CountResult(np.array(counts))

        try:
            for step in range(1, self.n + 1):
                model.wait()
                if step == self.fail_at:
                    raise RunError(f"loss is NaN at step {step}")
                counts.append(spec.by)
                total += spec.by
                change = yield Update(step, self.n, snapshot, {"count": total})
                spec = change or spec
        finally:
            model.closed.set()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        threading.Event().wait(0.001)


def _start(gate: _Gate, **spec: Any) -> Worker:
    worker = Worker(_Count(**spec), gate)
    worker.start()
    return worker


def _steps(worker: Worker, told: list[int], n: int) -> None:
    """Poll until n steps were told in all."""

    def enough() -> bool:
        told.extend(tick.step for tick in worker.poll().ticks)
        return len(told) >= n

    _until(enough)


def test_a_run_gives_every_metric_and_its_final_result() -> None:
    gate = _Gate()
    gate.let(5)
    worker = _start(gate)
    assert worker.join(PATIENCE)
    poll = worker.poll()
    assert poll.state == "finished"
    assert [tick.metrics["count"] for tick in poll.ticks] == [1.0, 2.0, 3.0, 4.0, 5.0]
    np.testing.assert_array_equal(poll.result.counts, np.ones(5))
    assert worker.seconds > 0
    assert worker.blas_threads >= 1


def test_a_worker_before_its_start_is_waiting() -> None:
    worker = Worker(_Count(), _Gate())
    assert worker.poll().state == "waiting"
    assert not worker.alive
    assert worker.join(0)


def test_cancel_is_prompt_and_closes_the_generator() -> None:
    gate = _Gate()
    gate.let(2)
    worker = _start(gate, n=1000)
    _steps(worker, [], 2)
    pressed = time.perf_counter()
    worker.cancel()
    assert worker.join(PATIENCE)
    assert time.perf_counter() - pressed < 1.0
    assert gate.closed.is_set()
    poll = worker.poll()
    assert poll.state == "cancelled"
    assert poll.error is None
    np.testing.assert_array_equal(poll.result.counts, np.ones(2))


def test_a_run_cancelled_before_its_first_update_has_no_result() -> None:
    worker = _start(_Gate())
    worker.cancel()
    assert worker.join(PATIENCE)
    assert worker.poll().state == "cancelled"
    assert worker.poll().result is None


def test_a_snapshot_is_made_only_when_one_is_wanted() -> None:
    gate = _Gate()
    gate.let(4)
    worker = _start(gate, n=100)
    _until(lambda: len(worker._ticks) == 4)
    assert gate.snapshots == [1]
    assert worker.poll().result is not None
    assert worker.poll().result is None
    gate.let(3)
    _until(lambda: len(worker._ticks) == 3)
    assert gate.snapshots == [1, 5]
    worker.cancel()
    assert worker.join(PATIENCE)
    assert gate.snapshots == [1, 5, 7]


def test_memory_stays_bounded_when_nobody_polls() -> None:
    gate = _Gate()
    n = 70_000
    gate.let(n)
    worker = _start(gate, n=n)
    assert worker.join(60)
    assert gate.snapshots == [1, n]
    ticks = worker.poll().ticks
    assert len(ticks) == 65_536
    assert ticks[-1].step == n


def test_a_paused_run_shows_its_result_steps_and_goes_on() -> None:
    gate, told = _Gate(), []
    worker = _start(gate, n=5)
    worker.pause()
    gate.let(5)
    _until(lambda: worker.state == "paused")
    assert worker.poll().result is not None
    for n in (2, 3):
        worker.step()
        _until(lambda n=n: gate.snapshots[-1] == n and worker.state == "paused")
    _steps(worker, told, 2)
    assert told[-1] == 3
    worker.resume()
    assert worker.join(PATIENCE)
    assert worker.state == "finished"


def test_a_paused_run_can_be_cancelled() -> None:
    gate = _Gate()
    worker = _start(gate)
    worker.pause()
    gate.let(1)
    _until(lambda: worker.state == "paused")
    worker.step()
    worker.cancel()
    assert worker.join(PATIENCE)
    assert worker.state == "cancelled"


def test_a_single_step_that_is_cancelled_does_not_wait_for_ever() -> None:
    gate = _Gate()
    worker = _start(gate)
    worker.step()
    worker.cancel()
    gate.let(5)
    assert worker.join(PATIENCE)
    assert worker.state == "cancelled"


def test_live_changes_replay_the_same_bits() -> None:
    gate, told = _Gate(), []
    worker = _start(gate, n=6)
    gate.let(2)
    _steps(worker, told, 2)
    worker.pause()
    gate.let(1)
    _until(lambda: worker.state == "paused")
    worker.send({"by": 0.1})
    worker.send({"by": 0.7})
    worker.resume()
    gate.let(3)
    assert worker.join(PATIENCE)
    result = worker.poll().result
    assert worker.changes == [(3, {"by": 0.7})]
    assert worker.spec == _Count(n=6), "the spec is the one that the run began with"
    again = _Gate()
    again.let(6)
    replayed = _Count(n=6).run(again, worker.changes)
    np.testing.assert_array_equal(replayed.counts, result.counts)


def test_recorded_changes_are_made_again_at_their_steps() -> None:
    recorded = [(2, {"by": 0.7}), (4, {"by": 0.3})]
    gate = _Gate()
    gate.let(6)
    worker = Worker(_Count(n=6), gate, replay=recorded)
    worker.start()
    assert worker.join(PATIENCE)
    poll = worker.poll()
    assert poll.state == "finished"
    assert poll.result.counts.tolist() == [1.0, 1.0, 0.7, 0.7, 0.3, 0.3]
    assert worker.changes == recorded
    gate.let(6)
    again = _Count(n=6).run(gate, recorded)
    np.testing.assert_array_equal(again.counts, poll.result.counts)


def test_a_change_sent_while_others_are_replayed_wins() -> None:
    gate = _Gate()
    worker = Worker(_Count(n=3), gate, replay=[(1, {"by": 0.5}), (2, {"by": 0.7})])
    worker.send({"by": 0.9})  # is read at the first step, together with what was recorded
    gate.let(3)
    worker.start()
    assert worker.join(PATIENCE)
    assert worker.poll().result.counts.tolist() == [1.0, 0.9, 0.7]
    assert worker.changes == [(1, {"by": 0.9}), (2, {"by": 0.7})]


def test_a_change_whose_step_never_comes_fails_the_run_that_has_its_result() -> None:
    gate = _Gate()
    gate.let(3)
    worker = Worker(_Count(n=3), gate, replay=[(9, {"by": 0.5})])
    worker.start()
    assert worker.join(PATIENCE)
    poll = worker.poll()
    assert poll.state == "failed"
    assert str(poll.error) == "no update had step 9, so its change was never made"
    assert isinstance(poll.error, RunError)
    assert len(poll.result.counts) == 3


def test_a_change_of_a_field_that_is_not_live_is_refused_at_once() -> None:
    worker = Worker(_Count(), _Gate())
    with pytest.raises(SpecError):
        worker.send({"n": 7})
    with pytest.raises(SpecError):
        worker.send({"by": -1.0})
    with pytest.raises(TypeError):
        Worker(work=lambda watch, report: None).send({"by": 1.0})


def test_a_failing_technique_keeps_its_last_good_result() -> None:
    gate = _Gate()
    gate.let(5)
    worker = _start(gate, fail_at=4)
    assert worker.join(PATIENCE)
    poll = worker.poll()
    assert poll.state == "failed"
    assert str(poll.error) == "loss is NaN at step 4"
    np.testing.assert_array_equal(poll.result.counts, np.ones(3))
    assert gate.closed.is_set()


def test_a_failing_snapshot_keeps_the_one_before() -> None:
    gate = _Gate()
    gate.let(5)
    worker = _start(gate, fail_snapshot=True)
    assert worker.join(PATIENCE)
    poll = worker.poll()
    assert poll.state == "failed"
    assert str(poll.error) == "no result"
    np.testing.assert_array_equal(poll.result.counts, np.ones(1))


def test_even_an_exit_inside_a_technique_ends_the_run_as_failed() -> None:
    def leave(watch: Callable[[], None], report: Callable[[int, int], None]) -> None:
        raise SystemExit(3)

    worker = Worker(work=leave)
    worker.start()
    assert worker.join(PATIENCE)
    assert worker.poll().state == "failed"


def test_plain_work_reports_and_gives_what_it_returns() -> None:
    def work(watch: Callable[[], None], report: Callable[[int, int], None]) -> str:
        report(1, 2)
        report(2, 2)
        return "done"

    worker = Worker(work=work)
    worker.start()
    assert worker.join(PATIENCE)
    poll = worker.poll()
    assert [(tick.step, tick.total) for tick in poll.ticks] == [(1, 2), (2, 2)]
    assert (poll.state, poll.result) == ("finished", "done")


def test_plain_work_stops_where_it_reports() -> None:
    begun = threading.Event()

    def work(watch: Callable[[], None], report: Callable[[int, int], None]) -> None:
        begun.set()
        while True:
            report(0, 0)

    worker = Worker(work=work)
    worker.start()
    assert begun.wait(PATIENCE)
    worker.cancel()
    assert worker.join(PATIENCE)
    assert worker.state == "cancelled"


def test_the_thread_ends_with_the_run() -> None:
    before = threading.active_count()
    gate = _Gate()
    gate.let(5)
    worker = _start(gate)
    assert worker.join(PATIENCE)
    assert not worker.alive
    assert threading.active_count() == before
    assert worker.state in DONE


def test_blas_runs_on_one_thread_where_the_technique_says_so() -> None:
    class _Single(_Count):
        blas = "one"

    gate = _Gate()
    gate.let(5)
    worker = Worker(_Single(), gate)
    worker.start()
    assert worker.join(PATIENCE)
    assert worker.blas_threads == 1


def test_the_threads_that_blas_uses_are_recorded_not_those_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blas, "cores", lambda: 10_000)  # more than any build of a BLAS allows
    gate = _Gate()
    gate.let(5)
    worker = _start(gate)
    assert worker.join(PATIENCE)
    assert worker.blas_threads < 10_000

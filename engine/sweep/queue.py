"""Cells through an executor: in order, begun again where a process died, left at once on Stop."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass, field
from typing import Any

from engine.errors import Cancelled
from engine.sweep.cell import Lost, Outcome, Task, run
from engine.sweep.executors import AHEAD, Factory, abandon
from engine.worker import Worker

AGAIN = 2  # times that a cell is begun again before the sweep gives up
BEAT = 0.05  # seconds between two signs of life

Sign = tuple[int, Outcome] | None


@dataclass
class Queue:
    """The cells of a sweep that are not finished yet, and the executor that computes them.

    A pool that lost a process does not tell which cell killed it. So every cell that may have is
    begun again, alone: whoever dies then has done it.
    """

    tasks: Sequence[Task]
    names: Sequence[str]
    factory: Factory
    waiting: deque[int] = field(default_factory=deque)
    flying: dict[Future[Outcome], int] = field(default_factory=dict)
    deaths: Counter[int] = field(default_factory=Counter)
    pool: Executor | None = None

    def __post_init__(self) -> None:
        self.waiting.extend(range(len(self.tasks)))

    def outcomes(self) -> Generator[Sign, None, None]:
        """(index, outcome) of each cell as it comes; None after a while in which none came."""
        try:
            while self.waiting or self.flying:
                if self.pool is None:
                    self.pool = yield from _opened(self.factory)
                whole = self._fill(self.pool)
                done, _ = wait(self.flying, BEAT, FIRST_COMPLETED)
                if not done:
                    yield None
                for future in sorted(done, key=self.flying.__getitem__):
                    outcome = self._outcome(future)
                    if outcome is None:
                        whole = False
                    else:
                        yield self.flying.pop(future), outcome
                if not whole:
                    yield from self._mourn()
        finally:  # at the end, too: waiting for idle processes to clean up takes longer
            self._leave()

    def _fill(self, pool: Executor) -> bool:
        """Hand over cells while there is room; False where the executor takes none any more."""
        room = getattr(pool, "ahead", AHEAD)
        while self.waiting and len(self.flying) < room:
            index = self.waiting[0]
            suspected = [index, *list(self.flying.values())[:1]]
            if self.flying and any(self.deaths[one] for one in suspected):
                break
            try:
                future = pool.submit(run, self.tasks[index])
            except BrokenExecutor:
                return False
            self.flying[future] = self.waiting.popleft()
        return True

    def _outcome(self, future: Future[Outcome]) -> Outcome | None:
        """What a finished cell gave; None where its process was lost."""
        try:
            return future.result()
        except (BrokenExecutor, CancelledError):
            return None
        except getattr(self.pool, "killed", ()) as error:
            name = self.names[self.flying[future]]
            raise Lost(f"the cell {name} killed every worker that computed it: {error}") from None

    def _mourn(self) -> Generator[Sign, None, None]:
        """The executor is dead: keep what it still finished, put back the rest."""
        self._leave()
        lost = []
        for future, index in list(self.flying.items()):
            done = future.done() and not future.cancelled() and future.exception() is None
            if done:
                yield index, future.result()
            else:
                lost.append(index)
        self.flying.clear()
        for index in lost or list(self.waiting)[:1]:
            self.deaths[index] += 1
            if self.deaths[index] > AGAIN:
                raise Lost(
                    f"the cell {self.names[index]} lost its process {AGAIN + 1} times (a crash, or "
                    "too little memory); a script that starts processes needs "
                    "`if __name__ == '__main__':`"
                )
        self.waiting.extendleft(sorted(lost, reverse=True))

    def _leave(self) -> None:
        if self.pool is not None:
            pool, self.pool = self.pool, None
            abandon(pool)


def _opened(factory: Factory) -> Generator[Sign, None, Executor]:
    """An executor from the factory, made in the background: a cluster may take its time."""

    def work(watch: Any, report: Any) -> Executor:
        pool = factory()
        try:
            watch()
        except Cancelled:
            abandon(pool)
            raise
        return pool

    worker = Worker(work=work)
    worker.start()
    try:
        while not worker.join(BEAT):
            yield None
    finally:
        worker.cancel()
    poll = worker.poll()
    if poll.error is not None:
        raise poll.error
    return poll.result

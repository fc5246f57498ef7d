"""Trial: the window under test, what is waited for, and every problem in plain words."""

from __future__ import annotations

import faulthandler
import logging
import os
import queue
import shutil
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.errors import FileError, RunError, SpecError
from engine.session import pack
from engine.session.run import digest
from engine.worker import Worker
from gui.app import run_until

SECONDS = 60.0  # the longest wait for one thing
LIMIT = 110.0  # for all of it, so that it ends within two minutes; usual are 15


class Trial:
    """Waits for what it started; what goes wrong is said at once and counted.

    home: an empty folder for what is written. seconds: the longest wait for one thing.
    """

    def __init__(self, window: Any, home: Path, seconds: float = SECONDS) -> None:
        self.window, self.home, self.seconds = window, home, seconds
        self.part = "start"
        self.problems: list[str] = []

    def problem(self, text: str) -> None:
        self.problems.append(f"{self.part}: {' '.join(text.split())}")
        say(f"self-test, problem in {self.problems[-1]}")

    def check(self, fine: bool, text: str) -> bool:
        """Whether it is fine; if not, `text` is a problem."""
        if not fine:
            self.problem(text)
        return fine

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Keep the window alive until `done`; RunError where that takes too long."""
        if not run_until(done, self.seconds):
            raise RunError(f"waited {self.seconds:.0f} s for {what}")

    def attempt(self, name: str, do: Callable[[], object]) -> None:
        """Do a piece of a part; what it raises is a problem, and the next piece is tried."""
        try:
            do()
        except Exception as error:  # noqa: BLE001  (whatever it is, the self-test says it)
            self.problem(f"{name}: {words(error)}")
            if not own(error):
                say("".join(traceback.format_exception(error)))

    def beside(self, work: Callable[[], Any], what: str) -> Any:
        """The result of `work`, done on a worker's thread while the window lives on."""
        job = self.window.jobs.do(lambda watch, report: work(), what, beside=True)
        told: list[Any] = []
        job.finished.connect(told.append)
        job.failed.connect(lambda error, _: told.append(error))
        self.wait(lambda: job.done, what)
        if isinstance(told[0], BaseException):
            raise told[0]
        return told[0]


class Faults(logging.Handler):
    """Hears what the program's last resort logs: errors of any thread that nothing caught, of
    slots and of timers, and what Qt complains about."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(logging.WARNING)
        self.trial = trial
        self._log = logging.getLogger("mechanoscope")
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> Faults:
        self._log.addHandler(self)
        sys.unraisablehook = self._on_unraisable
        return self

    def __exit__(self, *_: object) -> None:
        sys.unraisablehook = self._unraisable
        self._log.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        text = record.getMessage() if error is None else words(error)
        self.trial.problem(f"a fault was logged: {text}")

    def _on_unraisable(self, raised: Any) -> None:
        if raised.exc_value is not None:
            logging.getLogger("mechanoscope").error("unexpected", exc_info=raised.exc_value)


class Watchdog:
    """Ends the program where even the waiting hangs, and says what it was at."""

    def __init__(
        self, trial: Trial, seconds: float = LIMIT, leave: Callable[[int], object] = os._exit
    ) -> None:
        self.trial, self.seconds, self.leave = trial, seconds, leave
        self._over: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._worker = Worker(work=lambda watch, report: self._wait())

    def __enter__(self) -> Watchdog:
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.put(None)
        self._worker.join()

    def _wait(self) -> None:
        try:
            self._over.get(timeout=self.seconds)
        except queue.Empty:
            self.trial.problem(
                f"after {self.seconds:.0f} s it is still not over: it hangs, or this machine is "
                "far too busy"
            )
            with suppress(OSError, ValueError, AttributeError, RuntimeError):
                faulthandler.dump_traceback(sys.stderr)
            shutil.rmtree(self.trial.home, ignore_errors=True)
            self.leave(1)


def say(text: str) -> None:
    """One line to the terminal, where there is one: a window program on Windows has none."""
    stream = sys.stderr
    if stream is not None:
        line, encoding = f"mechanoscope: {text}\n", getattr(stream, "encoding", None) or "utf-8"
        with suppress(OSError, ValueError):
            stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()


def own(error: BaseException) -> bool:
    """Whether an error is one of those that are written for people."""
    return isinstance(error, FileError | RunError | SpecError)


def words(error: BaseException) -> str:
    """Such an error in its own words, any other with its name."""
    return str(error) if own(error) else f"{type(error).__name__}: {error}"


def seal(result: Any) -> str:
    """The SHA-256 of a result: equal for equal bits."""
    return digest(*pack(result))

"""A process of ours that is told lines of JSON and answers in lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Child:
    """`python -m tests.hard.MODULE`; what it writes to stderr is shown where it fails."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"tests.hard.{module}", *map(str, arguments)],
            cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip

    def tell(self, **words: Any) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead: what it said before is still to be heard
            self.process.stdin.write(json.dumps(words) + "\n")
            self.process.stdin.flush()

    def hear(self) -> dict[str, Any] | None:
        """The next line; None if it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith("\n") else None

    def expect(self, word: str) -> dict[str, Any]:
        """The next line, which holds this word; what went wrong if the process died instead."""
        said = self.hear()
        assert said is not None, f"it ended before it said {word!r}:\n{self.end()}"
        assert word in said, said
        return said

    def kill_after(self, seconds: float) -> list[dict[str, Any]]:
        """SIGKILL in so many seconds; every line that it wrote before."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
            raise AssertionError(f"it ended by itself:\n{self.end()}")
        self.process.kill()
        said = []
        while (line := self.hear()) is not None:
            said.append(line)
        self.end()
        return said

    def end(self) -> str:
        """Make sure that it is gone; what it wrote to stderr."""
        self.process.kill()
        self.process.communicate()
        self._errors.seek(0)
        errors = self._errors.read()
        self._errors.close()
        return errors[-4000:]

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._errors.closed:
            self.end()


def say(**words: Any) -> None:
    """From inside the process: one line, written at once and whole."""
    os.write(1, (json.dumps(words) + "\n").encode())


def told() -> dict[str, Any] | None:
    """From inside the process: the next line; None when there is none to come."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None

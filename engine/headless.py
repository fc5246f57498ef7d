"""Runs, activations and models as files and JSON values: what the commands do, without a terminal.

Progress goes to a text stream: one line that is redrawn if that is a terminal, else a line now and
then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec
import numpy as np

from engine.errors import RunError, SpecError
from engine.model import open_model, peek, self_check
from engine.model.hooks import optional_axes
from engine.model.taps import chooser
from engine.script import write_arrays, write_npz
from engine.session import Run
from engine.technique import Technique
from engine.worker import DONE, Tick, Worker

_BAR = 24  # characters
_LINE = 110  # characters
_REDRAW = 0.1  # seconds between two states of the progress line
_SPARSE = 10.0  # seconds between two lines of progress in a log


def run_to_file(
    spec: Technique, folder: str | None, out: Path, stream: TextIO
) -> tuple[Run, BaseException | None]:
    """Run a technique and write its result; what a stopped or failed run has is written too.

    The first KeyboardInterrupt stops the run, a second one is passed on.
    """
    model = open_model(folder) if folder is not None else None
    worker, progress = Worker(spec, model), Progress(stream)
    result, metrics, stopping = None, {}, False
    worker.start()
    while True:
        try:
            worker.join(_REDRAW)
            poll = worker.poll()
            result = poll.result if poll.result is not None else result
            for tick in poll.ticks:
                metrics.update(tick.metrics)
                progress.show(tick)
            if poll.state in DONE:
                break
        except KeyboardInterrupt:
            if stopping:
                raise
            stopping = True
            worker.cancel()
    progress.end()
    run = Run.of(worker, result, poll.error, metrics)
    if result is not None:
        write_npz(out, result, spec, run.provenance())
    return run, poll.error


def cache_to_file(
    folder: str, prompt: str | list[int], bos: str, names: Sequence[str], out: Path
) -> str:
    """One forward pass; `tokens`, `logits` and activations without the batch axis go to a file."""
    model = open_model(folder)
    try:
        keep = chooser(names or "all", model.hooks(), optional_axes(model.config))
    except RunError as error:
        raise SpecError("--names", str(error)) from None
    run = model.forward(model.tokens(prompt, bos), names=keep)
    arrays = {"tokens": run.tokens[0], "logits": run.logits[0]}
    arrays |= {name: value[0] for name, value in run.cache.items()}
    write_arrays(out, arrays)
    return f"{len(run.cache)} activations of {run.tokens.shape[1]} tokens"


def about_model(folder: str) -> dict[str, Any]:
    """A model's architecture, sizes and self-check as JSON values.

    JSON has no infinity (a mask value may be one): it becomes null.
    """
    found = peek(folder)
    check = self_check(open_model(folder))
    about = {
        "name": found.name,
        "architecture": found.config.architecture,
        "folder": str(found.folder),
        "parameters": found.n_params,
        "file_bytes": found.file_bytes,
        "memory_bytes": found.memory_bytes,
        "config": found.config,
        "self_check": {
            "passed": check.passed,
            "worst": check.worst,
            "summary": check.sentence,
            "checks": [{**vars(one), "passed": one.passed} for one in check.checks],
        },
    }
    return msgspec.json.decode(msgspec.json.encode(about, enc_hook=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON value")


class Progress:
    """Where a run stands and how long it will take, for a person who watches or reads a log."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.live = stream.isatty()
        self.last = time.monotonic()
        self.drawn = False

    def show(self, tick: Tick) -> None:
        """Tell of this update, unless the last one was told just now."""
        now = time.monotonic()
        if now - self.last < (_REDRAW if self.live else _SPARSE):
            return
        self.last = now
        text = f"{tick.step}/{tick.total or '?'}"
        if tick.total:
            share = min(1.0, tick.step / tick.total)
            bar = "#" * round(_BAR * share)
            left = tick.seconds * (1 - share) / share if share else 0.0
            text = f"[{bar:<{_BAR}}] {text} {share:4.0%}, {_clock(left)} left"
        text += "".join(f"  {name} {value:.4g}" for name, value in tick.metrics.items())
        text = f"{text}  {tick.note}".rstrip()
        self.stream.write(f"\r\x1b[K{text[:_LINE]}" if self.live else f"{text}\n")
        self.stream.flush()
        self.drawn = self.live

    def end(self) -> None:
        """Leave the terminal's line empty."""
        if self.drawn:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
    )

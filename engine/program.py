"""This program as a file on disk: whether it is the packaged one, and what it can start."""

from __future__ import annotations

import runpy
import shutil
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

from engine.errors import FileError, RunError, SpecError


def frozen() -> bool:
    """Whether this is the packaged program, with an interpreter and libraries of its own."""
    return bool(getattr(sys, "frozen", False))


def command() -> list[str]:
    """The words before the arguments that start this same program again."""
    return [sys.executable] if frozen() else [sys.executable, "-m", "engine.cli"]


def spoken() -> str:
    """What starts its commands in a terminal: its name, or its file where no path leads to it."""
    if not frozen() or shutil.which("mechanoscope"):
        return "mechanoscope"
    own = Path(sys.executable)
    with_console = own.with_name("mechanoscope-cli.exe")  # Windows: the other one cannot print
    return str(with_console if with_console.is_file() else own)


def run_script(file: str, arguments: Sequence[str]) -> int:
    """Run a Python file as `python FILE ...` would, and give its exit code.

    What the engine refuses is raised; any other error is its author's to read: the whole of it.
    """
    before, sys.argv = sys.argv, [file, *arguments]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            runpy.run_path(file, run_name="__main__")
    except (SpecError, RunError, FileError):
        raise
    except SystemExit as done:
        if done.code is None or isinstance(done.code, int):
            return done.code or 0
        sys.stderr.write(f"{done.code}\n")
        return 1
    except Exception:  # noqa: BLE001  (as an interpreter does: the whole of it)
        traceback.print_exc()
        return 1
    finally:
        sys.argv = before
    return 0

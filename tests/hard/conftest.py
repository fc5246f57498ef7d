"""Hard trials: each has a short form in `make test` and its whole length in `make hard`.

Every trial draws from one seed. `make hard` takes a new one each time and prints it; the variable
MECHANOSCOPE_SEED repeats a trial, MECHANOSCOPE_CASE one case of it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hard import work

SHORT_SEED = 3  # of the short forms: the gate tries the same cases every time


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a figure of a hard trial, captured output or not; a short form says nothing."""
    plugins = request.config.pluginmanager
    reporter: Any = plugins.getplugin("terminalreporter")
    capture: Any = plugins.getplugin("capturemanager")
    hard = request.node.get_closest_marker("hard") is not None

    def line(text: str) -> None:
        if hard:
            with capture.global_and_fixture_disabled():
                reporter.write_line(f"\n  {text}")  # after the dots of the tests before

    return line


@pytest.fixture
def seed(request: pytest.FixtureRequest, say: Callable[[str], None]) -> int:
    """The seed of this trial: given, new in `make hard`, the same one in `make test`."""
    given = os.environ.get("MECHANOSCOPE_SEED")
    hard = request.node.get_closest_marker("hard") is not None
    chosen = int(given) if given else secrets.randbelow(1 << 31) if hard else SHORT_SEED
    say(f"{request.node.name}: MECHANOSCOPE_SEED={chosen}")
    return chosen


@pytest.fixture(scope="session")
def model():
    """The bundled model, opened once."""
    return work.model()


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory, data: Path) -> list[Path]:
    """Whole session files to begin from: made now, left by a crash, and of every format."""
    folder = tmp_path_factory.mktemp("bases")
    return [*work.sessions(folder), *sorted((data / "sessions").glob("*.mscope"))]

"""What a technique promises: limits, JSON, live changes that replay, a table of kinds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import technique
from engine.technique import (
    Ref,
    RunError,
    SpecError,
    Technique,
    Update,
    array,
    describe,
    from_json,
    kinds,
    param,
    to_json,
)


@dataclass(frozen=True)
class _WalkResult:
    path: npt.NDArray[np.float64] = array("step", "where the walk was")


@dataclass(frozen=True, kw_only=True)
class _Walk(Technique):
    """A random walk whose stride may change on the way."""

    Result: ClassVar[type] = _WalkResult
    title: ClassVar[str] = "Walk"
    version: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ()

    n: int = param(6, "number of steps", low=1, high=100)
    stride: float = param(1.0, "standard deviation of a step", low=0.0, live=True)
    seed: int = param(0, "of the random numbers", role="seed")
    layers: tuple[int, ...] = param((), "which layers", low=0, high=11)
    mode: str = param("up", "which way", choices=("up", "down"))
    prompt: str | tuple[int, ...] = param("", "text or ids", role="prompt")
    start: Ref | None = param(None, "where to begin")

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        spec, at, path = self, 0.0, []
        rng = np.random.default_rng(self.seed)
        for step in range(1, self.n + 1):
            at += spec.stride * rng.standard_normal()
            path.append(at)
            change = yield Update(step, self.n, lambda: _WalkResult(np.array(path)), {"at": at})
            spec = change or spec

    @classmethod
    def upgrade(cls, spec: dict[str, Any], version: int) -> dict[str, Any]:
        return {("n" if name == "count" else name): value for name, value in spec.items()}


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch) -> type[_Walk]:
    """The walk as a kind among the others, for one test."""
    monkeypatch.setitem(technique._KINDS, "_Walk", _Walk)
    return _Walk


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n", 0, "n: 0 is below 1"),
        ("n", 101, "n: 101 is above 100"),
        ("stride", float("nan"), "stride: nan is not a finite number"),
        ("stride", float("inf"), "stride: inf is not a finite number"),
        ("layers", (3, 12), "layers: 12 is above 11"),
        ("mode", "left", "mode: 'left' is not one of 'up', 'down'"),
    ],
)
def test_a_value_out_of_its_limits_is_refused_by_name(
    field: str, value: object, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        _Walk(**{field: value})  # pyright: ignore[reportArgumentType]
    assert str(caught.value) == message
    assert caught.value.field == field


@pytest.mark.parametrize(
    "spec",
    [
        _Walk(),
        _Walk(n=3, stride=0.5, layers=(1, 2), mode="down", prompt="The cat"),
        _Walk(prompt=(5, 6), start=Ref("direction", "ab12", "/somewhere")),
    ],
)
def test_a_spec_survives_json(walk: type[_Walk], spec: _Walk) -> None:
    assert from_json(json.loads(json.dumps(to_json(spec)))) == spec


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"n": "many"}, "n"),
        ({"n": 2.5}, "n"),
        ({"layers": ["first"]}, "layers"),
        ({"colour": "red"}, "colour"),
        ({"n": 0}, "n"),
        ({"version": 3}, "version"),
        ({"version": "new"}, "version"),
    ],
)
def test_json_that_does_not_fit_names_its_field(
    walk: type[_Walk], values: dict[str, Any], field: str
) -> None:
    with pytest.raises(SpecError) as caught:
        from_json(values, "_Walk")
    assert caught.value.field == field


def test_fields_of_an_older_version_are_brought_up_to_date(walk: type[_Walk]) -> None:
    assert from_json({"kind": "_Walk", "version": 1, "count": 4}) == _Walk(n=4)


def test_the_same_spec_gives_the_same_bits() -> None:
    np.testing.assert_array_equal(_Walk(seed=3).run(None).path, _Walk(seed=3).run(None).path)


def test_live_changes_replay_to_the_same_bits() -> None:
    spec = _Walk()
    generator = spec.steps(None)
    last = next(generator)
    last = generator.send(None)
    with pytest.raises(StopIteration):
        last = generator.send(spec.changed({"stride": 10.0}))
        while True:
            last = generator.send(None)
    replayed = spec.run(None, changes=[(2, {"stride": 10.0})])
    np.testing.assert_array_equal(replayed.path, last.snapshot().path)
    assert not np.array_equal(replayed.path, spec.run(None).path)


def test_two_changes_at_one_step_are_both_made() -> None:
    once = _Walk().run(None, [(2, {"stride": 5.0}), (2, {"stride": 7.0})])
    np.testing.assert_array_equal(once.path, _Walk().run(None, [(2, {"stride": 7.0})]).path)


def test_a_change_that_is_never_reached_is_an_error() -> None:
    with pytest.raises(RunError, match="step 99"):
        _Walk().run(None, [(99, {"stride": 2.0})])


def test_a_field_that_is_not_live_cannot_change_on_the_way() -> None:
    with pytest.raises(SpecError, match="n: cannot change while the run goes on"):
        _Walk().changed({"n": 5})


def test_a_run_without_an_update_is_an_error() -> None:
    class _Silent(_Walk):
        def steps(self, model: Any) -> Generator[Update, Self | None, None]:
            yield from ()

    with pytest.raises(RunError, match="made no update"):
        _Silent().run(None)


def test_a_private_technique_is_not_offered() -> None:
    assert not [kind for kind in kinds() if kind.startswith("_")]


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RunError, match=r"no technique is called 'Lens'; there are .*LogitLens"):
        technique.of("Lens")


@pytest.mark.parametrize("kind", kinds())
def test_every_technique_describes_itself_in_json(kind: str) -> None:
    about = json.loads(json.dumps(describe(kind)))
    assert about["title"]
    assert about["summary"]
    assert about["result"]
    for entry in about["fields"]:
        assert entry["help"], entry
    for entry in about["result"]:
        assert {"name", "axes", "help"} <= entry.keys(), entry


def test_the_engine_knows_no_window(project: Path) -> None:
    code = (
        "import pkgutil, sys, importlib, engine\n"
        "for module in pkgutil.walk_packages(engine.__path__, 'engine.'):\n"
        "    importlib.import_module(module.name)\n"
        "qt = ('PySide6', 'shiboken6', 'pyqtgraph', 'gui')\n"
        "sys.exit(str([name for name in qt if name in sys.modules]) if any(\n"
        "    name in sys.modules for name in qt) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

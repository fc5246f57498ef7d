"""Sweeps: the same bits wherever a cell is computed; death, Stop and bad values in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import technique
from engine.errors import Cancelled, FileError, RunError, SpecError
from engine.model import open_model, weights_digest
from engine.refs import Ref
from engine.sweep import (
    Factory,
    Lost,
    Sweep,
    executor_of,
    model_ref,
    processes,
)
from engine.worker import Worker
from tests.engine.sweeping import FOUR, GRID, PATIENCE, PROMPT, _Bowl, assert_same, is_gone, until

# --- what comes out ------------------------------------------------------------------------------


def test_every_cell_is_the_technique_run_alone() -> None:
    sweep = Sweep(_Bowl(seed=4), GRID, seeds=2)
    found = sweep.run()
    assert sweep.shape == (3, 2, 2)
    assert found.seeds == (4, 5)
    assert found.grid == GRID
    assert list(found.values) == ["bottom", "depth", "loss"]
    for at in np.ndindex(3, 2, 2):
        spec = _Bowl(x=GRID["x"][at[0]], width=GRID["width"][at[1]], seed=4 + at[2])
        alone = replace(spec).run(None)
        np.testing.assert_allclose(found.values["bottom"][at], alone.bottom[0], rtol=1e-5)
        assert found.values["depth"][at] == pytest.approx(alone.depth, rel=1e-5)
        assert found.values["loss"][at] == pytest.approx(alone.curve[-1], rel=1e-5)
    assert np.isfinite(found.seconds).all()
    assert found.made_by[0].startswith("mechanoscope ")


@pytest.mark.parametrize("factory", [processes(2), lambda: ThreadPoolExecutor(1)])
def test_every_executor_gives_the_same_bits(factory: Factory) -> None:
    sweep = Sweep(_Bowl(), GRID, seeds=2)
    assert_same(sweep.run(), replace(sweep, executor=factory).run())


def test_a_sweep_says_what_it_is_in_python() -> None:
    sweep = Sweep(
        _Bowl(), {"x": np.linspace(0, 1, 3), "ends": [[1], []]}, seeds=(3, 5), keep="results"
    )
    assert sweep.grid == {"x": (0.0, 0.5, 1.0), "ends": ((1.0,), ())}
    assert repr(sweep) == (
        f"Sweep(spec={_Bowl()!r}, grid={{'x': (0.0, 0.5, 1.0), 'ends': ((1.0,), ())}}, "
        "seeds=(3, 5), model=None, keep='results')"
    )
    assert replace(sweep, executor=processes(2)) == sweep


def test_updates_hold_the_arrays_so_far() -> None:
    steps = Sweep(_Bowl(), FOUR).steps()
    shown = {}
    for update in steps:
        shown.setdefault(update.step, update.snapshot())
        assert update.total == 4
    assert sorted(shown) == [0, 1, 2, 3, 4]
    assert shown[0].values == {}
    for done, result in shown.items():
        assert result.finished == done
        if done:
            assert np.isfinite(result.values["loss"]).sum() == done
            assert result.values["loss"] is not shown[4].values["loss"] or done == 4


def test_whole_results_are_kept_on_demand() -> None:
    found = Sweep(_Bowl(), {"x": (1.0, 2.0)}, seeds=2, keep="results", executor=processes(1)).run()
    assert list(found.results) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    np.testing.assert_array_equal(
        found.arrays()["result.curve"][1, 0], found.results[1, 0].curve
    )  # [*grid, seed, step]
    several = Sweep(_Bowl(), {"n": (1, 2)}, keep="results").run()
    assert "result.curve" not in several.arrays()
    assert several.arrays()["result.depth"].shape == (2, 1)


def test_a_cell_whose_science_goes_wrong_is_listed_and_the_sweep_goes_on() -> None:
    for factory in (None, processes(2)):
        found = Sweep(_Bowl(ends=(2.0,)), FOUR, keep="results", executor=factory).run()
        assert [entry.index for entry in found.failures] == [(1, 0)]
        assert found.failures[0].cell == "x=2.0, seed=0"
        assert found.failures[0].message == "loss is NaN at step 1; lower lr"
        np.testing.assert_array_equal(np.isnan(found.values["loss"][:, 0]), [0, 1, 0, 0])
        np.testing.assert_array_equal(np.isnan(found.arrays()["result.depth"][:, 0]), [0, 1, 0, 0])


@pytest.mark.parametrize("factory", [None, processes(1)])
def test_a_bug_ends_the_sweep_and_names_the_cell(factory: Factory | None) -> None:
    worker = Worker(work=Sweep(_Bowl(ends=(3.0,), how="bug"), FOUR, executor=factory).run)
    worker.start()
    assert worker.join(PATIENCE)
    poll = worker.poll()
    assert poll.state == "failed"
    assert isinstance(poll.error, RuntimeError | KeyError)
    assert not isinstance(poll.error, RunError)
    assert "a bug" in str(poll.error)
    assert poll.result.finished == 2


# --- models --------------------------------------------------------------------------------------


def test_a_model_travels_as_a_reference(data: Path) -> None:
    ref = model_ref(data / "families" / "gpt2-tied")
    assert ref.digest == weights_digest(open_model(ref.where))
    spec = technique.of("LogitLens")(prompt=(1, 2, 3))
    sweep = Sweep(spec, {"top_k": (1, 2), "prompt": ((1, 2), (3,))}, model=ref, keep="results")
    here, there = sweep.run(), replace(sweep, executor=processes(2)).run()
    assert here.finished == 4
    for at, one in here.results.items():
        np.testing.assert_array_equal(one.kl, there.results[at].kl)
        assert one.top_ids.shape[-1] == at[0] + 1


@pytest.mark.parametrize("factory", [None, processes(1)])
def test_another_model_in_its_place_ends_the_sweep(factory: Factory | None, copy: Any) -> None:
    ref = model_ref(copy("gpt2-tied"))
    spec = technique.of("LogitLens")(prompt=(1, 2, 3))
    sweep = Sweep(spec, {"top_k": (1, 2)}, model=ref, executor=factory)
    copy("gpt2-tied", layer_norm_epsilon=1e-3)
    with pytest.raises(RunError, match=r"has changed: its digest is now"):
        sweep.run()
    with pytest.raises((RunError, FileError), match="-gone"):
        replace(sweep, model=Ref("model", ref.digest, ref.where + "-gone")).run()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "field", "words"),
    [
        ({"grid": {"x": (1.0, 20.0)}}, "x", "20.0 is above 10.0 (in the cell x=20.0, seed=0)"),
        ({"grid": {"x": (1.0, "a")}}, "x", "'a' is not number"),
        ({"grid": {"x": (float("nan"),)}}, "x", "nan is not a finite number"),
        ({"grid": {"width": (1.5,)}}, "width", "1.5 is not integer"),
        ({"grid": {"width": (True,)}}, "width", "True is not integer"),
        ({"grid": {"x": ()}}, "x", "the list of values is empty"),
        ({"grid": {"x": 1.0}}, "x", "1.0 is no list of values"),
        ({"grid": {"how": "run"}}, "how", "'run' is no list of values"),
        ({"grid": {"x": (1.0, 2.0, 1)}}, "x", "1 stands twice"),
        ({"grid": {"y": (1.0,)}}, "y", "_Bowl has no such field; it has x, width"),
        ({"grid": {"steps": (1.0,)}}, "steps", "_Bowl has no such field"),
        ({"grid": {"Result": (1.0,)}}, "Result", "_Bowl has no such field"),
        ({"seeds": 0}, "seeds", "0 is not a number of seeds"),
        ({"seeds": True}, "seeds", "True is not a number of seeds"),
        ({"seeds": (1, 1)}, "seed", "1 stands twice"),
        ({"seeds": (-1,)}, "seed", "-1 is below 0"),
        ({"grid": {"seed": (1, 2)}, "seeds": 2}, "seeds", "the grid gives them already"),
        ({"grid": {"x": np.linspace(0, 1, 400), "n": range(1, 400)}}, "grid", "159,600 cells are"),
        ({"seeds": 10**9}, "grid", "more than a sweep takes"),
        ({"keep": "all"}, "keep", "'all' is not metrics or results"),
        ({"model": Ref("model", "")}, "model", "_Bowl reads no model"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(
    more: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        Sweep(_Bowl(), **{"grid": {"x": (1.0,)}, **more})
    assert caught.value.field == field
    assert words in caught.value.message


def test_a_technique_that_is_not_seeded_takes_one_seed() -> None:
    spec, ref = technique.of("LogitLens")(prompt=(1,)), Ref("model", "")
    assert Sweep(spec, {"top_k": (1, 2)}, model=ref).shape == (2, 1)
    with pytest.raises(SpecError, match="LogitLens has no field seed"):
        Sweep(spec, {"top_k": (1, 2)}, 2, model=ref)
    with pytest.raises(SpecError, match="LogitLens reads a model"):
        Sweep(spec, {"top_k": (1, 2)})


@pytest.mark.parametrize(
    ("text", "workers"),
    [("threads", 0), ("", 0), ("dask://", 0), ("dask://a", 0), ("dask://a:99999", 0),
     ("dask://me@a:1/x", 0), ("processes", -1), ("processes", 10**6), ("inline", 2),
     ("dask://a:1", 2)],
)  # fmt: skip
def test_an_executor_is_one_of_three(text: str, workers: int) -> None:
    with pytest.raises(SpecError):
        executor_of(text, workers)


# --- processes that die --------------------------------------------------------------------------


def test_a_cell_that_kills_its_process_once_is_begun_again(tmp_path: Path) -> None:
    dying = _Bowl(ends=(2.0, 4.0), how="once", place=str(tmp_path))
    found = Sweep(dying, FOUR, seeds=2, executor=processes(2)).run()
    assert found.failures == ()
    assert found.finished == 8
    calm = replace(dying, ends=(), place="")
    assert_same(found, Sweep(calm, FOUR, seeds=2).run())


def test_a_cell_that_always_kills_its_process_is_named(tmp_path: Path) -> None:
    dying = _Bowl(ends=(3.0,), how="always", place=str(tmp_path))
    with pytest.raises(Lost, match=r"the cell x=3.0, seed=0 lost its process 3 times") as caught:
        Sweep(dying, FOUR, executor=processes(2)).run()
    assert Path(tmp_path, "died at 3.0").read_text() == "xxx"
    kept: Any = caught.value
    assert np.isfinite(kept.partial_result.values["loss"][:2, 0]).all()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_processes_killed_from_outside_are_replaced(tmp_path: Path) -> None:
    spec = _Bowl(n=10, pause=0.02, place=str(tmp_path))
    worker = Worker(work=Sweep(spec, FOUR, seeds=2, executor=processes(2)).run)
    worker.start()
    until(lambda: list(tmp_path.glob("*.pid")))
    for file in tmp_path.glob("*.pid"):
        os.kill(int(file.stem), 9)
    assert worker.join(PATIENCE)
    assert worker.poll().result.finished == 8


# --- Stop ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("factory", [None, processes(2)])
def test_stop_is_prompt_keeps_what_is_finished_and_leaves_no_process(
    factory: Factory | None, tmp_path: Path
) -> None:
    spec = _Bowl(width=2, n=1, place=str(tmp_path))
    slow = {"pause": (0.0, 0.01, 60.0, 61.0, 62.0)}
    if factory is None:  # here a cell hears of Stop at its next update
        spec, slow = replace(spec, n=100_000), {"pause": (0.001, 0.002)}
    worker = Worker(work=Sweep(spec, slow, executor=factory).run)
    worker.start()
    done = {0}
    if factory is not None:
        until(lambda: done.update(t.step for t in worker.poll().ticks) or max(done) == 2)
        until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    pressed = time.perf_counter()
    worker.cancel()
    assert worker.join(PATIENCE)
    assert time.perf_counter() - pressed < PROMPT
    poll = worker.poll()
    assert poll.state == "cancelled"
    assert poll.result.finished == max(done)
    pids = [int(file.stem) for file in tmp_path.glob("*.pid") if factory is not None]
    until(lambda: all(map(is_gone, pids)))


def test_stop_reaches_into_a_model(data: Path) -> None:
    def watch() -> None:
        calls.append(1)
        if len(calls) > 40:
            raise Cancelled

    calls: list[int] = []
    spec = technique.of("LogitLens")(prompt=(1, 2, 3))
    sweep = Sweep(spec, {"top_k": (1, 2)}, model=model_ref(data / "families" / "gpt2-tied"))
    with pytest.raises(Cancelled):
        sweep.run(watch)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are listed in /proc")
def test_processes_end_with_the_one_that_made_them(tmp_path: Path, project: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from engine.sweep import Sweep, processes\n"
        "from tests.engine.sweeping import _Bowl\n"
        "if __name__ == '__main__':\n"
        f"    spec = _Bowl(pause=60.0, place={str(tmp_path)!r})\n"
        "    Sweep(spec, {'x': (1.0, 2.0)}, executor=processes(2)).run()\n"
    )
    path = {"PYTHONPATH": str(project)}
    parent = subprocess.Popen([sys.executable, script], env=os.environ | path, cwd=tmp_path)
    until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
    parent.kill()
    parent.wait()
    until(lambda: all(is_gone(int(file.stem)) for file in tmp_path.glob("*.pid")))


# --- clusters ---------------------------------------------------------------------------------


def test_without_the_extra_a_cluster_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RunError, match=r"pip install 'mechanoscope\[dask\]'"):
        Sweep(_Bowl(), FOUR, executor=executor_of("dask://127.0.0.1:8786")).run()

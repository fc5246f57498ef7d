"""`mechanoscope sweep`: the arrays in the file, exit codes, one line, Ctrl-C in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine import cli, technique
from engine.sweep import Sweep
from tests.engine.sweeping import PATIENCE, _Bowl, is_gone, until

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(technique._KINDS, "_Bowl", _Bowl)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.npz"


def test_a_sweep_writes_its_arrays_its_axes_and_what_made_them(out: Path, capsys: Captured) -> None:
    words = ["sweep", "_Bowl", "--set", "width=50", "--grid", "x=[1, 2]", "--grid", "n=[2,3,4]"]
    assert cli.main([*words, "--seeds", "2", "--workers", "2", "--out", str(out)]) == 0
    assert capsys.readouterr().err.endswith("out.npz: 12 of 12 cells\n")
    expected = Sweep(_Bowl(width=50), {"x": (1.0, 2.0), "n": (2, 3, 4)}, seeds=2).run()
    with np.load(out) as stored:
        for name in ("loss", "bottom", "depth"):
            np.testing.assert_array_equal(stored[name], expected.values[name])
        np.testing.assert_array_equal(stored["grid.x"], [1.0, 2.0])
        np.testing.assert_array_equal(stored["grid.seed"], [0, 1])
        assert technique.from_json(json.loads(str(stored["sweep"]))["spec"]) == _Bowl(width=50)
        made = json.loads(str(stored["provenance"]))
    assert (made["status"], made["executor"], made["blas_threads"]) == ("finished", "processes", 1)
    assert made["made_by"] == list(expected.made_by)


def test_a_sweep_reads_a_model(out: Path, data: Path, capsys: Captured) -> None:
    folder = str(data / "families" / "gpt2-tied")
    words = ["sweep", "LogitLens", "--model", folder, "--grid", "prompt=[[1, 2], [3, 4]]"]
    words += ["--executor", "inline", "--out", str(out)]
    assert cli.main(words) == 0
    assert "nothing in them is one number: add --keep results" in capsys.readouterr().err
    assert cli.main([*words, "--keep", "results"]) == 0
    with np.load(out) as stored:
        assert stored["result.kl"].shape[:2] == (2, 1)
        told = json.loads(str(stored["sweep"]))
        assert json.loads(str(stored["grid.prompt"][0])) == [1, 2]
    assert told["model"]["where"] == str(Path(folder).resolve())
    assert len(told["model"]["digest"]) == 64


def test_failed_cells_are_told_and_all_failed_is_exit_code_1(out: Path, capsys: Captured) -> None:
    words = ["sweep", "_Bowl", "--set", "ends=[1, 2]", "--executor", "inline", "--out", str(out)]
    assert cli.main([*words, "--grid", "x=[1, 3]"]) == 0
    said = capsys.readouterr().err
    assert "1 of 2 cells, 1 failed; the first one, x=1.0, seed=0: loss is NaN at step 1" in said
    with np.load(out) as stored:
        assert list(stored["cell.failures"]) == ["x=1.0, seed=0: loss is NaN at step 1; lower lr"]
    assert cli.main([*words, "--grid", "x=[1, 2]"]) == 1
    assert "0 of 2 cells, 2 failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid", "x=[1, 20]"], "x: 20.0 is above 10.0"),
        (["--grid", "x"], "--grid: x: write it as field=[value, value]"),
        (["--grid", "x=1"], "--grid: x=1: write it as field=[value, value]"),
        (["--grid", "x=[1"], "--grid: x=[1: write it as field=[value, value]"),
        (["--grid", "x=[NaN]"], "x: nan is not a finite number"),
        (["--grid", "x=[1]", "--grid", "x=[2]"], "--grid: x is there twice"),
        (["--grid", "y=[1]"], "y: _Bowl has no such field"),
        (["--grid", 'x=["one"]'], "x: 'one' is not number"),
        (["--seeds", "0"], "seeds: 0 is not a number of seeds"),
        (["--seeds", "one"], "argument --seeds: invalid int value"),
        (["--executor", "threads"], "executor: 'threads' is not inline, processes or dask"),
        (["--workers", "-1"], "workers: -1 is not between 0"),
        (["--model", "."], "_Bowl reads no model"),
        (["--out", "no/out.npz"], "--out no/out.npz: its folder does not exist"),
    ],
)
def test_wrong_words_are_exit_code_2_and_one_line(
    words: list[str], message: str, out: Path, capsys: Captured
) -> None:
    assert cli.main(["sweep", "_Bowl", "--out", str(out), *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert message in said.err
    assert not out.exists()


def test_the_help_says_that_a_cluster_can_run_any_code(capsys: Captured) -> None:
    assert cli.main(["sweep", "--help"]) == 0
    assert "can run any code" in " ".join(capsys.readouterr().out.split())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, out: Path, project: Path) -> None:
    script = tmp_path / "script.py"
    words = ["sweep", "_Bowl", "--set", f"place={tmp_path}", "--set", "n=1", "--set", "width=2"]
    words += ["--grid", "pause=[0, 60, 61]", "--workers", "2", "--out", str(out)]
    script.write_text(
        "from engine import cli, technique\n"
        "from tests.engine.sweeping import _Bowl\n"
        "technique._KINDS['_Bowl'] = _Bowl\n"
        "if __name__ == '__main__':\n"
        f"    raise SystemExit(cli.main({words!r}))\n"
    )
    running = subprocess.Popen(
        [sys.executable, script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(project)},
        start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: (tmp_path / "61.0.begun").exists())  # so the first cell is done
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: the workers hear it, too
    _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert "stopped; what was computed until then is in" in said
    assert "1 of 3 cells" in said
    assert said.count("\n") == 1, said
    with np.load(out) as stored:
        np.testing.assert_array_equal(np.isfinite(stored["loss"][:, 0]), [1, 0, 0])
        assert json.loads(str(stored["provenance"]))["status"] == "cancelled"
    until(lambda: all(is_gone(int(file.stem)) for file in tmp_path.glob("*.pid")))

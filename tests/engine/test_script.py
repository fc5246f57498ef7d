"""Exports: a script or command that is executed gives the same arrays to the bit."""

from __future__ import annotations

import ast
import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import cli, technique
from engine.export import (
    to_command,
    to_notebook,
    to_notebooks,
    to_script,
    to_scripts,
)
from engine.model import Intervention, open_model, weights_digest
from engine.session import ModelRef, Run, Session, pack
from engine.technique import Ref, Technique, Update, array, kinds, param
from engine.worker import Worker

EXAMPLES: dict[str, Any] = {
    "clean": (1, 2, 3, 4),
    "corrupted": (1, 5, 3, 4),
    "answer": 3,
    "wrong": 7,
}
"""What a technique's field of this role is set to, so that it has something to run on."""


@dataclass(frozen=True)
class _DriftResult:
    path: npt.NDArray[np.float64] = array("step", "where it was")
    names: tuple[str, ...] = array("step", "texts")
    title: str = array("", "a text")
    nothing: float | None = array("", "nothing")
    note: dict[str, int] = array("", "a table")


@dataclass(frozen=True, kw_only=True)
class _Drift(Technique):
    """A technique without a model, with every kind of field."""

    Result: ClassVar[type] = _DriftResult
    title: ClassVar[str] = "Drift"
    needs: ClassVar[tuple[str, ...]] = ()
    n: int = param(5, "steps")
    speed: float = param(0.1, "metres per step", live=True)
    text: str = param("", "any text")
    prompt: str | tuple[int, ...] = param("", "text or ids")
    flag: bool = param(False, "yes or no")
    answer: str | int | None = param(None, "a token")
    start: Ref | None = param(None, "where to begin")

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        spec, path = self, [0.0]
        for step in range(1, self.n + 1):
            path.append(path[-1] + spec.speed)
            names = tuple(f"{self.text}{index}" for index in range(step))
            change = yield Update(
                step, self.n, lambda n=names: _DriftResult(np.array(path), n, "é", None, {"a": 1})
            )
            spec = change or spec


def example(cls: type[Technique]) -> Technique:
    """A spec of any technique that can run on a small model."""
    values = {
        item.name: EXAMPLES[item.metadata["role"]]
        for item in fields(cls)
        if item.metadata["role"] in EXAMPLES
    }
    return cls(**{**cls.quick, **values})


LIVE: dict[str, Any] = {"importance_decay": 0.8}
"""What a live field of this name is changed to, where doubling its value would not do."""


def changes_of(spec: Technique, model: Any) -> list[tuple[int, dict[str, Any]]]:
    """A change of every live field at the first step; most techniques have none."""
    change = {
        item.name: LIVE.get(item.name, getattr(spec, item.name) * 2)
        for item in fields(spec)
        if item.metadata.get("live")
    }
    return [(next(spec.steps(model)).step, change)] if change else []


def recorded(spec: Technique, folder: Path) -> Run:
    """A run of a spec, with a live change and an intervention where it takes such."""
    zero = (Intervention("blocks.0.hook_attn_out", positions=(1, 2)),)
    model = open_model(folder) if spec.needs else None
    interventions = zero if model is not None and spec.takes_interventions else ()
    worker = Worker(spec, model, interventions=interventions, replay=changes_of(spec, model))
    worker.start()
    assert worker.join(60.0)
    poll = worker.poll()
    assert poll.state == "finished", poll.error
    return Run.of(worker, poll.result)


def _execute(script: str, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "exported.py"
    file.write_text(script, encoding="utf-8")
    return runpy.run_path(str(file))


def _same(one: Any, other: Any) -> None:
    arrays, values = pack(one)
    others, other_values = pack(other)
    assert values == other_values
    assert arrays.keys() == others.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(value, others[name], err_msg=name)


@pytest.fixture(scope="module")
def folder(data: Path) -> Path:
    return data / "families" / "gpt2-tied"


@pytest.mark.parametrize("kind", kinds())
def test_every_technique_exports_a_script_that_gives_the_same_arrays(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    spec = example(kinds()[kind])
    script = to_script(spec, folder)
    done = _execute(script, tmp_path)
    assert done["spec"] == spec
    assert f"result = spec.run({'model' if spec.needs else 'None'})" in script
    _same(done["result"], spec.run(open_model(folder) if spec.needs else None))


@pytest.mark.parametrize("kind", kinds())
def test_every_technique_exports_a_command_that_gives_the_same_arrays(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    spec = example(kinds()[kind])
    out = tmp_path / "out.npz"
    program, *words = shlex.split(to_command(spec, folder, str(out)))
    assert program == "mechanoscope"
    assert cli.main(words) == 0
    arrays, _ = pack(spec.run(open_model(folder) if spec.needs else None))
    with np.load(out) as stored:
        for name, value in arrays.items():
            np.testing.assert_array_equal(stored[name], value, err_msg=name)


@pytest.mark.parametrize("kind", [*kinds(), "_Drift"])
def test_every_run_is_done_again_by_its_script_notebook_and_command(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(technique._KINDS, "_Drift", _Drift)  # the one with a live field
    run = recorded(example(kinds()[kind]), folder)
    assert run.changes or kind != "_Drift"
    _same(_execute(to_script(run), tmp_path)["result"], run.result)
    _same(_cells(to_notebook(run), tmp_path)["result"], run.result)
    out = tmp_path / "out.npz"
    assert cli.main(shlex.split(to_command(run, out=str(out)))[1:]) == 0
    arrays, _ = pack(run.result)
    with np.load(out) as stored:
        for name, value in arrays.items():
            np.testing.assert_array_equal(stored[name], value, err_msg=name)
        again = json.loads(str(stored["provenance"]))
    told = json.loads(json.dumps(run.provenance()))
    assert (again["changes"], again["interventions"]) == (told["changes"], told["interventions"])


@pytest.mark.parametrize("kind", [*kinds(), "_Drift"])
def test_two_runs_are_done_again_by_one_script_and_one_notebook(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(technique._KINDS, "_Drift", _Drift)
    spec = example(kinds()[kind])
    a, b = recorded(spec, folder), Run(spec=spec, model=recorded(spec, folder).model)
    plain = spec.run(open_model(folder) if spec.needs else None)  # no change, no intervention
    for done in (
        _execute(to_scripts((a, ""), (b, "")), tmp_path),
        _cells(to_notebooks((a, ""), (b, "")), tmp_path),
    ):
        _same(done["result_a"], a.result)
        _same(done["result_b"], plain)


def _cells(notebook: str, tmp_path: Path) -> dict[str, Any]:
    """The code cells of a notebook, one after the other in one namespace."""
    namespace: dict[str, Any] = {}
    for cell in json.loads(notebook)["cells"]:
        if cell["cell_type"] == "code":
            file = tmp_path / f"{cell['id']}.py"
            file.write_text("".join(cell["source"]), encoding="utf-8")
            namespace |= runpy.run_path(str(file), init_globals=namespace)
    return namespace


@pytest.mark.parametrize("kind", kinds())
def test_every_technique_comes_back_from_a_session(kind: str, folder: Path, tmp_path: Path) -> None:
    spec = example(kinds()[kind])
    model = open_model(folder)
    run = Run(spec=spec, result=spec.run(model), model=ModelRef.of(model))
    with Session.create(tmp_path / "a.mscope") as session:
        loaded = session.load(session.add(run))
    assert (loaded.spec, loaded.model) == (run.spec, run.model)
    _same(loaded.result, run.result)


def test_a_script_runs_in_a_process_of_its_own(folder: Path, tmp_path: Path, project: Path) -> None:
    spec = example(kinds()["LogitLens"])
    file, out = tmp_path / "exported.py", tmp_path / "out.npz"
    line = f"import numpy\nnumpy.save({str(out.with_suffix('.npy'))!r}, result.entropy)\n"
    file.write_text(to_script(spec, folder) + line, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", f"import runpy; runpy.run_path({str(file)!r})"],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    entropy = spec.run(open_model(folder)).entropy
    np.testing.assert_array_equal(np.load(out.with_suffix(".npy")), entropy)


def test_a_script_replays_live_changes_to_the_same_bits(tmp_path: Path) -> None:
    spec, changes = _Drift(n=6), [(2, {"speed": 0.7}), (4, {"speed": 0.3})]
    script = to_script(spec, changes=changes)
    assert "open_model" not in script
    _same(_execute(script, tmp_path)["result"], spec.run(None, changes))


def test_a_script_repeats_interventions(folder: Path, tmp_path: Path) -> None:
    spec = example(kinds()["LogitLens"])
    interventions = (Intervention("blocks.0.hook_attn_out", "scale", 0.5, positions=(1, 2)),)
    done = _execute(to_script(spec, folder, interventions=interventions), tmp_path)
    model = open_model(folder)
    _same(done["result"], spec.run(model.under(interventions)))
    assert not np.array_equal(done["result"].kl, spec.run(model).kl)


def test_a_run_brings_its_folder_changes_and_interventions(folder: Path, tmp_path: Path) -> None:
    spec = example(kinds()["LogitLens"])
    model = ModelRef("gpt2", "sha256:1", str(folder))
    zero = (Intervention("blocks.0.hook_attn_out"),)
    script = to_script(Run(spec=spec, model=model, interventions=zero))
    for line in to_script(spec, folder, interventions=zero).splitlines()[3:]:
        assert line in script
    told = to_script(Run(spec=_Drift(), changes=((1, {"speed": 1.0}),)))
    assert (
        told.splitlines()[-4:]
        == to_script(_Drift(), changes=[(1, {"speed": 1.0})]).splitlines()[-4:]
    )


def test_a_script_is_short_and_readable(tmp_path: Path) -> None:
    text = 'It\'s "quoted", \\n is no newline,\nthis is'
    spec = _Drift(text=text, prompt=(1, 2), start=Ref("direction", "ab", "C:\\temp"))
    script = to_script(spec)
    assert script.splitlines()[0].startswith('"""Drift: exported from Mechanoscope ')
    assert "    prompt=(1, 2),\n" in script
    assert len(to_script(_Drift()).splitlines()) < 15
    done = _execute(script, tmp_path)["spec"]
    assert (done, done.start.where) == (spec, "C:\\temp")


LONG = {
    "a text": _Drift(text="A long sentence, with commas. " * 40),
    "a text without blanks": _Drift(text="x" * 500),
    "characters that are written as escapes": _Drift(text="\U000e0001\udc80\n" * 60),
    "ids": _Drift(prompt=tuple(range(1000))),
    "a path": _Drift(start=Ref("prompt pairs", "a" * 64, "/a folder" * 30 + "/file.csv")),
}


@pytest.mark.parametrize("which", LONG)
def test_no_line_is_longer_than_100_columns(which: str, tmp_path: Path) -> None:
    spec = LONG[which]
    long = [(step, {"speed": 1.0 / step}) for step in range(1, 6)]
    script = to_script(spec, changes=long)
    assert max(map(len, script.splitlines())) <= 100
    assert _execute(script, tmp_path)["spec"] == spec


def test_what_a_stranger_wrote_stays_text_in_a_script(tmp_path: Path) -> None:
    evil = '"""\nraise SystemExit("run")\n"""\\'
    model = ModelRef(evil, evil)
    run = Run(spec=_Drift(), title=evil, model=model, versions={evil: evil}, started=evil)
    script = to_script(run)
    assert [type(node).__name__ for node in ast.parse(script).body[:1]] == ["Expr"]
    _execute(script, tmp_path)
    cells = _cells(to_notebook(run), tmp_path)
    assert cells["spec"] == _Drift()
    told = json.loads(to_notebook(Run(spec=_Drift(), title="<img src=x>")))["cells"][0]["source"]
    assert "<" not in re.sub(r"\\.", "", "".join(told))


def test_a_script_says_what_was_run_and_what_came_out(folder: Path, tmp_path: Path) -> None:
    run = recorded(example(kinds()["LogitLens"]), folder)
    told = ast.get_docstring(ast.parse(to_script(run))) or ""
    with Session.create(tmp_path / "a.mscope") as session:
        digest = session.load(session.add(run)).digest
    assert run.model is not None
    for part in (run.model.name, run.model.digest, digest, run.started, np.__version__):
        assert part in told
    stopped = to_script(replace(run, status="cancelled"))
    assert "was cancelled before its end" in stopped


def test_a_script_warns_if_the_folder_holds_another_model(folder: Path, tmp_path: Path) -> None:
    run = recorded(example(kinds()["LogitLens"]), folder)
    model = open_model(folder)
    for digest in (model.digest, weights_digest(model)):
        assert run.model is not None
        _execute(to_script(replace(run, model=replace(run.model, digest=digest))), tmp_path)
    for digest in ("header:" + "0" * 64, "0" * 64):
        script = to_script(replace(run, model=replace(run.model, digest=digest)))
        assert max(map(len, script.splitlines()[:-20])) <= 100
        with pytest.warns(UserWarning, match="holds another model than this run read"):
            _execute(script, tmp_path)


def test_a_notebook_is_one_for_every_reader() -> None:
    run = Run(spec=_Drift(), title="A | *first* look", note="line\nline")
    notebook = json.loads(to_notebook(run))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook.keys() == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert {"name", "display_name"} <= notebook["metadata"]["kernelspec"].keys()
    assert notebook["metadata"]["language_info"]["name"] == "python"
    kinds_of_cell = [cell["cell_type"] for cell in notebook["cells"]]
    assert kinds_of_cell == ["markdown", "code", "code", "code"]
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == 4
    for cell in notebook["cells"]:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell["id"])
        assert isinstance(cell["metadata"], dict)
        assert all(isinstance(line, str) for line in cell["source"])
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        more = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | more
        if more:
            assert (cell["execution_count"], cell["outputs"]) == (None, [])
    told = "".join(notebook["cells"][0]["source"])
    assert told.startswith("# A \\| \\*first\\* look\n")
    assert "| Note | line line |" in told


def test_the_last_cell_of_a_notebook_shows_the_arrays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _cells(to_notebook(_Drift(n=2)), tmp_path)
    shown = capsys.readouterr().out
    assert "path  float64 (3,)  where it was\n[0.  0.1 0.2]" in shown

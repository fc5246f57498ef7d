"""Exports: a script or command that is executed gives the same arrays to the bit."""

from __future__ import annotations

import json
import runpy
import shlex
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pytest

from engine import cli
from engine.errors import FileError
from engine.model import Intervention, open_model
from engine.script import read_value, to_command, to_script, write_arrays, write_npz
from engine.session import ModelRef, Run, Session, pack
from engine.technique import Ref, Technique, Update, array, kinds, param

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
    return cls(**values)


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
    run = Run(spec=spec, model=model, interventions=zero)
    assert to_script(run) == to_script(spec, folder, interventions=zero)
    assert to_script(Run(spec=_Drift(), changes=((1, {"speed": 1.0}),))) == to_script(
        _Drift(), changes=[(1, {"speed": 1.0})]
    )


def test_a_script_is_short_and_readable(tmp_path: Path) -> None:
    text = 'It\'s "quoted", \\n is no newline,\nthis is'
    spec = _Drift(text=text, prompt=(1, 2), start=Ref("direction", "ab", "C:\\temp"))
    script = to_script(spec)
    assert script.splitlines()[0].startswith('"""Drift: exported from Mechanoscope ')
    assert "    prompt=(1, 2),\n" in script
    assert max(map(len, to_script(_Drift()).splitlines())) <= 100
    assert _execute(script, tmp_path)["spec"] == spec


TEXTS = [
    "",
    "plain",
    " leading",
    "5",
    "5.5",
    "true",
    "null",
    '"quoted"',
    "[1, 2]",
    "a=b 'c'\n",
    "é",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["text", "prompt", "answer"])
def test_a_text_survives_the_command_line(name: str, text: str) -> None:
    spec = _Drift(**{name: text})  # pyright: ignore[reportArgumentType]
    words = shlex.split(to_command(spec))
    pairs = [words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--set"]
    read = {key: read_value(_Drift, key, value) for key, value in pairs}
    assert _Drift(**read) == spec


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n", "7", 7),
        ("speed", "7", 7.0),
        ("speed", "1e-3", 0.001),
        ("flag", "true", True),
        ("text", "7", "7"),
        ("text", '"7"', "7"),
        ("prompt", "[1, 2]", (1, 2)),
        ("prompt", "The cat", "The cat"),
        ("prompt", "7", "7"),
        ("answer", "7", 7),
        ("answer", '"7"', "7"),
        ("answer", "null", None),
        ("start", '{"kind": "sae", "digest": "ab"}', Ref("sae", "ab")),
    ],
)
def test_a_value_is_json_where_that_fits_the_field_and_text_else(
    name: str, text: str, value: object
) -> None:
    assert read_value(_Drift, name, text) == value


def test_an_npz_holds_every_field_the_spec_and_what_made_it(tmp_path: Path) -> None:
    spec, file = _Drift(n=2, text="x"), tmp_path / "out.npz"
    run = Run(spec=spec, result=spec.run(None))
    write_npz(file, run.result, spec, run.provenance())
    with np.load(file, allow_pickle=False) as stored:
        assert set(stored) == {"path", "names", "title", "note", "spec", "provenance"}
        np.testing.assert_array_equal(stored["path"], run.result.path)
        assert stored["names"].tolist() == ["x0", "x1"]
        assert stored["title"].shape == ()
        assert json.loads(str(stored["note"])) == {"a": 1}
        assert json.loads(str(stored["spec"]))["kind"] == "_Drift"
        assert json.loads(str(stored["provenance"]))["versions"]["numpy"] == np.__version__


def test_the_same_arrays_give_the_same_file(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3), "file": np.zeros(()), "blocks.0.hook_z": np.ones((2, 0))}
    for name in ("one", "two"):
        write_arrays(tmp_path / name, arrays)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with np.load(tmp_path / "one") as stored:
        assert {name: stored[name].shape for name in stored} == {
            name: value.shape for name, value in arrays.items()
        }


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "out.npz"
    write_arrays(file, {"a": np.arange(3)})
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        write_arrays(file, {"a": np.array([object()])})
    assert list(tmp_path.iterdir()) == [file]
    assert np.load(file)["a"].shape == (3,)
    with pytest.raises(FileError, match="its folder does not exist"):
        write_arrays(tmp_path / "nowhere" / "out.npz", {})
    with pytest.raises(FileError, match="it is a folder"):
        write_arrays(tmp_path, {})

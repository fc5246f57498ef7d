"""NPZ files: every field, the same bytes for the same arrays, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from engine.errors import FileError
from engine.export import write_arrays, write_npz
from engine.session import Run
from engine.technique import Technique, array


@dataclass(frozen=True)
class _MixResult:
    path: Any = array("step", "where it was")
    names: tuple[str, ...] = array("step", "texts")
    title: str = array("", "a text")
    nothing: float | None = array("", "nothing")
    note: dict[str, int] = array("", "a table")


@dataclass(frozen=True, kw_only=True)
class _Mix(Technique):
    Result: ClassVar[type] = _MixResult


def test_an_npz_holds_every_field_the_spec_and_what_made_it(tmp_path: Path) -> None:
    spec, file = _Mix(), tmp_path / "out.npz"
    run = Run(spec=spec, result=_MixResult(np.arange(3.0), ("x0", "x1"), "é", None, {"a": 1}))
    write_npz(file, run.result, spec, run.provenance())
    with np.load(file, allow_pickle=False) as stored:
        assert set(stored) == {"path", "names", "title", "note", "spec", "provenance"}
        np.testing.assert_array_equal(stored["path"], run.result.path)
        assert stored["names"].tolist() == ["x0", "x1"]
        assert stored["title"].shape == ()
        assert json.loads(str(stored["note"])) == {"a": 1}
        assert json.loads(str(stored["spec"]))["kind"] == "_Mix"
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


def test_lists_of_several_lengths_are_text_in_an_npz(tmp_path: Path) -> None:
    result = _MixResult(np.zeros(1), (), "", None, {})
    result = replace(result, names=(("a",), ("b", "c")))
    write_npz(tmp_path / "out.npz", result, _Mix())
    with np.load(tmp_path / "out.npz") as stored:
        assert json.loads(str(stored["names"])) == [["a"], ["b", "c"]]


def test_half_a_character_and_no_number_are_written_as_json_that_all_can_read(
    tmp_path: Path,
) -> None:
    about = {"error": "\udce9", "metrics": {"loss": float("nan")}}
    write_npz(tmp_path / "out.npz", _MixResult(np.zeros(1), (), "", None, {}), _Mix(), about)
    with np.load(tmp_path / "out.npz") as stored:
        text = str(stored["provenance"])
    assert json.loads(text) == {"error": "\udce9", "metrics": {"loss": None}}
    assert text.isascii()

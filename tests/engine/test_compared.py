"""Two runs as arrays, and what of a provenance may leave the machine."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from engine.compare import compare
from engine.export import shared, shared_spec, write_comparison
from engine.refs import Ref
from engine.session import ModelRef, Run
from engine.technique import Technique, array, param


@dataclass(frozen=True)
class _TwinsResult:
    tokens: np.ndarray = array("pos", "what was read")
    grid: np.ndarray = array("layer pos", "a grid")
    curve: np.ndarray = array("pos", "a curve")
    table: dict[str, int] | None = array("", "a table")


@dataclass(frozen=True, kw_only=True)
class _Twins(Technique):
    Result: ClassVar[type] = _TwinsResult
    title: ClassVar[str] = "Twins"
    data: Any = param(None, "a table of prompts")


def run(scale: float, n: int = 2) -> Run:
    result = _TwinsResult(
        np.arange(2), scale * np.ones((2, 2), np.float32), scale * np.ones(n), {"a": 1}
    )
    model = ModelRef(name=f"m{scale}", digest="0" * 64, folder="/somewhere/models/m")
    return Run(spec=_Twins(), result=result, model=model)


@pytest.fixture
def pair() -> tuple[Run, Run]:
    return run(1.0), run(3.0, 3)


def test_an_npz_of_two_runs_holds_both_and_their_difference(pair, tmp_path: Path) -> None:
    a, b = pair
    write_comparison(tmp_path / "x.npz", compare(a, b), a.provenance(), b.provenance())
    with np.load(tmp_path / "x.npz") as kept:
        assert np.array_equal(kept["grid_difference"], np.full((2, 2), 2.0))
        assert kept["grid_a"].dtype == np.float32
        assert np.array_equal(kept["grid_b"], b.result.grid)
        assert "tokens_difference" not in kept  # names, not amounts
        assert kept["curve_b"].shape == (3,)  # of another length: each as it is
        assert json.loads(str(kept["provenance"]))["b"]["model"]["name"] == "m3.0"


def test_a_csv_of_two_runs_names_both_on_top(pair, tmp_path: Path) -> None:
    a, b = pair
    file = tmp_path / "x.csv"
    write_comparison(file, compare(a, b), a.provenance(), b.provenance())
    lines = file.read_text("utf-8").splitlines()
    assert any(line.startswith("# A, Model: m1.0") for line in lines)
    assert any(line.startswith("# B, Model: m3.0") for line in lines)
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    found = [float(row["value"]) for row in rows if row["field"] == "grid_difference"]
    assert found == [2.0] * 4


def test_what_is_shared_names_no_folder(pair) -> None:
    ref = Ref("prompts", "1" * 64, "/somewhere/secret/table.csv")
    spec = _Twins(data=ref)
    about = replace(pair[0], spec=spec, inputs={"row 3": ref}).provenance()
    text = json.dumps(shared(about))
    assert "/somewhere" in json.dumps(about)
    assert "/somewhere" not in text
    assert "table.csv" in text
    assert "0" * 64 in text
    assert shared_spec(spec) == spec
    assert shared_spec(spec).data.where == "table.csv"

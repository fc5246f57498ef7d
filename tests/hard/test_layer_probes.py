"""Labelled data at its limits, and probes over many seeds: too slow for every change."""

import numpy as np
import pytest

import resources
from engine.data.labelled_table import KIND, parse_labelled
from engine.data.table_file import MAX_ROWS
from engine.errors import FileError
from engine.model import open_model
from engine.probes.layer_result import CONTROL, RANDOM, SHUFFLED, TASK
from engine.refs import of_bytes, of_file
from engine.techniques.layer_probes import LayerProbes

pytestmark = pytest.mark.hard


@pytest.fixture(scope="module")
def world():
    return open_model(resources.path("models") / "world-4l")


def rows(count, n_classes):
    """Texts of the little world with so many classes."""
    lines = (f"the key {at % 90 + 10} {at // 90 % 90 + 10},class {at % n_classes},{at}"
             for at in range(count))  # fmt: skip
    return "text,label,group\n" + "\n".join(lines) + "\n"


def test_100_000_rows_are_read_and_one_more_is_refused():
    body = rows(MAX_ROWS, 1000).encode()
    table = parse_labelled(body, "a.csv")
    assert len(table.rows) == MAX_ROWS
    assert len({row.labels["label"] for row in table.rows}) == 1000
    assert table.ref == of_bytes(KIND, body)
    with pytest.raises(FileError, match="more than 100,000 rows; split the table"):
        parse_labelled(body + b"the key,x,y\n", "a.csv")


def test_100_000_rows_of_which_2_000_are_read_are_probed(world, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(rows(MAX_ROWS, 2), encoding="utf-8")
    found = LayerProbes(data=of_file(KIND, file), seeds=1, layers=(3,), lambdas=(0.1,)).run(
        world.under()
    )
    assert found.n_examples == found.n_groups == 2000


def test_1_000_classes_are_probed(world, tmp_path):
    file = tmp_path / "a.csv"
    file.write_text(rows(5000, 1000), encoding="utf-8")
    found = LayerProbes(
        data=of_file(KIND, file), n_examples=5000, layers=(0,), probe="mass_mean", seeds=1
    ).run(world.under())
    assert len(found.classes) == 1000
    assert found.confusion.shape == (1, 1000, 1000)
    assert found.confusion.sum() == found.n_parts[2]
    assert found.scores.size == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_number_of_a_subject_is_carried_whatever_the_seed(world, seed):
    found = LayerProbes(column="subject_number", lambdas=(0.01,), seed=seed).run(world.under())
    assert found.mean[TASK, 0] < 0.65
    assert found.mean[TASK, -1] > 0.95
    assert found.selectivity_low[-1] > 0
    assert (found.mean[RANDOM] < 0.65).all()
    assert np.abs(found.mean[SHUFFLED] - 0.5).max() < 0.1
    assert (np.diff(found.mean[CONTROL]) < 0.05).all()  # the word fades as it is overwritten

"""Large sessions open without reading their arrays, and are compacted without a second copy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from engine.session import Session, arrays
from engine.session.run import digest, slabs
from tests.engine.echo import assert_same, echo_is_known, make_result, make_run, path

__all__ = ["echo_is_known", "path"]

SIZES = [32, pytest.param(1024, marks=pytest.mark.hard)]


def _bytes_read() -> int:
    """Bytes that this process has asked its files for, from wherever they came."""
    about = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(about["rchar"])


def _large(path: Path, megabytes: int) -> Session:
    """A session of a run with so many MB, between two small ones."""
    session = Session.create(path)
    session.add(make_run(1))
    session.add(make_run(2))
    with session._db.transaction():
        for part in range(megabytes):
            row = (2, "large", part, "|u1", f"[{megabytes << 20}]", b"\1" * (1 << 20))
            session._db.execute("INSERT INTO arrays VALUES (?, ?, ?, ?, ?, ?)", row)
    session.add(make_run(3))
    return session


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts the bytes of a process")
@pytest.mark.parametrize("megabytes", SIZES)
def test_a_large_session_opens_without_its_arrays(path: Path, megabytes: int) -> None:
    _large(path, megabytes).close()
    assert path.stat().st_size > megabytes << 20
    read = []
    for _ in range(2):  # the first time, all that this needs is imported
        before = _bytes_read()
        with Session.open(path) as session:
            assert [row.id for row in session.runs()] == [1, 2, 3]
            session.describe(3, title="last")
            assert_same(session.load(3).result, make_result(3))
        read.append(_bytes_read() - before)
    assert read[-1] < 500_000


@pytest.mark.parametrize("megabytes", SIZES)
def test_a_large_session_shrinks_when_its_trash_is_emptied(path: Path, megabytes: int) -> None:
    with _large(path, megabytes) as session:
        session.delete([2])
        assert session.compact() > megabytes << 20
        assert session.nbytes < 200_000
        assert [row.id for row in session.runs()] == [1, 3]
        assert_same(session.load(3).result, make_result(3))


@pytest.mark.parametrize("most", [16, 100, 1000, 1 << 20])
def test_an_array_in_pieces_is_the_array_in_c_order(most: int) -> None:
    grid = np.random.default_rng(0).standard_normal((12, 40, 5))
    cases = [
        grid, grid.transpose(2, 0, 1), grid[::-1, ::2, ::-1], grid.T, np.ones(1, np.float32),
        np.asarray(np.int8(3)), np.zeros((0, 3)), np.array(["a", "bcd"]), grid > 0,
        np.broadcast_to(np.arange(5), (4, 5)), np.asfortranarray(grid[0]),
    ]  # fmt: skip
    for array in cases:
        pieces = [bytes(piece) for piece in slabs(array, most)]
        assert pieces
        assert b"".join(pieces) == array.tobytes()
        assert max(map(len, pieces)) <= max(most, array.itemsize)
        assert digest({"a": array}, {}) == digest({"a": array.copy()}, {})


def test_a_chunk_is_small_enough_not_to_hold_the_window_up() -> None:
    assert arrays.CHUNK <= 2 << 20  # 8 MB took 30 ms under load, while Python copied them

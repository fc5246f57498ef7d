"""Checkpoints: whole or not at all, whoever wrote them; and what a full disk leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from engine import cli
from engine.errors import FileError, RunError
from engine.model import open_model
from engine.model.safetensors_file import read_header
from engine.refs import MissingInput, Ref
from engine.session import Run, Session
from engine.techniques.train_transformer import TrainTransformer
from engine.train.checkpoint import Checkpoint, model_of, open_as_folder, save_model
from engine.worker import Worker

SPEC = TrainTransformer(
    n_steps=10, batch=2, d_model=8, n_heads=2, n_ctx=16, d_vocab=12, period_low=4, period_high=8,
    checkpoint_every=5,
)  # fmt: skip
TOKENS = np.array([[1, 2, 3, 4, 1, 2, 3]])


def trained(folder: Path, spec: TrainTransformer = SPEC) -> Worker:
    worker = Worker(spec, keep=lambda artifact: artifact.write(folder))
    worker.start()
    assert worker.join(60.0)
    return worker


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Ref:
    """The checkpoint of step 5."""
    return dict(trained(tmp_path_factory.mktemp("kept")).kept)[5]


def test_every_checkpoint_crosses_with_the_tick_of_its_step(tmp_path: Path) -> None:
    worker = trained(tmp_path)
    poll = worker.poll()
    assert [one for tick in poll.ticks for one in tick.kept] == worker.kept
    assert [step for step, _ in worker.kept] == [0, 5, 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"step-0000{step}.safetensors" for step in ("00", "05", "10")
    ]


def test_without_a_keeper_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpoint, "save", None)  # any call of it would fail
    assert SPEC.run(None).step == 10


def test_a_checkpoint_comes_back_as_it_was(kept: Ref, tmp_path: Path) -> None:
    one = Checkpoint.load(kept)
    again = Checkpoint.load(one.save(tmp_path / "again.safetensors"))
    assert (one.spec, one.step, one.rng, one.words, one.sizes, one.stride, one.since) == (
        again.spec, again.step, again.rng, again.words, again.sizes, again.stride, again.since,
    )  # fmt: skip
    for name, column in one.rows.items():
        np.testing.assert_array_equal(column, again.rows[name])


def test_a_checkpoint_that_is_not_there_or_is_another_one_is_said_so(
    kept: Ref, tmp_path: Path
) -> None:
    with pytest.raises(MissingInput) as missing:
        Checkpoint.load(replace(kept, where=str(tmp_path / "gone")))
    assert missing.value.field == "start"
    other = tmp_path / "other.safetensors"
    other.write_bytes(Path(kept.where).read_bytes()[:-1] + b"x")
    with pytest.raises(MissingInput, match="has changed since"):
        Checkpoint.load(replace(kept, where=str(other)))


# --- strangers' files --------------------------------------------------------------------------


def _parts(kept: Ref) -> tuple[dict[str, Any], dict[str, str]]:
    path = Path(kept.where)
    header = read_header(path)
    raw = path.read_bytes()
    kinds = {"F32": "<f4", "F64": "<f8", "U8": "u1"}
    tensors = {
        name: np.frombuffer(raw[at.begin : at.begin + at.nbytes], kinds[at.dtype]).reshape(at.shape)
        for name, at in header.tensors.items()
    }
    return tensors, json.loads(header.raw)["__metadata__"]


def _spec(about: dict[str, str], **values: Any) -> None:
    about["spec"] = json.dumps(json.loads(about["spec"]) | values)


def _state(about: dict[str, str], **values: Any) -> None:
    about["state"] = json.dumps(json.loads(about["state"]) | values)


Spoil = Callable[[dict[str, Any], dict[str, str]], object]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "NaN": (lambda t, _: t.update(moment2=np.full_like(t["moment2"], np.nan)), "not finite"),
    "short": (lambda t, _: t.update(weights=t["weights"][:-1].copy()), r"should be F32 \[728\]"),
    "no moments": (lambda t, _: t.pop("moment1"), "moment1 is missing"),
    "double": (lambda t, _: t.update(weights=t["weights"].astype(float)), "is F64"),
    "another format": (lambda _, a: a.update(format="x"), "not of the format"),
    "no JSON": (lambda _, a: a.update(spec="{"), "spec is not JSON"),
    "deep JSON": (lambda _, a: a.update(rng="[" * 90_000), "rng is not JSON"),
    "a list": (lambda _, a: a.update(rng="[]"), "rng is no object"),
    "another technique": (lambda _, a: _spec(a, kind="ToyModel"), "made by 'ToyModel'"),
    "a strange field": (lambda _, a: _spec(a, evil=1), "its spec is not one"),
    "endless layers": (lambda _, a: _spec(a, n_layers=10**9), "its spec is not one"),
    "another width": (lambda _, a: _spec(a, d_model=16), "should be F32"),
    "huge sizes": (lambda _, a: _state(a, sizes=[16, 10**12, 12]), "not possible"),
    "many words": (lambda _, a: _state(a, sizes=[16, 150_000, 150_000]), "should be F32"),
    "sizes": (lambda _, a: _state(a, sizes="x"), "are not n_ctx"),
    "a step": (lambda _, a: _state(a, step=-1), "step -1 is no count"),
    "a loss": (lambda _, a: _state(a, loss_sum=float("inf")), "not finite"),
    "changes": (lambda _, a: a.update(changes='[[1, {"d_model": 4}]]'), "changes are not possible"),
    "odd changes": (lambda _, a: a.update(changes="[1]"), "changes are not possible"),
    "words": (
        lambda t, _: t.update(words=np.frombuffer(json.dumps(["x"] * 13).encode(), np.uint8)),
        "13 words are more than the 12",
    ),
    "bytes": (lambda t, _: t.update(words=np.full(4, 0xFF, np.uint8)), "not UTF-8"),
    "steps": (lambda t, _: t.update(history_step=np.array([5.0, 0.0])), "order of their steps"),
    "curves": (lambda t, _: t.update(curves=np.zeros((2, 3, 1))), r"has the shape \[2, 3, 1\]"),
    "heads": (
        lambda t, _: t.update(scores=np.zeros((2, 3, 9, 9), np.float32)), "the model has"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_strangers_file_is_refused_in_words(what: str, kept: Ref, tmp_path: Path) -> None:
    tensors, about = _parts(kept)
    spoil, words = SPOILT[what]
    spoil(tensors, about)
    path = tmp_path / "spoilt.safetensors"
    path.write_bytes(save(tensors, about))
    with pytest.raises(FileError, match=words):
        Checkpoint.load(path)


def test_a_generator_that_is_none_is_refused_by_the_run(kept: Ref, tmp_path: Path) -> None:
    tensors, about = _parts(kept)
    about["rng"] = json.dumps({"bit_generator": "PCG64", "state": {"state": "x", "inc": 1}})
    path = tmp_path / "spoilt.safetensors"
    path.write_bytes(save(tensors, about))
    from engine.refs import of_file

    with pytest.raises(RunError, match="generator is not one"):
        replace(SPEC, start=of_file("checkpoint", path)).run(None)


@pytest.mark.parametrize("length", [0, 7, 100, 3000])
def test_a_file_that_is_cut_off_is_refused(length: int, kept: Ref, tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(Path(kept.where).read_bytes()[:length])
    with pytest.raises(FileError):
        Checkpoint.load(path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    huge = 1 << 40 if os.name == "posix" else 9 << 30  # Windows makes no holes unasked
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write((100 << 20).to_bytes(8, "little"))
        file.truncate(200 << 20)
    with pytest.raises(FileError, match="has a header of 104,857,600 bytes"):
        Checkpoint.load(path)
    with path.open("r+b") as file:
        file.truncate(huge)
    with pytest.raises(FileError, match=f"has {huge:,} bytes"):
        Checkpoint.load(path)


# --- the disk ----------------------------------------------------------------------------------

CHILD = """
import resource, sys
from pathlib import Path
from engine.techniques.train_transformer import TrainTransformer
from engine.worker import Worker
folder, most, n_steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
spec = TrainTransformer(n_steps=n_steps, batch=2, d_model=8, n_heads=2, n_ctx=16, d_vocab=12,
                        period_low=4, period_high=8, checkpoint_every=max(1, n_steps // 350),
                        score_every=1)
if most:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
worker = Worker(spec, keep=lambda artifact: artifact.write(folder))
worker.start()
worker.join()
poll = worker.poll()
print(poll.state, poll.error, poll.result.step)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a limit on a file's size")
def test_a_full_disk_stops_the_run_and_keeps_the_last_good_checkpoint(
    tmp_path: Path, project: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), "14000", "100"],
        cwd=project, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = sorted(path.name for path in tmp_path.iterdir())
    assert 1 < len(names) < 101
    assert all(name.startswith("step-") for name in names)  # no half-written one
    last = Checkpoint.load(tmp_path / names[-1]).step
    assert done.stdout.startswith(
        f"failed checkpoint of step {last + 1} could not be written: File too large; stopped "
        f"there, the one of step {last} is kept {last + 1}"
    )


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_run_that_is_killed_leaves_only_whole_checkpoints(tmp_path: Path, project: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), "0", "4000"],
        cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while child.poll() is None and len(list(tmp_path.glob("step-*.safetensors"))) < 4:
            pass
    finally:
        child.kill()
        child.wait()
    steps = [Checkpoint.load(path).step for path in sorted(tmp_path.glob("step-*"))]
    assert len(steps) >= 4
    assert steps == sorted(steps)


# --- as a model --------------------------------------------------------------------------------


def test_a_checkpoint_opens_as_the_model_that_was_trained(kept: Ref, tmp_path: Path) -> None:
    model = model_of(Checkpoint.load(kept))
    assert model.tokens("ant ball boat", "no").shape == (3,)
    folder = open_as_folder(kept, tmp_path / "model")
    opened = open_model(open_as_folder(kept, folder))  # made anew
    want = model.forward(TOKENS).logits
    np.testing.assert_allclose(opened.forward(TOKENS).logits, want, atol=1e-6)
    assert opened.tokens("ant ball boat").tolist() == model.tokens("ant ball boat").tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_a_folder_that_holds_anything_is_never_replaced(kept: Ref, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    for write in (save_model, open_as_folder):
        with pytest.raises(FileError):
            write(kept, tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "thesis.txt"]
    with pytest.raises(RunError, match=r"attention alone"):
        save_model(kept, tmp_path / "new", "huggingface")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_command_line_saves_a_checkpoint_as_a_model(
    kept: Ref, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["save", kept.where, str(tmp_path / "model")]) == 0
    assert open_model(tmp_path / "model").config.n_layers == 2
    assert cli.main(["save", kept.where, str(tmp_path / "model")]) == 1
    assert "not an empty folder" in capsys.readouterr().err
    typed = ["run", "TrainTransformer", "--out", str(tmp_path / "a.npz"), "--checkpoints"]
    assert cli.main([*typed, str(Path(kept.where).parent)]) == 2
    assert "those of another run" in capsys.readouterr().err


def test_a_session_gives_the_checkpoints_back_with_the_run(tmp_path: Path) -> None:
    worker = trained(tmp_path)
    run = Run.of(worker, worker.poll().result)
    assert [step for step, _ in run.artifacts] == [0, 5, 10]
    with Session.create(tmp_path / "a.mscope") as session:
        number = session.add(run)
        plain = session.add(replace(run, artifacts=()))
        loaded = session.load(number)
        assert loaded.artifacts == run.artifacts
        assert [ref.where for _, ref in loaded.artifacts] == [ref.where for _, ref in run.artifacts]
        assert session.load(plain).artifacts == ()
        assert [row.inside for row in session.artifacts(number)] == [False] * 3
    (_, ref), *_ = loaded.artifacts
    assert Checkpoint.load(ref).step == 0

"""TrainTransformer: what goes on from a checkpoint is the uninterrupted run, to the bit."""

from __future__ import annotations

import runpy
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import cli, refs
from engine.errors import Cancelled, RunError, SpecError
from engine.export import to_command, to_script
from engine.refs import Ref
from engine.techniques.train_transformer import TrainTransformer, TrainTransformerResult
from engine.train import recording
from engine.train.checkpoint import Checkpoint
from engine.train.recording import Marks, Recording
from engine.worker import Poll, Worker

TINY: dict[str, Any] = {
    "n_steps": 14, "batch": 2, "d_model": 8, "n_heads": 2, "n_ctx": 16, "d_vocab": 12,
    "period_low": 4, "period_high": 8, "checkpoint_every": 5, "score_every": 3, "warm_up": 6,
}  # fmt: skip
TASKS: dict[str, dict[str, Any]] = {
    "induction": {},
    "a fixed period": {"period": "fixed"},
    "addition": {
        "task": "addition", "modulus": 5, "n_layers": 1, "d_mlp": 8, "norm": "none",
        "positions": "learned", "weight_decay": 1.0, "schedule": "cosine",
    },
    "sorting": {"task": "sorting", "list_length": 3, "norm": "LN", "biases": True},
    "cycle": {"task": "cycle", "n_layers": 3, "d_mlp": 8, "positions": "learned"},
    "rotary": {"positions": "rotary", "d_mlp": 8, "gated_mlp": True, "act_fn": "silu"},
}  # fmt: skip


def tiny(**about: Any) -> TrainTransformer:
    """A training of a blink."""
    return TrainTransformer(**{**TINY, **about})


def trained(
    spec: TrainTransformer, folder: Path | None = None, changes: Sequence[Any] = ()
) -> tuple[Any, dict[int, Ref], Poll]:
    """Result, kept checkpoints by step, and the last poll of a run."""
    if folder is not None:
        folder.mkdir(exist_ok=True)
    keep = None if folder is None else (lambda artifact: artifact.write(folder))
    worker = Worker(spec, replay=changes, keep=keep)
    worker.start()
    assert worker.join(60.0)
    poll = worker.poll()
    return poll.result, dict(worker.kept), poll


def same_records(one: Any, other: Any) -> None:
    """All but what each run's own checkpoints show is the same to the bit."""
    for item in fields(TrainTransformerResult):
        a, b = getattr(one, item.name), getattr(other, item.name)
        if item.name.startswith("checkpoint_"):
            last = (np.asarray(a)[-1], np.asarray(b)[-1])
            np.testing.assert_array_equal(*last, err_msg=item.name)
        elif isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=item.name)
        else:
            assert a == b, item.name


def same_state(one: Ref, other: Ref) -> None:
    a, b = Checkpoint.load(one), Checkpoint.load(other)
    for name in ("weights", "moment1", "moment2"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert (a.rng, a.since, a.stride, a.step) == (b.rng, b.since, b.stride, b.step)


@pytest.mark.parametrize(
    ("task", "step"), [("induction", 0), ("induction", 14), *((task, 5) for task in TASKS)]
)
def test_a_run_from_a_checkpoint_is_the_uninterrupted_one(
    task: str, step: int, tmp_path: Path
) -> None:
    spec = tiny(**TASKS[task])
    whole, kept, _ = trained(spec, tmp_path)
    assert sorted(kept) == [0, 5, 10, 14]
    later, again, _ = trained(replace(spec, start=kept[step]), tmp_path / "later")
    assert list(later.checkpoint_step) == [at for at in sorted(kept) if at >= step]
    same_records(later, whole)
    same_state(again[14], kept[14])


def test_text_goes_on_from_a_checkpoint_too(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("the cat sat on the mat and the dog sat on the log . " * 30, "utf-8")
    spec = tiny(task="text", corpus=refs.of_file("text", file))
    whole, kept, _ = trained(spec, tmp_path / "whole")
    later, _, _ = trained(replace(spec, start=kept[10]))
    same_records(later, whole)


def test_a_fork_with_live_changes_before_and_after_it_is_the_same_run(tmp_path: Path) -> None:
    spec = tiny(pace=2)
    changes = [(4, {"lr": 0.02, "clip": 0.5}), (8, {"lr": 0.001}), (12, {"n_steps": 20})]
    whole, kept, _ = trained(spec, tmp_path, changes)
    assert whole.step == 20
    start = Checkpoint.load(kept[5])
    assert start.changes == ((4, {"lr": 0.02, "clip": 0.5}),)
    assert start.now == replace(spec, lr=0.02, clip=0.5)
    fork: Any = replace(start.now, start=kept[5])
    later, again, _ = trained(fork, tmp_path / "later", changes[1:])
    same_records(later, whole)
    same_state(again[20], kept[20])
    other, _, _ = trained(fork, None, [(8, {"lr": 0.5})])
    assert not np.array_equal(other.weights, whole.weights)
    same_records(spec.run(None, changes), whole)


def test_a_fork_of_a_fork_is_the_same_run(tmp_path: Path) -> None:
    spec = tiny()
    whole, first, _ = trained(spec, tmp_path / "1")
    _, second, _ = trained(replace(spec, start=first[5]), tmp_path / "2")
    third, _, _ = trained(replace(spec, start=second[10]))
    same_records(third, whole)


def test_a_fork_goes_on_in_a_process_of_its_own_from_the_command_line(
    tmp_path: Path, project: Path
) -> None:
    spec = tiny()
    whole, kept, _ = trained(spec, tmp_path)
    out = tmp_path / "out.npz"
    typed = [f"--set={name}={value}" for name, value in TINY.items()]
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli", "run", "TrainTransformer", *typed,
         f"--set=start={kept[5].where}", "--out", str(out), "--checkpoints", str(tmp_path / "c")],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(out) as stored:
        for name in ("weights", "curves", "scores", "history_loss"):
            np.testing.assert_array_equal(stored[name], getattr(whole, name), err_msg=name)
    names = sorted(path.name for path in (tmp_path / "c").iterdir())
    assert names == [f"step-0000{step}.safetensors" for step in ("05", "10", "14")]


def test_a_run_that_began_at_a_checkpoint_exports_as_a_script_and_a_command(tmp_path: Path) -> None:
    spec = tiny()
    _, kept, _ = trained(spec, tmp_path)
    changes = [(10, {"lr": 0.001})]
    fork: Any = replace(spec, start=kept[5])
    want = fork.run(None, changes)
    script = tmp_path / "exported.py"
    script.write_text(to_script(fork, changes=changes), "utf-8")
    same_records(runpy.run_path(str(script))["result"], want)
    out = tmp_path / "out.npz"
    assert cli.main(shlex.split(to_command(fork, "", str(out), changes))[1:]) == 0
    with np.load(out) as stored:
        np.testing.assert_array_equal(stored["weights"], want.weights)


def test_stop_is_heard_between_two_steps_and_before_the_first() -> None:
    class Stopping:
        left = 40

        def listen(self) -> None:
            self.left -= 1
            if not self.left:
                raise Cancelled

    begun = tiny(pace=1000, n_steps=1500, checkpoint_every=1000).steps(Stopping())
    next(begun)
    with pytest.raises(Cancelled):
        next(begun)  # in the middle of a thousand steps
    worker = Worker(tiny())
    worker.cancel()
    worker.start()
    assert worker.join(10.0)
    assert worker.poll().state == "cancelled"


def test_the_defaults_are_the_settings_of_the_bundled_model() -> None:
    spec = TrainTransformer()
    asked = {
        "d_vocab": 64, "n_ctx": 64, "d_model": 64, "n_heads": 4, "n_layers": 2, "d_mlp": 0,
        "norm": "RMS", "positions": "shortformer", "batch": 16, "lr": 5e-3, "warm_up": 50,
        "schedule": "constant", "beta1": 0.9, "beta2": 0.98, "clip": 1.0, "weight_decay": 0.0,
        "period": "random", "period_low": 8, "period_high": 32, "n_steps": 1500,
    }  # fmt: skip
    assert {name: getattr(spec, name) for name in asked} == asked


def test_a_loss_that_is_nan_stops_with_the_last_good_state(tmp_path: Path) -> None:
    spec = tiny(n_steps=400, checkpoint_every=20, lr=10.0, clip=1e9, weight_decay=10.0)
    result, kept, poll = trained(spec, tmp_path)
    assert poll.state == "failed"
    assert isinstance(poll.error, RunError)
    assert str(poll.error).startswith("loss is NaN at step ")
    assert str(poll.error).endswith("; lower lr, now 10")
    assert np.isfinite(result.weights).all()
    assert np.isfinite(result.curves[:2]).all()
    assert kept
    for ref in kept.values():
        Checkpoint.load(ref)  # which refuses numbers that are not finite


def test_what_a_snapshot_gave_is_never_written_to_again() -> None:
    steps = tiny(pace=1).steps(None)
    first = [next(steps) for _ in range(4)][-1].snapshot()
    before = {item.name: np.copy(getattr(first, item.name)) for item in fields(first)}
    for _ in steps:
        pass
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(first, name), value, err_msg=name)


def test_records_are_thinned_when_there_are_too_many() -> None:
    kept = Recording(5, 1, (1, 1, 1), most=4)
    handed = []
    for step in range(0, 100, 5):
        if step % kept.stride == 0:
            kept.keep(step, float(step), 0.1, np.array([step]), np.full((1, 1, 1), step))
            handed.append({name: (value, value.copy()) for name, value in kept.fields().items()})
    rows = kept.fields()
    assert kept.count <= 4
    assert rows["history_step"].tolist() == [0, 40, 80]
    assert rows["curves"].tolist() == [[0.0, 40.0, 80.0]]
    for fields_then in handed:
        for value, then in fields_then.values():
            np.testing.assert_array_equal(value, then)
    assert recording.MOST == 4000


def test_marks_grow_without_touching_what_was_handed_out() -> None:
    marks = Marks()
    marks.keep({"checkpoint_step": np.int64(0)})
    first = marks.fields()["checkpoint_step"]
    for step in range(1, 40):
        marks.keep({"checkpoint_step": np.int64(step)})
    assert first.tolist() == [0]
    assert marks.fields()["checkpoint_step"].tolist() == list(range(40))


def test_a_long_training_is_thinned_alike_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recording.__init__, "__defaults__", (6,))
    spec = tiny(score_every=1)
    whole, kept, _ = trained(spec, tmp_path)
    assert len(whole.history_step) <= 6
    same_records(trained(replace(spec, start=kept[5]))[0], whole)


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"n_steps": 100_000}, "checkpoint_every", "252 is the least that fits"),
        ({"batch": 4096, "d_model": 256}, "batch", "about .* fit"),
        ({"d_model": 1024, "d_mlp": 4096}, "d_model", "parameters, the limit is 4,000,000"),
        ({"task": "addition", "modulus": 257, "d_model": 256}, "modulus", "takes about"),
        ({"task": "text"}, "corpus", "choose a text file"),
        ({"n_heads": 3}, "n_heads", "do not divide"),
    ],
)
def test_sizes_that_cannot_be_trained_are_refused_at_their_field(
    values: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecError, match=words) as refused:
        TrainTransformer(**values)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("values", "field"),
    [({"d_model": 16}, "d_model"), ({"seed": 1}, "seed"), ({"n_steps": 4}, "n_steps"),
     ({"score_every": 2}, "score_every")],
)  # fmt: skip
def test_a_run_that_cannot_go_on_from_a_checkpoint_says_which_field(
    values: dict[str, Any], field: str, tmp_path: Path
) -> None:
    spec = tiny()
    _, kept, _ = trained(spec, tmp_path)
    with pytest.raises(SpecError) as refused:
        replace(spec, start=kept[5], **values).run(None)
    assert refused.value.field == field


def test_the_training_loss_falls_and_the_heads_are_scored() -> None:
    spec = tiny(n_steps=150, batch=8, d_model=32, checkpoint_every=50, lr=0.01)
    result = spec.run(None)
    assert result.history_loss[-1] < result.history_loss[0] - 0.3
    assert result.score_names == ("previous", "duplicate", "induction")
    assert result.scores.shape == (3, len(result.history_step), 2, 2)
    assert result.checkpoint_ablated.shape == (4, 2, 2)
    assert np.isfinite(result.checkpoint_ablated).all()
    np.testing.assert_allclose(result.pattern.sum(-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(result.checkpoint_pattern[-1], result.pattern, atol=1e-3)

"""TrainSAE: what it measures is true, a run goes on to the bit, and what cannot be is said."""

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import resources
from engine import blas
from engine.errors import FileError, RunError, SpecError
from engine.lens.text import prompts
from engine.model import open_model
from engine.model.transformer import Transformer
from engine.refs import Ref, of_file
from engine.sae.checkpoint import Checkpoint
from engine.sae.metrics import Densities, Records, nearest_cosine
from engine.sae.opening import open_sae
from engine.sae.sae import ARCHITECTURES, NORMALISATIONS, SAE
from engine.sae.splicing import HeldOut, recovered, spliced_loss
from engine.sae.store import ActivationStore, site_of
from engine.techniques import train_sae
from engine.techniques.train_sae import TrainSAE
from engine.worker import Worker

SITE = "blocks.1.hook_resid_post"
QUICK = TrainSAE(
    n_steps=12, batch=64, n_tokens=1200, context=16, d_sae=48, k=(4,), l1=(0.3,), hook=SITE,
    lr=2e-3, check_every=5, checkpoint_every=8, n_held_out=128, decay=4, pace=3,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with blas.limit("one"):
        yield


@pytest.fixture(scope="module")
def world() -> Transformer:
    return open_model(resources.path("models") / "world-4l")


@pytest.fixture(scope="module")
def held(world) -> HeldOut:
    return HeldOut(world, site_of(world, SITE, skip=1), prompts(world, None, 200, 16)[0][:6])


def kept(spec: TrainSAE, model: Any, folder: Any) -> tuple[Any, dict[int, Ref], list[Ref]]:
    """The result of a run through a Worker, its checkpoints by step, and its SAEs."""
    folder.mkdir(exist_ok=True)
    checkpoints, saes = {}, []

    def keep(artifact: Any) -> Ref:
        ref = artifact.write(folder)
        assert ref.kind == artifact.kind
        if ref.kind == "SAE":
            saes.append(ref)
        else:
            checkpoints[artifact.step] = ref
        return ref

    worker = Worker(spec, model, keep=keep)
    worker.start()
    assert worker.join(60)
    poll = worker.poll()
    if poll.error is not None:
        raise poll.error
    return poll.result, checkpoints, saes


def assert_same(one: Any, other: Any, but: tuple[str, ...] = ()) -> None:
    for item in fields(one):
        if item.name not in but:
            a, b = getattr(one, item.name), getattr(other, item.name)
            np.testing.assert_array_equal(a, b, err_msg=item.name)


# --- what is measured ------------------------------------------------------------------------


def test_a_perfect_reconstruction_recovers_everything_and_zeros_nothing(held) -> None:
    eye = np.eye(128, dtype=np.float32)
    both, zero = np.concatenate([eye, -eye]), np.zeros(128, np.float32)  # relu(x) - relu(-x) = x
    whole = SAE("standard", both.T.copy(), both, zero, b_enc=np.zeros(256, np.float32))
    nothing = replace(whole, W_dec=np.zeros_like(both))
    held.baselines()
    found, none = held.measure(whole), held.measure(nothing)
    assert recovered(held.clean, held.zero, found.ce) == pytest.approx(1, abs=1e-5)
    assert recovered(held.clean, held.zero, none.ce) == pytest.approx(0, abs=1e-6)
    assert found.explained_variance == pytest.approx(1, abs=1e-5)
    assert found.l0 == pytest.approx(128)
    mean = held.rows().mean(axis=0)
    at_the_mean = held.measure(replace(nothing, b_dec=mean))
    assert at_the_mean.explained_variance == pytest.approx(0, abs=1e-5)
    assert none.explained_variance < 0


def test_the_clean_and_the_zero_loss_are_those_of_plain_forward_passes(world, held) -> None:
    def loss(tap: Any) -> float:
        logits = world.forward(held.contexts, tap=tap).logits[:, :-1].astype(float)
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return -np.take_along_axis(logs, held.contexts[:, 1:, None], -1).mean()

    def zeros(name: str, value: Any) -> Any:
        if name == SITE:
            value = value.copy()
            value[:, 1:] = 0  # the first position is left as it is
            return value
        return None

    held.baselines()
    assert held.clean == pytest.approx(loss(None), abs=1e-5)
    assert held.zero == pytest.approx(loss(zeros), abs=1e-5)


@pytest.mark.parametrize("hook", ["ln_final.hook_normalized", "blocks.3.hook_resid_post"])
def test_splicing_at_the_end_of_the_model_goes_the_same_way(world, held, hook) -> None:
    site = site_of(world, hook)
    clean = spliced_loss(world, held.contexts, site, None)
    assert spliced_loss(world, held.contexts, site, np.copy) == pytest.approx(clean, abs=1e-6)
    assert spliced_loss(world, held.contexts, site, np.zeros_like) > clean + 0.1


def test_a_head_alone_is_read_and_spliced(world) -> None:
    spec = replace(QUICK, hook="blocks.1.attn.hook_z", head=2, d_sae=16)
    result = spec.run(world)
    assert result.W_dec.shape == (1, 16, 32)
    assert result.sae().hook_head_index == 2
    assert np.isfinite(result.recovered).all()


def test_the_result_is_the_sae_that_was_measured(world, tmp_path) -> None:
    result, _, saes = kept(QUICK, world, tmp_path)
    sae = result.sae()
    assert (sae.d_in, sae.d_sae, sae.k) == (128, 48, 4)
    assert (sae.hook_name, sae.model_digest) == (SITE, world.digest)
    assert result.density_counts.sum() + result.silent[0] == 48
    assert result.cosine_counts.sum() == 48
    assert result.l0[0] <= 4
    x = np.random.default_rng(0).standard_normal((20, 128)).astype(np.float32)
    read = open_sae(saes[0], world)  # it was written as a SAELens folder, norms folded
    np.testing.assert_allclose(read.reconstruct(x), sae.reconstruct(x), atol=1e-5)


def test_variants_read_the_same_batches_as_each_alone(world) -> None:
    both = replace(QUICK, k=(4, 9)).run(world)
    assert both.variant_names == ("k = 4", "k = 9")
    for at, k in enumerate((4, 9)):
        alone = replace(QUICK, k=(k,)).run(world)
        for name in ("W_enc", "W_dec", "b_dec", "recovered", "density", "l0", "alive"):
            np.testing.assert_array_equal(getattr(both, name)[at], getattr(alone, name)[0])
        np.testing.assert_array_equal(both.history[..., at], alone.history[..., 0])
        assert both.sae(at).k == k
    assert both.l0[1] > both.l0[0] > 0
    with pytest.raises(RunError, match="variant: 2 is not one of the 2"):
        both.sae(2)


def test_training_lowers_the_loss_and_keeps_what_the_model_says(world) -> None:
    spec = replace(QUICK, n_steps=120, check_every=60, k=(12,), d_sae=128, lr=3e-3, n_tokens=4000)
    result = spec.run(world)
    mse = result.history[result.metric_names.index("mse"), :, 0]
    assert mse[-5:].mean() < 0.2 * mse[:5].mean()
    assert result.explained_variance[0] > 0.75
    assert result.recovered[0] > 0.9
    assert result.ce_clean < result.ce_spliced[0] < result.ce_zero


def test_one_factor_on_all_activations_is_that_of_their_mean_length(world) -> None:
    result = replace(QUICK, normalize="expected_average_only_in").run(world)
    sae = result.sae()
    x = np.random.default_rng(1).standard_normal((9, 128)).astype(np.float32)
    folded = sae.with_scaling_folded()
    np.testing.assert_allclose(folded.reconstruct(x), sae.reconstruct(x), atol=2e-4)
    assert 0.1 < result.scaling < 10


# --- going on --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"k": (4, 7)},
        {"architecture": "batchtopk", "n_tokens": 4000, "buffer_mb": 1, "batch": 256},
        {"architecture": "standard", "resample_every": 3, "norm": "unit", "dead_window": 2,
         "normalize": "expected_average_only_in"},
        {"architecture": "jumprelu"},
        {"architecture": "gated"},
    ],
    ids=lambda change: change.get("architecture", "topk"),
)  # fmt: skip
def test_a_run_from_a_checkpoint_is_a_run_that_never_stopped(world, tmp_path, change) -> None:
    spec = replace(QUICK, **change)
    whole, checkpoints, _ = kept(spec, world, tmp_path / "a")
    assert sorted(checkpoints) == [8, 12]
    again, _, _ = kept(replace(spec, start=checkpoints[8]), world, tmp_path / "b")
    assert_same(whole, again, but=("checkpoint_step",))
    np.testing.assert_array_equal(whole.checkpoint_step, [8, 12])
    np.testing.assert_array_equal(again.checkpoint_step, [12])


def test_going_on_beyond_the_end_is_a_longer_run(world, tmp_path) -> None:
    short = replace(QUICK, decay=0)
    _, checkpoints, _ = kept(short, world, tmp_path / "a")
    longer = replace(short, n_steps=20)
    again, _, _ = kept(replace(longer, start=checkpoints[12]), world, tmp_path / "b")
    assert_same(longer.run(world), again, but=("checkpoint_step",))


def test_live_changes_replay_to_the_same_bits(world) -> None:
    changes = [(3, {"lr": 5e-3}), (6, {"n_steps": 15})]
    one, same = QUICK.run(world, changes), QUICK.run(world, changes)
    assert_same(one, same)
    assert one.step == 15
    assert one.W_dec.tobytes() != QUICK.run(world).W_dec.tobytes()


def test_a_snapshot_never_changes_later(world) -> None:
    steps = QUICK.steps(world)
    first = next(steps).snapshot()
    before = {item.name: np.array(getattr(first, item.name)) for item in fields(first)}
    for _ in steps:
        pass
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(first, name), value, err_msg=name)


# --- what goes wrong -------------------------------------------------------------------------


def test_numbers_that_are_none_end_the_run_with_the_last_good_state(world, monkeypatch) -> None:
    plain, calls = ActivationStore.next, []

    def growing(store: ActivationStore) -> Any:
        calls.append(1)
        return plain(store) * np.float32(1 if len(calls) < 8 else 1e30)

    monkeypatch.setattr(ActivationStore, "next", growing)
    worker = Worker(replace(QUICK, k=(4, 7), check_every=100, checkpoint_every=100), world)
    worker.start()
    assert worker.join(60)
    poll = worker.poll()
    assert isinstance(poll.error, RunError)
    assert str(poll.error).startswith("k = 4: the loss is inf")
    assert "at step 7; lower lr" in str(poll.error)
    assert poll.result.step == 6
    monkeypatch.undo()
    good = replace(QUICK, k=(4, 7)).steps(world)
    wanted = next(update for update in good if update.step == 6).snapshot()
    np.testing.assert_array_equal(poll.result.W_dec, wanted.W_dec)
    np.testing.assert_array_equal(poll.result.W_enc, wanted.W_enc)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k": (60,)}, "k: 60 is above the 48 latents"),
        ({"hook": "blocks.9.hook_resid_post"}, "hook: .*no activation"),
        ({"head": 1}, "head: 1: .*has no heads"),
    ],
)
def test_a_spec_that_this_model_cannot_do_is_refused(world, change, words) -> None:
    with pytest.raises(SpecError, match=words):
        replace(QUICK, **change).run(world)


def test_values_are_named_once(world) -> None:
    with pytest.raises(SpecError, match="k: names no value"):
        replace(QUICK, k=())
    with pytest.raises(SpecError, match=r"l1: \[1.0, 1.0\] names a value twice"):
        replace(QUICK, l1=(1.0, 1.0))


def test_an_empty_text_is_said(world, tmp_path) -> None:
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(RunError, match=r"empty.txt has 0 tokens"):
        replace(QUICK, data=of_file("text", tmp_path / "empty.txt")).run(world)


def test_memory_that_is_not_there_is_not_asked_for(world) -> None:
    with pytest.raises(RunError, match=r"128 x 1,048,576 need .* GB .*lower `d_sae`"):
        replace(QUICK, d_sae=1 << 20, k=tuple(range(1, 40))).run(world)


def test_a_checkpoint_of_another_model_names_both(world, tmp_path) -> None:
    _, checkpoints, _ = kept(QUICK, world, tmp_path)
    short = world.digest.removeprefix("header:")[:8]
    other = replace(world, name="other", digest=world.digest.replace(short, "00000000"))
    with pytest.raises(RunError, match=f"SAE of world-4l at {SITE} .sha {short}.*sha 00000000"):
        replace(QUICK, start=checkpoints[8]).run(other)
    with pytest.raises(SpecError, match="batch: 32 is not the checkpoint's 64"):
        replace(QUICK, start=checkpoints[8], batch=32).run(world)
    with pytest.raises(SpecError, match="n_steps: 4 is below 8"):
        replace(QUICK, start=checkpoints[8], n_steps=4, decay=0).run(world)


def test_a_spoiled_checkpoint_is_refused_in_words(world, tmp_path) -> None:
    _, checkpoints, _ = kept(QUICK, world, tmp_path)
    good = Path(checkpoints[8].where).read_bytes()
    size = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + size])

    def spoiled(change: Any) -> Any:
        changed = json.loads(json.dumps(header))
        change(changed)
        raw = json.dumps(changed).encode()
        path = tmp_path / "bad.safetensors"
        path.write_bytes(len(raw).to_bytes(8, "little") + raw + good[8 + size :])
        return of_file("SAE checkpoint", path)

    about = "__metadata__"

    def state(**values: Any) -> Any:
        def change(header: Any) -> None:
            header[about]["state"] = json.dumps(json.loads(header[about]["state"]) | values)

        return change

    for change, words in (
        (lambda h: h[about].update(format="other"), "not of the format"),
        (lambda h: h[about].update(spec="[]"), "spec is no object"),
        (lambda h: h[about].update(spec='{"kind": "TrainMLP"}'), "not by TrainSAE"),
        (state(step=-1), "step -1 is no count"),
        (state(variants=3), "nothing that is called 1"),
        (state(d_sae=47), "47 latents"),
        (lambda h: h.update(other=h.pop("told.records.sum")), "records are not those"),
        (lambda h: h["told.density.before"].update(shape=[48]), "records are not those"),
        (lambda h: h["0.W_dec"].update(shape=[128, 48]), "another architecture or size"),
        (lambda h: h["0.W_dec"].update(dtype="I32"), "W_dec is I32"),
    ):
        with pytest.raises((FileError, RunError), match=words):
            replace(QUICK, start=spoiled(change)).run(world)
    (tmp_path / "bad.safetensors").write_bytes(good[: len(good) // 2])
    with pytest.raises(FileError):
        Checkpoint.load(tmp_path / "bad.safetensors")


# --- the parts -------------------------------------------------------------------------------


def test_records_keep_their_means_when_they_become_fewer() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((50, 2, 3))
    records = Records(("a", "b"), 3, latest=("b",), most=8)
    halves = Records(("a", "b"), 3, latest=("b",), most=8)
    for step, row in enumerate(values):
        if step == 23:
            again = Records(("a", "b"), 3, latest=("b",), most=8)
            again.restore(halves.state())
            halves = again
        records.add(step + 1, 0.1, row)
        halves.add(step + 1, 0.1, row)
    found, stride = records.fields(), records.stride
    assert stride == 8
    np.testing.assert_array_equal(found["history_step"], np.arange(8, 49, 8))
    means = values[:48].reshape(6, 8, 2, 3)[:, :, 0].mean(axis=1)
    np.testing.assert_allclose(found["history"][0], means)
    np.testing.assert_array_equal(found["history"][1], values[7:48:8, 1])
    np.testing.assert_array_equal(halves.fields()["history"], found["history"])


def test_densities_are_of_two_intervals_and_silence_is_counted() -> None:
    densities = Densities(1, 4)
    densities.turn(np.array([[0, 10, 100, 0]]), 100)
    found = densities.fields(np.array([[0, 0, 100, 1]]), 100)
    np.testing.assert_allclose(found["density"], [[0, 0.05, 1, 0.005]])
    assert found["silent"].tolist() == [1]
    assert found["density_counts"].sum() == 3
    assert found["density_counts"][0, -1] == 1


def test_the_nearest_cosine_is_that_of_all_pairs() -> None:
    W = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    unit = W / np.linalg.norm(W, axis=1, keepdims=True)
    cosines = unit @ unit.T - 9 * np.eye(30)
    np.testing.assert_allclose(nearest_cosine(W, lambda: None), cosines.max(1), atol=1e-6)
    some = nearest_cosine(W, lambda: None, most=7)
    np.testing.assert_allclose(
        some[np.isfinite(some)], cosines.max(1)[np.isfinite(some)], atol=1e-6
    )
    assert np.isfinite(some).sum() == 7


def test_the_choices_are_those_of_the_sae() -> None:
    assert train_sae.ARCHITECTURES == ARCHITECTURES
    assert train_sae.NORMALISATIONS == NORMALISATIONS

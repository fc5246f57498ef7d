"""The tuned lens: its gradients, what it begins as, what it learns, its folder."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine import blas
from engine.errors import Cancelled, FileError, RunError, SpecError
from engine.lens import tuned
from engine.lens.text import RANDOM, WORLD, prompts
from engine.lens.training import Optimiser, Readout, Translating
from engine.model import open_model
from engine.model.ops import layer_norm
from engine.model.transformer import Transformer
from engine.model.weights import Norm
from engine.refs import of_file
from engine.techniques.logit_lens import LogitLens
from engine.techniques.tuned_lens import TunedLens

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parents[1] / "data"
QUICK = TunedLens(n_steps=12, batch=256, n_tokens=4000, optimizer="adam", lr=2.0)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other cost more than these small products."""
    with blas.limit("one"):
        yield


@pytest.fixture(scope="module")
def world() -> Transformer:
    return open_model(ROOT / "resources" / "models" / "world-4l")


@pytest.fixture(scope="module")
def trained(world: Transformer) -> Any:
    return QUICK.run(world)


def small(kind: str | None, d: int = 6, d_vocab: int = 700, bias: bool = True) -> Any:
    """Just what a readout asks of a model, in float64."""
    rng = np.random.default_rng(0)
    norm = Norm(1 + rng.random(d), rng.standard_normal(d) if kind == "LN" else None)
    return SimpleNamespace(
        weights=SimpleNamespace(
            W_U=rng.standard_normal((d, d_vocab)), ln_final=None if kind is None else norm,
            b_U=rng.standard_normal(d_vocab) if bias else None,
        ),
        config=SimpleNamespace(d_model=d, eps=1e-5, is_rms=lambda at: kind == "RMS"),
        listen=lambda: None,
    )  # fmt: skip


def streams(d: int = 6, layers: int = 2, rows: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((layers, rows, d)), rng.standard_normal((rows, d))


def filled(model: Any, seed: int = 2) -> Translating:
    lens, rng = Translating(model, 2), np.random.default_rng(seed)
    lens.W[...] = 0.3 * rng.standard_normal(lens.W.shape)
    lens.b[...] = 0.3 * rng.standard_normal(lens.b.shape)
    return lens


@pytest.mark.parametrize("kind", ["LN", "RMS", None])
def test_gradients_are_those_of_central_differences(kind: str | None) -> None:
    lens, (h, final) = filled(small(kind)), streams()
    lens.kl(h, final, share=0.2)
    rng = np.random.default_rng(3)
    for values, gradient in ((lens.W, lens.dW), (lens.b, lens.db)):
        way, step = rng.standard_normal(values.shape), 1e-5
        before, ends = values.copy(), []
        for sign in (1, -1):
            values[...] = before + sign * step * way
            ends.append(0.2 * lens.kl(h, final).sum())
        values[...] = before
        wanted = (ends[0] - ends[1]) / (2 * step)
        assert np.vdot(gradient, way) == pytest.approx(wanted, rel=1e-6)


def test_the_walk_over_blocks_is_softmax(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small("LN")
    y = 20 * np.random.default_rng(4).standard_normal((9, 6))  # far apart: the largest moves
    logits = y @ model.weights.W_U + model.weights.b_U
    top = logits.max(axis=1)
    e = np.exp(logits - top[:, None])
    for nbytes in (1, 1 << 22):
        monkeypatch.setattr("engine.lens.training.BLOCK_BYTES", nbytes)
        A, m = Readout(model).read(y)
        np.testing.assert_allclose(A, np.log(e.sum(axis=1)) + top, rtol=1e-12)
        np.testing.assert_allclose(
            m, (e / e.sum(axis=1)[:, None]) @ model.weights.W_U.T, atol=1e-12
        )


def test_the_kl_is_that_of_its_definition() -> None:
    model = small("LN")
    lens, (h, final) = filled(model), streams()

    def log_probabilities(stream: np.ndarray) -> np.ndarray:
        y, _ = layer_norm(stream, 1e-5)
        norm = model.weights.ln_final
        z = (y * norm.w + norm.b) @ model.weights.W_U + model.weights.b_U
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    p = log_probabilities(final)
    for layer in range(2):
        q = log_probabilities(h[layer] + h[layer] @ lens.W[layer].T + lens.b[layer])
        wanted = (np.exp(p) * (p - q)).sum()
        assert lens.kl(h, final)[layer] == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_an_optimiser_step_is_the_textbook_one(kind: str) -> None:
    lens, rng = filled(small("LN")), np.random.default_rng(5)
    p, step = lens.b.copy(), Optimiser(kind, lens)
    mean = square = largest = np.zeros_like(p)
    for made in range(1, 4):
        g = rng.standard_normal(p.shape)
        lens.db[...] = g
        norm = step.step(0.5, 0.01, clip=1.0)
        assert norm == pytest.approx(np.linalg.norm(g))
        g = g / (norm + 1e-6) + 0.01 * p
        if kind == "sgd":
            mean = 0.9 * mean + g
            p = p - 0.05 * (g + 0.9 * mean)
        else:
            mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
            largest = np.maximum(largest, square)
            root = np.sqrt(largest / (1 - 0.999**made)) + 1e-8
            p = p - 0.0005 * mean / (1 - 0.9**made) / root
        np.testing.assert_allclose(lens.b, p, rtol=1e-6)
        assert not lens.db.any()


def test_an_untrained_lens_is_the_logit_lens(world: Transformer) -> None:
    rows, source = prompts(world, None, 200, 16)
    assert source == WORLD
    plain = LogitLens(prompt=tuple(rows[0].tolist())).run(world)
    cfg = world.config
    nothing = tuned.Translators(
        tuple(range(cfg.n_layers)), np.zeros((cfg.n_layers, cfg.d_model, cfg.d_model), np.float32),
        np.zeros((cfg.n_layers, cfg.d_model), np.float32),
    )  # fmt: skip
    names = [f"blocks.{layer}.hook_resid_pre" for layer in nothing.layers]
    run = world.forward(rows[:1], names=[*names, "blocks.3.hook_resid_post"], logits="none")
    stream = np.stack([run.cache[name][0] for name in names])  # [layer, pos, d_model]
    for layer in nothing.layers:
        np.testing.assert_array_equal(nothing.apply(layer, stream[layer]), stream[layer])
    found = Translating(world, cfg.n_layers).kl(stream, run.cache["blocks.3.hook_resid_post"][0])
    np.testing.assert_allclose(found, plain.kl[:-1].sum(axis=1), rtol=1e-4)


def test_training_comes_closer_on_held_out_text_at_every_layer(trained: Any) -> None:
    assert (trained.held_out_kl < 0.9 * trained.lens_kl).all()
    assert (trained.lens_kl > 0).all()
    assert trained.held_out_step == trained.step == QUICK.n_steps
    assert trained.history_kl.shape == (12, 4)
    assert list(trained.history_step) == list(range(1, 13))
    assert trained.source == WORLD
    assert trained.n_trained == 12 * 256


def test_the_same_spec_gives_the_same_bits_and_live_changes_replay(world: Transformer) -> None:
    spec = replace(QUICK, n_steps=4)
    once, again = spec.run(world), spec.run(world)
    np.testing.assert_array_equal(once.W, again.W)
    updates = spec.steps(world)
    steps = [next(updates).step]
    steps += [update.step for update in updates]
    change = [(steps[1], {"lr": 0.1, "n_steps": 5})]
    first, second = spec.run(world, change), spec.run(world, change)
    np.testing.assert_array_equal(first.W, second.W)
    assert first.step == 5
    assert np.abs(first.W - once.W).max() > 0


def test_a_snapshot_never_changes_later(world: Transformer) -> None:
    updates = replace(QUICK, n_steps=3).steps(world)
    early = next(updates).snapshot()
    assert not early.W.any()
    last = list(updates)[-1].snapshot()
    assert last.W.any()
    assert not early.W.any()
    assert early.history_kl.shape == (0, 4)


def test_a_model_that_does_not_read_the_words_gets_random_tokens() -> None:
    model = open_model(DATA / "families" / "gpt2-tied")
    rows, source = prompts(model, None, 400, 8)
    assert source == RANDOM
    assert rows.shape == (50, 8)
    found = TunedLens(n_steps=2, batch=16, n_tokens=400, layers=(1,)).run(model)
    assert list(found.layers) == [1]
    assert found.source == RANDOM


def test_a_text_is_read_in_order_and_a_short_one_is_refused(
    world: Transformer, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    words = world.vocabulary()[1:7]
    text.write_text(" ".join(words * 20))
    rows, source = prompts(world, of_file("text", text), 1000, 10)
    assert source == "text.txt"
    assert world.pieces(rows[0])[:7] == ["<bos>", *words]
    assert world.pieces(rows[1])[1] == words[9 % 6]
    with pytest.raises(RunError, match="less than two prompts of 64"):
        prompts(world, of_file("text", text), 100, 64)
    (tmp_path / "other.txt").write_bytes(b"caf\xe9")
    with pytest.raises(RunError, match="is not UTF-8: byte 3"):
        prompts(world, of_file("text", tmp_path / "other.txt"), 1000, 10)


def test_settings_that_do_not_fit_the_model_are_refused(
    world: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SpecError, match="4 is above 3"):
        replace(QUICK, layers=(4,)).run(world)
    monkeypatch.setattr(tuned, "LIMIT", 100_000)
    with pytest.raises(RunError, match="choose at most 1 `layers`"):
        QUICK.run(world)


def test_a_kl_that_is_no_number_is_an_error_with_the_way_out(
    world: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(lens: Translating, h: np.ndarray, final: np.ndarray, share: float) -> Any:
        return np.full(len(h), np.nan if share else 1.0)

    monkeypatch.setattr(Translating, "kl", diverged)
    with pytest.raises(RunError, match="KL is not finite at step 0; lower lr, now 2"):
        QUICK.run(world)


def test_stop_is_heard_inside_a_step(world: Transformer) -> None:
    heard = 0

    def watch() -> None:
        nonlocal heard
        heard += 1
        if heard > 200:
            raise Cancelled

    updates = QUICK.steps(world.under((), watch=watch))
    with pytest.raises(Cancelled):
        list(updates)


def test_a_saved_lens_comes_back_to_the_bit(
    world: Transformer, trained: Any, tmp_path: Path
) -> None:
    ref = tuned.save(tmp_path / "lens", trained, world)
    assert ref.kind == tuned.KIND
    found = tuned.load(ref, world)
    np.testing.assert_array_equal(found.W, trained.W)
    np.testing.assert_array_equal(found.b, trained.b)
    assert found.layers == (0, 1, 2, 3)
    assert not found.warnings
    assert 2 in found
    assert 4 not in found
    assert tuned.save(tmp_path / "lens", trained, world) == ref  # over an older one
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lens"]
    lens = LogitLens(prompt="anna", lens=ref).run(world)
    assert np.isfinite(lens.kl).all()


def test_the_lens_is_an_artifact_of_the_run(world: Transformer, tmp_path: Path) -> None:
    *_, last = replace(QUICK, n_steps=2).steps(world)
    (artifact,) = last.artifacts
    ref = artifact.write(tmp_path)
    np.testing.assert_array_equal(tuned.load(ref, world).W, last.snapshot().W)


def test_the_lens_of_another_model_is_refused_by_name(
    world: Transformer, trained: Any, tmp_path: Path
) -> None:
    tuned.save(tmp_path / "lens", trained, world)
    with pytest.raises(RunError, match="world-4l with d_model 128, and gpt2-tied has 12"):
        tuned.load(tmp_path / "lens", open_model(DATA / "families" / "gpt2-tied"))
    other = replace(world, name="its twin", digest="header:" + "0" * 64)
    with pytest.raises(RunError, match=r"for 'world-4l' \(sha [0-9a-f]{8}….* is its twin \(sha 0"):
        tuned.load(tmp_path / "lens", other)
    weights = replace(world.weights, W_U=world.weights.W_U + 1)
    with pytest.raises(RunError, match="choose its own lens"):
        tuned.load(tmp_path / "lens", replace(world, weights=weights, digest="f" * 64))


def published(folder: Path, **fields: Any) -> Path:
    folder.mkdir()
    config = {
        "base_model_name_or_path": "gpt2-untied", "d_model": 12, "num_hidden_layers": 2,
        "bias": True, "base_model_revision": None, "lens_type": "linear_tuned_lens",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config | fields))
    shutil.copyfile(DATA / "torch" / "lens-params.pt", folder / "params.pt")
    return folder


def test_a_published_folder_is_read_with_either_spelling_of_its_hash(tmp_path: Path) -> None:
    model = open_model(DATA / "families" / "gpt2-untied")
    own = tuned.unembed_hash(np.asarray(model.weights.W_U).T)
    for at, key in enumerate(("unembed_hash", "unemebd_hash")):
        found = tuned.load(published(tmp_path / f"good {at}", **{key: own}), model)
        assert found.W.shape == (2, 12, 12)
        assert found.b.any()
        assert not found.warnings
        warned = tuned.load(published(tmp_path / f"bad {at}", **{key: "0" * 64}), model)
        assert "another hash of the unembedding" in warned.warnings[0]
        np.testing.assert_array_equal(warned.W, found.W)


def test_a_lens_folder_that_is_not_right_is_refused(tmp_path: Path) -> None:
    model = open_model(DATA / "families" / "gpt2-untied")
    with pytest.raises(FileError, match=r"holds no config\.json"):
        tuned.load(tmp_path, model)
    with pytest.raises(FileError, match="lens_type"):
        tuned.load(published(tmp_path / "a", lens_type="mlp"), model)
    with pytest.raises(RunError, match="num_hidden_layers 3"):
        tuned.load(published(tmp_path / "b", num_hidden_layers=3), model)
    with pytest.raises(FileError, match="should hold translators of layers"):
        tuned.load(published(tmp_path / "c", layers=[0]), model)
    folder = published(tmp_path / "d")
    (folder / "params.pt").unlink()
    with pytest.raises(FileError, match=r"neither params\.safetensors nor params\.pt"):
        tuned.load(folder, model)

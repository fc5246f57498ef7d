"""Bases of the feature browser, the features of one prompt, and what is refused in words."""

from typing import Any

import numpy as np
import pytest

import resources
from engine import blas
from engine.errors import Cancelled, RunError, SpecError
from engine.mlp.config import MLPConfig
from engine.mlp.model import MLP, start
from engine.model import Intervention, open_model
from engine.model.opening import HEADER
from engine.probes.directions import About, keep, through_unembedding
from engine.sae import browsing, files
from engine.sae.pages import page
from engine.techniques.features import Features
from engine.techniques.features_on_prompt import FeaturesOnPrompt
from tests.engine.feature_browsing import HOOK, PROMPT, TEXT, made, stream


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with blas.limit("one"):
        yield


@pytest.fixture(scope="module")
def world():
    return open_model(resources.path("models") / "world-4l")


@pytest.fixture(scope="module")
def sae(world):
    return made(world)


@pytest.fixture(scope="module")
def ref(sae, tmp_path_factory):
    return files.save(sae, tmp_path_factory.mktemp("sae") / "one")


# --- other bases and architectures ---------------------------------------------------------------


def test_the_units_of_a_hook_are_a_basis_with_a_sign_and_a_lowest_band(world):
    hook = "blocks.2.mlp.hook_post"
    found = Features(**TEXT).run(world.under())
    assert (found.basis, found.hook, found.signed) == ("neurons", hook, True)
    x = stream(world, found, hook)
    counted = found.sequence_tokens != world.tokenizer.bos_id
    np.testing.assert_allclose(found.density, (x[counted] > 0).mean(0), rtol=1e-6)
    unit = page(found, 7)
    assert unit.counts.sum() == (x[counted][:, 7] != 0).sum()
    np.testing.assert_allclose(unit.edges[0], -unit.edges[-1])
    below = unit.counts[: len(unit.counts) // 2].sum()
    assert below == (x[counted][:, 7] < 0).sum()
    name, lowest = unit.bands[-1]
    assert name == "lowest"
    least = np.sort(np.where(counted, x[..., 7], 0).min(axis=1))[:5]
    np.testing.assert_allclose([one.value for one in lowest], least, rtol=1e-5)
    W_out = world.weights.blocks[2].W_out
    both = through_unembedding(world, HOOK, W_out[7], 5)
    assert both is not None
    np.testing.assert_array_equal(found.promoted_ids[7], both[0][0])  # through W_out
    assert (found.nearest >= 0).all()
    assert (found.unit == -1).all()
    assert unit.unit == -1
    assert all(len(one.beside) == 0 for _, band in unit.bands for one in band)


def test_principal_components_are_uncorrelated_and_alike_on_a_prompt_and_a_text(world):
    about: dict[str, Any] = {"basis": "components", "hook": HOOK, "n_components": 6}
    updates = list(Features(**about, **TEXT).steps(world.under()))
    assert updates[0].snapshot().density.size == 0  # there are no components yet
    found = updates[-1].snapshot()
    assert found.density.shape == (6,)
    assert (found.nearest == -1).all()  # rows that are orthogonal have no neighbours
    prompt = tuple(found.sequence_tokens[4].tolist())
    text = {"n_tokens": TEXT["n_tokens"], "context": TEXT["context"]}
    one = FeaturesOnPrompt(prompt=prompt, **about, **text).run(world.under())
    order = np.argsort(one.latents)
    x = stream(world, found)[found.sequence_tokens != world.tokenizer.bos_id].astype(np.float64)
    axes = np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :6]
    scores = (stream(world, found)[4] - x.mean(0)) @ axes
    np.testing.assert_allclose(np.abs(one.activations[:, order]), np.abs(scores), atol=1e-3)
    assert 0 < one.explained < 1


def test_a_kept_direction_is_a_basis_of_one_and_knows_its_hook(world, tmp_path):
    vector = np.random.default_rng(3).standard_normal(world.config.d_model)
    about = About("world-4l", world.digest, HOOK, "mood", "good")
    ref = keep(tmp_path, vector, about)
    found = Features(direction=ref, **TEXT).run(world.under())
    assert (found.basis, found.hook, found.basis_digest) == ("direction", HOOK, ref.digest)
    assert found.basis_name == about.name
    along = stream(world, found) @ (vector / np.linalg.norm(vector))
    counted = found.sequence_tokens != world.tokenizer.bos_id
    np.testing.assert_allclose(found.highest[0], along[counted].max(), rtol=1e-4)
    assert found.nearest.shape == (1, 0)


def test_a_topk_sae_of_one_head_reads_that_head(world, tmp_path):
    hook = "blocks.1.attn.hook_z"
    sae = made(world, "topk", hook, world.config.d_head, hook_head_index=2)
    ref = files.save(sae, tmp_path / "head")
    found = Features(sae=ref, **TEXT).run(world.under())
    assert found.l0 <= 4
    run = world.forward(found.sequence_tokens, names=[hook], logits="none")
    counted = found.sequence_tokens != world.tokenizer.bos_id
    f = sae.encode(run.cache[hook][:, :, 2][counted])
    np.testing.assert_allclose(found.density, (f > 0).mean(0), atol=1e-6)
    W_O = world.weights.blocks[1].W_O.reshape(world.config.n_heads, -1, world.config.d_model)
    both = through_unembedding(world, HOOK, sae.W_dec[8] @ W_O[2], 5)
    assert both is not None
    np.testing.assert_array_equal(found.promoted_ids[8], both[0][0])


# --- one prompt ----------------------------------------------------------------------------------


def test_features_on_a_prompt_are_the_saes_own_and_the_strongest_come_first(world, sae, ref):
    found = FeaturesOnPrompt(prompt=PROMPT, sae=ref, top=5, latents=(30, 3)).run(world.under())
    x = world.forward(world.tokens(PROMPT), names=[HOOK], logits="none").cache[HOOK][0]
    f = sae.encode(x)
    assert found.latents[:2].tolist() == [30, 3]
    np.testing.assert_allclose(found.activations, f[:, found.latents], rtol=1e-5)
    np.testing.assert_array_equal(found.n_active, (f > 0).sum(1))
    counted = found.tokens != world.tokenizer.bos_id
    assert not counted.all()  # what BOS alone does, chooses nothing
    strongest = [one for one in np.argsort(-f[counted].max(0)) if one not in (30, 3)][:3]
    assert found.latents[2:].tolist() == strongest
    left = np.linalg.norm(x - sae.reconstruct(x), axis=1)
    np.testing.assert_allclose(found.error, left, rtol=1e-4)
    total = ((x - x.mean(0)) ** 2).sum()
    np.testing.assert_allclose(found.explained, 1 - (left**2).sum() / total, rtol=1e-4)


def test_the_units_leave_nothing_out(world):
    found = FeaturesOnPrompt(prompt=PROMPT).run(world.under())
    assert found.explained == 1.0
    assert not found.error.any()
    assert len(found.latents) == 20


def test_an_intervention_below_the_hook_changes_what_the_features_are(world, ref):
    plain = FeaturesOnPrompt(prompt=PROMPT, sae=ref).run(world.under())
    view = world.under([Intervention("blocks.0.hook_attn_out", "zero")])
    changed = FeaturesOnPrompt(prompt=PROMPT, sae=ref).run(view)
    assert not np.allclose(plain.norm, changed.norm)


# --- what goes wrong -----------------------------------------------------------------------------


def refused(spec, model, error: type[Exception] = SpecError):
    with pytest.raises(error) as caught:
        spec.run(model)
    return str(caught.value)


def short(model):
    return model.digest.removeprefix(HEADER)[:8]


@pytest.mark.parametrize("kind", [Features, FeaturesOnPrompt])
def test_what_does_not_fit_is_named_with_the_way_out(world, ref, kind):
    given: Any = {"prompt": PROMPT} if kind is FeaturesOnPrompt else TEXT
    assert "choose a folder with an SAE" in refused(kind(basis="SAE", **given), world)
    assert "choose a kept direction" in refused(kind(basis="direction", **given), world)
    words = refused(kind(sae=ref, hook="blocks.1.mlp.hook_post", **given), world)
    assert "name the hook it was trained on" in words
    assert HOOK in words
    assert short(world) in words
    words = refused(kind(direction=(1.0, 2.0), hook=HOOK, **given), world)
    assert "it has 2 numbers" in words
    assert "close ones" in refused(kind(hook="blocks.1.hook_resid_past", **given), world)


def test_an_sae_of_another_model_is_refused_with_both_digests(world, ref):
    other = open_model(resources.path("models") / "induction-2l")
    words = refused(Features(sae=ref, **TEXT), other, RunError)
    assert short(world) in words
    assert short(other) in words
    assert HOOK in words


def test_a_latent_that_is_not_there_is_refused(world, ref):
    spec = FeaturesOnPrompt(prompt=PROMPT, sae=ref, latents=(40,))
    assert "latent 40 is not in 0 to 39" in refused(spec, world)


def test_a_network_of_points_is_refused_in_words():
    config = MLPConfig((2, 4, 2))
    points = MLP.from_flat(config, start(config, 0))
    assert "open a language model" in refused(Features(**TEXT), points, RunError)


def test_examples_that_would_not_fit_in_memory_are_refused_before_the_text_is_read(
    world, ref, monkeypatch
):
    monkeypatch.setattr(browsing, "MOST_BYTES", 100_000)
    words = refused(Features(sae=ref, **TEXT), world, RunError)
    assert "the examples of 40 latents would take" in words
    assert "smaller window" in words


def test_stop_is_heard_and_what_was_found_stays(world, ref):
    heard = 0

    def watch() -> None:
        nonlocal heard
        heard += 1
        if heard > 150:
            raise Cancelled

    seen, early = [], []
    with pytest.raises(Cancelled):
        for update in Features(sae=ref, **(TEXT | {"n_tokens": 8000})).steps(
            world.under((), watch)
        ):
            seen.append(update.snapshot())
            early.append(seen[0].active_count.sum())
    half = seen[-1]
    assert 0 < half.n_read < half.n_wanted
    assert half.active_count.sum() > early[-1] == early[0] > 0  # a snapshot stays as it was
    assert (half.promoted_ids == -1).all()

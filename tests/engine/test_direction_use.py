"""Directions: what can be read along them and what they do; principal components beside them."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

import resources
from engine import blas
from engine.errors import RunError, SpecError
from engine.mlp.config import MLPConfig
from engine.mlp.model import MLP, start
from engine.model import Intervention, open_model
from engine.probes import components as component_module
from engine.probes.components import components, eta_squared
from engine.probes.directions import About, about, cosines, keep, read, through_unembedding
from engine.probes.examples import gather
from engine.probes.using import Change, Effects
from engine.refs import locate, of_file
from engine.techniques.direction_use import DirectionUse
from engine.techniques.principal_components import PrincipalComponents

QUICK: dict[str, Any] = {"n_examples": 300, "random_directions": 5}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with blas.limit("one"):
        yield


@pytest.fixture(scope="module")
def world():
    return open_model(resources.path("models") / "world-4l")


@pytest.fixture(scope="module")
def ablated(world):
    """The number of a subject taken out of the middle of the model."""
    return DirectionUse(column="subject_number", **QUICK).run(world.under())


# --- existence against use ----------------------------------------------------------------------


def test_taking_out_the_difference_of_means_takes_out_what_can_be_read_there(ablated):
    before, after, rival = ablated.accuracy[0]
    assert before > 0.9
    assert after < ablated.majority + 0.1
    assert rival > 0.9  # a random direction takes nothing away
    assert ablated.own_accuracy[0] > 0.75 > ablated.own_accuracy[1]
    assert ablated.accuracy[1, 1] > 0.8  # later layers find it again: it is written elsewhere too


def test_a_direction_that_is_used_does_more_than_isotropic_ones(ablated):
    isotropic = ablated.null_names.index("isotropic")
    assert ablated.kl_rank[isotropic] == 1.0
    assert ablated.kl > 3 * ablated.kl_band[isotropic, 1]
    assert ablated.loss > ablated.loss_base
    assert (ablated.null_kl >= 0).all()
    assert ablated.null_kl.shape == (2, 5)
    low, high = ablated.kl_band[0]
    assert low <= np.median(ablated.null_kl[0]) <= high
    assert ablated.null_variance[0].mean() > ablated.null_variance[1].mean()


def test_steering_towards_the_plural_makes_the_verb_plural(world):
    spec = DirectionUse(
        column="subject_number",
        label="plural",
        how="steer",
        factor=4.0,
        watch=("is", "are"),
        **QUICK,
    )
    found = spec.run(world.under())
    (base_is, base_are), (now_is, now_are) = found.watched_base, found.watched_changed
    assert now_is < base_is / 2
    assert now_are > base_are * 1.2
    assert found.length > 0
    assert found.watched_band.shape == (2, 2, 2)


def test_rivals_run_together_are_what_each_would_be_as_an_intervention(world):
    view = world.under()
    examples = gather(DirectionUse(column="number", **QUICK), view)
    u = np.random.default_rng(0).standard_normal((3, 128))  # [direction, d_model]
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    rows, watched = np.arange(0, len(examples), 7), np.array([5, 6])
    for length in (0.0, 3.0):
        action = "steer" if length else "zero"
        hook = "blocks.1.hook_resid_post"
        entry = Intervention(hook, action, length, direction=tuple(u[2]))
        effects = Effects(
            view, world.under([entry]), Change(hook, u, length), examples, rows, watched
        )
        shares = list(effects.steps())
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        found = effects.measured()
        assert found.kl[3] == pytest.approx(found.kl[0], rel=1e-4)
        assert found.loss[3] == pytest.approx(found.loss[0], rel=1e-5)
        assert np.allclose(found.watched[3], found.watched[0], rtol=1e-3)
        assert found.kl[1] != pytest.approx(found.kl[0], rel=1e-2)


def test_the_plain_loss_is_that_of_a_plain_forward_pass(world):
    view = world.under()
    examples = gather(DirectionUse(column="number", **QUICK), view)
    change = Change("blocks.1.hook_resid_post", np.eye(128)[:1])
    effects = Effects(view, view, change, examples, np.arange(len(examples)), np.zeros(0, int))
    list(effects.steps())
    found, total, count = effects.measured(), 0.0, 0
    for at in np.unique(examples.text):
        ids = examples.texts[at].ids
        logits = world.forward(ids).logits[0].astype(np.float64)  # [pos, d_vocab]
        logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        total -= logp[np.arange(len(ids) - 1), ids[1:]].sum()
        count += len(ids) - 1
    assert (found.n_predicted, found.n_read) == (count, len(examples))
    assert found.loss_base == pytest.approx(total / count, rel=1e-5)
    assert found.kl[0] == pytest.approx(0.0, abs=1e-7)


def test_a_network_of_points_uses_the_direction_of_its_label():
    config = MLPConfig((2, 16, 16, 1), "relu", "xor", 0)
    model = MLP.from_flat(config, start(config, 0)).under()
    found = DirectionUse(layer=1, **QUICK).run(model)
    assert found.hook == "layers.1.hook_post"
    assert found.n_read == found.n_predicted > 100
    assert np.isfinite([found.kl, found.loss, found.loss_base]).all()


def test_a_direction_that_does_not_fit_is_refused_by_name(world):
    with pytest.raises(SpecError, match=r"it has 3 numbers, and blocks\.2\.hook_resid_post is 128"):
        DirectionUse(direction=(1.0, 2.0, 3.0), **QUICK).run(world.under())
    with pytest.raises(SpecError, match="a direction for each head"):
        DirectionUse(site="z", **QUICK).run(world.under())
    with pytest.raises(SpecError, match="'dual' is none of plural, singular"):
        DirectionUse(column="number", label="dual", **QUICK).run(world.under())


# --- directions as objects ----------------------------------------------------------------------


def test_a_kept_direction_is_what_interventions_and_use_read(world, tmp_path, ablated):
    told = About("world-4l", world.digest, ablated.hook, "subject_number", "singular", "mass_mean")
    ref = keep(tmp_path / "kept", ablated.direction, told)
    again = keep(tmp_path / "kept", ablated.direction, told)
    assert ref.kind == "direction"
    assert again.where != ref.where
    vector, said = read(ref)
    assert said == told
    assert json.loads(locate(ref).with_suffix(".json").read_text()) == asdict(told)
    assert np.allclose(vector, ablated.direction, atol=1e-7)
    world.under([Intervention(ablated.hook, direction=ref)]).forward(world.tokens("the key is"))
    found = DirectionUse(column="subject_number", direction=ref, **QUICK).run(world.under())
    assert found.kl == pytest.approx(ablated.kl, rel=1e-3)
    assert found.label == "singular"


def test_what_is_no_direction_is_refused_and_a_spoiled_note_is_overlooked(tmp_path):
    told = About("m", "", "h", "c", "l")
    for wrong in (np.zeros(4), np.full(4, np.nan), np.ones((2, 2))):
        with pytest.raises(RunError, match="no direction"):
            keep(tmp_path, wrong, told)
    ref = keep(tmp_path, np.ones(4), told)
    beside = locate(ref).with_suffix(".json")
    for spoiled in (b"{", b'{"model": 3}', b""):
        beside.write_bytes(spoiled)
        assert about(locate(ref)) is None
    np.save(tmp_path / "two.npy", np.ones((2, 2)))
    with pytest.raises(RunError, match="not one vector"):
        read(of_file("direction", tmp_path / "two.npy"))


def test_cosines_of_directions(world):
    x, y = np.array([1.0, 0.0]), np.array([1.0, 1.0])
    table = cosines([x, y], [x, -y, np.zeros(2), np.ones(3)])
    assert np.allclose(table[:, :2], [[1, -np.sqrt(0.5)], [np.sqrt(0.5), -1]])
    assert np.isnan(table[:, 2:]).all()


def test_the_tokens_a_direction_writes_are_those_of_the_unembedding(world):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(128)
    found = through_unembedding(world, "blocks.2.hook_resid_post", x)
    assert found is not None
    (top, most), (bottom, least) = found
    centred = (x / np.linalg.norm(x) - (x / np.linalg.norm(x)).mean()) * world.weights.ln_final.w
    logits = centred @ world.weights.W_U
    logits -= logits.mean()
    order = np.argsort(-logits)
    assert list(top) == list(order[:10])
    assert list(bottom) == list(order[::-1][:10])
    assert np.allclose(most, logits[top], atol=1e-4)
    assert (np.diff(most) <= 0).all()
    assert (np.diff(least) >= 0).all()
    assert through_unembedding(world, "blocks.2.mlp.hook_post", np.ones(512)) is None


# --- principal components -----------------------------------------------------------------------


def test_components_are_those_of_the_singular_value_decomposition(monkeypatch):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((60, 20)) * 0.7 ** np.arange(20) + 5).astype(np.float32)
    whole = X - X.mean(axis=0, dtype=np.float64)
    U, S, V = np.linalg.svd(whole, full_matrices=False)
    for exact in (768, 4):  # by one eigendecomposition, by iteration
        monkeypatch.setattr(component_module, "EXACT", exact)
        found = components(X, 4, 0, lambda: None)
        signs = np.sign((found.axes * V[:4]).sum(axis=1))
        assert np.allclose(found.axes, signs[:, None] * V[:4], atol=1e-5)
        assert np.allclose(found.scores, signs * U[:, :4] * S[:4], atol=1e-4)
        assert np.allclose(found.explained, (S**2 / (S**2).sum())[:4])
        assert found.total == pytest.approx(whole.var(axis=0, ddof=1).sum())
        assert (found.axes[np.arange(4), np.abs(found.axes).argmax(axis=1)] > 0).all()


def test_eta_squared_is_1_where_a_class_is_one_value_and_0_where_means_agree():
    label = np.array([0, 0, 1, 1])
    scores = np.array([[1.0, -1.0], [1.0, 1.0], [3.0, -1.0], [3.0, 1.0]])
    assert np.allclose(eta_squared(scores, label, 2), [1.0, 0.0])


def test_a_label_shows_in_the_components_beyond_its_null(world):
    found = PrincipalComponents(column="part_of_speech", layer=-1, n_examples=300).run(
        world.under()
    )
    assert found.hook == "blocks.0.hook_resid_pre"
    assert found.scores.shape == (len(found.label), 8)
    assert (np.diff(found.explained) <= 1e-12).all()
    assert found.eta_squared.max() > 3 * found.eta_null.max()
    assert np.allclose(found.directions @ found.directions.T, np.eye(8), atol=1e-6)
    x = world.forward(found.example_prompt_tokens[0][found.example_prompt_tokens[0] >= 0],
                      names=[found.hook]).cache[found.hook][0, found.example_where[0]]  # fmt: skip
    assert np.allclose((x - found.center) @ found.directions.T, found.scores[0], atol=1e-4)

"""Toy SAEs: known directions, matching, the batched step against the large trainer, the result."""

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from engine.errors import Cancelled, RunError, SpecError
from engine.sae import concepts, matching, toy_reading
from engine.sae.matching import DEAD, DUPLICATE, MATCHED, MIXED
from engine.sae.sae import SAE
from engine.sae.settings import Settings
from engine.sae.step import Trainer
from engine.sae.toy_presets import PRESETS
from engine.sae.toy_training import Bench
from engine.technique import result_fields
from engine.techniques.toy_sae import ToySAE, ToySAEResult

BENCH: dict[str, Any] = {
    "kind": "spread", "concepts": 5, "density": 0.15, "samples": 400, "latents": 12,
    "architecture": "standard", "norm": "unit", "sparsity": 0.3, "k": 2, "bandwidth": 0.5,
    "b_dec": True, "batch": 64, "lr": 0.005, "steps": 100, "schedule": "constant",
    "optimizer": "adam", "resample_every": 0, "seed": 3, "instances": 1,
}  # fmt: skip
SHORT: dict[str, Any] = {"n_steps": 60, "n_samples": 300, "batch": 32, "record": 4}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def same(a: ToySAEResult, b: ToySAEResult) -> bool:
    return all(np.array_equal(getattr(a, item.name), getattr(b, item.name)) for item in fields(a))


# concepts


def test_five_spread_directions_are_two_poles_and_a_triangle() -> None:
    true = concepts.directions("spread", 5, np.random.default_rng(4))
    cosine = np.sort((true @ true.T)[np.triu_indices(5, 1)])
    np.testing.assert_allclose(cosine, [-1, -0.5, -0.5, -0.5, *[0] * 6], atol=0.02)


def test_a_sample_is_the_sum_of_its_concepts(rng: np.random.Generator) -> None:
    true = concepts.directions("random", 5, rng)
    np.testing.assert_allclose(np.linalg.norm(true, axis=1), 1, atol=1e-12)
    x, amounts = concepts.draw(true, 0.15, 20_000, rng)
    np.testing.assert_allclose(x, true.T @ amounts, atol=1e-5)
    there = amounts > 0
    assert abs(there.mean() - 0.15) < 0.005
    assert amounts[there].min() >= concepts.LEAST
    assert amounts[there].max() <= concepts.MOST
    assert abs(amounts[there].mean() - 1) < 0.01


# matching


def test_the_best_threshold_is_the_best_of_all_thresholds(rng: np.random.Generator) -> None:
    h = np.maximum(rng.normal(size=200).round(1), 0)  # with ties
    label = (h + rng.normal(size=200)) > 0.7
    best, threshold, at_zero = matching.best_f1(h, label)

    def f1(t: float) -> float:
        said = h > t
        return 2 * (said & label).sum() / (said.sum() + label.sum())

    assert best == pytest.approx(max(f1(t) for t in [0.0, *h]))
    assert f1(threshold) == pytest.approx(best)
    assert at_zero == pytest.approx(f1(0.0))
    assert matching.best_f1(np.zeros(200), label) == (0.0, 0.0, 0.0)


def test_each_latent_has_one_role_and_each_concept_one_latent(rng: np.random.Generator) -> None:
    true = np.eye(3)
    W_dec = np.array([[0, 3, 0], [1, 0, 0], [1, 0.1, 0], [1, 1, 1], [0, 0, 1.0]])
    x, amounts = concepts.draw(true, 0.3, 2000, rng)
    f = np.zeros((5, 2000))
    f[:4] = amounts[[1, 0, 0, 0]]
    x_hat = x.copy()
    found = matching.score(W_dec, true, f, amounts, x, x_hat)
    assert found.role.tolist() == [MATCHED, MATCHED, DUPLICATE, MIXED, DEAD]
    assert found.matched.tolist() == [1, 0, 3]  # the last one is dead, so a mixture it is
    assert found.found == 2
    np.testing.assert_allclose(found.f1, [1, 1, found.f1[2]])
    assert found.f1[2] < 0.7
    assert found.mmcs == pytest.approx((1 + 1 + 1 / np.sqrt(3)) / 3)
    assert found.explained == 1
    nothing = matching.score(W_dec, true, np.zeros((5, 2000)), amounts, x, 0 * x)
    assert nothing.mmcs == nothing.f1.sum() == nothing.found == 0
    assert nothing.matched.tolist() == [-1] * 3


def test_the_assignment_is_scipys(rng: np.random.Generator) -> None:
    """In pairs too where no two are equal; in its total where many are."""
    for turn in range(200):
        cosine = rng.uniform(-1, 1, (rng.integers(0, 16), rng.integers(1, 16)))  # [row, column]
        ties = turn % 3 == 0
        cosine = np.round(2 * cosine) / 2 if ties else cosine
        rows, columns = matching.assigned(cosine)
        right = linear_sum_assignment(cosine, maximize=True)
        assert len(set(rows.tolist())) == len(set(columns.tolist())) == min(cosine.shape)
        assert cosine[rows, columns].sum() == pytest.approx(cosine[right].sum())
        assert ties or (np.array_equal(rows, right[0]) and np.array_equal(columns, right[1]))


def test_chance_is_what_random_directions_give(rng: np.random.Generator) -> None:
    W_dec = rng.normal(size=(4000, 12, 3))
    cosine = matching.cosines(W_dec, np.array([[0, 0, 1.0]]))  # [trial, latent, 1]
    assert cosine.max(axis=1).mean() == pytest.approx(matching.by_chance(12), abs=0.01)


# the batched step


@pytest.mark.parametrize(
    "about",
    [{}, {"norm": "weighted"}, {"architecture": "topk"},
     {"architecture": "jumprelu", "sparsity": 0.1}, {"b_dec": False}],
    ids=["unit", "weighted", "topk", "jumprelu", "without b_dec"],
)  # fmt: skip
def test_it_learns_what_the_large_trainer_learns(about: dict[str, Any]) -> None:
    given: dict[str, Any] = BENCH | about | {"dtype": np.float64}
    bench = Bench(**given)
    kind, jump = given["architecture"], given["architecture"] == "jumprelu"
    start = SAE(
        kind, bench.encoder[0, :, :3].T.copy(), bench.W_dec[0].copy(), np.zeros(3),
        b_enc=np.zeros(12), threshold=bench.threshold[0].copy() if jump else None,
        k=2 if kind == "topk" else None,
    )  # fmt: skip
    settings = Settings(
        architecture=kind, norm=given["norm"], k=2, l1=given["sparsity"], aux_k=0, bandwidth=0.5,
        lr=0.005, clip=0, n_steps=100, b_dec=given["b_dec"], rescale_acts_by_decoder_norm=False,
    )  # fmt: skip
    trainer = Trainer(settings, 3, 12, start=start, dtype=np.float64)
    for step in range(40):
        bench.advance(1)
        trainer.step(bench.data[0][bench.chosen[0, step]])
    learnt = trainer.sae()
    assert np.abs(learnt.W_dec - start.W_dec).max() > 0.05
    pairs = {
        "W_dec": bench.W_dec[0], "W_enc": bench.encoder[0, :, :3].T, "b_dec": bench.b_dec[0],
        "b_enc": bench.encoder[0, :, 3],
    } | ({"threshold": bench.threshold[0]} if jump else {})  # fmt: skip
    for name, own in pairs.items():
        np.testing.assert_allclose(own, getattr(learnt, name), atol=1e-9, err_msg=name)


def bench(**about: Any) -> Bench:
    """A small bench, in some things another one."""
    return Bench(**dict(BENCH, **about))


def test_an_instance_is_to_the_bit_what_it_is_alone() -> None:
    many = bench(instances=3)
    alone = bench(seed=5)
    many.advance(70)
    for count in (1, 40, 29):
        alone.advance(count)
    for name in ("true", "encoder", "W_dec", "b_dec"):
        np.testing.assert_array_equal(getattr(many, name)[2], getattr(alone, name)[0])


def test_rows_of_the_decoder_keep_their_length_where_they_must() -> None:
    unit = bench()
    unit.advance(100)
    np.testing.assert_allclose(np.linalg.norm(unit.W_dec, axis=-1), 1, atol=1e-6)
    free = bench(norm="free")
    free.advance(100)
    assert np.abs(np.linalg.norm(free.W_dec, axis=-1) - 1).max() > 0.01


def test_resampling_gives_the_dead_a_new_beginning() -> None:
    born = bench(resample_every=10)
    born.encoder[0, :4, 3] = -100  # never fire again
    born.advance(10)
    assert (born.encoder[0, :4, 3] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(born.W_dec[0, :4], axis=-1), 1, atol=1e-5)
    alone = born.encoder[0, :4, :3] / np.linalg.norm(born.encoder[0, :4, :3], axis=1)[:, None]
    np.testing.assert_allclose(alone, born.W_dec[0, :4], atol=1e-5)


# the technique


def test_all_five_concepts_are_found() -> None:
    result = ToySAE(instances=4, seed=41, record=2).run(None)
    at = dict(zip(result.metric_names, result.metrics, strict=True))
    assert (at["found"] == 5).all()
    assert at["MMCS"].min() >= 0.98
    assert at["F1"].min() >= 0.94
    np.testing.assert_allclose(np.linalg.norm(result.W_dec, axis=-1), 1, atol=1e-6)


def test_the_settings_of_the_article_fail_and_the_sentence_says_how_near_chance_is() -> None:
    preset = next(each for each in PRESETS if "article" in each.name)
    result = preset.spec.run(None)
    assert preset.check(result)
    said = toy_reading.describe(result, toy_reading.moment(result))
    found = int(result.metrics[1, 0])
    assert said.startswith(f"{found} of 5 concepts found" if found else "None of 5 concepts")
    assert "12 random directions have 0.85" in said


def test_the_same_spec_gives_the_same_bits_at_any_pace() -> None:
    a = ToySAE(**SHORT).run(None)
    assert same(a, ToySAE(**SHORT).run(None))
    paced = ToySAE(**SHORT, pace=7).run(None)
    assert same(a, paced)


def test_every_snapshot_is_the_result_so_far_and_never_changes() -> None:
    spec = ToySAE(**SHORT, pace=5, instances=2)
    seen = []
    for update in spec.steps(None):
        result = update.snapshot()
        seen.append((result, result.W_dec.copy(), result.metrics.copy(), update.step))
    assert len(seen) == 13
    for result, W_dec, metrics, step in seen:
        assert result.step == step
        np.testing.assert_array_equal(result.W_dec, W_dec)
        np.testing.assert_array_equal(result.metrics, metrics)
        assert result.history_step[-1] <= step
    assert seen[-1][0].history_step.tolist() == [0, 20, 40, 60]


@pytest.mark.parametrize("about", [{}, {"architecture": "topk", "k": 2},
                                   {"architecture": "jumprelu", "b_dec": True}])  # fmt: skip
def test_a_result_is_an_sae_and_any_moment_of_it_can_be_looked_at(about: dict[str, Any]) -> None:
    result = ToySAE(**SHORT, instances=2, **about).run(None)
    for instance in (0, 1):
        sae = result.sae(instance)
        f = sae.encode(result.sample_x[instance].T).T
        np.testing.assert_allclose(f, result.sample_f[instance], atol=1e-5)
    now = toy_reading.moment(result)
    then = toy_reading.moment(result, record=len(result.history_step) - 1)
    for item in fields(now):
        np.testing.assert_allclose(getattr(now, item.name), getattr(then, item.name), atol=1e-5)
    for concept, latent in enumerate(now.matched):
        if latent >= 0 and now.role[latent] == MATCHED:
            assert now.concept[latent] == concept
    order = now.latent_order
    assert sorted(order) == list(range(12))
    assert toy_reading.record_of(result, 25) == 1
    assert toy_reading.record_of(result, 60) is None


def test_axes_are_as_long_as_they_are_named() -> None:
    result = ToySAE(**SHORT, instances=2).run(None)
    sizes = {"instance": 2, "concept": 5, "latent": 12, "xyz": 3, "record": 4, "sample": 300,
             "metric": 9}  # fmt: skip
    for name, about in result_fields(ToySAE).items():
        axes = about["axes"].split()
        assert np.shape(getattr(result, name)) == tuple(sizes[axis] for axis in axes), name


def test_a_change_on_the_way_replays_to_the_same_bits() -> None:
    spec = ToySAE(**SHORT, pace=10)
    changed = spec.run(None, [(20, {"sparsity": 1.0})])
    assert same(changed, spec.run(None, [(20, {"sparsity": 1.0})]))
    assert not np.array_equal(changed.W_dec, spec.run(None).W_dec)
    np.testing.assert_array_equal(changed.history_sparsity, [0.3, 0.3, 1.0, 1.0])


def test_a_wild_learning_rate_ends_with_the_last_good_state() -> None:
    spec = ToySAE(**SHORT, optimizer="sgd", norm="free", lr=10.0, pace=2)
    last = None
    with pytest.raises(RunError, match="lower lr"):
        for update in spec.steps(None):
            last = update
    assert last is not None
    result = last.snapshot()
    assert np.isfinite(result.W_dec).all()
    assert np.isfinite(result.metrics).all()


def test_stop_is_heard_and_the_last_update_still_has_its_result() -> None:
    heard = []

    def listen() -> None:
        heard.append(1)
        if len(heard) > 6:
            raise Cancelled(None)

    last = None
    with pytest.raises(Cancelled):
        for update in ToySAE(**SHORT, pace=3).steps(SimpleNamespace(listen=listen)):
            last = update
    assert last is not None
    assert last.snapshot().step == last.step


def test_what_cannot_be_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="13 is above the 12 latents"):
        ToySAE(architecture="topk", k=13)
    with pytest.raises(SpecError, match="batch"):
        ToySAE(instances=100, n_latents=64, batch=8192)


def test_every_preset_is_a_spec_of_its_own() -> None:
    specs = [preset.spec for preset in PRESETS]
    assert len(set(specs)) == len(specs)
    assert specs[0] == replace(specs[-1], instances=1)

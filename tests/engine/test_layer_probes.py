"""LayerProbes: what it reads where, its controls, its bookkeeping, and what it refuses."""

import csv
import tempfile
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import resources
from engine import blas
from engine.data.labelled_table import KIND
from engine.errors import Cancelled, RunError, SpecError
from engine.mlp.config import MLPConfig
from engine.mlp.model import MLP, start
from engine.model import Intervention, open_model
from engine.probes import collecting
from engine.probes.examples import gather
from engine.probes.labels import Reader
from engine.probes.layer_result import CONTROL, RANDOM, SHUFFLED, TASK
from engine.probes.random_weights import with_random_weights
from engine.probes.sites import sites
from engine.probes.sweep import LayerSweep
from engine.refs import of_file
from engine.techniques.layer_probes import LayerProbes

QUICK: dict[str, Any] = {"n_examples": 600, "seeds": 3, "lambdas": (0.01, 0.1)}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with blas.limit("one"):
        yield


@pytest.fixture(scope="module")
def world():
    return open_model(resources.path("models") / "world-4l")


@pytest.fixture(scope="module")
def number(world):
    """Number of the subject, read at the words between it and its verb."""
    return LayerProbes(column="subject_number", **QUICK).run(world.under())


def table(tmp_path, rows, name="data.csv"):
    file = tmp_path / name
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows([("text", "label", "group"), *rows])
    return of_file(KIND, file)


def only(world, **about):
    """A run of the task alone: no controls."""
    off = {"control_task": False, "random_weights": False, "shuffled": False}
    return LayerProbes(**{**QUICK, "seeds": 1, **off, **about}).run(world.under())


# --- what it finds ------------------------------------------------------------------------------


def test_the_number_of_a_subject_is_carried_to_words_that_do_not_show_it(number):
    assert number.site_labels == ("embed", "0", "1", "2", "3")
    assert number.mean[TASK, 0] < 0.7  # the word itself says next to nothing
    assert number.mean[TASK, -1] > 0.93
    assert number.best_site == int(number.validation.max(axis=0).argmax()) > 0
    majority = number.baselines[0].mean()
    assert (np.abs(number.mean[SHUFFLED] - majority) < 0.12).all()
    assert (number.mean[RANDOM, 1:] < number.mean[TASK, 1:] - 0.2).all()
    assert not number.leakage


def test_intervals_and_selectivity_belong_to_their_means(number):
    assert ((number.low <= number.mean) & (number.mean <= number.high)).all()
    assert np.allclose(number.mean, number.accuracy.mean(axis=1))
    gap = number.mean[TASK] - number.mean[CONTROL]
    assert np.allclose(number.selectivity, gap)
    assert ((number.selectivity_low <= gap) & (gap <= number.selectivity_high)).all()


def test_confusion_predictions_and_margins_tell_one_story(number):
    n_test = number.n_parts[2]
    assert number.n_parts.sum() == number.n_examples == number.counts.sum()
    assert (number.confusion.sum(axis=(1, 2)) == n_test).all()
    right = np.trace(number.confusion, axis1=1, axis2=2) / n_test
    assert np.allclose(right, number.accuracy[TASK, 0])
    assert ((number.margin < 0) == (number.predicted != number.true)).all()
    assert ((number.projection > 0) == (number.predicted == 1)).all()
    assert np.allclose(number.scores[..., 1] - number.scores[..., 0], number.projection, atol=1e-4)


def test_weights_and_bias_are_those_of_raw_activations(number, world):
    for at in (0, 7):
        tokens = number.example_prompt_tokens[at]
        tokens, where = tokens[tokens >= 0], number.example_where[at]
        assert world.pieces(tokens)[where] == number.example_words[at]
        cache = world.forward(tokens, names=number.site_names).cache
        for site, name in enumerate(number.site_names):
            x = cache[name][0, where]
            said = number.weights[site, 0] @ x + number.bias[site, 0]
            assert np.isclose(said, number.projection[site, at], atol=1e-3)
    assert np.array_equal(number.direction(2, 1), -number.direction(2, 0))


def test_a_word_that_decides_its_label_is_called_a_leak(world):
    found = only(world, column="part_of_speech", n_examples=400, layers=(-1,), lambdas=(0.1,))
    assert "a token that decides the label" in found.leakage
    assert found.classes == tuple(sorted(found.classes))
    assert found.baselines[1].mean() > found.baselines[0].mean() + 0.2  # word identity


def test_without_attention_nothing_is_carried(world):
    cut = [Intervention(f"blocks.{layer}.hook_attn_out") for layer in range(4)]
    spec = LayerProbes(**{**QUICK, "seeds": 1}, column="subject_number", random_weights=False)
    found = spec.run(world.under(cut))
    assert (found.mean[TASK] < 0.7).all()


def test_a_map_says_from_which_position_on_it_is_there(world):
    found = only(world, column="subject_number", by_position=True, layers=(-1, 3))
    assert found.map.shape == (2, len(found.positions))
    assert (found.map_counts >= 40).all()
    assert (found.map[1] > found.map[0] + 0.1).all()
    assert (found.map_majority < 0.8).all()


def test_the_online_code_is_shorter_where_the_label_can_be_read(world):
    found = only(world, column="subject_number", codelength=True, layers=(-1, 3), shuffled=True)
    assert found.uniform_bits == pytest.approx(found.n_examples)  # two classes: a bit each
    assert found.compression[TASK, 1] > 2 > found.compression[TASK, 0]
    assert found.compression[SHUFFLED, 1] < 1


@pytest.mark.parametrize("kind", ["ridge", "mass_mean", "mass_mean_corrected", "sparse", "hidden"])
def test_every_kind_of_probe_reads_the_last_layer(world, kind):
    found = only(world, column="subject_number", probe=kind, k=8, layers=(3,), lambdas=(0.1,))
    assert found.mean[TASK, 0] > 0.75
    assert np.isnan(found.weights).all() == (kind == "hidden")  # it reads no direction


def test_a_network_of_points_is_probed_on_fresh_points_of_its_task():
    config = MLPConfig((2, 16, 16, 1), "relu", "xor", 0)
    model = MLP.from_flat(config, start(config, 0)).under()
    found = LayerProbes(n_examples=600, seeds=2, lambdas=(0.01,)).run(model)
    assert found.site_labels == ("input", "0", "1")
    assert list(found.widths) == [2, 16, 16]
    assert found.mean[TASK, 0] < 0.65 < 0.85 < found.mean[TASK, 1]
    assert np.isnan(found.weights[0, :, 2:]).all()
    assert np.isfinite(found.weights[0, :, :2]).all()
    assert np.array_equal(found.baselines[2], found.accuracy[TASK, :, 0])
    assert (found.top_tokens == -1).all()


# --- bookkeeping --------------------------------------------------------------------------------


def test_groups_are_never_parted_and_the_same_text_is_one_group(world, tmp_path):
    rows = [
        (f"the {word} is red", at % 2, "") for at, word in enumerate(["dog", "cat", "key"] * 20)
    ]
    sweep = LayerSweep(LayerProbes(data=table(tmp_path, rows), **QUICK), world.under())
    texts = np.array([sweep.examples.texts[at].text for at in sweep.examples.text])
    for parts in sweep.splits:
        found = [set(texts[rows]) for rows in (parts.train, parts.validation, parts.test)]
        assert sum(map(len, found)) == len(set.union(*found)) == 3


def test_the_same_spec_gives_the_same_bits_and_another_seed_others(world):
    spec = LayerProbes(column="number", n_examples=200, seeds=2, lambdas=(0.1,), layers=(1,))
    one, same, other = (one.run(world.under()) for one in (spec, spec, replace(spec, seed=1)))
    for item in fields(one):
        a, b = getattr(one, item.name), getattr(same, item.name)
        assert np.array_equal(a, b, equal_nan=getattr(a, "dtype", np.dtype("U1")).kind == "f"), item
    assert not np.array_equal(one.weights, other.weights)


def test_snapshots_never_change_and_begin_with_nothing_known(world):
    spec = LayerProbes(column="number", n_examples=200, seeds=1, lambdas=(0.1,), layers=(0, 1))
    shots = [update.snapshot() for update in spec.steps(world.under())]
    assert np.isnan(shots[0].accuracy).all()
    assert shots[0].best_site == -1
    known = [np.isfinite(shot.accuracy).sum() for shot in shots]
    assert known == sorted(known)
    assert known[0] < known[-1] == 8


def test_steps_grow_to_a_total_that_is_met(world):
    steps = [
        (update.step, update.total)
        for update in LayerProbes(n_examples=120, seeds=1, lambdas=(0.1,)).steps(world.under())
    ]
    assert (np.diff([step for step, _ in steps]) > 0).all()
    assert steps[-1][0] == steps[-1][1]


def test_spilled_activations_give_the_same_numbers_and_leave_nothing(world, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    about: dict[str, Any] = {"column": "subject_number", "n_examples": 200, "layers": (2, 3)}
    plain = only(world, **about)
    monkeypatch.setattr(collecting, "LIMIT", 1000)
    spilled = only(world, **about)
    assert plain.spill_bytes == 0
    assert spilled.spill_bytes == 4 * plain.n_examples * 128 * 3  # two layers, raw embedding
    assert np.array_equal(plain.weights, spilled.weights)
    assert not list(tmp_path.iterdir())
    steps = LayerProbes(**about).steps(world.under())
    next(steps)
    assert "MB of activations in a temporary file" in next(steps).note
    assert list(tmp_path.iterdir())
    steps.close()
    assert not list(tmp_path.iterdir())


def test_stop_is_heard_and_removes_what_was_spilled(world, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(collecting, "LIMIT", 1000)
    asked = []

    def watch():
        asked.append(bool(list(tmp_path.iterdir())))
        if len(asked) > 400:
            raise Cancelled

    with pytest.raises(Cancelled):
        LayerProbes(column="number", n_examples=300).run(world.under((), watch))
    assert any(asked)
    assert not list(tmp_path.iterdir())


def test_random_weights_keep_each_tensors_mean_and_spread_and_the_norms_gains(world):
    drawn = with_random_weights(world, 3)
    for (name, old), (_, new) in zip(
        world.weights.named(), drawn.weights.named(), strict=True
    ):  # fmt: skip
        if ".ln" in name or name.startswith("ln_") or name in ("W_U", "b_U"):
            assert name == "W_U" or new is old or np.array_equal(new, old)
        elif old.size > 1000:
            assert not np.array_equal(old, new)
            assert new.std() == pytest.approx(old.std(), rel=0.1)
            assert new.mean() == pytest.approx(old.mean(), abs=0.1 * float(old.std()))
    assert drawn.config.tied == np.shares_memory(drawn.weights.W_U, drawn.weights.W_E)


# --- what is read -------------------------------------------------------------------------------


def test_a_text_is_read_at_its_last_token_a_position_or_as_a_mean(world, tmp_path):
    rows = [(f"{'Anna' if at % 2 else 'Paul'} saw the key {at % 50 + 20}", at % 2, at)
            for at in range(60)]  # fmt: skip
    data = table(tmp_path, rows)
    for read, position, wanted in (
        ("auto", -1, {5}), ("position", 1, {1}), ("position", -2, {4}), ("mean", -1, {-1}),
        ("every", -1, {1, 2, 3, 4, 5}),
    ):  # fmt: skip
        spec = LayerProbes(data=data, read=read, position=position)
        examples = gather(spec, world.under())
        assert set(examples.where) == wanted, read
        assert examples.classes == ("0", "1")
    found = only(world, data=data, read="mean", n_examples=60, lambdas=(0.1,))
    assert found.mean[TASK, 0] == 1.0  # the name is in the mean of the embeddings
    x = world.forward(world.tokens(found.example_text[0]), names=["hook_embed"]).cache
    assert (found.example_where == -1).all()
    assert x["hook_embed"].shape[1] == 6


def test_a_word_of_several_tokens_is_read_at_the_last(world):
    class Halves:
        """Every word as its first letter and the rest."""

        def encode(self, text, bos="auto"):
            ids = [code for word in text.split() for code in (ord(word[0]), len(word))]
            return ids if bos == "no" else [0, *ids]

    model = type("Model", (), {"tokenizer": Halves()})()
    ids, before, ends = Reader(model, "auto").words(["ab", "c", "def"])
    assert before == 1
    assert list(ids[ends]) == [2, 1, 3]


@pytest.mark.parametrize(
    ("site", "n", "first"),
    [
        ("resid_pre", 4, "embed"),
        ("resid_mid", 5, "embed"),
        ("z", 5, "embed"),
        ("mlp_post", 5, "embed"),
    ],
)
def test_sites_are_the_layers_and_the_embedding_once(world, site, n, first):
    found = sites(world, site, "", ())
    assert (len(found), found[0].label) == (n, first)
    widths = {"z": 128, "mlp_post": 512}
    assert found[-1].width == widths.get(site, 128)


def test_what_makes_no_sense_is_refused_by_name(world, tmp_path):
    with pytest.raises(SpecError, match="no labels are called 'colour'"):
        only(world, column="colour")
    with pytest.raises(SpecError, match=r"layer 9 is not in -1\.\.3"):
        only(world, layers=(9,))
    with pytest.raises(SpecError, match=r"no activation .* is called 'blocks.7"):
        only(world, hook="blocks.7.hook_resid_pre")
    with pytest.raises(SpecError, match="as wide as a text is long"):
        only(world, hook="blocks.0.attn.hook_pattern")
    with pytest.raises(SpecError, match="labels of their own"):
        only(world, column="number", read="mean")
    one = table(tmp_path, [(f"the key {at}", "same", "") for at in range(30)])
    with pytest.raises(RunError, match="are 'same': a probe needs two classes"):
        only(world, data=one)
    with pytest.raises(SpecError, match="has no labels called 'kind'; it has label"):
        only(world, data=one, column="kind")


def test_missing_labels_and_rare_classes_are_left_out_and_counted(world, tmp_path):
    rows = [(f"the key {at + 10}", ("a", "b")[at % 2], "") for at in range(40)]
    rows += [("the dog", "", ""), ("the cat", "", ""), ("the cow", "rare", "")]
    examples = gather(LayerProbes(data=table(tmp_path, rows)), world.under())
    assert (len(examples), examples.classes) == (40, ("a", "b"))
    told = " ".join(examples.warnings)
    assert "2 rows of data.csv without a label left out" in told
    assert "1 of 3 classes have fewer than 5 examples" in told
    assert "rare (1)" in told

"""The feature browser: what it tells of a latent against all activations at once."""

import itertools
from dataclasses import fields

import numpy as np
import pytest

import resources
from engine import blas
from engine.errors import RunError
from engine.model import open_model
from engine.probes.directions import through_unembedding
from engine.sae import browsing, files
from engine.sae.keeping import Counts, Kept
from engine.sae.pages import page
from engine.techniques.features import Features
from tests.engine.feature_browsing import HOOK, TEXT, made, stream


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


@pytest.fixture(scope="module")
def found(world, ref):
    return Features(sae=ref, **TEXT).run(world.under())


@pytest.fixture(scope="module")
def everything(world, sae, found):
    """f [sequence, pos, latent], 0 where BOS stands; what is counted [sequence, pos]."""
    counted = found.sequence_tokens != world.tokenizer.bos_id
    return sae.encode(stream(world, found)) * counted[..., None], counted


# --- numbers of every latent ---------------------------------------------------------------------


def test_density_maximum_mean_and_top_token_are_those_of_all_activations(world, found, everything):
    f, counted = everything
    assert found.n_read == found.n_wanted == counted.sum()
    assert 0 < counted.sum() < counted.size  # BOS is left out
    active = f > 0
    np.testing.assert_array_equal(found.active_count, active.sum((0, 1)))
    np.testing.assert_allclose(found.density, active.sum((0, 1)) / counted.sum(), rtol=1e-6)
    np.testing.assert_allclose(found.highest, f.max((0, 1)), rtol=1e-5, atol=1e-5)
    sums, many = f.sum((0, 1), dtype=np.float64), active.sum((0, 1))
    alive = many > 0
    np.testing.assert_allclose(found.mean_active[alive], sums[alive] / many[alive], rtol=1e-4)
    np.testing.assert_allclose(found.l0, active.sum() / counted.sum())
    flat = f.reshape(-1, f.shape[2])
    at = flat[:, alive].argmax(0)
    np.testing.assert_array_equal(found.top_ids[alive], found.sequence_tokens.reshape(-1)[at])


def test_a_latent_that_never_fires_is_dead_and_has_no_examples(found):
    assert found.active_count[3] == 0
    dead = page(found, 3)
    assert dead.dead
    assert dead.top_id == -1
    assert np.isnan(dead.mean_active)
    assert not dead.bands
    assert not dead.counts.any()
    assert len(dead.promoted) == 5  # its decoder row writes all the same


def test_a_histogram_counts_every_active_token_in_bins_of_equal_width(found, everything):
    f, _ = everything
    for latent in range(f.shape[2]):
        one = page(found, latent)
        values = f[..., latent][f[..., latent] > 0]
        assert one.counts.sum() == len(values)
        if len(values):
            assert one.edges[0] == 0
            assert values.max() < one.edges[-1] <= 2 * values.max()
            expected, _ = np.histogram(values, one.edges)
            assert np.abs(expected - one.counts).sum() <= 2  # rounding at an edge


def test_ranges_that_double_give_the_histogram_of_the_final_range():
    rng = np.random.default_rng(0)
    value = rng.standard_normal(4000).astype(np.float32) * np.exp2(rng.integers(-9, 9, 4000))
    value = value.astype(np.float32)
    latent = rng.integers(0, 3, 4000)
    for signed in (False, True):
        these = np.flatnonzero((value != 0) if signed else value > 0)
        counts = Counts(4, 32, signed)
        for part in np.array_split(these, 40):
            counts.add(latent[part], value[part])
        table, low, high = counts.table()
        assert not table[3].any()
        for at in range(3):
            mine = value[these][latent[these] == at]
            expected, _ = np.histogram(mine, np.linspace(low[at], high[at], 33))
            np.testing.assert_array_equal(table[at], expected)


# --- examples ------------------------------------------------------------------------------------


def test_what_is_kept_is_what_sorting_everything_would_keep():
    rng = np.random.default_rng(1)
    latent, key = rng.integers(0, 5, 900), rng.integers(0, 60, 900).astype(np.float32)
    kept = Kept(6, 7, 1, 1)
    for part in np.array_split(np.arange(900), 30):
        few = part[key[part] > kept.low[latent[part]]]
        kept.offer(
            latent[few], key[few], -key[few], few, lambda at, few=few: few[at, None, None] * 1.0
        )
    order = kept.order()
    for at in range(5):
        mine = np.flatnonzero(latent == at)
        expected = mine[np.lexsort((mine, -key[mine]))][:7]
        np.testing.assert_array_equal(key[expected], kept.key[at, order[at]])
        strictly = key[expected] > key[expected].min()  # of equal ones the earlier
        refs = kept.ref[at, order[at]]
        np.testing.assert_array_equal(refs[strictly], expected[strictly])
        np.testing.assert_array_equal(kept.window[at, order[at], 0, 0], refs)
    assert (kept.ref[5] == -1).all()


def test_the_highest_examples_are_the_highest_tokens_of_different_prompts(found, everything):
    f, _ = everything
    slots = np.flatnonzero(found.slot_band == found.band_names.index("highest"))
    best = np.sort(f.max(axis=1), axis=0)[::-1][: len(slots)]  # [slot, latent]
    values = np.where(found.example_sequence[:, slots] >= 0, found.example_value[:, slots], 0)
    np.testing.assert_allclose(values, best.T, rtol=1e-5, atol=1e-5)
    for latent in range(f.shape[2]):
        prompts = found.example_sequence[latent, slots]
        prompts = prompts[prompts >= 0]
        assert len(set(prompts)) == len(prompts)


def test_every_example_is_a_token_of_the_text_with_the_activations_around_it(found, everything):
    f, counted = everything
    n_pos, seen = f.shape[1], 0
    for latent, slot in np.argwhere(found.example_sequence >= 0):
        sequence = found.example_sequence[latent, slot]
        at = found.example_position[latent, slot]
        np.testing.assert_allclose(
            found.example_value[latent, slot], f[sequence, at, latent], rtol=1e-5
        )
        for offset, value in enumerate(found.example_window[latent, slot], -TEXT["window"]):
            inside = 0 <= at + offset < n_pos and counted[sequence, at + offset]
            expected = f[sequence, at + offset, latent] if inside else np.nan
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
        seen += 1
    assert seen > 500


def test_bands_hold_the_quantiles_of_a_latents_active_tokens(found, everything):
    f, _ = everything
    assert found.band_names == ("highest", "75 to 100 %", "50 to 75 %", "25 to 50 %", "0 to 25 %")
    latent = int(np.flatnonzero((found.active_count > 30) & (found.active_count < 80))[0])
    values = f[..., latent][f[..., latent] > 0]  # few enough that all were remembered
    expected = np.quantile(values, (0.25, 0.5, 0.75))
    np.testing.assert_allclose(found.band_edges[latent], expected, rtol=1e-5)
    edges = [np.inf, *expected[::-1], 0]
    for band, (high, low) in enumerate(itertools.pairwise(edges), 1):
        drawn = found.example_value[latent, found.slot_band == band]
        assert len(drawn) == 5
        assert ((low <= drawn) & (drawn <= high)).all()
        assert (np.diff(drawn) <= 0).all()
    often = int(found.active_count.argmax())  # a sample only: the estimate is near
    values = f[..., often][f[..., often] > 0]
    ranks = np.searchsorted(np.sort(values), found.band_edges[often]) / len(values)
    np.testing.assert_allclose(ranks, (0.25, 0.5, 0.75), atol=0.2)


def test_the_same_spec_gives_the_same_bits_and_another_seed_another_sample(world, ref, found):
    again = Features(sae=ref, **TEXT).run(world.under())
    for item in fields(found):
        np.testing.assert_array_equal(getattr(found, item.name), getattr(again, item.name))
    other = Features(sae=ref, seed=1, **TEXT).run(world.under())
    top = found.slot_band == 0
    for name in ("density", "histogram", "highest"):
        np.testing.assert_array_equal(getattr(found, name), getattr(other, name))
    np.testing.assert_array_equal(found.example_window[:, top], other.example_window[:, top])
    assert not np.array_equal(
        found.example_position[:, ~top], other.example_position[:, ~top], equal_nan=True
    )


def test_the_numbers_do_not_depend_on_how_the_text_is_cut_into_blocks(
    world, ref, found, monkeypatch
):
    monkeypatch.setattr(browsing, "BLOCK", 4 * 40 * 24 * 3)  # three prompts
    other = Features(sae=ref, **TEXT).run(world.under())
    np.testing.assert_array_equal(found.histogram.sum(1), other.histogram.sum(1))
    np.testing.assert_allclose(found.highest, other.highest, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.unit_correlation, other.unit_correlation, atol=1e-4)
    top = found.slot_band == 0
    values = found.example_value[:, top], other.example_value[:, top]
    np.testing.assert_allclose(*values, rtol=1e-5, atol=1e-5)


def test_a_page_shows_the_tokens_around_an_example_and_stops_at_the_prompts_ends(found):
    ends = 0
    for latent in (0, 1, 5):
        for _, examples in page(found, latent).bands:
            for one in examples:
                prompt = found.sequence_tokens[one.sequence]
                assert one.ids[one.at] == prompt[one.position]
                assert len(one.ids) == len(one.values) == len(one.beside)
                assert one.values[one.at] == pytest.approx(one.value)
                begin = max(0, one.position - TEXT["window"])
                np.testing.assert_array_equal(one.ids, prompt[begin:][: len(one.ids)])
                ends += len(one.ids) < 2 * TEXT["window"] + 1
    assert ends
    with pytest.raises(RunError, match="latent 40 is not in 0 to 39"):
        page(found, 40)


# --- what rows write, what stands beside them ----------------------------------------------------


def test_promoted_and_suppressed_tokens_are_what_the_decoder_row_writes(world, sae, found):
    for latent in (0, 3, 17):
        both = through_unembedding(world, HOOK, sae.W_dec[latent], 5)
        assert both is not None
        (top, high), (low, least) = both
        np.testing.assert_array_equal(found.promoted_ids[latent], top)
        np.testing.assert_allclose(found.promoted_logits[latent], high, atol=1e-4)
        np.testing.assert_array_equal(found.suppressed_ids[latent], low)
        np.testing.assert_allclose(found.suppressed_logits[latent], least, atol=1e-4)


def test_nearest_latents_have_the_most_similar_decoder_rows(sae, found):
    unit = sae.W_dec / np.linalg.norm(sae.W_dec, axis=1, keepdims=True)
    cosine = unit @ unit.T - 2 * np.eye(40)
    np.testing.assert_array_equal(found.nearest, np.argsort(-cosine, axis=1)[:, :5])
    np.testing.assert_allclose(found.nearest_cosine, -np.sort(-cosine, axis=1)[:, :5], atol=1e-5)
    np.testing.assert_allclose(found.decoder_norm, np.linalg.norm(sae.W_dec, axis=1), rtol=1e-5)


def test_the_unit_beside_a_latent_is_read_on_the_same_tokens(world, sae, found, everything):
    f, counted = everything
    x = stream(world, found)
    np.testing.assert_array_equal(found.unit, np.abs(sae.W_dec).argmax(axis=1))
    for latent in np.flatnonzero(found.active_count > 20)[:5]:
        values = f[counted][:, latent], x[counted][:, found.unit[latent]]
        expected = np.corrcoef(*np.asarray(values, np.float64))[0, 1]
        np.testing.assert_allclose(found.unit_correlation[latent], expected, atol=1e-4)
        sequence, at = found.example_sequence[latent, 0], found.example_position[latent, 0]
        middle = found.example_unit[latent, 0, TEXT["window"]]
        np.testing.assert_allclose(middle, x[sequence, at, found.unit[latent]], rtol=1e-5)
    assert np.isnan(found.unit_correlation[3])  # a latent that never varies

"""The store of activations: what is in it, in which order, how much, and that it goes away."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import resources
from engine import blas
from engine.errors import Cancelled, RunError, SpecError
from engine.lens.text import prompts
from engine.model import open_model
from engine.model.transformer import Transformer
from engine.refs import of_file
from engine.sae.store import ActivationStore, read, site_of

STREAM = "blocks.0.hook_resid_pre"  # no product before it: the same bits in every batch
N, LENGTH, BATCH = 70, 8, 16


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with blas.limit("one"):
        yield


@pytest.fixture(scope="module")
def world() -> Transformer:
    return open_model(resources.path("models") / "world-4l")


@pytest.fixture(scope="module")
def contexts() -> np.ndarray:
    """Tokens of which each stands at a place once, so that a row tells where it is from."""
    return np.random.default_rng(0).permutation(N * LENGTH).reshape(N, LENGTH)


@pytest.fixture
def few_together(monkeypatch) -> None:
    """Forward passes of two contexts, so that a small text takes many."""
    monkeypatch.setattr("engine.sae.store.MOST_ROWS", 2 * LENGTH)


def stored(world, contexts, kilobytes=10_000, **about) -> ActivationStore:
    site = site_of(world, STREAM, skip=1)
    values = {"seed": 3, "limit": kilobytes * 1024} | about
    return ActivationStore(world, site, contexts, BATCH, **values)


@pytest.fixture(scope="module")
def places(world, contexts) -> dict[bytes, int]:
    """A row -> which one of the text it is."""
    rows = read(world, contexts, site_of(world, STREAM, skip=1)).reshape(-1, 128)
    return {row.tobytes(): at for at, row in enumerate(rows)}


def numbers(places, x) -> list[int]:
    """Which row of the text each row of a batch is; KeyError for one that is none."""
    return [places[row.tobytes()] for row in x]


def taken(store, count) -> list[np.ndarray]:
    return [store.next() for _ in range(count)]


# --- what is in it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "head", "skip"),
    [
        ("blocks.1.hook_resid_post", -1, 0), ("blocks.1.hook_resid_post", -1, 1),
        ("blocks.2.attn.hook_z", -1, 1), ("blocks.2.attn.hook_z", 3, 0),
        ("blocks.0.mlp.hook_post", -1, 0), ("ln_final.hook_normalized", -1, 1),
    ],
)  # fmt: skip
def test_rows_are_the_activations_of_the_model(world, contexts, hook, head, skip) -> None:
    site = site_of(world, hook, head, skip)
    whole = world.forward(contexts[:5], names=[hook]).cache[hook][:, skip:]
    wanted = whole if head < 0 else whole[:, :, head]
    found = read(world, contexts[:5], site)
    assert found.shape[-1] == site.width
    np.testing.assert_array_equal(found, wanted.reshape(*wanted.shape[:2], -1))
    value = world.forward(contexts[:2], names=[hook]).cache[hook]
    doubled = site.replaced(value, 2 * site.part(value))
    np.testing.assert_array_equal(site.part(doubled), 2 * site.part(value))
    np.testing.assert_array_equal(doubled[:, :skip], value[:, :skip])
    assert (doubled != value).mean() <= (1 if head < 0 else 1 / world.config.n_heads)


def test_an_intervention_on_the_model_is_in_what_is_stored(world, contexts) -> None:
    from engine.model.interventions import Intervention

    zeroed = world.under([Intervention(name="blocks.0.hook_resid_post", action="zero")])
    site = site_of(world, "blocks.0.hook_resid_post")
    assert not read(zeroed, contexts[:2], site).any()


# --- the order -------------------------------------------------------------------------------


def test_a_text_that_fits_is_read_once_and_dealt_out_whole_in_each_epoch(
    world, contexts, places, few_together
) -> None:
    with stored(world, contexts) as store:
        assert store.stays
        assert store.nbytes == 4 * store.n_rows * 128
        seen, epochs = [], []
        while len(epochs) < 3:
            seen += numbers(places, store.next())
            if store._batch == store._batches(store._now.span) and store._now.span.first >= N:
                epochs.append(seen)
                seen = []
        first = epochs[0][: -(store.n_rows // BATCH * BATCH)]  # read piece by piece, then once more
        assert len(first) >= 0.8 * store.n_rows
        assert len(set(first)) == len(first)
        for epoch in epochs[1:]:
            assert len(set(epoch)) == len(epoch) == store.n_rows // BATCH * BATCH
        assert epochs[1] != epochs[2]
        assert store.n_read == N


def test_a_long_text_streams_through_a_small_buffer_and_no_row_is_lost_or_overwritten(
    world, contexts, places, few_together
) -> None:
    with stored(world, contexts, kilobytes=60) as store:
        assert not store.stays
        assert store.nbytes <= 60 * 1024
        rows, span, sizes = [], store._now.span, []
        for _ in range(90):
            rows += numbers(places, store.next())  # KeyError for a torn row
            if store._batch == store._batches(store._now.span):
                span = store._now.span
                # where an epoch ends within it, a context may be there twice
                mine = Counter(at for context in range(span.first, span.end)
                               for at in numbers_of(store, context))  # fmt: skip
                assert Counter(rows) <= mine
                assert len(rows) == mine.total() // BATCH * BATCH
                sizes.append(span.size)
                rows = []
        assert sizes[0] < sizes[-1] == store.capacity  # it begins at once and grows
        assert len(sizes) > 4
        assert span.end > N


def numbers_of(store, context) -> range:
    """The rows of the text that a context of the stream has."""
    store._context(context)
    at = int(store._order[1][context % N])
    return range(at * store.per_context, (at + 1) * store.per_context)


def test_rows_are_shuffled_across_contexts(world, contexts, places) -> None:
    with stored(world, contexts) as store:
        for _ in range(6):
            store.next()
        found = np.array(numbers(places, store.next())) // store.per_context
    assert len(set(found.tolist())) > BATCH // 2


@pytest.mark.parametrize("kilobytes", [60, 10_000])
def test_seeking_finds_the_rows_of_a_run_that_never_stopped(
    world, contexts, few_together, kilobytes
) -> None:
    with stored(world, contexts, kilobytes) as store:
        all_of_them = taken(store, 80)
    for at in (0, 1, 5, 6, 17, 40, 61, 79):
        with stored(world, contexts, kilobytes) as again:
            again.seek(at)
            for found, wanted in zip(taken(again, min(6, 80 - at)), all_of_them[at:], strict=False):
                np.testing.assert_array_equal(found, wanted)


def test_the_seed_makes_the_order(world, contexts) -> None:
    one, same, other = [], [], []
    for seed, found in ((3, one), (3, same), (4, other)):
        with stored(world, contexts, seed=seed) as store:
            found += taken(store, 5)
    assert all((x == y).all() for x, y in zip(one, same, strict=True))
    assert not all((x == y).all() for x, y in zip(one, other, strict=True))


# --- the file --------------------------------------------------------------------------------


def test_a_large_buffer_lies_in_a_file_of_known_size_that_is_gone_at_the_end(
    world, contexts, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with stored(world, contexts) as plain, stored(world, contexts, memory=1024) as spilled:
        file = next(tmp_path.glob("mechanoscope-activations-*"))
        assert spilled.spill_bytes == spilled.nbytes == file.stat().st_size
        assert "in a temporary file" in spilled.note
        assert not plain.note
        for x, y in zip(taken(plain, 40), taken(spilled, 40), strict=True):
            np.testing.assert_array_equal(x, y)
    assert not list(tmp_path.iterdir())


def test_stop_ends_the_reading_and_removes_the_file(
    world, contexts, few_together, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    calls = []

    def watch() -> None:
        calls.append(1)
        if len(calls) > 100:
            raise Cancelled

    with pytest.raises(Cancelled), stored(world.under(watch=watch), contexts, memory=0) as store:
        assert list(tmp_path.iterdir())
        taken(store, 40)
    assert len(calls) == 101
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_said_with_the_way_out(world, contexts, monkeypatch) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(RunError, match=r"no space left on device\): make `buffer_mb` smaller"):
        stored(world, contexts, memory=0)


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "head", "words"),
    [
        ("blocks.0.hook_resid_pots", -1, "hook: .*no activation 'blocks.0.hook_resid_pots'; close"),
        ("blocks.0.attn.hook_pattern", -1, "hook: .*as wide as a text is long"),
        ("blocks.0.ln1.hook_scale", -1, "hook: .*is one number"),
        ("blocks.0.attn.hook_z", 4, "head: 4: .*has heads 0 to 3"),
        ("blocks.0.hook_resid_post", 0, "head: 0: .*has no heads; -1 takes all of it"),
    ],
)  # fmt: skip
def test_a_hook_that_is_not_there_is_named(world, hook, head, words) -> None:
    with pytest.raises(SpecError, match=words):
        site_of(world, hook, head)


def test_a_text_or_a_buffer_that_is_too_small_says_what_to_do(world, contexts) -> None:
    with pytest.raises(RunError, match="gives 14 activations, fewer than a batch of 16"):
        stored(world, contexts[:2])
    with pytest.raises(RunError, match=r"buffer of 0 MB .* raise `buffer_mb` or lower `batch`"):
        stored(world, contexts, kilobytes=10)


def test_a_folder_of_texts_is_read_by_name(world, tmp_path) -> None:
    words = [piece for piece in world.vocabulary() if piece.strip().isalpha()][:40]
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text(" ".join(words[:20]) * 9)
    (tmp_path / "b" / "c.txt").write_text(" ".join(words[20:]) * 9)
    (tmp_path / "d.csv").write_text("no,text\n")
    rows, name = prompts(world, of_file("text", tmp_path), 10_000, 16)
    one, _ = prompts(world, of_file("text", tmp_path / "a.txt"), 10_000, 16)
    two, _ = prompts(world, of_file("text", Path(tmp_path / "b" / "c.txt")), 10_000, 16)
    assert name == tmp_path.name
    assert len(one) + len(two) <= len(rows) <= len(one) + len(two) + 1
    np.testing.assert_array_equal(rows[: len(one)], one)
    for file in (tmp_path / "a.txt", tmp_path / "b" / "c.txt"):
        file.unlink()
    with pytest.raises(RunError, match=r"holds no \.txt file"):
        prompts(world, of_file("text", tmp_path), 10_000, 16)

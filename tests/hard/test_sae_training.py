"""SAEs of every architecture trained on a real text, and a store larger than memory: minutes."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

import resources
from engine.model import open_model
from engine.refs import of_file
from engine.techniques.train_sae import TrainSAE

pytestmark = pytest.mark.hard

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
RECIPES = {
    "topk": {"k": (8, 32)},
    "batchtopk": {"k": (8, 32)},
    "standard": {"l1": (3.0, 0.5), "sparsity_warm_up": 200},
    "gated": {"l1": (3.0, 0.5), "sparsity_warm_up": 200},
    "jumprelu": {"l1": (3.0, 0.5), "sparsity_warm_up": 200, "bandwidth": 0.5},
}


@pytest.fixture(scope="module")
def world():
    return open_model(resources.path("models") / "world-4l")


@pytest.mark.parametrize("architecture", RECIPES)
def test_every_architecture_trades_l0_for_what_it_recovers(world, architecture, say):
    recipe = RECIPES[architecture]
    result = TrainSAE(
        hook="blocks.2.hook_resid_post", architecture=architecture, expansion=4, batch=512,
        n_steps=1200, decay=200, lr=2e-3, n_tokens=100_000, check_every=400, **recipe,
    ).run(world)  # fmt: skip
    say(f"{architecture}: L0 {result.l0.round(1)}, recovered {result.recovered.round(4)}, "
        f"explained {result.explained_variance.round(3)}, alive {result.alive}")  # fmt: skip
    sparse, dense = 0, 1
    assert result.l0[sparse] < result.l0[dense]
    assert result.explained_variance[sparse] < result.explained_variance[dense]
    assert result.recovered[sparse] < result.recovered[dense]
    assert result.recovered[dense] > 0.97
    assert result.explained_variance[dense] > 0.9


def test_the_auxiliary_loss_leaves_fewer_latents_dead(world, say):
    spec = {
        "hook": "blocks.2.hook_resid_post", "expansion": 8, "batch": 512, "n_steps": 900,
        "lr": 2e-3, "n_tokens": 100_000, "k": (8,), "dead_window": 100, "check_every": 900,
    }  # fmt: skip
    without, with_it = (TrainSAE(aux_k=weight, **spec).run(world) for weight in (0.0, 1.0))
    found = int(without.alive[0]), int(with_it.alive[0])
    say(f"alive of 1,024: {found[0]} without aux-k, {found[1]} with it")
    assert found[1] > found[0] + 100


def test_a_folder_of_texts_trains_through_a_temporary_file(tmp_path, monkeypatch, say):
    folder, text = SHARED / "models" / "stories260k", SHARED / "text"
    if not (folder.is_dir() and text.is_dir()):
        pytest.skip("needs ../shared/data: stories260k and the texts")
    for name in ("alice_in_wonderland.txt", "tinyshakespeare.txt"):
        (tmp_path / name).symlink_to(text / name)
    store = tmp_path / "store"
    store.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(store))
    monkeypatch.setattr("engine.probes.collecting.LIMIT", 8 << 20)
    spec = TrainSAE(
        data=of_file("text", tmp_path), n_tokens=80_000, buffer_mb=16,
        hook="blocks.2.hook_mlp_out", batch=512, n_steps=400, lr=2e-3, expansion=4, k=(8,),
        decay=200,
    )  # fmt: skip
    model = open_model(folder)
    updates, sizes = [], []
    for update in spec.steps(model):
        updates = [update]
        sizes.append(sum(file.stat().st_size for file in store.rglob("activations")))
    result = updates[-1].snapshot()
    say(f"stories260k: explained {result.explained_variance[0]:.3f}, recovered "
        f"{result.recovered[0]:.3f}, file {max(sizes) / 2**20:.1f} MB")  # fmt: skip
    assert 8 << 20 < result.spill_bytes == max(sizes) <= 16 << 20
    assert result.n_text * 4 * result.W_dec.shape[2] > result.store_bytes  # more than it holds
    assert not list(store.iterdir())
    assert result.explained_variance[0] > 0.5
    assert np.isfinite(result.recovered).all()

"""MLP: a Model like any other, on points: hooks, gradients, interventions, folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.errors import Cancelled, FileError, RunError
from engine.mlp import saving
from engine.mlp.config import ACTIVATIONS, MLPConfig
from engine.mlp.model import MLP, start
from engine.model import Intervention, open_model, peek, weights_digest

POINTS = np.random.default_rng(1).uniform(-1, 1, (7, 2))  # [point, xy]


def made(act_fn: str = "relu", dtype: type = np.float64) -> MLP:
    """A network with every number drawn at random, biases too."""
    config = MLPConfig((2, 5, 5, 1), act_fn, "rings", 3)
    rng = np.random.default_rng(4)
    return MLP.from_flat(config, (0.7 * rng.standard_normal(config.n_params)).astype(dtype))


def test_a_pass_is_the_formula_and_every_hook_has_its_width() -> None:
    model = made()
    run = model.forward(POINTS, names="all")
    assert list(run.cache) == list(model.hooks())
    (W, b), (V, c), (U, d) = model.weights
    pre = POINTS @ W + b
    post = np.maximum(np.maximum(pre, 0) @ V + c, 0)
    np.testing.assert_allclose(run.cache["layers.0.hook_pre"], pre, rtol=1e-12)
    np.testing.assert_allclose(run.cache["layers.1.hook_post"], post, rtol=1e-12)
    np.testing.assert_allclose(run.logits, post @ U + d, rtol=1e-12)
    np.testing.assert_allclose(model.forward(POINTS).logits, run.logits, rtol=1e-12)  # in place
    for name, value in run.cache.items():
        assert value.shape == (7, model.config.width(name))


def test_the_flat_vector_holds_of_each_unit_its_weights_and_then_its_bias() -> None:
    config = MLPConfig((2, 1, 1))
    model = MLP.from_flat(config, np.arange(1.0, 6.0))
    assert model.forward([1.0, 1.0]).logits.item() == 4 * (1 + 2 + 3) + 5
    with pytest.raises(RunError, match=r"\(4,\) numbers are not the 5"):
        MLP.from_flat(config, np.zeros(4))


@pytest.mark.parametrize("act_fn", ACTIVATIONS)
def test_gradients_agree_with_central_differences_under_an_intervention(act_fn: str) -> None:
    model = made(act_fn).under([Intervention("layers.0.hook_post", "scale", 0.5, units=(1, 2))])
    seed = np.random.default_rng(2).standard_normal((7, 1))
    run = model.forward(POINTS, names="all")
    found = model.backward(run, seed, weights=True)
    assert list(found.cache) == list(model.hooks())
    small = 1e-6

    def value(tap: Any = None, at: MLP = model) -> float:
        return float((at.forward(POINTS, tap=tap).logits * seed).sum())

    for name in ("layers.0.hook_pre", "layers.1.hook_pre", "layers.1.hook_post", "hook_out"):
        way = np.random.default_rng(5).standard_normal(run.cache[name].shape)

        def moved(sign: float, name: str = name, way: Any = way) -> float:
            return value(lambda at, x: x + sign * small * way if at == name else None)

        difference = (moved(1) - moved(-1)) / (2 * small)
        assert (found.cache[name] * way).sum() == pytest.approx(difference, rel=1e-5, abs=1e-8)
    for layer, mark in enumerate(("0", "1", "out")):
        for part, kind in enumerate("Wb"):
            way = np.random.default_rng(6).standard_normal(model.weights[layer][part].shape)
            sides = []
            for sign in (1, -1):
                weights = [list(pair) for pair in model.weights]
                weights[layer][part] = weights[layer][part] + sign * small * way
                other = MLP(model.config, tuple((W, b) for W, b in weights))
                other.interventions = model.interventions
                sides.append(value(at=other))
            difference = (sides[0] - sides[1]) / (2 * small)
            got = (found.weights[f"{kind}_{mark}"] * way).sum()
            assert got == pytest.approx(difference, rel=1e-5, abs=1e-8)


def test_an_intervention_does_what_it_says_and_counts() -> None:
    model = made()
    u = np.array([1.0, 2.0, 0.0, -1.0, 0.5])
    before = model.forward(POINTS, names="layers.1.hook_post").cache["layers.1.hook_post"]
    view = model.under([Intervention("layers.1.hook_post", "zero", direction=tuple(u))])
    after = view.forward(POINTS, names="layers.1.hook_post").cache["layers.1.hook_post"]
    u /= np.linalg.norm(u)
    np.testing.assert_allclose(after, before - np.outer(before @ u, u), atol=1e-12)
    (fired,) = view.fired()
    assert fired.times == 1
    assert fired.largest > 0
    scaled = model.under([Intervention("hook_out", "scale", 2.0)]).forward(POINTS).logits
    np.testing.assert_allclose(scaled, 2 * model.forward(POINTS).logits, rtol=1e-12)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (Intervention("layers.2.hook_post"), "no such hook"),
        (Intervention("layers.1.hook_post", units=(5,)), r"unit 5 is not in 0\.\.4"),
        (Intervention("layers.1.hook_post", head=0), "has no heads"),
        (Intervention("layers.1.hook_post", positions=(1,)), r"position 1 is not in 0\.\.0"),
        (Intervention("layers.0.hook_pre", direction=(1.0, 0.0)), "2 numbers, and .* 5 wide"),
        (Intervention("hook_in", "patch", source="text"), "reads points, not prompts"),
    ],
)
def test_an_intervention_that_makes_no_sense_is_refused(entry: Intervention, why: str) -> None:
    with pytest.raises(RunError, match=why):
        made().under([entry])


def test_stop_is_heard_between_activations() -> None:
    calls = []

    def watch() -> None:
        calls.append(1)
        if len(calls) > 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        made().under((), watch).forward(POINTS)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (np.zeros((3, 3)), r"shape \(3, 3\)"),
        (np.zeros((0, 2)), "at least one"),
        ([np.nan, 0.0], "no number"),
        ("text", "points are numbers"),
    ],
)
def test_what_is_no_point_is_refused(points: Any, why: str) -> None:
    with pytest.raises(RunError, match=why):
        made().forward(points)


def test_a_network_has_no_words_and_says_so() -> None:
    with pytest.raises(RunError, match="reads points of a plane, not text"):
        made().tokens("a text")


def test_random_weights_are_those_of_a_start_and_depend_on_their_seed() -> None:
    model = made(dtype=np.float32)
    one, again, other = (model.with_random_weights(seed) for seed in (1, 1, 2))
    assert one.digest == again.digest != other.digest != model.digest
    (_, (W, b), _) = MLP.from_flat(config := MLPConfig((2, 100, 100, 1)), start(config, 0)).weights
    assert W.std() == pytest.approx(np.sqrt(2 / 100), rel=0.05)
    assert not b.any()


# --- folders --------------------------------------------------------------------------------------


def test_a_saved_network_opens_with_the_same_bits_and_the_same_digest(tmp_path: Path) -> None:
    model = made("tanh", np.float32)
    saving.save(model, tmp_path / "net")
    opened = open_model(tmp_path / "net")
    assert isinstance(opened, MLP)
    assert opened.config == model.config
    assert opened.digest == model.digest == weights_digest(opened)
    np.testing.assert_array_equal(opened.forward(POINTS).logits, model.forward(POINTS).logits)


def test_a_window_refuses_such_a_folder_in_one_sentence(tmp_path: Path) -> None:
    saving.save(made(dtype=np.float32), tmp_path)
    with pytest.raises(FileError, match="reads points, not text"):
        peek(tmp_path)


def spoiled_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"widths": [2, 5, 5]}, "do not read points of the plane, which rings needs"),
        ({"widths": [2, 5, 1]}, r"'W_1', of which config\.json says nothing"),
        ({"widths": [2, 5, 5, 5, 1]}, r"holds no tensor W_2"),
        ({"widths": [2, 6, 6, 1]}, r"asks for numbers of shape"),
        ({"widths": [2, 5, 6, 1]}, "equally wide"),
        ({"widths": [2, 10**9, 10**9, 1]}, "whole number from 1 to 4,096"),
        ({"widths": [2, True, True, 1]}, "whole number"),
        ({"widths": "many"}, "not a list"),
        ({"widths": [2] * 5000}, "not a list of 3 to 66"),
        ({"widths": None}, "not a list"),
        ({"act_fn": "exec"}, "act_fn: 'exec' is not supported"),
        ({"act_fn": ["relu"]}, "act_fn"),
        ({"task": "world"}, "task: 'world' is not supported"),
        ({"seed": -1}, "seed: -1"),
    ],
)
def test_a_config_that_lies_is_refused_by_name(
    tmp_path: Path, fields: dict[str, Any], why: str
) -> None:
    saving.save(made(dtype=np.float32), tmp_path)
    spoiled_config(tmp_path, **fields)
    with pytest.raises(FileError, match=why):
        open_model(tmp_path)


def test_weights_that_are_cut_off_extra_or_no_numbers_are_refused(tmp_path: Path) -> None:
    saving.save(made(dtype=np.float32), tmp_path)
    file = tmp_path / "model.safetensors"
    whole, tensors = file.read_bytes(), load_file(file)
    file.write_bytes(whole[:-10])
    with pytest.raises(FileError, match="cut off"):
        open_model(tmp_path)
    save_file(tensors | {"more": np.zeros(3, np.float32)}, file)
    with pytest.raises(FileError, match=r"'more', of which config\.json says nothing"):
        open_model(tmp_path)
    save_file(tensors | {"b_0": np.full(5, np.nan, np.float32)}, file)
    with pytest.raises(FileError, match="not finite"):
        open_model(tmp_path)
    save_file(tensors | {"b_0": np.zeros(5, np.int64)}, file)
    with pytest.raises(FileError, match=r"b_0 is I64 \[5\]"):
        open_model(tmp_path)
    file.unlink()
    with pytest.raises(FileError, match="cannot be read"):
        open_model(tmp_path)

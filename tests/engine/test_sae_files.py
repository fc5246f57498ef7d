"""SAEs on disk: SAELens' values from SAELens' files, ours from ours, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.cli import main
from engine.errors import Cancelled, FileError, RunError
from engine.model import open_model
from engine.sae import files, saelens_saving
from engine.sae.opening import open_sae, ref_of
from engine.sae.sae import SAE

DATA = Path(__file__).parents[1] / "data" / "saes"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "models" / "feature-routing"
GEMMA = "gemma-scope-2b-pt-res/layer_3/width_16k/average_l0_5"
GOLDEN = np.load(DATA / "golden.npz")
NAMES = sorted({name.partition(".")[0] for name in GOLDEN.files} - {"x"})
WRITTEN = [name for name in NAMES if name.startswith("written-")]
HOOK = "blocks.1.hook_resid_post"
LIMIT = 1e-5


def folder(name: str) -> Path:
    return DATA / (GEMMA if name == "gemma-scope" else name)


def copied(name: str, into: Path) -> Path:
    return Path(shutil.copytree(folder(name), into / "sae"))


def config(at: Path, **changes: Any) -> Path:
    """A folder whose cfg.json says otherwise; None takes a field out."""
    said = json.loads((at / "cfg.json").read_text()) | changes
    (at / "cfg.json").write_text(json.dumps({k: v for k, v in said.items() if v is not None}))
    return at


def weights(at: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A folder with other tensors."""
    tensors = load_file(at / "sae_weights.safetensors")
    change(tensors)
    save_file(tensors, at / "sae_weights.safetensors")
    return at


def refused(path: Path, *words: str) -> None:
    with pytest.raises(FileError) as caught:
        files.load(path)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 1200


def warned(sae: SAE) -> str:
    return " ".join(sae.about["warnings"])


def same(one: SAE, other: SAE) -> None:
    x = GOLDEN["x"]
    np.testing.assert_allclose(one.encode(x), other.encode(x), atol=LIMIT)
    np.testing.assert_allclose(one.reconstruct(x), other.reconstruct(x), atol=LIMIT)


@pytest.mark.parametrize("name", NAMES)
def test_features_and_reconstruction_are_what_sae_lens_computed(name: str) -> None:
    sae = files.load(folder(name))
    features = GOLDEN[f"{name}.features"]
    assert 0.05 < (features > 0).mean() < 0.95
    np.testing.assert_allclose(sae.encode(GOLDEN["x"]), features, atol=LIMIT)
    reconstruction = GOLDEN[f"{name}.reconstruction"]
    np.testing.assert_allclose(sae.reconstruct(GOLDEN["x"]), reconstruction, atol=LIMIT)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_what_sae_lens_was_seen_to_read(name: str, tmp_path: Path) -> None:
    files.save(files.load(folder(name.removeprefix("written-"))), tmp_path / "sae")
    assert (tmp_path / "sae" / "cfg.json").read_text() == (folder(name) / "cfg.json").read_text()
    ours = load_file(tmp_path / "sae" / "sae_weights.safetensors")
    theirs = load_file(folder(name) / "sae_weights.safetensors")
    assert ours.keys() == theirs.keys()
    for key, array in theirs.items():
        np.testing.assert_array_equal(ours[key], array)


@pytest.mark.parametrize("name", NAMES)
def test_an_sae_comes_back_from_our_own_file_as_it_was(name: str, tmp_path: Path) -> None:
    sae = files.load(folder(name))
    sae = replace(sae, model_digest="a" * 64, about={**sae.about, "L0": 3.5, "ce": float("nan")})
    ref = files.save(sae, tmp_path / "sae")
    assert ref == ref_of(tmp_path / "sae" / "cfg.json")
    again = open_sae(ref)
    same(again, sae)
    assert (again.hook_name, again.model_name) == (sae.hook_name, sae.model_name)
    assert again.model_digest == "a" * 64
    assert (again.about["L0"], again.about["ce"]) == (3.5, None)
    assert sae.normalize_activations == again.normalize_activations
    assert not again.about["warnings"]


def test_scales_and_norms_are_folded_into_the_weights() -> None:
    sae = files.load(folder("batchtopk-checkpoint"))
    assert (sae.architecture, sae.scaling, sae.normalize_activations) == ("batchtopk", None, "none")
    assert not sae.rescale_acts_by_decoder_norm
    assert sae.about["folded"] == ("scale 1.75 of the activations", "decoder norms")
    assert sae.about["k"] == 3.5  # a mean, which no whole number is
    np.testing.assert_allclose(sae.decoder_norms, 1, atol=1e-6)
    assert "batchtopk training" in warned(sae)


def test_an_unfolded_scale_and_one_whose_place_is_unknown_are_told_apart(tmp_path: Path) -> None:
    plain = files.load(folder("standard"))
    at = config(copied("standard", tmp_path), normalize_activations="expected_average_only_in")
    same(files.load(at), plain)  # as SAELens reads it
    assert "no activation_scaler.json" in warned(files.load(at))
    (at / "activation_scaler.json").write_text('{"scaling_factor": 2.0}')
    sae = files.load(at)
    assert not sae.about["warnings"]
    np.testing.assert_allclose(sae.encode(GOLDEN["x"]), plain.encode(2 * GOLDEN["x"]), atol=LIMIT)
    x_hat = plain.reconstruct(2 * GOLDEN["x"]) / 2
    np.testing.assert_allclose(sae.reconstruct(GOLDEN["x"]), x_hat, atol=LIMIT)
    config(at, normalize_activations="none")
    same(files.load(at), plain)
    assert "taken to be in the weights already" in warned(files.load(at))
    (at / "activation_scaler.json").write_text('{"scaling_factor": null}')
    assert not files.load(at).about["warnings"]


def test_a_fine_tuning_factor_that_nobody_asks_for_is_said_and_not_used(tmp_path: Path) -> None:
    at = config(copied("flat-finetuned", tmp_path), finetuning_scaling_factor=False)
    sae = files.load(at)
    assert "fine-tuning factor" in warned(sae)
    x, name = GOLDEN["x"], "flat-finetuned"
    np.testing.assert_allclose(sae.encode(x), GOLDEN[f"{name}.features"], atol=LIMIT)
    assert np.abs(sae.reconstruct(x) - GOLDEN[f"{name}.reconstruction"]).max() > 0.1
    weights(at, lambda tensors: tensors.pop("scaling_factor"))
    config(at, finetuning_scaling_factor=True)
    assert "holds none" in warned(files.load(at))
    same(files.load(at), sae)


def test_a_configuration_of_before_version_6_means_what_it_meant(tmp_path: Path) -> None:
    at = copied("flat-topk", tmp_path)
    sae = files.load(at)
    assert (sae.architecture, sae.k, sae.hook_name) == ("topk", 3, HOOK)
    assert (sae.model_name, sae.about["context_size"]) == ("gpt2", 16)
    config(at, normalize_activations=True)
    assert "mean norm" in warned(files.load(at))
    refused(config(at, normalize_activations=None, activation_fn_kwargs={}), "k", "missing")
    refused(config(at, activation_fn_kwargs={"k": 3, "signed": True}), "signed")
    refused(config(at, activation_fn_str="tanh-relu"), "tanh-relu", "relu and topk")


@pytest.mark.parametrize(
    "name",
    ["transcoder", "skip_transcoder", "matching_pursuit", "temporal", "abstopk", 7, "x" * 999],
)
def test_other_architectures_are_refused_by_name(name: Any, tmp_path: Path) -> None:
    at = config(copied("standard", tmp_path), architecture=name)
    refused(at, "architecture", str(name)[:50], "standard, topk")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"d_in": 7}, ("d_in 7", "[6, 10]")),
        ({"d_sae": None}, ("d_sae",)),
        ({"d_sae": 2**40}, ("d_sae",)),
        ({"d_in": "6"}, ("d_in", "whole number")),
        ({"d_out": 12}, ("d_out", "transcoder")),
        ({"normalize_activations": "covariance_whitening"}, ("covariance_whitening", "known are")),
        ({"apply_b_dec_to_input": "yes"}, ("apply_b_dec_to_input", "true nor false")),
        ({"metadata": {"sae_lens_version": "6.0.0", "hook_name": ["x"]}}, ("hook_name", "text")),
        ({"metadata": [1]}, ("metadata", "object")),
        (
            {"metadata": {"sae_lens_version": "6.0.0", "hook_head_index": -1}},
            ("hook_head_index", "-1"),
        ),
    ],
)
def test_a_field_that_is_wrong_is_named(
    changes: dict[str, Any], words: tuple[str, ...], tmp_path: Path
) -> None:
    refused(config(copied("standard", tmp_path), **changes), "cfg.json", *words)


def test_a_k_of_more_than_all_latents_is_refused(tmp_path: Path) -> None:
    refused(config(copied("topk", tmp_path), k=11), "k: 11", "10 latents")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("b_enc"), ("b_enc", "missing")),
        (lambda t: t.update(W_dec=t["W_dec"].T.copy()), ("W_dec", "[6, 10]", "[10, 6]")),
        (lambda t: t.update(b_dec=t["b_dec"].astype(np.int32)), ("b_dec", "I32")),
        (lambda t: t["W_enc"].__setitem__((0, 0), np.nan), ("W_enc", "1 NaN")),
        (lambda t: t.update(W_enc=np.zeros((6, 10, 1), np.float32)), ("W_enc", "matrix")),
        (lambda t: t.pop("W_enc"), ("W_enc", "missing")),
    ],
)
def test_a_tensor_that_is_wrong_is_named(
    change: Callable[[dict[str, Any]], object], words: tuple[str, ...], tmp_path: Path
) -> None:
    refused(weights(copied("standard", tmp_path), change), "sae_weights.safetensors", *words)


def test_a_tensor_that_nobody_knows_is_said(tmp_path: Path) -> None:
    at = weights(copied("standard", tmp_path), lambda t: t.update(W_skip=np.ones(3, np.float32)))
    assert "W_skip" in warned(files.load(at))


def test_folders_without_an_sae_are_not_taken_for_one(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "no such folder")
    refused(tmp_path, "holds no SAE", "cfg.json", "params.npz")
    at = copied("standard", tmp_path)
    assert files.is_one(at)
    assert files.is_one(at / "sae_weights.safetensors")
    assert files.is_one(folder("gemma-scope") / "params.npz")
    (at / "sae_weights.safetensors").unlink()
    assert not files.is_one(at)
    refused(at, "no sae_weights.safetensors")
    models = Path(__file__).parents[2] / "resources" / "models"
    assert not any(files.is_one(one) for one in models.iterdir())


def test_a_dictionary_whose_class_is_unknown_is_refused_by_name(tmp_path: Path) -> None:
    at = copied("dictionary-AutoEncoder", tmp_path)
    for trainer, words in (
        ({"dict_class": "CrossCoder"}, ("CrossCoder", "AutoEncoderTopK")),
        ({}, ("trainer", "missing")),
        ({"dict_class": "AutoEncoder", "dict_size": 11}, ("dict_size 11", "10")),
        ({"dict_class": "AutoEncoderTopK", "k": 3}, ("b_dec", "missing")),
    ):
        (at / "config.json").write_text(json.dumps({"trainer": trainer}))
        refused(at, *words)


def test_saving_replaces_an_sae_and_nothing_else(tmp_path: Path) -> None:
    at, sae = copied("standard", tmp_path), files.load(folder("gated"))
    files.save(sae, at)
    same(files.load(at), sae)
    assert [one.name for one in tmp_path.iterdir()] == ["sae"]
    (at / "activation_scaler.json").write_text('{"scaling_factor": 2.0}')
    with pytest.raises(FileError, match=r"activation_scaler\.json.*new or empty"):
        files.save(sae, at)
    with pytest.raises(FileError, match="is a file"):
        files.save(sae, at / "cfg.json")
    broken = replace(sae, b_dec=np.full(6, np.nan, np.float32))
    with pytest.raises(RunError, match=r"b_dec.*not finite"):
        files.save(broken, tmp_path / "broken")
    assert not (tmp_path / "broken").exists()


def test_what_a_disk_refuses_leaves_the_old_sae_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, sae = copied("standard", tmp_path), files.load(folder("gated"))
    before = (at / "cfg.json").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(FileError, match="No space left"):
        files.save(sae, at)
    assert (at / "cfg.json").read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["sae"]


def test_all_heads_of_hook_z_are_written_as_sae_lens_reshapes_them() -> None:
    sae = replace(files.load(folder("standard")), hook_name="blocks.0.attn.hook_z")
    assert saelens_saving.config_of(sae, sae)["reshape_activations"] == "hook_z"
    one = replace(sae, hook_head_index=1)
    assert saelens_saving.config_of(one, one)["reshape_activations"] == "none"


def test_stop_is_heard_while_a_file_is_read() -> None:
    def stop() -> None:
        raise Cancelled

    for name in ("standard", "gemma-scope", "dictionary-AutoEncoder"):
        with pytest.raises(Cancelled):
            files.load(folder(name), stop)


def test_inspect_says_what_an_sae_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder("topk-checkpoint"))]) == 0
    said = capsys.readouterr().out
    for words in ("topk", HOOK, "k 3", "decoder norms", "gpt2"):
        assert words in said
    assert main(["inspect", "--json", str(folder("topk-checkpoint"))]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["d_in"], about["d_sae"], about["k"]) == (6, 10, 3)


def test_the_real_sae_encodes_and_decodes_as_its_golden_values() -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/data/models/feature-routing is not there")
    golden = np.load(SHARED / "sae" / "golden.npz")
    sae = open_sae(SHARED / "sae", open_model(SHARED))
    f = sae.encode(golden["x"])  # [batch, pos, d_sae]
    np.testing.assert_allclose(f, golden["features"], atol=LIMIT)
    np.testing.assert_allclose(sae.decode(f), golden["reconstruction"], atol=LIMIT)


@pytest.mark.parametrize("architecture", ["topk", "batchtopk"])
def test_an_unfolded_sae_keeps_its_features_when_it_is_written(
    architecture: str, tmp_path: Path
) -> None:
    plain = files.load(folder(f"{architecture}-checkpoint"))
    rng = np.random.default_rng(0)
    norms = rng.uniform(0.5, 2, plain.d_sae).astype(np.float32)  # [d_sae]
    sae = replace(
        plain, W_dec=plain.W_dec * norms[:, None], rescale_acts_by_decoder_norm=True, scaling=1.75,
        normalize_activations="expected_average_only_in",
    )  # fmt: skip
    files.save(sae, tmp_path / "sae")
    same(files.load(tmp_path / "sae"), sae)


def test_a_pickled_program_in_the_place_of_weights_is_refused(tmp_path: Path) -> None:
    at = copied("dictionary-AutoEncoder", tmp_path)
    shutil.copy(DATA.parent / "torch" / "module.pt", at / "ae.pt")
    refused(at, "ae.pt", "Linear")


def test_what_does_not_fit_into_memory_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.sae.tensors.available_memory", lambda: 500)
    for name in ("standard", "gemma-scope", "dictionary-AutoEncoder"):
        refused(folder(name), "of memory", "narrower")


def test_the_thresholds_of_older_checkpoints_are_logarithms(tmp_path: Path) -> None:
    at = copied("jumprelu", tmp_path)
    weights(at, lambda t: t.update(log_threshold=np.log(t.pop("threshold"))))
    same(files.load(at), files.load(folder("jumprelu")))
    weights(at, lambda t: t["log_threshold"].fill(1000))
    refused(at, "threshold", "beyond what float32 holds")

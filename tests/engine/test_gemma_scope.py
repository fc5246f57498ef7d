"""Gemma Scope's params.npz: what it says, what its folders say, and what is refused."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import FileError
from engine.sae import files
from engine.sae.sae import SAE

DATA = Path(__file__).parents[1] / "data" / "saes"
SMALL = DATA / "gemma-scope-2b-pt-res" / "layer_3" / "width_16k" / "average_l0_5"
GOLDEN = np.load(DATA / "golden.npz")
LIMIT = 1e-5


def refused(path: Path, *words: str) -> None:
    with pytest.raises(FileError) as caught:
        files.load(path)
    for word in words:
        assert word in str(caught.value)
    assert len(str(caught.value)) < 1200


def warned(sae: SAE) -> str:
    return " ".join(sae.about["warnings"])


def params(into: Path, **changes: Any) -> Path:
    """A params.npz with other arrays; None leaves one out."""
    arrays = dict(np.load(SMALL / "params.npz")) | changes
    into.mkdir(exist_ok=True)
    np.savez(into / "params.npz", **{k: v for k, v in arrays.items() if v is not None})
    return into


def same(one: SAE, other: SAE) -> None:
    x = GOLDEN["x"]
    np.testing.assert_allclose(one.encode(x), other.encode(x), atol=LIMIT)
    np.testing.assert_allclose(one.reconstruct(x), other.reconstruct(x), atol=LIMIT)


def test_gemma_scope_says_its_place_in_the_names_of_its_folders(tmp_path: Path) -> None:
    sae = files.load(SMALL)
    assert (sae.model_name, sae.hook_name) == ("gemma-2-2b", "blocks.3.hook_resid_post")
    assert not sae.about["warnings"]
    lost = files.load(params(tmp_path / "here"))
    assert (lost.model_name, lost.hook_name) == ("", "")
    assert "choose the hook" in warned(lost)
    same(lost, sae)
    hub = tmp_path / "models--google--gemma-scope-9b-it-att" / "snapshots" / "f00" / "layer_12"
    hub.mkdir(parents=True)
    there = files.load(params(hub))
    assert (there.model_name, there.hook_name) == ("gemma-2-9b-it", "blocks.12.attn.hook_z")
    refused(params(tmp_path / "gemma-scope-2b-pt-transcoders"), "transcoder")


def test_gemma_scope_of_the_embedding_reads_it_after_its_scale(tmp_path: Path) -> None:
    at = tmp_path / "gemma-scope-2b-pt-res" / "embedding"
    at.mkdir(parents=True)
    sae, plain = files.load(params(at)), files.load(SMALL)
    assert sae.hook_name == "hook_embed"
    x, scale = GOLDEN["x"], np.float32(6**0.5)
    np.testing.assert_allclose(sae.encode(scale * x), plain.encode(x), atol=LIMIT)
    x_hat = scale * plain.reconstruct(x)
    np.testing.assert_allclose(sae.reconstruct(scale * x), x_hat, atol=LIMIT)


def test_arrays_of_params_may_be_packed_and_lie_by_columns(tmp_path: Path) -> None:
    arrays = dict(np.load(SMALL / "params.npz"))
    arrays["W_enc"] = np.asfortranarray(arrays["W_enc"])
    arrays["w_dec"] = arrays.pop("W_dec").astype(np.float64)
    np.savez_compressed(tmp_path / "params.npz", **arrays)
    same(files.load(tmp_path), files.load(SMALL))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threshold": None}, ("threshold", "missing")),
        ({"b_dec": np.zeros(10, np.float32)}, ("b_dec", "[10]", "[6]")),
        ({"b_enc": np.array([None] * 10)}, ("b_enc", "O")),
        ({"b_enc": np.zeros(10, "U4")}, ("b_enc", "U4")),
        ({"W_enc": np.zeros((6, 0))}, ("W_enc", "no SAE")),
        ({"W_dec": np.full((10, 6), np.inf)}, ("W_dec", "not finite")),
        ({"affine_skip_connection": np.zeros((6, 6))}, ("transcoder",)),
    ],
)
def test_params_that_are_wrong_are_named(
    changes: dict[str, Any], words: tuple[str, ...], tmp_path: Path
) -> None:
    refused(params(tmp_path, **changes), *words)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"\x93NUMPY" * 9])
def test_a_file_that_is_no_npz_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "params.npz").write_bytes(content)
    refused(tmp_path, "params.npz")


def test_params_that_promise_more_than_they_hold_cost_no_memory(tmp_path: Path) -> None:
    header = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": (2**20, 2**24)}
    np.lib.format.write_array_header_1_0(header, about)
    with (
        zipfile.ZipFile(SMALL / "params.npz") as old,
        zipfile.ZipFile(tmp_path / "params.npz", "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, header.getvalue() if name == "W_enc.npy" else old.read(name))
    refused(tmp_path, "the array", "shape")


@pytest.mark.parametrize(
    "header", [b"(" * 9000, b"{'descr': '<f4', 'fortran_order': False, 'shape': (6, 1e3), }\n", b""]
)
def test_a_header_that_numpy_does_not_write_reaches_no_parser(
    header: bytes, tmp_path: Path
) -> None:
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "params.npz", "w") as new:
        for name in ("W_enc", "W_dec", "b_enc", "b_dec", "threshold"):
            new.writestr(f"{name}.npy", npy)
    refused(tmp_path, "W_enc", "no .npy")

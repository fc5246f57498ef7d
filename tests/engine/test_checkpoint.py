"""Opening model folders: what is there is read, what is wrong is named with the way out."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.errors import Cancelled, FileError
from engine.model import checkpoint
from engine.model.checkpoint import digest, load, peek
from engine.model.config_file import read_json

FAMILIES = sorted((Path(__file__).parents[1] / "data" / "families").glob("*/config.json"))


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    """A copy of a small GPT-2 that a test may damage."""
    return Path(shutil.copytree(data / "families" / "gpt2-tied", tmp_path / "gpt2"))


def change_config(folder: Path, **fields: Any) -> None:
    config = json.loads((folder / "config.json").read_text()) | fields
    (folder / "config.json").write_text(json.dumps(config))


def change_weights(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def refused(folder: Path, *parts: str) -> None:
    """`peek` refuses the folder, and its message has all these parts."""
    with pytest.raises(FileError) as caught:
        peek(folder)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("config", FAMILIES, ids=lambda config: config.parent.name)
def test_every_family_is_peeked_and_loaded(config: Path) -> None:
    found = peek(config.parent)
    weights = load(found)
    assert found.ignored == ()
    for name, array in weights.named():
        assert array.dtype == np.float32, name
        assert np.isfinite(array).all(), name
    c = found.config
    assert weights.W_E.shape == (c.d_vocab, c.d_model)
    assert weights.W_U.shape == (c.d_model, c.d_vocab_out)
    for block in weights.blocks:
        assert block.W_QKV.shape == (c.d_model, c.d_attn + 2 * c.d_kv)
        assert block.W_O.shape == (c.d_attn, c.d_model)
        assert (block.W_in is None) == c.attn_only
    assert found.memory_bytes == 4 * found.n_params


def test_every_real_model_beside_the_project_is_peeked_and_loaded(shared_models: Path) -> None:
    folders = sorted(path.parent for path in shared_models.glob("*/config.json"))
    assert folders
    for path in folders:
        found = peek(path)
        assert found.name == path.name
        assert sum(array.size for _, array in load(found).named()) >= found.n_params


def test_counts_are_those_of_the_headers(folder: Path) -> None:
    found = peek(folder)
    stored = load_file(folder / "model.safetensors")
    assert found.n_params == sum(array.size for array in stored.values())
    assert found.file_bytes == (folder / "model.safetensors").stat().st_size
    assert {tensor.name for tensor in found.tensors} == set(stored)
    assert not found.has_tokenizer


def test_float32_weights_are_mapped_and_not_copied(folder: Path) -> None:
    weights = load(peek(folder))
    for name, array in weights.named():
        assert not array.flags.owndata, name
        assert not array.flags.writeable, name
    assert np.shares_memory(weights.W_U, weights.W_E)


def test_a_file_of_the_folder_opens_the_folder(folder: Path) -> None:
    for name in ("model.safetensors", "config.json"):
        assert peek(folder / name).folder == folder


def test_progress_counts_every_byte_and_a_stop_is_heard(folder: Path) -> None:
    found = peek(folder)
    seen: list[tuple[int, int]] = []
    load(found, report=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (found.memory_bytes, found.memory_bytes)
    assert sorted(seen) == seen

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        load(found, watch=stop)
    with pytest.raises(Cancelled):
        digest(found, watch=stop)


def test_the_digest_sees_one_changed_weight_and_the_header_digest_does_not(folder: Path) -> None:
    before = peek(folder)
    total = digest(before)
    assert digest(peek(folder)) == total
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert peek(folder).header_digest == before.header_digest
    assert digest(peek(folder)) != total
    change_config(folder, layer_norm_epsilon=1e-4)
    assert peek(folder).header_digest != before.header_digest


# --- what is not a model ---------------------------------------------------------------------


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "there is no such folder")


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    refused(tmp_path / "notes.txt", "is not a folder", "config.json")


def test_a_folder_without_config(tmp_path: Path) -> None:
    refused(tmp_path, "holds no config.json")


@pytest.mark.parametrize("text", ["{", "", "\ufeff[1]", "null", '{"a": ' + "9" * 9999 + "}"])
def test_a_config_that_is_no_json_object(text: str, folder: Path) -> None:
    (folder / "config.json").write_text(text, encoding="utf-8")
    refused(folder, "config.json", "JSON")


def test_an_unknown_architecture_is_named_and_ours_are_listed(folder: Path) -> None:
    change_config(folder, model_type="mamba2")
    refused(folder, "'mamba2' is not supported", "gpt2, gpt_neox, llama, mistral, qwen2")


def test_a_config_without_any_architecture(folder: Path) -> None:
    change_config(folder, model_type=None, architectures=None)
    refused(folder, "the architecture None is not supported")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth"])
def test_pickled_programs_are_refused_with_the_way_to_save_weights(name: str, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"\x80\x04cos\nsystem\nX\x04\x00\x00\x00true\x85R.")
    for path in (folder, folder / name):
        refused(path, name, "'os.system'", "may run a program", "torch.save(model.state_dict()")


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refused(folder, "holds no model.safetensors")


# --- weights that do not fit -------------------------------------------------------------------


def test_a_missing_tensor_is_named(folder: Path) -> None:
    change_weights(folder, lambda t: t.pop("transformer.h.1.mlp.c_fc.weight"))
    refused(folder, "'transformer.h.1.mlp.c_fc.weight' [12, 48] is missing")


def test_a_wrong_shape_names_the_tensor_both_shapes_and_the_fields(folder: Path) -> None:
    change_config(folder, n_inner=20)
    refused(
        folder,
        "'transformer.h.0.mlp.c_fc.weight' has the shape [12, 48]",
        "[12, 20] [d_model, d_mlp]",
        "12 = n_embd",
        "20 = n_inner",
    )


def test_tensors_that_the_architecture_has_no_place_for_are_refused(folder: Path) -> None:
    def add(tensors: dict[str, np.ndarray]) -> None:
        tensors["transformer.h.0.attn.q_norm.weight"] = np.ones(4, np.float32)

    change_weights(folder, add)
    refused(folder, "'transformer.h.0.attn.q_norm.weight'", "gpt2 with 2 layers has no place")


def test_a_layer_that_the_config_does_not_count_is_refused(folder: Path) -> None:
    change_config(folder, n_layer=1)
    refused(folder, "'transformer.h.1.", "gpt2 with 1 layers")


def test_a_head_for_another_purpose_is_ignored_and_listed(folder: Path) -> None:
    change_weights(folder, lambda t: t.update({"score.weight": np.ones((2, 12), np.float32)}))
    assert peek(folder).ignored == ("score.weight",)


def test_quantised_weights_are_refused(folder: Path) -> None:
    def quantise(tensors: dict[str, np.ndarray]) -> None:
        name = "transformer.h.0.mlp.c_fc.weight"
        tensors[name] = tensors[name].astype(np.int8)

    change_weights(folder, quantise)
    refused(folder, "'transformer.h.0.mlp.c_fc.weight' is stored as I8", "quantised")
    change_config(folder, quantization_config={"quant_method": "gptq"})
    refused(folder, "quantization_config", "take the original checkpoint")


def test_nan_and_infinite_weights_are_counted(folder: Path) -> None:
    def damage(tensors: dict[str, np.ndarray]) -> None:
        tensors["transformer.h.1.attn.c_attn.weight"][3, 5:7] = np.nan
        tensors["transformer.h.1.attn.c_attn.weight"][0, 0] = -np.inf

    change_weights(folder, damage)
    with pytest.raises(FileError, match=r"c_attn.weight' holds 2 NaN and 1 infinite of its 432"):
        load(peek(folder))


@pytest.mark.parametrize("family", ["neox-parallel", "llama-tied-biases"])
def test_nan_is_found_in_half_precision_too(family: str, tmp_path: Path, data: Path) -> None:
    copy = Path(shutil.copytree(data / "families" / family, tmp_path / family))
    tensor = next(t for t in peek(copy).tensors if t.name.endswith("layers.1.mlp.up_proj.weight")
                  or t.name.endswith("layers.1.attention.query_key_value.weight"))  # fmt: skip
    content = bytearray(tensor.file.read_bytes())
    content[tensor.begin : tensor.begin + 2] = b"\xff\x7f"  # a NaN as float16 and as bfloat16
    tensor.file.write_bytes(content)
    with pytest.raises(FileError, match=f"{tensor.name}' holds 1 NaN"):
        load(peek(copy))


def test_a_float64_beyond_float32_is_counted_as_infinite(folder: Path) -> None:
    def widen(tensors: dict[str, np.ndarray]) -> None:
        tensors["transformer.wpe.weight"] = np.full((16, 12), 1e300)

    change_weights(folder, widen)
    with pytest.raises(FileError, match="0 NaN and 192 infinite"):
        load(peek(folder))


def test_too_little_memory_is_said_before_anything_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "available_memory", lambda: 1000)
    monkeypatch.setattr(checkpoint, "map_file", lambda file: pytest.fail("the file was mapped"))
    with pytest.raises(FileError, match=r"needs 0\.000 GB of memory and 0\.000 GB are free"):
        load(peek(folder))
    monkeypatch.undo()
    free = checkpoint.available_memory()
    assert free is None or free > 0


def test_a_file_that_shrank_since_it_was_peeked(folder: Path) -> None:
    found = peek(folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(FileError, match="has changed since it was opened"):
        load(found)
    refused(folder, "cut off")


def test_data_that_is_not_aligned_to_four_bytes_is_copied(folder: Path) -> None:
    file = folder / "model.safetensors"
    expected = {name: array.copy() for name, array in load(peek(folder)).named()}
    content = file.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length] + b" "
    file.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    for name, array in load(peek(folder)).named():
        assert array.flags.aligned, name
        assert np.array_equal(array, expected[name])


# --- shards ------------------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path: Path, data: Path) -> Path:
    return Path(shutil.copytree(data / "families" / "llama-gqa", tmp_path / "llama"))


def change_index(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = folder / "model.safetensors.index.json"
    index, _ = read_json(file)
    change(index)
    file.write_text(json.dumps(index))


def test_a_shard_that_is_pointed_at_opens_the_whole_model(shards: Path) -> None:
    found = peek(shards / "model-00002-of-00003.safetensors")
    assert len(found.files) == 3
    assert found.file_bytes == sum(file.stat().st_size for file in found.files)


def test_a_missing_shard_is_named(shards: Path) -> None:
    (shards / "model-00002-of-00003.safetensors").unlink()
    refused(shards, "asks for model-00002-of-00003.safetensors", "finish the download")


def test_shards_without_an_index_are_not_guessed(shards: Path) -> None:
    (shards / "model.safetensors.index.json").unlink()
    refused(shards, "fetch model.safetensors.index.json")


@pytest.mark.parametrize(
    "name",
    ["../m.safetensors", "/etc/m.safetensors", "a/m.safetensors", "a\\m.safetensors",
     "C:m.safetensors", "..", "", ".safetensors", "pytorch_model.bin", 7, None],
)  # fmt: skip
def test_an_index_may_not_lead_out_of_the_folder(name: Any, shards: Path) -> None:
    (shards.parent / "m.safetensors").write_bytes(b"")
    change_index(shards, lambda index: index["weight_map"].update({"lm_head.weight": name}))
    refused(shards, "'lm_head.weight'", "no name of a file in this folder")


@pytest.mark.parametrize("index", [[], {}, {"weight_map": {}}, {"weight_map": [1]}])
def test_an_index_without_a_map_is_refused(index: Any, shards: Path) -> None:
    (shards / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(shards, "has no weight_map")


def test_a_tensor_that_is_not_in_its_shard(shards: Path) -> None:
    change_index(shards, lambda index: index["weight_map"].update(
        {"model.norm.weight": "model-00001-of-00003.safetensors"}))  # fmt: skip
    refused(shards, "model-00001-of-00003.safetensors", "'model.norm.weight' is not in it")


@pytest.mark.skipif(os.name == "nt", reason="links need a right that users lack on Windows")
def test_links_inside_the_folder_are_followed(shards: Path, tmp_path: Path) -> None:
    blobs = tmp_path / "models--org--tiny" / "blobs"
    snapshot = blobs.parent / "snapshots" / "0123abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(shards.iterdir())):
        shutil.move(file, blobs / str(number))
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", str(number)))
    found = peek(snapshot)
    assert found.name == "org/tiny"
    assert len(load(found).blocks) == 2

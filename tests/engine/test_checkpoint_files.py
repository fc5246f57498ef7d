"""Safetensors files: what lies in them is refused by name, what is right is seen without a copy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import FileError
from engine.model import safetensors_file as files


def write(path: Path, header: Any, data: bytes = b"", raw: bytes | None = None) -> Path:
    """A safetensors file with exactly this header, right or wrong."""
    text = json.dumps(header).encode() if raw is None else raw
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


ONE = {"a": entry("F32", [2], 0, 8)}

WRONG = {
    "negative size": ({"a": entry("F32", [-1], 0, 4)}, "shape [-1]"),
    "size that is a truth": ({"a": entry("F32", [True], 0, 4)}, "shape [True]"),
    "fractional size": ({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}, "[1.0]"),
    "too many axes": ({"a": entry("F32", [1] * 17, 0, 4)}, "up to 16 counts"),
    "unknown dtype": ({"a": entry("F13", [1], 0, 4)}, "unknown dtype 'F13'"),
    "no dtype": ({"a": {"shape": [1], "data_offsets": [0, 4]}}, "unknown dtype None"),
    "offsets reversed": ({"a": entry("F32", [1], 4, 0)}, "is not [begin, end]"),
    "three offsets": (
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2, 4]}},
        "[0, 2, 4]",
    ),
    "shape that lies": ({"a": entry("F32", [3], 0, 8)}, "F32 [3] needs 12 bytes"),
    "entry that is a list": ({"a": [1, 2]}, "tensor 'a': its entry is not an object"),
    "header that is a list": ([1, 2], "is not a JSON object"),
    "overlap": (
        {"a": entry("F32", [2], 0, 8), "b": entry("F32", [1], 4, 8)},
        "tensors 'a' and 'b' overlap",
    ),
    "a hole": (
        {"a": entry("F32", [1], 0, 4), "b": entry("U8", [2], 6, 8)},
        "tensor 'b' begins 2 bytes after 'a' ends",
    ),
    "bytes that no tensor has": ({"a": entry("F32", [1], 0, 4)}, "4 bytes follow the last tensor"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_header_is_refused_by_name(case: str, tmp_path: Path) -> None:
    header, message = WRONG[case]
    file = write(tmp_path / "m.safetensors", header, bytes(8))
    with pytest.raises(FileError) as caught:
        files.read_header(file)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_was_cut_off_says_how_much_is_there(tmp_path: Path) -> None:
    file = write(tmp_path / "m.safetensors", ONE, bytes(5))
    total = file.stat().st_size
    with pytest.raises(FileError, match=f"cut off: {total} of {total + 3} bytes"):
        files.read_header(file)


def test_a_header_that_is_cut_off_says_so(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes((5000).to_bytes(8, "little") + b'{"a"')
    with pytest.raises(FileError, match="cut off: 12 of 5,008 bytes"):
        files.read_header(file)


@pytest.mark.parametrize("content", [b"", b"1234567"])
def test_a_file_shorter_than_its_length_field_is_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(content)
    with pytest.raises(FileError, match=f"only {len(content)} bytes"):
        files.read_header(file)


def test_an_absurd_header_length_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(b"\xff" * 16)
    with pytest.raises(FileError, match="the limit is 100,000,000"):
        files.read_header(file)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a": \xff}', "not valid JSON"),
        (b'{"a": ', "not valid JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1, "a": 2}', "'a' appears twice"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not valid JSON"),
    ],
)
def test_a_header_that_is_no_json_is_refused(raw: bytes, message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "m.safetensors", None, raw=raw)
    with pytest.raises(FileError, match=message):
        files.read_header(file)


def test_a_file_that_does_not_exist_is_a_file_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        files.read_header(tmp_path / "m.safetensors")
    with pytest.raises(FileError, match="cannot be mapped"):
        files.map_file(tmp_path / "m.safetensors")


def test_a_float32_tensor_is_a_read_only_view_of_the_file(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.0]], np.float32)  # [row, column]
    file = write(tmp_path / "m.safetensors", {"a": entry("F32", [1, 2], 0, 8)}, values.tobytes())
    mapped = files.map_file(file)
    seen = files.view(mapped, files.read_header(file).tensors["a"])
    assert np.array_equal(seen, values)
    assert np.shares_memory(seen, mapped)
    with pytest.raises(ValueError, match="read-only"):
        seen[0, 0] = 0.0


def test_half_precision_becomes_float32_exactly(tmp_path: Path) -> None:
    half = np.array([1.0, -65504.0, 6e-8, 0.1], np.float16)  # [column]
    bits = np.array([0x3F80, 0xC2F7, 0x0001, 0x7F80], np.uint16)  # bfloat16 [column]
    header = {"h": entry("F16", [4], 0, 8), "b": entry("BF16", [4], 8, 16)}
    file = write(tmp_path / "m.safetensors", header, half.tobytes() + bits.tobytes())
    mapped, tensors = files.map_file(file), files.read_header(file).tensors
    out = np.empty(4, np.float32)
    files.fill(out, files.view(mapped, tensors["h"]), "F16")
    assert np.array_equal(out, half.astype(np.float32))
    files.fill(out, files.view(mapped, tensors["b"]), "BF16")
    assert np.array_equal(out, np.array([1.0, -123.5, 2.0**-133, np.inf], np.float32))


def test_metadata_is_not_a_tensor(tmp_path: Path) -> None:
    header = {"__metadata__": {"format": "pt"}, **ONE}
    found = files.read_header(write(tmp_path / "m.safetensors", header, bytes(8)))
    assert list(found.tensors) == ["a"]
    assert found.tensors["a"].size == 2


def test_a_bias_of_the_head_is_read_not_overlooked(data: Path, tmp_path: Path) -> None:
    import shutil

    import numpy as np
    from safetensors.numpy import load_file, save_file

    from engine.model import open_model

    folder = shutil.copytree(data / "families" / "gpt2-untied", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    plain = open_model(folder).forward([1, 2, 3]).logits
    bias = np.linspace(-1, 1, plain.shape[-1]).astype(np.float32)
    save_file({**tensors, "lm_head.bias": bias}, folder / "model.safetensors")
    assert np.allclose(open_model(folder).forward([1, 2, 3]).logits, plain + bias, atol=1e-6)

"""Folders made to break the reader: one clear line, never a traceback, a hang or a crash."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine import cli
from engine.errors import FileError, RunError
from engine.model import open_model, peek, self_check
from engine.model.self_check import _prompts
from engine.model.tokenizer import Tokenizer

Copy = Callable[..., Path]
LONGEST = 600  # characters of a message; a terminal shows it whole


def refusal(error: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(error.value)
    assert len(message) < LONGEST, message[:LONGEST]
    return message


@pytest.mark.parametrize("value", [10**400, 1e300, 1e-300, "x" * 9999, [], {}, -1, True])
@pytest.mark.parametrize("field", ["rms_norm_eps", "rope_theta"])
def test_a_number_that_float32_cannot_hold_is_refused(field: str, value: Any, copy: Copy) -> None:
    with pytest.raises(FileError) as error:
        peek(copy("llama-tied-biases", **{field: value, "rope_parameters": ...}))
    assert f"{field}: " in refusal(error)


@pytest.mark.parametrize("value", [[], {}, 5, "x" * 9999, [["local"] * 9999]])
@pytest.mark.parametrize("field", ["normalization_type", "act_fn", "attn_types", "n_layers"])
def test_a_field_of_the_wrong_type_is_named(field: str, value: Any, copy: Copy) -> None:
    folder = copy("tl-ln-gelu", **{field: value, "use_local_attn": True})
    with pytest.raises(FileError) as error:
        peek(folder)
    assert refusal(error)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_place_of_weights_is_not_waited_for(copy: Copy) -> None:
    folder = copy("llama-tied-biases")
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    with pytest.raises(FileError, match=r"holds no model\.safetensors"):
        peek(folder)


def _header(folder: Path, raw: bytes) -> Path:
    (folder / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw)
    return folder


def test_a_name_that_comes_twice_is_found_however_late(copy: Copy) -> None:
    names = ", ".join(f'"{n}": 1' for n in range(100_000))
    folder = _header(copy("llama-tied-biases"), f'{{{names}, "z": 1, "z": 2}}'.encode())
    with pytest.raises(FileError, match="'z' appears twice"):
        peek(folder)


def test_a_piece_that_comes_twice_is_found_however_late(tmp_path: Path) -> None:
    pieces = [*map(str, range(100_000)), "z", "z"]
    (tmp_path / "vocab.json").write_text(json.dumps(pieces))
    with pytest.raises(FileError, match="'z' appears twice"):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [10**4000, 10**4000], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 10**4000]},
        {"dtype": "F32", "shape": [1] * 5000, "data_offsets": [0, 4]},
        {"dtype": "x" * 5000, "shape": [1], "data_offsets": [0, 4]},
    ],
)
def test_absurd_numbers_in_a_header_are_refused_in_one_short_line(
    entry: dict[str, Any], copy: Copy
) -> None:
    folder = _header(copy("llama-tied-biases"), json.dumps({"a": entry}).encode())
    with pytest.raises(FileError, match="tensor 'a'") as error:
        peek(folder)
    assert refusal(error)


PANICS: dict[str, dict[str, Any]] = {
    "no such special token": {"post_processor": {
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<q>", "type_id": 0}}],
        "pair": [], "special_tokens": {}}},
    "an unknown token that is none": {"model": {
        "type": "WordPiece", "vocab": {"a": 0}, "unk_token": "q",
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}},
    "a table that is too short": {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    "a table that claims four gigabytes": {"normalizer": {
        "type": "Precompiled", "precompiled_charsmap": base64.b64encode(b"\xff" * 8).decode()}},
    "a table inside a sequence": {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(b"\xff" * 8).decode()}]}},
}  # fmt: skip


@pytest.mark.parametrize("case", PANICS)
def test_a_tokenizer_on_which_the_library_falls_over_is_refused(case: str, tmp_path: Path) -> None:
    spec = {
        "version": "1.0",
        "added_tokens": [],
        "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"},
        **PANICS[case],
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(spec))
    with pytest.raises(FileError, match=r"tokenizer\.json"):
        Tokenizer.from_folder(tmp_path).encode("c")


def test_weights_that_overflow_are_said_not_read_as_zero(
    copy: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy("gpt2-tied")
    file = folder / "model.safetensors"
    save_file({name: w * np.float32(1e25) for name, w in load_file(file).items()}, file)
    with np.errstate(over="ignore"), pytest.raises(RunError, match=r"blocks\.0\.ln1.* overflows"):
        open_model(folder).forward([1, 2, 3])
    asked = ["run", "LogitLens", "--model", str(folder), "--set", "prompt=[1,2]"]
    assert cli.main([*asked, "--out", str(tmp_path / "out.npz")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "overflows" in line


@pytest.mark.parametrize("token", [0, 1])
def test_the_self_check_draws_no_masked_token(token: int, copy: Copy) -> None:
    model = open_model(copy("tl-bidirectional", mask_token=token))
    assert token not in _prompts(model.config)
    assert self_check(model).passed

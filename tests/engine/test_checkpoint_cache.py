"""Models in the Hugging Face cache are found offline, whatever else lies there."""

import json
import shutil
from pathlib import Path

import pytest

from engine.model import peek
from engine.model.hub_cache import cached_models, hub_folders


def put(hub: Path, repository: str, commit: str, source: Path | None, main: bool = False) -> Path:
    """A snapshot of a repository, as huggingface_hub lays it out."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    if source is None:
        snapshot.mkdir(parents=True)
    else:
        shutil.copytree(source, snapshot)
    if main:
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(commit)
    return snapshot


def test_no_cache_is_no_error() -> None:
    assert hub_folders() == []
    assert cached_models() == []


def test_the_default_place_is_in_the_home_folder(home: Path, data: Path) -> None:
    hub = home / ".cache" / "huggingface" / "hub"
    snapshot = put(hub, "org/Tiny-GPT2", "aaa", data / "families" / "gpt2-tied")
    assert cached_models() == [("org/Tiny-GPT2", snapshot)]
    assert peek(snapshot).name == "org/Tiny-GPT2"


@pytest.mark.parametrize("variable", ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"])
def test_the_users_own_place_is_honoured(
    variable: str, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / "hub"
    put(hub, "gpt2", "aaa", data / "families" / "gpt2-tied")
    monkeypatch.setenv(variable, str(tmp_path if variable == "HF_HOME" else hub))
    assert [name for name, _ in cached_models()] == ["gpt2"]


def test_only_models_that_can_be_opened_are_listed(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    families = data / "families"
    good = put(tmp_path, "b/llama", "ccc", families / "llama-gqa", main=True)
    put(tmp_path, "b/llama", "ddd", families / "llama-gqa")
    put(tmp_path, "only/config", "aaa", None).joinpath("config.json").write_text(
        json.dumps({"model_type": "gpt2"})
    )
    unknown = put(tmp_path, "un/known", "aaa", families / "gpt2-tied")
    (unknown / "config.json").write_text(json.dumps({"model_type": "bert"}))
    broken = put(tmp_path, "bro/ken", "aaa", families / "gpt2-tied")
    (broken / "config.json").write_text("{")
    put(tmp_path, "emp/ty", "aaa", None)
    (tmp_path / "models--a-file").write_text("x")
    (tmp_path / "version.txt").write_text("1")
    assert cached_models() == [("b/llama", good)]

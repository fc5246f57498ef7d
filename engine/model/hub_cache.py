"""Models that are already in the Hugging Face cache of this computer, found without a network.

Layout of the cache: <hub>/models--<org>--<name>/{refs/main, snapshots/<commit>/...}, where a
snapshot's files are links into blobs/ (huggingface_hub, "Understand caching").
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from engine.errors import FileError
from engine.model.checkpoint import CONFIG, TORCH_INDEX, TORCH_SINGLE, model_name
from engine.model.config_file import Fields, read_json
from engine.model.families import architecture

MAX_REPOSITORIES = 2000  # more than anyone has; keeps a wrong HF_HOME from stalling the window
MAX_SNAPSHOTS = 50
CONFIG_LIMIT = 1_000_000


def cached_models() -> list[tuple[str, Path]]:
    """(repository, snapshot folder) of every model that can be opened here, by name.

    Of several snapshots of one repository: the one that `main` points at, else the newest.
    """
    found: dict[str, Path] = {}
    for hub in hub_folders():
        for repository in _folders(hub, "models--*", MAX_REPOSITORIES):
            snapshot = next((s for s in _snapshots(repository) if _can_be_opened(s)), None)
            if snapshot is not None:
                found.setdefault(model_name(snapshot), snapshot)
    return sorted(found.items(), key=lambda item: item[0].lower())


def hub_folders() -> list[Path]:
    """Where the cache may be, the user's own settings first."""
    home = os.environ.get("HF_HOME")
    general = os.environ.get("XDG_CACHE_HOME")
    candidates = [
        os.environ.get("HF_HUB_CACHE"),
        os.environ.get("HUGGINGFACE_HUB_CACHE"),
        str(Path(home, "hub")) if home else None,
        str(Path(general, "huggingface", "hub")) if general else None,
        str(Path("~", ".cache", "huggingface", "hub")),
    ]
    folders: list[Path] = []
    for name in candidates:
        if not name:
            continue
        try:
            folder = Path(name).expanduser()
        except RuntimeError:  # no home directory
            continue
        if folder not in folders and folder.is_dir():
            folders.append(folder)
    return folders


def _folders(parent: Path, pattern: str, limit: int) -> list[Path]:
    try:
        found = []
        for entry in parent.glob(pattern):
            if len(found) == limit:
                break
            if entry.is_dir():
                found.append(entry)
        return sorted(found)
    except OSError:
        return []


def _snapshots(repository: Path) -> Iterator[Path]:
    try:
        main = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    present = _folders(repository / "snapshots", "*", MAX_SNAPSHOTS)
    yield from (folder for folder in present if folder.name == main)
    others = [folder for folder in present if folder.name != main]
    yield from sorted(others, key=lambda folder: folder.stat().st_mtime, reverse=True)


def _can_be_opened(snapshot: Path) -> bool:
    """A known architecture and weights; whether every tensor is right is for `peek` to say."""
    try:
        data, _ = read_json(snapshot / CONFIG, CONFIG_LIMIT)
        if not isinstance(data, dict):
            return False
        architecture(Fields(snapshot / CONFIG, data))
        patterns = ("*.safetensors", TORCH_SINGLE, TORCH_INDEX)
        return any(file.is_file() for pattern in patterns for file in snapshot.glob(pattern))
    except (FileError, OSError):
        return False

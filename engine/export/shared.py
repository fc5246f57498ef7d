"""What may leave this machine with a file: everything but the names of its folders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from engine.refs import placed, refs_in
from engine.technique import Technique

T = TypeVar("T", bound=Technique)


def shared(about: Any) -> Any:
    """A provenance without folders: of a model name and digest stay, of a file its own name."""
    if isinstance(about, Mapping):
        return {
            key: _file(value) if key == "where" and isinstance(value, str) else shared(value)
            for key, value in about.items()
            if key != "folder"
        }
    return [shared(value) for value in about] if isinstance(about, list | tuple) else about


def shared_spec(spec: T) -> T:
    """The same spec, its inputs by digest and file name."""
    return placed(spec, {ref.digest: _file(ref.where) for ref in refs_in(spec)})


def _file(where: str) -> str:
    return where.replace("\\", "/").rstrip("/").rpartition("/")[2]

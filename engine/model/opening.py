"""open_model: from a folder on disk to a model that can be read.

A transformer as a rule; a folder that TrainMLP's networks were saved to gives an `engine.mlp.MLP`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.model import checkpoint
from engine.model.tokenizer import Tokenizer
from engine.model.transformer import Transformer

HEADER = "header:"  # before a digest that covers the config and the headers, not the weights


def open_model(
    folder: str | Path,
    watch: Callable[[], None] | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Any:
    """The model in a Hugging Face or TransformerLens folder, ready to run: a Transformer.

    From a folder that `engine.mlp.saving` wrote it is an MLP, which reads points.
    `watch` may raise to stop the loading; `report(done, total)` counts bytes. FileError names what
    is wrong with a folder that is not readable. The digest is the header's until `weights_digest`
    has read every byte.
    """
    from engine.mlp import saving  # here, or the two would import each other in a ring

    if saving.is_one(folder):
        return saving.opened(folder)
    found = checkpoint.peek(folder)
    weights = checkpoint.load(found, watch, report)
    tokenizer = Tokenizer.from_folder(found.folder, found.config)
    return Transformer(
        name=found.name,
        config=found.config,
        weights=weights,
        tokenizer=tokenizer,
        folder=found.folder,
        digest=HEADER + found.header_digest,
    )


def peek(path: str | Path) -> checkpoint.Peek:
    """`checkpoint.peek`; a FileError of its own for a network that reads points."""
    from engine.mlp import saving

    if saving.is_one(path):
        raise FileError(
            path, "holds a network that reads points, not text: open it in a script with "
            "open_model, or train its like in the panel Probed network"
        )  # fmt: skip
    return checkpoint.peek(path)


def weights_digest(model: Any, watch: Callable[[], None] | None = None) -> str:
    """SHA-256 over the config and every byte of the weight files: what a run is recorded under."""
    if model.folder is None or not isinstance(model, Transformer):  # an MLP has read every byte
        return model.digest
    return checkpoint.digest(checkpoint.peek(model.folder), watch)

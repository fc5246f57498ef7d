"""open_model: from a folder on disk to a Transformer that can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.model import checkpoint
from engine.model.tokenizer import Tokenizer
from engine.model.transformer import Transformer

HEADER = "header:"  # before a digest that covers the config and the headers, not the weights


def open_model(
    folder: str | Path,
    watch: Callable[[], None] | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Transformer:
    """The model in a Hugging Face or TransformerLens folder, ready to run.

    `watch` may raise to stop the loading; `report(done, total)` counts bytes. FileError names what
    is wrong with a folder that is not readable. The digest is the header's until `weights_digest`
    has read every byte.
    """
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


def weights_digest(model: Transformer, watch: Callable[[], None] | None = None) -> str:
    """SHA-256 over the config and every byte of the weight files: what a run is recorded under."""
    if model.folder is None:
        return model.digest
    return checkpoint.digest(checkpoint.peek(model.folder), watch)

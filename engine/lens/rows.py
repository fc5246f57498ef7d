"""The rows of a lens: the residual stream at each point where something has been added to it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.model.config import ModelConfig

DETAILS = ("blocks", "sublayers")


@dataclass(frozen=True)
class Row:
    """One reading of the stream: its short name, the activation, and the block that reads it next.

    next_block: n_layers for the last row; None inside a block, where no block begins.
    """

    name: str
    hook: str
    next_block: int | None


def rows(cfg: ModelConfig, detail: str) -> list[Row]:
    """After the embedding and after each block; with "sublayers" after each attention too.

    Parallel blocks write both sublayers at once and attention-only models have no MLP: they have
    one row a block either way.
    """
    mid = detail == "sublayers" and not cfg.attn_only and not cfg.parallel_attn_mlp
    found = [Row("embed", "blocks.0.hook_resid_pre", 0)]
    for layer in range(cfg.n_layers):
        if mid:
            found.append(Row(f"{layer}.attn", f"blocks.{layer}.hook_resid_mid", None))
        name = f"{layer}.mlp" if mid else str(layer)
        if detail == "sublayers" and cfg.attn_only:
            name = f"{layer}.attn"
        found.append(Row(name, f"blocks.{layer}.hook_resid_post", layer + 1))
    return found

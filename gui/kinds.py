"""What a panel's technique asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import technique

if TYPE_CHECKING:
    from gui.panel import Panel


def reads_model(panel: Panel | type[Panel]) -> bool:
    """Whether it reads a network; what needs none trains its own, or runs nothing."""
    return bool(panel.kind) and bool(technique.of(panel.kind).needs)

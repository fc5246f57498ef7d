"""Stop: one step of the tour, before it is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gui.tour.walk import Walk


@dataclass(frozen=True)
class Stop:
    """What a step is called, what it says, what it does."""

    title: str
    words: str
    do: Callable[[Walk], object]

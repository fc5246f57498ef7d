"""The kinds of panels: all that there are, and what their techniques ask for."""

from __future__ import annotations

import importlib
import pkgutil

from engine import technique
from gui.panel import PLACES, Panel


def reads_model(panel: Panel | type[Panel]) -> bool:
    """Whether it reads a network; what needs none trains its own, or runs nothing."""
    return bool(panel.kind) and bool(technique.of(panel.kind).needs)


def panels() -> list[type[Panel]]:
    """Every panel that `gui.panels` holds, by place and order. The window knows no other list."""
    package = importlib.import_module("gui.panels")
    found: list[type[Panel]] = []
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"gui.panels.{module.name}")
        classes = [thing for thing in vars(loaded).values() if isinstance(thing, type)]
        own = [cls for cls in classes if cls.__module__ == loaded.__name__]
        found += [cls for cls in own if issubclass(cls, Panel)]
    return sorted(found, key=lambda panel: (PLACES.index(panel.place), panel.order, panel.title))

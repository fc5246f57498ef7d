"""The stop about sparse autoencoders with a known truth: the settings that fail, and that work."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import RunError
from engine.sae.toy_presets import PRESETS
from engine.sae.toy_reading import metric
from gui.tour.stop import Stop
from gui.tour.walk import Walk

ARTICLE, WORKS = "The article's settings", "Five concepts found"


def concepts(walk: Walk) -> None:
    """Both presets by a click on their rows; the second one must find all five."""
    panel: Any = walk.panel("ToySAE")
    walk.window.reveal(panel)
    found = []
    for name in (ARTICLE, WORKS):
        at = [each.name for each in PRESETS].index(name)
        panel.side.presets.choose(at, 0)
        walk.wait(lambda: not panel.running, f"the preset {name!r}")
        row = panel.side.presets.rows[at]
        if panel.result is None or not row.agrees:
            raise RunError(f"{name}: expected {row.expected}, measured {row.measured or 'nothing'}")
        found.append(int(np.asarray(panel.result.metrics)[metric(panel.result, "found"), 0]))
    if not found[0] < found[1]:
        raise RunError(f"the article's settings find {found[0]} concepts, the others {found[1]}")


TOY_SAE = (
    Stop(
        "Watch concepts find their latents",
        "Five concepts share three dimensions, and a sparse autoencoder with twelve latents looks "
        "for them. Rings are the true directions, balls the latents; gold in the table marks who "
        "was matched with whom. With the settings of the article most concepts stay merged; with "
        "decoder rows of length one and a penalty that is strong enough all five are found. The "
        "dashed line is what random directions would get.",
        concepts,
    ),
)

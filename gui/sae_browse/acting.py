"""What both panels of features hand to the window: an intervention on one, an example as prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from engine.errors import RunError
from gui.focus import Edit
from gui.header import Act
from gui.panel import Panel
from gui.sae_browse import acts
from gui.sae_browse.words import one


def _reading(panel: Panel) -> Act:
    """Where a prompt and an intervention are looked at."""
    return "Read it", lambda: panel.desk.ask("turn to", Panel.arrangement)


def act(panel: Panel, what: str, latent: int, highest: float, labels: Mapping[int, str]) -> None:
    """Put an intervention on a latent of the panel's result among those on the desk."""
    result, model = panel.result, panel.desk.model
    spec, drawn = panel.drawn
    if why := acts.why_not(result, spec, model, drawn):
        panel.say(why, "warn")
        return
    try:
        entry = acts.intervention(what, result, spec, latent, highest, model)
    except RunError as error:
        panel.say(str(error), "warn")
        return
    edit = Edit(entry, about=labels.get(latent, f"{one(result)} {latent}"))
    panel.desk.set_edits([*panel.desk.edits, edit])
    panel.say(f"Every run is made under this now: {edit.words}.", "info", _reading(panel))


def take_prompt(panel: Panel, ids: np.ndarray, position: int) -> None:
    """ids [pos] become the clean prompt, as text where the model reads that as the same tokens."""
    prompt, bos = _as_text(panel.desk.model, ids)
    if not bos:
        bos = panel.desk.prompts.bos
    panel.desk.set_prompts(replace(panel.desk.prompts, clean=prompt, bos=bos, inputs={}))
    panel.desk.turn(position=position, query=position, key=None)
    panel.say("This text is the clean prompt now.", "info", _reading(panel))


def _as_text(model: Any, ids: np.ndarray) -> tuple[str | tuple[int, ...], str]:
    """(the text or the ids, how it begins); "" = the ids say that themselves."""
    exact = tuple(int(each) for each in ids)
    if model is None or not hasattr(model, "pieces"):
        return exact, ""
    for bos, rest in (("auto", exact[1:]), ("no", exact)):
        text = "".join(model.pieces(rest)) if rest else ""
        for said in dict.fromkeys((text, text.removeprefix(" "))):
            try:
                same = bool(said) and np.array_equal(model.tokens(said, bos), ids)
            except RunError:
                same = False
            if same:
                return said, bos
    return exact, ""

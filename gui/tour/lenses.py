"""The stops about lenses: finer rows, watched tokens, a logit in parts, a trained lens."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import RunError
from gui import library
from gui.tour.prompts import GIVER
from gui.tour.stop import Stop
from gui.tour.walk import Walk

STEPS = 25
EXACT = 1e-5  # of the sum of the bars' sizes


def finer(walk: Walk) -> None:
    """A row after each attention and MLP, with the two names followed through them."""
    walk.open(library.bundled()[0])
    desk = walk.window.desk
    desk.set_prompts(GIVER)
    walk.settle()
    watched = tuple(desk.model.token(name) for name in (GIVER.answer, GIVER.wrong))
    walk.choose("LogitLens", detail="sublayers", watch=watched)
    result = walk.run("LogitLens")
    if result.watched_rank[0, -1, -1] != 0:
        raise RunError(f"{GIVER.answer} does not come first at the end")
    panel = walk.panel("LogitLens")
    panel.set_view({"view": "Text"})
    panel.show_result(panel.result, *panel.drawn, panel.run_shown)
    walk.settle()
    walk.look("window-text")
    panel.set_view({"view": "Table"})
    panel.show_result(panel.result, *panel.drawn, panel.run_shown)


def in_parts(walk: Walk) -> None:
    """The difference of two logits as bars, which must sum to it."""
    result = walk.run("DirectLogitAttribution")
    size = np.abs(result.value).sum(axis=0)  # [pos]
    if not (np.abs(result.deviation) < EXACT * size).all():
        raise RunError(f"the bars miss the logit by {np.abs(result.deviation).max():.1e}")
    walk.window.reveal(walk.panel("DirectLogitAttribution"))


def tuned(walk: Walk) -> None:
    """Train it, and read the same prompt through it."""
    panel: Any = walk.panel("TunedLens")
    walk.window.reveal(panel)
    walk.choose("TunedLens", n_steps=STEPS, n_tokens=20_000, batch=512)
    result = walk.run("TunedLens")
    if not (result.held_out_kl < result.lens_kl).all():
        raise RunError("the tuned lens is not closer to the end at every layer")
    walk.settle()
    walk.look("window-training")
    panel.use()
    lens = walk.panel("LogitLens")
    walk.wait(lambda: not lens.running and "tuned lens" in lens.result.read_by, "the tuned lens")
    walk.settle()
    walk.look("window-through-it")
    walk.choose("LogitLens", detail="blocks", watch=(), lens=None)
    walk.run("LogitLens")


LENSES = (
    Stop(
        "Follow two names through every layer",
        "A finer lens: a row after each attention and each MLP, the two names followed through "
        "them, and the same as running text for prompts that are long.",
        finer,
    ),
    Stop(
        "Take the logit apart",
        "Which attention and which MLP wrote the answer, and which the wrong one? The bars sum to "
        "the logit, and the line under them says how exactly.",
        in_parts,
    ),
    Stop(
        "Give every layer a basis of its own",
        "A tuned lens learns to read every layer. On held-out text it is closer to the end than "
        "the logit lens at each of them; then the same prompt is read through it.",
        tuned,
    ),
)

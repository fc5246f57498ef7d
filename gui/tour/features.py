"""The stops about features: SAEs of several sizes learn a layer, and one of them is opened."""

from __future__ import annotations

from typing import Any

from engine.errors import RunError
from gui import library
from gui.tour.prompts import GIVER
from gui.tour.stop import Stop
from gui.tour.walk import Walk

ARRANGEMENT = "Features"
SITE = "blocks.2.hook_resid_post"
SHORT: dict[str, Any] = {
    "hook": SITE, "architecture": "topk", "k": (4, 16), "expansion": 2, "n_tokens": 12_000,
    "context": 32, "batch": 512, "n_steps": 120, "lr": 0.003, "decay": 24, "check_every": 20,
    "n_held_out": 512,
}  # fmt: skip
KEPT = 0.8  # of the loss, that 16 latents at a time recover by then


def learn(walk: Walk) -> None:
    """Two SAEs from one forward pass, by the segment in the top bar."""
    window = walk.window
    walk.open(library.bundled()[0])
    window.desk.set_prompts(GIVER)
    window.top.segments.buttons[ARRANGEMENT].click()
    walk.settle()
    panel: Any = walk.panel("TrainSAE")
    window.reveal(panel)
    walk.choose("TrainSAE", **SHORT)
    result = walk.run("TrainSAE")
    few, many = result.recovered
    if not KEPT < many <= 1 or not few < many:
        raise RunError(f"4 latents recover {few:.2f} of the loss and 16 {many:.2f}")
    panel.choose(1)
    walk.settle()
    walk.look("window-training")


def open_it(walk: Walk) -> None:
    """From the training to every latent of what was trained."""
    trained: Any = walk.panel("TrainSAE")
    size = trained.result.W_dec.shape[1]
    trained.board.browse.click()
    features: Any = walk.panel("Features")

    def there() -> bool:
        return not features.running and features.result is not None

    walk.wait(there, "the features of the trained SAE")
    if len(features.result.density) != size:
        raise RunError(f"{len(features.result.density)} of {size} latents are listed")


FEATURES = (
    Stop(
        "Take a layer apart",
        "Two sparse autoencoders learn the third layer of the model from the very same text, one "
        "with 4 and one with 16 latents at a time. Loss, explained variance, L0 and dead latents "
        "share one axis of steps. What counts is at the right: how much of the model's loss is "
        "recovered with the reconstruction in place of the layer, against how many latents that "
        "took. Every run at the same place is a dot of the same plot.",
        learn,
    ),
    Stop(
        "See what it has learned",
        "One click further is every latent of that SAE: how often it is active, the word it "
        "answers to most, and the text around it.",
        open_it,
    ),
)

"""The stops about training: induction heads form, a look back, a checkpoint read, grokking."""

from __future__ import annotations

from typing import Any

from engine.errors import RunError
from gui.tour.stop import Stop
from gui.tour.walk import Walk

ARRANGEMENT = "Train"
STEPS, AT_A_TIME = 550, 50  # by which the first heads have formed; how long one wait is
LEARNED = 2.08  # nats in the second half by then: half of what knowing nothing gives
SHORT = {"task": "addition", "modulus": 31, "train_fraction": 0.8, "n_layers": 1, "n_heads": 4,
         "d_model": 32, "d_mlp": 64, "norm": "none", "positions": "learned", "lr": 0.005,
         "weight_decay": 1.0, "warm_up": 10, "n_steps": 300}  # fmt: skip


def theatre(walk: Walk) -> Any:
    return walk.panel("TrainTransformer")


def second_half(panel: Any) -> float:
    """The newest loss in the repeated half."""
    result = panel.result
    return float(result.curves[list(result.curve_names).index("second_half")][-1])


def induction(walk: Walk) -> None:
    """By the segment in the top bar and a click on the first preset, held when heads are there."""
    window, panel = walk.window, theatre(walk)
    window.top.segments.buttons[ARRANGEMENT].click()
    window.reveal(panel)
    walk.settle()
    panel.side.presets.choose(0, 0)
    for step in range(AT_A_TIME, STEPS + 1, AT_A_TIME):

        def there(step: int = step) -> bool:
            return not panel.running or (panel.result is not None and panel.result.step >= step)

        walk.wait(there, f"step {step} of the training")
        if step == STEPS // 2 // AT_A_TIME * AT_A_TIME:
            walk.look("window-training")
    panel.stop()
    walk.wait(lambda: not panel.running, "the training to stop")
    if not second_half(panel) < LEARNED:
        raise RunError(f"the second-half loss is {second_half(panel):.2f} after {STEPS} steps")


def look_back(walk: Walk) -> None:
    panel = theatre(walk)
    steps = panel.result.checkpoint_step
    panel.board.line.go(int(abs(steps - 4 * STEPS // 5).argmin()))
    if panel.board.loss.at is None:
        raise RunError("the gold line is not in the curves")


def open_beside(walk: Walk) -> None:
    """The checkpoint in every other panel, and back."""
    window, panel = walk.window, theatre(walk)
    before = window.desk.model
    panel.board.controls.open.click()
    walk.wait(lambda: window.desk.model not in (None, before), "the checkpoint to open")
    if window.host.arrangement != ARRANGEMENT:
        raise RunError("opening a checkpoint left the training")
    walk.settle()
    panel.message.action.click()
    walk.settle()
    walk.run("AttentionPatterns")


def addition(walk: Walk) -> None:
    """A short one: the spectrum of the embedding from the first step on."""
    window, panel = walk.window, theatre(walk)
    window.reveal(panel)
    panel.form.make_quick()
    walk.choose("TrainTransformer", **SHORT)
    walk.run("TrainTransformer")
    panel.board.tabs.setCurrentIndex(1)
    window.top.theme_button.click()
    walk.settle()
    walk.look("window-dark")
    window.top.theme_button.click()
    window.top.segments.buttons["Read a model"].click()


TRAINING = (
    Stop(
        "Watch induction heads form",
        "A third arrangement trains a transformer of two layers on lists of words that repeat. "
        "Loss, scores and checkpoints share one axis of steps. In the second half of the prompts "
        "the loss falls in a few hundred steps, when heads learn to look for the match; the "
        "shaded stretch was computed from the curves.",
        induction,
    ),
    Stop(
        "Look back",
        "A checkpoint in the middle of the fall. The gold line runs through curves and "
        "checkpoints; the patterns below and the large head are those of that step.",
        look_back,
    ),
    Stop(
        "Read a checkpoint in every other panel",
        "The same checkpoint as a model: here are its heads on a prompt, by the panels that read "
        "any other network.",
        open_beside,
    ),
    Stop(
        "The frequencies of modular addition",
        "A small transformer learns to add modulo 31. The map shows how the power of its "
        "embedding is shared out among frequencies, step by step.",
        addition,
    ),
)

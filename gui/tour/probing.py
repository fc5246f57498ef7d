"""The stops about probes: what is readable at each layer, and whether a direction of it is used."""

from __future__ import annotations

import numpy as np

from engine.errors import RunError
from gui import library
from gui.tour.stop import Stop
from gui.tour.walk import Walk

WORLD, ARRANGEMENT = "world-4l", "Probe"
COLUMN = "subject_number"  # told of a word that stands between the subject and its verb


def probes(walk: Walk) -> None:
    """The number of the subject, which the word that is read does not say."""
    walk.open(library.bundled_model(WORLD))
    walk.window.top.segments.buttons[ARRANGEMENT].click()
    walk.settle()
    walk.choose("LayerProbes", column=COLUMN, n_examples=400, seeds=3, lambdas=(0.01, 0.1))
    result = walk.run("LayerProbes")
    task, random = np.asarray(result.mean)[0], np.asarray(result.mean)[2]  # [site], [site]
    at = int(result.best_site)
    if not (result.selectivity_low[at] > 0 and task[at] > random[at]):
        raise RunError(
            f"a probe of {COLUMN} does not beat its controls: {task.round(2).tolist()}, "
            f"random weights {random.round(2).tolist()}"
        )
    layer = int(result.layer[at])
    walk.window.desk.turn(hook=result.site_names[at], layer=layer if layer >= 0 else None)


def use(walk: Walk) -> None:
    walk.choose("DirectionUse", column=COLUMN, n_examples=300, random_directions=10)
    result = walk.run("DirectionUse")
    before, after = np.asarray(result.own_accuracy)
    if not before > after:
        raise RunError(f"taking the direction out leaves its accuracy: {before:.2f}, {after:.2f}")


PROBING = (
    Stop(
        "Probe every layer, with its controls",
        "Is the subject's number in the stream while another word is read? A probe is trained at "
        "every layer, and beside it the same probe on random labels of words (the control task), "
        "on a network with random weights, and on shuffled labels. The foot of the form says "
        "whether a token decides the label alone. At the right are the examples that the probe "
        "gets wrong with most confidence.",
        probes,
    ),
    Stop(
        "Is what is read also used?",
        "The probe's direction is taken out of the stream. At the left, what a probe trained anew "
        "still reads; at the right, what the output makes of it, beside random directions of two "
        "kinds. What can be read need not be used.",
        use,
    ),
)

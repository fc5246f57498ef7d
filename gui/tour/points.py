"""The stops about networks of points and about principal components."""

from __future__ import annotations

import numpy as np

from engine.errors import RunError
from gui.tour.stop import Stop
from gui.tour.walk import Walk

LEAST = 0.05  # of accuracy that the last layer must gain over the first


def rings(walk: Walk) -> None:
    """A short training, in which later layers already read the rings better."""
    panel = walk.panel("TrainMLP")
    walk.window.reveal(panel)
    walk.choose("TrainMLP", task="rings", n_steps=1500)
    result = walk.run("TrainMLP")
    read = np.asarray(result.accuracies)[0].mean(axis=0)  # [site]
    if not read[-1] - read[1] > LEAST:
        raise RunError(f"later layers do not read the rings better: {read.round(2).tolist()}")


def components(walk: Walk) -> None:
    walk.choose("PrincipalComponents", column="part_of_speech", n_examples=400, layer=0)
    walk.run("PrincipalComponents")
    walk.window.reveal(walk.panel("PrincipalComponents"))


POINTS = (
    Stop(
        "Watch layers take a task apart",
        "A small network learns which points lie on which ring. While it trains, a linear probe "
        "reads every layer: the input cannot be parted by a line, the last layer can. The square "
        "at the right is what the network decides, the small ones what its hidden units see.",
        rings,
    ),
    Stop(
        "Look at the activations themselves",
        "The directions in which the activations vary most, coloured by part of speech. Draw "
        "around some points to read the words they stand for. Beside each component stands how "
        "much of the label's variance it tells, and how much shuffled labels would.",
        components,
    ),
)

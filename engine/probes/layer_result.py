"""LayerProbesResult: what a probe reads at every site, beside all it must be compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.technique import array

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

CURVE_NAMES = ("task", "control task", "random weights", "shuffled labels")
BASELINE_NAMES = ("majority", "word identity", "raw embedding")
TASK, CONTROL, RANDOM, SHUFFLED = range(4)
EMBEDDING = -1  # the layer of what lies before the first block


@dataclass(frozen=True)
class LayerProbesResult:
    """Accuracies with their controls, the probes themselves, and what they say of examples.

    NaN = not computed (yet, or not asked for). A site is a hook; examples are the test part of the
    first seed, at most 1,000 of them.
    """

    site_names: tuple[str, ...] = array("site", "hook names, from the input on")
    site_labels: tuple[str, ...] = array("site", "how an axis names them: embed, 0, 1, ...")
    layer: Ints = array("site", "block of each site; -1 = before the first")
    widths: Ints = array("site", "numbers in one activation there")
    column: str = array("", "which label is read")
    data_name: str = array("", "where the labels come from")
    classes: tuple[str, ...] = array("class", "the labels, in the order of all arrays")
    n_examples: int = array("", "examples in all: training, validation and test parts")
    n_groups: int = array("", "groups (texts, unless the data names others); none is ever parted")
    counts: Ints = array("class", "examples of each class")
    n_parts: Ints = array("part", "examples of the first seed's training, validation, test part")
    curve_names: tuple[str, ...] = array("curve", "the task, and what it is compared with")
    accuracy: Floats = array("curve seed site", "share of the test part read right, 0 to 1")
    mean: Floats = array("curve site", "mean accuracy over seeds")
    low: Floats = array(
        "curve site", "95 % interval of the mean, over seeds and bootstrapped test groups: from"
    )
    high: Floats = array("curve site", "the same: to")
    selectivity: Floats = array("site", "accuracy of the task less that of the control task")
    selectivity_low: Floats = array("site", "its 95 % interval: from")
    selectivity_high: Floats = array("site", "the same: to")
    baseline_names: tuple[str, ...] = array("baseline", "what needs no layer")
    baselines: Floats = array("baseline seed", "accuracy on the test part, 0 to 1")
    lambdas: Floats = array("lambda", "strengths of the L2 penalty that were tried")
    validation: Floats = array("lambda site", "the task's validation accuracy, mean over seeds")
    chosen: Ints = array("curve seed site", "index of the lambda chosen on validation; -1 = none")
    best_site: int = array("", "site of the best validation accuracy; -1 = not known yet")
    confusion: Ints = array("site true predicted", "test examples of the first seed")
    example_text: tuple[str, ...] = array("example", "the text that the example stands in")
    example_words: tuple[str, ...] = array("example", "the token or word that is read")
    example_where: Ints = array("example", "its position in the tokens; -1 = the mean of all")
    example_prompt_tokens: Ints = array("example pos", "token ids of its text, padded with -1")
    true: Ints = array("example", "its class")
    predicted: Ints = array("site example", "the class that the probe says; -1 = not known yet")
    margin: Floats = array(
        "site example",
        "score of the true class less that of the best other: negative where it is wrong",
    )
    projection: Floats = array(
        "site example",
        "along the probe's direction: its score, of two classes for the second against the "
        "first; of more for the true class against the mean of all",
    )
    scores: Floats = array(
        "site example class", "score of every class; empty above 32 classes, of two +- half"
    )
    weights: Floats = array(
        "site row width", "the first seed's probe on raw activations: a row per class, one where "
        "there are two (towards the second); NaN beyond the site's width",
    )  # fmt: skip
    bias: Floats = array("site row", "what the probe adds")
    top_tokens: Ints = array(
        "site class rank", "tokens that the class' direction writes most, through the final norm's "
        "gain and W_U; -1 where the site is not d_model wide",
    )  # fmt: skip
    top_values: Floats = array("site class rank", "their logits per unit of length")
    bottom_tokens: Ints = array("site class rank", "tokens that it writes least")
    bottom_values: Floats = array("site class rank", "their logits per unit of length")
    positions: Ints = array("pos", "positions with probes of their own; empty if not asked for")
    map: Floats = array("site pos", "test accuracy of a probe trained at that position alone")
    map_majority: Floats = array("pos", "accuracy there of saying the most frequent class")
    map_counts: Ints = array("pos", "examples at each position")
    codelength: Floats = array("curve site", "online code of the labels, in bits")
    uniform_bits: float = array("", "code of the same labels without knowing anything, in bits")
    compression: Floats = array("curve site", "uniform_bits divided by the online code")
    warnings: tuple[str, ...] = array("warning", "what would fool you here, in sentences")
    leakage: str = array("", "whether a token decides the label, in a sentence; empty = none found")
    spill_bytes: int = array("", "bytes of activations that were kept in a file; 0 = in memory")

    def direction(self, site: int, which: int) -> Floats:
        """Raw-space direction [width] of one class at a site, against the others."""
        return class_direction(self.weights[site, :, : self.widths[site]], which)


def class_direction(weights: Floats, which: int) -> Floats:
    """weights [row, width] -> [width]: of one row towards class 1, else the row less their mean."""
    if len(weights) == 1:
        return weights[0] if which else -weights[0]
    return weights[which] - weights.mean(axis=0)

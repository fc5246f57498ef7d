"""LayerProbes: what can be read linearly at each layer, beside everything that would fool you.

An accuracy says nothing alone. Beside it: the control task of Hewitt and Liang 2019
(arXiv:1909.03368), in which every token type has a random label, so that a probe can only memorise
(selectivity = task less control); the same model with random weights; shuffled labels; the most
frequent class; the most frequent label of each word; a probe on the raw embedding.

What would fool you:

* Most labels of words can be read off the word: then the curve is flat at the word-identity line,
  and layers have nothing to do with it. The line under the form says so (leakage).
* Random weights are no floor of zero knowledge: they keep the word. A curve speaks of training only
  where it lies above theirs. (They run without the interventions that are in force.)
* Tokens of one text are not independent: texts (or the data's own groups) are never parted between
  training, validation and test, and the interval resamples whole groups.
* The best of many layers is chosen on the validation part; the test part is read once.
* What can be read need not be used. DirectionUse measures that.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.probes.examples import BUILT_IN, READS
from engine.probes.layer_result import LayerProbesResult
from engine.probes.sites import SITES
from engine.probes.sweep import LayerSweep
from engine.refs import Ref
from engine.technique import Technique, Update, bos_param, param

__all__ = ["BUILT_IN", "LayerProbes", "LayerProbesResult"]

KINDS = ("logistic", "ridge", "mass_mean", "mass_mean_corrected", "hidden", "sparse")


@dataclass(frozen=True, kw_only=True)
class LayerProbes(Technique):
    """Train probes at every layer, with their controls, on groups that are never parted."""

    Result: ClassVar[type] = LayerProbesResult
    title: ClassVar[str] = "Layer probes"
    summary: ClassVar[str] = "What is linearly readable at each layer, with its controls"
    needs: ClassVar[tuple[str, ...]] = ("forward",)
    quick: ClassVar[Mapping[str, Any]] = {"n_examples": 120, "seeds": 2, "lambdas": (0.1,)}

    data: Ref | None = param(
        None, "labelled texts (CSV, TSV, JSONL); none: texts of the little world, or an MLP's task",
        role="labelled text",
    )  # fmt: skip
    column: str = param(
        "label", "which label: a column of the data, or one of the little world's "
        f"({', '.join(BUILT_IN)}); label: the data's own",
    )  # fmt: skip
    read: str = param(
        "auto", "what is read of a text: every labelled token, its last token, one position, the "
        "mean of all; auto: every token where tokens have labels, else the last",
        choices=READS,
    )  # fmt: skip
    position: int = param(-1, "which token, where one position is read; -1 is the last", low=-4096)
    site: str = param("resid_post", "which activation of each layer", choices=tuple(SITES))
    hook: str = param("", "another one by its hook name, such as blocks.*.attn.hook_k; then site "
                      "and layers are not asked", advanced=True)  # fmt: skip
    layers: tuple[int, ...] = param(
        (), "which layers, -1 for the embedding; empty: all and the embedding", low=-1
    )
    by_position: bool = param(False, "also a map: a probe for each layer and position")
    probe: str = param("logistic", "how it is read", choices=KINDS)
    k: int = param(4, "units that a sparse probe may read", low=1, high=4096)
    lambdas: tuple[float, ...] = param(
        (1e-4, 1e-3, 1e-2, 1e-1, 1.0), "strengths of the L2 penalty; validation chooses",
        low=1e-9, high=1e6,
    )  # fmt: skip
    seeds: int = param(5, "splits, control labels and shuffles that are drawn", low=1, high=50)
    n_examples: int = param(2000, "labelled examples that are read", low=20, high=200_000)
    control_task: bool = param(True, "beside it: random labels for each word")
    random_weights: bool = param(True, "beside it: the same model with random weights")
    shuffled: bool = param(True, "beside it: the same labels, shuffled")
    codelength: bool = param(False, "also the online code (Voita and Titov 2020), in bits")
    seed: int = param(0, "of the choice of examples, splits and controls", low=0, role="seed")
    bos: str = bos_param()

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        yield from LayerSweep(self, model).steps()

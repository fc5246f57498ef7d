"""PrincipalComponents: the directions in which the activations of one hook vary most.

Of the centred activations X [example, d_model] = U S V^T: scores U S, explained S^2 / sum S^2,
directions V. Beside each component the share of its variance between the label's classes (eta^2).

What would fool you: PCA never sees the labels, so a component with a large share of variance may
have nothing to do with them, and a label may lie in none of the first ones. In a residual stream a
few directions of huge norm (the first position, rogue dimensions) take most of the variance. Many
points of few texts part into clouds by text: compare eta^2 with that of shuffled labels, and a
cloud with a probe's controls.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.probes.collecting import Store, collect
from engine.probes.components import components, eta_squared
from engine.probes.examples import BUILT_IN, READS, Examples, gather
from engine.probes.sites import SITES, one_site
from engine.refs import Ref
from engine.technique import RunError, Technique, Update, array, bos_param, param

__all__ = ["PrincipalComponents", "PrincipalComponentsResult"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

LAST = -2  # a layer counted from the end
_TOTAL = 100  # updates' steps
_DRAWS, _SHUFFLES = 100, 20  # shuffles of the labels; their stream of random numbers


@dataclass(frozen=True)
class PrincipalComponentsResult:
    """Scores of examples on the components of their activations, with labels. NaN = not yet."""

    hook: str = array("", "the hook that is read")
    column: str = array("", "which label colours the examples")
    data_name: str = array("", "where the labels come from")
    classes: tuple[str, ...] = array("class", "the labels")
    counts: Ints = array("class", "examples of each class")
    scores: Floats = array("example component", "centred activation along each direction")
    explained: Floats = array("component", "share of all variance, 0 to 1")
    eta_squared: Floats = array("component", "share of its variance that lies between classes")
    eta_null: Floats = array("component", "the same with shuffled labels: 95 % lie below")
    label: Ints = array("example", "class of each example")
    example_text: tuple[str, ...] = array("example", "the text that the example stands in")
    example_words: tuple[str, ...] = array("example", "the token or word that is read")
    example_where: Ints = array("example", "its position in the tokens; -1 = the mean of all")
    example_prompt_tokens: Ints = array("example pos", "token ids of its text, padded with -1")
    directions: Floats = array("component d_model", "unit vectors, largest entry positive")
    center: Floats = array("d_model", "mean activation, which was taken off")
    total_variance: float = array("", "sum of the variances of all units")
    warnings: tuple[str, ...] = array("warning", "what was left out of the data, in sentences")


@dataclass(frozen=True, kw_only=True)
class PrincipalComponents(Technique):
    """Principal components of the activations of one hook, coloured by label."""

    Result: ClassVar[type] = PrincipalComponentsResult
    title: ClassVar[str] = "Principal components"
    summary: ClassVar[str] = "Activations of one hook on the directions in which they vary most"
    needs: ClassVar[tuple[str, ...]] = ("forward",)
    quick: ClassVar[Mapping[str, Any]] = {"n_examples": 200}

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
    site: str = param("resid_post", "which activation", choices=tuple(SITES))
    hook: str = param("", "another one by its hook name; then site and layer are not asked",
                      advanced=True)  # fmt: skip
    layer: int = param(-2, "which layer; -1 is the embedding, -2 the last layer", low=-2)
    n_components: int = param(8, "components to keep", low=2, high=64)
    n_examples: int = param(1000, "labelled examples that are read", low=10, high=50_000)
    seed: int = param(0, "of the choice of examples", low=0, role="seed")
    bos: str = bos_param()

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        layer = model.config.n_layers - 1 if self.layer == LAST else self.layer
        site = one_site(model, self.site, self.hook, layer)
        examples = gather(self, model)
        found = _Found(self, model, site.hook, examples, site.width)
        yield Update(1, _TOTAL, found.result, note=f"{len(examples):,} examples")
        with Store(len(examples), [site.width]) as store:
            step = 1
            for share in collect(model, examples, [site], store):
                step = max(step + 1, int(share * (_TOTAL - 2)))
                yield Update(step, _TOTAL, found.result, note=f"texts are read: {share:.0%}")
            found.fill(store[0], model)
        yield Update(max(step + 1, _TOTAL), max(step + 1, _TOTAL), found.result, note="done")


class _Found:
    """What is known so far."""

    def __init__(
        self, spec: PrincipalComponents, model: Any, hook: str, examples: Examples, width: int
    ) -> None:
        n, count = len(examples), min(spec.n_components, width, len(examples) - 1)
        self.spec, self.examples = spec, examples
        self.scores = np.full((n, count), np.nan)  # [example, component]
        self.explained, self.eta, self.null = (np.full(count, np.nan) for _ in range(3))
        self.directions = np.full((count, width), np.nan)  # [component, d_model]
        self.center = np.full(width, np.nan)  # [d_model]
        self.variance = np.float64(np.nan)
        self.fixed = {
            "hook": hook, "column": examples.column, "data_name": examples.data_name,
            "classes": examples.classes, "warnings": examples.warnings,
            "counts": np.bincount(examples.label, minlength=len(examples.classes)),
            **examples.shown(model, np.arange(n)),
        }  # fmt: skip

    def fill(self, X: Floats, model: Any) -> None:
        """The components of X [example, d_model], and what they have to do with the labels."""
        found = components(X, len(self.explained), self.spec.seed, model.listen)
        self.scores, self.explained, self.directions = found.scores, found.explained, found.axes
        self.center, self.variance = found.center, np.float64(found.total)
        if not self.variance:
            raise RunError(f"{self.fixed['hook']} is the same for all examples: nothing varies")
        label, n_classes = self.examples.label, len(self.examples.classes)
        self.eta = eta_squared(self.scores, label, n_classes)
        rng, drawn = np.random.default_rng([self.spec.seed, _SHUFFLES]), []
        for _ in range(_DRAWS):
            model.listen()
            drawn.append(eta_squared(self.scores, rng.permutation(label), n_classes))
        self.null = np.quantile(drawn, 0.95, axis=0)  # [component]

    def result(self) -> PrincipalComponentsResult:
        return PrincipalComponentsResult(
            **self.fixed, scores=self.scores.copy(), explained=self.explained.copy(),
            eta_squared=self.eta.copy(), eta_null=self.null.copy(),
            label=self.examples.label.copy(), directions=self.directions.copy(),
            center=self.center.copy(), total_variance=self.variance,
        )  # fmt: skip

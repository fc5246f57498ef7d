"""Findings: what the probes of one sweep have found so far, and the result that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.probes.controls import leakage
from engine.probes.directions import RANKS, through_unembedding
from engine.probes.examples import Examples
from engine.probes.fitting import Fitted, classes_of, margins
from engine.probes.intervals import interval
from engine.probes.layer_result import (
    BASELINE_NAMES,
    CONTROL,
    CURVE_NAMES,
    TASK,
    LayerProbesResult,
    class_direction,
)
from engine.probes.sites import Site
from engine.probes.splitting import Split

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

SHOWN_EXAMPLES = 1_000
SCORED_CLASSES = 32  # classes of which every example's score is kept, and tokens of directions
_SHOWN = 4  # a stream of random numbers of the seed


class Findings:
    """Arrays that fill as sites are done; `result` copies them."""

    def __init__(
        self, examples: Examples, sites: Sequence[Site], splits: Sequence[Split],
        lambdas: Floats, model: Any, seed: int,
    ) -> None:  # fmt: skip
        self.examples, self.sites, self.splits, self.model = examples, sites, splits, model
        self.lambdas, self.seed = lambdas, seed
        n_sites, n_seeds, n_curves = len(sites), len(splits), len(CURVE_NAMES)
        n_classes = len(examples.classes)
        test = splits[0].test  # [row]
        few = len(test) <= SHOWN_EXAMPLES
        drawn = np.random.default_rng([seed, _SHOWN])
        self.chosen_examples = (
            test if few else np.sort(drawn.choice(test, SHOWN_EXAMPLES, replace=False))
        )  # [example]
        self.within_test = np.searchsorted(test, self.chosen_examples)  # [example]
        n_shown, n_scored = len(self.chosen_examples), min(n_classes, SCORED_CLASSES)
        rows = 1 if n_classes == 2 else n_classes
        widest = max(site.width for site in sites)

        def unknown(*shape: int) -> Floats:
            return np.full(shape, np.nan)

        self.correct: dict[tuple[int, int], list[Floats]] = {}  # (curve, site) -> per seed [row]
        self.accuracy = unknown(n_curves, n_seeds, n_sites)
        self.chosen = np.full((n_curves, n_seeds, n_sites), -1, np.int64)
        self.mean, self.low, self.high = (unknown(n_curves, n_sites) for _ in range(3))
        self.selective = unknown(3, n_sites)  # [mean low high, site]
        self.baselines = unknown(len(BASELINE_NAMES), n_seeds)
        self.validation = unknown(len(lambdas), n_sites)
        self.confusion = np.zeros((n_sites, n_classes, n_classes), np.int64)
        self.predicted = np.full((n_sites, n_shown), -1, np.int64)
        self.margin, self.projection = unknown(n_sites, n_shown), unknown(n_sites, n_shown)
        kept = n_classes if n_classes <= SCORED_CLASSES else 0
        self.scores = np.full((n_sites, n_shown if kept else 0, kept), np.nan, np.float32)
        self.weights = np.full((n_sites, rows, widest), np.nan, np.float32)
        self.bias = unknown(n_sites, rows)
        shape = (n_sites, n_scored, RANKS)
        self.tokens = np.full((2, *shape), -1, np.int64)  # [top bottom, site class rank]
        self.values = np.full((2, *shape), np.nan, np.float32)
        self.positions = np.zeros(0, np.int64)
        self.map = unknown(n_sites, 0)
        self.map_majority, self.map_counts = unknown(0), np.zeros(0, np.int64)
        self.codelength, self.compression = unknown(n_curves, n_sites), unknown(n_curves, n_sites)
        self.uniform_bits = np.float64(np.nan)
        self.warnings: list[str] = list(examples.warnings)
        self.spill_bytes = 0
        counts = np.bincount(examples.label, minlength=n_classes)
        told = leakage(examples.types, examples.label) if examples.points is None else []
        self.fixed = {
            "site_names": tuple(site.hook for site in sites),
            "site_labels": tuple(site.label for site in sites),
            "layer": np.array([site.layer for site in sites]),
            "widths": np.array([site.width for site in sites]),
            "column": examples.column, "data_name": examples.data_name,
            "classes": examples.classes, "n_examples": len(examples),
            "n_groups": len(np.unique(examples.groups)), "counts": counts,
            "n_parts": np.array([len(part) for part in
                                 (splits[0].train, splits[0].validation, splits[0].test)]),
            "curve_names": CURVE_NAMES, "baseline_names": BASELINE_NAMES,
            "true": examples.label[self.chosen_examples], "leakage": " ".join(told),
            **examples.shown(model, self.chosen_examples),
        }  # fmt: skip

    # --- filling --------------------------------------------------------------------------------

    def read(self, curve: int, seed: int, site: int, correct: Floats, chosen: int) -> None:
        """What the test part of one seed [row] says of one curve at one site."""
        self.correct.setdefault((curve, site), []).append(correct)
        self.accuracy[curve, seed, site] = correct.mean()
        self.chosen[curve, seed, site] = chosen

    def close(self, curves: Sequence[int], site: int) -> None:
        """Intervals of these curves at a site, all of whose seeds are read."""
        groups = [self.examples.groups[split.test] for split in self.splits]
        seed = self.seed
        for curve in curves:
            read = self.correct.get((curve, site), [])
            if len(read) == len(groups):
                found = interval(list(read), list(groups), seed=seed)
                self.mean[curve, site] = found.mean
                self.low[curve, site], self.high[curve, site] = found.low, found.high
        task, control = (self.correct.get((curve, site), []) for curve in (TASK, CONTROL))
        if CONTROL in curves and len(task) == len(control) == len(groups):
            found = interval(list(task), list(groups), seed=seed, against=list(control))
            self.selective[:, site] = found.mean, found.low, found.high

    def show(self, site: int, probe: Fitted, scores: Floats) -> None:
        """The first seed's probe of the task, and what it says of its test part.

        probe: one problem; scores [row, output] of the test part.
        """
        test, n_classes = self.splits[0].test, len(self.examples.classes)
        true = self.examples.label[test]  # [row]
        said = classes_of(scores[None])[0]  # [row]
        np.add.at(self.confusion[site], (true, said), 1)
        at = self.within_test
        self.predicted[site] = said[at]
        self.margin[site] = margins(scores[None], true)[0][at]
        if n_classes == 2:
            by_class = np.concatenate([-scores, scores], axis=1) / 2  # [row, class]
            self.projection[site] = scores[at, 0]
        else:
            by_class = scores
            finite = np.where(np.isfinite(scores), scores, 0.0)  # [row, class]
            own = np.take_along_axis(finite, true[:, None], axis=1)[:, 0]  # [row]
            self.projection[site] = (own - finite.mean(axis=1))[at]
        if self.scores.size:
            self.scores[site] = by_class[at]
        if probe.inner is not None:
            return  # it reads hidden units: no direction of the activations
        width = self.sites[site].width
        self.weights[site, :, :width] = probe.weights[0]
        self.bias[site] = probe.bias[0]
        for which in range(self.tokens.shape[2]):
            direction = class_direction(probe.weights[0], which)  # [width]
            found = through_unembedding(self.model, self.sites[site].hook, direction)
            if found is None:
                return
            for end, (tokens, values) in enumerate(found):
                self.tokens[end, site, which, : len(tokens)] = tokens
                self.values[end, site, which, : len(tokens)] = values

    @property
    def best_site(self) -> int:
        """The site whose validation accuracy is best, of equals the first; -1 = none yet."""
        known = np.isfinite(self.validation).any(axis=0)  # [site]
        if not known.any():
            return -1
        best = np.full(len(self.sites), -1.0)  # [site]
        best[known] = np.nanmax(self.validation[:, known], axis=0)
        return int(best.argmax())

    def result(self) -> LayerProbesResult:
        """All that is known, as fresh arrays."""
        values = {
            name: getattr(self, name).copy()
            for name in (
                "accuracy", "mean", "low", "high", "baselines", "validation", "chosen",
                "confusion", "predicted", "margin", "projection", "scores", "weights", "bias",
                "positions", "map", "map_majority", "map_counts", "codelength", "compression",
            )
        }  # fmt: skip
        tokens, texts = self.tokens.copy(), self.values.copy()
        return LayerProbesResult(
            **self.fixed, **values,
            selectivity=self.selective[0].copy(), selectivity_low=self.selective[1].copy(),
            selectivity_high=self.selective[2].copy(), lambdas=self.lambdas.copy(),
            best_site=self.best_site, uniform_bits=self.uniform_bits,
            top_tokens=tokens[0], bottom_tokens=tokens[1],
            top_values=texts[0], bottom_values=texts[1],
            warnings=tuple(dict.fromkeys(self.warnings)), spill_bytes=self.spill_bytes,
        )  # fmt: skip

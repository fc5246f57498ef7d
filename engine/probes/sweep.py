"""LayerSweep: one run of LayerProbes, from examples to findings, site by site.

All probes of one site (lambdas x task and controls x seeds) read the same activations and are
fitted together. Lambda is chosen on the validation part; the test part is read once, at the end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.errors import RunError, SpecError
from engine.probes.codelength import codelength
from engine.probes.collecting import Store, collect
from engine.probes.controls import (
    control_labels,
    identity_accuracy,
    majority_accuracy,
    shuffled_labels,
)
from engine.probes.examples import MEAN, Examples, gather
from engine.probes.findings import Findings
from engine.probes.fitting import Fitted, Problems, choose, classes_of, fit, predict
from engine.probes.layer_result import CONTROL, RANDOM, SHUFFLED, TASK
from engine.probes.random_weights import too_large, with_random_weights
from engine.probes.sites import Site, raw_hook, sites
from engine.probes.splitting import Split, split
from engine.technique import Update

if TYPE_CHECKING:
    from engine.techniques.layer_probes import LayerProbes

Singles = npt.NDArray[np.float32]
Ints = npt.NDArray[np.integer]

# Accuracies do not tell a gradient of 1e-6 from one of 1e-4, which takes a tenth of the time; the
# probes that are shown are fitted to the end.
ENOUGH = 1e-4
LOOSE = ("logistic", "sparse")
WITHOUT_LAMBDA = ("mass_mean", "mass_mean_corrected")
TOGETHER = 24 << 20  # numbers of probes that are fitted in one go
MAP_POSITIONS, MAP_FEWEST = 64, 40  # positions of a map; examples that a probe of one needs
SPLIT, RANDOM_CONTROL, SHUFFLE, WEIGHTS, CODE = range(10, 15)  # streams of random numbers


class LayerSweep:
    """One run: what is known so far, and the phases that add to it."""

    def __init__(self, spec: LayerProbes, model: Any) -> None:
        self.spec, self.model = spec, model
        self.sites = sites(model, spec.site, spec.hook, spec.layers)
        self.examples = gather(spec, model)
        if spec.by_position and self.examples.points is not None:
            raise SpecError("by_position", "points have no positions: leave it off")
        self.n_classes, self.label = len(self.examples.classes), self.examples.label
        lambdas = spec.lambdas[:1] if spec.probe in WITHOUT_LAMBDA else spec.lambdas
        if not lambdas:
            raise SpecError("lambdas", "names no strength: write at least one, such as 0.01")
        self.lambdas = np.unique(lambdas).astype(np.float64)  # [lambda], ascending
        self.splits = [self._split(number) for number in range(spec.seeds)]
        self.found = Findings(
            self.examples, self.sites, self.splits, self.lambdas, model, spec.seed
        )
        self.random = spec.random_weights and not too_large(model)
        if spec.random_weights and not self.random:
            self.found.warnings.append(
                f"{model.name} is too large for a second set of weights: no random weights here"
            )
        self.step, self.done, self.total = 0, 0.0, self._total()

    def _total(self) -> float:
        """Phases in all, each about as long as reading the texts once."""
        n = len(self.sites)
        total = 2 + n + self.random * (1 + 0.4 * n)
        return total + self.spec.by_position * (1 + n) + 2 * self.spec.codelength * n

    # --- the phases ------------------------------------------------------------------------------

    def steps(self) -> Iterator[Update]:
        """All phases in order. Activations that were spilled are removed however it ends."""
        yield self.update(f"{len(self.examples):,} examples in {self.n_classes:,} classes", 0)
        everything = [*self.sites, *self._raw()]
        with Store(len(self.examples), [site.width for site in everything]) as store:
            self.found.spill_bytes = store.spill_bytes
            yield from self._collect(self.model, everything, store, "texts are read")
            self._baselines()
            for at, site in enumerate(self.sites):
                yield from self._site(at, site, store[at])
            yield from self._raw_embedding(store)
            if self.random:
                plain = with_random_weights(self.model, self._seed(WEIGHTS, 0))
                yield from self._collect(plain, self.sites, store, "random weights read")
                for at, site in enumerate(self.sites):
                    yield from self._random(at, site, store[at])
        if self.spec.by_position:
            yield from self._map()
        yield self.update("done", to_the_end=True)

    def _collect(
        self, model: Any, which: Sequence[Site], store: Store, note: str
    ) -> Iterator[Update]:
        last = 0.0
        for share in collect(model, self.examples, which, store):
            words = f"{note}: {share:.0%}" + (f"; {store.note}" if store.note else "")
            yield self.update(words, share - last)
            last = share

    def _site(self, at: int, site: Site, X: Singles) -> Iterator[Update]:
        """Task and controls of all seeds at one site."""
        asked = [TASK, *self._controls()]
        tasks = [
            (curve, number, labels)
            for number in range(len(self.splits))
            for curve in asked
            if (labels := self._labels(curve, number)) is not None
        ]
        validation = np.full((len(self.splits), len(self.lambdas)), np.nan)  # [seed, lambda]
        groups = self._chunks(tasks, site.width)
        for chunk in groups:
            best, chosen, accuracy = yield from self._fit(X, chunk, f"probes at {site.label}",
                                                          1 / len(groups))  # fmt: skip
            for which, (curve, number, labels) in enumerate(chunk):
                test = self.splits[number].test  # [row]
                probe = best.take([which])
                if curve == TASK and number == 0 and self.spec.probe in LOOSE:
                    exact = self._exact(X, labels, self.splits[0], int(chosen[which]))
                    probe = yield from self._followed(exact, f"probe at {site.label}", 0.0)
                scores = predict(probe, X, test, listen=self.model.listen)[0]  # [row, output]
                right = (classes_of(scores[None])[0] == labels[test]).astype(np.float64)  # [row]
                self.found.read(curve, number, at, right, int(chosen[which]))
                if curve == TASK:
                    validation[number] = accuracy[which]
                    if number == 0:
                        self.found.show(at, probe, scores)
        self.found.validation[:, at] = validation.mean(axis=0)
        self.found.close(asked, at)
        if self.spec.codelength:
            yield from self._code(at, site, X, asked)
        yield self.update(f"site {site.label} done", 0)

    def _random(self, at: int, site: Site, X: Singles) -> Iterator[Update]:
        """The task alone, on activations of random weights."""
        tasks = [(RANDOM, number, self.label) for number in range(len(self.splits))]
        groups = self._chunks(tasks, site.width)
        for chunk in groups:
            best, chosen, _ = yield from self._fit(X, chunk, f"random weights at {site.label}",
                                                   0.4 / len(groups))  # fmt: skip
            for which, (curve, number, labels) in enumerate(chunk):
                right = self._right(best.take([which]), X, labels, self.splits[number].test)
                self.found.read(curve, number, at, right, int(chosen[which]))
        self.found.close([RANDOM], at)
        if self.spec.codelength:
            yield from self._code(at, site, X, [RANDOM])
        yield self.update(f"random weights at {site.label} done", 0)

    def _raw(self) -> list[Site]:
        """The raw embedding as a site of its own, where it is not one already."""
        hook = raw_hook(self.model)
        if hook in {site.hook for site in self.sites}:
            return []
        return sites(self.model, "", hook, ())

    def _raw_embedding(self, store: Store) -> Iterator[Update]:
        """The last baseline: a probe on the input without context."""
        names = [site.hook for site in self.sites]
        if (hook := raw_hook(self.model)) in names:
            self.found.baselines[2] = self.found.accuracy[TASK, :, names.index(hook)]
            return
        X = store[len(self.sites)]
        tasks = [(TASK, number, self.label) for number in range(len(self.splits))]
        groups = self._chunks(tasks, X.shape[1])
        for chunk in groups:
            best, _, _ = yield from self._fit(X, chunk, "raw embedding", 1 / len(groups))
            for which, (_, number, labels) in enumerate(chunk):
                right = self._right(best.take([which]), X, labels, self.splits[number].test)
                self.found.baselines[2, number] = right.mean()

    def _baselines(self) -> None:
        types = self.examples.types
        for number, parts in enumerate(self.splits):
            same = self.label, parts.train, parts.test
            self.found.baselines[0, number] = majority_accuracy(*same)
            self.found.baselines[1, number] = identity_accuracy(types, *same)

    def _code(self, at: int, site: Site, X: Singles, curves: Sequence[int]) -> Iterator[Update]:
        """The online code of the labels, of one shuffle, of one control task."""
        known = [(curve, self._labels(curve, 0)) for curve in curves]
        known = [(curve, labels) for curve, labels in known if labels is not None]
        chosen = int(self.found.chosen[known[0][0], 0, at])
        coding = codelength(
            X, np.stack([labels for _, labels in known]), self.examples.groups, self.n_classes,
            float(self.lambdas[chosen]), seed=self._seed(CODE, 0), listen=self.model.listen,
        )  # fmt: skip
        code = yield from self._followed(coding, f"code at {site.label}", 1.0)
        for which, (curve, _) in enumerate(known):
            self.found.codelength[curve, at] = code.online[which]
            self.found.compression[curve, at] = code.compression[which]
        self.found.uniform_bits = np.float64(code.uniform[0])

    def _map(self) -> Iterator[Update]:
        """A probe for each site and position, of the first seed's split."""
        examples, found = everywhere(self.examples), self.found
        counts = np.bincount(examples.where)[:MAP_POSITIONS]  # [pos]
        part = np.zeros(int(examples.groups.max()) + 1, np.int64)  # [group]: 0 train, 1, 2 test
        part[self.examples.groups[self.splits[0].validation]] = 1
        part[self.examples.groups[self.splits[0].test]] = 2
        parts = part[examples.groups]  # [row]
        positions = [int(at) for at in np.flatnonzero(counts >= MAP_FEWEST)
                     if self._can_be_mapped(examples, parts, int(at))]  # fmt: skip
        if not positions:
            found.warnings.append(
                f"no position has {MAP_FEWEST} examples and two classes: there is no map"
            )
            return
        found.positions, found.map_counts = np.array(positions), counts[positions]
        found.map = np.full((len(self.sites), len(positions)), np.nan)
        found.map_majority = np.array([
            majority_accuracy(examples.label, *(np.flatnonzero((examples.where == at)
                              & (parts == which)) for which in (0, 2)))
            for at in positions
        ])  # fmt: skip
        with Store(len(examples), [site.width for site in self.sites]) as store:
            found.spill_bytes = max(found.spill_bytes, store.spill_bytes)
            last = 0.0
            for share in collect(self.model, examples, self.sites, store):
                yield self.update(f"all positions are read: {share:.0%}", share - last)
                last = share
            for at, site in enumerate(self.sites):
                for col, position in enumerate(positions):
                    rows = np.flatnonzero(examples.where == position)  # [row]
                    accuracy = self._at_position(store[at][rows], examples.label[rows],
                                                 parts[rows])  # fmt: skip
                    found.map[at, col] = yield from self._followed(
                        accuracy, f"position {position} at {site.label}", 1 / len(positions)
                    )

    def _can_be_mapped(self, examples: Examples, parts: Ints, at: int) -> bool:
        here = examples.where == at
        return len(np.unique(examples.label[here & (parts == 0)])) > 1 and bool(
            (here & (parts == 2)).any()
        )

    def _at_position(self, X: Singles, label: Ints, parts: Ints) -> Generator[Any, None, float]:
        """Test accuracy of a probe of X [row, width], lambda chosen on the validation part."""
        fitted, problems = yield from self._fitted(X, label[None], (parts == 0)[None])
        chosen, _ = choose(fitted, X, problems, (parts == 1)[None], listen=self.model.listen)
        test = np.flatnonzero(parts == 2)  # [row]
        return float(self._right(fitted.take(chosen), X, label, test).mean())

    # --- pieces ----------------------------------------------------------------------------------

    def _fit(
        self, X: Singles, tasks: list[tuple[int, int, Ints]], note: str, weight: float
    ) -> Generator[Update, None, tuple[Fitted, Ints, Any]]:
        """The probe of each task at its best lambda; its index; validation [task, lambda]."""
        n = len(X)
        labels = np.stack([labels for *_, labels in tasks])  # [task, row]
        train = np.stack([self.splits[number].mask("train", n) for _, number, _ in tasks])
        fitting = self._fitted(X, labels, train)
        fitted, problems = yield from self._followed(fitting, note, weight)
        masks = [self.splits[number].mask("validation", n) for _, number, _ in tasks]
        at, accuracy = choose(fitted, X, problems, np.stack(masks), listen=self.model.listen)
        by_lambda = accuracy.reshape(len(tasks), len(self.lambdas))  # [task, lambda]
        return fitted.take(at), at % len(self.lambdas), by_lambda

    def _fitted(
        self, X: Singles, labels: Ints, train: npt.NDArray[np.bool_]
    ) -> Generator[Any, None, tuple[Fitted, Problems]]:
        """Probes of all tasks at all lambdas: labels and train [task, row]."""
        problems = Problems.crossed(labels, train, self.n_classes, self.lambdas)
        fitted = yield from fit(
            self.spec.probe, X, problems, k=min(self.spec.k, X.shape[1]),  # pyright: ignore[reportArgumentType]
            seed=self._seed(WEIGHTS, 1), tolerance=ENOUGH, listen=self.model.listen,
        )  # fmt: skip
        return fitted, problems

    def _exact(
        self, X: Singles, labels: Ints, split: Split, chosen: int
    ) -> Generator[Any, None, Fitted]:
        """The probe of one task at one lambda, fitted to the end."""
        problems = Problems.crossed(
            labels[None], split.mask("train", len(X))[None], self.n_classes,
            self.lambdas[chosen : chosen + 1],
        )  # fmt: skip
        fitted = yield from fit(
            self.spec.probe, X, problems, k=min(self.spec.k, X.shape[1]),  # pyright: ignore[reportArgumentType]
            seed=self._seed(WEIGHTS, 1), listen=self.model.listen,
        )  # fmt: skip
        return fitted

    def _followed(
        self, work: Generator[Any, None, Any], note: str, weight: float
    ) -> Generator[Update, None, Any]:
        """Run a solver; each sign of life is an update. What it returns comes back."""
        last = 0.0
        while True:
            try:
                progress = next(work)
            except StopIteration as end:
                self.done += weight * (1 - last)
                return end.value
            yield self.update(f"{note}: {progress.note}", weight * (progress.share - last))
            last = progress.share

    def _right(self, probe: Fitted, X: Singles, labels: Ints, rows: Ints) -> Any:
        """[row] 1.0 where the one probe reads these rows' labels right, else 0."""
        scores = predict(probe, X, rows, listen=self.model.listen)  # [1, row, output]
        return (classes_of(scores)[0] == labels[rows]).astype(np.float64)

    def _labels(self, curve: int, number: int) -> Ints | None:
        """Labels [row] of a curve in one seed; None where training rows would be of one class."""
        parts = self.splits[number]
        if curve == CONTROL:
            labels = control_labels(
                self.examples.types, self.label, self._seed(RANDOM_CONTROL, number)
            )
        elif curve == SHUFFLED:
            of_part = np.zeros(len(self.label), np.int64)  # [row]
            of_part[parts.validation], of_part[parts.test] = 1, 2
            labels = shuffled_labels(self.label, of_part, self._seed(SHUFFLE, number))
        else:
            labels = self.label
        return labels if len(np.unique(labels[parts.train])) > 1 else None

    def _controls(self) -> list[int]:
        wanted = ((CONTROL, self.spec.control_task), (SHUFFLED, self.spec.shuffled))
        return [curve for curve, asked in wanted if asked]

    def _chunks(
        self, tasks: list[tuple[int, int, Ints]], width: int
    ) -> list[list[tuple[int, int, Ints]]]:
        """Tasks in groups whose probes fit in memory together; most often one group."""
        rows = 1 if self.n_classes == 2 else self.n_classes
        one = len(self.lambdas) * rows * max(width, len(self.examples))
        most = max(1, TOGETHER // one)
        return [tasks[first : first + most] for first in range(0, len(tasks), most)]

    def _split(self, number: int) -> Split:
        return split(self.examples.groups, self._seed(SPLIT, number), labels=self.label,
                     class_names=self.examples.classes)  # fmt: skip

    def _seed(self, what: int, number: int) -> int:
        """A seed of its own for each use of chance."""
        made = np.random.SeedSequence([self.spec.seed, what, number])
        return int(made.generate_state(1)[0])

    def update(self, note: str, more: float = 0.0, to_the_end: bool = False) -> Update:
        """The next update, in thousandths of all phases."""
        self.done += more
        total = 1000
        here = total if to_the_end else min(total - 1, int(total * self.done / self.total))
        self.step = max(self.step + 1, here)
        return Update(self.step, max(total, self.step), self.found.result, self._metrics(), note)

    def _metrics(self) -> dict[str, float]:
        """The best validation accuracy so far: what may be looked at while it runs."""
        best = self.found.best_site
        if best < 0:
            return {}
        return {"best validation accuracy": float(np.nanmax(self.found.validation[:, best]))}


def everywhere(examples: Examples) -> Examples:
    """The same texts read at every position, where a text's label holds at all of them."""
    if not examples.by_text:
        return examples
    first = np.unique(examples.text, return_index=True)[1]  # [text]
    text, where = [], []
    for at in first:
        own = examples.texts[examples.text[at]]
        places = np.arange(own.start, len(own.ids))  # [pos]
        text.append(np.full(len(places), at))
        where.append(places)
    rows, places = np.concatenate(text), np.concatenate(where)  # [row] each
    if (places == MEAN).any():
        raise RunError("a mean has no position")
    return replace(
        examples, label=examples.label[rows], text=examples.text[rows], where=places,
        types=examples.types[rows], groups=examples.groups[rows],
    )  # fmt: skip

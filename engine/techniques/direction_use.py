"""DirectionUse: is what can be read along a direction also used? Existence against use.

The direction is taken out of the activation (its component is set to 0), or added to it, at every
position of every text; measured is what the output makes of it, on texts that no probe was trained
on: the KL divergence of the next-token distribution from the plain run's and the probability of
chosen tokens where the label stands, and the loss on the text. Beside it the same for random
directions: isotropic ones, and ones drawn from the covariance of the activations themselves, which
is the harder null: the stream varies along them as it does in earnest. And beside that what a probe
still reads afterwards, here and in the last layer (Elazar et al. 2021, arXiv:2006.00995;
Ravichander et al. 2021, arXiv:2005.00719).

What would fool you: taking out a direction of large variance hurts whatever it means, hence the
second null. A label that is used may be written along several directions, so that one of them is
not missed. And a probe trained anew often finds the label again: the direction was one of many.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.model.interventions import Intervention
from engine.probes.collecting import Store, collect
from engine.probes.directions import read, unit
from engine.probes.examples import BUILT_IN, READS, gather
from engine.probes.fitting import Fitted, Kind, Problems, classes_of, fit, predict
from engine.probes.layer_result import class_direction
from engine.probes.sites import SITES, Site, one_site
from engine.probes.splitting import split
from engine.probes.using import Change, Effects, Measured
from engine.refs import Ref
from engine.technique import RunError, SpecError, Technique, Update, array, bos_param, param

__all__ = ["DirectionUse", "DirectionUseResult"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

NULL_NAMES = ("like the activations", "isotropic")
PLACES = ("here", "last layer")
CONDITIONS = ("before", "after", "after a random one")
BOUNDS = (0.025, 0.975)
MIDDLE = -2  # a layer by its place
SHARES = (0.6, 0.2, 0.2)  # of groups: the first trains probes, the others are measured
PENALTY = 0.01  # of the probes
_TOTAL, _NULLS = 1000, 21  # updates' steps; a stream of random numbers


@dataclass(frozen=True)
class DirectionUseResult:
    """What a change along a direction does to the output, beside random ones. NaN = not yet."""

    hook: str = array("", "where the direction lies")
    how: str = array("", "ablate: its component is set to 0; steer: a multiple is added")
    length: float = array("", "what is added along the unit vector; 0 for ablate")
    direction: Floats = array("width", "the unit vector")
    label: str = array("", "the class that it points to; empty where it came as numbers")
    column: str = array("", "which label the probes read")
    data_name: str = array("", "where the texts and labels come from")
    classes: tuple[str, ...] = array("class", "the labels")
    n_texts: int = array("", "texts that were read")
    n_predicted: int = array("", "next-token predictions that the loss is a mean over")
    n_read: int = array("", "places that KL and probabilities are means over: those with a label")
    kl: float = array("", "mean KL(plain || changed) of the output there, in nats")
    loss_base: float = array("", "loss of the plain run, in nats per token")
    loss: float = array("", "loss with the direction changed, in nats per token")
    null_names: tuple[str, ...] = array("null", "how random directions are drawn")
    null_kl: Floats = array("null draw", "the same KL for random directions")
    null_loss: Floats = array("null draw", "the same loss for random directions")
    kl_band: Floats = array("null bound", "2.5 % and 97.5 % of the random directions' KL")
    loss_band: Floats = array("null bound", "the same of their loss")
    kl_rank: Floats = array("null", "share of random directions with a smaller KL")
    watched: Ints = array("watch", "token ids whose probability is followed")
    watched_base: Floats = array("watch", "mean probability in the plain run")
    watched_changed: Floats = array("watch", "mean probability with the direction changed")
    watched_band: Floats = array("null bound watch", "2.5 % and 97.5 % of the random directions'")
    variance: float = array("", "of the activations along the direction, as a share of all")
    null_variance: Floats = array("null draw", "the same along the random ones")
    accuracy_places: tuple[str, ...] = array("place", "where a probe is trained anew")
    accuracy_conditions: tuple[str, ...] = array("condition", "under what")
    accuracy: Floats = array("place condition", "held-out accuracy of a probe trained there anew")
    majority: float = array("", "accuracy of saying the most frequent class")
    own_accuracy: Floats = array("side", "the given direction's own: before, after (a threshold)")
    warnings: tuple[str, ...] = array("warning", "what was left out of the data, in sentences")


@dataclass(frozen=True, kw_only=True)
class DirectionUse(Technique):
    """Take a direction out of the model or add it, and measure what the output makes of it."""

    Result: ClassVar[type] = DirectionUseResult
    title: ClassVar[str] = "Use of a direction"
    summary: ClassVar[str] = "Whether what a probe reads is used: effects beside random directions"
    needs: ClassVar[tuple[str, ...]] = ("forward",)
    quick: ClassVar[Mapping[str, Any]] = {"n_examples": 100, "random_directions": 5}

    direction: Ref | tuple[float, ...] = param(
        (), "a kept direction, or its numbers; empty: a probe's, trained on other texts",
        role="direction",
    )  # fmt: skip
    site: str = param("resid_post", "which activation", choices=tuple(SITES))
    hook: str = param("", "another one by its hook name; then site and layer are not asked",
                      advanced=True)  # fmt: skip
    layer: int = param(-2, "which layer; -1 is the embedding, -2 the middle one", low=-2)
    data: Ref | None = param(
        None, "labelled texts (CSV, TSV, JSONL); none: texts of the little world",
        role="labelled text",
    )  # fmt: skip
    column: str = param(
        "label", "which label: a column of the data, or one of the little world's "
        f"({', '.join(BUILT_IN)}); label: the data's own",
    )  # fmt: skip
    probe: str = param(
        "mass_mean", "whose direction, where none is given: the difference of the class means, or "
        "a logistic probe's", choices=("mass_mean", "logistic"),
    )  # fmt: skip
    label: str = param("", "the class whose direction it is; empty: the most frequent")
    read: str = param(
        "auto", "what is read of a text: every labelled token, its last token, one position, the "
        "mean of all; auto: every token where tokens have labels, else the last",
        choices=READS,
    )  # fmt: skip
    position: int = param(-1, "which token, where one position is read; -1 is the last", low=-4096)
    how: str = param("ablate", "take its component out, or add to it", choices=("ablate", "steer"))
    factor: float = param(
        2.0, "how far to steer, in standard deviations of the activations along the direction",
        low=-100.0, high=100.0,
    )  # fmt: skip
    watch: tuple[str | int, ...] = param((), "tokens whose probability to follow")
    n_examples: int = param(600, "labelled examples that are read", low=20, high=20_000)
    random_directions: int = param(20, "random directions of each kind", low=5, high=200)
    seed: int = param(0, "of the choice of examples and of the random directions", low=0,
                      role="seed")  # fmt: skip
    bos: str = bos_param()

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        yield from _Use(self, model).steps()


class _Use:
    """One run: the direction, its rivals, and what each of them does to the output."""

    def __init__(self, spec: DirectionUse, model: Any) -> None:
        self.spec, self.model = spec, model
        layer = model.config.n_layers // 2 if spec.layer == MIDDLE else spec.layer
        self.site = one_site(model, spec.site, spec.hook, layer)
        axes = model.hooks()[self.site.hook].split()
        if {"head", "kv_head"} & set(axes):
            raise SpecError("site", f"{self.site.hook} has a direction for each head: choose a "
                            "stream or an MLP's activation")  # fmt: skip
        self.examples = gather(spec, model)
        classes = self.examples.classes
        if spec.label and spec.label not in classes:
            raise SpecError("label", f"{spec.label!r} is none of {', '.join(classes[:20])}")
        counts = np.bincount(self.examples.label)
        self.which = classes.index(spec.label) if spec.label else int(counts.argmax())
        parts = split(self.examples.groups, spec.seed, SHARES, labels=self.examples.label,
                      class_names=classes)  # fmt: skip
        self.train = parts.train  # [row]
        self.held_out = np.sort(np.concatenate([parts.validation, parts.test]))  # [row]
        self.watched = np.array([model.token(token) for token in spec.watch], np.int64)  # [watch]
        self.label = "" if spec.direction else classes[self.which]
        n_null, draws = len(NULL_NAMES), spec.random_directions
        self.direction = np.full(self.site.width, np.nan)  # [width]
        self.length = 0.0
        self.variance, self.null_variance = np.nan, np.full((n_null, draws), np.nan)
        self.accuracy = np.full((len(PLACES), len(CONDITIONS)), np.nan)
        self.own = np.full(2, np.nan)  # before, after
        self.effects: Effects | None = None
        train, held = self.examples.label[self.train], self.examples.label[self.held_out]
        self.majority = float((held == np.bincount(train).argmax()).mean())
        self.step = 0

    def steps(self) -> Iterator[Update]:
        """The direction, then the output, text by text, then what a probe still reads."""
        places = [self.site, *self._last()]
        yield self.update(f"{len(self.examples):,} examples", 0)
        with Store(len(self.examples), [site.width for site in places]) as store:
            before = yield from self._probes(self.model, places, store, 0)
            X = store[0][self.train].astype(np.float64)  # [row, width]
            if self.spec.probe == "mass_mean" and not self.spec.direction:
                before = yield from self._fit("mass_mean", store[0], 0.08)
            self.direction = self._chosen(before)
            X -= X.mean(axis=0)
            total = float((X**2).sum())
            if total == 0:
                raise RunError(f"{self.site.hook} is the same for all examples: nothing varies")
            nulls = self._nulls(X)  # [null, draw, width]
            spread = float(np.sqrt(((X @ self.direction) ** 2).mean()))
            self.length = self.spec.factor * spread if self.spec.how == "steer" else 0.0
            if self.spec.how == "steer" and self.length == 0:
                raise SpecError("factor", "to steer by 0 changes nothing: give a factor")
            self.variance = float(((X @ self.direction) ** 2).sum()) / total
            self.null_variance = ((nulls @ X.T) ** 2).sum(axis=-1) / total  # [null, draw]
            threshold = self._threshold(store[0])
            self.own[0] = self._own(store[0], threshold)
            rivals = Change(self.site.hook, nulls.reshape(-1, X.shape[1]), self.length)
            view = self._view(self.direction)
            self.effects = Effects(
                self.model, view, rivals, self.examples, self.held_out, self.watched
            )
            for share in self.effects.steps():
                yield self.update(f"outputs are compared: {share:.0%}", 0.1 + 0.7 * share)
            yield from self._probes(view, places, store, 1)
            self.own[1] = self._own(store[0], threshold)
            yield from self._probes(self._view(nulls[0, 0]), places, store, 2)
        yield self.update("done", 1.0)

    def _last(self) -> list[Site]:
        """The last layer, where it is another place."""
        last = one_site(self.model, "resid_post", "", self.model.config.n_layers - 1)
        return [] if last.hook == self.site.hook else [last]

    def _probes(
        self, model: Any, places: list[Site], store: Store, condition: int
    ) -> Generator[Update, Any, Fitted]:
        """Probes trained anew on what `model` holds at the places; fills `accuracy`."""
        start = (0.0, 0.8, 0.9)[condition]
        for share in collect(model, self.examples, places, store):
            yield self.update(f"texts are read: {share:.0%}", start + 0.05 * share)
        made = []
        for at in range(len(places)):
            fitted = yield from self._fit("logistic", store[at], start + 0.05)
            said = classes_of(predict(fitted, store[at], self.held_out))[0]  # [row]
            self.accuracy[at, condition] = (said == self.examples.label[self.held_out]).mean()
            made.append(fitted)
        if len(places) == 1:  # the last layer is here
            self.accuracy[1, condition] = self.accuracy[0, condition]
        return made[0]

    def _fit(self, kind: Kind, X: Any, share: float) -> Generator[Update, Any, Fitted]:
        """A probe of all classes on the training rows of X [row, width]."""
        train = np.zeros((1, len(X)), bool)  # [task, row]
        train[0, self.train] = True
        n_classes = len(self.examples.classes)
        problems = Problems.crossed(self.examples.label[None], train, n_classes, [PENALTY])
        fitting = fit(kind, X, problems, listen=self.model.listen)
        while True:
            try:
                progress = next(fitting)
            except StopIteration as end:
                return end.value
            yield self.update(f"probes: {progress.note}", share)

    def _chosen(self, probe: Fitted) -> Floats:
        """The unit vector [width] that is asked for, or the probe's."""
        given = self.spec.direction
        if isinstance(given, Ref):
            vector, about = read(given, self.model.listen)
            self.label = "" if about is None else about.label
        else:
            vector = np.array(given) if given else class_direction(probe.weights[0], self.which)
        if len(vector) != self.site.width:
            raise SpecError(
                "direction",
                f"it has {len(vector)} numbers, and {self.site.hook} is {self.site.width} wide: "
                "choose the place that it comes from",
            )
        return unit(vector)

    def _nulls(self, X: Floats) -> Floats:
        """Random unit vectors [null, draw, width]: with the covariance of X [row, width], without.

        A row of normal numbers times X has the covariance of its columns.
        """
        rng, draws = np.random.default_rng([self.spec.seed, _NULLS]), self.spec.random_directions
        made = np.stack([
            rng.standard_normal((draws, len(X))) @ X, rng.standard_normal((draws, X.shape[1])),
        ])  # fmt: skip
        return made / np.linalg.norm(made, axis=-1, keepdims=True)

    def _view(self, direction: Floats) -> Any:
        """The model with this direction taken out or added, beside what is in force already."""
        action = "zero" if self.spec.how == "ablate" else "steer"
        entry = Intervention(self.site.hook, action, self.length, direction=tuple(direction))
        there = [one.entry for one in self.model.fired()]
        return self.model.under([*there, entry], self.model.watch)

    def _threshold(self, X: Floats) -> float:
        """Where the direction parts its class from the others best, on the training rows."""
        along = X[self.train] @ self.direction  # [row]
        order = np.argsort(along, kind="stable")
        inside = self.examples.label[self.train][order] == self.which  # [row], ascending
        right = np.cumsum(~inside)[:-1] + inside.sum() - np.cumsum(inside)[:-1]  # cut after each
        if not len(right):
            return 0.0
        cut = int(right.argmax())
        return float(along[order[cut : cut + 2]].mean())

    def _own(self, X: Floats, threshold: float) -> float:
        """Share of held-out rows that lie on the right side, class against the others."""
        above = X[self.held_out] @ self.direction > threshold  # [row]
        return float((above == (self.examples.label[self.held_out] == self.which)).mean())

    def update(self, note: str, share: float) -> Update:
        """The next update, in thousandths of all work."""
        self.step = max(self.step + 1, int(share * _TOTAL))
        return Update(self.step, max(self.step, _TOTAL), self.result, note=note)

    def result(self) -> DirectionUseResult:
        """All that is known, as fresh arrays."""
        draws, n_null = self.spec.random_directions, len(NULL_NAMES)
        known = Measured.unknown(1 + n_null * draws, len(self.watched))
        measured = known if self.effects is None else self.effects.measured()
        shape = (n_null, draws)
        null_kl, null_loss = measured.kl[1:].reshape(shape), measured.loss[1:].reshape(shape)
        null_watched = measured.watched[1:].reshape(*shape, -1)  # [null, draw, watch]
        rank = (
            (null_kl < measured.kl[0]).mean(axis=1) if measured.n_read else np.full(n_null, np.nan)
        )
        return DirectionUseResult(
            hook=self.site.hook, how=self.spec.how, length=np.float64(self.length),
            direction=self.direction.copy(), label=self.label, column=self.examples.column,
            data_name=self.examples.data_name, classes=self.examples.classes,
            n_texts=measured.n_texts, n_predicted=measured.n_predicted, n_read=measured.n_read,
            kl=measured.kl[0], loss_base=np.float64(measured.loss_base), loss=measured.loss[0],
            null_names=NULL_NAMES, null_kl=null_kl, null_loss=null_loss,
            kl_band=_band(null_kl), loss_band=_band(null_loss),
            kl_rank=rank,
            watched=self.watched.copy(), watched_base=measured.watched_base,
            watched_changed=measured.watched[0].copy(),
            watched_band=_band(null_watched), variance=np.float64(self.variance),
            null_variance=self.null_variance.copy(), accuracy_places=PLACES,
            accuracy_conditions=CONDITIONS, accuracy=self.accuracy.copy(),
            majority=np.float64(self.majority), own_accuracy=self.own.copy(),
            warnings=self.examples.warnings,
        )  # fmt: skip


def _band(values: Floats) -> Floats:
    """values [null, draw, ...] -> [null, bound, ...]: 2.5 % and 97.5 % over draws."""
    return np.stack([np.quantile(values, bound, axis=1) for bound in BOUNDS], axis=1)

"""ActivationPatching: which activations carry the difference between two prompts?

Run the corrupted prompt with one activation taken from the clean one ("denoising": is it enough to
restore the answer?), or the clean prompt with one taken from the corrupted ("noising": is it
needed?), and measure the answer. One cell per place: layer x position for the residual stream and
the outputs of attention and MLP, layer x head for head outputs z.
Meng et al. 2022 (arXiv:2202.05262), Wang et al. 2022 (arXiv:2211.00593); grids as in
TransformerLens' `patching`. Computed exactly: the base run resumed above and right of each patch.

What would fool you: a patch shows what is *sufficient* (or necessary) in this pair of prompts, not
the whole circuit; backup heads hide in noising; a small clean-corrupted difference makes recovery
explode, so both metrics are in the result; a corrupted prompt that differs in more than the point
of interest moves more than that.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.model.ops import log_softmax
from engine.model.resume import Patch, base_names, resume_in_groups
from engine.technique import RunError, SpecError, Technique, Update, array, bos_param, param

Floats = npt.NDArray[np.floating]
Ids = npt.NDArray[np.integer]

SITES = {
    "resid_pre": "hook_resid_pre",
    "attn_out": "hook_attn_out",
    "mlp_out": "hook_mlp_out",
    "resid_mid": "hook_resid_mid",
    "z": "attn.hook_z",
}
TOO_CLOSE = 1e-6  # recovery divides by the clean-corrupted difference; nats, relative


@dataclass(frozen=True)
class ActivationPatchingResult:
    """The grid and what it is measured against. Cells not computed yet hold NaN."""

    clean_tokens: Ids = array("pos", "the exact token ids of the clean prompt")
    corrupted_tokens: Ids = array("pos", "the exact token ids of the corrupted prompt")
    value: Floats = array("layer place", "the metric with this place patched; place = position, or "
                          "head for component z")  # fmt: skip
    clean_metric: float = array("", "logit difference, probability or KL of the clean run; for "
                                 "recovery its logit difference")  # fmt: skip
    corrupted_metric: float = array("", "the same of the corrupted run")
    answer_id: int = array("", "token id of the right answer")
    wrong_id: int = array("", "token id of the wrong answer, -1 where the metric has none")


def largest(value: Floats, neutral: float) -> tuple[int, int] | None:
    """(layer, place) of the cell [layer, place] farthest from `neutral`; None if none is known."""
    if not np.isfinite(value).any():
        return None
    distance = np.where(np.isfinite(value), np.abs(value - neutral), -1.0)  # [layer, place]
    layer, place = np.unravel_index(int(distance.argmax()), distance.shape)
    return int(layer), int(place)


def carriers(value: Floats, at_least: float = 0.5) -> Ids:
    """The place that carries most in each layer [layer], -1 where none reaches `at_least`."""
    known = np.where(np.isfinite(value), value, -np.inf)  # [layer, place]
    best = known.argmax(axis=1)  # [layer]
    return np.where(known.max(axis=1) >= at_least, best, -1)


@dataclass(frozen=True, kw_only=True)
class ActivationPatching(Technique):
    """Patch each place of one run into the other and measure the answer."""

    Result: ClassVar[type] = ActivationPatchingResult
    title: ClassVar[str] = "Activation patching"
    summary: ClassVar[str] = "Which places carry what decides the answer"
    needs: ClassVar[tuple[str, ...]] = ("forward", "resume")

    clean: str | tuple[int, ...] = param((), "the clean prompt: text, or token ids", role="clean")
    corrupted: str | tuple[int, ...] = param(
        (), "the corrupted prompt, of equally many tokens", role="corrupted"
    )
    answer: str | int | None = param(
        None, "right answer, one token; default: the clean run's own prediction", role="answer"
    )
    wrong: str | int | None = param(
        None, "wrong answer, one token; default: the corrupted run's prediction", role="wrong"
    )
    component: str = param(
        "resid_pre", "what is patched: the residual stream before a block, the output of attention "
        "or MLP, the stream between them (all by position), or each head's output z",
        choices=tuple(SITES),
    )  # fmt: skip
    metric: str = param(
        "recovery", "recovery: logit difference scaled so that corrupted = 0 and clean = 1; "
        "logit_diff: answer minus wrong, in nats; probability of the answer; kl: KL(source run's "
        "prediction || patched), in nats",
        choices=("recovery", "logit_diff", "probability", "kl"),
    )  # fmt: skip
    direction: str = param(
        "denoise", "denoise: clean activations into the corrupted run; noise: the other way round",
        choices=("denoise", "noise"),
    )  # fmt: skip
    position: int = param(
        -1, "where the answer is read: a position, negative from the end", low=-1e6, high=1e6,
        advanced=True,
    )  # fmt: skip
    bos: str = bos_param()

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        setting = _Setting.of(self, model)
        cfg, n = model.config, len(setting.clean_ids)
        n_places = cfg.n_heads if self.component == "z" else n
        value = np.full((cfg.n_layers, n_places), np.nan)  # [layer, place]
        cells = [(layer, place) for layer in reversed(range(cfg.n_layers))
                 for place in range(n_places)]  # fmt: skip
        variants = [setting.patch(self.component, layer, place) for layer, place in cells]
        done = 0

        def result() -> ActivationPatchingResult:
            return setting.result(value)

        groups = resume_in_groups(
            model, setting.base, variants, position=setting.position, columns=setting.columns
        )
        for which, logits in groups:
            measured = setting.measure(logits)  # [variant]
            if not np.isfinite(measured).all():
                raise RunError(f"{self.metric} is not finite in layer {cells[which[0]][0]}")
            for index, number in zip(which, measured, strict=True):
                value[cells[index]] = number
            done += len(which)
            note = f"layer {cells[which[-1]][0]}"
            yield Update(done, len(cells), result, note=note)


@dataclass(eq=False)
class _Setting:
    """Both runs of one pair and how the answer is measured."""

    spec: ActivationPatching
    clean_ids: Ids
    corrupted_ids: Ids
    position: int
    answer: int
    wrong: int
    base: Any
    source: Any
    columns: Ids | None
    clean_logits: Floats
    corrupted_logits: Floats

    @staticmethod
    def of(spec: ActivationPatching, model: Any) -> _Setting:
        site = SITES[spec.component]
        if f"blocks.0.{site}" not in model.hooks():
            raise SpecError(
                "component", f"{model.name} has no {spec.component} (no such activation)"
            )
        clean, corrupted = (
            model.tokens(prompt, spec.bos) for prompt in (spec.clean, spec.corrupted)
        )
        _same_length(model, clean, corrupted)
        n = len(clean)
        if not -n <= spec.position < n:
            raise SpecError("position", f"{spec.position} is outside this prompt of {n} tokens")
        position = range(n)[spec.position]
        into, out_of = (corrupted, clean) if spec.direction == "denoise" else (clean, corrupted)
        last = f"blocks.{model.config.n_layers - 1}.hook_resid_post"
        names = {f"blocks.{layer}.{site}" for layer in range(model.config.n_layers)}
        names |= {*base_names(model, (site,)), last}
        both = model.forward(np.stack([into, out_of]), names=names, logits="none")
        base, source = both.example(0), both.example(1)
        runs = (source, base) if spec.direction == "denoise" else (base, source)
        rows = np.concatenate([run.cache[last][:, position] for run in runs])  # [2, d_model]
        clean_logits, corrupted_logits = model.unembed(rows)  # [d_vocab] each
        answer, wrong = _answers(spec, model, clean_logits, corrupted_logits)
        columns = np.array([answer, wrong]) if spec.metric in ("recovery", "logit_diff") else None
        setting = _Setting(
            spec, clean, corrupted, position, answer, wrong, base, source, columns,
            clean_logits, corrupted_logits,
        )  # fmt: skip
        setting.refuse_equal()
        return setting

    def patch(self, component: str, layer: int, place: int) -> list[Patch]:
        """The activation of one cell, from the source run."""
        name = f"blocks.{layer}.{SITES[component]}"
        value = self.source.cache[name][0]  # [pos, d_model] or [pos, head, d_head]
        if component == "z":
            return [Patch(name, np.arange(len(value)), value[:, place], place)]
        return [Patch(name, np.array([place]), value[place : place + 1])]

    def raw(self, logits: Floats) -> Floats:
        """Logit difference, probability or KL of whole logits [variant, d_vocab] -> [variant]."""
        logits = logits.astype(np.float64)
        if self.spec.metric == "probability":
            return np.exp(log_softmax(logits)[:, self.answer])
        if self.spec.metric == "kl":
            denoise = self.spec.direction == "denoise"
            source = self.clean_logits if denoise else self.corrupted_logits
            logp = log_softmax(source[None].astype(np.float64))  # [1, d_vocab]
            return np.maximum((np.exp(logp) * (logp - log_softmax(logits))).sum(-1), 0.0)
        return logits[:, self.answer] - logits[:, self.wrong]

    @property
    def ends(self) -> tuple[float, float]:
        """The metric of the clean and of the corrupted run."""
        both = self.raw(np.stack([self.clean_logits, self.corrupted_logits]))  # [2]
        return float(both[0]), float(both[1])

    def measure(self, logits: Floats) -> Floats:
        """The metric of resumed logits [variant, d_vocab], or [variant, 2] where two will do."""
        if self.columns is None:
            return self.raw(logits)
        difference = logits[:, 0].astype(np.float64) - logits[:, 1]  # [variant]
        if self.spec.metric == "logit_diff":
            return difference
        clean, corrupted = self.ends
        return (difference - corrupted) / (clean - corrupted)

    def refuse_equal(self) -> None:
        clean, corrupted = self.ends
        if abs(clean - corrupted) > TOO_CLOSE * max(1.0, abs(clean), abs(corrupted)):
            return
        what = {"kl": "the prediction", "probability": "the answer's probability"}.get(
            self.spec.metric, "the logit difference"
        )
        raise RunError(
            f"{what} is the same in both runs ({clean:.4g}), so no patch can move it: choose "
            "prompts or answers on which the model differs"
        )

    def result(self, value: Floats) -> ActivationPatchingResult:
        clean, corrupted = self.ends
        has_wrong = self.spec.metric in ("recovery", "logit_diff")
        return ActivationPatchingResult(
            clean_tokens=self.clean_ids,
            corrupted_tokens=self.corrupted_ids,
            value=value.copy(),
            clean_metric=clean,
            corrupted_metric=corrupted,
            answer_id=self.answer,
            wrong_id=self.wrong if has_wrong else -1,
        )


def _answers(
    spec: ActivationPatching, model: Any, clean: Floats, corrupted: Floats
) -> tuple[int, int]:
    """The two answers; by default what each run itself predicts."""
    given = [None if value in (None, "") else value for value in (spec.answer, spec.wrong)]
    answer = int(clean.argmax()) if given[0] is None else model.token(given[0])
    wrong = int(corrupted.argmax()) if given[1] is None else model.token(given[1])
    if answer == wrong and spec.metric in ("recovery", "logit_diff"):
        which = model.pieces([answer])[0]
        how = "choose another wrong answer" if given[1] is not None else "name a wrong answer"
        raise RunError(
            f"answer and wrong answer are the same token {which!r} (id {answer}), so their logit "
            f"difference is 0: {how}"
        )
    return answer, wrong


def _same_length(model: Any, clean: Ids, corrupted: Ids) -> None:
    """RunError that shows where prompts of unequal length part."""
    if len(clean) == len(corrupted):
        return
    shared = min(len(clean), len(corrupted))
    differ = np.flatnonzero(clean[:shared] != corrupted[:shared])
    at = int(differ[0]) if len(differ) else shared
    here = [repr(model.pieces(ids[at : at + 1])[0]) if at < len(ids) else "its end"
            for ids in (clean, corrupted)]  # fmt: skip
    raise RunError(
        f"the clean prompt has {len(clean)} tokens and the corrupted {len(corrupted)}; they must "
        f"be equally many. They part at position {at}: {here[0]} against {here[1]}"
    )

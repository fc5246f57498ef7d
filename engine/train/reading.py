"""What a training says, in words and numbers; every one is computed from its curves and scores.

Functions of a `TrainTransformerResult`. `at` is the index of a checkpoint, None = the state now: a
sentence about a checkpoint knows nothing of what came later.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from engine.train import cycle, fourier, phases
from engine.train.matches import Match, best_match
from engine.train.phases import ROLE, Phase, phases_of

__all__ = ["Phase", "Role", "details", "phases_of", "roles", "sentence"]

_HALF = 0.5  # of the loss of knowing nothing: below it, the repetition is used
_SOME = 0.2  # attention from which on a head has begun to do something
_OVERFIT = 1.03  # times the best held-out loss: more is no noise
_LISTED = 4  # heads that are named one by one
_FIRST_RECORDS = 2
_MOST = 0.9  # of what context is worth
_ENOUGH = 8  # records: of fewer, no step is told at which something was reached

_LETTERS = {"previous": "P", "duplicate": "D", "induction": "I", "answer": "A"}
_ATTENDS = {
    "previous": "the token before", "duplicate": "the same token before",
    "induction": "the token after the match", "answer": "the number to write next",
}  # fmt: skip


@dataclass(frozen=True)
class Role:
    """What a head does: the score that says so, in a word and a letter, and its value."""

    name: str
    word: str
    letter: str
    score: float


def roles(result: Any, at: int | None = None) -> dict[tuple[int, int], Role]:
    """(layer, head) -> its role: its highest score, if that is at least 0.4 (ARENA's threshold)."""
    scores = np.asarray(result.scores)  # [score, record, layer, head]
    if not scores.size:
        return {}
    now = np.nan_to_num(scores[:, _record(result, at)], nan=-1.0)  # [score, layer, head]
    best = now.argmax(axis=0)  # [layer, head]
    found = {}
    for layer, head in np.argwhere(now.max(axis=0) >= ROLE).tolist():
        name: str = result.score_names[best[layer, head]]
        letter = _LETTERS.get(name, name[:1].upper())
        found[layer, head] = Role(name, name, letter, float(now[best[layer, head], layer, head]))
    return found


def sentence(result: Any, at: int | None = None) -> str:
    """What is seen, in one sentence."""
    seen = _until(result, at)
    if (lost := _diverged(seen)) is not None:
        return lost
    if len(seen.history_step) < _FIRST_RECORDS:
        return f"Before the first step: {_fresh(seen)}."
    tell = {
        "induction": _induction, "addition": _addition, "sorting": _sorting, "text": _text,
        "cycle": cycle.told,
    }  # fmt: skip
    return tell[seen.task](seen)


def details(result: Any, at: int | None = None) -> str:
    """The second line: figures behind the sentence; "" where there is nothing to add."""
    seen = _until(result, at)
    if not len(seen.history_step) or _diverged(seen) is not None:
        return ""
    more = {
        "induction": _more_induction, "addition": _more_addition, "sorting": _more_sorting,
        "text": _more_text, "cycle": cycle.more,
    }  # fmt: skip
    return " ".join(more[seen.task](seen))


# --- induction ---------------------------------------------------------------------------------


def _induction(seen: Any) -> str:
    loss, best = _now(seen, "second_half"), phases.best_head(seen, "induction")
    score, null = (best[2] if best else float("nan")), _null(seen, "induction")
    low = loss < _HALF * seen.chance_loss
    fall = phases.formation(seen)
    when = "" if fall is None else f" at steps {fall.first:,} to {fall.last:,}"
    if low and best is not None and score >= ROLE:
        begun = f"Induction forms{when}" if when else "Induction heads are there"
        return f"{begun}; {_looks(seen, best, 'induction')}."
    weak = f"(best {score:.2f}, uniform {null:.2f})"
    if low:
        other = _now(seen, "other_period")
        if score < _SOME and other > _HALF * seen.chance_loss:
            why = "with a fixed period position is enough"
        elif score < _SOME:
            why = "something else is enough"
        else:
            why = "several share it, or it is not sharp yet"
        if score < _SOME:
            return f"The loss falls{when}, but no head looks for a match {weak}: {why}."
        return f"The loss falls{when}, yet no head looks for the match alone {weak}: {why}."
    if best is not None and score >= _SOME:
        return (
            f"Induction is forming: head {best[0]}.{best[1]} puts {score:.2f} of its attention on "
            f"the token after the match (uniform {null:.2f}), and the loss is {loss:.2f}."
        )
    return (
        f"No induction yet: in the second copy the loss is {loss:.2f}, knowing nothing gives "
        f"{seen.chance_loss:.2f}, and no head looks for a match {weak}."
    )


def _more_induction(seen: Any) -> list[str]:
    first, second = _now(seen, "first_half"), _now(seen, "second_half")
    lines = [
        f"Held-out loss {second:.2f} in the second half, {first:.2f} in the first, where nothing "
        f"can be known (chance {seen.chance_loss:.2f}); {_percent(_now(seen, 'accuracy'))} right."
    ]
    if np.isfinite(other := _now(seen, "other_period")):
        lines.append(f"On blocks of another length the loss is {other:.2f}.")
    sharp = phases.sharpening(seen, "previous")
    previous = phases.best_head(seen, "previous")
    if sharp is not None:
        layer, head, span = sharp
        lines.append(
            f"Head {layer}.{head} learns the previous token, fastest at steps {span.first:,} to "
            f"{span.last:,} (now {_score(seen, 'previous', layer, head):.2f})."
        )
    elif previous is not None and previous[2] >= _SOME:
        lines.append(
            f"Head {previous[0]}.{previous[1]} puts {previous[2]:.2f} of its attention on the "
            "token before."
        )
    lines += _shared(seen, "induction")
    if np.asarray(seen.scores).shape[2] == 1 and second > _HALF * seen.chance_loss:
        lines.append("With one layer no head can use what another has found.")
    return lines


# --- addition ----------------------------------------------------------------------------------


def _addition(seen: Any) -> str:
    train, test = _now(seen, "train_accuracy"), _now(seen, "test_accuracy")
    learnt, told = phases.memorised_at(seen), phases.generalised_at(seen)
    if learnt is None:
        return (
            f"Learning by heart: {_percent(train)} of the training pairs are right, "
            f"{_percent(test)} of the held-out ones."
        )
    if told is None:
        right = f"have been right since step {learnt:,}"
        if train < phases.ALL:
            right = f"were right by step {learnt:,} (now {_percent(train)})"
        rest = "most of the rule is there" if test >= phases.TOLD - 0.1 else "no rule yet"
        return f"All training pairs {right}, held-out {_percent(test)}: known by heart, {rest}."
    if told <= learnt:
        return (
            f"Learnt without a gap: held-out pairs come out right by step {told:,}, as soon as the "
            f"training pairs do; now {_percent(test)}."
        )
    return (
        f"Memorised at step {learnt:,}, generalised at step {told:,}: {_percent(test)} of the "
        "held-out pairs are right."
    )


def _more_addition(seen: Any) -> list[str]:
    lines = [
        f"Loss {_nats(_now(seen, 'train_loss'))} on training pairs, "
        f"{_nats(_now(seen, 'test_loss'))} on held-out ones."
    ]
    share = np.asarray(seen.spectrum)
    keys = fourier.key_frequencies(share)
    if not keys:
        return [*lines, "No frequency stands out in the embedding."] if share.size else lines
    held = 100 * sum(float(share[key - 1]) for key in keys)
    numbers = _and([str(key) for key in sorted(keys)])
    plural, verb = ("y", "holds") if len(keys) == 1 else ("ies", "hold")
    lines.append(f"Key frequenc{plural} {numbers} {verb} {held:.0f} % of the embedding's power.")
    restricted, excluded = _now(seen, "restricted_loss"), _now(seen, "excluded_loss")
    if np.isfinite(restricted) and np.isfinite(excluded):
        lines.append(
            f"With them alone the held-out loss is {_nats(restricted)}, without them the training "
            f"loss is {_nats(excluded)}."
        )
    return lines


# --- sorting and text ----------------------------------------------------------------------------


def _sorting(seen: Any) -> str:
    whole, number = _now(seen, "whole_list"), _now(seen, "accuracy")
    return (
        f"{_percent(whole)} of the held-out lists are sorted without a mistake, "
        f"{_percent(number)} of their numbers are right."
    )


def _more_sorting(seen: Any) -> list[str]:
    loss = _nats(_now(seen, "sorted_loss"))
    lines = [f"Held-out loss {loss} by written number (chance {seen.chance_loss:.2f})."]
    best = phases.best_head(seen, "answer")
    if best is not None and best[2] >= ROLE:
        text = _looks(seen, best, "answer")
        lines.append(f"{text[0].upper()}{text[1:]}.")
    return [*lines, *_shared(seen, "answer")]


def _text(seen: Any) -> str:
    loss, alone = phases.curve_of(seen, "held_out_loss"), _now(seen, "unigram_loss")
    smooth = phases.smooth(loss)  # [record]
    now, best = float(loss[-1]), float(np.nanmin(smooth))
    if smooth[-1] > _OVERFIT * best and best < alone:
        step = int(seen.history_step[int(np.nanargmin(smooth))])
        return (
            f"Held-out loss was best at step {step:,}, {best:.2f}, and is {now:.2f} now: it learns "
            "the text by heart."
        )
    if now >= alone:
        return (
            f"Nothing beyond word frequencies yet: held-out loss {now:.2f} nats per token; "
            f"frequencies alone give {alone:.2f}."
        )
    return (
        f"Held-out loss {now:.2f} nats per token: context is worth {alone - now:.2f}, as word "
        f"frequencies alone give {alone:.2f}{_copies(seen.match)}."
    )


def _copies(match: Match | None) -> str:
    if match is None or match.first is None:
        return ""
    return (
        f"; head {match.layer}.{match.head} learns to look for the match between steps "
        f"{match.first:,} and {match.last:,}"
    )


def _worth_by(seen: Any) -> str:
    """ "; 90 % of what context is worth was there by step 400", or the training loss."""
    steps, loss = seen.history_step, phases.smooth(phases.curve_of(seen, "held_out_loss"))
    alone = _now(seen, "unigram_loss")
    most = phases.since(steps, loss <= alone - _MOST * (alone - loss[-1]))
    if len(steps) < _ENOUGH or loss[-1] >= alone or most is None:
        return f", the training loss is {float(seen.history_loss[-1]):.2f}"
    return f"; {_percent(_MOST)} of what context is worth was there by step {most:,}"


def _more_text(seen: Any) -> list[str]:
    right = _percent(_now(seen, "accuracy"))
    lines = [f"{right} of the next tokens are right{_worth_by(seen)}."]
    best, sharp = phases.best_head(seen, "induction"), phases.sharpening(seen, "induction")
    if best is not None and best[2] >= ROLE:
        when = "" if sharp is None else f", learnt fastest at steps {sharp[2].first:,} to "
        when += "" if sharp is None else f"{sharp[2].last:,}"
        return [*lines, f"On repeated random words {_looks(seen, best, 'induction')}{when}."]
    if best is None or len(seen.history_step) < _ENOUGH:
        return lines
    weak = f"(best {best[2]:.2f}, uniform {_null(seen, 'induction'):.2f})"
    match: Match | None = seen.match
    if match is None:
        return [*lines, f"On repeated random words no head looks for the match {weak}."]
    told = (
        f"Where a token of the prompt comes back, head {match.layer}.{match.head} puts "
        f"{match.score:.2f} of its attention on {_ATTENDS['induction']} (uniform {match.null:.2f})"
    )
    return [*lines, f"{told}; on random words none does (best {best[2]:.2f})."]


# --- pieces --------------------------------------------------------------------------------------


def _until(result: Any, at: int | None) -> Any:
    """The result as it was at a checkpoint: records up to then, the spectrum of then."""
    record = _record(result, at)
    cut = slice(0, record + 1)
    scores = np.asarray(result.scores)
    if scores.ndim != 4:
        scores = np.zeros((0, 0, *np.shape(result.pattern)[:2]))
    spectra = np.asarray(result.checkpoint_spectrum)  # [checkpoint, frequency]
    chosen = -1 if at is None else at
    return SimpleNamespace(
        task=result.task, chance_loss=float(result.chance_loss),
        history_step=np.asarray(result.history_step)[cut],
        history_loss=np.asarray(result.history_loss)[cut], curve_names=tuple(result.curve_names),
        curves=np.asarray(result.curves)[:, cut], score_names=tuple(result.score_names),
        scores=scores[:, cut], score_null=np.asarray(result.score_null),
        spectrum=spectra[chosen] if len(spectra) else np.zeros(0),
        match=best_match(result, at) if result.task == "text" else None,
    )  # fmt: skip


def _record(result: Any, at: int | None) -> int:
    """The record nearest to a checkpoint, or the last one."""
    steps = np.asarray(result.history_step)
    if at is None:
        return len(steps) - 1
    return int(np.abs(steps - result.checkpoint_step[at]).argmin())


def _diverged(seen: Any) -> str | None:
    """The sentence where the newest loss is no number."""
    if not len(seen.history_step):
        return None
    main = {"induction": "second_half", "sorting": "sorted_loss"}
    main |= dict.fromkeys(("addition", "cycle"), "train_loss")
    loss = phases.curve_of(seen, main.get(seen.task, "held_out_loss"))
    if np.isfinite(loss[-1]):
        return None
    good = np.flatnonzero(np.isfinite(loss))
    if not len(good):
        return "The loss is no number."
    after = int(seen.history_step[good[-1]])
    return f"Training diverged after step {after:,}: the loss is no number any more."


def _fresh(seen: Any) -> str:
    main = {"induction": "second_half", "addition": "test_loss", "sorting": "sorted_loss",
            "cycle": "train_loss"}  # fmt: skip
    loss = _now(seen, main.get(seen.task, "held_out_loss"))
    if not np.isfinite(loss):
        return "nothing is measured yet"
    return f"the loss is {loss:.2f}, knowing nothing gives {seen.chance_loss:.2f}"


def _now(seen: Any, name: str) -> float:
    values = phases.curve_of(seen, name)
    return float(values[-1]) if values.size else float("nan")


def _null(seen: Any, name: str) -> float:
    names = list(seen.score_names)
    return float(seen.score_null[names.index(name)]) if name in names else float("nan")


def _score(seen: Any, name: str, layer: int, head: int) -> float:
    return float(seen.scores[list(seen.score_names).index(name), -1, layer, head])


def _looks(seen: Any, best: tuple[int, int, float], name: str) -> str:
    """ "head 1.2 attends to the token after the match (0.88 of its attention; uniform 0.03)"."""
    layer, head, score = best
    return (
        f"head {layer}.{head} attends to {_ATTENDS[name]} ({score:.2f} of its attention; uniform "
        f"{_null(seen, name):.2f})"
    )


def _shared(seen: Any, name: str) -> list[str]:
    """Which other heads attend to the same, if any."""
    best = phases.best_head(seen, name)
    if best is None or best[2] < ROLE:
        return []
    now = np.asarray(seen.scores)[list(seen.score_names).index(name), -1]  # [layer, head]
    others = [f"{a}.{b}" for a, b in np.argwhere(now >= ROLE).tolist() if (a, b) != best[:2]]
    if not others:
        return []
    listed = _and(others) if len(others) <= _LISTED else f"{len(others)} more heads"
    one, noun = len(others) == 1, "Head " if len(others) == 1 else "Heads "
    does = f"attend{'s' if one else ''} to {_ATTENDS[name]} too"
    return [f"{noun if len(others) <= _LISTED else ''}{listed} {does}."]


def _percent(share: float) -> str:
    """ "42 %"; never 100 % or 0 % where it is not all or none."""
    if not np.isfinite(share):
        return "– %"
    exact = 100 * share
    if share < 1 and exact >= 99.5:
        return f"{min(exact, 99.9):.1f} %"
    if share > 0 and exact < 0.5:
        return f"{max(exact, 0.1):.1f} %"
    return f"{exact:.0f} %"


def _nats(loss: float) -> str:
    if loss < 0.0005:
        return "below 0.001"
    return f"{loss:.2f}" if loss >= 0.1 else f"{loss:.3f}"


def _and(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)

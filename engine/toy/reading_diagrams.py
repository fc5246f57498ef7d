"""What the phase diagram and the dimensionality figure say, in words made of their numbers.

Results are taken as they are, by their fields: halfway ones too, in which NaN and -1 are unknown.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.toy import theory

STUCK = 1.05  # times the closed form's loss; above it, a run that differs is a local optimum
SEEN = 0.1  # of the represented features of one density; a twentieth may lie on any line by chance
PLATEAU = 0.95  # the share that makes a line a plateau


def agreeing(result: Any) -> npt.NDArray[np.bool_]:
    """Cells [row, column] of a phase diagram whose best run does what the closed form says."""
    return theory.is_best(result.closed_form_losses, result.trained)


def stuck(result: Any) -> npt.NDArray[np.bool_]:
    """Cells [row, column] that differ because every run ended far above the closed form's loss."""
    above = result.loss > STUCK * result.closed_form_losses.min(-1)  # False for NaN
    return above & (result.trained >= 0) & ~agreeing(result)


def phase_sentence(result: Any) -> str:
    """How well training and closed form agree, and why they differ where they do."""
    known = result.trained >= 0  # [row, column]
    count, runs = int(known.sum()), result.run_verdicts.shape[-1]
    if not count:
        return f"None of {known.size} cells has been trained to its end yet."
    same = int((agreeing(result) & known).sum())
    kept = f"the best of {runs} runs" if runs > 1 else "the only run"
    of = f"{count} cells" if count == known.size else f"{count} cells so far"
    words = [f"In {same} of {of} ({same / count:.1%}) {kept} does what the closed form says."]
    if runs > 1:
        words.append(f"Single runs do in {result.run_agreement:.0%}: the others are local optima.")
    elif same < count:
        words.append("Single runs are often local optima: take the best of several.")
    if differ := count - same:
        words.append(_differing(result, differ, runs))
    return " ".join(words)


def _differing(result: Any, differ: int, runs: int) -> str:
    here = stuck(result)
    number, near = int(here.sum()), differ - int(here.sum())
    parts = []
    if number:
        ratio = (result.loss / result.closed_form_losses.min(-1))[here].max()
        every = f" in all {runs} runs" if runs > 1 else ""
        parts.append(f"{number} stuck{every}, at up to {ratio:.1f} times the closed form's loss")
    if near:
        parts.append(f"{near} beside a border, at most {STUCK - 1:.0%} above it")
    return f"Of those that differ: {'; '.join(parts)}."


def cell_sentence(result: Any, row: int, column: int) -> str:
    """What one cell of a phase diagram says."""
    where = f"Importance {result.importance[column]:.2g}, density {result.density[row]:.2g}:"
    options = result.closed_form_losses[row, column]  # [option]
    ideal = theory.VERDICTS[int(result.closed_form[row, column])]
    if result.trained[row, column] < 0:
        return f"{where} {ideal} by the closed form; not trained yet."
    trained = theory.VERDICTS[int(result.trained[row, column])]
    runs = result.run_verdicts[row, column]  # [run]
    many = int((runs == result.trained[row, column]).sum())
    loss, ratio = result.loss[row, column], result.loss[row, column] / options.min()
    count = f" in {many} of {len(runs)} runs" if len(runs) > 1 else ""
    return (
        f"{where} {trained}{count}, {ideal} by the closed form. "
        f"Loss {loss:.2g}, {ratio:.2f} times the closed form's."
    )


def seen(result: Any) -> npt.NDArray[np.float64]:
    """[line]: the largest share of represented features on each line at any one density; or NaN."""
    share = np.where(np.isnan(result.on_line), -1.0, result.on_line).max(0)  # [line]
    return np.where(share < 0, np.nan, share)


def dimensionality_sentence(result: Any) -> str:
    """From where to where D* goes, and which of the lines anything sits on."""
    known = np.isfinite(result.D_star)  # [density]
    if not known.any():
        return "No density has been trained yet."
    x, D_star = result.inverse[known], result.D_star[known]
    words = [f"D* is {D_star[0]:.2f} at 1/(1−S) = {x[0]:.3g}."]
    if len(x) > 1:
        words = [f"D* goes from {D_star[0]:.2f} at 1/(1−S) = {x[0]:.3g} "
                 f"to {D_star[-1]:.2f} at {x[-1]:.3g}."]  # fmt: skip
    share, lines = seen(result), np.flatnonzero(result.line > 0).tolist()  # [line]
    if np.isnan(share[lines]).all():
        return " ".join([*words, "No single feature is represented yet (norm² above ½)."])
    named = zip(result.line, result.line_name, strict=True)
    names = [_fraction(value, name) for value, name in named]
    flat = [line for line in lines if share[line] >= PLATEAU]
    words += [_plateau(result, line, names[line]) for line in flat]
    others = [names[line] for line in lines if line not in flat and share[line] >= SEEN]
    if others:
        words.append(f"Also seen, at {SEEN:.0%} of the features or more: {_listed(others)}.")
    if off := [names[line] for line in lines if not share[line] >= SEEN]:
        words.append(f"Not seen: {_listed(off)}.")
    return " ".join(words)


def _plateau(result: Any, line: int, name: str) -> str:
    """Where nearly all represented features are on one line."""
    there = np.flatnonzero(np.nan_to_num(result.on_line[:, line]) >= PLATEAU)  # [density]
    points = [f"{result.inverse[row]:.3g}" for row in there]
    if len(there) > 2 and there[-1] - there[0] == len(there) - 1:  # without a gap
        where = f"from {points[0]} to {points[-1]}"
    else:
        where = f"at {_listed(points)}"
    return f"A plateau at {name} {where}: {PLATEAU:.0%} of the represented features or more."


def _fraction(value: float, name: str) -> str:
    exact = Fraction(float(value)).limit_denominator(16)
    return f"{exact} ({name})"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"

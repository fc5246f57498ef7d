"""What the training of a tuned lens shows, in words computed from its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from gui.plots import figure


def measured(result: Any) -> bool:
    """Whether held-out text has been read by both lenses at every layer."""
    both = (result.held_out_kl, result.lens_kl)
    return all(len(each) > 0 and bool(np.isfinite(each).all()) for each in both)


def sentence(result: Any) -> str:
    """The trained lens against the logit lens on the same held-out tokens."""
    steps = f"{int(result.held_out_step):,} step{'' if int(result.held_out_step) == 1 else 's'}"
    if not measured(result):
        return _under_way(result)
    after, before = result.held_out_kl, result.lens_kl  # [layer]
    n, closer = len(after), int((after < before).sum())
    means = [figure(float(each.mean()), 2) for each in (before, after)]
    if int(result.held_out_step) == 0:
        return f"Untrained, it is the logit lens: KL to the end {means[0]} nats on average."
    where = "at every layer" if closer == n else f"at {closer} of {n} layers"
    gain = before - after  # [layer]
    best = int(np.argmax(gain))
    said = f"After {steps} it reads closer to the end {where}: KL {means[0]} → {means[1]} nats"
    if closer and n > 1:
        ends = [figure(float(each[best]), 2) for each in (before, after)]
        said += f", most at the input of block {int(result.layers[best])} ({ends[0]} → {ends[1]})"
    return said + "."


def _under_way(result: Any) -> str:
    known = np.asarray(result.history_kl)  # [record, layer]
    if not known.size:
        return ""
    means = [figure(float(np.nanmean(known[at])), 2) for at in (0, -1)]
    return (
        f"Step {int(result.step):,}: KL to the end {means[0]} → {means[1]} nats on its own tokens."
    )


def detail(result: Any) -> str:
    """What it is of, on how much text."""
    n = len(result.layers)
    return (
        f"{n} translator{'' if n == 1 else 's'} for {result.model_name}, trained on "
        f"{int(result.n_trained):,} tokens of {result.source} ({int(result.n_text):,} "
        f"different ones), measured on {int(result.n_held_out):,} held out."
    )


def compared(a: Any, b: Any) -> str:
    """Two trainings by what they reach on held-out text."""
    if not (measured(a) and measured(b)):
        return ""
    means = [figure(float(each.held_out_kl.mean()), 2) for each in (a, b)]
    if len(a.layers) != len(b.layers):
        return f"KL on held-out text: {means[0]} nats in A, {means[1]} in B, of other layers."
    closer = int((b.held_out_kl < a.held_out_kl).sum())
    return (
        f"KL on held-out text: {means[0]} nats in A, {means[1]} in B; B is closer to the end at "
        f"{closer} of {len(a.layers)} layers."
    )

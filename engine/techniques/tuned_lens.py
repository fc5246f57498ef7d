"""TunedLens: a logit lens that has learned each layer's own basis (Belrose et al. 2023).

Each layer l gets a translator h' = h + h W^T + b (arXiv:2303.08112), trained so that reading h'
through the final norm and unembedding comes close to what the model says at the end: the loss is
KL(final || lens), mean over tokens. W and b begin at 0, so that the untrained lens *is* the logit
lens. Model, norm and unembedding stay as they are.

What would fool you:

* The lens is trained to agree with the final layer. A layer from which the answer can be read is
  not a layer that uses it; the translator may compute a little of what later layers do.
* The KL on the text it was trained on says little: the numbers to compare are on held-out text,
  lens against lens on the very same tokens.
* Text unlike the training text. Translators trained on repeated random tokens or on one author
  read that; the result names its source.
* A translator belongs to one model. The folder keeps the model's digest and a hash of the
  unembedding, and another model is refused.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.lens.tuned_run import Running
from engine.refs import Ref
from engine.technique import Technique, Update, array, param

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

OPTIMIZERS = ("sgd", "adam")


@dataclass(frozen=True)
class TunedLensResult:
    """The translators as they are now and how far they are from the final layer, in nats."""

    step: int = array("", "training steps made")
    source: str = array("", "the text it was trained on")
    layers: Ints = array("layer", "block whose input each translator reads; 0 = the embedding")
    W: Floats = array("layer d_model d_model", "translators: h' = h + h W^T + b")
    b: Floats = array("layer d_model", "their biases")
    history_step: Ints = array("record", "steps made at each record")
    history_kl: Floats = array(
        "record layer", "KL(final || lens) on the step's own tokens, before the step, in nats"
    )
    held_out_step: int = array("", "steps made when the held-out text was last read")
    held_out_kl: Floats = array("layer", "KL(final || lens) on held-out text then, in nats")
    lens_kl: Floats = array("layer", "the same of the logit lens, on the same tokens")
    n_trained: int = array("", "tokens read in training so far, repeats included")
    n_text: int = array("", "different tokens of text there are to train on")
    n_held_out: int = array("", "tokens of held-out text")
    model_name: str = array("", "the model it was trained for")
    model_digest: str = array("", "that model's digest")


@dataclass(frozen=True, kw_only=True)
class TunedLens(Technique):
    """Train a translator for each layer, and see how much closer to the end it reads."""

    Result: ClassVar[type] = TunedLensResult
    title: ClassVar[str] = "Tuned lens"
    summary: ClassVar[str] = "A logit lens that learns each layer's own basis"
    quick: ClassVar[Mapping[str, Any]] = {"n_steps": 3, "batch": 64, "n_tokens": 1024}

    data: Ref | None = param(
        None, "a text file, UTF-8; none = the little world's text, or repeated random tokens where "
        "the model does not read its words", role="text",
    )  # fmt: skip
    n_tokens: int = param(
        200_000, "tokens of the text to use, at most", low=64, high=100_000_000, scale="log"
    )
    context: int = param(64, "tokens in a prompt, at most the model's", low=2, high=4096)
    held_out: float = param(0.1, "share of the text, at its end, to measure on", low=0.01, high=0.5)
    n_steps: int = param(250, "training steps", low=1, high=100_000, live=True, scale="log")
    batch: int = param(1024, "tokens in a step", low=1, high=1 << 20, scale="log")
    optimizer: str = param("sgd", "SGD with Nesterov's momentum, or Adam", choices=OPTIMIZERS)
    lr: float = param(
        1.0, "scale of the learning rate: times 0.1 for sgd, 0.001 for adam; falls to 0 linearly",
        low=1e-6, high=1e4, live=True, scale="log",
    )  # fmt: skip
    weight_decay: float = param(
        1e-3, "pull of W and b towards 0", low=0.0, high=10.0, live=True, advanced=True
    )
    clip: float = param(
        1.0, "largest norm of the gradient of all translators", low=1e-6, high=1e9, scale="log",
        live=True, advanced=True,
    )  # fmt: skip
    layers: tuple[int, ...] = param(
        (), "blocks whose inputs get a translator; none = all", low=0, advanced=True
    )
    seed: int = param(0, "of the order of the text", low=0, role="seed")

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        with np.errstate(all="ignore"):  # a lens that diverged gives NaN, and a RunError says so
            spec, running = self, Running(self, model)
            while True:
                change = yield Update(
                    running.step, spec.n_steps, lambda: TunedLensResult(**running.values()),
                    running.metrics(), artifacts=running.artifacts(spec),
                )  # fmt: skip
                spec = change or spec
                if running.step >= spec.n_steps:
                    return
                running.advance(spec)

"""Features: every latent of a basis of one activation, with the text that it answers to.

A basis reads an activation x as numbers that may each mean something: the latents of a sparse
autoencoder (Bricken et al. 2023, Towards Monosemanticity), the units of the hook themselves, its
principal components, one direction. For each: how often and how strongly it is active, the tokens
where it is highest, a sample from every quantile of its activations, the output tokens that its
decoder row writes for, and the latents whose rows are most alike.

What would fool you:

* The highest examples tell a story of their own. A feature that is pure at its top may be anything
  in its lower quantiles, where most of its active tokens are: read those bands too.
* A neuron is active at a third of all tokens and a latent at one in a hundred: compare them on the
  same examples, and by density.
* A rare latent is never seen in a short text: "dead" here means silent in these tokens.
* What a decoder row writes is not what the model makes of it: later layers read it too.
* The first token of a prompt has a norm of its own in most models; BOS is left out unless asked.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.refs import Ref
from engine.sae.browsing import Browsing
from engine.sae.pages import BASES, FeaturesResult
from engine.technique import Technique, Update, param

__all__ = ["Features", "FeaturesResult"]


@dataclass(frozen=True, kw_only=True)
class Features(Technique):
    """Read a text through a basis, and keep for each latent what a person would look at."""

    Result: ClassVar[type] = FeaturesResult
    title: ClassVar[str] = "Features"
    summary: ClassVar[str] = "What each latent of an SAE, or each neuron, answers to in a text"
    needs: ClassVar[tuple[str, ...]] = ("forward",)
    quick: ClassVar[Mapping[str, Any]] = {"n_tokens": 1500, "context": 32}

    basis: str = param(
        "auto", "what reads the activation: an SAE, the units of the hook, its principal "
        "components, a direction; auto: the SAE or direction that is given, else the units",
        choices=("auto", *BASES),
    )  # fmt: skip
    sae: Ref | None = param(
        None, "a folder with an SAE; with another basis it only says which activation is read",
        role="sae",
    )  # fmt: skip
    direction: Ref | tuple[float, ...] = param(
        (), "a kept direction, or its numbers", role="direction"
    )
    hook: str = param(
        "", "the activation by its hook name; empty: that of the SAE or direction, else the units "
        "of the middle MLP or, for components, the stream after the middle block",
    )  # fmt: skip
    n_components: int = param(
        64, "principal components, where they are the basis", low=1, high=512, advanced=True
    )
    data: Ref | None = param(
        None, "a text file or a folder of .txt files, UTF-8; none = the little world's text, or "
        "repeated random tokens where the model does not read its words", role="text",
    )  # fmt: skip
    n_tokens: int = param(
        100_000, "tokens of the text to read, at most", low=64, high=20_000_000, scale="log"
    )
    context: int = param(64, "tokens in a prompt, at most the model's", low=2, high=4096)
    top: int = param(20, "highest examples of each latent, each of another prompt", low=1, high=100)
    quantiles: tuple[float, ...] = param(
        (0.25, 0.5, 0.75), "where the bands of activation part that examples are drawn from, as "
        "shares of the tokens where a latent is active", low=0.001, high=0.999,
    )  # fmt: skip
    examples_per_quantile: int = param(5, "examples from each band", low=0, high=50)
    window: int = param(8, "tokens shown before and after each example's own", low=0, high=64)
    ranks: int = param(10, "promoted and suppressed tokens, and nearest latents", low=1, high=100)
    count_bos: bool = param(False, "count the BOS token too", advanced=True)
    seed: int = param(0, "of the sample from each band", low=0, role="seed")

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        yield from Browsing(self, model).steps()

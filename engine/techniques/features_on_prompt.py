"""FeaturesOnPrompt: which latents of a basis are active at each token of one prompt.

x_hat = f W_dec + b_dec stands beside x: what the features do not explain is told per token.

What would fool you: the most active features of a prompt are often those that are active on every
prompt (look at their density), and a reconstruction that is good on average may fail at the very
token you look at.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.errors import SpecError
from engine.refs import Ref
from engine.sae import bases
from engine.sae.pages import BASES
from engine.technique import Technique, Update, array, bos_param, param

__all__ = ["FeaturesOnPrompt", "FeaturesOnPromptResult"]

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

_TOTAL = 100  # updates' steps


@dataclass(frozen=True)
class FeaturesOnPromptResult:
    """Activations of the strongest latents on one prompt. NaN = not computed yet."""

    tokens: Ints = array("pos", "the exact token ids that were read")
    basis: str = array("", "what is read: an SAE, neurons, components or a direction")
    basis_name: str = array("", "which one, in words")
    basis_digest: str = array("", "digest of the SAE or direction; empty for the others")
    hook: str = array("", "the activation that is read")
    signed: bool = array("", "whether an activation may lie below 0")
    n_latents: int = array("", "latents of the basis")
    latents: Ints = array(
        "feature", "which ones are shown: those asked for, then by their largest activation here"
    )
    activations: Floats = array("pos feature", "their activations")
    n_active: Ints = array("pos", "latents active at each token, shown or not")
    norm: Floats = array("pos", "length of the activation x that is read")
    error: Floats = array("pos", "length of x - x_hat: what the basis leaves out")
    explained: float = array(
        "", "1 - sum |x - x_hat|^2 / sum |x - mean|^2 over the prompt; NaN for one token"
    )
    warnings: tuple[str, ...] = array("sentence", "what one should know; mostly none")


@dataclass(frozen=True, kw_only=True)
class FeaturesOnPrompt(Technique):
    """Read one prompt through an SAE or another basis of the same activation."""

    Result: ClassVar[type] = FeaturesOnPromptResult
    title: ClassVar[str] = "Features on a prompt"
    summary: ClassVar[str] = "Which latents are active at each token of a prompt"
    needs: ClassVar[tuple[str, ...]] = ("forward",)
    quick: ClassVar[Mapping[str, Any]] = {"n_tokens": 1500}

    prompt: str | tuple[int, ...] = param((), "text, or exact token ids", role="clean")
    bos: str = bos_param()
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
    top: int = param(20, "latents to show, the most active first", low=1, high=1000)
    latents: tuple[int, ...] = param((), "latents to show whatever they do, first", low=0)
    count_bos: bool = param(
        False, "let the BOS token decide too which latents are shown", advanced=True
    )
    n_components: int = param(
        64, "principal components, where they are the basis", low=1, high=512, advanced=True
    )
    data: Ref | None = param(
        None, "the text whose components are the basis, if they are; none as in Features",
        role="text", advanced=True,
    )  # fmt: skip
    n_tokens: int = param(
        100_000, "tokens of that text, at most; the first "
        f"{bases.COMPONENT_TOKENS:,} are read", low=64, high=20_000_000, advanced=True,
    )  # fmt: skip
    context: int = param(64, "tokens in a prompt of that text", low=2, high=4096, advanced=True)

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        ids = model.tokens(self.prompt, self.bos)  # [pos]
        step, making = 0, bases.chosen(self, model)
        while True:
            try:
                share = next(making)
            except StopIteration as end:
                basis: bases.Basis = end.value
                break
            step = max(step + 1, int(share * (_TOTAL - 2)))
            note = f"text is read for its components: {share:.0%}"
            yield Update(step, _TOTAL, lambda: _nothing_yet(self, ids), note=note)
        for latent in self.latents:
            if latent >= basis.n:
                raise SpecError(
                    "latents", f"latent {latent} is not in 0 to {basis.n - 1} of {basis.name}"
                )
        x = bases.activations(model, basis, ids[None])  # [pos, d_in]
        f = basis.read(x, model.listen)  # [pos, latent]
        found = _result(self, model, basis, ids, x, f)
        yield Update(max(step + 1, _TOTAL), max(step + 1, _TOTAL), lambda: found, note="done")


def _result(
    spec: FeaturesOnPrompt, model: Any, basis: bases.Basis, ids: Ints, x: Floats, f: Floats
) -> FeaturesOnPromptResult:
    """x [pos, d_in] and f [pos, latent] of a prompt as its result."""
    counted = bases.counted(model, ids, spec.count_bos)  # [pos]
    seen = f[counted] if counted.any() else f  # [pos, latent]
    strongest = np.abs(seen).max(axis=0)  # [latent]
    order = np.argsort(-strongest, kind="stable")
    order = order[strongest[order] > 0][: spec.top]
    asked = np.array(list(dict.fromkeys(spec.latents)), np.int64)  # [feature]
    shown = np.concatenate([asked, order[~np.isin(order, asked)]])[: max(spec.top, len(asked))]
    left = np.asarray(x, np.float64) - basis.back(x, f)  # [pos, d_in]
    around = (np.asarray(x, np.float64) - x.mean(axis=0, dtype=np.float64)) ** 2  # [pos, d_in]
    total = float(around.sum())
    explained = 1.0 - float((left**2).sum()) / total if total > 0 else np.nan
    return FeaturesOnPromptResult(
        tokens=ids.copy(), basis=basis.kind, basis_name=basis.name, basis_digest=basis.digest,
        hook=basis.hook, signed=basis.signed, n_latents=basis.n, latents=shown,
        activations=f[:, shown].copy(), n_active=(f > 0).sum(axis=1),
        norm=np.linalg.norm(x, axis=1), error=np.linalg.norm(left, axis=1).astype(np.float32),
        explained=np.float64(explained), warnings=basis.warnings,
    )  # fmt: skip


def _nothing_yet(spec: FeaturesOnPrompt, ids: Ints) -> FeaturesOnPromptResult:
    unknown = np.full(len(ids), np.nan, np.float32)  # [pos]
    return FeaturesOnPromptResult(
        tokens=ids.copy(), basis=spec.basis, basis_name="", basis_digest="", hook=spec.hook,
        signed=True, n_latents=0, latents=np.zeros(0, np.int64),
        activations=np.zeros((len(ids), 0), np.float32), n_active=np.full(len(ids), -1),
        norm=unknown, error=unknown.copy(), explained=np.float64(np.nan), warnings=(),
    )  # fmt: skip

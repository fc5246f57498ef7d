"""ToySAE: sparse autoencoders that look for five known concepts in three dimensions.

Bricken et al. 2023 (Towards Monosemanticity). Every activation is a sum of few of five directions,
each with a name; an SAE with more latents than dimensions has to find them again. Because the truth
is known, each latent is matched with its concept at every moment: by the angle of its decoder row
(MMCS), and by when it fires (F1). The SAE of a language model is trained alike (`TrainSAE`), but
there nobody can check.

What would fool you:

* Angles by chance. Twelve random directions in three dimensions come within a cosine of 0.85 of any
  given one in the mean: an MMCS of 0.92, the article's, is half-way to nothing. The chance level
  stands beside every MMCS here.
* A decoder of free length. The penalty is on activations, so they shrink while the decoder rows
  grow, and nothing becomes sparse: the L1 loss is evaded. With rows of length 1 (`norm="unit"`) or
  weighed by them ("weighted") it is not. This matters more than lambda.
* An F1 of 1 is out of reach. Five directions overlap in three dimensions; of the spread ones, two
  stand opposite, and cancel when both are there.
* Random directions (`directions="random"`) are often nearly parallel. No SAE tells apart what
  points the same way; four or five of five is what to expect.
* Many latents look like success. With twelve latents for five concepts some split a concept
  (duplicates) and some stand for a pair of them (mixed); counted here instead of shown as found.
* A best threshold flatters. F1 at the best threshold is chosen on the very samples it is measured
  on; F1 at h > 0 is what the SAE itself says.
* One run is one local optimum: train several side by side (`instances`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.sae import concepts, toy_training
from engine.sae.sae import SAE
from engine.sae.toy_running import Running
from engine.technique import SpecError, Technique, Update, array, param

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

_MOST_WORK = 1 << 23  # activations of all latents in one step


@dataclass(frozen=True)
class ToySAEResult:
    """The SAEs as they are now, scored on samples that none has seen, and the past of instance 0.

    A latent's role: 0 dead (fires on fewer than 1 in 100), 1 matched (the one latent of a concept),
    2 duplicate (points to a concept that has a latent), 3 mixed (points to no single concept).
    """

    step: int = array("", "training steps made")
    architecture: str = array("", "standard, topk or jumprelu")
    k: int = array("", "latents kept per sample by topk")
    names: tuple[str, ...] = array("concept", "what the directions are called")
    metric_names: tuple[str, ...] = array("metric", "what `metrics` and `history` hold")
    sae_seed: Ints = array("instance", "seed of each SAE, its directions and samples")
    directions: Floats = array("instance concept xyz", "the true directions, of length 1")
    W_enc: Floats = array("instance xyz latent", "encoder")
    b_enc: Floats = array("instance latent", "bias of the encoder")
    W_dec: Floats = array("instance latent xyz", "decoder, one row per latent")
    b_dec: Floats = array("instance xyz", "bias of the decoder; 0 where there is none")
    threshold: Floats = array("instance latent", "of jumprelu; 0 elsewhere")
    cosine: Floats = array("instance latent concept", "of the decoder row with the true direction")
    role: Ints = array("instance latent", "0 dead, 1 matched, 2 duplicate, 3 mixed")
    density: Floats = array("instance latent", "share of the samples on which it fires")
    matched: Ints = array("instance concept", "latent of each concept; -1 = none is left alive")
    f1: Floats = array("instance concept", "of its latent as a detector, at the best threshold")
    f1_zero: Floats = array("instance concept", "of its latent as a detector, at h > 0")
    f1_threshold: Floats = array("instance concept", "the best threshold")
    metrics: Floats = array("metric instance", "scores of the SAEs as they are now")
    true_l0: Floats = array("instance", "concepts present per sample")
    chance: float = array("", "MMCS of as many directions by chance in three dimensions")
    sample_x: Floats = array("instance xyz sample", "some of the samples that no SAE learns from")
    sample_amount: Floats = array("instance concept sample", "how much of each concept is in them")
    sample_f: Floats = array("instance latent sample", "activations on them")
    history_step: Ints = array("record", "step of each record")
    history_sparsity: Floats = array("record", "weight of the sparsity loss")
    history: Floats = array("metric record instance", "scores at each record")
    history_W_enc: Floats = array("record xyz latent", "encoder of instance 0")
    history_b_enc: Floats = array("record latent", "its bias")
    history_W_dec: Floats = array("record latent xyz", "its decoder")
    history_b_dec: Floats = array("record xyz", "its decoder's bias")
    history_threshold: Floats = array("record latent", "its thresholds")
    history_role: Ints = array("record latent", "roles of its latents")
    history_matched: Ints = array("record concept", "latent of each concept then; -1 = none")

    def sae(self, instance: int = 0) -> SAE:
        """One of them as an SAE that can be read, saved and compared like any other."""
        jump = self.architecture == "jumprelu"
        return SAE(
            self.architecture, self.W_enc[instance], self.W_dec[instance], self.b_dec[instance],
            b_enc=self.b_enc[instance], threshold=self.threshold[instance] if jump else None,
            k=self.k if self.architecture == "topk" else None,
            about={"concepts": list(self.names), "seed": int(self.sae_seed[instance])},
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ToySAE(Technique):
    """Train sparse autoencoders on mixtures of known concepts, and watch each find its latent."""

    Result: ClassVar[type] = ToySAEResult
    title: ClassVar[str] = "Toy SAE"
    summary: ClassVar[str] = "Known concepts in three dimensions, found again by a dictionary"
    quick: ClassVar[Mapping[str, Any]] = {"n_steps": 120, "n_samples": 500, "record": 6}
    needs: ClassVar[tuple[str, ...]] = ()
    takes_interventions: ClassVar[bool] = False
    blas: ClassVar[Any] = "one"

    directions: str = param(
        "spread", "of the concepts: kept apart, or by chance", choices=concepts.DIRECTIONS
    )
    n_concepts: int = param(5, "concepts in three dimensions", low=2, high=len(concepts.NAMES))
    density: float = param(0.15, "probability of each concept in a sample", low=0.01, high=0.9)
    architecture: str = param(
        "standard", "what makes it sparse: an L1 penalty, the k largest, or a learned threshold",
        choices=toy_training.ARCHITECTURES,
    )  # fmt: skip
    norm: str = param(
        "unit", "decoder rows: of length 1, free but weighing in the penalty, or free",
        choices=toy_training.NORMS,
    )  # fmt: skip
    n_latents: int = param(12, "latents of the SAE", low=1, high=64, scale="log")
    sparsity: float = param(
        0.3, "weight of the sparsity loss: L1 (standard), L0 (jumprelu)", low=0.0, high=5.0,
        live=True,
    )  # fmt: skip
    k: int = param(1, "latents kept per sample by topk", low=1, high=64)
    bandwidth: float = param(
        0.5, "of jumprelu: how near to its threshold an activation teaches it", low=0.001,
        high=2.0, advanced=True,
    )  # fmt: skip
    lr: float = param(0.005, "learning rate", low=1e-6, high=10.0, live=True, scale="log")
    n_steps: int = param(
        3000, "training steps; more may be asked for while it runs", low=1, high=1_000_000,
        live=True, scale="log",
    )  # fmt: skip
    instances: int = param(1, "SAEs side by side, with seeds from this one on", low=1, high=100)
    b_dec: bool = param(False, "learn a bias of the decoder", advanced=True)
    optimizer: str = param("adam", "how it learns", choices=toy_training.OPTIMIZERS, advanced=True)
    schedule: str = param(
        "linear", "how lr falls to 0", choices=toy_training.SCHEDULES, advanced=True
    )
    batch: int = param(256, "samples per step", low=1, high=8192, advanced=True, scale="log")
    n_samples: int = param(
        8000, "samples it learns from", low=10, high=100_000, advanced=True, scale="log"
    )
    resample_every: int = param(
        0, "steps after which latents that never fired begin anew; 0 = never", low=0,
        high=1_000_000, advanced=True,
    )  # fmt: skip
    record: int = param(80, "records of the curves", low=2, high=1000, advanced=True)
    pace: int = param(
        0, "steps between two updates; 0 = about 15 ms of work", low=0, high=100_000, live=True,
        advanced=True,
    )  # fmt: skip
    seed: int = param(0, "of directions, samples and weights", low=0, role="seed")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.architecture == "topk" and self.k > self.n_latents:
            raise SpecError("k", f"{self.k} is above the {self.n_latents} latents there are")
        if self.instances * self.n_latents * self.batch > _MOST_WORK:
            most = _MOST_WORK // (self.instances * self.n_latents)
            raise SpecError(
                "batch",
                f"{self.batch} is above {most} for {self.instances} SAEs of {self.n_latents} "
                "latents: a step would take longer than a person waits",
            )

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        spec, running = self, Running(self, ToySAEResult, getattr(model, "listen", None))
        while True:
            change = yield running.update(spec)
            if change is not None and change != spec:
                spec = change
                running.change(spec)
            if running.step >= spec.n_steps:
                return
            running.advance(spec)

"""TrainTransformer: a small transformer from fresh weights, watched while its circuits form.

Induction heads (Olsson et al. 2022, arXiv:2209.11895) form within a minute on repeated random
words: first one head attends to the previous token, then heads of the next layer attend to what
followed the same token earlier, and the loss in the repeated half falls in a few hundred steps.
Grokking (Nanda et al. 2023, arXiv:2301.05217): addition modulo a prime is memorised first and
computed, through a few frequencies, long after. Sorting and your own text are the other tasks.

What would fool you:

* A fixed period. Blocks of one length let the model copy by position: the loss falls as it should
  and no induction head is there. `period="fixed"` shows it; the scores of the heads tell.
* A score without its null. A head that attends evenly has an induction score above 0: one over the
  keys it sees. Each score comes with what even attention would get.
* One layer cannot do it. Induction needs two heads in a row; a one-layer model stays near chance,
  and is the control for every claim about the second layer.
* The training loss is not the measure. It is a running mean over fresh batches; the curves are on
  held-out prompts that are never trained on.
* Attention is not effect. A head may have the pattern and do nothing: see the loss when it is
  ablated. Where two heads share a job, ablating either does little.
* Restarting is not resuming. A checkpoint holds the moments, the generator and the step as well as
  the weights; started from it, training goes on to the very bits of the run it was taken from.
* Adam with weight decay on gains and biases is another optimiser: here they do not decay.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.refs import Ref
from engine.technique import SpecError, Technique, Update, array, param
from engine.train import tasks
from engine.train.running import Running, check_sizes

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

TASKS = ("induction", "addition", "sorting", "cycle", "text")
SCHEDULES = ("constant", "linear", "cosine")
MOST_CHECKPOINTS = 400  # of one run: half a megabyte each by default
_SHOWN = 48  # most words in the fixed prompt
_MOST_SHOWN = 64 << 20  # bytes of all checkpoints' patterns on it


@dataclass(frozen=True)
class TrainTransformerResult:
    """The model as it is now, its curves from the first step on, and what each checkpoint shows.

    A run that starts from a checkpoint has that one's curves, and its own checkpoints from there.
    """

    step: int = array("", "training steps made")
    task: str = array("", "what it learns")
    words: tuple[str, ...] = array("pos", "the fixed prompt in words")
    prompt: Ints = array("pos", "the fixed prompt as token ids")
    weights: Floats = array("parameter", "all trained numbers in one vector")
    chance_loss: float = array("", "loss of a model that knows nothing: ln of the words, in nats")
    history_step: Ints = array("record", "step of each record")
    history_loss: Floats = array("record", "training loss, mean since the record before, in nats")
    history_lr: Floats = array("record", "learning rate, after warm-up and decay")
    curve_names: tuple[str, ...] = array("curve", "what is measured on held-out data")
    curves: Floats = array("curve record", "those measures; NaN where one is not defined")
    score_names: tuple[str, ...] = array("score", "what heads are scored for")
    scores: Floats = array("score record layer head", "mean attention on that target")
    score_null: Floats = array("score", "the same score of a head that attends evenly")
    pattern: Floats = array("layer head query key", "attention on the fixed prompt, now")
    checkpoint_step: Ints = array("checkpoint", "step of each checkpoint of this run")
    checkpoint_pattern: Floats = array(
        "checkpoint layer head query key", "attention on the fixed prompt then"
    )
    checkpoint_position_loss: Floats = array(
        "checkpoint pos", "held-out loss by position, in nats; NaN where none is scored"
    )
    checkpoint_spectrum: Floats = array(
        "checkpoint frequency", "share of each frequency in W_E; none but for addition"
    )
    checkpoint_loss: Floats = array("checkpoint", "held-out loss of what can be learned, in nats")
    checkpoint_ablated: Floats = array(
        "checkpoint layer head", "the same loss with that head's output 0; NaN where not done"
    )


@dataclass(frozen=True, kw_only=True)
class TrainTransformer(Technique):
    """Train a small transformer; stop it anywhere, look back, go on from any checkpoint."""

    Result: ClassVar[type] = TrainTransformerResult
    title: ClassVar[str] = "Training"
    summary: ClassVar[str] = "A small transformer learns, and its heads form as you watch"
    quick: ClassVar[Mapping[str, Any]] = {
        "n_steps": 12, "batch": 2, "d_model": 8, "n_heads": 2, "n_ctx": 16, "d_vocab": 12,
        "period_low": 4, "period_high": 8, "checkpoint_every": 20,
    }  # fmt: skip
    needs: ClassVar[tuple[str, ...]] = ()
    takes_interventions: ClassVar[bool] = False
    blas: ClassVar[Any] = "one"

    task: str = param("induction", "what it learns", choices=TASKS)
    period: str = param(
        "random", "length of the repeated block; fixed lets it cheat", choices=("random", "fixed")
    )
    period_low: int = param(8, "shortest block", low=2, high=512, advanced=True)
    period_high: int = param(32, "longest block; the length of a fixed one", low=2, high=512)
    d_vocab: int = param(64, "words; of text, at most so many", low=4, high=50_000, scale="log")
    n_ctx: int = param(64, "tokens in a prompt", low=4, high=1024, scale="log")
    modulus: int = param(59, "of a + b, a prime", low=3, high=257)
    train_fraction: float = param(0.5, "share of all sums that is trained on", low=0.05, high=0.95)
    list_length: int = param(6, "numbers to sort", low=2, high=64)
    corpus: Ref | None = param(None, "a text file, UTF-8, for the task text", role="text")
    tokenizer: Ref | None = param(
        None, "a tokenizer.json for the text; none = by words", advanced=True
    )
    n_layers: int = param(2, "layers", low=1, high=12)
    n_heads: int = param(4, "heads in each layer", low=1, high=32)
    d_model: int = param(64, "width of the residual stream", low=2, high=1024, scale="log")
    d_mlp: int = param(0, "width of the MLPs; 0 = attention only", low=0, high=4096)
    norm: str = param("RMS", "before each layer", choices=("RMS", "LN", "none"), advanced=True)
    positions: str = param(
        "shortformer", "how positions come in; shortformer: fixed sinusoids on queries and keys",
        choices=("shortformer", "learned", "rotary"), advanced=True,
    )  # fmt: skip
    act_fn: str = param(
        "relu", "of the MLPs", choices=("relu", "gelu", "gelu_new", "silu"), advanced=True
    )
    gated_mlp: bool = param(False, "MLPs with a gate, as in Llama", advanced=True)
    biases: bool = param(False, "biases in attention and MLPs", advanced=True)
    lr: float = param(0.005, "learning rate", low=1e-6, high=10.0, live=True, scale="log")
    weight_decay: float = param(0.0, "of AdamW, on matrices", low=0.0, high=10.0, live=True)
    schedule: str = param("constant", "lr after warm-up", choices=SCHEDULES, advanced=True)
    warm_up: int = param(50, "steps until lr is reached", low=0, high=1_000_000, advanced=True)
    beta1: float = param(0.9, "Adam's memory of the gradient", low=0.0, high=0.9999, advanced=True)
    beta2: float = param(0.98, "and of its square", low=0.0, high=0.99999, advanced=True)
    clip: float = param(
        1.0, "largest norm of a gradient", low=1e-6, high=1e9, live=True, scale="log", advanced=True
    )
    batch: int = param(16, "prompts per step; addition, cycle: all", low=1, high=4096, scale="log")
    n_steps: int = param(
        1500, "training steps; more may be asked for while it runs", low=1, high=1_000_000,
        live=True, scale="log",
    )  # fmt: skip
    score_every: int = param(5, "steps between two records", low=1, high=100_000, advanced=True)
    checkpoint_every: int = param(
        50, "steps between two checkpoints", low=1, high=1_000_000, live=True, advanced=True
    )
    start: Ref | None = param(None, "a checkpoint to go on from", role="checkpoint", advanced=True)
    pace: int = param(
        0, "steps between two updates; 0 = about 30 ms of work", low=0, high=100_000, live=True,
        advanced=True,
    )  # fmt: skip
    seed: int = param(0, "of weights and data", low=0, role="seed")

    def __post_init__(self) -> None:
        super().__post_init__()
        tasks.check(self)
        check_sizes(self)
        heads = self.n_layers * self.n_heads
        most = min(MOST_CHECKPOINTS, _MOST_SHOWN // (2 * heads * _SHOWN**2))
        if self.n_steps // self.checkpoint_every + 2 > most:
            least = -(-self.n_steps // (most - 2))
            raise SpecError(
                "checkpoint_every",
                f"{self.checkpoint_every} makes more than {most} checkpoints of {self.n_steps:,} "
                f"steps; {least:,} is the least that fits",
            )

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        spec, running = self, Running(self, TrainTransformerResult, getattr(model, "listen", None))
        while True:
            change = yield running.update(spec)
            spec = change or spec
            if running.step >= spec.n_steps:
                return
            running.advance(spec)

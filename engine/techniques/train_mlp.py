"""TrainMLP: a network that learns a figure in the plane, probed layer by layer as it learns.

relu(... relu(x W_0 + b_0) ...) W_out + b_out reads a point of the square [-1, 1]^2 and says which
of two classes it lies in. After each layer a linear probe (Alain and Bengio 2016,
arXiv:1610.01644) is trained to say the same from the hidden units: what was tangled in the plane
comes apart layer by layer. Beside each accuracy stand its controls: the control task of Hewitt and
Liang 2019 (arXiv:1909.03368), the network before training, and shuffled labels.

What would fool you:

* A task that is nearly linear. On the article's sine a probe of the raw point is right for 89 %,
  and so is one on a network that never learned; a curve that starts there shows nothing. On the
  rings the raw point gives 58 %, which is the larger class.
* Random layers help too. Sixteen random units bend the plane enough to solve xor (98 %). What
  training has done is the distance from "random weights", not from one half.
* A probe that is scored on what it was fitted to. Here the network and the probes train on the
  same points, the ridge is chosen on a part of them, and every accuracy is of points that neither
  has seen.
* One network is one local optimum. The order of the layers holds in the mean and in most seeds;
  train several side by side before you say what a layer does.
* A rising curve is not a use. That a layer holds the answer in a plane does not say that the next
  one reads it there.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from engine.mlp import tasks
from engine.mlp.config import ACTIVATIONS, MLPConfig
from engine.mlp.model import MLP
from engine.mlp.probing import PROBES
from engine.mlp.running import Running
from engine.technique import SpecError, Technique, Update, array, param

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

SCHEDULES = ("linear", "cosine", "constant")
_MOST_WORK = 1 << 23  # numbers in all hidden layers of one step


@dataclass(frozen=True)
class TrainMLPResult:
    """The networks as they are now, what instance 0 does with the square, and its probes.

    A site is a place that is probed: "input", then each hidden layer after its activation.
    """

    step: int = array("", "training steps made")
    task: str = array("", "what it learns: the name of a figure in the square")
    act_fn: str = array("", "activation function of the hidden layers")
    probe: str = array("", "how the probes are fitted: ridge or logistic")
    widths: Ints = array("layer", "numbers per point: the input, each hidden layer, the output")
    weights: Floats = array(
        "instance parameter", "layer by layer, of each unit its weights and its bias"
    )
    network: Ints = array("instance", "seed of each network: of its weights, points and batches")
    loss: Floats = array("instance", "held-out loss: mean binary cross-entropy, in nats")
    accuracy: Floats = array("instance", "share of held-out points that the network gets right")
    majority: Floats = array("instance", "share of the larger class of train, held out")
    boundary: Floats = array(
        "row col", "P(class 1) of instance 0 over the square; row 0 is y = -1, column 0 is x = -1"
    )
    points: Floats = array("point xy", "held-out points of instance 0, at most 400")
    labels: Ints = array("point", "their class, 0 or 1")
    decision: Floats = array("point", "P(class 1) that instance 0 gives them")
    hidden: Floats = array("layer point unit", "hidden activations of instance 0 at those points")
    unit_map: Floats = array(
        "layer unit row col", "each hidden unit of instance 0 over the square, on a coarse grid"
    )
    history_step: Ints = array("record", "step of each record")
    history_loss: Floats = array("record", "held-out loss of instance 0, in nats")
    history_accuracy: Floats = array("record", "held-out accuracy of instance 0")
    history_lr: Floats = array("record", "learning rate, after its schedule")
    curve_names: tuple[str, ...] = array("curve", "the probe and its controls")
    site_labels: tuple[str, ...] = array("site", "what is probed: input, layer 1, ...")
    probe_history: Floats = array(
        "curve record site", "held-out accuracy of the probes of instance 0, record by record"
    )
    accuracies: Floats = array(
        "curve instance site",
        "held-out accuracy of every probe; logistic ones beside instance 0 NaN until the end",
    )
    probe_lambda: Floats = array(
        "site", "ridge of the probe of instance 0, chosen on validation points"
    )
    probe_weights: Floats = array(
        "site unit", "the probe of instance 0, on raw activations; NaN beyond a site's width"
    )
    probe_bias: Floats = array("site", "its bias; above 0 it says class 1")
    probe_score: Floats = array("site point", "what it gives the points shown; above 0 is class 1")

    def model(self, index: int = 0) -> MLP:
        """Network `index` as a model that can be read, probed and saved."""
        config = MLPConfig(
            tuple(int(width) for width in self.widths), self.act_fn, self.task,
            int(self.network[index]),
        )  # fmt: skip
        return MLP.from_flat(config, self.weights[index], name=f"{self.task} network")


@dataclass(frozen=True, kw_only=True)
class TrainMLP(Technique):
    """Train networks on a figure in the plane, and watch where it becomes linear."""

    Result: ClassVar[type] = TrainMLPResult
    title: ClassVar[str] = "Probed network"
    summary: ClassVar[str] = "A small network learns a figure, and its layers untangle it"
    quick: ClassVar[Mapping[str, Any]] = {"n_steps": 60, "n_train": 200, "n_test": 200, "record": 6}
    needs: ClassVar[tuple[str, ...]] = ()
    takes_interventions: ClassVar[bool] = False
    blas: ClassVar[Any] = "one"

    task: str = param("rings", "the figure to learn", choices=tasks.NAMES)
    n_train: int = param(2000, "points it learns from", low=20, high=20_000, scale="log")
    n_test: int = param(2000, "points it never sees", low=20, high=20_000, scale="log")
    width: int = param(16, "units in each hidden layer", low=1, high=128, scale="log")
    depth: int = param(3, "hidden layers", low=1, high=8)
    act_fn: str = param("relu", "of the hidden layers", choices=ACTIVATIONS)
    lr: float = param(0.01, "learning rate of Adam", low=1e-6, high=10.0, live=True, scale="log")
    schedule: str = param("linear", "how lr falls to 0", choices=SCHEDULES, advanced=True)
    n_steps: int = param(
        3000, "training steps; more may be asked for while it runs", low=1, high=1_000_000,
        live=True, scale="log",
    )  # fmt: skip
    batch: int = param(256, "points per step", low=1, high=20_000, scale="log", advanced=True)
    instances: int = param(1, "networks side by side, with seeds from this one on", low=1, high=64)
    probe: str = param("ridge", "how the linear probes are fitted", choices=PROBES)
    record: int = param(60, "records of the curves", low=2, high=1000, advanced=True)
    pace: int = param(
        0, "steps between two updates; 0 = about 15 ms of work", low=0, high=100_000, live=True,
        advanced=True,
    )  # fmt: skip
    seed: int = param(0, "of weights, points and batches", low=0, role="seed")

    def __post_init__(self) -> None:
        super().__post_init__()
        per_point = self.instances * self.width * self.depth
        if per_point * min(self.batch, self.n_train) > _MOST_WORK:
            most = _MOST_WORK // per_point
            raise SpecError(
                "batch",
                f"{self.batch} is above {most} for {self.instances} networks of {self.depth} x "
                f"{self.width} units: a step would take longer than a person waits",
            )

    def steps(self, model: Any) -> Generator[Update, Self | None, None]:
        slow, listen = self.probe == "logistic", getattr(model, "listen", None)
        spec, running = self, Running(self, TrainMLPResult, listen, slow)
        while True:
            change = yield running.update(spec)
            if change is not None and change != spec:
                spec = change
                running.change(spec)
            if running.step >= spec.n_steps:
                return
            running.advance(spec)

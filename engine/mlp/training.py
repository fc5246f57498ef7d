"""Trainer: many small networks side by side, Adam on binary cross-entropy, one step for all.

loss = mean log(1 + exp(-s z)), s = +-1 the class, z the network's output; dL/dz = (sigmoid(z) - y)
/ batch, then layer by layer backward: each layer's gradient is made with the weights that the
forward pass used, and all are changed together afterwards. Network i draws its weights, points and
batches from its own seed, so it learns the same alone as beside others, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from engine.mlp import tasks
from engine.mlp.config import ACTIVATION, MLPConfig
from engine.mlp.model import Array, start
from engine.train.optimiser import rate

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam (Kingma and Ba 2014, arXiv:1412.6980)
AHEAD = 32  # batches drawn in one go
LARGE = 1 << 18  # numbers in a layer: from there on Stop is heard within a step
WEIGHTS, TRAIN, TEST, BATCHES, PROBE = range(5)  # what each stream of random numbers is for


class Trainer:
    """Networks that learn `config.task`, one per seed; everything happens in place.

    theta [network, parameter] in the order of `MLP.from_flat`. train and test: (points
    [network, 3, point], a row of ones last; labels [network, point]).
    """

    def __init__(
        self, config: MLPConfig, seeds: Sequence[int], n_train: int, n_test: int, batch: int,
        lr: float, n_steps: int, schedule: str = "linear", dtype: type = np.float32,
        listen: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        """`listen` may raise to stop; a step that it stopped is never finished."""
        self.config, self.seeds, self.dtype = config, tuple(seeds), np.dtype(dtype)
        self.n_train, self.batch = n_train, min(batch, n_train)
        self.lr, self.n_steps, self.schedule = lr, n_steps, schedule
        self.step = self._since = 0
        self.listen = listen or (lambda: None)
        self._large = len(self.seeds) * self.batch * max(config.widths) > LARGE
        flat = [start(config, (seed, WEIGHTS)) for seed in self.seeds]
        self.theta = np.stack(flat).astype(dtype)  # [network, parameter]
        self.start = self.theta.copy()  # [network, parameter]
        self.train, self.test = self._drawn(n_train, TRAIN), self._drawn(n_test, TEST)
        self._mean, self._square, self._grad, self._spare = (
            np.zeros_like(self.theta) for _ in range(4)
        )
        self._rngs = [np.random.default_rng((seed, BATCHES)) for seed in self.seeds]
        self._ahead = np.zeros((len(self.seeds), 0, self.batch), np.int64)
        self._buffers()

    def change(self, lr: float, n_steps: int) -> None:
        """Go on with these; the schedule begins anew from here."""
        self.lr, self.n_steps, self._since = lr, n_steps, self.step

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.theta).all())

    def rate(self) -> float:
        """The learning rate of the step to come."""
        left = self.n_steps - self._since
        return rate(self.lr, self.schedule, 0, left, self.step - self._since)

    def advance(self, n_steps: int) -> None:
        """Make so many steps. Numbers that overflow stay, for `finite` to see."""
        with np.errstate(all="ignore"):
            for _ in range(n_steps):
                self._take()
                self._gradient()
                self._descend()
                self.step += 1

    def hidden(
        self, network: int, points: Array, listen: Callable[[], None] | None = None,
        theta: Array | None = None,
    ) -> list[Array]:  # fmt: skip
        """[inputs, point] at every site of one network: the points, each hidden layer, the output.

        points [3, point], a row of ones last. theta: other weights than those of now.
        """
        act, h = ACTIVATION[self.config.act_fn].forward, points
        sites = [points[:-1]]
        for layer, W in enumerate(self._layers(self.theta if theta is None else theta)):
            if listen is not None:
                listen()
            pre = W[network] @ h  # [output, point]
            h = np.ones((len(pre) + 1, pre.shape[1]), pre.dtype)  # [inputs and one, point]
            h[:-1] = act(pre, out=pre) if layer < self.config.n_layers else pre
            sites.append(h[:-1])
        return sites

    # --- parts ----------------------------------------------------------------------------------

    def _drawn(self, n: int, stream: int) -> tuple[Array, Array]:
        found = []
        for seed in self.seeds:
            self.listen()
            found.append(tasks.draw(self.config.task, n, (seed, stream)))
        points = np.ones((len(found), 3, n), self.dtype)  # [network, xy and one, point]
        points[:, :2] = np.stack([own.T for own, _ in found])
        return points, np.stack([labels for _, labels in found]).astype(self.dtype)

    def _layers(self, flat: Array) -> list[Array]:
        """Views [network, output, input and bias] of each layer's numbers."""
        views, at = [], 0
        for n, m in self.config.shapes:
            views.append(flat[:, at : at + m * (n + 1)].reshape(len(flat), m, n + 1))
            at += m * (n + 1)
        return views

    def _buffers(self) -> None:
        count, batch, shapes = len(self.seeds), self.batch, self.config.shapes
        self._W, self._dW = self._layers(self.theta), self._layers(self._grad)
        # [network, inputs and one, sample], what each layer reads
        self._h = [np.ones((count, n + 1, batch), self.dtype) for n, _ in shapes]
        # [network, output, sample], before its activation, and the gradient there
        self._pre = [np.empty((count, m, batch), self.dtype) for _, m in shapes]
        self._d = [np.empty((count, m, batch), self.dtype) for _, m in shapes]
        self._labels = np.empty((count, batch), self.dtype)  # [network, sample]
        x, y = self.train
        self._x = np.ascontiguousarray(x[:, :2].transpose(1, 0, 2)).reshape(2, -1)  # [xy, all]
        self._y = y.reshape(-1)  # [all]
        if batch == self.n_train:
            self._h[0][:, :2], self._labels[:] = x[:, :2], y

    def _take(self) -> None:
        """A batch for each network, drawn with replacement; all points where that is the batch."""
        if self.batch == self.n_train:
            return
        at = self.step % AHEAD
        if at == 0:
            shape = (AHEAD, self.batch)
            drawn = [rng.integers(self.n_train, size=shape) for rng in self._rngs]
            self._ahead = np.stack(drawn)  # [network, step, sample]
            self._ahead += np.arange(len(drawn))[:, None, None] * self.n_train
        chosen = self._ahead[:, at]  # [network, sample]
        for axis in range(2):
            self._h[0][:, axis] = self._x[axis].take(chosen)
        self._y.take(chosen, out=self._labels, mode="clip")

    def _gradient(self) -> None:
        act, last = ACTIVATION[self.config.act_fn], self.config.n_layers
        h, pre, d = self._h, self._pre, self._d
        for layer, W in enumerate(self._W):
            self._heard()
            np.matmul(W, h[layer], out=pre[layer])
            if layer < last:
                act.forward(pre[layer], out=h[layer + 1][:, :-1])
        np.multiply(pre[last][:, 0], 0.5, out=d[last][:, 0])  # sigmoid through tanh: no overflow
        np.tanh(d[last], out=d[last])
        d[last] += 1
        d[last] *= 0.5
        d[last][:, 0] -= self._labels
        d[last] *= self.dtype.type(1 / self.batch)
        for layer in reversed(range(last + 1)):
            self._heard()
            np.matmul(d[layer], h[layer].transpose(0, 2, 1), out=self._dW[layer])
            if layer:
                self._heard()
                through = self._W[layer][:, :, :-1].transpose(0, 2, 1)  # [network, input, output]
                np.matmul(through, d[layer], out=d[layer - 1])
                self._through(layer - 1)

    def _heard(self) -> None:
        if self._large:
            self.listen()

    def _through(self, layer: int) -> None:
        """The gradient of a layer's activation -> of what came before it, in place."""
        d, name = self._d[layer], self.config.act_fn
        if name == "relu":
            d *= self._pre[layer] > 0
        elif name == "tanh":
            slope = np.square(self._h[layer + 1][:, :-1], out=self._pre[layer])
            np.subtract(1, slope, out=slope)
            d *= slope
        else:
            d[...] = ACTIVATION[name].vjp(d, self._pre[layer])

    def _descend(self) -> None:
        """One step of Adam, its corrections in two scalars."""
        grad, spare, t, kind = self._grad, self._spare, self.step + 1, self.dtype.type
        self._mean *= kind(BETA1)
        np.multiply(grad, kind(1 - BETA1), out=spare)
        self._mean += spare
        self._square *= kind(BETA2)
        np.square(grad, out=grad)
        grad *= kind(1 - BETA2)
        self._square += grad
        root = (1 - BETA2**t) ** 0.5
        np.sqrt(self._square, out=spare)
        spare += kind(EPSILON * root)
        np.divide(self._mean, spare, out=spare)
        spare *= kind(self.rate() * root / (1 - BETA1**t))
        self.theta -= spare

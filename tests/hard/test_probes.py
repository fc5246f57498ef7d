"""Probes at full size: the gradient by its own formula, memory, Stop, selectivity over seeds."""

import importlib.util
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from engine import blas
from engine.probes.fitting import KINDS, Problems, choose, finish, fit
from engine.probes.problems import Kind

SEEDS = 20
SLAB_SECONDS = 0.2  # a Stop is answered within this


@pytest.fixture(scope="module")
def language(project: Path) -> ModuleType:
    """tests/engine/test_probe_controls.py, for the language whose control can be memorised."""
    path = project / "tests" / "engine" / "test_probe_controls.py"
    spec = importlib.util.spec_from_file_location("probe_controls", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.hard
def test_selectivity_tells_a_linear_probe_from_a_hidden_layer_for_every_seed(
    language: ModuleType, seed: int, say: Callable[[str], None]
) -> None:
    found = {}
    kinds: tuple[Kind, ...] = ("logistic", "hidden")
    with blas.limit("one"):
        for kind in kinds:
            pairs = [language.accuracies(kind, s) for s in range(seed, seed + SEEDS)]
            found[kind] = np.array(pairs)  # [seed, task or control]
            task, control = found[kind].mean(axis=0)
            say(f"{kind}: task {task:.3f}, control {control:.3f}, selectivity {task - control:.3f}")
    selectivity = {kind: pair[:, 0] - pair[:, 1] for kind, pair in found.items()}
    assert (found["logistic"][:, 0] > 0.9).all()
    assert (found["hidden"][:, 0] > 0.95).all()
    assert (selectivity["logistic"] > 0.3).all()
    assert (selectivity["hidden"] < 0.1).all()


@pytest.mark.hard
@pytest.mark.parametrize("classes", [2, 12])
def test_every_gradient_at_full_size_is_as_small_as_it_says(
    classes: int, seed: int, say: Callable[[str], None]
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((4000, 768)) * (1 + np.arange(768)) ** -0.7
    X = (X @ np.linalg.qr(rng.standard_normal((768, 768)))[0] * 10).astype(np.float32)
    X[:, 5] = X[:, 5] * 50 + 300
    score = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.standard_normal((768, classes))
    y = (score / score.std() + 0.5 * rng.gumbel(size=score.shape)).argmax(axis=1)
    train = rng.random((1, 4000)) < 0.6
    problems = Problems.crossed(y[None], train, classes, [1.0, 1e-2, 1e-4])
    found = finish(fit("logistic", X, problems))
    rows = train[0]
    x = X[rows].astype(np.float64)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    target = y[rows] == 1 if classes == 2 else y[rows][:, None] == np.arange(classes)
    for i, penalty in enumerate(problems.penalty):
        w = found.standardised()[i]
        b = found.bias[i] + found.weights[i].astype(np.float64) @ found.mean[i]
        z = x @ w.T + b
        if classes == 2:
            p = 1 / (1 + np.exp(-z))
            gradient = (p - target[:, None]).T @ x / len(x) + penalty * w
        else:
            p = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
            gradient = (p - target).T @ x / len(x) + penalty * w
        largest = float(np.abs(gradient).max())
        say(f"{classes} classes, lambda {penalty:g}: {largest:.1e}, said "
            f"{found.gradient_norm[i]:.1e}, {found.iterations[i]} products")  # fmt: skip
        assert largest <= 1.1e-6


@pytest.mark.hard
def test_a_hundred_thousand_rows_on_disk_are_read_in_bounded_memory(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    rng = np.random.default_rng(0)
    n, d = 100_000, 1024  # 410 MB: above what is kept as a copy
    X = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (n, d))
    for start in range(0, n, 5000):
        X[start : start + 5000] = rng.standard_normal((5000, d), dtype=np.float32)
    y = (X[:, :8] @ rng.standard_normal((8, 5))).argmax(axis=1)
    train = rng.random((2, n)) < 0.8
    problems = Problems.crossed(np.stack([y, rng.permutation(y)]), train, 5, [1.0, 1e-1])
    del X
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", "r")
    before = anonymous()
    peak = [before]
    longest, last = 0.0, time.perf_counter()

    def listen() -> None:
        nonlocal longest, last
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        peak[0] = max(peak[0], anonymous())

    with blas.limit("one"):
        for kind in KINDS:
            if kind == "hidden":
                continue  # 40 passes over all rows: minutes
            start = last = time.perf_counter()
            longest = 0.0
            found = finish(fit(kind, mapped, problems, listen=listen))
            _, accuracy = choose(found, mapped, problems, ~train, listen=listen)
            say(f"{kind}: {time.perf_counter() - start:.0f} s, accuracy {accuracy.max():.3f}, "
                f"longest wait for Stop {1e3 * longest:.0f} ms")  # fmt: skip
            assert accuracy[:2].max() > 0.8
    say(f"memory above the start: {(peak[0] - before) >> 20} MB")
    assert peak[0] - before < 256 << 20  # less than a copy


def anonymous() -> int:
    """Bytes of this process that no file holds; on systems that do not say so, the peak of all."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (one for one in status.read_text().splitlines() if one.startswith("RssAnon"))
        return int(line.split()[1]) << 10
    kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kept if sys.platform == "darwin" else kept << 10


@pytest.mark.hard
def test_a_thousand_classes_and_a_wide_layer_are_solved(
    seed: int, say: Callable[[str], None]
) -> None:
    rng = np.random.default_rng(seed)
    y = np.arange(5000) % 1000
    X = rng.standard_normal((1000, 64))[y] + 0.3 * rng.standard_normal((5000, 64))
    problems = Problems.crossed(y[None], np.ones((1, 5000), bool), 1000, [1e-2, 1e-3])
    start = time.perf_counter()
    with blas.limit("one"):
        found = finish(fit("logistic", X.astype(np.float32), problems))
    say(f"1,000 classes: {time.perf_counter() - start:.0f} s, {found.iterations} products")
    assert (found.gradient_norm <= 1e-6).all()
    X = rng.standard_normal((600, 3072), dtype=np.float32)
    y = (X[:, :5].sum(axis=1) > 0).astype(int)
    problems = Problems.crossed(y[None], np.ones((1, 600), bool), 2, [1e-1, 1e-3])
    start = time.perf_counter()
    with blas.limit("one"):
        found = finish(fit("logistic", X, problems))
    say(f"600 x 3,072: {time.perf_counter() - start:.1f} s, {found.iterations} products")
    assert (found.gradient_norm <= 1e-6).all()

"""Tasks in the plane: points of the square [-1, 1]^2 in two classes, each a known figure.

Points are uniform in the square (of the spiral: in its arms, the gaps between them left empty) and
a label is a function of the point alone, so a network can learn all of it; what differs is how much
a straight line already says: of the rings and the spiral hardly anything, of the sine 89 %.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.errors import RunError

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

SIDE = 2.0  # of the square
RING = 8.0  # radians per unit of distance: five rings reach the corners
CHECKS = 4  # squares on a side
WAVE, BEND = 0.4, 4.0  # height of the sine, radians per unit of distance
GAP = 0.6  # of the spiral: what lies nearer to the border than this sine is not drawn
CELLS = 16  # of the grid whose cells are a point's "word type", on a side


def _rings(x: Floats, y: Floats) -> Floats:
    return np.sin(RING * np.hypot(x, y))


def _checkerboard(x: Floats, y: Floats) -> Floats:
    column, row = np.floor((x + 1) * CHECKS / SIDE), np.floor((y + 1) * CHECKS / SIDE)
    return (column + row) % 2


def _spiral(x: Floats, y: Floats) -> Floats:
    return np.sin(np.arctan2(y, x) + RING * np.hypot(x, y))


def _xor(x: Floats, y: Floats) -> Floats:
    return x * y


def _sine(x: Floats, y: Floats) -> Floats:
    return y - WAVE * np.sin(BEND * x)


FIGURES: dict[str, tuple[Callable[[Floats, Floats], Floats], str]] = {
    "rings": (_rings, "sin(8 r) > 0, r the distance from the centre"),
    "checkerboard": (_checkerboard, "the squares of a 4 x 4 board"),
    "spiral": (_spiral, "sin(angle + 8 r) > 0: two arms with a gap between them"),
    "xor": (_xor, "x y > 0: opposite quarters"),
    "sine": (_sine, "y > 0.4 sin(4 x): above or below a wave"),
}
"""Name -> (function of x and y that is above 0 in class 1, the rule in words)."""
NAMES = tuple(FIGURES)


def label(task: str, points: Floats) -> Ints:
    """The class, 0 or 1, of points [point, xy] -> [point]; RunError names the tasks there are."""
    if task not in FIGURES:
        raise RunError(f"no task is called {task!r}; there are {', '.join(NAMES)}")
    figure, _ = FIGURES[task]
    x, y = np.asarray(points, np.float64).T  # [point] each
    return (figure(x, y) > 0).astype(np.int64)


def draw(task: str, n: int, seed: int | tuple[int, ...]) -> tuple[Floats, Ints]:
    """n points of the task and their classes: points [point, xy] float32, labels [point]."""
    rng = np.random.default_rng(seed)
    if task != "spiral":
        points = rng.uniform(-1, 1, (n, 2)).astype(np.float32)  # [point, xy]
        return points, label(task, points)
    kept: list[Floats] = []
    while sum(map(len, kept)) < n:
        points = rng.uniform(-1, 1, (2 * n, 2)).astype(np.float32)  # [point, xy]
        kept.append(points[np.abs(_spiral(*points.T)) > GAP])
    points = np.concatenate(kept)[:n]  # [point, xy]
    return points, label(task, points)


def cells(points: Floats) -> Ints:
    """The cell [point] of a 16 x 16 grid that each of the points [point, xy] lies in.

    It takes the place of a word's type: what a control task gives a random label to.
    """
    places = np.clip((np.asarray(points) + 1) * (CELLS / SIDE), 0, CELLS - 1)  # [point, xy]
    column, row = places.astype(np.int64).T  # [point] each
    return row * CELLS + column


def grid(n: int) -> Floats:
    """The centres of n x n cells of the square as points [row * col, xy]; row 0 is y near -1."""
    middle = (np.arange(n, dtype=np.float32) + 0.5) * np.float32(SIDE / n) - 1  # [col]
    x, y = np.meshgrid(middle, middle)  # [row, col] each
    return np.stack([x.ravel(), y.ravel()], axis=1)  # [row * col, xy]

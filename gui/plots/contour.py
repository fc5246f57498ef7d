"""Where a quantity on a grid passes a level, as line segments: marching squares (Lorensen 1987)."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def contour(values: Array, level: float) -> Array:
    """values [row, col] -> [segment, 2 ends, (col, row)], in steps of the grid from its node 0.

    A side of a cell is crossed where its ends lie on different sides of the level; the place is
    interpolated. A saddle, crossed on all four sides, is joined by the mean of its corners. Cells
    with a NaN have no line.
    """
    v = np.asarray(values, np.float64) - level  # [row, col]
    if min(v.shape, default=0) < 2:
        return np.zeros((0, 2, 2))
    corners = np.stack([v[:-1, :-1], v[:-1, 1:], v[1:, 1:], v[1:, :-1]])  # [corner, row, col]
    above = corners > 0
    crossed = above != np.roll(above, -1, axis=0)  # [side, row, col]: top, right, bottom, left
    crossed &= np.isfinite(corners).all(axis=0)
    row, col = np.nonzero(crossed.any(axis=0))  # [cell] each
    if not len(row):
        return np.zeros((0, 2, 2))
    mine, sides = corners[:, row, col], crossed[:, row, col]  # [4, cell] each
    a, b = mine, np.roll(mine, -1, axis=0)  # [side, cell]: values at both ends
    share = np.divide(a, a - b, out=np.zeros_like(a), where=sides)  # [side, cell]
    start = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])  # [side, (col, row)]
    way = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])  # [side, (col, row)]
    places = start[:, None] + way[:, None] * share[:, :, None]  # [side, cell, (col, row)]
    places += np.stack([col, row], axis=1)  # from the cell's own corner
    first = sides.argmax(axis=0)  # [cell]
    last = 3 - sides[::-1].argmax(axis=0)  # [cell]
    cells, saddle = np.arange(len(row)), sides.all(axis=0)
    found = [np.stack([places[first, cells], places[last, cells]], axis=1)[~saddle]]
    if saddle.any():
        at = np.flatnonzero(saddle)
        same = (mine[:, at].mean(axis=0) > 0) == (mine[0, at] > 0)  # corner 0 joins corner 2
        for ends in ((0, 1, 2, 3), (3, 0, 1, 2)):
            some = at[same] if ends[0] == 0 else at[~same]
            for one, other in (ends[:2], ends[2:]):
                found.append(np.stack([places[one, some], places[other, some]], axis=1))
    return np.concatenate(found)  # [segment, 2, 2]

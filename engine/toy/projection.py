"""Projection: arrows of two or three dimensions as a flat picture, its hull and its edges.

A perspective camera looks at the unit sphere along -z; `yaw` turns about the vertical axis and
`pitch` about the horizontal one, in radians.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray
DISTANCE = 4.0  # of the camera from the centre, in norms: depth is seen, straight lines stay calm
NEAR = 0.12  # cosines this close to a feature's largest one are edges too
OPPOSITE = -0.9  # arrows that point away from each other are no neighbours


def rotation(yaw: float, pitch: float) -> Array:
    """[3, 3]: about the vertical axis first, then about the horizontal one."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    about_y = np.array([[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]])  # [3, 3]
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])  # [3, 3]
    return about_x @ about_y


def project(points: Array, yaw: float, pitch: float, distance: float = DISTANCE) -> Array:
    """[..., 3] -> [..., 3]: x, y of the picture in norms at the centre, and z towards the eye."""
    turned = np.asarray(points, np.float64) @ rotation(yaw, pitch).T  # [..., 3]
    scale = distance / np.maximum(distance - turned[..., 2], 0.1)  # [...]
    flat = turned.copy()  # [..., 3]
    flat[..., :2] *= scale[..., None]
    return flat


def outline(distance: float = DISTANCE) -> float:
    """Radius at which the unit sphere ends in that picture."""
    return float(distance / np.sqrt(distance**2 - 1.0))


def hull(points: Array) -> Array:
    """Indices of the convex hull of [point, 2], counter-clockwise (Andrew's monotone chain)."""
    points = np.asarray(points, np.float64)
    if len(points) < 3:
        return np.arange(len(points))
    order = np.lexsort((points[:, 1], points[:, 0]))  # [point]

    def half(indices: Array) -> list[int]:
        chain: list[int] = []
        for index in indices:
            while (
                len(chain) >= 2 and _turn(points[chain[-2]], points[chain[-1]], points[index]) <= 0
            ):
                chain.pop()
            chain.append(int(index))
        return chain[:-1]

    return np.array(half(order) + half(order[::-1]), int)


def _turn(a: Array, b: Array, c: Array) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def edges(vectors: Array, kept: Array) -> Array:
    """Pairs [edge, 2] of kept features that are neighbours: each with those of largest cosine.

    vectors [feature, d_hidden], kept [feature] bool.
    """
    vectors = np.asarray(vectors, np.float64)
    index = np.flatnonzero(kept)  # [n]
    if len(index) < 2:
        return np.zeros((0, 2), int)
    chosen = vectors[index]  # [n, d_hidden]
    unit = chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T  # [n, n]
    np.fill_diagonal(cosine, -2.0)
    close = (cosine >= cosine.max(axis=1, keepdims=True) - NEAR) & (cosine > OPPOSITE)  # [n, n]
    first, second = np.nonzero(np.triu(close | close.T, 1))
    return np.stack([index[first], index[second]], axis=1)  # [edge, 2]


def gaps(vectors: Array, feature: int, kept: Array) -> tuple[tuple[int, float], ...]:
    """The kept neighbours of a feature around the circle: (feature, degrees), right and left.

    vectors [feature, 2]; degrees are 0 to 360, counter-clockwise for the first.
    """
    vectors = np.asarray(vectors, np.float64)
    others = np.flatnonzero(kept)  # [n]
    others = others[others != feature]
    if not len(others):
        return ()
    angle = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0]))  # [feature]
    ahead = (angle[others] - angle[feature]) % 360  # [n]
    left, right = int(ahead.argmin()), int(ahead.argmax())
    found = (
        (int(others[left]), float(ahead[left])),
        (int(others[right]), float(360 - ahead[right])),
    )
    return found[:1] if left == right else found

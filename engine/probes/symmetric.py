"""Large symmetric systems in steps short enough for a Stop: A = L L' by blocks of columns.

One call of LAPACK on a 3,072 x 3,072 matrix takes seconds and hears nobody; here each block is a
small factorisation and two products. Float64.
"""

from __future__ import annotations

import numpy as np

from engine.probes.problems import Floats, Listen

BLOCK = 256  # columns at a time


class Cholesky:
    """The factor of a symmetric positive definite A [d, d], which is left as it is.

    Raises numpy.linalg.LinAlgError where A is not positive definite.
    """

    def __init__(self, A: Floats, listen: Listen) -> None:
        self.listen = listen
        self.lower = A.copy()  # [d, d]; the lower triangle becomes L
        d = len(A)
        self.parts = [slice(at, min(at + BLOCK, d)) for at in range(0, d, BLOCK)]
        self.inverse: list[Floats] = []  # of the diagonal blocks of L
        for own in self.parts:
            listen()
            corner = np.linalg.cholesky(self.lower[own, own])  # [block, block]
            self.lower[own, own] = corner
            self.inverse.append(np.linalg.inv(corner).astype(np.float64))
            below = self.lower[own.stop :, own] @ self.inverse[-1].T  # [rest, block]
            self.lower[own.stop :, own] = below
            self.lower[own.stop :, own.stop :] -= below @ below.T

    def solve(self, B: Floats) -> Floats:
        """A^-1 B for B [d, column]."""
        x = B.copy()  # [d, column]
        for own, inverse in zip(self.parts, self.inverse, strict=True):
            self.listen()
            x[own] = inverse @ (x[own] - self.lower[own, : own.start] @ x[: own.start])
        for own, inverse in zip(self.parts[::-1], self.inverse[::-1], strict=True):
            self.listen()
            x[own] = inverse.T @ (x[own] - self.lower[own.stop :, own].T @ x[own.stop :])
        return x

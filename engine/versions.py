"""What this program is made of: versions of its libraries, and which BLAS multiplies for NumPy."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

import engine
from engine.errors import FileError

LIBRARIES = (
    "numpy", "scipy", "safetensors", "tokenizers", "msgspec", "threadpoolctl", "platformdirs",
)  # fmt: skip
"""The distributions that the engine asks for."""


def versions() -> dict[str, str]:
    """What made a number: the versions of Mechanoscope, NumPy and Python."""
    return {
        "mechanoscope": engine.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def version_of(distribution: str) -> str:
    """Its version without importing it; "" where it is not there.

    The packaged program has no metadata of most distributions; its list of licences says it.
    """
    from importlib import metadata  # 20 ms with all of `email`, and every run asks for `versions`

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        from engine.licences import normal

        return _bundled().get(normal(distribution), "")


@cache
def _bundled() -> Mapping[str, str]:
    from engine.licences import bundled, normal, read

    folder = bundled()
    try:
        found = read(folder) if folder is not None else []
    except FileError:
        return {}
    return {normal(part.name): part.version for part in found}


@dataclass(frozen=True)
class BlasLibrary:
    """kernel: for which processor its loops are; threads: how many it uses now; 0 = not said."""

    name: str
    version: str = ""
    kernel: str = ""
    threads: int = 0

    def __str__(self) -> str:
        """`OpenBLAS 0.3.31, Haswell kernels, 2 threads`."""
        words = [f"{self.name} {self.version}".strip()]
        words += [f"{self.kernel} kernels"] if self.kernel else []
        words += [f"{self.threads} thread{'s' * (self.threads != 1)}"] if self.threads else []
        return ", ".join(words)


def blas_library() -> BlasLibrary:
    """The BLAS that NumPy uses: as it is loaded, or as NumPy was built where that is not told."""
    loaded = ThreadpoolController().select(user_api="blas").info()
    if loaded:
        own = dict(max(loaded, key=_of_numpy))
        api = str(own.get("internal_api"))
        name = {"openblas": "OpenBLAS", "mkl": "Intel MKL", "blis": "BLIS"}.get(api, api)
        kernel, version = str(own.get("architecture") or ""), str(own.get("version") or "")
        return BlasLibrary(name, version, kernel, int(own["num_threads"] or 0))
    about: Any = np.show_config(mode="dicts") or {}
    built = about.get("Build Dependencies", {}).get("blas", {})
    name = str(built.get("name") or "unknown")
    if name.lower() == "accelerate":  # macOS: its version is that of the system
        return BlasLibrary("Apple Accelerate")
    return BlasLibrary(name, str(built.get("version") or "").replace("unknown", ""))


def _of_numpy(library: Mapping[str, Any]) -> bool:
    """SciPy's wheel loads one of its own; NumPy's lies in `numpy.libs` or in NumPy itself."""
    return any(part.startswith("numpy") for part in Path(library["filepath"]).parts)

"""Another script of this folder as a module, and the version that all of them print.

`packaging` itself is a package of PyPI, so they are found by their paths.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent


def script(name: str) -> ModuleType:
    """`script("linux/desk")` is packaging/linux/desk.py."""
    spec = importlib.util.spec_from_file_location(f"mechanoscope_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up there
    spec.loader.exec_module(module)
    return module


def version() -> str:
    """The version of the program, from the one place that says it; nothing of it is imported."""
    source = (HERE.parent / "engine" / "__init__.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__version__":
            return str(ast.literal_eval(node.value))
    raise ValueError("engine/__init__.py does not say __version__ = '...'")

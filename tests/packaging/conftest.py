"""The scripts of packaging/, which is no package: PyPI has one of that name."""

import importlib.util
import sys

import pytest


@pytest.fixture(scope="session")
def script(project):
    """`script("build")` is packaging/build.py as a module."""
    folder = project / "packaging"

    def load(name):
        full = f"mechanoscope_packaging_{name}"
        if full not in sys.modules:
            spec = importlib.util.spec_from_file_location(full, folder / f"{name}.py")
            assert spec is not None
            assert spec.loader is not None
            sys.modules[full] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[full])
        return sys.modules[full]

    return load

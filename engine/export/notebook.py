"""A run as a Jupyter notebook: nbformat 4.5, written as the JSON that it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from engine.caption import details
from engine.export.recipe import Recipe
from engine.session import Run
from engine.technique import Technique

_ARRAYS = """\
from dataclasses import fields

import numpy as np

for item in fields(result):
    value = np.asarray(getattr(result, item.name))
    print(f"{item.name}  {value.dtype} {value.shape}  {item.metadata['help']}")
    print(np.array2string(value, precision=4, threshold=50, edgeitems=2), end="\\n\\n")"""


def to_notebook(what: Run | Technique, folder: str | Path = "") -> str:
    """The JSON of an .ipynb file: where it comes from, load and spec, run, a look at the arrays."""
    recipe = Recipe.of(what, folder)
    title = str(recipe.about().get("title") or recipe.title)
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in details(recipe.about())]
    told = "\n".join([f"# {_cell(title)}", "", "| | |", "|---|---|", *rows])
    cells = [
        {"cell_type": "markdown", "id": "provenance", "metadata": {}, "source": _lines(told)},
        _code("preparation", recipe.preparation()),
        _code("run", recipe.execution()),
        _code("arrays", _ARRAYS),
    ]
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1) + "\n"


def _code(name: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code", "id": name, "metadata": {}, "execution_count": None, "outputs": [],
        "source": _lines(source),
    }  # fmt: skip


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _cell(text: str) -> str:
    """Text that Markdown shows as it is: no HTML, no link, no end of the table's cell."""
    return re.sub(r"([\\`*_\[\]<>#|~$&])", r"\\\1", " ".join(text.split()))

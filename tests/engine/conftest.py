"""What several tests of the engine share."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FAMILIES = Path(__file__).parents[1] / "data" / "families"
Copy = Callable[..., Path]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy of a family's folder, with fields of its config changed (... = taken out)."""

    def make(family: str, **fields: Any) -> Path:
        folder = Path(shutil.copytree(FAMILIES / family, tmp_path / family, dirs_exist_ok=True))
        config = json.loads((folder / "config.json").read_text()) | fields
        config = {name: value for name, value in config.items() if value is not ...}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make

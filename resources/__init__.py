"""The files the program carries with it: fonts, icons, models, prompts, the guide. Data only."""

from importlib.resources import as_file, files
from pathlib import Path


def path(*parts: str) -> Path:
    """The bundled file or folder at `parts`, as a path on disk: `path("icons", "play.svg")`."""
    with as_file(files(__name__).joinpath(*parts)) as found:
        return found

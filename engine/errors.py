"""What can go wrong, one type per place where the user sees it. Anything else is a bug."""

from __future__ import annotations

from pathlib import Path


class SpecError(ValueError):
    """A field of a technique is out of its limits; shown at that field of the form."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class RunError(RuntimeError):
    """The science went wrong (NaN, unequal prompts); shown in the panel's message line."""


class FileError(RuntimeError):
    """A file or folder is not readable; the message names it, the reason and the next step."""

    def __init__(self, path: str | Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = Path(path)
        self.why = why


class Cancelled(Exception):
    """Raised between two activations when the user has pressed Stop. Never an error."""

"""Labelling: the labels of the dictionary in a panel's picture: the person's, and the session's."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject

from gui.panel import Panel
from gui.sae_browse import labels as store


class Labelling(QObject):
    """Belongs to a panel whose results name a basis. What a stored run says yields to what is
    written now."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.panel = panel
        self._own: dict[int, str] = {}
        self._given: dict[int, str] = {}  # with the run in the picture

    @property
    def labels(self) -> dict[int, str]:
        return {**self._given, **self._own}

    @property
    def key(self) -> str:
        panel, model = self.panel, self.panel.drawn[1]
        run = panel.run_shown
        if model is None and run is not None:
            model = run.model
        return store.key_of(panel.result, str(getattr(model, "name", "")))

    def read(self) -> None:
        """What the settings know of the dictionary in the picture."""
        self._own = store.labels_of(self.key)

    def write(self, latent: int, text: str) -> None:
        self._given.pop(latent, None)
        self._own = store.write_label(self.key, latent, text)

    def take(self, given: Any) -> None:
        """Those that came with a run, from a file."""
        self._given = store.checked(given)

    def as_json(self) -> dict[str, str]:
        return {str(at): text for at, text in sorted(self.labels.items())}

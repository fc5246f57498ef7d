"""Opening: an SAE dropped or chosen goes into the form and is run; a model's own is offered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, QObject
from PySide6.QtWidgets import QMenu

from gui import dialogs, library
from gui.ref_field import RefField

if TYPE_CHECKING:
    from gui.panel import Panel


class Opening(QObject):
    """Belongs to a panel with a field `sae`."""

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self.panel = panel
        self._said = ""  # the offer, while it is there

    @property
    def field(self) -> RefField | None:
        entry = self.panel.form.entries.get("sae") if self.panel.form is not None else None
        return entry.control if entry is not None and isinstance(entry.control, RefField) else None

    def offer(self) -> None:
        """Say that the open model comes with an SAE, where nothing of it is browsed yet."""
        panel, field = self.panel, self.field
        model, shown = panel.desk.model, panel.message
        if self._said and shown.text.text() == self._said:
            panel.say("")  # of the model before
        self._said = ""
        folder = getattr(model, "folder", None)
        read = panel.result is not None and panel.drawn[1] is model
        if folder is None or field is None or read or panel.running:
            return
        found = library.saes_beside(Path(folder))
        if found and (field.ref is None or Path(field.ref.where) != found[0]):
            self._said = f"{model.name} comes with an SAE."
            panel.say(self._said, "info", ("Browse it", lambda: self.open(found[0])))

    def offer_in(self, menu: QMenu) -> None:
        """The first entry of the panel's menu."""
        entries = menu.actions()
        mine = menu.addAction("Open SAE…", self.ask)
        if entries:
            menu.insertAction(entries[0], mine)

    def ask(self) -> None:
        dialogs.choose_folder(self.panel.window(), "Open the folder of an SAE", self.open)

    def open(self, path: Path) -> None:
        """Put an SAE into the form; run as soon as its digest is known."""
        field, panel = self.field, self.panel
        if field is None:
            return
        from engine.sae.files import place

        self._read_as_sae()
        job = field.read(place(path))
        if job is not None:
            panel.say("")
            job.finished.connect(lambda _: panel.stop(panel.run))

    def _read_as_sae(self) -> None:
        """The basis and the hook are the SAE's own."""
        assert self.panel.form is not None
        for name, value in (("basis", "auto"), ("hook", "")):
            if (entry := self.panel.form.entries.get(name)) is not None:
                entry.value = value

    def dropped(self, data: QMimeData) -> Path | None:
        """The first SAE in a drag; None where there is none."""
        from engine.sae.files import is_one

        paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
        return next((path for path in paths if is_one(path)), None)

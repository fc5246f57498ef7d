"""The export dialog: the page as it will be at the left, what it is at the right; never modal."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine.errors import FileError, SpecError
from gui import exporting, settings
from gui.buttons import Button, label
from gui.dialogs import choose_target
from gui.export_options import Options
from gui.export_preview import Preview
from gui.figures import figure_of, width_enough
from gui.plots.export import INCH

if TYPE_CHECKING:
    from gui.panel import Panel

SETTLED = 60  # ms without a change before the preview is made anew
SIDE = 264  # px of the right column
NO_WIDTH = f" No width up to {exporting.MOST_MM:.0f} mm has room for all of it."
MOST_TEXT = 20_000  # characters of a script that the preview shows


def show(panel: Panel, suffix: str = "") -> ExportDialog:
    """The dialog of a panel, made or brought to the front; one for each panel."""
    for open_one in panel.findChildren(ExportDialog):
        if open_one.isVisible():
            if suffix:
                open_one.options.choose(suffix)
            open_one.raise_()
            open_one.activateWindow()
            return open_one
    made = ExportDialog(panel, suffix)
    made.show()
    return made


class ExportDialog(QDialog):
    """Shows what the panel shows, as it changes; Export… asks for a name, Copy needs none."""

    def __init__(self, panel: Panel, suffix: str = "") -> None:
        super().__init__(panel)
        self.panel = panel
        self.setWindowTitle(f"Export {panel.title.lower()}")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        layout, dpi = exporting.remembered()
        known = suffix or settings.read("export/format", "png")
        self.options = Options(layout, dpi, known if known in exporting.FORMATS else "png")
        self.preview = Preview()
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setProperty("mono", True)
        self.text.setAccessibleName("What will be written")
        self.left = QStackedWidget()
        self.left.addWidget(self.preview)
        self.left.addWidget(self.text)
        self.facts = label("", "small")
        self.warning = label("", "small")
        self.warning.setProperty("tone", "warn")
        for line in (self.facts, self.warning):
            line.setWordWrap(True)
        self.copy = Button("Copy", "copy", self.copy_it)
        self.export = Button("Export…", "download", self.ask, primary=True)
        self._lay_out()
        self.export.setDefault(True)  # a button finds its dialog only in it
        self._soon = QTimer(self, singleShot=True, interval=SETTLED)
        self._soon.timeout.connect(self.refresh)
        self.options.changed.connect(self._soon.start)
        self.preview.resized.connect(self._soon.start)
        panel.shown.connect(self._panel_drew)
        panel.ended.connect(self._panel_drew)
        panel.desk.focus_changed.connect(self._panel_drew)
        self.resize(900, 600)
        self.options.format.setFocus()
        self._soon.start()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.copy)
        buttons.addStretch(1)
        buttons.addWidget(self.export)
        column = QWidget()
        column.setFixedWidth(SIDE)
        side = QVBoxLayout(column)
        side.setContentsMargins(0, 0, 0, 0)
        side.setSpacing(8)
        side.addWidget(self.options)
        side.addWidget(self.facts)
        side.addWidget(self.warning)
        side.addStretch(1)
        side.addLayout(buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 16, 16, 16)
        row.setSpacing(16)
        row.addWidget(self.left, 1)
        row.addWidget(column)
        self.setTabOrder(self.options, self.copy)
        self.setTabOrder(self.copy, self.export)

    def _panel_drew(self, *_: object) -> None:
        if not self.panel.running:  # a run draws thirty times a second
            self._soon.start()

    def changeEvent(self, event: QEvent) -> None:
        """Whoever comes back may have turned to something else in the panel meanwhile."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self._panel_drew()

    # the preview

    def refresh(self) -> None:
        """Make the page anew and say its size; what cannot be made is said in words."""
        suffix = self.options.suffix
        self.facts.setText("")
        self.warning.setText("")
        picture = suffix in exporting.PICTURES
        why = "" if suffix in exporting.CODE else exporting.refusal(self.panel)
        self.export.setEnabled(not why)
        self.left.setCurrentWidget(self.preview if picture else self.text)
        self.copy.setEnabled(not why and suffix not in exporting.NUMBERS)
        try:
            if why:
                self.preview.show_page(None)
                self.text.clear()
                self._warn(why)
                if why == exporting.COMPARING:
                    self._soon.start()
            elif picture:
                self._refresh_picture()
            elif suffix in exporting.CODE:
                self.text.setPlainText(exporting.code(self.panel, suffix)[:MOST_TEXT])
            else:
                self.text.setPlainText(_arrays(self.panel))
        except (SpecError, FileError, OSError, MemoryError) as error:
            self._warn(str(error) or "There is not enough memory for this size.")

    def _refresh_picture(self) -> None:
        layout = self.options.layout_
        with figure_of(self.panel, layout) as figure:
            width, height = figure.size_mm
            self.preview.show_page(figure.image(self.preview.dpi_for(width, height)))
            cramped = figure.cramped
        facts = f"{width:.0f} × {height:.0f} mm"
        if self.options.suffix == "png":
            across, down = (round(side / INCH * self.options.dpi) for side in (width, height))
            facts += f", {across:,} × {down:,} pixels"
        self.facts.setText(facts)
        if cramped:
            enough = width_enough(self.panel, layout)
            way_out = f" All of it fits in {enough:.0f} mm." if enough else NO_WIDTH
            self._warn(f"At this size {cramped}.{way_out}")

    def _warn(self, text: str) -> None:
        self.warning.setText(text)

    # the buttons

    def ask(self) -> None:
        """A file name, then the file."""
        suffix, name = self.options.suffix, exporting.file_name(self.panel)
        self._remember()
        choose_target(self, self.windowTitle(), name, suffix, self.write)

    def write(self, path: Path) -> None:
        """Write it and close; what the disk says against it stays to be read."""
        wrong = exporting.write(self.panel, path, self.options.layout_, self.options.dpi)
        if wrong:
            self._warn(wrong)
        else:
            self.close()

    def copy_it(self) -> None:
        self._remember()
        if self.options.suffix in exporting.PICTURES:
            exporting.copy_picture(self.panel, self.options.layout_)
            return
        try:
            exporting.put(exporting.code(self.panel, self.options.suffix))
        except SpecError as error:
            self._warn(f"{error.field.capitalize()}: {error.message}")

    def _remember(self) -> None:
        settings.write("export/format", self.options.suffix)
        layout = self.options.layout_
        exporting.remember(replace(layout, height_mm=None), self.options.dpi)


def _arrays(panel: Panel) -> str:
    """The arrays that are written, one to a line: name, axes, numbers."""
    shown, result = panel.comparison, panel.result
    if shown is not None and shown.found is not None:
        from engine.export import compared_arrays  # with the session

        parts = [
            (name, " ".join(axes), cells) for name, axes, cells in compared_arrays(shown.found)
        ]
    else:
        parts = [(item.name, item.metadata.get("axes", ""), np.asarray(getattr(result, item.name)))
                 for item in (fields(result) if is_dataclass(result) else ())]  # fmt: skip
    lines = []
    for name, axes, cells in parts:
        shape = " x ".join(map(str, cells.shape)) or "one value"
        lines.append(f"{name:28} {axes:22} {shape:16} {cells.dtype}")
    return "\n".join(lines)

"""What a panel's "…" menu offers: its run as a script, its picture and its arrays as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu

from engine.errors import FileError, SpecError
from gui.dialogs import choose_target

if TYPE_CHECKING:
    from gui.panel import Panel

FORMATS = {
    "png": "Export picture (PNG)…",
    "svg": "Export drawing (SVG)…",
    "npz": "Export arrays (NPZ)…",
}


def fill(menu: QMenu, panel: Panel) -> None:
    """Add the entries for a panel that runs a technique."""
    menu.addAction("Copy as Python script", panel.copy_script)
    menu.addSeparator()
    for suffix, words in FORMATS.items():
        action = menu.addAction(words)
        action.triggered.connect(lambda _=False, suffix=suffix: ask(panel, suffix))


def ask(panel: Panel, suffix: str) -> None:
    """Ask for a file name and write the panel's result there."""
    if panel.result is None:
        panel.say("There is nothing to export yet; press Run.", "info")
        return
    title = f"Export {panel.title.lower()}"
    name = panel.kind or panel.title.lower()
    choose_target(panel, title, name, suffix, lambda path: write(panel, path))


def write(panel: Panel, path: Path) -> None:
    """Write by the name's ending; what the disk says against it appears in the panel."""
    ways = {".png": panel.export_png, ".svg": panel.export_svg, ".npz": panel.export_npz}
    if path.suffix.lower() not in ways:
        panel.say(f"{path.name}: choose .png, .svg or .npz.", "warn")
        return
    try:
        ways[path.suffix.lower()](path)
    except OSError as error:
        panel.say(f"{path.name} could not be written: {error.strerror or error}.", "bad")
    except FileError as error:
        panel.say(f"{path.name} could not be written: {error.why}.", "bad")
    else:
        panel.say(f"Written to {path}.", "good")


def write_arrays(panel: Panel, path: Path | str) -> None:
    """The result by field name, with the spec and, where the run has ended, its provenance."""
    from engine.script import write_npz  # with the session

    spec = panel.drawn[0]
    if panel.result is not None and spec is not None:
        about = panel.run_shown.provenance() if panel.run_shown is not None else {}
        write_npz(path, panel.result, spec, about)


def script(panel: Panel) -> str:
    from engine.script import to_script

    spec, model = panel.drawn
    folder = getattr(model or panel.desk.model, "folder", None) or ""
    return to_script(panel.run_shown or spec or panel.spec(), folder)


def copy_script(panel: Panel) -> None:
    try:
        QGuiApplication.clipboard().setText(panel.script())
    except SpecError as error:
        panel.say(f"{error.field.capitalize()}: {error.message}")
    else:
        panel.say("The script is on the clipboard; it makes the same arrays.", "good")

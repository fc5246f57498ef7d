"""What one can do with runs of the history: the entries of their menu, each with its keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtWidgets import QMenu

from engine.errors import FileError
from gui.dialogs import choose_target

if TYPE_CHECKING:
    from gui.panels.runs import RunsPanel


class RunActions:
    """Acts on entries for the panel that lists them, and tells in its line what came of it."""

    def __init__(self, panel: RunsPanel) -> None:
        self.panel = panel

    def menu(self, entries: list[Any], deleted: bool) -> QMenu:
        """For the chosen entries: one, several, or those in the trash."""
        panel, menu = self.panel, QMenu(self.panel)
        one = entries[0] if len(entries) == 1 else None
        readable = one if one is not None and one.run is not None else None
        pair = pair_of(entries)
        add = _Adder(menu)
        if deleted:
            add("Restore", panel.restore, "", bool(entries))
            menu.addSeparator()
        else:
            add("Show again", lambda: panel.ask(one), "Return", readable)
            add("Compare", lambda: panel.desk.ask("compare", pair), "", pair)
            menu.addSeparator()
            add("Rename", panel.rename, "F2", readable)
            add("Note…", panel.write_note, "Ctrl+M", readable)
            add("Delete", panel.delete, "Del", bool(entries))
            menu.addSeparator()
        add("Where this comes from…", lambda: self.details(one), "", readable)
        add("Copy as Python", lambda: self.copy(one, "script"), "Ctrl+C", readable)
        add("Copy as command", lambda: self.copy(one, "command"), "", readable)
        add("Save as notebook…", lambda: self.ask_notebook(one), "", readable)
        add("Export arrays…", lambda: self.ask_arrays(one), "", one and _has_numbers(one))
        if readable is not None and not readable.kept and readable.run.result is not None:
            add("Keep result", lambda: panel.records.keep_large(one), "", not deleted)
        menu.addSeparator()
        add("Compact session…", panel.ask_compact, "", bool(panel.records.deleted))
        return menu

    # a run as text

    def copy(self, entry: Any, what: str) -> None:
        from engine import export  # with the first copy, not with the window

        if what == "script":
            text, said = export.to_script(entry.run), "The script is"
        else:
            text, said = export.to_command(entry.run), "The command is"
        QGuiApplication.clipboard().setText(text)
        self.panel.say(f"{said} on the clipboard; it makes the same arrays.", "good")

    # a run as a file

    def ask_notebook(self, entry: Any) -> None:
        choose_target(self.panel, "Save as notebook", file_name(entry), "ipynb",
                      lambda path: self.write(entry, path, notebook))  # fmt: skip

    def ask_arrays(self, entry: Any) -> None:
        choose_target(self.panel, "Export arrays (.npz, or .csv)", file_name(entry), "npz",
                      lambda path: self.write(entry, path, arrays))  # fmt: skip

    def write(self, entry: Any, path: Path, do: Callable[[Any, Path], object]) -> None:
        """Read the whole run and write it, off this thread: a large result takes a second."""

        def begin(run: Any) -> None:
            job = self.panel.jobs.do(lambda watch, report: do(run, path), f"Writing {path.name}")
            job.finished.connect(lambda _: self.panel.say(f"Written to {path}.", "good"))
            job.failed.connect(lambda error, _: self._not_written(path, error))

        self.panel.records.load(entry, begin)

    def _not_written(self, path: Path, error: BaseException) -> None:
        if not isinstance(error, OSError | FileError):
            raise error
        why = error.why if isinstance(error, FileError) else error.strerror or str(error)
        self.panel.say(f"{path.name} could not be written: {why}.", "bad")

    # where it comes from

    def details(self, entry: Any) -> None:
        """With the texts of its tokens, which are in the file and not in the list."""
        self.panel.records.load(entry, self.panel.show_details)


class _Adder:
    """Adds an entry to a menu; its keys are shown there and belong to the panel."""

    def __init__(self, menu: QMenu) -> None:
        self.menu = menu

    def __call__(self, text: str, do: Callable[[], object], keys: str, enabled: Any) -> None:
        action = self.menu.addAction(f"{text}\t{shown(keys)}" if keys else text)
        action.setEnabled(bool(enabled))
        action.triggered.connect(lambda: do())


def shown(keys: str) -> str:
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)


def pair_of(entries: list[Any]) -> tuple[Any, Any] | None:
    """Two runs of one kind with their numbers, the older first; None for anything else."""
    if len(entries) != 2 or not all(_has_numbers(entry) for entry in entries):
        return None
    first, second = sorted(entries, key=lambda entry: entry.key)
    return (first, second) if first.run.kind == second.run.kind else None


def _has_numbers(entry: Any) -> bool:
    return entry.run is not None and (entry.kept or entry.run.result is not None)


def file_name(entry: Any) -> str:
    """The title as the name of a file."""
    kept = "".join(c if c.isalnum() or c in "-_ " else " " for c in entry.title)
    return "-".join(kept.split())[:60] or entry.run.kind


def notebook(run: Any, path: Path) -> None:
    from engine import export

    path.write_text(export.to_notebook(run, ""), encoding="utf-8")


def arrays(run: Any, path: Path) -> None:
    """NPZ, or CSV where the name says so."""
    from engine import export

    write = export.write_csv if path.suffix.lower() == ".csv" else export.write_npz
    write(path, run.result, run.spec, run.provenance())

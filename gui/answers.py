"""Answers: what the window does when a panel or the welcome page asks, `desk.ask(what, about)`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from gui.panel import Panel

if TYPE_CHECKING:
    from gui.window import Window


class Answers(QObject):
    """Belongs to a window."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.window_ = window
        window.desk.asked.connect(self.answer)

    def answer(self, what: str, about: Any) -> None:
        """Models and panels here; runs and sessions as those who keep them do it."""
        window = self.window_
        match what:
            case "open model":
                window.ask_model()
            case "open path":
                window.open_path(Path(about))
            case "open beside":  # to be read by whoever turns to reading
                window.beside = Path(about).absolute()
                window.opener.open(window.beside)
            case "turn to":
                window.turn_to(str(about))
            case "demonstrate":  # what needs no model, at once
                panel = window.panel(about)
                window.reveal(panel)
                getattr(panel, "demonstrate", panel.run)()
            case "reveal":  # a panel by its kind, to be run by hand
                window.reveal(window.panel(about))
            case "question":  # (folder, kind of technique)
                window.go_to(Panel.arrangement)
                window.open_and_run(Path(about[0]), ["*", about[1]])
            case "run all":
                window.run_all()
            case "run":  # (kind of technique, {field: value})
                self._run(*about)
            case "do":
                getattr(window, about)()
            case _:
                self._of_runs(what, about)

    def _of_runs(self, what: str, about: Any) -> None:
        window, records = self.window_, self.window_.records
        match what:
            case "show run":
                window.showing.show(about)
            case "show result":  # (kind of technique, spec, result): another panel's finding
                window.showing.show_result(*about)
            case "compare":
                window.showing.compare(*about)
            case "rename" | "rename run":
                records.rename(*about)
            case "note":
                records.annotate(*about)
            case "delete":
                records.delete(about)
            case "keep result":
                if (entry := records.entry_of(about)) is not None:
                    records.keep_large(entry)
            case "open unclosed":
                window.session.open_unclosed(about)
            case "dismiss unclosed":
                window.session.dismiss(about)

    def _run(self, kind: str, values: dict[str, Any]) -> None:
        """A panel of a kind to the front, with some of its fields set, and run anew."""
        panel = self.window_.panel(kind)
        self.window_.reveal(panel)

        def begin() -> None:
            entries = {} if panel.form is None else panel.form.entries
            for name, value in values.items():
                entries[name].value = value
            panel.run()

        panel.stop(begin)

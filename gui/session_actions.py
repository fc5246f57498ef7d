"""SessionActions: what File offers for sessions, what is said about them, and the end.

Never a modal question: each step that could lose a run is put into a notice with its ways out, and
the window waits for the answer without standing still.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer

from engine.errors import FileError
from gui import dialogs, memory, recovery
from gui.records import count
from gui.session_file import unstorable

if TYPE_CHECKING:
    from gui.window import Window

PATTERN = "Mechanoscope session (*.mscope)"
WAIT_SECONDS = 0.5  # for writers when the window is closed, before it says so
NEWS_MS = 5000  # how long the status bar says what was done
PATIENCE_MS = 20_000  # then it offers to close without them
FOLLOWED = ("title", "note", "model", "id", "digest")  # may change once a run is in a picture
OFFER_MS = 15_000  # how long the status bar offers an undo


class SessionActions(QObject):
    """Belongs to the window; the window's menu and panels ask it."""

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self.window_, self.records = window, window.records
        self.notice: dialogs.Notice | None = None
        self._closing = ""  # "" | "waiting" | "anyway"
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE_MS)
        self._patience.timeout.connect(self._still_saving)
        records = self.records
        records.refused.connect(self._refused)
        records.saved.connect(self._show_state)
        records.opened.connect(self._opened)
        records.deleted_some.connect(self._offer_undo)
        records.compacted.connect(self._compacted)
        records.data_missing.connect(self._ask_for_data)
        records.settled.connect(self._settled)
        records.changed.connect(self._follow)
        window.status.session_pressed.connect(records.retry)

    # the file

    def open(self, path: Path) -> None:
        self._leaving(f"Open {path.name}", lambda: self.records.open(path))

    def ask_open(self) -> None:
        dialogs.choose_file(self.window_, "Open a session", PATTERN, self.open)

    def new(self) -> None:
        self._leaving("Begin a new session", self.records.new)

    def save(self) -> None:
        """A titled session says that it is saved; an untitled one asks for its name."""
        if self.records.titled and not self.records.read_only:
            self.note_view()
            self.records.save()
            if not self.records.busy and not self._at_risk():
                self.window_.status.offer("Everything is saved", milliseconds=NEWS_MS)
        else:
            self.ask_save()

    def ask_save(self) -> None:
        if not self.records.entries and self.records.path is None:
            text = "There is nothing to save yet. Every run is kept as it ends, from the first one."
            self._say("No runs yet", text, sign="info")
            return
        self.note_view()
        self._choose_name(self.records.save_as)

    def _choose_name(self, then: dialogs.Then) -> None:
        name = self.records.name if self.records.titled else "session"
        dialogs.choose_target(self.window_, "Save the session as", name, "mscope", then)

    def rename(self, asked: tuple[Any, str]) -> None:
        self.records.rename(*asked)

    def ask_compact(self) -> None:
        """Say what would be gone for good, and do it on request."""
        gone = self.records.deleted
        if self.records.path is None:
            self._say("Nothing to compact", "This session has no file yet.", sign="info")
            return
        size = memory.size(self.records.nbytes)
        what = f"{count(len(gone), 'deleted run')} will be gone for good. " if gone else ""
        self._say(
            f"Compact {self.records.name}",
            f"{what}The file has {size} now; what is no longer used in it is given back.",
            [("Compact", self.records.compact)],
            sign="info",
        )

    def _compacted(self, freed: int) -> None:
        size = memory.size(self.records.nbytes)
        self.window_.status.offer(f"{memory.size(freed)} freed; the session has {size}", "")

    # what is said

    def _show_state(self, text: str, bad: bool) -> None:
        self.window_.status.show_session(text, bad=bad, tip=self._tip())

    def _tip(self) -> str:
        records = self.records
        where = f"{records.path}\n{memory.size(records.nbytes)}" if records.nbytes else ""
        if self._at_risk():
            return f"{records.trouble}\nPress to try again\n{where}".strip()
        if records.path is None and (why := unstorable()):
            return f"{why}\nSave session as… keeps them in another place"
        return where

    def _offer_undo(self, number: int) -> None:
        if number:
            text = f"{count(number, 'run')} deleted"
            self.window_.status.offer(text, "Undo", self.records.undo, OFFER_MS)
        else:
            self.window_.status.offer("")

    def _opened(self) -> None:
        words = {
            "window": "is open in another window",
            "file": "can only be read",
        }
        if self.records.blocked and self.records.path is not None:
            text = (
                "This window shows its runs and keeps new ones in a session of its own. "
                "Save session as… puts both into one file."
            )
            name = self.records.path.stem
            self._say(f"'{name}' {words[self.records.blocked]}", text, sign="info")

    def _ask_for_data(self, missing: list[Any]) -> None:
        """Name what lies outside the session and is not there any more."""
        number = count(len(missing), "file")
        texts = [str(error) for error in missing]
        rows = [
            (f"{text[:1].upper()}{text[1:]}.", "Locate…", self._locator(error.ref))
            for text, error in zip(texts, missing, strict=True)
        ]
        self.notice = dialogs.Notice(
            self.window_,
            f"{number} of this session {'is' if len(missing) == 1 else 'are'} missing or changed",
            "Its runs are shown as they were. To run them again, say where their data is now.",
            rows=rows,
        )
        self.notice.show()

    def _locator(self, ref: Any) -> Callable[[], object]:
        def found(path: Path) -> None:
            self.records.kept_data.place(ref, path, lambda error: told(path, error))

        def told(path: Path, error: FileError | None) -> None:
            if error is not None:
                dialogs.show_file_error(self.window_, error, "used")
            else:
                self.window_.status.offer(f"{path.name} found", milliseconds=NEWS_MS)

        name = Path(ref.where).name or ref.kind
        return lambda: dialogs.choose_file(self.window_, f"Where is {name}", "*", found)

    def _say(
        self,
        heading: str,
        text: str,
        actions: list[tuple[str, Callable[[], object]]] | None = None,
        sign: str = "triangle-alert",
    ) -> None:
        if self.notice is not None and self.notice.is_open:
            self.notice.close()
        self.notice = dialogs.Notice(self.window_, heading, text, sign=sign, actions=actions or ())
        self.notice.show()

    # recovery

    def look_back(self) -> None:
        """At the start: sessions that the program did not close. Said, never asked."""
        self._show_state(*self.records.state_words())
        paths = recovery.unclosed()
        if paths:
            job = self.window_.jobs.do(recovery.counted(paths), "Looking for runs", beside=True)
            job.finished.connect(self._show_unclosed)

    def _show_unclosed(self, places: list[recovery.Place]) -> None:
        if places and self.records.path != places[0].path:
            place = places[0]
            self.window_.welcome.show_unclosed(place, len(places) - 1)
            text = f"'{place.path.stem}'{recovery.runs_in(place)} was not closed"
            self.window_.status.offer(text, "Open it", lambda: self.open_unclosed(place.path))

    def open_unclosed(self, path: Path) -> None:
        self.window_.welcome.show_unclosed(None)
        self.window_.status.offer("")
        self.window_.open_path(path)

    def dismiss(self, path: Path) -> None:
        recovery.dismiss(path)
        self.window_.welcome.show_unclosed(None)
        self.window_.status.offer("")

    # how runs were seen

    def note_view(self) -> None:
        """Remember how the run in the panel with the keyboard is seen now."""
        panel = self.window_.current
        if panel is not None and panel.run_shown is not None and not panel.running:
            self.records.viewed(panel.run_shown, panel.state_of_view())

    def _follow(self) -> None:
        """Panels name their run as it is called now."""
        for panel in self.window_.panels:
            run = panel.run_shown
            entry = self.records.entry_of(run) if run is not None else None
            if run is not None and entry is not None and entry.run is not None:
                now = entry.run
                new = {name: getattr(now, name) for name in FOLLOWED}
                if any(value != getattr(run, name) for name, value in new.items()):
                    panel.run_shown = replace(run, **new)

    # leaving and closing

    def _leaving(self, what: str, do: Callable[[], object]) -> None:
        """Do it, unless runs that are only in memory would be lost."""
        self.note_view()
        if not self._at_risk():
            do()
            return
        self._say(
            self._risk(),
            f"{self.records.trouble[:1].upper()}{self.records.trouble[1:]}.",
            [("Save as…", self.ask_save), (f"{what} anyway", do)],
        )

    def _at_risk(self) -> bool:
        return bool(self.records.unsaved or self.records.out.refused)

    def _risk(self) -> str:
        number = len(self.records.unsaved)
        if not number:
            return "Changes to this session are not saved"
        return f"{count(number, 'run')} {'is' if number == 1 else 'are'} not saved"

    @property
    def closing(self) -> bool:
        """Whether the window only waits for its runs to be written."""
        return bool(self._closing)

    def may_close(self) -> bool:
        """Whether the window can go now; if not, it says why and comes back to it."""
        if self._closing == "anyway":
            return True
        self.note_view()
        self.window_.jobs.end_runs(WAIT_SECONDS)
        if self._at_risk():
            self.records.retry()
        if not self.records.wait(WAIT_SECONDS):
            self._closing = "waiting"
            self._patience.start()
            self.window_.status.show_session("Closing as soon as everything is saved", bad=False)
            return False
        if self._at_risk():
            self._closing = ""
            self._say(
                self._risk(),
                f"{self.records.trouble[:1].upper()}{self.records.trouble[1:]}. "
                "Save the session in another place, or close and lose them.",
                [("Save as…", self._save_and_close), ("Close anyway", self._close_anyway)],
            )
            return False
        self._patience.stop()
        return True

    def _save_and_close(self) -> None:
        def chosen(path: Path) -> None:
            self._closing = "waiting"
            self.records.save_as(path)

        self._choose_name(chosen)

    def _refused(self, error: FileError) -> None:
        """What was to be written before the end was not: the window stays."""
        if self._closing == "waiting" and not self.records.busy:
            self._closing = ""
        dialogs.show_file_error(self.window_, error, self.records.attempt)

    def _close_anyway(self) -> None:
        self._closing = "anyway"
        self._patience.stop()
        self.window_.close()

    def _still_saving(self) -> None:
        if self._closing == "waiting":
            text = "A large run takes long to write. The window closes by itself when it is done."
            self._say("Still saving", text, [("Close anyway", self._close_anyway)], sign="info")

    def _settled(self) -> None:
        if self._closing == "waiting" and not self._at_risk():
            QTimer.singleShot(0, self.window_, self.window_.close)

"""RefField: a learned or large input in a form: its name, its digest, Choose, x.

What is chosen is read to its end by a background job, since the digest is what a run keeps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu

from engine.errors import FileError, SpecError
from engine.refs import MissingInput, Ref, of_file
from gui import dialogs
from gui.buttons import Button, Elided, IconButton, label
from gui.jobs import Job, Jobs

PLACES = ("file", "folder")  # roles that say where it lies, not what it is
WIDTH = 320  # px


class RefField(QFrame):
    """`value` is a Ref, or None; asking for it while the digest is unknown is a SpecError."""

    changed = Signal()

    def __init__(self, name: str, role: str, jobs: Jobs | None, *, needed: bool = False) -> None:
        super().__init__()
        self.name, self.jobs, self.needed = name, jobs, needed
        self.kind = name.replace("_", " ") if role in ("", *PLACES) else role
        self.ref: Ref | None = None
        self.job: Job | None = None
        self.problem = ""
        self._reading = ""  # the file being read
        self._wanted: Ref | None = None  # whose bytes it must have
        self.title, self.digest = Elided("", ""), label("", "mono")
        self.title.setMinimumWidth(24)
        self.choose = Button("Choose…")
        self.choose.setEnabled(jobs is not None)
        self.clear = IconButton("x", "Without it", lambda: self.show_ref(None))
        room = self.clear.sizePolicy()
        room.setRetainSizeWhenHidden(True)  # or Choose would move away under the pointer
        self.clear.setSizePolicy(room)
        self.setFocusProxy(self.choose)
        self.setAcceptDrops(jobs is not None)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.title, 1)
        for widget in (self.digest, self.choose, self.clear):
            row.addWidget(widget)
        if role in PLACES:
            self.choose.clicked.connect(self._ask_folder if role == "folder" else self._ask_file)
        else:
            menu = QMenu(self.choose)
            menu.addAction("A file…").triggered.connect(self._ask_file)
            menu.addAction("A folder…").triggered.connect(self._ask_folder)
            self.choose.setMenu(menu)
        self._show()

    @property
    def value(self) -> Ref | None:
        if self._reading:
            raise SpecError(self.name, f"{self._reading} is still being read")
        if self.problem:
            raise SpecError(self.name, self.problem)
        if self.needed and self.ref is None:
            raise SpecError(self.name, f"choose a {self.kind} first")
        return self.ref

    def show_ref(self, ref: Ref | None) -> None:
        """Take up a reference as it is: its bytes are read when a run needs them."""
        self._forget()
        self.ref = ref
        self._show()
        self.changed.emit()

    def read(self, path: Path, wanted: Ref | None = None) -> Job | None:
        """Find the digest of what lies at `path`; if `wanted` is given, it must have those bytes.

        The job finishes with the Ref, or fails with a FileError or MissingInput.
        """
        if self.jobs is None:
            return None
        self._forget()
        kind = wanted.kind if wanted is not None else self.kind
        self._reading, self._wanted = path.name, wanted

        def work(watch: Any, report: Any) -> Ref:
            found = of_file(kind, path, watch, report)
            if wanted is None:
                return found
            if found.digest != wanted.digest:
                why = f"is not what lies at {path}: that has the digest {found.short}…"
                raise MissingInput(wanted, why, changed=True)
            return replace(wanted, where=found.where)

        job = Job(work=work, name=f"Reading {path.name}", background=True)
        job.finished.connect(self._found)
        job.failed.connect(self._failed)
        job.cancelled.connect(self._stopped)
        self.job = job
        self.jobs.submit(job)
        self._show()
        self.changed.emit()
        return job

    @property
    def _told(self) -> bool:
        """Whether it is the newest job that speaks, not one that was given up."""
        return self.job is not None and self.job.done

    def _found(self, ref: Ref) -> None:
        if self._told:
            self.show_ref(ref)

    def _failed(self, error: BaseException, _: Any) -> None:
        if not self._told:
            return
        wanted = self._wanted
        self._forget()
        if isinstance(error, FileError):
            self.problem = f"{error.path.name}: {error.why}"
        elif isinstance(error, MissingInput):
            self.problem = str(error)
            self.ref = wanted
        self._show()
        self.changed.emit()
        if not self.problem:  # a bug
            raise error

    def _stopped(self, _: Any) -> None:
        if not self._told:
            return
        self._forget()
        self._show()
        self.changed.emit()

    def _forget(self) -> None:
        """No file is being read and nothing is wrong."""
        job, self.job = self.job, None
        self._reading, self._wanted, self.problem = "", None, ""
        if job is not None and not job.done:
            job.cancel()

    def _show(self) -> None:
        ref = self.ref
        if self._reading:
            name, digest, tip = f"Reading {self._reading}…", "", "Its digest is being computed"
        elif ref is None:
            name, digest, tip = "none", "", f"No {self.kind} is chosen"
        else:
            name, digest = ref.name or f"{ref.kind} of this session", ref.short
            tip = f"{ref.where or 'inside the session'}\nSHA-256 {ref.digest}"
        self.title.setText(name)
        self.title.setEnabled(ref is not None and not self._reading)
        self.digest.setText(digest)
        self.digest.setVisible(bool(digest))
        for widget in (self.title, self.digest):
            widget.setToolTip(tip)
        self.clear.setVisible(ref is not None or bool(self._reading) or bool(self.problem))
        self.clear.setToolTip("Stop reading" if self._reading else "Without it")
        self.setAccessibleDescription(f"{name} {digest}".strip())

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, super().sizeHint().height())

    # choosing

    def _ask_file(self) -> None:
        dialogs.choose_file(self.window(), f"Choose the {self.kind}", "All files (*)", self.read)

    def _ask_folder(self) -> None:
        dialogs.choose_folder(self.window(), f"Choose the folder of the {self.kind}", self.read)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            self.read(paths[0])
            event.acceptProposedAction()


def holds_ref(hint: Any) -> bool:
    """Whether a field's type is a Ref, or a Ref or None."""
    return hint is Ref or hint == (Ref | None)

"""SessionData: the data of a session (prompt pairs, corpora), kept with it and found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine import refs
from engine.errors import FileError
from engine.session import DataRow
from engine.session.data import held
from gui import moving
from gui.jobs import Jobs
from gui.outbox import Asked, Outbox


class SessionData:
    """Rows as they are listed. places: where data outside the session was found instead."""

    def __init__(
        self, jobs: Jobs, out: Outbox, changed: Callable[[], object],
        refused: Callable[[BaseException], object],
    ) -> None:  # fmt: skip
        self.jobs, self.out = jobs, out
        self.rows: list[DataRow] = []
        self.places: dict[str, str] = {}
        self.unsaved: list[tuple[str, bytes | Path, str]] = []
        self._changed, self._refused = changed, refused

    def show(self, rows: Sequence[DataRow]) -> None:
        """The data of a session that was opened; () for a new one."""
        self.rows, self.places, self.unsaved = list(rows), {}, []
        self._changed()

    def put(self, kind: str, content: bytes, origin: str = "") -> refs.Ref:
        """Keep data that was made here inside the session and give its Ref.

        ValueError for more bytes than may lie inside.
        """
        item = held(kind, content)
        self._list(item, content, origin)
        return item.ref

    def put_file(
        self, kind: str, path: Path, then: Callable[[refs.Ref], object], origin: str = ""
    ) -> None:
        """Keep a file with the session. It may be large: its Ref comes once it has been read."""

        def listed(item: Any) -> None:
            self._list(item, path, origin)
            then(item.ref)

        job = self.jobs.do(lambda *_: held(kind, path), f"Reading {path.name}", beside=True)
        job.finished.connect(listed)
        job.failed.connect(lambda error, _: self._refused(_why(path, error)))

    def _list(self, item: Any, content: bytes | Path, origin: str) -> None:
        if all(row.ref != item.ref for row in self.rows):
            lines = item.content.count(b"\n") if item.content is not None else 0
            inside = item.content is not None
            self.rows.append(DataRow(item.ref, origin, lines, item.size, inside))
            self._write(item.ref.kind, content, origin, lines)
            self._changed()

    def _write(self, kind: str, content: bytes | Path, origin: str, lines: int = 0) -> None:
        try:
            file = self.out.target()
        except FileError as error:
            self.unsaved.append((kind, content, origin))
            self._refused(error)
            return
        put = lambda into, _: into.put(kind, content, origin=origin, rows=lines)  # noqa: E731
        self.out.ask(file, Asked(put, "Storing data"))

    def retry(self) -> None:
        unsaved, self.unsaved = self.unsaved, []
        for kind, content, origin in unsaved:
            self._write(kind, content, origin)

    def check(self, then: Callable[[list[Any]], object]) -> None:
        """Look for what lies outside; `then` is given a MissingInput for each that is not right."""
        outside = [row for row in self.rows if not row.inside]
        if outside:
            work = lambda watch, report: moving.missing(outside, watch, self.places)  # noqa: E731
            job = self.jobs.do(work, "Looking for the session's data", background=True)
            job.finished.connect(lambda found: then(found) if found else None)

    def place(self, ref: refs.Ref, path: Path, told: Callable[[FileError | None], object]) -> None:
        """The data of a Ref is at another place. `told` gets None, or why that is not so."""
        work = lambda watch, report: refs.of_file(ref.kind, path, watch, report)  # noqa: E731
        job = self.jobs.do(work, f"Reading {path.name}", beside=True)
        job.finished.connect(lambda there: told(self._placed(ref, there, path)))
        job.failed.connect(lambda error, _: told(_why(path, error)))

    def _placed(self, ref: refs.Ref, there: refs.Ref, path: Path) -> FileError | None:
        if there.digest != ref.digest:
            why = f"it is not the {ref.kind} that was used: its digest is {there.short}"
            return FileError(path, f"{why}, not {ref.short}")
        self.places[ref.digest] = there.where
        origin = next((row.origin for row in self.rows if row.ref == ref), "")
        self._write(ref.kind, path, origin)
        self._changed()
        return None


def _why(path: Path, error: BaseException) -> FileError:
    if isinstance(error, FileError):
        return error
    if isinstance(error, OSError):
        return FileError(path, error.strerror or str(error))
    raise error

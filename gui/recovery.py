"""Which sessions the program never closed, and which untitled ones there are: nothing gets lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLockFile

from engine.errors import FileError
from gui.session_file import SUFFIX, claim, sessions_folder
from gui.settings import opened_at, remembered

LISTED = 8


@dataclass(frozen=True)
class Place:
    """A session on disk. seconds: when it was written last, since 1970; runs: -1 = not counted."""

    path: Path
    seconds: float = 0.0
    nbytes: int = 0
    runs: int = -1


def recent_sessions() -> list[Place]:
    """Saved sessions, newest use first."""
    return _there(map(Path, remembered("recent/sessions")))


def untitled_sessions() -> list[Place]:
    """Sessions that never got a name, newest first."""
    with suppress(OSError):
        found = _there(sessions_folder().glob(f"*{SUFFIX}"))
        return sorted(found, key=lambda place: place.seconds, reverse=True)[:LISTED]
    return []


def recent_models() -> list[Place]:
    """Model folders, newest use first, with the time they were opened."""
    times = opened_at("recent/models")
    entries = remembered("recent/models")[:LISTED]
    return [Place(Path(entry), times.get(entry, 0.0)) for entry in entries]


def _there(paths: Iterable[Path]) -> list[Place]:
    found = []
    for path in paths:
        with suppress(OSError):
            about = path.stat()
            found.append(Place(path, about.st_mtime, about.st_size))
    return found


def unclosed() -> list[Path]:
    """Sessions whose lock was left by a process that is gone, newest first; the locks stay."""
    locks = {Path(f"{entry}.lock") for entry in remembered("recent/sessions")}
    with suppress(OSError):
        locks |= set(sessions_folder().glob(f"*{SUFFIX}.lock"))
    found = [lock.with_suffix("") for lock in locks if left_behind(lock)]
    return sorted((path for path in found if path.is_file()), key=_written, reverse=True)


def left_behind(lock: Path) -> bool:
    """Whether the process that made a lock is gone. Looking at it must not take it away."""
    try:
        content = lock.read_bytes()
    except OSError:
        return False
    taken, error = claim(lock.with_suffix(""))
    if taken is None or error != QLockFile.LockError.NoError:
        return False
    taken.unlock()
    if lock.with_suffix("").is_file():
        with suppress(OSError), lock.open("xb") as stream:
            stream.write(content)
    return True


def dismiss(path: Path) -> None:
    """Do not speak of this session again."""
    taken, _ = claim(path)
    if taken is not None:
        taken.unlock()


def runs_in(place: Place) -> str:
    """` (12 runs)`; "" if they were not counted."""
    return "" if place.runs < 0 else f" ({place.runs} run{'' if place.runs == 1 else 's'})"


def when(seconds: float) -> str:
    """`today 21:30`, `22 Nov 21:30`, `22 Nov 2026`; "" for 0."""
    if not seconds:
        return ""
    then, now = datetime.fromtimestamp(seconds), datetime.now()
    if then.date() == now.date():
        return f"today {then:%H:%M}"
    day = f"{then.day} {then:%b}"
    return f"{day} {then:%H:%M}" if then.year == now.year else f"{day} {then.year}"


def _written(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def counted(paths: Sequence[Path]) -> Any:
    """Work that counts the runs of sessions: -1 where one does not open, left out if empty."""

    def work(watch: Any, report: Any) -> list[Place]:
        from engine.session import Session

        found = []
        for path in paths:
            try:
                with Session.open(path, read_only=True) as session:
                    runs, size = len(session.runs()), session.nbytes
                    if runs or session.data():
                        found.append(Place(path, _written(path), size, runs))
            except FileError:  # opening it will say why
                found.append(Place(path, _written(path)))
        return found

    return work

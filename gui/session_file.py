"""SessionFile: a session's file as one window holds it: its lock, its writer, what may be done.

The lock is Qt's (`<file>.lock`, with the process in it), so a second window knows that the file is
taken and the next start knows which sessions the program never closed.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

import platformdirs
from PySide6.QtCore import QLockFile

from engine.errors import FileError
from engine.session import Session, Writer

Blocked = Literal["", "window", "file"]
SUFFIX, UNTITLED = ".mscope", "untitled "
MOST_IN_A_MINUTE = 1000


class SessionFile:
    """blocked: "" = it can be written; "window" = another window has it; "file" = read-only."""

    def __init__(
        self, path: Path, *, titled: bool, lock: QLockFile | None = None, blocked: Blocked = ""
    ) -> None:
        self.path, self.titled, self.blocked = path, titled, blocked
        self._lock = lock
        self.writer = None if blocked else Writer(path, open_session=open_or_create)

    @classmethod
    def take(cls, path: Path) -> SessionFile:
        """Claim an existing session; where that fails `blocked` says why."""
        lock, error = claim(path)
        refused: dict[QLockFile.LockError, Blocked] = {
            QLockFile.LockError.LockFailedError: "window",
            QLockFile.LockError.PermissionError: "file",
        }
        return cls(path, titled=not is_untitled(path), lock=lock, blocked=refused.get(error, ""))

    @classmethod
    def untitled(cls) -> SessionFile:
        """A name of our own in the data folder; the file is made by the writer's first run."""
        folder = sessions_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(folder, error.strerror or str(error)) from error
        stem = f"{UNTITLED}{datetime.now():%Y-%m-%d %H.%M}"
        for number in range(1, MOST_IN_A_MINUTE):
            path = folder / f"{stem}{f' ({number})' if number > 1 else ''}{SUFFIX}"
            if path.exists():
                continue
            lock, error = claim(path)
            if error == QLockFile.LockError.PermissionError:
                raise FileError(folder, "its folder cannot be written")
            if error != QLockFile.LockError.LockFailedError and not path.exists():
                return cls(path, titled=False, lock=lock)
        raise FileError(folder, "it is full of untitled sessions: delete some")

    @property
    def busy(self) -> bool:
        return self.writer is not None and self.writer.pending > 0

    def only_read(self) -> None:
        """The system says that the file or its folder cannot be written."""
        self.blocked, self.writer = "file", None
        self.release()

    def release(self) -> None:
        """Let other windows have it."""
        if self._lock is not None:
            self._lock.unlock()
            self._lock = None

    def remove(self) -> None:
        """Delete the file, whose runs are safe elsewhere."""
        for end in ("", "-wal", "-shm"):
            with suppress(OSError):  # where another window still reads it, it stays
                self.path.with_name(self.path.name + end).unlink(missing_ok=True)
        self.release()


def sessions_folder() -> Path:
    """Where untitled sessions live: the user's data folder."""
    return Path(platformdirs.user_data_dir("mechanoscope")) / "sessions"


def unstorable() -> str:
    """Why untitled sessions cannot be written; "" where they can, as far as that can be seen."""
    folder = sessions_folder()
    there = next(place for place in (folder, *folder.parents) if os.path.exists(place))
    if os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK):
        return ""
    return f"{folder} cannot be {'written' if there == folder else 'made'}"


def is_untitled(path: Path) -> bool:
    """Whether a session has the name that the program gave it."""
    return path.parent == sessions_folder() and path.name.startswith(UNTITLED)


def claim(path: Path) -> tuple[QLockFile | None, QLockFile.LockError]:
    """The lock of a session if it is free or was left by a process that is gone; never waits."""
    lock = QLockFile(f"{path}.lock")
    lock.setStaleLockTime(0)  # however old, a lock counts while its process lives
    if lock.tryLock(0) or (_our_own_number(lock) and lock.tryLock(0)):
        return lock, QLockFile.LockError.NoError
    return None, lock.error()


def _our_own_number(lock: QLockFile) -> bool:
    """Whether a lock was left by an earlier process with our number, as in a container; it goes.

    Qt removes it only if the system says that nobody holds it: not even a window of this process.
    """
    if lock.error() != QLockFile.LockError.LockFailedError:
        return False
    pid, host, _ = lock.getLockInfo()
    return (pid, host) == (os.getpid(), platform.node()) and lock.removeStaleLockFile()


def open_or_create(path: Path) -> Session:
    return Session.open(path) if path.exists() else Session.create(path)

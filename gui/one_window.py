"""One window per user and display: a second start hands what it was given to the running one.

The name is a lock file, which Qt frees when its process is gone, and beside it a local socket that
only this user can open. Whoever holds the lock listens, or is about to; so a start that gets the
lock knows without asking that nobody is there, which costs well under a millisecond.

The talk: the window greets, the second start sends one line of JSON, the window says yes or no. A
window that hangs does not greet and so never hears of it: the second start opens its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from PySide6.QtCore import QDir, QLockFile, QObject, Qt, QTimer, Signal

if TYPE_CHECKING:  # 7 ms to import: not before the first picture, and not where nobody is there
    from PySide6.QtNetwork import QLocalServer, QLocalSocket

GREETING, YES, NO = b"mechanoscope 1\n", b"yes\n", b"no\n"
MOST_BYTES = 16 << 10  # of a request; a path has 4 kB at most
MOST_PATHS, MOST_TOKEN = 16, 256
MOST_TALKS = 8  # at a time
ANSWER_MS = 1000  # what a window that works needs, many times over
START_SECONDS = 6.0  # how long one that is starting may take until it listens, on a busy machine
AGAIN_MS = 25
SLICE_MS = 20  # Qt keeps the interpreter to itself while it waits


@dataclass(frozen=True)
class Request:
    """What a second start asks for: paths to open, and the desktop's leave to come forward."""

    paths: tuple[str, ...] = ()
    token: str = ""


def encoded(request: Request) -> bytes:
    return json.dumps({"paths": request.paths, "token": request.token}).encode() + b"\n"


def decoded(line: bytes) -> Request | None:
    """A request, which anything may have written; None for what makes no sense."""
    if len(line) > MOST_BYTES or not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    paths, token = found.get("paths"), found.get("token")
    if not isinstance(paths, list) or len(paths) > MOST_PATHS or not all(map(_is_path, paths)):
        return None
    if not isinstance(token, str) or len(token) > MOST_TOKEN or not _is_plain(token):
        return None
    return Request(tuple(paths), token)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value and os.path.isabs(value)


def _is_plain(token: str) -> bool:
    return token.isascii() and (token.isprintable() or not token)


class Name:
    """Where the one window of this user, display and home folder is found."""

    def __init__(self, address: str, lock: str) -> None:
        self.address = address
        self._lock = QLockFile(lock)
        self._lock.setStaleLockTime(0)  # however old, it counts while its process lives

    @classmethod
    def here(cls) -> Name | None:
        """None where there is no folder of this user's alone for it."""
        folder = _own_folder()
        if folder is None:
            return None
        screen = ("WAYLAND_DISPLAY", "DISPLAY", "QT_QPA_PLATFORM", "SESSIONNAME")
        # Another home is another user's, or a test's: its sessions and settings are not these.
        parts = [platformdirs.user_data_dir("mechanoscope"), *map(os.environ.get, screen)]
        name = f"mechanoscope-{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"
        place = os.path.join(folder, name)
        return cls(name if sys.platform == "win32" else place, f"{place}.lock")

    def claim(self, milliseconds: int = 0) -> bool:
        """Hold the name, where no other process does or gives it back in this time."""
        lock = self._lock
        if lock.isLocked() or lock.tryLock(milliseconds):
            return True
        # Its process may be gone and the number be another's; then the system lets the file go.
        return self.taken and lock.removeStaleLockFile() and lock.tryLock(0)

    @property
    def held(self) -> bool:
        return self._lock.isLocked()

    @property
    def taken(self) -> bool:
        """After a `claim` in vain: whether another process holds it (else nobody can)."""
        return self._lock.error() == QLockFile.LockError.LockFailedError

    def release(self) -> None:
        if self._lock.isLocked():
            self._lock.unlock()


def _own_folder() -> str | None:
    """A folder that nobody else can write to, so that nobody else can sit at the address."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if sys.platform == "win32":
        return QDir.tempPath()  # the user's own
    if given and _is_own(given):
        return given
    made = f"{QDir.tempPath()}/mechanoscope-{os.getuid()}"
    with suppress(OSError):  # it is there, or it cannot be
        os.mkdir(made, 0o700)
    return made if _is_own(made) else None


def _is_own(folder: str) -> bool:
    try:
        about = os.lstat(folder)
    except OSError:
        return False
    private = Path(folder).is_dir() and not about.st_mode & 0o022
    return private and about.st_uid == os.getuid() and os.access(folder, os.W_OK)


# the second start


def hand_over(name: Name, paths: Sequence[Path], seconds: float = START_SECONDS) -> bool:
    """Whether the running window takes it; else the caller opens its own.

    seconds: how long to wait for one that holds the name and does not listen yet.
    """
    try:
        from PySide6.QtNetwork import QLocalSocket
    except ImportError:  # a library of it is missing
        return False
    tokens = (os.environ.get(key, "") for key in ("XDG_ACTIVATION_TOKEN", "DESKTOP_STARTUP_ID"))
    token = next(filter(None, tokens), "")
    request = Request(tuple(os.path.abspath(path) for path in paths), token)
    line = encoded(request)
    if decoded(line) is None:
        request = Request(request.paths)
        line = encoded(request)  # a token that is too long is nobody's: go without
    if decoded(line) is None:
        return False
    until = time.monotonic() + seconds
    socket = QLocalSocket()
    socket.connectToServer(name.address)
    while not socket.waitForConnected(ANSWER_MS):
        if time.monotonic() > until:
            return False
        if name.claim(AGAIN_MS):  # it was closed meanwhile
            return False
        socket.connectToServer(name.address)
    if _line(socket) != GREETING:
        return False
    _let_it_come_forward()
    socket.write(line)
    answer = _line(socket)
    socket.disconnectFromServer()
    return answer == YES


def _line(socket: QLocalSocket) -> bytes:
    """The next line; b"" where none comes in time."""
    from PySide6.QtNetwork import QLocalSocket

    until = time.monotonic() + ANSWER_MS / 1000
    while not socket.canReadLine():
        left = round(1000 * (until - time.monotonic()))
        if left <= 0:
            return b""
        socket.waitForReadyRead(min(left, SLICE_MS))
        if socket.state() != QLocalSocket.LocalSocketState.ConnectedState:
            break
    return bytes(socket.readLine(MOST_BYTES).data())


def _let_it_come_forward() -> None:
    """Windows lets a process raise its window only with the leave of the one in front."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.user32.AllowSetForegroundWindow(-1)


# the running window


class Listener(QObject):
    """Hears second starts. may: whether this window can take anything now."""

    asked = Signal(object)  # Request, after the second start was told yes

    def __init__(self, name: Name, may: Callable[[], bool], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name, self._may = name, may
        self._server: QLocalServer | None = None
        self._talks: set[QLocalSocket] = set()
        self._patience = QTimer(self, singleShot=True, interval=5 * ANSWER_MS)
        self._patience.timeout.connect(self._end_talks)  # with those who never say anything

    @property
    def listening(self) -> bool:
        return self._server is not None

    def listen(self) -> bool:
        """Be the one that second starts find, unless another window is."""
        if self.listening:
            return True
        if not self.name.claim():
            return False
        self._server = self._made()
        if self._server is None:
            self.name.release()  # so that no start waits for us
            return False
        self._server.newConnection.connect(self._greet)
        return True

    def try_again(self, state: Qt.ApplicationState) -> None:
        """The user has turned to this window: where no other one listens, it does."""
        if state == Qt.ApplicationState.ApplicationActive:
            self.listen()

    def _made(self) -> QLocalServer | None:
        try:
            from PySide6.QtNetwork import QLocalServer, QLocalSocket
        except ImportError:
            return None
        probe = QLocalSocket()  # `listen` takes an address away from whoever has it
        probe.connectToServer(self.name.address)
        answered = probe.waitForConnected(ANSWER_MS // 10)
        probe.abort()
        if answered:
            return None
        QLocalServer.removeServer(self.name.address)  # what a killed process left
        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        server.setMaxPendingConnections(MOST_TALKS)
        if server.listen(self.name.address):
            return server
        server.deleteLater()
        return None

    def _greet(self) -> None:
        while self._server is not None and (talk := self._server.nextPendingConnection()):
            if len(self._talks) >= MOST_TALKS:
                talk.abort()
                talk.deleteLater()
                continue
            self._talks.add(talk)
            talk.setReadBufferSize(MOST_BYTES + 1)
            talk.readyRead.connect(lambda talk=talk: self._hear(talk))
            talk.disconnected.connect(lambda talk=talk: self._end(talk))
            talk.write(GREETING)
            self._patience.start()
            self._hear(talk)

    def _hear(self, talk: QLocalSocket) -> None:
        if talk not in self._talks or not talk.canReadLine():
            if talk.bytesAvailable() > MOST_BYTES:
                talk.abort()
            return
        request = decoded(bytes(talk.readLine(MOST_BYTES + 1).data()))
        if request is None:
            talk.abort()
            return
        yes = self._may()
        talk.write(YES if yes else NO)
        talk.flush()
        talk.disconnectFromServer()
        if yes:
            self.asked.emit(request)

    def _end(self, talk: QLocalSocket) -> None:
        if talk in self._talks:
            self._talks.discard(talk)
            talk.deleteLater()
        if not self._talks:
            self._patience.stop()

    def _end_talks(self) -> None:
        for talk in list(self._talks):
            talk.abort()

    def close(self) -> None:
        """Free the name: the next start opens a window of its own."""
        server, self._server = self._server, None
        if server is not None:
            self._end_talks()
            server.close()
        self.name.release()

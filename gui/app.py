"""Start-up: theme, exception hooks, garbage collection on this thread, what the arguments name."""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs
from PySide6.QtCore import (
    QCoreApplication,
    QEventLoop,
    QMessageLogContext,
    QObject,
    QTimer,
    QtMsgType,
    Signal,
    qInstallMessageHandler,
)
from PySide6.QtWidgets import QApplication

from engine.program import frozen
from gui import theme
from gui.given import Application, given
from gui.one_window import Listener, Name, hand_over
from gui.settings_file import look_over

COLLECT_MS = 1000
LISTEN_MS = 400
NOTE_AFTER_MS, NOTE_MS = 1500, 60_000
QUIET_MS = 5000
SWITCH_SECONDS = 0.001  # many live panels beside a worker: QT facts, p99 17 to 28 ms instead of 53
NOISE = ("This plugin does not support", "propagateSizeHints", "QStandardPaths: XDG_RUNTIME_DIR")
log = logging.getLogger("mechanoscope")


def main(argv: Sequence[str] | None = None) -> int:
    """Open the window; the exit code of the program."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--self-test" not in arguments:
        return _start(arguments)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from gui.self_test import apart, self_test

    with apart() as home:
        return _open([], lambda window: self_test(window, home))


def _start(arguments: Sequence[str]) -> int:
    """A window of its own, unless one is running and takes what this start was given."""
    paths, name = given(arguments), Name.here()
    running = name if name is not None and not name.claim() and name.taken else None
    if running and "--new-window" not in arguments and hand_over(running, paths):
        _tell("opened in the window that is running; --new-window opens another")
        return 0
    try:
        return _open(paths, name=name)
    finally:
        if name is not None:
            name.release()


def _tell(text: str) -> None:
    """One line for who typed the command; a program without a console has no stderr."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(f"mechanoscope: {text}\n")


def _open(
    paths: Sequence[Path],
    instead: Callable[[Any], int] | None = None,
    name: Name | None = None,
) -> int:
    """The window until it is closed, or until what is done `instead` of waiting has ended."""
    gc.disable()  # what is imported lives for ever; looking through it would cost 0.1 s
    app = application()
    from gui.looks import theme_from_settings
    from gui.window import Window  # after the theme's fonts are there

    trouble = look_over()
    theme.apply(app, theme_from_settings())
    window = Window()
    if name is not None and not name.held:
        window.step_aside()
    tidy = Tidy(window)
    hooks = Hooks(lambda error: _show_bug(window, error))
    window.show()
    window.arrivals.open(paths)
    if isinstance(app, Application):
        app.given.connect(lambda path: window.arrivals.open([path]))
    listener = _listen(window, name) if name is not None else None
    if trouble:  # after what is said of sessions that were not closed: the welcome page has that
        offer = lambda: window.status.offer(trouble, milliseconds=NOTE_MS)  # noqa: E731
        QTimer.singleShot(NOTE_AFTER_MS, window, offer)
    try:
        return app.exec() if instead is None else instead(window)
    finally:
        if listener is not None:
            listener.close()
        hooks.remove()
        if not window.close():
            window.records.close()  # there is no loop any more that could wait
        tidy.stop()


def _listen(window: Any, name: Name) -> Listener:
    """Hear second starts, from after the first picture on, or once the window that does is gone."""
    made = Listener(name, lambda: window.arrivals.may_receive, window)
    made.asked.connect(window.arrivals.receive)

    def begin() -> None:
        made.listen()
        app = QApplication.instance()
        if isinstance(app, QApplication):
            app.applicationStateChanged.connect(made.try_again)

    QTimer.singleShot(LISTEN_MS, made, begin)
    return made


def application() -> QApplication:
    """The one QApplication, with our name and message filter."""
    qInstallMessageHandler(_qt_message)
    QCoreApplication.setOrganizationName("Mechanoscope")
    QCoreApplication.setApplicationName("Mechanoscope")
    made = QApplication.instance()
    app = made if isinstance(made, QApplication) else Application(["mechanoscope"])
    app.setDesktopFileName("mechanoscope")
    if frozen():  # read by now, and no business of a file manager that we may start
        os.environ.pop("QT_PLUGIN_PATH", None)
    return app


class Tidy:
    """Cyclic garbage is collected on the GUI thread only: elsewhere it would destroy widgets."""

    def __init__(self, parent: Any) -> None:
        gc.disable()
        gc.freeze()
        self._before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._turn = 0
        self._timer = QTimer(parent)
        self._timer.timeout.connect(self.collect)
        self._timer.start(COLLECT_MS)

    def collect(self) -> None:
        """Young objects every second, all of them twice a minute."""
        self._turn += 1
        gc.collect(2 if self._turn % 30 == 0 else 1)

    def stop(self) -> None:
        self._timer.stop()
        sys.setswitchinterval(self._before)
        gc.unfreeze()
        gc.enable()


def log_file() -> Path:
    return platformdirs.user_log_path("mechanoscope", appauthor=False) / "mechanoscope.log"


class Hooks(QObject):
    """Unexpected errors, of whatever thread, go to the log file and to one dialog."""

    _heard = Signal(object)  # from other threads, delivered on this one

    def __init__(self, show: Callable[[BaseException], object]) -> None:
        super().__init__()
        self._show = show
        self._quiet = QTimer(self)  # one dialog, however often a timer fails
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(QUIET_MS)
        self._before = sys.excepthook, threading.excepthook
        self._handler = _log_handler()
        self._loggers = (log, logging.getLogger("py.warnings"))
        logging.captureWarnings(True)
        for logger in self._loggers:
            logger.addHandler(self._handler)
        self._heard.connect(self.report)
        sys.excepthook, threading.excepthook = self._on_main, self._on_thread

    def report(self, error: BaseException) -> None:
        log.error("unexpected", exc_info=error)
        if not self._quiet.isActive():
            self._quiet.start()
            self._show(error)

    def _on_main(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QApplication.quit()
        else:
            self.report(error.with_traceback(trace))

    def _on_thread(self, args: Any) -> None:
        if args.exc_value is not None:
            self._heard.emit(args.exc_value)

    def remove(self) -> None:
        self._quiet.stop()
        sys.excepthook, threading.excepthook = self._before
        logging.captureWarnings(False)
        for logger in self._loggers:
            logger.removeHandler(self._handler)
        self._handler.close()


def _log_handler() -> logging.Handler:
    try:
        log_file().parent.mkdir(parents=True, exist_ok=True)
        made = RotatingFileHandler(log_file(), maxBytes=1 << 20, backupCount=2, encoding="utf-8")
    except OSError:
        return logging.NullHandler()
    made.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return made


def _show_bug(window: Any, error: BaseException) -> None:
    from gui.dialogs import show_bug

    show_bug(window, error, log_file())


def _qt_message(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
    if not any(noise in message for noise in NOISE):
        level = logging.WARNING if kind != QtMsgType.QtDebugMsg else logging.DEBUG
        log.log(level, "Qt: %s", message)


def run_until(done: Callable[[], bool], seconds: float) -> bool:
    """Keep the event loop going until `done`; False after `seconds`."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            return False
        turn = QEventLoop()
        QTimer.singleShot(2, turn.quit)
        turn.exec()
    return True

"""Start-up and the last resort: hooks, log, garbage collection on this thread, --self-test."""

import gc
import sys
import threading

from gui import app, self_test
from gui.app import Hooks, Tidy, log_file


def test_an_unexpected_error_is_logged_and_shown_once(qtbot):
    shown = []
    hooks = Hooks(shown.append)
    try:
        for number in range(3):
            try:
                raise ZeroDivisionError(f"bug {number}")
            except ZeroDivisionError as error:
                sys.excepthook(type(error), error, error.__traceback__)
    finally:
        hooks.remove()
    assert [str(error) for error in shown] == ["bug 0"]
    assert "bug 2" in log_file().read_text(encoding="utf-8")


def test_an_error_in_another_thread_is_shown_on_this_one(qtbot):
    seen = []
    hooks = Hooks(lambda error: seen.append((str(error), threading.current_thread())))
    try:
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        qtbot.waitUntil(lambda: bool(seen), timeout=2000)
    finally:
        hooks.remove()
    assert seen[0][1] is threading.main_thread()


def test_garbage_is_collected_on_the_thread_of_the_window_only(qtbot):
    enabled = gc.isenabled()
    before = sys.getswitchinterval()
    tidy = Tidy(None)
    try:
        assert not gc.isenabled()
        tidy.collect()
    finally:
        tidy.stop()
    assert sys.getswitchinterval() == before
    gc.enable() if enabled else gc.disable()
    gc.freeze()  # the modules, as before


def test_the_self_test_is_done_in_place_of_waiting_and_apart_from_the_user(monkeypatch, home):
    seen = []

    def try_out(window, own):
        seen.append((window, log_file().is_relative_to(own)))
        return 1

    monkeypatch.setattr(self_test, "self_test", try_out)
    monkeypatch.setattr(app, "_open", lambda paths, instead: instead(("window of", paths)))
    assert app.main(["--self-test", str(home / "kept.mscope")]) == 1
    assert seen == [(("window of", []), True)]
    assert log_file().is_relative_to(home)

"""A second start finds the running window, hands over what it was given, and harms nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from gui import one_window
from gui.given import given, opened_by
from gui.one_window import MOST_BYTES, Listener, Name, Request, decoded, encoded, hand_over

GONE = QLocalSocket.LocalSocketState.UnconnectedState
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows are no files")


@pytest.fixture
def place():
    """A short path: that of a socket has about 100 letters at most."""
    with tempfile.TemporaryDirectory(prefix="m") as folder:
        yield f"{folder}/window"


def name_at(place):
    address = place if sys.platform != "win32" else Path(place).parent.name
    return Name(address, f"{place}.lock")


class Hearing(Listener):
    """What it heard, and whether it can take more."""

    def __init__(self, name, may):
        super().__init__(name, may)
        self.free, self.heard = True, []


@pytest.fixture
def listener(qtbot, place):
    """A window that listens, with the requests that it heard."""
    made = Hearing(name_at(place), lambda: made.free)
    made.asked.connect(made.heard.append)
    assert made.listen()
    yield made
    made.close()


def started(qtbot, place, *paths, seconds=6.0):
    """What a second start is told, while this thread goes on as a window does."""
    told = []
    talk = threading.Thread(
        target=lambda: told.append(hand_over(name_at(place), [*map(Path, paths)], seconds))
    )
    talk.start()
    qtbot.waitUntil(lambda: bool(told), timeout=6000)
    talk.join()
    return told[0]


def test_a_second_start_hands_its_path_and_its_token_to_the_window(
    qtbot, listener, place, monkeypatch, tmp_path
):
    monkeypatch.setenv("XDG_ACTIVATION_TOKEN", "token-1")
    monkeypatch.chdir(tmp_path)
    assert started(qtbot, place, "lens.mscope")
    assert listener.heard == [Request((os.path.abspath("lens.mscope"),), "token-1")]


def test_a_path_that_is_no_text_arrives_as_it_is(qtbot, listener, place):
    path = os.path.abspath(os.fsdecode(b"caf\xe9.mscope"))
    assert started(qtbot, place, path)
    assert listener.heard[0].paths == (path,)


NONSENSE = [
    b"",
    b"\n",
    b"\xff\xfe\n",
    b"[" * 9000 + b"\n",
    b"[]\n",
    b'{"paths": "/a", "token": ""}\n',
    b'{"paths": ["a/relative/path"], "token": ""}\n',
    b'{"paths": ["/a\\u0000b"], "token": ""}\n',
    b'{"paths": [3], "token": ""}\n',
    b'{"paths": [], "token": "a\\nb"}\n',
    b'{"paths": [], "token": null}\n',
    b'{"paths": []}\n',
    b'{"paths": [], "token": ""}',
    json.dumps({"paths": ["/a"] * 17, "token": ""}).encode() + b"\n",
    json.dumps({"paths": ["/" + "a" * MOST_BYTES], "token": ""}).encode() + b"\n",
    json.dumps({"paths": [], "token": "a" * 257}).encode() + b"\n",
]


def test_a_message_that_makes_no_sense_is_refused():
    for line in NONSENSE:
        assert decoded(line) is None, line[:60]


def test_what_is_sent_is_what_is_read():
    request = Request((os.path.abspath("ä b.mscope"), os.path.abspath("c")), "kwin_1")
    assert decoded(encoded(request)) == request


def test_a_window_ignores_nonsense_and_floods_and_hears_the_next_one(qtbot, listener, place):
    for line in (b"nonsense\n", b"x" * 3 * MOST_BYTES, b""):
        talk = QLocalSocket()
        talk.connectToServer(listener.name.address)
        assert talk.waitForConnected(1000)
        talk.write(line)
        if not line:
            talk.disconnectFromServer()
        qtbot.waitUntil(lambda talk=talk: talk.state() == GONE, timeout=2000)
    assert started(qtbot, place)
    assert listener.heard == [Request()]


def test_a_window_that_hangs_is_not_waited_for_and_never_hears_of_it(
    qtbot, listener, place, monkeypatch
):
    monkeypatch.setattr(one_window, "ANSWER_MS", 60)
    begin = time.monotonic()
    assert not hand_over(name_at(place), [])  # on this thread: the window cannot answer
    assert time.monotonic() - begin < 1
    qtbot.wait(30)  # it goes on
    assert listener.heard == []


def test_a_window_on_its_way_out_says_no(qtbot, listener, place):
    listener.free = False
    assert not started(qtbot, place, "/a")
    assert listener.heard == []


def test_a_closed_window_frees_the_name(listener, place):
    other = name_at(place)
    assert not other.claim()
    assert other.taken
    listener.close()
    assert other.claim()
    assert not hand_over(name_at(place), [], seconds=0)
    other.release()


def test_of_two_starts_at_once_one_waits_until_the_other_listens(qtbot, place):
    first, second = name_at(place), name_at(place)
    assert [first.claim(), second.claim()] == [True, False]
    listener = Listener(first, lambda: True)
    heard = []
    listener.asked.connect(heard.append)
    told = []
    talk = threading.Thread(target=lambda: told.append(hand_over(second, [])))
    talk.start()
    qtbot.wait(60)
    assert listener.listen()
    qtbot.waitUntil(lambda: bool(told), timeout=4000)
    talk.join()
    listener.close()
    assert (told, heard) == ([True], [Request()])


def test_a_start_waits_no_longer_where_the_other_one_gave_up(place):
    first, second = name_at(place), name_at(place)
    assert first.claim()
    assert not second.claim()
    threading.Timer(0.05, first.release).start()
    assert not hand_over(second, [])
    assert second.held  # and is itself the one that others find
    second.release()
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()


@UNIX
def test_a_socket_that_a_killed_window_left_is_taken_over(qtbot, place):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(place)
    listener = Listener(name_at(place), lambda: True)
    assert listener.listen()
    assert started(qtbot, place)
    listener.close()


@UNIX
def test_a_socket_behind_which_somebody_answers_is_left_alone(qtbot, place):
    other = QLocalServer()
    assert other.listen(place)
    listener = Listener(name_at(place), lambda: True)
    assert not listener.listen()
    assert not listener.name.held
    talk = QLocalSocket()
    talk.connectToServer(place)
    assert talk.waitForConnected(1000)
    other.close()


def test_a_window_that_stays_takes_the_name_when_the_user_turns_to_it(qtbot, listener, place):
    from PySide6.QtCore import Qt

    second = Listener(name_at(place), lambda: True)
    second.try_again(Qt.ApplicationState.ApplicationActive)
    assert not second.listening
    listener.close()
    second.try_again(Qt.ApplicationState.ApplicationInactive)
    assert not second.listening
    second.try_again(Qt.ApplicationState.ApplicationActive)
    assert second.listening
    second.close()


@UNIX
def test_only_this_user_can_reach_the_window(listener, place):
    assert os.stat(place).st_mode & 0o077 == 0


@UNIX
def test_each_user_display_and_home_has_a_name_of_its_own(monkeypatch, tmp_path):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    seen = set()
    for key, value in (("DISPLAY", ":7"), ("DISPLAY", ":8"), ("XDG_DATA_HOME", "/elsewhere")):
        monkeypatch.setenv(key, value)
        name = Name.here()
        assert name is not None
        assert Path(name.address).parent == tmp_path
        seen.add(name.address)
    assert len(seen) == 3
    tmp_path.chmod(0o777)  # anybody could sit there
    monkeypatch.setattr(one_window.QDir, "tempPath", lambda: str(tmp_path / "none"))
    assert Name.here() is None


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--window", "a.mscope"], ["a.mscope"]),
        (["--new-window"], []),
        (["--window", "", "a", "b"], ["a", "b"]),
        (["--window", "--", "-a.mscope"], ["-a.mscope"]),
    ],
)
def test_paths_are_found_among_the_words_of_a_start(words, names):
    assert given(words) == [Path(name) for name in names]


def test_an_address_of_a_file_is_its_path(tmp_path):
    path = tmp_path / "ein Modell ä%.mscope"
    assert given(["--window", QUrl.fromLocalFile(str(path)).toString()]) == [path]
    assert given([path.as_uri()]) == [path]


def test_a_double_click_on_macos_is_understood(tmp_path):
    path = tmp_path / "a b.mscope"
    assert opened_by(QFileOpenEvent(str(path))) == path
    assert opened_by(QFileOpenEvent(QUrl.fromLocalFile(str(path)))) == path


def begin(home, project, *words, **more):
    surroundings = {**os.environ, "PYTHONPATH": str(project), "XDG_RUNTIME_DIR": str(home), **more}
    home.chmod(0o700)
    command = [sys.executable, "-m", "engine.cli", *map(str, words)]
    return subprocess.Popen(command, cwd=home, env=surroundings, stderr=subprocess.DEVNULL)


def recent(home):
    found = list(home.rglob("Mechanoscope.ini"))
    return found[0].read_text(encoding="utf-8") if found else ""


@UNIX
@pytest.mark.hard
def test_a_second_process_hands_over_and_a_killed_first_one_is_in_nobodys_way(place, project):
    from engine.session import Session

    home = Path(place).parent
    for stem in ("one", "two", "three"):
        Session.create(home / f"{stem}.mscope").close()
    surroundings = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(home))
    starts = [begin(home, project, **surroundings)]
    try:
        until = time.monotonic() + 60
        while not list(home.glob("*.lock")) and time.monotonic() < until:
            time.sleep(0.01)
        # Long before the window is there, as by somebody in a hurry: it waits for the first one.
        second = begin(home, project, "--window", "one.mscope", **surroundings)
        assert second.wait(timeout=60) == 0, starts.append(second)
        while "one.mscope" not in recent(home) and time.monotonic() < until:
            time.sleep(0.1)
        assert starts[0].poll() is None
        assert "one.mscope" in recent(home)
        starts.append(begin(home, project, "--new-window", "two.mscope", **surroundings))
        while "two.mscope" not in recent(home) and time.monotonic() < until:
            time.sleep(0.1)
        assert starts[1].poll() is None
        for start in starts:
            start.send_signal(signal.SIGKILL)
            start.wait(timeout=10)
        starts.append(begin(home, project, "three.mscope", **surroundings))
        while "three.mscope" not in recent(home) and time.monotonic() < until:
            time.sleep(0.1)
        assert starts[2].poll() is None
        assert "three.mscope" in recent(home)
        assert begin(home, project, **surroundings).wait(timeout=60) == 0
    finally:
        for start in starts:
            start.kill()
            start.wait(timeout=10)

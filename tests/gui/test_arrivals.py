"""What arrives from outside opens; what would harm a run is asked about first."""

import shutil
import sys

import pytest
from PySide6.QtCore import Qt

from engine import program
from engine.session import Session
from gui import arrivals
from gui.buttons import Button
from gui.dialogs import Notice
from gui.one_window import Request
from gui.opening import folder_of
from tests.gui.made_runs import made, settle


def press(qtbot, parent, word):
    found = [each for each in parent.findChildren(Button) if each.accessibleName() == word]
    (button,) = [each for each in found if each.isVisible()]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def headings(window):
    return [notice.windowTitle() for notice in window.findChildren(Notice) if notice.isVisible()]


@pytest.fixture
def elsewhere(window, monkeypatch):
    """The paths that new windows were asked for."""
    asked = []
    monkeypatch.setattr(window.arrivals, "new_window", lambda paths=(): asked.append(list(paths)))
    return asked


@pytest.fixture
def lens(tmp_path):
    path = tmp_path / "lens.mscope"
    Session.create(path).close()
    return path


@pytest.fixture
def busy(qtbot, window, bundled):
    """A run that reads the model goes on."""
    window.open_path(bundled.folder)
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=5000)
    panel = window.panel("LogitLens")
    panel.run()
    panel.job.pause()
    yield panel
    panel.stop()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    settle(qtbot, window.records)


def test_a_second_start_without_a_path_offers_another_window(qtbot, window, elsewhere):
    window.showMinimized()
    window.arrivals.receive(Request())
    assert not window.isMinimized()
    assert window.status.offered.text() == "Mechanoscope is running already"
    press(qtbot, window.status, "Open a new window")
    assert elsewhere == [[]]


def test_a_session_opens_here_and_the_offer_gives_it_to_another_window(
    qtbot, window, elsewhere, lens, counting
):
    window.records.add(made(counting))
    settle(qtbot, window.records)
    mine = window.records.path
    window.arrivals.receive(Request((str(lens),)))
    qtbot.waitUntil(lambda: window.records.path == lens, timeout=5000)
    assert window.status.offered.text() == "Opened here by a second start"
    press(qtbot, window.status, "Open in a new window")
    qtbot.waitUntil(lambda: bool(elsewhere), timeout=5000)
    assert elsewhere == [[lens]]
    assert not lens.with_name("lens.mscope.lock").exists()  # the other window can write it
    assert window.records.path == mine
    assert len(window.records.entries) == 1
    window.arrivals.receive(Request((str(mine),)))
    assert "is open in this window" in window.status.offered.text()


def test_what_opening_would_do_to_a_run_is_asked_first(
    qtbot, window, busy, elsewhere, lens, bundled
):
    window.arrivals.receive(Request((str(lens),)))
    assert window.records.path != lens
    press(qtbot, window.arrivals.notice, "Open in a new window")
    assert elsewhere == [[lens]]
    other = lens.parent / "other"
    shutil.copytree(bundled.folder, other)
    window.arrivals.receive(Request((str(other),)))
    assert busy.running
    assert window.desk.active.folder == bundled.folder
    window.arrivals.receive(Request((str(bundled.folder),)))  # open already: no harm
    assert busy.running
    window.arrivals.receive(Request((str(lens),)))
    press(qtbot, window.arrivals.notice, "Open here")
    qtbot.waitUntil(lambda: window.records.path == lens, timeout=5000)


def test_a_path_that_is_wrong_is_said_in_the_window(qtbot, window, tmp_path):
    damaged = tmp_path / "damaged.mscope"
    damaged.write_bytes(b"no session" * 100)
    for path in (damaged, tmp_path / "nowhere.mscope", tmp_path / "nowhere", "/dev/null/x"):
        window.arrivals.receive(Request((str(path),)))
        qtbot.waitUntil(lambda: bool(headings(window)), timeout=5000)
        assert window.status.offered.text() == ""
        for notice in window.findChildren(Notice):
            notice.close()
    assert window.records.path is None


def test_of_several_sessions_the_first_opens_and_the_others_are_offered(
    qtbot, window, elsewhere, lens, bundled
):
    more = lens.with_name("more.mscope")
    Session.create(more).close()
    window.arrivals.open([lens, bundled.folder, more])
    assert "1 not opened" in window.status.offered.text()
    press(qtbot, window.status, "Open in new windows")
    qtbot.waitUntil(lambda: window.records.path == lens, timeout=5000)
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=5000)
    assert elsewhere == [[more]]


def test_a_file_in_a_models_folder_stands_for_the_folder(bundled, tmp_path):
    folder = bundled.folder
    for name in ("config.json", "model.safetensors", "vocab.json"):
        assert folder_of(folder / name) == folder
    for name in ("", "README.md", "gone.json"):
        assert folder_of(folder / name) == folder / name
    shard = tmp_path / "model-00001-of-00002.safetensors"
    shard.touch()
    assert folder_of(shard) == shard  # of several models, the one that was pointed at
    shard.with_name("model.safetensors.index.json").touch()
    assert folder_of(shard) == tmp_path


def test_a_new_window_is_this_program_again(monkeypatch, window, tmp_path):
    begun = []
    monkeypatch.setattr(arrivals, "start_apart", lambda words: begun.append(words) or True)
    (action,) = [each for each in window.menus.menus[0].actions() if each.text() == "New window"]
    action.trigger()
    window.arrivals.new_window([tmp_path / "a b.mscope"])
    assert begun[0] == [*program.command(), "--new-window"]
    assert begun[1] == [*begun[0], str(tmp_path / "a b.mscope")]
    monkeypatch.setattr(arrivals, "start_apart", lambda words: False)
    window.arrivals.new_window()
    assert headings(window)


def test_a_program_that_is_not_there_cannot_be_started(tmp_path):
    assert arrivals.start_apart([sys.executable, "-c", ""])
    assert not arrivals.start_apart([str(tmp_path / "no program")])

"""Sessions as a user of the window meets them: menus, notices, the status bar, the end."""

import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFileDialog

from engine.session import Session
from gui import session_file
from gui.buttons import Button
from gui.dialogs import Notice
from gui.session_file import sessions_folder
from gui.tiles import SessionRow, Unclosed
from gui.window import Window
from tests.gui.made_runs import full_disk, made, settle, stale_lock, stored


def panel_of(window, kind):
    return window.panel(kind)


def press(qtbot, notice, word):
    (button,) = [each for each in notice.findChildren(Button) if each.accessibleName() == word]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def notices(window):
    return [notice for notice in window.findChildren(Notice) if notice.isVisible()]


@pytest.fixture
def second(qtbot):
    window = Window()
    qtbot.addWidget(window)
    window.show()
    yield window
    window.close()


@pytest.fixture
def lensed(qtbot, reading):
    """The window after one run of the logit lens, saved."""
    panel = panel_of(reading, "LogitLens")
    panel.run()
    qtbot.waitUntil(lambda: len(reading.records.entries) == 1, timeout=5000)
    settle(qtbot, reading.records)
    return reading


def test_ctrl_s_asks_for_a_name_once_and_then_only_says_saved(qtbot, window, counting, tmp_path):
    window.session.save()
    (notice,) = notices(window)
    notice.close()
    window.records.add(made(counting))
    settle(qtbot, window.records)
    window.session.save()
    (dialog,) = window.findChildren(QFileDialog)
    dialog.reject()
    window.records.save_as(tmp_path / "mine.mscope")
    settle(qtbot, window.records)
    window.session.save()
    assert not [each for each in window.findChildren(QFileDialog) if each.isVisible()]
    assert window.status.session.text() == "mine  ·  saved"


def test_a_session_that_was_not_closed_is_offered_and_opens(qtbot, home, counting):
    sessions_folder().mkdir(parents=True)
    path = sessions_folder() / "untitled 2026-11-22 21.30.mscope"
    with Session.create(path) as session:
        for number in (1, 2):
            session.add(made(counting, number))
    stale_lock(path)
    window = Window()
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: bool(window.welcome.findChildren(Unclosed)), timeout=5000)
    assert "(2 runs) was not closed" in window.status.offered.text()
    assert not notices(window)
    line = window.welcome.findChildren(Unclosed)[0]
    qtbot.mouseClick(line.open_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(window.records.entries) == 2, timeout=5000)
    assert window.records.path == path
    assert not window.status.offered.text()
    window.close()
    assert not Path(f"{path}.lock").exists()


def test_what_is_dismissed_is_not_said_again(qtbot, home, counting):
    sessions_folder().mkdir(parents=True)
    path = sessions_folder() / "untitled 2026-11-22 21.30.mscope"
    with Session.create(path) as session:
        session.add(made(counting))
    lock = stale_lock(path)
    window = Window()
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: bool(window.welcome.findChildren(Unclosed)), timeout=5000)
    window.welcome.findChildren(Unclosed)[0].dismissed.emit()
    assert not lock.exists()
    assert path.exists()
    window.close()


def test_the_second_window_on_a_file_says_so(qtbot, window, second, counting, tmp_path):
    window.records.add(made(counting))
    window.records.save_as(tmp_path / "shared.mscope")
    settle(qtbot, window.records)
    second.open_path(tmp_path / "shared.mscope")
    qtbot.waitUntil(lambda: second.records.read_only, timeout=5000)
    assert second.status.session.text() == "shared  ·  open in another window"
    (notice,) = notices(second)
    assert not notice.isModal()
    notice.close()


def test_a_full_disk_is_in_the_status_bar_and_can_be_tried_again(
    qtbot, window, counting, monkeypatch
):
    room = full_disk(monkeypatch)
    window.records.add(made(counting))
    settle(qtbot, window.records)
    assert window.status.session.text() == "1 run not saved: the disk is full"
    assert window.status.retry_button.isVisible()
    room()
    qtbot.mouseClick(window.status.retry_button, Qt.MouseButton.LeftButton)
    settle(qtbot, window.records)
    assert window.status.session.text() == "Untitled session  ·  saved"
    assert not window.status.retry_button.isVisible()


def test_closing_with_unsaved_runs_asks_first(qtbot, window, counting, monkeypatch):
    full_disk(monkeypatch)
    window.records.add(made(counting))
    settle(qtbot, window.records)
    assert not window.close()
    assert window.isVisible()
    (notice,) = notices(window)
    notice.close()
    assert window.isVisible()
    assert not window.close()
    (notice,) = notices(window)
    press(qtbot, notice, "Close anyway")
    assert not window.isVisible()


def test_unsaved_runs_can_be_saved_elsewhere_at_the_end(
    qtbot, window, counting, monkeypatch, tmp_path
):
    room = full_disk(monkeypatch)
    window.records.add(made(counting, title="rescued"))
    settle(qtbot, window.records)
    assert not window.close()
    press(qtbot, notices(window)[0], "Save as…")
    (dialog,) = window.findChildren(QFileDialog)
    room()
    dialog.fileSelected.emit(str(tmp_path / "rescued.mscope"))
    dialog.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5000)
    assert [run.title for run in stored(tmp_path / "rescued.mscope")] == ["rescued"]


def test_leaving_a_session_with_unsaved_runs_asks_first(
    qtbot, window, counting, monkeypatch, tmp_path
):
    full_disk(monkeypatch)
    window.records.add(made(counting))
    settle(qtbot, window.records)
    window.session.new()
    assert len(window.records.entries) == 1
    (notice,) = notices(window)
    press(qtbot, notice, "Begin a new session anyway")
    assert not window.records.entries
    settle(qtbot, window.records)


def test_closing_waits_for_a_slow_writer_and_says_so(qtbot, window, counting, monkeypatch):
    go = threading.Event()
    whole = session_file.open_or_create
    monkeypatch.setattr(session_file, "open_or_create", lambda path: go.wait(10) and whole(path))
    window.records.add(made(counting))
    path = window.records.path
    assert not window.close()
    assert window.status.session.text() == "Closing as soon as everything is saved"
    go.set()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5000)
    with Session.open(path) as session:
        assert len(session.runs()) == 1


def test_closing_keeps_what_a_run_had_so_far(qtbot, reading, counting):
    panel = panel_of(reading, "ActivationPatching")
    panel.run()
    qtbot.waitUntil(lambda: panel.job.tick is not None or not panel.running, timeout=5000)
    reading.close()
    path = reading.records.path
    with Session.open(path) as session:
        assert len(session.runs()) == 1


def test_deleting_offers_an_undo_in_the_status_bar_and_with_ctrl_z(qtbot, window, counting):
    entries = [window.records.add(made(counting, n)) for n in (1, 2)]
    settle(qtbot, window.records)
    window.desk.ask("delete", entries)
    assert window.status.offered.text() == "2 runs deleted"
    qtbot.mouseClick(window.status.offer_button, Qt.MouseButton.LeftButton)
    assert len(window.records.entries) == 2
    assert not window.status.offered.text()
    window.desk.ask("delete", entries[:1])
    kind, control = QEvent.Type.KeyPress, Qt.KeyboardModifier.ControlModifier
    window.keyPressEvent(QKeyEvent(kind, Qt.Key.Key_Z, control))
    assert len(window.records.entries) == 2


def test_names_given_to_a_run_reach_its_panel(qtbot, lensed):
    (entry,) = lensed.records.entries
    lensed.desk.ask("rename run", (entry, "before the fix"))
    assert panel_of(lensed, "LogitLens").run_shown.title == "before the fix"


def test_a_run_kept_before_the_digest_was_known_gets_it(qtbot, lensed):
    digest = lambda: lensed.records.entries[0].run.model.digest  # noqa: E731
    qtbot.waitUntil(lambda: not digest().startswith("header:"), timeout=10_000)
    settle(qtbot, lensed.records)
    assert stored(lensed.records.path)[0].model.digest == digest()


def test_a_run_comes_back_with_its_focus_and_prompts(qtbot, lensed):
    panel = panel_of(lensed, "LogitLens")
    prompts, focus = lensed.desk.prompts, lensed.desk.focus
    lensed.desk.turn(layer=1, position=2)
    lensed.reveal(panel)
    lensed.desk.turn(layer=0, position=4)
    seen = lensed.desk.focus
    panel.run()
    qtbot.waitUntil(lambda: len(lensed.records.entries) == 2, timeout=5000)
    settle(qtbot, lensed.records)
    lensed.desk.set_prompts(type(prompts)(clean="cat sun", corrupted="cat hat"))
    lensed.showing.show(lensed.records.entries[1])
    qtbot.waitUntil(lambda: lensed.desk.prompts.clean == prompts.clean, timeout=5000)
    assert lensed.desk.focus == seen != focus


def test_two_runs_are_compared_on_request(qtbot, lensed, monkeypatch):
    panel = panel_of(lensed, "LogitLens")
    panel.run()
    qtbot.waitUntil(lambda: len(lensed.records.entries) == 2, timeout=5000)
    settle(qtbot, lensed.records)
    seen = []
    monkeypatch.setattr(panel, "compare", seen.append)
    lensed.desk.ask("compare", tuple(lensed.records.entries))
    qtbot.waitUntil(lambda: any(run is not None for run in seen), timeout=5000)
    assert seen[-1].id == lensed.records.entries[1].id
    assert panel.run_shown.id == lensed.records.entries[0].id


def test_a_run_of_another_model_opens_that_model(qtbot, lensed, bundled):
    (entry,) = lensed.records.entries
    lensed.close_model()
    panel = panel_of(lensed, "LogitLens")
    panel.clear()
    lensed.desk.ask("show run", entry)
    qtbot.waitUntil(lambda: lensed.desk.model is not None, timeout=5000)
    qtbot.waitUntil(lambda: panel.result is not None, timeout=5000)
    assert panel.drawn[1] is lensed.desk.model


def test_a_run_whose_model_is_gone_is_shown_with_its_own_words(qtbot, lensed, tmp_path):
    from dataclasses import replace

    (entry,) = lensed.records.entries
    gone = replace(entry.run.model, folder=str(tmp_path / "gone"), digest="f" * 64)
    lensed.records._runs.change(entry, run=replace(entry.run, model=gone))
    lensed.close_model()
    panel = panel_of(lensed, "LogitLens")
    panel.clear()
    lensed.desk.ask("show run", entry)
    qtbot.waitUntil(lambda: panel.result is not None, timeout=5000)
    assert lensed.desk.model is None


def test_recent_sessions_stand_apart_from_models_with_their_times(
    qtbot, lensed, tmp_path, counting
):
    lensed.records.save_as(tmp_path / "mine.mscope")
    settle(qtbot, lensed.records)
    lensed.session.new()
    lensed.records.add(made(counting))
    settle(qtbot, lensed.records)
    menus = {action.text(): action.menu() for action in lensed.menus.menus[0].actions()}
    sessions = menus["Open recent session"]
    sessions.aboutToShow.emit()
    texts = [action.text() for action in sessions.actions()]
    assert texts[0] == "Saved"
    assert texts[1].startswith("mine\ttoday ")
    assert texts[2] == "Untitled"
    assert texts[3].startswith("untitled ")
    models = menus["Open recent model"]
    models.aboutToShow.emit()
    assert models.actions()[0].text().startswith("induction-2l\ttoday ")
    lensed.show_welcome()
    rows = lensed.welcome.findChildren(SessionRow)
    assert rows[0].accessibleName() == "Session mine"


def test_compacting_is_explained_first(qtbot, window, counting):
    entry = window.records.add(made(counting))
    settle(qtbot, window.records)
    window.records.delete([entry])
    window.session.ask_compact()
    (notice,) = notices(window)
    with qtbot.waitSignal(window.records.compacted, timeout=5000):
        press(qtbot, notice, "Compact")
    assert "freed" in window.status.offered.text()


def test_data_that_is_gone_is_listed_with_a_way_to_locate_it(qtbot, window, counting, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(b"the cat sat\n" * 100_000)
    window.records.add(made(counting))
    kept = []
    window.records.kept_data.put_file("corpus", corpus, kept.append)
    qtbot.waitUntil(lambda: bool(kept), timeout=5000)
    settle(qtbot, window.records)
    path = window.records.path
    window.session.new()
    settle(qtbot, window.records)
    moved = corpus.rename(tmp_path / "moved.txt")
    window.open_path(path)
    qtbot.waitUntil(lambda: bool(notices(window)), timeout=5000)
    (notice,) = notices(window)
    press(qtbot, notice, "Locate…")
    (dialog,) = window.findChildren(QFileDialog)
    dialog.fileSelected.emit(str(moved))
    dialog.close()
    qtbot.waitUntil(lambda: window.status.offered.text() == "moved.txt found", timeout=5000)
    assert list(window.records.places.values()) == [str(moved)]
    settle(qtbot, window.records)
    notice.close()

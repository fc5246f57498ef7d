"""Panel: run, stop, messages and stale notes, with a technique that only counts."""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from engine import technique
from engine.refs import Ref, locate, of_file
from engine.session import Run, store
from engine.technique import Technique, Update, array, param
from gui import running
from gui.focus import Focus, Opened, PromptPair
from gui.panel import Panel
from tests.gui.panel_kit import FakeRecords, finish, long, press


def test_run_draws_the_result_and_says_its_sentence(qtbot, panel):
    press(qtbot, panel)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert panel.drawn_counts[-1] == 5
    assert panel.line.text() == "It came to 5."
    assert panel.desk.result("Counting") is panel.result


def test_run_becomes_stop_in_the_same_place_and_stopping_is_prompt(qtbot, panel):
    long(panel)
    press(qtbot, panel)
    assert panel.header.run_button.accessibleName() == "Stop"
    qtbot.waitUntil(lambda: bool(panel.drawn_counts), timeout=3000)
    asked = time.perf_counter()
    press(qtbot, panel)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert time.perf_counter() - asked < 0.2
    assert panel.header.run_button.accessibleName() == "Run"
    last = panel.drawn_counts[-1]
    assert panel.result.count == last
    qtbot.wait(70)
    assert panel.drawn_counts[-1] == last


def test_a_run_error_is_said_in_the_panel_and_the_last_good_state_stays(qtbot, panel):
    panel.form.entries["mode"].value = "fail"
    press(qtbot, panel)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert panel.message.isVisible()
    assert "lower lr" in panel.message.text.text()
    assert panel.result.count == 2


def test_a_bug_goes_to_the_hook_and_the_panel_lives_on(qtbot, panel, monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: heard.append(args[1]))
    panel.form.entries["mode"].value = "bug"
    press(qtbot, panel)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert isinstance(heard[0], ZeroDivisionError)
    panel.form.entries["mode"].value = "plain"
    press(qtbot, panel)
    qtbot.waitUntil(lambda: panel.result is not None, timeout=3000)


def test_a_refused_value_disables_run(qtbot, panel):
    panel.form.entries["speed"].control.setValue(9.0)
    assert not panel.header.run_button.isEnabled()
    panel.form.entries["speed"].control.setValue(1.0)
    assert panel.header.run_button.isEnabled()


def test_live_fields_reach_the_running_technique(qtbot, panel):
    long(panel)
    press(qtbot, panel)
    panel.form.entries["speed"].control.setValue(0.5)
    qtbot.waitUntil(lambda: panel.job.worker.changes != [], timeout=3000)
    panel.stop()
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)


def test_a_picture_of_an_earlier_prompt_says_so(qtbot, panel):
    press(qtbot, panel)
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=3000)
    assert panel.header.note.text() == ""
    panel.desk.set_prompts(PromptPair(clean="the cat"))
    assert panel.header.note.text() == "for an earlier prompt"
    panel.desk.set_prompts(PromptPair())
    panel.form.entries["speed"].control.setValue(0.25)
    assert panel.header.note.text() == "for earlier settings"


def test_without_a_model_it_says_what_to_do(qtbot, panel):
    panel.desk.drop_model(panel.desk.active.folder)
    press(qtbot, panel)
    assert "Open a model" in panel.message.text.text()


def test_it_survives_being_closed_while_it_runs(qtbot, panel):
    long(panel)
    press(qtbot, panel)
    qtbot.waitUntil(lambda: bool(panel.drawn_counts), timeout=3000)
    panel.close()
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)


def test_nothing_to_export_is_said(qtbot, panel):
    from gui import exporting

    exporting.ask(panel, "png")
    assert "nothing to export" in panel.message.text.text()


def test_a_change_of_theme_draws_once(qtbot, qapp, panel):
    from gui import theme

    press(qtbot, panel)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    before = len(panel.drawn_counts)
    theme.apply(qapp, theme.DARK)
    assert len(panel.drawn_counts) == before + 1


def test_a_refusal_is_a_sentence(qtbot, panel):
    panel.form.entries["mode"].value = "fail"
    press(qtbot, panel)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert panel.message.text.text().startswith("Loss is NaN")


def test_texts_of_tokens_are_asked_for_once(panel, fake_model, monkeypatch):
    assert panel.pieces([1, 2, 1]) == [" the", " cat", " the"]
    monkeypatch.setattr(fake_model, "pieces", lambda ids: [" new"] * len(ids))
    assert panel.pieces([2, 3]) == [" cat", " new"]


def test_a_message_may_carry_one_action(qtbot, panel):
    done = []
    panel.say("Three runs were deleted.", "info", ("Undo", lambda: done.append(1)))
    assert panel.message.action.text() == "Undo"
    qtbot.mouseClick(panel.message.action, Qt.MouseButton.LeftButton)
    assert done == [1]
    panel.say("Nothing to undo.", "info")
    assert not panel.message.action.isVisible()


def test_a_dot_says_whether_the_run_in_the_picture_is_in_a_file(qtbot, panel):
    records = FakeRecords()
    panel.watch_records(records)
    run = finish(qtbot, panel)
    for state, note, said in (
        ("saving", "", "Saving"),
        ("saved", "", "Saved in the session"),
        ("memory", "the disk is full", "In memory only: the disk is full"),
    ):
        records.line = SimpleNamespace(run=run, state=state, note=note, id=0)
        records.changed.emit()
        assert panel.header.dot.toolTip() == said
        assert panel.header.dot.isVisible()
        assert not panel.header.grab().isNull()
    panel.show_result(panel.result, *panel.drawn)
    assert not panel.header.dot.isVisible()


def test_a_run_whose_result_was_not_kept_says_how_to_get_it_back(qtbot, panel):
    panel.form.entries["speed"].control.setValue(0.5)
    gone = replace(finish(qtbot, panel), result=None)
    panel.form.entries["speed"].control.setValue(1.0)
    panel.show_run(gone)
    assert panel.form.entries["speed"].control.value() == 0.5
    assert "Run again" in panel.message.text.text()
    assert panel.header.note.text() == "result not kept"
    assert panel.provenance()["spec"]["speed"] == 0.5
    qtbot.mouseClick(panel.message.action, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert panel.result is not None
    assert panel.header.note.text() == ""


def test_a_run_that_goes_on_is_not_replaced_by_a_stored_one(qtbot, panel):
    stored = finish(qtbot, panel)
    long(panel)
    press(qtbot, panel)
    panel.show_run(stored)
    assert panel.running
    assert panel.message.action.text() == "Stop it"
    qtbot.mouseClick(panel.message.action, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)


def test_a_large_result_is_kept_only_when_asked_for(qtbot, panel, monkeypatch):
    monkeypatch.setattr(store, "LARGE", -1)
    asked = []
    panel.desk.asked.connect(lambda what, about: asked.append((what, about)))
    keep = lambda which, result, error: setattr(  # noqa: E731
        which, "run_shown", Run.of(which.job.worker, result)
    )
    panel.ended.connect(keep)
    press(qtbot, panel)
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert panel.message.action.text() == "Keep result"
    qtbot.mouseClick(panel.message.action, Qt.MouseButton.LeftButton)
    assert asked == [("keep result", panel.run_shown)]
    assert not panel.message.isVisible()


def test_the_view_of_a_damaged_file_is_left_out(panel):
    panel.desk.set_focus(Focus(layer=1))
    for view in ({}, {"focus": 3}, {"focus": {"layer": "one"}}, {"focus": {"layer": -4}},
                 {"panel": [1]}):  # fmt: skip
        panel.take_view(view)
        assert panel.desk.focus == Focus(layer=1)
    panel.take_view({"focus": {"head": 2, "hook": "hook_embed", "unknown": 1}, "panel": {"x": 1}})
    assert panel.desk.focus == Focus(head=2, hook="hook_embed")


def test_the_texts_of_a_stored_run_come_first(qtbot, panel):
    stored = replace(finish(qtbot, panel), words={1: " le", 2: " chat"})
    panel.show_run(stored)
    assert panel.pieces([1, 2, 3]) == [" le", " chat", " dog"]
    assert panel.words_shown() == {1: " le", 2: " chat", 3: " dog"}
    panel.desk.drop_model(panel.desk.active.folder)
    panel.show_run(stored)
    assert panel.pieces([1, 7]) == [" le", "7"]
    assert panel.words_shown() == {1: " le"}


def test_a_missing_input_is_located_and_the_run_goes_on(
    qtbot, desk, jobs, fake_model, tmp_path, monkeypatch
):
    @dataclass(frozen=True)
    class WeighedResult:
        count: int = array("", "bytes read")

    @dataclass(frozen=True, kw_only=True)
    class Weighed(Technique):
        Result = WeighedResult
        source: Ref | None = param(None, "a lens", role="lens")

        def steps(self, model):
            assert self.source is not None
            size = locate(self.source).stat().st_size
            yield Update(1, 1, lambda: WeighedResult(size))

    class WeighedPanel(Panel):
        kind = "Weighed"
        title = "Weighed"

        def build(self):
            return QLabel()

    try:
        lens = tmp_path / "tuned.lens"
        lens.write_bytes(b"12345")
        ref = of_file("lens", lens)
        there = lens.rename(tmp_path / "moved.lens")
        desk.put_model(Opened(fake_model.folder, None, fake_model))
        panel = WeighedPanel(desk, jobs)
        qtbot.addWidget(panel)
        panel.resize(480, 320)
        panel.show()
        assert panel.form is not None
        panel.form.entries["source"].value = ref
        press(qtbot, panel)
        qtbot.waitUntil(lambda: panel.message.isVisible(), timeout=3000)
        assert "tuned.lens" in panel.message.text.text()
        assert panel.message.action.text() == "Locate…"

        def choose_file(parent, title, pattern, then):
            assert title == "Locate the lens"
            then(Path(there))

        monkeypatch.setattr(running.dialogs, "choose_file", choose_file)
        qtbot.mouseClick(panel.message.action, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: panel.result is not None, timeout=3000)
        assert panel.result.count == 5
    finally:
        technique._KINDS.pop("Weighed")


def test_the_first_result_makes_no_header_wider(qtbot, panel):
    before = panel.header.minimumSizeHint()
    finish(qtbot, panel)
    panel.mark()
    assert panel.header.about_button.isVisible()
    assert panel.header.minimumSizeHint() == before


def test_a_failed_run_says_so_and_is_not_compared(qtbot, panel):
    stored = finish(qtbot, panel)
    failed = replace(stored, result=None, error="loss is NaN")
    panel.show_run(failed)
    assert panel.header.note.text() == "failed"
    panel.compare(stored)
    assert "This run failed" in panel.message.text.text()
    panel.show_run(stored)
    panel.compare(failed)
    assert "loss is NaN" in panel.message.text.text()
    assert panel.comparison is None

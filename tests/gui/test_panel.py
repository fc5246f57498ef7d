"""Panel: run, stop, messages and stale notes, with a technique that only counts."""

import sys
import time

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from gui.focus import Opened, PromptPair
from gui.panel import Panel


@pytest.fixture
def panel(qtbot, desk, jobs, counting, fake_model):
    class CountingPanel(Panel):
        kind = "Counting"
        title = "Counting"
        empty = "Here it will count."
        drawn_counts: list[int]

        def build(self):
            self.drawn_counts = []
            self.number = QLabel()
            return self.number

        def draw(self, result):
            self.drawn_counts.append(result.count)
            self.number.setText(str(result.count))

        def sentence(self, result):
            return f"It came to {result.count}."

    desk.put_model(Opened(fake_model.folder, None, fake_model))
    made = CountingPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(480, 320)
    made.show()
    return made


def press(qtbot, panel):
    qtbot.mouseClick(panel.header.run_button, Qt.MouseButton.LeftButton)


def long(panel):
    panel.form.entries["steps_wanted"].control.setValue(1_000_000_000)


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

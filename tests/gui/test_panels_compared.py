"""The free tests of every panel that compares two of its runs."""

from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from PySide6.QtGui import QImage

from gui import exporting, theme
from gui.comparison import FOCUS
from gui.focus import Focus
from tests.gui.every_panel import EVERY, EVERY_LINKED, OF_A_PROMPT, kept, other_run, settled


@EVERY
def test_a_run_against_itself_has_the_same_bits(run, make):
    panel = run(make)
    panel.compare(kept(panel))
    assert panel.comparison.settings.heading.text().startswith("Nothing differs")
    assert "the same bits" in panel.comparison.said.text()
    panel.compare(None)


@EVERY
def test_a_run_of_another_prompt_or_seed_is_laid_beside_it(qtbot, qapp, run, make):
    panel = run(make)
    other = other_run(qtbot, panel)
    panel.compare(other)
    shown = panel.comparison
    differs = "Only the prompts differ." if make in OF_A_PROMPT else "One setting differs."
    assert shown.settings.heading.text() == differs
    assert "largest difference" in shown.said.text()
    for mode in ("a", "b", "difference", "side"):
        qtbot.mouseClick(shown.segments[mode], Qt.MouseButton.LeftButton)
        assert not panel.grab().isNull()
    theme.apply(qapp, theme.DARK)
    for index in range(shown.array.count()):
        shown.array.setCurrentIndex(index)
        shown.array.activated.emit(index)
        shown.go_to_largest()
        assert not panel.grab().isNull()
    panel.compare(None)


@EVERY
def test_the_picture_comes_back_as_it_was_and_leaves_nothing(qtbot, run, make):
    panel = run(make)
    other = other_run(qtbot, panel)
    before, sentence = settled(panel), panel.line.text()
    heard = []
    panel.desk.published.connect(lambda *what: heard.append(what))
    count = len(panel.findChildren(QObject))
    for _ in range(2):
        panel.compare(other)
        shown: Any = panel.comparison
        assert panel.figure_widget() is shown.figure
        qtbot.keyClick(shown, Qt.Key.Key_Escape)
        assert panel.comparison is None
        assert panel.figure_widget() is panel.canvas
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        assert len(panel.findChildren(QObject)) == count
    assert settled(panel) == before
    assert panel.line.text() == sentence
    assert panel.line.isVisible()
    assert not heard


@EVERY_LINKED
def test_the_focus_turns_both_pictures_of_a_comparison_and_their_difference(qtbot, run, make):
    panel = run(make)
    other = other_run(qtbot, panel)
    panel.compare(other)
    seen = []
    for twin in panel.comparison.twins:
        look = twin.look_at
        panel.desk.focus_changed.disconnect(look)
        panel.desk.focus_changed.connect(lambda focus, look=look: (seen.append(focus), look(focus)))
    shown = panel.comparison
    linked = [at for at, pair in enumerate(shown.found.arrays) if set(pair.axes) & set(FOCUS)]
    differing = [at for at in linked if shown.found.arrays[at].at]
    if not differing:  # probes: what runs along positions is asked for, and quick runs do not
        panel.compare(None)
        pytest.skip("these two runs differ in nothing that runs along an axis of the Focus")
    shown.array.setCurrentIndex(differing[0])
    shown.array.activated.emit(differing[0])
    shown.go_to_largest()
    assert panel.desk.focus != Focus()
    assert len(seen) == 2
    panel.compare(None)


@EVERY
def test_a_comparison_is_exported_as_it_is_shown(qtbot, run, make, tmp_path):
    panel = run(make)
    other = other_run(qtbot, panel)
    exporting.save(panel, tmp_path / "alone.png")
    panel.compare(other)
    for suffix in ("png", "svg"):
        exporting.save(panel, tmp_path / f"both.{suffix}")
    assert QImage(str(tmp_path / "both.png")) != QImage(str(tmp_path / "alone.png"))
    assert "<svg" in (tmp_path / "both.svg").read_text(encoding="utf-8")
    panel.compare(None)


@EVERY
def test_a_comparison_asks_for_no_more_room_than_the_picture(qtbot, run, make):
    panel = run(make)
    panel.compare(kept(panel))
    least = panel.layout().totalMinimumSize()
    assert least.width() <= 420, least
    assert least.height() <= 320, least
    panel.compare(None)

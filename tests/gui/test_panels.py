"""The free tests of every panel in the table."""

import time
import zipfile
from dataclasses import fields

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget

from engine.errors import SpecError
from engine.session import Run
from gui import exporting, theme
from gui.focus import Focus, Opened
from gui.panel import PLACES
from tests.gui.every_panel import (
    ALL,
    EVERY,
    EVERY_ALONE,
    EVERY_OF_A_MODEL,
    EVERY_OF_A_PROMPT,
    OF_A_MODEL,
    OF_A_PROMPT,
    kept,
    settled,
    through_a_file,
)
from tests.gui.panel_kit import card, make_quick


class Shown(QObject):
    """Notes the widgets that show themselves as windows of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: list[str] = []

    def eventFilter(self, thing: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show and isinstance(thing, QWidget) and thing.isWindow():
            self.alone.append(type(thing).__name__)
        return False


@ALL
def test_it_says_where_it_stands_and_what_it_is(make):
    assert make.place in PLACES
    assert make.title
    assert not make.kind or make.empty


@ALL
def test_no_part_of_it_shows_itself_before_it_has_its_place(qtbot, qapp, desk, jobs, make):
    """It would flash up as a window of its own, and take the keyboard from the real one."""
    shown = Shown()
    qapp.installEventFilter(shown)
    panel = make(desk, jobs)
    qapp.removeEventFilter(shown)
    qtbot.addWidget(panel)
    assert not shown.alone


@ALL
def test_it_fits_a_small_screen(qtbot, desk, jobs, make):
    panel = make(desk, jobs)
    qtbot.addWidget(panel)
    panel.show()
    least = panel.layout().totalMinimumSize()
    assert least.width() <= 420, least
    assert least.height() <= 320, least


@ALL
def test_it_paints_empty_in_both_themes(qtbot, qapp, desk, jobs, make):
    panel = make(desk, jobs)
    qtbot.addWidget(panel)
    panel.show()
    for tokens in (theme.DARK, theme.LIGHT):
        theme.apply(qapp, tokens)
        assert not panel.grab().isNull()


@EVERY
def test_run_draws_a_result_and_says_a_sentence(run, make):
    panel = run(make)
    assert panel.line.text()
    assert not panel.header.note.text()
    assert not panel.message.isVisible()


@EVERY
def test_drawing_again_makes_no_new_items(run, make):
    panel = run(make)
    before = len(panel.findChildren(QObject))
    for _ in range(3):
        panel.show_result(panel.result, *panel.drawn)
    assert len(panel.findChildren(QObject)) == before


@EVERY
def test_every_focus_is_survived_before_and_after_a_run(run, open_panel, make):
    views = [
        Focus(),
        Focus(layer=1, head=1, query=3, key=1, position=3),
        Focus(layer=999, head=999, query=999, key=999, position=999),
        Focus(component="blocks.0.attn", layer=0),
        Focus(position=0),
        Focus(feature=1),
        Focus(feature=999),
    ]
    empty = open_panel(make)
    for focus in views:
        empty.look_at(focus)
    panel = run(make)
    for focus in views:
        panel.look_at(focus)
        assert not panel.grab().isNull()


@EVERY
def test_it_survives_being_closed_while_it_runs(qtbot, open_panel, make):
    panel = open_panel(make)
    if panel.form is not None and (steps := panel.form.entries.get("n_steps")):
        steps.value = 5000
    assert panel.run() is not None
    panel.close()
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)


@EVERY
def test_stop_answers_at_once(qtbot, open_panel, make):
    panel = open_panel(make)
    if panel.form is not None and (steps := panel.form.entries.get("n_steps")):
        steps.value = 5000
    seconds = []
    for _ in range(3):  # the quickest counts: another process may have held the core
        panel.run()
        asked = time.perf_counter()
        panel.stop()
        qtbot.waitUntil(lambda: not panel.running, timeout=3000)
        seconds.append(time.perf_counter() - asked)
        if seconds[-1] < 0.2:
            break
    assert min(seconds) < 0.2


@EVERY
def test_it_exports_a_picture_a_drawing_and_its_arrays(run, make, tmp_path):
    panel = run(make)
    for suffix in ("png", "svg", "npz"):
        exporting.save(panel, tmp_path / f"out.{suffix}")
    assert not QImage(str(tmp_path / "out.png")).isNull()
    assert "<svg" in (tmp_path / "out.svg").read_text(encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        assert "spec.npy" in archive.namelist()


@EVERY
def test_its_script_names_the_spec_and_the_model(run, make, bundled):
    script = run(make).script()
    assert make.kind in script
    assert (str(bundled.folder) in script) == (make in OF_A_MODEL)


@EVERY
def test_a_stored_run_comes_back_with_its_fields(qtbot, run, make):
    panel = run(make)
    spec, result = panel.drawn[0], panel.result
    stored = Run.of(panel.job.worker, result)
    panel.clear()
    assert panel.result is None
    panel.show_run(stored)
    assert panel.result is result
    assert panel.spec() == spec


@EVERY_OF_A_PROMPT
def test_prompts_that_do_not_run_are_explained_in_the_panel(qtbot, open_panel, make):
    from gui.focus import PromptPair

    panel = open_panel(make)
    panel.desk.set_prompts(PromptPair(clean="", corrupted=""))
    job = panel.run()
    if job is not None:
        qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert panel.message.isVisible()
    assert "prompt" in panel.message.text.text().lower()


@EVERY
def test_the_default_spec_is_accepted(open_panel, make):
    try:
        open_panel(make).spec()
    except SpecError as error:
        pytest.fail(str(error))


# stored runs, where they come from, and comparisons

LOOKED = Focus(layer=1, head=1, query=5, key=2, position=3)


@EVERY
def test_a_stored_run_comes_back_exactly_as_it_was_drawn(run, make, tmp_path):
    panel = run(make)
    panel.desk.set_focus(LOOKED)
    before = settled(panel)
    stored = through_a_file(kept(panel), tmp_path)
    panel.desk.set_focus(Focus(layer=0, position=1))
    panel.clear()
    panel.show_run(stored)
    assert panel.desk.focus == LOOKED
    assert settled(panel) == before
    assert panel.header.note.text() == ""


@EVERY_ALONE
def test_it_runs_where_no_model_is_open_and_is_nobody_elses(qtbot, desk, jobs, make, bundled):
    panel = make(desk, jobs)
    qtbot.addWidget(panel)
    panel.resize(640, 420)
    panel.show()
    make_quick(panel)
    assert panel.run() is not None
    qtbot.waitUntil(lambda: not panel.running, timeout=8000)
    assert panel.result is not None, panel.message.text.text()
    made = kept(panel)
    assert made.model is None
    desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
    assert panel.header.note.text() == ""
    panel.show_run(made)
    assert panel.header.note.text() == ""
    assert panel.drawn[1] is None
    assert not panel.message.isVisible()


@EVERY_OF_A_MODEL
def test_it_is_drawn_the_same_when_its_model_is_closed_or_another_one_is_open(
    run, make, tmp_path, bundled, fake_model
):
    panel = run(make)
    panel.desk.set_focus(LOOKED)
    before, sentence = settled(panel), panel.line.text()
    stored = through_a_file(kept(panel), tmp_path)
    panel.desk.drop_model(bundled.folder)
    panel.show_run(stored)
    assert settled(panel) == before
    assert panel.line.text() == sentence
    assert bundled.name in panel.header.note.text()
    panel.desk.put_model(Opened(fake_model.folder, None, fake_model), activate=True)
    panel.show_run(stored)
    assert settled(panel) == before
    assert panel.desk.result(make.kind) is None  # nobody takes it for the open model's
    panel.desk.turn(position=0, query=0, key=0)
    assert not panel.grab().isNull()


@EVERY
def test_the_texts_of_all_its_tokens_are_kept(run, make):
    panel = run(make)
    words = panel.words_shown()
    for item in fields(panel.result):
        if item.name.endswith("tokens"):
            assert set(np.ravel(getattr(panel.result, item.name)).tolist()) <= set(words)


@EVERY
def test_its_origin_is_told_at_the_picture(qtbot, run, make, bundled):
    panel = run(make)
    kept(panel)
    qtbot.mouseClick(panel.header.about_button, Qt.MouseButton.LeftButton)
    shown = card(panel)
    told = dict(shown.rows)
    if make in OF_A_MODEL:
        assert told["Model"] == bundled.name
        assert bundled.digest.removeprefix("header:") in " ".join(told.values())
        assert "headers only" in told["Digest of the header"]
    else:
        assert bundled.name not in " ".join(told.values())
    for name in ("Technique", "Duration", "BLAS threads", "NumPy", "Digest of the result"):
        assert told[name], name
    tokens = any(name.startswith("Tokens") and name.endswith("ids") for name in told)
    assert tokens == (make in OF_A_PROMPT)
    assert shown.geometry().intersected(panel.rect()) == shown.geometry()
    qtbot.keyClick(shown.text, Qt.Key.Key_Escape)
    assert card(panel) is None

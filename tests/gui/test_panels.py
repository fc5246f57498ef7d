"""The free tests of every panel in the table."""

import time
import zipfile

import pytest
from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QImage

from engine.errors import SpecError
from gui import examples, theme
from gui.focus import Focus, Opened
from gui.panel import PLACES, panels

ALL = pytest.mark.parametrize("make", panels(), ids=lambda make: make.__name__)
READINGS = [make for make in panels() if make.kind]
EVERY = pytest.mark.parametrize("make", READINGS, ids=lambda make: make.__name__)


@pytest.fixture
def open_panel(qtbot, desk, jobs, bundled):
    """Make a panel with the bundled model and its first example on the desk."""

    def build(make):
        panel = make(desk, jobs)
        qtbot.addWidget(panel)
        panel.resize(640, 420)
        panel.show()
        desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
        desk.set_prompts(examples.for_model(bundled)[0].pair)
        return panel

    return build


@pytest.fixture
def run(qtbot, open_panel):
    def build(make):
        panel = open_panel(make)
        qtbot.mouseClick(panel.header.run_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not panel.running, timeout=5000)
        assert panel.result is not None, panel.message.text.text()
        return panel

    return build


@ALL
def test_it_says_where_it_stands_and_what_it_is(make):
    assert make.place in PLACES
    assert make.title
    assert not make.kind or make.empty


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
    assert panel.run() is not None
    panel.close()
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)


@EVERY
def test_stop_answers_at_once(qtbot, open_panel, make):
    panel = open_panel(make)
    panel.run()
    asked = time.perf_counter()
    panel.stop()
    qtbot.waitUntil(lambda: not panel.running, timeout=3000)
    assert time.perf_counter() - asked < 0.2


@EVERY
def test_it_exports_a_picture_a_drawing_and_its_arrays(run, make, tmp_path):
    panel = run(make)
    for suffix in ("png", "svg", "npz"):
        getattr(panel, f"export_{suffix}")(tmp_path / f"out.{suffix}")
    assert not QImage(str(tmp_path / "out.png")).isNull()
    assert "<svg" in (tmp_path / "out.svg").read_text(encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        assert "spec.npy" in archive.namelist()


@EVERY
def test_its_script_names_the_spec_and_the_model(run, make, bundled):
    script = run(make).script()
    assert make.kind in script
    assert str(bundled.folder) in script


@EVERY
def test_a_stored_run_comes_back_with_its_fields(qtbot, run, make):
    from engine.session import Run

    panel = run(make)
    spec, result = panel.drawn[0], panel.result
    stored = Run.of(panel.job.worker, result)
    panel.clear()
    assert panel.result is None
    panel.show_run(stored)
    assert panel.result is result
    assert panel.spec() == spec


@EVERY
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

"""Figures: a panel's picture for a paper, the same in both themes, and the window untouched."""

import re
import xml.etree.ElementTree as xml

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

from gui import examples, theme
from gui.figures import DOUBLE, MIDDLE, SINGLE, Layout, caption_of, figure_of, width_enough
from gui.focus import Opened
from gui.panel import panels
from gui.plots.export import INCH, SCREEN
from tests.gui.left_behind import address

READINGS = [make for make in panels() if make.kind]
EVERY = pytest.mark.parametrize("make", READINGS, ids=lambda make: make.__name__)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def run(qtbot, desk, jobs, bundled):
    """A panel that shows its result on the bundled model."""

    def build(make):
        panel = make(desk, jobs)
        qtbot.addWidget(panel)
        panel.resize(640, 420)
        panel.show()
        desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
        desk.set_prompts(examples.for_model(bundled)[0].pair)
        qtbot.mouseClick(panel.header.run_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not panel.running, timeout=5000)
        return panel

    return build


class Windows(QObject):
    """Names of the classes of windows that are shown from now on."""

    def __init__(self, app):
        super().__init__()
        self.shown = []
        app.installEventFilter(self)

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            self.shown.append(type(watched).__name__)
        return False


def words(svg: bytes) -> list[str]:
    return [node.text or "" for node in xml.fromstring(svg).iter(f"{SVG}text")]


@EVERY
@pytest.mark.parametrize("width", [SINGLE, DOUBLE])
def test_a_figure_is_as_wide_as_its_column_in_every_format(run, make, width, tmp_path):
    with figure_of(run(make), Layout(width_mm=width)) as figure:
        assert figure.size_mm[0] == pytest.approx(width, abs=0.001)
        height = figure.size_mm[1]
        for suffix in ("png", "svg", "pdf"):
            figure.write(tmp_path / f"out.{suffix}", 600)
    image = QImage(str(tmp_path / "out.png"))
    assert image.width() / image.dotsPerMeterX() * 1000 == pytest.approx(width, abs=0.1)
    assert image.height() / image.dotsPerMeterY() * 1000 == pytest.approx(height, abs=0.1)
    root = xml.parse(tmp_path / "out.svg").getroot()
    assert root.get("width") == f"{width:.3f}mm"
    box = re.search(rb"/MediaBox \[0 [\d.]+ ([\d.]+) ", (tmp_path / "out.pdf").read_bytes())
    assert box is not None
    assert float(box[1]) / 72 * INCH == pytest.approx(width, abs=0.1)


@EVERY
def test_both_themes_and_the_presentation_give_the_same_figure(run, qapp, make):
    panel = run(make)
    made = []
    for tokens, zoom in ((theme.LIGHT, 1.0), (theme.DARK, 1.3)):
        theme.apply(qapp, tokens, zoom)
        with figure_of(panel, Layout(caption=True)) as figure:
            pdf = re.sub(rb"\(D:\d+Z\)|<[0-9a-f]{60,}>", b"", figure.content("pdf", 300))
            made.append((figure.content("png", 300), figure.content("svg", 300), pdf))
    theme.apply(qapp, theme.LIGHT)
    assert made[0] == made[1]


@EVERY
def test_the_window_is_as_it_was_and_the_twin_is_gone(run, qapp, make):
    panel = run(make)
    theme.apply(qapp, theme.DARK)
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    before = {address(widget) for widget in qapp.allWidgets()}
    seen, size = panel.grab().toImage(), panel.size()
    drawn, published, moved, focused = [], [], [], []
    windows = Windows(qapp)
    panel.shown.connect(drawn.append)
    panel.desk.published.connect(lambda *what: published.append(what))
    panel.desk.focus_changed.connect(moved.append)
    qapp.focusChanged.connect(lambda *what: focused.append(what))
    with figure_of(panel, Layout(caption=True)) as figure:
        figure.content("svg", 300)
        assert theme.current() is theme.FIGURE
    assert theme.current() is theme.DARK
    assert windows.shown == ["Page"]  # which Qt keeps off the screen
    assert [*drawn, *published, *moved, *focused] == []
    assert panel.size() == size
    assert panel.grab().toImage() == seen
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert {address(widget) for widget in qapp.allWidgets()} <= before
    theme.apply(qapp, theme.LIGHT)


@EVERY
def test_a_figure_has_its_tokens_as_text_on_white(run, make):
    panel = run(make)
    with figure_of(panel, Layout(width_mm=DOUBLE)) as figure:
        shown = words(figure.content("svg", 300))
        corner = figure.image(100).pixelColor(0, 0)
    assert corner.name() == theme.FIGURE.panel.lower()
    for word in panel.desk.prompts.clean.split():
        assert word in shown


@EVERY
def test_the_caption_is_under_the_figure_on_demand_and_in_the_file_always(run, make):
    panel = run(make)
    caption = caption_of(panel)
    assert "induction-2l" in caption
    with figure_of(panel, Layout()) as figure:
        plain, bare = figure.content("svg", 300), figure.size_mm[1]
    with figure_of(panel, Layout(caption=True)) as figure:
        told, tall = figure.content("svg", 300), figure.size_mm[1]
    assert tall > bare
    assert xml.fromstring(plain).findtext(f"{SVG}desc") == caption
    assert " ".join(caption.split()) not in " ".join(words(plain))
    assert " ".join(caption.split()) in " ".join(" ".join(words(told)).split())


@EVERY
def test_labels_have_the_asked_size_in_print_and_none_is_tiny(run, make):
    for pt in (6.0, 8.0):
        with figure_of(run(make), Layout(width_mm=DOUBLE, pt=pt)) as figure:
            root = xml.fromstring(figure.content("svg", 300))
            scale = figure.sheet.mm / INCH * 72  # points to a pixel
        sizes = {float(node.get("font-size", 0)) * scale for node in root.iter(f"{SVG}text")}
        assert min(sizes) >= pt * 0.9
        assert any(size == pytest.approx(pt, rel=0.02) for size in sizes)


@EVERY
def test_as_on_screen_takes_the_size_that_it_has_there(run, make):
    panel = run(make)
    with figure_of(panel, Layout(width_mm=None)) as figure:
        width, height = figure.size_mm
    assert width == pytest.approx((panel.canvas.width() + 4) * INCH / SCREEN)
    assert height == pytest.approx((panel.canvas.height() + 4) * INCH / SCREEN)


@EVERY
def test_a_given_height_is_kept(run, make):
    with figure_of(run(make), Layout(height_mm=70.0)) as figure:
        assert figure.size_mm[1] == pytest.approx(70, abs=0.2)


@EVERY
def test_a_comparison_is_a_figure_too_and_leaves_nothing(run, qapp, make):
    from engine.session import Run

    panel = run(make)
    stored = Run.of(panel.job.worker, panel.result, words=panel.words_shown())
    panel.show_run(stored)
    panel.compare(stored)
    assert panel.comparison is not None
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    before = {address(widget) for widget in qapp.allWidgets()}
    with figure_of(panel, Layout(width_mm=DOUBLE)) as figure:
        shown = " ".join(words(figure.content("svg", 300)))
        assert figure.size_mm[1] > 10
    assert "B − A" in shown
    assert panel.comparison is not None
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert {address(widget) for widget in qapp.allWidgets()} <= before


def test_what_is_selected_is_marked_on_request_only(run):
    make = next(make for make in READINGS if make.kind == "ActivationPatching")
    panel = run(make)
    panel.desk.turn(layer=1, position=2)
    made = []
    for marks in (False, True):
        with figure_of(panel, Layout(marks=marks)) as figure:
            made.append(figure.content("svg", 300).decode())
    accent = theme.FIGURE.accent.lower()
    assert accent not in made[0]
    assert accent in made[1]


def test_a_figure_that_leaves_out_says_so_and_knows_the_width_that_does_not(run):
    make = next(make for make in READINGS if make.kind == "LogitLens")
    panel = run(make)
    with figure_of(panel, Layout(width_mm=SINGLE)) as figure:
        assert "no room for their tokens" in figure.cramped
    enough = width_enough(panel, Layout(width_mm=SINGLE))
    assert enough == MIDDLE
    with figure_of(panel, Layout(width_mm=enough)) as figure:
        assert not figure.cramped


def test_the_clipboard_gets_pixels_and_the_drawing(run, qapp):
    panel = run(READINGS[0])
    with figure_of(panel) as figure:
        made = figure.mime()
    assert made.hasImage()
    assert "<svg" in bytes(made.data("image/svg+xml").data()).decode()
    assert QApplication.instance() is qapp

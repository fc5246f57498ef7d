"""PNG, SVG and PDF of widgets: true sizes, text that stays text, files that are whole."""

import re
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QHBoxLayout, QWidget

from gui import theme
from gui.plots import Curves, Gallery, HeatMap, LayerCurve, Line
from gui.plots.export import Sheet, pdf_bytes, png_bytes, svg_bytes, to_image, write_whole

SVG = "{http://www.w3.org/2000/svg}"
TOKENS = ["<bos>", "When", " Mary", " and", " John", " went"]
SHEET = Sheet(89 / 600, "A title", "A caption with < and −", '{"seed": 3}')


@pytest.fixture
def picture(qtbot, qapp):
    """A map of 4 layers and a curve beside it, 600 x 300 pixels."""
    window = QWidget()
    qtbot.addWidget(window)
    row = QHBoxLayout(window)
    heat_map, curve = HeatMap(), LayerCurve()
    row.addWidget(heat_map, 1)
    row.addWidget(curve)
    curve.follow(heat_map)
    values = np.linspace(0, 1, 24).reshape(4, 6)  # [layer, pos]
    heat_map.set_data(values, ["0", "1", "2", "3"], TOKENS)
    curve.set_lines([Line(" Mary", [0.0, 0.1, 0.5, 0.7], token=True)], title="P at END")
    window.resize(600, 300)
    window.show()
    window.grab()
    return window


def texts(svg: bytes) -> dict[str, xml.Element]:
    return {node.text or "": node for node in xml.fromstring(svg).iter(f"{SVG}text")}


def test_an_svg_has_its_words_as_text_with_fonts_to_fall_back_on(picture):
    found = texts(svg_bytes(picture, SHEET))
    assert {"Mary", "When", "P at END"} <= set(found)
    assert (found["P at END"].get("font-family") or "").endswith("sans-serif")
    assert (found["Mary"].get("font-family") or "").endswith("monospace")


def test_text_of_an_svg_keeps_its_width_in_every_font(picture):
    for text, node in texts(svg_bytes(picture, SHEET)).items():
        assert float(node.get("textLength", "0")) > 0, text


def test_an_svg_has_its_size_in_millimetres_and_its_caption(picture):
    root = xml.fromstring(svg_bytes(picture, SHEET))
    assert root.get("width") == "89.000mm"
    assert root.get("height") == "44.500mm"
    assert root.get("viewBox") == "0 0 600 300"
    said = {tag: root.findtext(f"{SVG}{tag}") for tag in ("title", "desc", "metadata")}
    assert said == {"title": SHEET.title, "desc": SHEET.about, "metadata": SHEET.provenance}


def test_cells_of_a_drawing_overlap_so_that_no_seam_shines_through(picture):
    heat_map = picture.findChild(HeatMap)
    with theme.on_paper():
        root = xml.fromstring(svg_bytes(heat_map))
    boxes = [
        [float(n.get(k, 0)) for k in ("x", "y", "width", "height")] for n in root.iter(f"{SVG}rect")
    ]
    xs = heat_map.cells.xs
    first = [box for box in boxes if box[0] == xs[0] and box[2] < xs[2] - xs[0]]
    assert first
    assert all(box[0] + box[2] > xs[1] for box in first)


def test_a_png_has_the_asked_pixels_its_physical_size_and_its_caption(tmp_path, picture):
    file = tmp_path / "map.png"
    write_whole(file, png_bytes(picture, SHEET, dpi=300))
    image = QImage(str(file))
    assert image.width() == round(89 / 25.4 * 300)
    assert image.dotsPerMeterX() == round(300 / 0.0254)
    assert image.text("Description") == SHEET.about
    assert image.text("Title") == SHEET.title
    assert image.text("Provenance") == SHEET.provenance


def test_without_a_sheet_a_picture_is_the_screen_at_twice_its_resolution(picture):
    assert to_image(picture).width() == 2 * picture.width()


def test_a_pdf_has_fonts_no_image_its_exact_size_and_its_caption(picture):
    with theme.on_paper():
        pdf = pdf_bytes(picture, SHEET)
    box = re.search(rb"/MediaBox \[0 ([\d.]+) ([\d.]+) ([\d.]+)\]", pdf)
    assert box is not None
    low, right, top = (float(edge) for edge in box.groups())
    assert right / 72 * 25.4 == pytest.approx(89, abs=0.01)
    assert (top - low) / 72 * 25.4 == pytest.approx(44.5, abs=0.01)
    assert b"/Type /Font" in pdf
    assert b"/ToUnicode" in pdf
    assert b"/Subtype /Image" not in pdf
    assert SHEET.about.replace("<", "&lt;").encode() in pdf


def test_the_table_of_a_pdf_points_to_its_objects(picture):
    pdf = pdf_bytes(picture, SHEET)
    start = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    assert pdf[start:].startswith(b"xref")
    rows = re.findall(rb"^(\d{10}) \d{5} ([nf])", pdf[start:], re.MULTILINE)
    for number, (offset, kind) in enumerate(rows):
        if kind == b"n":
            assert pdf[int(offset) :].startswith(b"%d 0 obj" % number)


def test_few_heads_are_rectangles_and_many_one_image(qtbot):
    for heads, images in ((2, 0), (100, 1)):
        gallery = Gallery()
        qtbot.addWidget(gallery)
        gallery.resize(600, 200)
        gallery.set_patterns(np.tril(np.full((2, heads, 16, 16), 0.5)))
        with theme.on_paper():
            root = xml.fromstring(svg_bytes(gallery))
        assert len(list(root.iter(f"{SVG}image"))) == images


def test_dots_of_a_long_pattern_are_no_finer_on_paper_than_print_can_hold(qtbot):
    gallery = Gallery()
    qtbot.addWidget(gallery)
    gallery.resize(400, 400)
    gallery.set_patterns(np.eye(120, dtype=np.float32)[None, None].repeat(12, 0).repeat(12, 1))
    with theme.on_paper():
        image = gallery._stitch(gallery.cells, 4)  # [y, x, 4]
    blue = (image[..., 0] < 100) & (image[..., 3] > 0)  # [y, x]
    line = blue[np.flatnonzero(blue.any(axis=1))[20]].astype(np.int8)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], line, [0]])))
    assert (ends[1::2] - ends[::2]).min() >= 2  # of four pixels to one of the layout


def test_what_is_below_zero_has_a_sign_on_paper_where_it_has_no_number(qtbot):
    heat_map = HeatMap()
    qtbot.addWidget(heat_map)
    heat_map.resize(260, 120)
    drawn = []
    for sign in (1, -1):
        values = np.array([[0.0, 0.01, sign * 0.9] * 4, [0.5] * 12], np.float32)
        heat_map.set_data(values, ["0", "1"], [str(n) for n in range(12)], scale="diverging",
                          limits=(-1, 1), bar=False)  # fmt: skip
        with theme.on_paper():
            drawn.append(len(list(xml.fromstring(svg_bytes(heat_map)).iter(f"{SVG}polyline"))))
    assert drawn[1] == drawn[0] + 4


def test_the_labels_of_a_colour_bar_are_never_cut_short(qtbot):
    heat_map = HeatMap()
    qtbot.addWidget(heat_map)
    heat_map.resize(400, 300)
    for reach in (0.0336, 1.23e-5, 1.0, 1234567.0):
        heat_map.set_data(np.full((2, 2), reach), ["0", "1"], ["a", "b"], scale="diverging",
                          unit="nats of recovered")  # fmt: skip
        with theme.on_paper():
            root = xml.fromstring(svg_bytes(heat_map))
        assert not any("…" in (node.text or "") for node in root.iter(f"{SVG}text")), reach


def test_on_a_page_no_token_is_cut_short_because_the_others_are_not(qtbot):
    heat_map = HeatMap()
    qtbot.addWidget(heat_map)
    heat_map.resize(600, 300)
    names = ["a"] * 11 + [" ball / apple"]
    heat_map.set_data(np.zeros((2, 12)), ["0", "1"], names, tokens="cols")
    for paper, cut in ((False, True), (True, False)):
        heat_map.changed()
        if paper:
            with theme.on_paper():
                drawing = svg_bytes(heat_map)
        else:
            drawing = svg_bytes(heat_map)
        assert ("…" in drawing.decode()) == cut


def test_marks_without_their_letters_are_said(qtbot):
    gallery = Gallery()
    qtbot.addWidget(gallery)
    gallery.set_patterns(np.zeros((4, 4, 8, 8)))
    for width, said in ((130, "no room for their letters"), (400, "")):
        gallery.resize(width, 400)
        gallery.changed()
        gallery.set_badges({(0, 0): ("I", 0)})
        assert said in gallery.cramped()
        assert bool(said) == bool(gallery.cramped())


def test_a_file_that_cannot_be_written_is_an_oserror_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "map.png", b"new")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("broken", ["os.fsync", "Path.replace"])
def test_a_file_takes_the_place_of_the_old_one_only_when_it_is_whole(tmp_path, broken, monkeypatch):
    file = tmp_path / "map.png"
    file.write_bytes(b"old")

    def break_off(*_):
        raise OSError("disk full")

    monkeypatch.setattr(f"gui.plots.export.{broken}", break_off)
    with pytest.raises(OSError, match="disk full"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


@pytest.mark.parametrize("make", [png_bytes, svg_bytes, pdf_bytes])
def test_a_picture_that_breaks_off_leaves_no_painter_behind(picture, make, monkeypatch):
    def break_off(*_):
        raise OSError("broken off")

    with monkeypatch.context() as patch:
        patch.setattr(QWidget, "render", break_off)
        with pytest.raises(OSError, match="broken off"):
            make(picture)
    assert make(picture)


def test_curves_are_lines_without_pixels_and_as_thick_in_print_at_every_dpi(qtbot):
    with theme.on_paper():
        curves = Curves(y="loss")
        qtbot.addWidget(curves)
        curves.resize(300, 200)
        curves.set_series("train", [0, 1], [0.5, 0.5])
        root = xml.fromstring(svg_bytes(curves))
        thick = []
        for scale in (2, 6):
            image = to_image(curves, Sheet(), 96 * scale)
            column = [image.pixelColor(150 * scale, y) for y in range(image.height() // 2 + 60)]
            thick.append(sum(colour.blue() - colour.red() > 60 for colour in column) / scale)
    assert not list(root.iter(f"{SVG}image"))
    assert thick[0] == pytest.approx(thick[1], abs=0.6)


def test_too_many_pixels_are_refused_in_words(qtbot):
    wide = QWidget()
    qtbot.addWidget(wide)
    wide.resize(10_000, 10_000)
    with pytest.raises(OSError, match="choose a lower dpi"):
        to_image(wide, Sheet(), dpi=1200 * 25)
    QCoreApplication.sendPostedEvents()

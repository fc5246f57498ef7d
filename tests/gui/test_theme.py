"""The tokens keep their promises: contrast, maps that melt into the panel, fonts, crisp icons."""

import re

import numpy as np
import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontInfo, QPalette
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from gui import theme
from resources import path

BOTH = pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])


def rgb(colour: str) -> list[int]:
    made = QColor(colour)
    return [made.red(), made.green(), made.blue()]


@pytest.fixture(autouse=True)
def light_again(qapp):
    theme.apply(qapp, theme.LIGHT)
    yield
    theme.apply(qapp, theme.LIGHT)


@BOTH
def test_text_and_muted_text_are_readable_on_every_depth(tokens):
    for ground in (tokens.window, tokens.panel, tokens.raised, tokens.selection):
        assert theme.contrast(tokens.text, ground) >= 7
    for ground in (tokens.window, tokens.panel, tokens.raised):
        assert theme.contrast(tokens.muted, ground) >= 4.5


@BOTH
def test_accent_messages_and_button_text_are_readable(tokens):
    derived = tokens.derived()
    assert theme.contrast(tokens.accent, tokens.panel) >= 4.5
    assert theme.contrast(tokens.on_accent, tokens.accent) >= 4.5
    assert theme.contrast(derived["tip_text"], derived["tip"]) >= 7
    for tone in ("good_text", "warn_text", "bad_text"):
        assert theme.contrast(derived[tone], tokens.panel) >= 4.5


@BOTH
def test_maps_melt_into_the_panel_where_there_is_nothing(qapp, tokens):
    theme.apply(qapp, tokens)
    panel = [*rgb(tokens.panel), 255]
    assert theme.diverging_lut()[128].tolist() == panel
    assert theme.probability_lut()[0].tolist() == panel
    for table in (theme.diverging_lut(), theme.probability_lut(), theme.magnitude_lut()):
        assert table.shape == (256, 4)
        assert table.dtype == np.uint8
        assert (table[:, 3] == 255).all()
    assert theme.diverging_lut()[1, :3].tolist() == rgb(tokens.map_blue)
    assert theme.diverging_lut()[255, :3].tolist() == rgb(tokens.map_red)


@BOTH
def test_text_on_every_map_colour_is_readable(qapp, tokens):
    theme.apply(qapp, tokens)
    for table in (theme.diverging_lut(), theme.probability_lut(), theme.magnitude_lut()):
        worst = min(
            theme.contrast(theme.text_on(c).name(), theme.color_of(c).name()) for c in table
        )
        assert worst >= 3.8  # black and white themselves give 4.6 on the worst grey


def test_the_current_theme_is_known_to_the_application(qapp):
    theme.apply(qapp, theme.DARK, zoom=1.4)
    assert theme.current() is theme.DARK
    assert theme.font(10).pixelSize() == 14
    assert qapp.palette().color(QPalette.ColorRole.Window) == QColor(theme.DARK.window)
    theme.apply(qapp, theme.LIGHT)
    assert theme.current() is theme.LIGHT
    assert theme.zoom() == 1.0


@pytest.mark.parametrize("weight", [400, 500, 600])
def test_bundled_inter_is_the_font_that_is_used(qapp, weight):
    info = QFontInfo(theme.font(13, weight))
    assert info.family().startswith("Inter")
    assert info.weight() == weight


def test_figures_have_one_width_and_tokens_no_ligatures(qapp):
    from PySide6.QtGui import QFontMetricsF

    inter = QFontMetricsF(theme.font(13))
    assert len({inter.horizontalAdvance(digit) for digit in "0123456789"}) == 1
    assert QFontInfo(theme.font(11, mono=True)).family() == "JetBrains Mono"
    assert theme.font(11, mono=True).featureValue(QFont.Tag("calt")) == 0


def test_fonts_and_icons_travel_with_their_licences():
    fonts = path("fonts")
    assert sum(file.stat().st_size for file in fonts.glob("*.ttf")) < 900_000
    assert "SIL OPEN FONT LICENSE" in (fonts / "Inter-OFL.txt").read_text().upper()
    assert "SIL OPEN FONT LICENSE" in (fonts / "JetBrainsMono-OFL.txt").read_text().upper()
    assert "ISC License" in path("icons", "LICENSE-lucide.txt").read_text()


def test_an_icon_takes_its_colour_from_the_theme_and_is_crisp_at_twice_the_scale(qapp):
    for tokens in (theme.LIGHT, theme.DARK):
        theme.apply(qapp, tokens)
        icon = theme.icon("square", 16, "accent")
        small = icon.pixmap(QSize(16, 16), 1.0)
        large = icon.pixmap(QSize(16, 16), 2.0)
        assert small.size() == QSize(16, 16)
        assert large.size() == QSize(32, 32)
        image = large.toImage()
        inks = [image.pixelColor(x, 16) for x in range(32)]
        strongest = max(inks, key=lambda c: c.alpha())
        accent = QColor(tokens.accent)
        assert abs(strongest.red() - accent.red()) < 12
        assert abs(strongest.blue() - accent.blue()) < 12


def test_every_icon_can_be_drawn(qapp):
    for file in sorted(path("icons").glob("*.svg")):
        icon = theme.app_icon() if file.stem == "mechanoscope" else theme.icon(file.stem)
        image = icon.pixmap(QSize(16, 16), 1.0).toImage()
        drawn = sum(image.pixelColor(x, y).alpha() > 60 for x in range(16) for y in range(16))
        assert drawn > 2, file.name


@BOTH
def test_the_style_sheet_knows_every_token_and_holds_no_colour_of_its_own(tokens):
    rules = path("theme.qss").read_text("utf-8")
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b", rules)
    made = theme.style_sheet(tokens)
    assert "@" not in made.split("*/", 1)[1]
    for mark in re.findall(r"url\((.+?)\)", made):
        with open(mark, "rb") as file:
            assert file.read(20)


@BOTH
def test_the_style_sheet_dresses_widgets_without_a_warning(qtbot, qapp, tokens, caplog):
    theme.apply(qapp, tokens)
    window = QWidget()
    window.setProperty("page", True)
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    primary = QPushButton("Run")
    primary.setProperty("primary", True)
    for widget in (QLabel("a"), primary, QLineEdit(), QComboBox(), QDoubleSpinBox(), QCheckBox()):
        column.addWidget(widget)
    window.show()
    image = window.grab().toImage()
    box = primary.geometry()
    assert image.pixelColor(box.left() + 8, box.center().y()) == QColor(tokens.accent)
    assert image.pixelColor(2, 2) == QColor(tokens.window)
    assert not caplog.records


def test_an_invalid_field_turns_red_and_back(qtbot, qapp):
    field = QLineEdit("2.0")
    qtbot.addWidget(field)
    field.resize(120, 28)
    field.show()
    bad = QColor(theme.LIGHT.bad)
    theme.restyle(field, invalid=True)
    assert field.grab().toImage().pixelColor(60, 0) == bad
    theme.restyle(field, invalid=False)
    assert field.grab().toImage().pixelColor(60, 0) != bad


def test_a_focused_button_shows_a_ring(qtbot, qapp):
    window = QWidget()
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    first, second = QPushButton("One"), QPushButton("Two")
    column.addWidget(first)
    column.addWidget(second)
    window.show()
    second.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(second.hasFocus, timeout=2000)
    image = window.grab().toImage()
    ring, plain = second.geometry(), first.geometry()
    accent = QColor(theme.LIGHT.accent)
    assert image.pixelColor(ring.center().x(), ring.top()) == accent
    assert image.pixelColor(plain.center().x(), plain.top()) != accent

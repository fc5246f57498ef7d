"""The look: every colour, size, font and icon of the program; the only file with colours.

Two frozen sets of tokens, LIGHT and DARK. `apply(app, DARK)` turns palette, style sheet and fonts;
widgets that paint themselves ask `current()` and hear of a change through `QEvent.PaletteChange`.
The rules of the style sheet are in resources/theme.qss, where `@name` stands for a token.
"""

import atexit
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QWidget

from resources import path

Array = np.ndarray

# Okabe and Ito 2008, "Color Universal Design": eight colours that stay apart for colour-blind eyes
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#8A929C")
INK, PAPER = "#10151D", "#FFFFFF"  # text on coloured cells, in both themes


@dataclass(frozen=True)
class Theme:
    """The tokens of one theme; `theme.color("accent")` is a QColor."""

    name: str
    window: str
    panel: str
    raised: str
    text: str
    muted: str
    faint: str
    line: str
    accent: str
    gold: str
    good: str
    warn: str
    bad: str
    selection: str
    field: str
    track: str
    on_accent: str
    badge: str
    map_blue: str
    map_red: str
    map_top: str

    @property
    def dark(self) -> bool:
        return luminance(_rgb(self.panel)) < 0.2

    def color(self, token: str, alpha: float = 1.0) -> QColor:
        found = QColor(getattr(self, token))
        found.setAlphaF(alpha)
        return found

    def mix(self, first: str, second: str, share: float) -> QColor:
        """`share` of token `second` laid over token `first`, opaque."""
        return QColor(_mix(getattr(self, first), getattr(self, second), share))

    def derived(self) -> dict[str, str]:
        """Tokens that the style sheet needs beside the fields, all mixed from the fields."""
        ends = (self.panel, PAPER) if self.dark else (self.panel, INK)
        return {
            "badge_warn": _mix(self.panel, self.warn, 0.14),
            "badge_bad": _mix(self.panel, self.bad, 0.12),
            "good_text": _mix(self.good, ends[1], 0.15),
            "warn_text": _mix(self.warn, ends[1], 0.30),
            "bad_text": _mix(self.bad, ends[1], 0.10),
            "track_soft": _mix(self.panel, self.track, 0.55),
            "panel_high": _mix(self.panel, PAPER, 0.10) if self.dark else self.panel,
            "accent_hover": _mix(self.accent, ends[1], 0.12),
            "accent_press": _mix(self.accent, ends[1], 0.24),
            "focus_ring": _mix(self.accent, ends[1], 0.55),
            "outline": _mix(self.field, self.muted, 0.6),
            "handle": _mix(self.panel, self.faint, 0.45),
            "tip": _mix(self.raised, PAPER, 0.10) if self.dark else self.text,
            "tip_text": self.text if self.dark else self.panel,
        }


LIGHT = Theme(
    name="light", window="#F6F6F4", panel="#FFFFFF", raised="#FBFBFA",
    text="#1B1F24", muted="#59626E", faint="#8A929C", line="#DCDFE3",
    accent="#2B6CDB", gold="#C28E0E", good="#1E8E5A", warn="#B7791F", bad="#C93A3A",
    selection="#E8F0FD", field="#C6CBD1", track="#E6E8EB", on_accent="#FFFFFF", badge="#E6F4EC",
    map_blue="#2463C4", map_red="#B8302F", map_top="#174FA8",
)  # fmt: skip
DARK = Theme(
    name="dark", window="#15171B", panel="#1C1F24", raised="#24282F",
    text="#E7E9EC", muted="#A3ABB5", faint="#6F7782", line="#343942",
    accent="#76A7FF", gold="#F0BE4A", good="#4CC38A", warn="#E0A63C", bad="#F07178",
    selection="#26344D", field="#454B55", track="#30353D", on_accent="#10151D", badge="#1E3429",
    map_blue="#6EA3FF", map_red="#F2777A", map_top="#8DB8FF",
)  # fmt: skip


def apply(app: QApplication, theme: Theme, zoom: float = 1.0) -> None:
    """Dress the whole application; `zoom` enlarges type (presentation: about 1.4)."""
    if not app.property("fonts"):
        for file in sorted(path("fonts").glob("*.ttf")):
            QFontDatabase.addApplicationFont(str(file))
        app.setProperty("fonts", True)
        app.setStyle("Fusion")
    app.setProperty("theme", theme.name)
    app.setProperty("zoom", zoom)
    app.setFont(font(13))
    app.setPalette(_palette(theme))
    app.setStyleSheet(style_sheet(theme, zoom))


def current() -> Theme:
    """The theme now applied (LIGHT before the first `apply`)."""
    app = QApplication.instance()
    return DARK if app is not None and app.property("theme") == "dark" else LIGHT


def zoom() -> float:
    app = QApplication.instance()
    return float((app and app.property("zoom")) or 1.0)


def font(size: int = 13, weight: int = 400, mono: bool = False) -> QFont:
    """Inter with tabular figures, or JetBrains Mono without ligatures; sizes 11, 13, 16, 22 px."""
    made = QFont("JetBrains Mono" if mono else "Inter")
    made.setStyleHint(QFont.StyleHint.Monospace if mono else QFont.StyleHint.SansSerif)
    made.setPixelSize(max(1, round(size * zoom())))
    made.setWeight(QFont.Weight(weight))
    if mono:
        made.setFeature(QFont.Tag("calt"), 0)
    else:
        made.setFeature(QFont.Tag("tnum"), 1)
    return made


def restyle(widget: QWidget, **properties: Any) -> None:
    """Set dynamic properties that the style sheet looks at (`invalid=True`) and dress it anew."""
    for name, value in properties.items():
        widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


def style_sheet(theme: Theme, zoom: float = 1.0) -> str:
    tokens = asdict(theme) | theme.derived()
    tokens |= {str(size): str(round(size * zoom)) for size in (11, 12, 13, 16, 22)}
    tokens["marks"] = _marks(theme)
    return re.sub(r"@(\d+|\w+)", lambda hit: tokens[hit[1]], path("theme.qss").read_text("utf-8"))


def icon(name: str, size: int = 16, token: str = "muted") -> QIcon:
    """A Lucide icon in a colour of the current theme, crisp at every scale of the screen."""
    return _icon(current(), name, size, token)


def app_icon() -> QIcon:
    return QIcon(str(path("icons", "mechanoscope.svg")))


def probability_lut() -> Array:
    """Panel to blue for probabilities and attention, [256, 4] uint8; entry 0 is the panel."""
    return _ramp(current().panel, current().map_top, 256)


def diverging_lut() -> Array:
    """Blue, panel, red, [256, 4] uint8; entry 128 is the panel, entries 1 and 255 the limits."""
    theme = current()
    low = _ramp(theme.map_blue, theme.panel, 128)  # [128, 4]
    high = _ramp(theme.panel, theme.map_red, 128)  # [128, 4]
    return np.concatenate([low[:1], low, high[1:]])  # [256, 4]


def magnitude_lut() -> Array:
    """Viridis on light, cividis on dark for unsigned magnitudes, [256, 4] uint8."""
    from pyqtgraph import colormap  # 0.2 s to import, and few panels need it

    found = colormap.get("cividis" if current().dark else "viridis")
    assert found is not None  # both come with pyqtgraph
    return np.asarray(found.getLookupTable(nPts=256, alpha=True))  # [256, 4]


def okabe_ito(index: int) -> QColor:
    """Colour of a category; always beside a letter or a marker."""
    return QColor(OKABE_ITO[index % len(OKABE_ITO)])


def luminance(rgb: Any) -> Any:
    """Relative luminance (WCAG 2.1) of [..., 3] or [..., 4] values 0 to 255 -> [...]."""
    share = np.asarray(rgb, np.float64)[..., :3] / 255  # [..., 3]
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    """Contrast ratio (WCAG 2.1) of two colours, 1 to 21."""
    light, dark = sorted((luminance(_rgb(first)), luminance(_rgb(second))), reverse=True)
    return float((light + 0.05) / (dark + 0.05))


def wants_ink(rgb: Any) -> Any:
    """True where dark text reads better than light on [..., 3 or 4] values 0 to 255."""
    dark, light = (luminance(ink.getRgb()) + 0.05 for ink in inks())
    return luminance(rgb) + 0.05 > np.sqrt(dark * light)  # where both contrasts are equal


def inks() -> tuple[QColor, QColor]:
    """Dark and light text for coloured cells; the theme's own where it is that dark or light."""
    now = current()
    own = now.color("text")
    return (QColor(INK), own) if now.dark else (own, QColor(PAPER))


def color_of(rgb: Any) -> QColor:
    return QColor(int(rgb[0]), int(rgb[1]), int(rgb[2]))


def text_on(rgb: Any) -> QColor:
    """Dark or light text, by the luminance of the cell it stands on."""
    dark, light = inks()
    return dark if wants_ink(rgb) else light


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for where, token in {
        role.Window: "window", role.WindowText: "text", role.Base: "panel", role.Text: "text",
        role.AlternateBase: "raised", role.Button: "panel", role.ButtonText: "text",
        role.BrightText: "bad", role.Light: "raised", role.Midlight: "track", role.Mid: "line",
        role.Dark: "field", role.Shadow: "line", role.Highlight: "accent", role.Accent: "accent",
        role.HighlightedText: "on_accent", role.Link: "accent", role.LinkVisited: "accent",
        role.PlaceholderText: "faint", role.ToolTipBase: "raised", role.ToolTipText: "text",
    }.items():  # fmt: skip
        palette.setColor(where, theme.color(token))
    for where in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, where, theme.color("faint"))
    return palette


def _svg(name: str, colour: str, stroke: str = "1.75") -> bytes:
    text = path("icons", f"{name}.svg").read_text("utf-8").replace("currentColor", colour)
    return text.replace('stroke-width="2"', f'stroke-width="{stroke}"').encode()


@lru_cache(maxsize=512)
def _icon(theme: Theme, name: str, size: int, token: str) -> QIcon:
    made = QIcon()
    for mode, shade in ((QIcon.Mode.Normal, token), (QIcon.Mode.Disabled, "faint")):
        renderer = QSvgRenderer(QByteArray(_svg(name, getattr(theme, shade))))
        for ratio in (1.0, 1.5, 2.0, 3.0):
            pixmap = QPixmap(round(size * ratio), round(size * ratio))
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            renderer.render(painter, QRectF(pixmap.rect()))
            painter.end()
            pixmap.setDevicePixelRatio(ratio)
            made.addPixmap(pixmap, mode)
    return made


@cache
def _marks(theme: Theme) -> str:
    """A folder of recoloured marks: a style sheet takes pictures from files only."""
    folder = Path(tempfile.mkdtemp(prefix="mechanoscope-marks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for mark, name, token in (
        ("down", "chevron-down", "muted"), ("down-off", "chevron-down", "faint"),
        ("up", "chevron-up", "muted"), ("up-off", "chevron-up", "faint"),
        ("right", "chevron-right", "muted"), ("close", "x", "muted"),
        ("check", "check", "on_accent"), ("minus", "minus", "on_accent"),
        ("check-text", "check", "text"),
    ):  # fmt: skip
        stroke = "3" if mark in ("check", "minus") else "2"
        (folder / f"{mark}.svg").write_bytes(_svg(name, getattr(theme, token), stroke))
    return folder.as_posix()


def _rgb(colour: str) -> Array:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float64)  # [3]


def _mix(first: str, second: str, share: float) -> str:
    mixed = np.rint(_rgb(first) * (1 - share) + _rgb(second) * share).astype(int)  # [3]
    return "#{:02X}{:02X}{:02X}".format(*mixed)


def _ramp(first: str, second: str, steps: int) -> Array:
    share = np.linspace(0, 1, steps)[:, None]  # [steps, 1]
    table = np.full((steps, 4), 255, np.uint8)  # [steps, 4]
    table[:, :3] = np.rint(_rgb(first) * (1 - share) + _rgb(second) * share)
    return table

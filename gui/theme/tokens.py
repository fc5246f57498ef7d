"""Tokens: the colours of a theme. LIGHT and DARK dress the window, FIGURE a page of a paper."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PySide6.QtGui import QColor

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
        return luminance(rgb(self.panel)) < 0.2

    def color(self, token: str, alpha: float = 1.0) -> QColor:
        found = QColor(getattr(self, token))
        found.setAlphaF(alpha)
        return found

    def mix(self, first: str, second: str, share: float) -> QColor:
        """`share` of token `second` laid over token `first`, opaque."""
        return QColor(mixed(getattr(self, first), getattr(self, second), share))

    def derived(self) -> dict[str, str]:
        """Tokens that the style sheet needs beside the fields, all mixed from the fields."""
        ends = (self.panel, PAPER) if self.dark else (self.panel, INK)
        return {
            "badge_warn": mixed(self.panel, self.warn, 0.14),
            "badge_bad": mixed(self.panel, self.bad, 0.12),
            "good_text": mixed(self.good, ends[1], 0.15),
            "warn_text": mixed(self.warn, ends[1], 0.30),
            "bad_text": mixed(self.bad, ends[1], 0.10),
            "track_soft": mixed(self.panel, self.track, 0.55),
            "panel_high": mixed(self.panel, PAPER, 0.10) if self.dark else self.panel,
            "accent_hover": mixed(self.accent, ends[1], 0.12),
            "accent_press": mixed(self.accent, ends[1], 0.24),
            "focus_ring": mixed(self.accent, ends[1], 0.55),
            "outline": mixed(self.field, self.muted, 0.6),
            "handle": mixed(self.panel, self.faint, 0.45),
            "tip": mixed(self.raised, PAPER, 0.10) if self.dark else self.text,
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
# On paper: black on white, hairlines that survive print; maps and roles as in the light window.
FIGURE = replace(
    LIGHT, name="figure", window="#FFFFFF", raised="#FFFFFF", text="#000000", muted="#30363D",
    faint="#6B737D", line="#B9BFC6", accent="#1F58B8", gold="#B07F00",
)  # fmt: skip


def luminance(rgb: Any) -> Any:
    """Relative luminance (WCAG 2.1) of [..., 3] or [..., 4] values 0 to 255 -> [...]."""
    share = np.asarray(rgb, np.float64)[..., :3] / 255  # [..., 3]
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    """Contrast ratio (WCAG 2.1) of two colours, 1 to 21."""
    light, dark = sorted((luminance(rgb(first)), luminance(rgb(second))), reverse=True)
    return float((light + 0.05) / (dark + 0.05))


def rgb(colour: str) -> Array:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float64)  # [3]


def mixed(first: str, second: str, share: float) -> str:
    shade = np.rint(rgb(first) * (1 - share) + rgb(second) * share).astype(int)  # [3]
    return "#{:02X}{:02X}{:02X}".format(*shade)

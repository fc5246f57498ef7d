"""From numbers to colours and printed figures: the three colour scales of every map.

probability: 0 to 1, panel to blue. diverging: symmetric about 0, blue - panel - red. magnitude:
lowest to highest, viridis. NaN is the panel's own colour, and the map hatches it.
"""

from itertools import pairwise
from math import floor, log10
from typing import Literal

import numpy as np
from PySide6.QtCore import QRect, QRectF
from PySide6.QtGui import QImage, QPaintEngine, QPainter

from gui import theme

Array = np.ndarray
Scale = Literal["probability", "diverging", "magnitude"]
Limits = tuple[float, float]


def limits_of(values: Array, scale: Scale, limits: Limits | None = None) -> Limits:
    """The printed ends of the scale; a diverging one is always symmetric about 0."""
    if scale == "probability":
        return limits or (0.0, 1.0)
    if limits is None:
        finite = values[np.isfinite(values)]  # [n]
        limits = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if scale == "diverging":
        reach = max(abs(limits[0]), abs(limits[1])) or 1.0
        return -reach, reach
    return limits if limits[1] > limits[0] else (limits[0], limits[0] + 1.0)


def table(scale: Scale) -> Array:
    """[256, 4] uint8."""
    if scale == "probability":
        return theme.probability_lut()
    return theme.diverging_lut() if scale == "diverging" else theme.magnitude_lut()


def shade(values: Array, scale: Scale, limits: Limits) -> Array:
    """RGBA of every value, [..., 4] uint8; values beyond the limits take the limit's colour."""
    low, high = limits
    if scale == "diverging":
        entry = 128 + np.clip(values / high, -1, 1) * 127
    else:
        entry = np.clip((values - low) / (high - low), 0, 1) * 255
    missing = np.isnan(entry)  # not of `values`: a streaming array may fill in meanwhile
    rgba = table(scale)[np.rint(np.where(missing, 0, entry)).astype(np.uint8)]  # [..., 4]
    rgba[missing] = theme.current().color("panel").getRgb()
    return rgba


def draw_pixels(painter: QPainter, box: QRect, rgba: Array) -> None:
    """Draw [height, width, 4] uint8 into a box, without a copy."""
    height, width = rgba.shape[:2]
    data = np.ascontiguousarray(rgba)  # lives until the drawing is done
    image = QImage(data.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
    painter.setRenderHint(QPainter.RenderHint.LosslessImageRendering)  # a PDF makes it JPEG else
    painter.drawImage(box, image)


def on_screen(painter: QPainter) -> bool:
    """Whether a pixel of the layout is a pixel of a screen; else cells are painted exactly."""
    device = painter.device()
    if painter.paintEngine().type() != QPaintEngine.Type.Raster or device is None:
        return False
    ratio = device.devicePixelRatioF()
    whole = painter.deviceTransform().m11()
    return not theme.paper() and (abs(whole - ratio) < 0.01 or abs(whole - round(whole)) < 0.01)


def draw_cells(painter: QPainter, xs: Array, ys: Array, rgba: Array) -> None:
    """Rectangles for [line from the top, col, 4] uint8 between edges xs [col + 1], ys [line + 1].

    Equal neighbours are one rectangle, and each reaches a little under the next one, so that no
    viewer's smoothing lets the paper shine through as a hairline.
    """
    under = 0.5
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    for line, cells in enumerate(rgba):
        change = np.flatnonzero((cells[1:] != cells[:-1]).any(axis=-1)) + 1  # [run - 1]
        ends = [0, *change.tolist(), len(cells)]
        bottom = ys[line + 1] + (under if line + 1 < len(rgba) else 0)
        for first, last in pairwise(ends):
            right = xs[last] + (under if last < len(cells) else 0)
            box = QRectF(xs[first], ys[line], right - xs[first], bottom - ys[line])
            painter.fillRect(box, theme.color_of(cells[first]))


def decimals(reach: float) -> int:
    """Decimals that suit numbers up to `reach`: 1 -> 2, 12 -> 1, 300 -> 0, 0.03 -> 4."""
    if not np.isfinite(reach) or reach <= 0 or 0.3 <= reach < 10:
        return 2
    return int(np.clip(2 - floor(log10(reach)), 0, 6))


def figure(value: float, places: int = 2, sign: bool = False, short: bool = False) -> str:
    """A printed number with a true minus; `short` drops the leading zero: .06, −.08, 1.00."""
    if not np.isfinite(value):
        return "not computed" if np.isnan(value) else ("∞" if value > 0 else "−∞")
    text = f"{abs(value):,.{places}f}"
    nothing = float(text.replace(",", "")) == 0
    if short and text.startswith("0.") and not nothing:
        text = text[1:]
    mark = "" if nothing else "−" if value < 0 else "+" if sign else ""
    return mark + text

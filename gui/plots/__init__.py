"""The pictures: heat map, gallery of heads, token strip, curves, scores, legend."""

from gui.plots.bars import Score, ScoreList
from gui.plots.canvas import Canvas
from gui.plots.curve import LayerCurve, Line
from gui.plots.curves import Curves, Pyramid
from gui.plots.gallery import Gallery
from gui.plots.grid import Grid
from gui.plots.heat_map import HeatMap
from gui.plots.legend import Key, Legend
from gui.plots.pair import Pair
from gui.plots.shades import figure
from gui.plots.token_strip import TokenStrip
from gui.plots.tokens import token_parts, token_text

__all__ = [
    "Canvas",
    "Curves",
    "Gallery",
    "Grid",
    "HeatMap",
    "Key",
    "LayerCurve",
    "Legend",
    "Line",
    "Pair",
    "Pyramid",
    "Score",
    "ScoreList",
    "TokenStrip",
    "figure",
    "token_parts",
    "token_text",
]

"""Globe: true directions as rays that end in rings, decoder rows as balls that find them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QLineF, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QWidget

from engine.toy.projection import outline, project
from gui import theme
from gui.plots.arrows import FOOT, Label, faded, place, thinned
from gui.plots.canvas import Canvas
from gui.plots.grid import NOWHERE
from gui.plots.shades import figure
from gui.plots.step_axis import polygon
from gui.plots.tokens import token_pen

Array = np.ndarray
ORDER = (0, 4, 2, 6, 1, 5, 3)  # of Okabe-Ito: neighbours differ most, yellow last
MARGIN, SMALL = 26, 200  # px: for the names, and the height below which there is no foot
REACHES = 1.08  # lengths from the middle to the edge of the picture
PER_PIXEL, STEEPEST = 0.01, 1.35  # radians: of a drag, and of pitch
BALLS = (4.5, 8.0)  # px, radius of the farthest and the nearest ball
RING, REACH = 5.0, 6  # px: how much wider a ring is, and around a ball that still mean it
TRAIL = 120  # points of a path
ROLES = ("dead", "match", "duplicate", "mixed")  # by engine.sae.matching
DEAD, MATCH, DUPLICATE, MIXED = range(4)


def concept_colour(concept: int) -> QColor:
    """Colour of a concept wherever it is drawn; -1 = of none."""
    if concept < 0:
        return theme.current().color("muted")
    return theme.okabe_ito(ORDER[concept % len(ORDER)])


class Globe(Canvas):
    """`set_data` gives directions; clicked gives (latent, 0), turned says that the view moved."""

    turned = Signal()
    paints_chosen = True

    def __init__(self, parent: QWidget | None = None, *, name: str = "sphere of concepts") -> None:
        super().__init__(parent, name)
        self.true = self.rows = np.zeros((0, 3))  # [concept, 3], [latent, 3]
        self.names: list[str] = []
        self.concept = self.role = np.zeros(0, int)  # [latent]
        self.cosine = np.zeros((0, 0))  # [latent, concept]
        self.trail = np.zeros((0, 0, 3))  # [record, latent, 3]
        self.lit: int | None = None  # a concept
        self.yaw, self.pitch = 0.6, 0.35
        self.lengths = np.zeros(0)  # [latent], of the rows, all drawn at length 1
        self._dragged: QPoint | None = None
        self.set_empty("Directions of concepts and latents will be here.")

    def set_data(
        self, true: Array, names: Sequence[str], rows: Array, concept: Array, role: Array,
        cosine: Array, trail: Array | None = None,
    ) -> None:  # fmt: skip
        """true [concept, 3], rows [latent, 3]; concept (-1 = none) and role [latent].

        cosine [latent, concept]; trail [record, latent, 3]: where the rows were before.
        """
        self.true, self.names = np.asarray(true, np.float64), list(names)
        self.lengths = np.linalg.norm(np.asarray(rows, np.float64), axis=1)  # [latent]
        self.rows = _unit(rows)
        self.concept, self.role = np.asarray(concept, int), np.asarray(role, int)
        self.cosine = np.asarray(cosine)
        self.trail = np.zeros((0, len(rows), 3)) if trail is None else _unit(trail)
        self.count_things(len(rows))
        self.set_empty("" if len(rows) else "No latents to show.")

    def light(self, concept: int | None) -> None:
        """Bring one concept out, because it was chosen elsewhere."""
        if concept != self.lit:
            self.lit = concept
            self.repaint_base()

    def turn(self, yaw: float, pitch: float = 0.0) -> None:
        """Turn the view by some radians."""
        self.look_from(self.yaw + yaw, self.pitch + pitch)

    def look_from(self, yaw: float, pitch: float) -> None:
        self.yaw = float(yaw % (2 * np.pi))
        self.pitch = float(np.clip(pitch, -STEEPEST, STEEPEST))
        self.changed()

    def describe(self, row: int, col: int) -> str:
        best = int(self.cosine[row].argmax())
        said = f"latent {row}, {ROLES[self.role[row]]}: nearest is {self.names[best]}, cosine "
        length = figure(float(self.lengths[row]), 2)
        return f"{said}{figure(float(self.cosine[row, best]), 3)}; length {length}, drawn as 1"

    # layout

    def lay_out(self) -> None:
        self.foot = FOOT if self.height() >= SMALL else 0
        self.frame_box = QRectF(0, 0, self.width(), max(self.height() - self.foot, 1))
        box = self.frame_box
        self.unit = max((min(box.width(), box.height()) / 2 - MARGIN) / REACHES, 4.0)
        self.middle = QPointF(box.center())
        self.tips, self.toward = self._seen(self.rows)
        self.targets, self.target_toward = self._seen(self.true)

    def _seen(self, points: Array) -> tuple[Array, Array]:
        """[..., 3] -> pixels [..., 2] and nearness to the eye [...]."""
        seen = project(points, self.yaw, self.pitch)  # [..., 3]
        flat = seen[..., :2] * (self.unit, -self.unit) + (self.middle.x(), self.middle.y())
        return flat, seen[..., 2]

    def _near(self, toward: float) -> float:
        return min(max((toward / REACHES + 1) / 2, 0.0), 1.0)

    def page_height(self, width: int) -> int:
        return min(width, 340)

    def sizeHint(self) -> QSize:
        return QSize(520, 520)

    def _radius(self, latent: int) -> float:
        small = 0.7 if len(self.rows) > 24 else 1.0
        small *= 1.0 if self.role[latent] in (MATCH, DUPLICATE) else 0.75
        return (BALLS[0] + (BALLS[1] - BALLS[0]) * self._near(self.toward[latent])) * small

    def cell_at(self, where: QPoint) -> tuple[int, int]:
        """The ball nearest to the eye under a pixel."""
        self.settle()
        if self._empty:
            return NOWHERE
        away = np.linalg.norm(self.tips - (where.x(), where.y()), axis=1)  # [latent]
        hit = [at for at, far in enumerate(away) if far <= self._radius(at) + REACH]
        return (max(hit, key=lambda at: self.toward[at]), 0) if hit else NOWHERE

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._dragged = event.position().toPoint()
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        here = event.position().toPoint()
        if self._dragged is None or not event.buttons() & Qt.MouseButton.LeftButton:
            super().mouseMoveEvent(event)
            return
        moved, self._dragged = here - self._dragged, here
        self.turn(moved.x() * PER_PIXEL, moved.y() * PER_PIXEL)
        self.turned.emit()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._dragged = None
        super().mouseReleaseEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows turn the view."""
        by = {
            Qt.Key.Key_Left: (-0.1, 0.0), Qt.Key.Key_Right: (0.1, 0.0),
            Qt.Key.Key_Up: (0.0, -0.1), Qt.Key.Key_Down: (0.0, 0.1),
        }.get(Qt.Key(event.key()))  # fmt: skip
        if by is None or self._empty:
            super().keyPressEvent(event)
            return
        self.turn(*by)
        self.turned.emit()

    # painting

    def paint_base(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        self._paint_sphere(painter)
        self._paint_trails(painter)
        things = [(float(self.toward[at]), 1, at) for at in range(len(self.rows))]
        things += [(float(self.target_toward[at]), 0, at) for at in range(len(self.true))]
        for _depth, ball, at in sorted(things):
            self._paint_ball(painter, at) if ball else self._paint_target(painter, at)
        self._paint_names(painter)
        if self.foot:
            self._paint_foot(painter)

    def _shade(self, concept: int, share: float) -> QColor:
        """A concept's colour, paler with less `share` and where another one is chosen."""
        apart = self.lit is not None and concept != self.lit and theme.marks()
        return faded(concept_colour(concept), share * (0.35 if apart else 1.0))

    def _paint_sphere(self, painter: QPainter) -> None:
        """The outline of length 1 and its equator."""
        now = theme.current()
        thin = 0.75 if theme.paper() else 1.0
        dashed = QPen(now.color("faint"), thin)
        dashed.setDashPattern([4, 3])
        painter.setBrush(now.color("accent", 0.05 if now.dark else 0.03))
        painter.setPen(dashed)
        radius = outline() * self.unit
        painter.drawEllipse(self.middle, radius, radius)
        angle = np.linspace(0, 2 * np.pi, 49)  # [49]
        ring = np.stack([np.cos(angle), np.zeros(49), np.sin(angle)], axis=1)  # [49, 3]
        flat, _ = self._seen(ring)
        painter.setPen(QPen(now.color("line"), thin))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(polygon(flat[:, 0], flat[:, 1]))

    def _paint_trails(self, painter: QPainter) -> None:
        if len(self.trail) < 2:
            return
        some = thinned(len(self.trail), TRAIL)
        flat, _ = self._seen(self.trail[some])  # [record, latent, 2]
        for at in range(len(self.rows)):
            if self.role[at] != DEAD:
                painter.setPen(QPen(self._shade(int(self.concept[at]), 0.45), 1))
                painter.drawPolyline(polygon(flat[:, at, 0], flat[:, at, 1]))

    def _paint_target(self, painter: QPainter, concept: int) -> None:
        near = self._near(self.target_toward[concept])
        shade = self._shade(concept, 0.55 + 0.45 * near)
        tip = QPointF(*self.targets[concept])
        painter.setPen(QPen(shade, 1.5 + 1.5 * near))
        painter.drawLine(QLineF(self.middle, tip))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        radius = BALLS[0] + (BALLS[1] - BALLS[0]) * near + RING
        painter.setPen(QPen(shade, 2))
        painter.drawEllipse(tip, radius, radius)

    def _paint_ball(self, painter: QPainter, latent: int) -> None:
        now, role, near = theme.current(), int(self.role[latent]), self._near(self.toward[latent])
        tip, radius = QPointF(*self.tips[latent]), self._radius(latent)
        shade = self._shade(int(self.concept[latent]), 0.6 + 0.4 * near)
        if role == DEAD:
            painter.setPen(QPen(faded(now.color("faint"), 0.4 + 0.6 * near), 1))
            painter.setBrush(now.color("panel"))
        elif role == DUPLICATE:
            painter.setPen(QPen(shade, 2))
            painter.setBrush(now.color("panel"))
        else:
            painter.setPen(QPen(faded(shade, 0.5), 1))
            painter.drawLine(QLineF(self.middle, tip))
            painter.setPen(QPen(now.color("panel"), 1.2))
            painter.setBrush(shade)
        painter.drawEllipse(tip, radius, radius)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if theme.marks() and self.chosen[0] == latent:
            painter.setPen(QPen(now.color("accent"), 2))
            painter.drawEllipse(tip, radius + 4, radius + 4)

    def _paint_names(self, painter: QPainter) -> None:
        """The concepts' names beyond their rings, and numbers of latents where there is room."""
        now = theme.current()
        size = 13 if self.unit > 70 and not theme.paper() else 11
        concepts = np.argsort(-self.target_toward).tolist()
        labels = [
            Label(self.names[at], self._beyond(self.targets[at], 9), self._away(self.targets[at]),
                  True)
            for at in concepts
        ]  # fmt: skip
        balls = [
            QRectF(x - r, y - r, 2 * r, 2 * r)
            for at, (x, y) in enumerate(self.tips)
            for r in (self._radius(at),)
        ]
        room = self.frame_box.adjusted(1, 1, -1, -1)
        placed = place(labels, room, balls, size)
        for label, box in placed:
            shade = self._shade(self.names.index(label.text), 1.0)
            pen = token_pen(size, 600)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(shade)
            painter.drawRoundedRect(QRectF(box.left(), box.bottom() - 1, box.width(), 2.5), 1, 1)
            pen.draw(painter, box.adjusted(-2, 0, 2, 0), label.text, now.color("text"))
        if self.unit < 80 or len(self.rows) > 24:
            return
        shown = [at for at in np.argsort(-self.toward) if self.role[at] != DEAD]
        numbers = [
            Label(str(at), self._beyond(self.tips[at], self._radius(at) - 5),
                  self._away(self.tips[at]))
            for at in shown
        ]  # fmt: skip
        taken = balls + [box for _, box in placed]
        for label, box in place(numbers, room, taken, 11):
            token_pen(11).draw(painter, box.adjusted(-2, 0, 2, 0), label.text, now.color("muted"))

    def _away(self, point: Array) -> tuple[float, float]:
        """Unit vector from the middle of the picture to a point."""
        x, y = point[0] - self.middle.x(), point[1] - self.middle.y()
        length = float(np.hypot(x, y))
        return (x / length, y / length) if length > 1 else (0.0, -1.0)

    def _beyond(self, point: Array, far: float) -> tuple[float, float]:
        x, y = self._away(point)
        return float(point[0] + far * x), float(point[1] + far * y)

    def _paint_foot(self, painter: QPainter) -> None:
        """What ring, ball, hollow ball and grey ball are, as far as there is room."""
        now, pen = theme.current(), token_pen(11)
        x, y = 6.0, self.height() - FOOT / 2 + 2
        ink = concept_colour(0)
        for kind, word in (
            ("ring", "concept"), ("ball", "latent that found it"), ("hollow", "duplicate"),
            ("grey", "mixed"), ("faint", "dead"),
        ):  # fmt: skip
            if kind == "faint" and not (self.role == DEAD).any():
                continue
            wide = pen.width(word) + 2
            if x + 14 + wide > self.width():
                return
            radius = 5.0 if kind == "ring" else 4.0
            shade = {"grey": now.color("muted"), "faint": now.color("faint")}.get(kind, ink)
            filled = kind in ("ball", "grey")
            painter.setPen(QPen(shade, 1.0 if kind == "faint" else 2.0))
            painter.setBrush(shade if filled else Qt.BrushStyle.NoBrush)
            painter.drawEllipse(QPointF(x, y), radius - filled, radius - filled)
            box = QRectF(x + 10, y - 8, wide, 16)
            pen.draw(painter, box, word, now.color("muted"), 0)
            x = box.right() + 16
        low, high = float(self.lengths.min()), float(self.lengths.max())
        hint = "" if theme.paper() else "drag to turn"
        if high - low > 0.01:
            hint = f"rows of length {figure(low, 1)} to {figure(high, 1)}, drawn as 1"
        if hint and x + pen.width(hint) < self.width():
            box = QRectF(self.width() - pen.width(hint) - 4, y - 8, pen.width(hint) + 2, 16)
            pen.draw(painter, box, hint, now.color("faint"), 0)

    def paint_overlay(self, painter: QPainter) -> None:
        if self.hover != NOWHERE:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            painter.setPen(QPen(theme.current().color("text"), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            radius = self._radius(self.hover[0]) + 4
            painter.drawEllipse(QPointF(*self.tips[self.hover[0]]), radius, radius)


def _unit(rows: Array) -> Array:
    """[..., 3] -> [..., 3] of length 1."""
    rows = np.asarray(rows, np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-9)

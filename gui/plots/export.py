"""Pictures of any widget as PNG, SVG and PDF; text stays text, and a file is whole or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import QMarginsF, QPoint, QRect, QSizeF
from PySide6.QtGui import QImage, QPageLayout, QPageSize, QPainter, QPdfWriter, QRegion
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QWidget

from gui import theme


def to_png(widget: QWidget, path: str | Path, scale: float = 2.0) -> None:
    """`scale` pixels per pixel of the screen."""
    image = QImage(widget.size() * scale, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(scale)
    image.fill(theme.current().color("panel"))
    _render(widget, QPainter(image))
    with _whole(path) as file:
        if not image.save(str(file)):
            raise OSError(f"{path}: the picture could not be written")


def to_svg(widget: QWidget, path: str | Path) -> None:
    """Cells are rectangles and labels text (fonts: Inter, JetBrains Mono)."""
    with _whole(path) as file:
        made = QSvgGenerator()
        made.setFileName(str(file))
        made.setSize(widget.size())
        made.setViewBox(QRect(QPoint(), widget.size()))
        made.setTitle(widget.accessibleName() or widget.windowTitle() or "Mechanoscope")
        made.setDescription("made with Mechanoscope")
        _render(widget, QPainter(), made)


def to_pdf(widget: QWidget, path: str | Path) -> None:
    """One page of the widget's size, at 96 pixels to the inch."""
    with _whole(path) as file:
        made = QPdfWriter(str(file))
        made.setCreator("Mechanoscope")
        made.setResolution(96)
        size = QSizeF(widget.size()) * 72 / 96
        made.setPageSize(QPageSize(size, QPageSize.Unit.Point, "picture"))
        made.setPageOrientation(QPageLayout.Orientation.Portrait)  # the size has the longer side
        made.setPageMargins(QMarginsF(0, 0, 0, 0))
        _render(widget, QPainter(), made)


def _render(widget: QWidget, painter: QPainter, device: QSvgGenerator | QPdfWriter | None = None):
    if device is not None and not painter.begin(device):
        raise OSError("the file could not be opened for writing")
    try:
        painter.fillRect(widget.rect(), theme.current().color("panel"))
        widget.render(painter, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    finally:
        painter.end()


@contextmanager
def _whole(path: str | Path) -> Iterator[Path]:
    """A file beside `path` that takes its place only when it was written to the end."""
    target = Path(path)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.stem}-", suffix=target.suffix
    )
    os.close(handle)
    file = Path(name)
    try:
        yield file
        if not file.stat().st_size:
            raise OSError(f"{target}: nothing was written")
        mask = os.umask(0)
        os.umask(mask)
        file.chmod(0o666 & ~mask)  # mkstemp makes files that only the owner may read
        file.replace(target)
    finally:
        file.unlink(missing_ok=True)

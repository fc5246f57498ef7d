"""Any widget as PNG, SVG or PDF: text stays text, sizes are true, a file is whole or not there."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import (
    QBuffer,
    QIODevice,
    QMarginsF,
    QPoint,
    QRect,
    QSize,
    QSizeF,
)
from PySide6.QtGui import (
    QImage,
    QPageLayout,
    QPageSize,
    QPaintDevice,
    QPainter,
    QPdfWriter,
    QRegion,
)
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QWidget

import engine
from gui import theme
from gui.plots import vector
from gui.plots.curves import Curves

INCH = 25.4  # mm
SCREEN = 96  # pixels to the inch, by convention
MADE_WITH = f"Mechanoscope {engine.__version__}"


@dataclass(frozen=True)
class Sheet:
    """How a widget lies on paper and what is written into the file beside the picture.

    mm: of one pixel of the widget. title: one line. about: the caption. provenance: JSON.
    """

    mm: float = INCH / SCREEN
    title: str = "Mechanoscope"
    about: str = MADE_WITH
    provenance: str = ""


def to_image(widget: QWidget, sheet: Sheet | None = None, dpi: float = 2 * SCREEN) -> QImage:
    """Pixels at `dpi` to the inch, with that in them; OSError where memory does not suffice."""
    sheet = sheet or Sheet()
    scale = sheet.mm / INCH * dpi
    size = QSize(max(round(widget.width() * scale), 1), max(round(widget.height() * scale), 1))
    image = QImage(size, QImage.Format.Format_RGB32)
    if image.isNull():
        raise OSError(f"{size.width()} x {size.height()} pixels are too many; choose a lower dpi")
    image.setDotsPerMeterX(round(dpi / INCH * 1000))
    image.setDotsPerMeterY(round(dpi / INCH * 1000))
    image.fill(theme.current().color("panel"))
    painter = QPainter(image)
    painter.scale(scale, scale)
    curves = widget.findChildren(Curves)
    for each in curves:
        each.print_at(scale)
    _render(widget, painter)
    for each in curves:
        each.print_at(1.0)
    texts = {"Title": sheet.title, "Description": sheet.about, "Software": MADE_WITH}
    for key, text in (texts | {"Provenance": sheet.provenance}).items():
        if text:
            image.setText(key, text)
    return image


def png_bytes(widget: QWidget, sheet: Sheet | None = None, dpi: float = 2 * SCREEN) -> bytes:
    buffer = _buffer()
    if not to_image(widget, sheet, dpi).save(buffer, "PNG"):  # pyright: ignore[reportCallIssue, reportArgumentType]
        raise OSError("the picture could not be encoded")
    return bytes(buffer.data().data())


def svg_bytes(widget: QWidget, sheet: Sheet | None = None) -> bytes:
    """Cells are rectangles and labels text, in Inter and JetBrains Mono or what stands in."""
    sheet = sheet or Sheet()
    buffer, made = _buffer(), QSvgGenerator()
    made.setOutputDevice(buffer)
    made.setSize(widget.size())
    made.setViewBox(QRect(QPoint(), widget.size()))
    made.setTitle(sheet.title)
    made.setDescription(sheet.about)
    _render(widget, _begin(made))
    size = widget.width() * sheet.mm, widget.height() * sheet.mm
    return vector.finished_svg(
        bytes(buffer.data().data()).decode(), size, sheet.provenance
    ).encode()


def pdf_bytes(widget: QWidget, sheet: Sheet | None = None) -> bytes:
    """One page of exactly the picture's size, fonts embedded."""
    sheet = sheet or Sheet()
    width, height = (side * sheet.mm / INCH * 72 for side in (widget.width(), widget.height()))
    buffer = _buffer()
    made = QPdfWriter(buffer)
    made.setCreator(MADE_WITH)
    made.setTitle(sheet.title)
    made.setDocumentXmpMetadata(vector.xmp(sheet.title, sheet.about, MADE_WITH).encode())
    fine = max(round(INCH / sheet.mm), 1)  # as for pixels: a cosmetic line is as wide as there
    made.setResolution(fine)
    page = QSizeF(-(-width // 1), -(-height // 1))  # whole points, which are then cut to size
    exactly = QPageSize.SizeMatchPolicy.ExactMatch
    made.setPageSize(QPageSize(page, QPageSize.Unit.Point, "figure", exactly))
    made.setPageOrientation(QPageLayout.Orientation.Portrait)  # the size has the longer side
    made.setPageMargins(QMarginsF(0, 0, 0, 0))
    painter = _begin(made)
    painter.scale(sheet.mm / INCH * fine, sheet.mm / INCH * fine)
    _render(widget, painter)
    return vector.cut_page(bytes(buffer.data().data()), width, height)


def write_whole(path: str | Path, content: bytes) -> None:
    """Bytes to a file beside `path` that takes its place only when all are on the disk."""
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=".part")
    file = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        mask = os.umask(0)
        os.umask(mask)
        file.chmod(0o666 & ~mask)  # mkstemp makes files that only the owner may read
        file.replace(target)
    finally:
        file.unlink(missing_ok=True)


def _buffer() -> QBuffer:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.ReadWrite)
    return buffer


def _begin(device: QPaintDevice) -> QPainter:
    painter = QPainter()
    if not painter.begin(device):
        raise OSError("the drawing could not be begun")
    return painter


def _render(widget: QWidget, painter: QPainter) -> None:
    try:
        painter.fillRect(widget.rect(), theme.current().color("panel"))
        widget.render(painter, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    finally:
        painter.end()

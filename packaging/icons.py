"""Icons for the three systems, drawn at build time from resources/icons/mechanoscope.svg.

    python packaging/icons.py FOLDER

Everything that is drawn for a build is drawn here, the installers' pictures too; who makes those
needs no Qt. The two containers are a few exact lines each, so nothing but PySide6 is needed:
* .ico (Windows): 32-bit bitmaps with a mask, which every part of Windows reads, and one PNG of
  256 px, the only size for which the format asks for PNG.
* .icns (macOS): PNGs from 128 px up and for the doubled sizes; 16 and 32 px as colours and mask
  ("is32" + "s8mk", "il32" + "l8mk"): a PNG of that size is shown scrambled inside a program.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPolygonF
from PySide6.QtSvg import QSvgRenderer

SOURCE = Path(__file__).resolve().parent.parent / "resources" / "icons" / "mechanoscope.svg"
MARKS = ("mechanoscope", "session", "tile")

WINDOWS = (16, 20, 24, 32, 40, 48, 64, 96, 256)  # 16 to 48 px at 100 to 200 %, and the largest
PNG_FROM = 256
# Types of an .icns: colours with their mask, and PNGs. ic11 to ic14 are the doubled 16 to 256 px.
COLOURS = {16: (b"is32", b"s8mk"), 32: (b"il32", b"l8mk")}
PNGS = {
    b"ic07": 128, b"ic08": 256, b"ic09": 512, b"ic10": 1024,
    b"ic11": 32, b"ic12": 64, b"ic13": 256, b"ic14": 512,
}  # fmt: skip

# Below this many pixels the lens is drawn with fewer and stronger parts, each on whole pixels.
SMALL_BELOW = 22
SMALL = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none">
  <path d="M11 11 L14.2 14.2" stroke="#2B6CDB" stroke-width="2.8" stroke-linecap="round"/>
  <circle cx="7" cy="7" r="5.5" fill="#FFFFFF" stroke="#2B6CDB" stroke-width="2"/>
  <circle cx="7" cy="4.6" r="1.35" fill="#1B1F24"/>
  <circle cx="4.7" cy="8.4" r="1.35" fill="#1B1F24"/>
  <circle cx="9.3" cy="8.4" r="1.35" fill="#C28E0E"/>
</svg>"""


def page(size: int) -> str:
    """A page with a folded corner, its edges on whole pixels; they show on white and on black."""
    line = max(1, size // 32)
    left, top = round(0.15 * size) + line / 2, round(0.03 * size) + line / 2
    right, bottom, fold = size - left, size - top, max(3, round(0.22 * size))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}"
      stroke="#8A94A3" stroke-width="{line}" stroke-linejoin="round">
      <path d="M{left} {top} H{right - fold} L{right} {top + fold} V{bottom} H{left} Z"
        fill="#FFFFFF"/>
      <path d="M{right - fold} {top} V{top + fold} H{right} Z" fill="#DDE3EA"/>
    </svg>"""


def tile(size: int) -> str:
    """macOS sets programs on a tile: 824 of 1024 px in Apple's template for icons, more at 16."""
    line = max(1.0, size / 128)
    edge = (0 if size < SMALL_BELOW else round(100 / 1024 * size)) + line / 2
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}">
      <rect x="{edge}" y="{edge}" width="{size - 2 * edge}" height="{size - 2 * edge}"
        rx="{0.225 * (size - 2 * edge)}" fill="#FFFFFF" stroke="#B4BDC9" stroke-width="{line}"/>
    </svg>"""


def _layers(mark: str, size: int) -> list[tuple[str, float, float, float]]:
    """What a mark is made of at a size: drawing, left, top and side in pixels."""
    lens = SOURCE.read_text(encoding="utf-8")

    def at(left: float, top: float, side: float) -> tuple[str, float, float, float]:
        """The lens, drawn for the pixels it gets, on whole ones."""
        pixels = round(side * size)
        drawing = SMALL if pixels < SMALL_BELOW else lens
        return drawing, round(left * size), round(top * size), pixels

    if mark == "mechanoscope":
        return [at(0, 0, 1)]
    if mark == "session":
        within = at(0.2, 0.3, 0.63) if size < 20 else at(0.23, 0.32, 0.56)
        return [(page(size), 0, 0, size), within]
    if mark == "tile":
        within = at(0.15, 0.15, 0.75) if size < SMALL_BELOW else at(0.21, 0.21, 0.6)
        return [(tile(size), 0, 0, size), within]
    raise ValueError(f"mark: {mark!r} is none of {', '.join(MARKS)}")


def picture(mark: str, size: int) -> QImage:
    """A mark as pixels, transparent around it."""
    layers = _layers(mark, size)  # before the painter: an image must not go while it is painted on
    image = QImage(size, size, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    for drawing, left, top, side in layers:
        QSvgRenderer(QByteArray(drawing.encode())).render(painter, QRectF(left, top, side, side))
    painter.end()
    return image.convertToFormat(QImage.Format.Format_ARGB32)


def encoded(image: QImage, kind: str = "PNG") -> bytes:
    """A picture as a file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    if not image.save(buffer, kind):  # type: ignore[call-overload]
        raise OSError(f"Qt could not write a {kind} of {image.width()} px")
    return bytes(buffer.data().data())


def bgra(image: QImage) -> bytes:
    """Four bytes a pixel, blue first, from the top."""
    return bytes(image.constBits())


def bitmap(image: QImage) -> bytes:
    """A bitmap as icons hold it: from the bottom, 32 bits a pixel, then the mask in one bit."""
    size, pixels = image.width(), bgra(image)
    rows = [pixels[at : at + 4 * size] for at in range(0, len(pixels), 4 * size)][::-1]
    width = (size + 31) // 32 * 4  # bytes of a row of the mask: whole groups of four
    mask = bytearray()
    for row in rows:
        bits = "".join("0" if alpha else "1" for alpha in row[3::4]).ljust(8 * width, "0")
        mask += int(bits, 2).to_bytes(width, "big")
    # BITMAPINFOHEADER; the height counts colours and mask.
    length = 4 * size * size + len(mask)
    header = struct.pack("<IiiHHIIiiII", 40, size, 2 * size, 1, 32, 0, length, 0, 0, 0, 0)
    return header + b"".join(rows) + bytes(mask)


def ico(mark: str, sizes: Iterable[int] = WINDOWS) -> bytes:
    """A Windows icon with all sizes."""
    entries = []
    for size in sizes:
        image = picture(mark, size)
        entries.append((size, encoded(image) if size >= PNG_FROM else bitmap(image)))
    at = 6 + 16 * len(entries)
    directory = struct.pack("<HHH", 0, 1, len(entries))
    for size, data in entries:
        side = size % 256  # 0 stands for 256
        directory += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(data), at)
        at += len(data)
    return directory + b"".join(data for _, data in entries)


def icns(mark: str) -> bytes:
    """A macOS icon with all sizes."""
    parts = []
    for size, (colours, mask) in COLOURS.items():
        pixels = bgra(picture(mark, size))
        parts.append((colours, b"".join(_runs(pixels[channel::4]) for channel in (2, 1, 0))))
        parts.append((mask, pixels[3::4]))
    parts += [(kind, encoded(picture(mark, size))) for kind, size in PNGS.items()]
    body = b"".join(kind + struct.pack(">I", 8 + len(data)) + data for kind, data in parts)
    return b"icns" + struct.pack(">I", 8 + len(body)) + body


def _runs(channel: bytes) -> bytes:
    """A channel in pieces of at most 128 bytes, each after its length - 1.

    The format could shorten repeated bytes too, but macOS loses a repetition at the very end, and
    there is less than a kilobyte to win.
    """
    pieces = (channel[at : at + 128] for at in range(0, len(channel), 128))
    return b"".join(bytes((len(piece) - 1,)) + piece for piece in pieces)


def pngs(folder: Path, sizes: Iterable[int], mark: str = "mechanoscope") -> dict[int, Path]:
    """PNGs of a mark, one a size: folder/MARK-SIZE.png."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {size: folder / f"{mark}-{size}.png" for size in sizes}
    for size, path in made.items():
        path.write_bytes(encoded(picture(mark, size)))
    return made


# --- pictures of the installers -------------------------------------------------------------------

GROUND, LINE, ARROW = "#EDF2FB", "#C9D6EE", "#8FB0EA"
SIDE = (164, 314)  # points beside the first and the last page of a Windows setup
# The window of a disk image in points: its inside, the icons' size, and where their centres are.
WINDOW, ICON, LEFT, RIGHT, MIDDLE = (600, 360), 128, 150, 450, 165


def side() -> QImage:
    """Our mark on a quiet ground, at twice the points: sharp on dense screens too."""
    image = QImage(2 * SIDE[0], 2 * SIDE[1], QImage.Format.Format_RGB888)
    image.fill(QColor(GROUND))
    painter = QPainter(image)
    mark = picture("mechanoscope", 208)
    painter.drawImage((image.width() - mark.width()) // 2, 150, mark)
    painter.fillRect(image.width() - 2, 0, 2, image.height(), QColor(LINE))
    painter.end()
    return image


def ground(scale: int) -> QImage:
    """An arrow between the two icons. Light in dark mode too: the Finder writes black on it."""
    image = QImage(scale * WINDOW[0], scale * WINDOW[1], QImage.Format.Format_RGB32)
    image.fill(QColor(GROUND))
    dots = round(72 * scale / 0.0254)  # 72 points an inch at scale 1: so the Finder knows the scale
    image.setDotsPerMeterX(dots)
    image.setDotsPerMeterY(dots)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(scale, scale)
    round_ = Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
    painter.setPen(QPen(QColor(ARROW), 5, Qt.PenStyle.SolidLine, *round_))
    painter.setBrush(QColor(ARROW))
    start, end = LEFT + ICON / 2 + 24, RIGHT - ICON / 2 - 24
    painter.drawLine(QPointF(start, MIDDLE), QPointF(end - 14, MIDDLE))
    tip = [QPointF(end - 16, MIDDLE - 9), QPointF(end, MIDDLE), QPointF(end - 16, MIDDLE + 9)]
    painter.drawPolygon(QPolygonF(tip))
    painter.end()
    return image


def make(folder: Path) -> Path:
    """What builds on Windows and macOS need; the folder.

    mechanoscope.* and session.* (.ico, .icns), side.bmp, ground.png and ground@2x.png
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("mechanoscope", "session"):
        (folder / f"{name}.ico").write_bytes(ico(name))
        on_mac = "tile" if name == "mechanoscope" else name
        (folder / f"{name}.icns").write_bytes(icns(on_mac))
    (folder / "ground.png").write_bytes(encoded(ground(1)))
    (folder / "ground@2x.png").write_bytes(encoded(ground(2)))
    (folder / "side.bmp").write_bytes(encoded(side(), "BMP"))
    return folder


if __name__ == "__main__":
    print(make(Path(sys.argv[1])))

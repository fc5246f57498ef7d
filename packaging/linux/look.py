"""Wait until a window is drawn on Xvfb's screen, and keep the picture.

    python3 packaging/linux/look.py FILE OUT.png [SECONDS]

FILE is the screen as `Xvfb -fbdir` keeps it (xwd, version 7). Any Python 3 will do, as nothing else
may be installed on the machine that checks a package.
"""

from __future__ import annotations

import struct
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

COLOURS = 200  # letters have soft edges: an empty window has two or three colours
STILL = 4  # pictures, a second apart, that are the same
COVERED = 0.3  # of the screen, by what is not its ground

Pixels = tuple[int, int, bytes]  # width, height, four bytes a pixel: blue, green, red, nothing


class Refused(Exception):
    """This is no picture of a window."""


def screen(file: Path) -> Pixels:
    """The screen as it is now."""
    raw = file.read_bytes()
    words = struct.unpack_from(">25I", raw)
    size, version, width, height = words[0], words[1], words[4], words[5]
    order, bits, line, colours = words[7], words[11], words[12], words[19]
    if version != 7 or bits != 32 or order != 0 or line != 4 * width:
        raise Refused(f"{file} is no screen of 24 bits: start Xvfb with -screen 0 1600x1000x24")
    at = size + 12 * colours
    return width, height, raw[at : at + line * height]


def drawn(pixels: Pixels) -> tuple[int, float]:
    """How many colours there are, and which part of the screen is not its commonest black."""
    width, height, raw = pixels
    counted = Counter(struct.unpack(f"<{width * height}I", raw))
    ground = sum(number for colour, number in counted.items() if colour & 0xFFFFFF == 0)
    return len(counted), 1 - ground / (width * height)


def png(pixels: Pixels) -> bytes:
    """A screen as a PNG file."""
    width, height, raw = pixels
    rgb = bytearray(3 * width * height)
    rgb[0::3], rgb[1::3], rgb[2::3] = raw[2::4], raw[1::4], raw[0::4]
    lines = b"".join(b"\0" + rgb[at : at + 3 * width] for at in range(0, len(rgb), 3 * width))

    def part(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (part(b"IHDR", header), part(b"IDAT", zlib.compress(lines, 9)), part(b"IEND", b""))
    )


def wait(file: Path, seconds: float) -> tuple[Pixels, str]:
    """The picture, as soon as it shows a window and stands still; what it shows."""
    until, before, same = time.monotonic() + seconds, b"", 1
    while True:
        now = screen(file)
        colours, covered = drawn(now)
        told = f"{colours} colours, {covered:.0%} of the screen covered"
        same = same + 1 if now[2] == before else 1
        if colours >= COLOURS and covered >= COVERED and same >= STILL:
            return now, told
        if time.monotonic() > until:
            raise Refused(f"no window stands still after {seconds:.0f} s: {told}")
        before = now[2]
        time.sleep(1)


def main(argv: list[str]) -> int:
    file, out = Path(argv[0]), Path(argv[1])
    try:
        picture, told = wait(file, float(argv[2]) if len(argv) > 2 else 60)
    except (Refused, OSError) as error:
        if file.is_file():
            out.write_bytes(png(screen(file)))
        print(f"look.py: {error}", file=sys.stderr)
        return 1
    out.write_bytes(png(picture))
    print(f"{out}: {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

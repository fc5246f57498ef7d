"""Icons and pictures of the packaged program: drawn at every size, written and read back."""

import pytest
from PySide6.QtGui import QImage, QImageReader


@pytest.fixture(scope="module")
def icons(script, tmp_path_factory):
    """The folder that packaging/icons.py fills."""
    return script("icons").make(tmp_path_factory.mktemp("icons"))


def pictures(path):
    """A container's pictures, read by Qt, which has readers of its own for both formats."""
    reader = QImageReader(str(path))
    found = []
    for at in range(reader.imageCount()):
        assert reader.jumpToImage(at)
        image = reader.read()
        assert not image.isNull(), f"{path.name}, picture {at}: {reader.errorString()}"
        found.append(image.convertToFormat(QImage.Format.Format_ARGB32))
    return found


def entries(path):
    """The parts of an .icns: type -> data."""
    data = path.read_bytes()
    assert data[:4] == b"icns"
    assert int.from_bytes(data[4:8], "big") == len(data)
    found, at = {}, 8
    while at < len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        found[data[at : at + 4]] = data[at + 8 : at + length]
        at += length
    assert at == len(data)
    return found


@pytest.mark.parametrize("name", ["mechanoscope", "session"])
def test_a_windows_icon_holds_every_size_pixel_for_pixel(script, icons, name):
    drawn, path = script("icons"), icons / f"{name}.ico"
    read = {image.width(): image for image in pictures(path)}
    assert sorted(read) == [16, 20, 24, 32, 40, 48, 64, 96, 256]
    for size, image in read.items():
        wanted = drawn.picture(name, size)
        differing = [
            (x, y)
            for x in range(0, size, max(1, size // 32))
            for y in range(0, size, max(1, size // 32))
            if wanted.pixelColor(x, y).alpha() and image.pixel(x, y) != wanted.pixel(x, y)
        ]
        assert not differing, size


def test_only_the_largest_picture_of_a_windows_icon_is_a_png(icons):
    data = (icons / "mechanoscope.ico").read_bytes()
    count = int.from_bytes(data[4:6], "little")
    for entry in (data[6 + 16 * at : 22 + 16 * at] for at in range(count)):
        length, at = (int.from_bytes(entry[from_ : from_ + 4], "little") for from_ in (8, 12))
        is_png = data[at : at + 8] == b"\x89PNG\r\n\x1a\n"
        assert is_png == (entry[0] == 0), entry[0]
        assert at + length <= len(data)


def test_a_windows_icons_mask_is_clear_where_the_picture_is(script):
    # 20 px: a row of the mask is 3 bytes, filled up to 4; 1 stands for "see through".
    drawn = script("icons")
    data, image = drawn.bitmap(drawn.picture("mechanoscope", 20)), drawn.picture("mechanoscope", 20)
    mask = data[40 + 4 * 20 * 20 :]
    assert len(mask) == 4 * 20
    for y in range(20):
        row = int.from_bytes(mask[4 * (19 - y) : 4 * (20 - y)], "big")
        for x in range(20):
            assert bool(row >> (31 - x) & 1) == (image.pixelColor(x, y).alpha() == 0), (x, y)


@pytest.mark.parametrize(("name", "mark"), [("mechanoscope", "tile"), ("session", "session")])
def test_a_macos_icon_holds_every_size_and_no_png_below_32(script, icons, name, mark):
    drawn, parts = script("icons"), entries(icons / f"{name}.icns")
    for kind, size in drawn.PNGS.items():
        image = QImage.fromData(parts[kind], "PNG")  # type: ignore[call-overload]
        assert (image.width(), image.height()) == (size, size), kind
    for size, (colours, mask) in drawn.COLOURS.items():
        wanted = drawn.picture(mark, size)
        channels, at, data = bytearray(), 0, parts[colours]
        while at < len(data):  # a count below 128 and as many bytes + 1; repetitions are not used
            assert data[at] < 128
            channels += data[at + 1 : at + 2 + data[at]]
            at += 2 + data[at]
        pixels = bytes(wanted.constBits())
        assert bytes(channels) == pixels[2::4] + pixels[1::4] + pixels[0::4]
        assert parts[mask] == pixels[3::4]
    assert {image.width() for image in pictures(icons / f"{name}.icns")} >= {16, 32, 256, 1024}


def test_pngs_have_their_size_in_their_name_and_show_something(script, tmp_path):
    made = script("icons").pngs(tmp_path / "png", [16, 48], mark="session")
    assert {path.name for path in made.values()} == {"session-16.png", "session-48.png"}
    for size, path in made.items():
        image = QImage(str(path))
        assert image.width() == size
        assert image.pixelColor(0, 0).alpha() == 0
        assert image.pixelColor(size // 2, size // 8).alpha() == 255


def test_an_unknown_mark_is_refused_by_name(script):
    with pytest.raises(ValueError, match="'logo' is none of mechanoscope, session, tile"):
        script("icons").picture("logo", 16)


def test_the_installers_pictures_are_where_and_as_large_as_they_are_used(icons, script):
    drawn = script("icons")
    side = QImage(str(icons / "side.bmp"))
    assert (side.width(), side.height()) == (2 * 164, 2 * 314)
    assert (icons / "side.bmp").read_bytes()[28:30] == b"\x18\x00"  # 24 bits: NSIS reads no more
    for scale, name in ((1, "ground.png"), (2, "ground@2x.png")):
        image = QImage(str(icons / name))
        assert (image.width(), image.height()) == tuple(scale * side for side in drawn.WINDOW)
        assert round(image.dotsPerMeterX() * 0.0254) == 72 * scale

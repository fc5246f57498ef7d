"""The zip that torch saves since 1.6: where each entry's bytes lie in the file, and no more.

Our own reader of the directory (PKWARE APPNOTE 6.3.3, zip64 included): names are looked up and
never become paths, sizes are checked against the file before anything is made, and what is stored
as it is can be mapped where it lies.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import FileError

MAX_ENTRIES = 200_000
MAX_DIRECTORY = 64 << 20  # bytes
TAIL = 22 + 65_535  # the last record and the longest remark behind it
STORED, DEFLATED = 0, 8
_U16, _U32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True)
class Entry:
    """One file inside: its bytes [begin, begin + packed) of the zip, `size` when unpacked."""

    name: str
    begin: int
    packed: int
    size: int
    method: int
    crc: int


def entries(file: Path, data: Any) -> dict[str, Entry]:
    """Name -> entry of the mapped zip `data` [byte]; FileError where the directory is not right."""
    count, size, begin = _directory(file, data)
    if count > MAX_ENTRIES or size > MAX_DIRECTORY:
        raise FileError(
            file, f"lists {count:,} files in {size:,} bytes, the limits are {MAX_ENTRIES:,} and "
            f"{MAX_DIRECTORY:,}; this is no file of weights"
        )  # fmt: skip
    if begin + size > len(data):
        raise FileError(file, _cut("its directory lies behind the end"))
    found: dict[str, Entry] = {}
    raw, at = bytes(data[begin : begin + size]), 0
    for _ in range(count):
        entry, at = _entry(file, data, raw, at)
        if entry.name in found:
            raise FileError(file, f"holds two entries {entry.name[:80]!r}; it is refused")
        found[entry.name] = entry
    _check_apart(file, found, begin)
    return found


def content(file: Path, data: Any, entry: Entry, limit: int) -> bytes:
    """A small entry's bytes, unpacked if need be, never more than `limit`, and as its sum says."""
    if entry.size > limit or entry.packed > limit:
        raise FileError(
            file, f"its entry {entry.name[:80]!r} has {entry.size:,} bytes, the limit is {limit:,}"
        )
    raw = bytes(data[entry.begin : entry.begin + entry.packed])
    if entry.method == DEFLATED:
        try:
            raw = zlib.decompressobj(-15).decompress(raw, entry.size + 1)
        except zlib.error:
            raise FileError(file, _damaged(entry)) from None
    if len(raw) != entry.size or zlib.crc32(raw) != entry.crc:
        raise FileError(file, _damaged(entry))
    return raw


def _directory(file: Path, data: Any) -> tuple[int, int, int]:
    """How many entries, and size and place of the list of them."""
    start = max(0, len(data) - TAIL)
    tail = bytes(data[start:])
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise FileError(file, _cut("it has no directory"))
    disk, first_disk, here, count, size, begin = struct.unpack_from("<4H2I", tail, at + 4)
    place = start + at - 20
    if place >= 0 and bytes(data[place : place + 4]) == b"PK\x06\x07":  # zip64
        (record,) = struct.unpack("<Q", bytes(data[place + 8 : place + 16]))
        if record + 56 > len(data) or bytes(data[record : record + 4]) != b"PK\x06\x06":
            raise FileError(file, _cut("its 64-bit directory is not where it should be"))
        fields = struct.unpack("<2I4Q", bytes(data[record + 16 : record + 56]))
        disk, first_disk, here, count, size, begin = fields
    if disk or first_disk or here != count:
        raise FileError(file, "is one part of a zip of several; it is refused")
    return count, size, begin


def _entry(file: Path, data: Any, raw: bytes, at: int) -> tuple[Entry, int]:
    """The entry at `at` of the directory, and where the next one begins."""
    if raw[at : at + 4] != b"PK\x01\x02" or at + 46 > len(raw):
        raise FileError(file, _cut("its directory ends too early"))
    flags, method = struct.unpack_from("<2H", raw, at + 8)
    crc, packed, size, n_name, n_extra, n_remark = struct.unpack_from("<3I3H", raw, at + 16)
    (local,) = struct.unpack_from("<I", raw, at + 42)
    end = at + 46 + n_name + n_extra + n_remark
    if end > len(raw):
        raise FileError(file, _cut("its directory ends too early"))
    name = raw[at + 46 : at + 46 + n_name]
    size, packed, local = _large(file, raw[at + 46 + n_name :][:n_extra], size, packed, local)
    shown = name[:80].decode("utf-8", "replace")
    if flags & 1:
        raise FileError(file, f"its entry {shown!r} is encrypted; it is refused")
    if method not in (STORED, DEFLATED):
        raise FileError(file, f"its entry {shown!r} is packed by method {method}; save it again")
    if method == STORED and size != packed:
        raise FileError(file, f"its entry {shown!r} has two sizes, {size:,} and {packed:,} bytes")
    if local + 30 > len(data) or bytes(data[local : local + 4]) != b"PK\x03\x04":
        raise FileError(file, _cut(f"its entry {shown!r} is not where it should be"))
    head = bytes(data[local : local + 30])
    n_local, n_more = struct.unpack_from("<2H", head, 26)
    if bytes(data[local + 30 : local + 30 + n_local]) != name:
        raise FileError(file, f"its entry {shown!r} has another name at its place; it is refused")
    begin = local + 30 + n_local + n_more
    if begin + packed > len(data):
        raise FileError(file, _cut(f"its entry {shown!r} ends behind the end of the file"))
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        raise FileError(file, f"its entry {shown!r} has a name that is not UTF-8") from None
    return Entry(text, begin, packed, size, method, crc), end


def _large(file: Path, extra: bytes, size: int, packed: int, local: int) -> tuple[int, int, int]:
    """The three numbers where 32 bits did not hold them: extra field 1 of zip64."""
    values, at = [size, packed, local], 0
    wanted = [index for index, value in enumerate(values) if value == _U32]
    while wanted and at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            if length < 8 * len(wanted) or at + 4 + length > len(extra):
                raise FileError(file, _cut("its directory ends too early"))
            for number, index in enumerate(wanted):
                (values[index],) = struct.unpack_from("<Q", extra, at + 4 + 8 * number)
            break
        at += 4 + length
    return values[0], values[1], values[2]


def _check_apart(file: Path, found: dict[str, Entry], directory: int) -> None:
    """No two entries share bytes, nor one with the directory."""
    end, before = 0, ""
    for entry in sorted(found.values(), key=lambda one: (one.begin, one.packed)):
        if entry.begin < end:
            raise FileError(
                file, f"its entries {before[:80]!r} and {entry.name[:80]!r} overlap; it is refused"
            )
        end, before = entry.begin + entry.packed, entry.name
    if end > directory:
        raise FileError(file, f"its entry {before[:80]!r} overlaps the directory; it is refused")


def _cut(why: str) -> str:
    return f"{why}: the download was probably cut off; fetch the file again"


def _damaged(entry: Entry) -> str:
    return f"its entry {entry.name[:80]!r} is damaged; fetch the file again"

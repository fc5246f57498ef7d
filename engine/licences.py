"""Under which terms the parts of this program travel: names, versions, licences and their texts.

The packaged program carries them in a folder with an index (packaging/licences.py makes it); from
source they are read from what is installed.
"""

from __future__ import annotations

import re
import struct
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

import engine
from engine.errors import FileError
from engine.program import frozen

ROOT = Path(engine.__file__).resolve().parent.parent
TEXTS = ROOT / "packaging" / "licences"
"""Texts of parts that bring none; only in a checkout, the packaged program has copies."""
INDEX, NOTICE = "index.json", "notice.txt"
TEXT = re.compile(r"^(licen[cs]e|copying|notice)|[-_]licen[cs]e\.(txt|md)$", re.IGNORECASE)
WITHOUT: Mapping[str, tuple[str, ...]] = {
    "pyside6-essentials": ("qt/notice.txt", "LGPL-3.0.txt", "GPL-3.0.txt", "qt/third-party.txt"),
    "shiboken6": ("qt/notice.txt", "LGPL-3.0.txt", "GPL-3.0.txt"),
    "tokenizers": ("Apache-2.0.txt",),
}
"""Distributions whose wheels carry no text, and which texts of ours are theirs."""
_KNOWN = {"Apache Software License": "Apache-2.0", "MIT License": "MIT", "BSD License": "BSD"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that others made. files: its texts, absolute. note: where it comes from."""

    name: str
    version: str
    licence: str
    files: tuple[str, ...] = ()
    note: str = ""

    def texts(self) -> list[tuple[str, str]]:
        """The name of each file and what it says; a notice of ours says the version, too."""
        found = []
        for file in map(Path, self.files):
            try:
                text = file.read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                raise FileError(file, error.strerror or str(error)) from error
            if file.name == NOTICE:
                text = text.replace("{version}", self.version)
            found.append((file.name, text))
        return found


def bundled() -> Path | None:
    """The folder of texts in the packaged program; None from source."""
    return Path(getattr(sys, "_MEIPASS", "")) / "licences" if frozen() else None


def read(folder: Path) -> list[Part]:
    """The parts of an index; FileError where it is not one."""
    index = folder / INDEX
    try:
        rows = msgspec.json.decode(index.read_bytes(), type=list[Part])
    except OSError as error:
        raise FileError(index, error.strerror or str(error)) from error
    except msgspec.DecodeError as error:
        raise FileError(index, f"it is not a list of parts ({error})") from error
    whole = [tuple(str(folder / name) for name in row.files) for row in rows]
    return [Part(**{**asdict(row), "files": files}) for row, files in zip(rows, whole, strict=True)]


def parts(names: Iterable[str], resources: Path) -> list[Part]:
    """Everything: of the packaged program its own list, else what `names` bring where they are."""
    if (folder := bundled()) is not None:
        return read(folder)
    found = [ours(), *carried(resources), python(), *map(distribution, closure(names))]
    return sorted(found, key=place)


def place(part: Part) -> tuple[int, str]:
    """Sorts ours first, then Qt, for what may be done with it, then by name."""
    name = normal(part.name)
    first = {"mechanoscope": 0, "pyside6-essentials": 1, "shiboken6": 2}
    return first.get(name, 3), name


def ours() -> Part:
    """Mechanoscope itself."""
    own = ROOT / "LICENSE"
    files = (str(own),) if own.is_file() else _files("mechanoscope")
    return Part(name="Mechanoscope", version=engine.__version__, licence="MIT", files=files)


def python() -> Part:
    """The interpreter and its library, with what is built into them."""
    places = (Path(sysconfig.get_path("stdlib")), Path(sys.base_prefix))
    own = next((at / "LICENSE.txt" for at in places if (at / "LICENSE.txt").is_file()), None)
    files = [own] if own else []
    files += [TEXTS / "python" / "incorporated.txt"] if TEXTS.is_dir() else []
    version = sys.version.split()[0]
    return Part(name="Python", version=version, licence="PSF-2.0", files=tuple(map(str, files)))


def carried(resources: Path) -> list[Part]:
    """Fonts and icons, which lie among the resources."""
    fonts, icons = resources / "fonts", resources / "icons"
    return [
        _font("Inter", fonts / "Inter-Regular.ttf", fonts / "Inter-OFL.txt"),
        _font(
            "JetBrains Mono", fonts / "JetBrainsMono-Regular.ttf", fonts / "JetBrainsMono-OFL.txt"
        ),
        Part(
            name="Lucide icons",
            version="",
            licence="ISC AND MIT",
            files=(str(icons / "LICENSE-lucide.txt"),),
        ),
    ]


def distribution(name: str) -> Part:
    """An installed distribution with the texts of its own, or those of WITHOUT."""
    about: Any = metadata.metadata(name)
    files = _files(name)
    if not files and TEXTS.is_dir():
        files = tuple(str(TEXTS / text) for text in WITHOUT.get(normal(name), ()))
    return Part(
        name=about["Name"], version=about["Version"], licence=_expression(about), files=files
    )


def closure(names: Iterable[str], but: Iterable[str] = ()) -> list[str]:
    """These distributions and all that they ask for and that is installed, by name."""
    found: dict[str, str] = {}
    left_out = set(map(normal, but))
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if normal(name) in found or normal(name) in left_out:
            continue
        try:
            about = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another system, or only wanted by an extra
        found[normal(name)] = about.metadata["Name"]
        asked = (text for text in about.requires or () if "extra ==" not in text)
        waiting += [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in asked]
    return [found[name] for name in sorted(found)]


def normal(name: str) -> str:
    """How the index of packages compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _files(name: str) -> tuple[str, ...]:
    """The texts in a distribution's own folder of metadata."""
    try:
        files = metadata.distribution(name).files or ()
    except metadata.PackageNotFoundError:
        return ()
    found = []
    for file in files:
        inner = file.parts[1:] if file.parts[0].endswith(".dist-info") else ()
        if inner and (inner[0] == "licenses" or TEXT.search(file.name)):
            found.append(Path(str(file.locate())))
    shallow = sorted(found, key=lambda file: (len(file.parts), str(file)))
    return tuple(str(file) for file in shallow if file.is_file())


def _expression(about: Any) -> str:
    """What the metadata call the licence, in one short line; "" where they do not."""
    for field in ("License-Expression", "License"):
        said = (about[field] or "").strip()
        if said and "\n" not in said and len(said) <= 80 and "Copyright" not in said:
            return said
    said = [entry for entry in about.get_all("Classifier") or () if entry.startswith("License ::")]
    last = [entry.rpartition(" :: ")[2] for entry in said]
    return " AND ".join(_KNOWN.get(name, str(name)) for name in last)


def _font(name: str, file: Path, text: Path) -> Part:
    raw = file.read_bytes()
    (tables,) = struct.unpack(">H", raw[4:6])
    version = ""
    for at in range(12, 12 + 16 * tables, 16):  # tag, checksum, offset, length
        tag, _, offset, _ = struct.unpack(">4sIII", raw[at : at + 16])
        if tag == b"head":  # its second field is the revision, 16 bits of them after the point
            (revision,) = struct.unpack(">i", raw[offset + 4 : offset + 8])
            version = f"{revision / 65536:.3f}"
    return Part(name=name, version=version, licence="OFL-1.1", files=(str(text),))

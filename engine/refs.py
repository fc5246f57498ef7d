"""Refs: large and learned inputs of a run by the SHA-256 of their bytes, not by their path.

A folder's digest covers its files' relative names and bytes, sorted by name: the same on every
system, whatever the order, the times and the rights. A path is only where the bytes were last seen.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import FileError, RunError

SLAB = 8 * 2**20  # bytes read between two looks at Stop
SHORT = 8  # hex digits that a person compares
SYSTEM_FILES = (".DS_Store", "Thumbs.db", "desktop.ini")  # file browsers leave them; not content

Watch = Callable[[], object] | None
Report = Callable[[int, int], object] | None


@dataclass(frozen=True)
class Ref:
    """A learned or large input of a run: what it is, the SHA-256 of its bytes, where it was.

    where: a path; "" = inside the session. The same bytes elsewhere are the same input.
    """

    kind: str
    digest: str
    where: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """The file's name as a person knows it; "" for bytes inside the session."""
        return self.where.replace("\\", "/").rstrip("/").rpartition("/")[2]

    @property
    def short(self) -> str:
        return self.digest[:SHORT]


class MissingInput(RunError):
    """An input is not where it was, or is there with other bytes (`changed`); words say which."""

    def __init__(self, ref: Ref, why: str, *, changed: bool = False, field: str = "") -> None:
        name = f" '{ref.name}'" if ref.name else ""
        super().__init__(f"the {ref.kind}{name} (sha {ref.short}…) {why}")
        self.ref, self.changed, self.field = ref, changed, field


def of_bytes(kind: str, content: bytes, where: str = "") -> Ref:
    """The reference to bytes at hand."""
    return Ref(kind, hashlib.sha256(content).hexdigest(), where)


def of_file(kind: str, path: Path | str, watch: Watch = None, report: Report = None) -> Ref:
    """The reference to a file or a folder; FileError where it cannot be read, Cancelled by `watch`.

    report(done, total) in bytes, after every slab. A link counts as the ordinary file it names: the
    Hugging Face cache consists of such.
    """
    path = Path(os.path.abspath(path))
    try:
        return Ref(kind, _digest(path, watch, report), str(path))
    except OSError as error:
        raise FileError(error.filename or path, _reason(error)) from None


def locate(ref: Ref, watch: Watch = None, field: str = "") -> Path:
    """The file or folder whose bytes have the digest; else MissingInput. They are read each time.

    field: the technique's field that holds it, for the form to point at.
    """
    way_out = "say where it is now"
    if not ref.where:
        raise MissingInput(ref, f"is in no file: {way_out}", field=field)
    path = Path(ref.where)
    try:
        if not path.exists():
            raise MissingInput(ref, f"is not at {path}: {way_out}", field=field)
        found = of_file(ref.kind, path, watch)
    except (FileError, OSError) as error:
        why = error.why if isinstance(error, FileError) else _reason(error)
        why = f"at {path} cannot be read ({why}): mend that, or {way_out}"
        raise MissingInput(ref, why, field=field) from None
    if found.digest != ref.digest:
        why = (
            f"at {path} has changed since this run: its digest is now {found.short}…; "
            "say where it is as it was, or run again with the new one"
        )
        raise MissingInput(ref, why, changed=True, field=field)
    return path


def refs_in(value: Any) -> tuple[Ref, ...]:
    """Every Ref in a spec, a mapping, a tuple or a list, in order."""
    return tuple(_walk(value))


def _walk(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from _walk(getattr(value, item.name))
    elif isinstance(value, Mapping):
        for element in value.values():
            yield from _walk(element)
    elif isinstance(value, tuple | list):
        for element in value:
            yield from _walk(element)


def placed(value: Any, places: Mapping[str, str]) -> Any:
    """The same spec, mapping or tuple, its Refs where `places` {digest: path} says they are now."""
    if isinstance(value, Ref):
        return replace(value, where=places[value.digest]) if value.digest in places else value
    if not refs_in(value):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        held = {item.name: getattr(value, item.name) for item in fields(value) if item.init}
        return replace(value, **{name: placed(old, places) for name, old in held.items()})
    if isinstance(value, Mapping):
        return {key: placed(element, places) for key, element in value.items()}
    if isinstance(value, list | tuple):
        moved = [placed(element, places) for element in value]
        return moved if isinstance(value, list) else tuple(moved)
    return value


def _digest(path: Path, watch: Watch, report: Report) -> str:
    seal = hashlib.sha256()
    if not path.is_dir():
        meter = _Meter(_size(path), watch, report)
        meter.read(path, seal)
        return seal.hexdigest()
    files = _files(path)
    meter = _Meter(sum(size for _, _, size in files), watch, report)
    seal.update(b"folder\0")  # so that no file has the digest of a folder
    for name, file, size in files:
        seal.update(f"{name}\0{size}\0".encode())  # or two folders could share one stream of bytes
        meter.read(file, seal)
    return seal.hexdigest()


class _Meter:
    """Reads files into a digest in slabs; between two it looks at Stop and reports bytes."""

    def __init__(self, total: int, watch: Watch, report: Report) -> None:
        self.done, self.total, self.watch, self.report = 0, total, watch, report

    def read(self, path: Path, seal: Any) -> None:
        with path.open("rb", buffering=0) as file:
            while slab := file.read(SLAB):
                seal.update(slab)
                self.done += len(slab)
                if self.watch is not None:
                    self.watch()
                if self.report is not None:
                    self.report(self.done, max(self.total, self.done))


def _files(folder: Path) -> list[tuple[str, Path, int]]:
    """(name, file, bytes) of every file below, by name; names as every system writes them."""
    root = folder.resolve()
    found = []

    def stop(error: OSError) -> None:
        raise error

    for here, folders, names in os.walk(root, onerror=stop):
        for name in folders:  # through a link the walk might go round in a ring
            if (link := Path(here, name)).is_symlink():
                raise FileError(link, "a link to a folder; copy the folder itself to its place")
        for name in names:
            file = Path(here, name)
            if name not in SYSTEM_FILES:
                shown = unicodedata.normalize("NFC", file.relative_to(root).as_posix())
                found.append((shown, file, _size(file)))
    if not found:
        raise FileError(folder, "the folder holds no file")
    return sorted(found)


def nbytes(path: Path) -> int:
    """How many bytes the digest of a file or a folder covers; FileError where it has none."""
    try:
        return sum(size for *_, size in _files(path)) if path.is_dir() else _size(path)
    except OSError as error:
        raise FileError(error.filename or path, _reason(error)) from None


def _size(path: Path) -> int:
    try:
        about = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise FileError(path, "a link to nothing") from None
        raise
    if not stat.S_ISREG(about.st_mode):  # a pipe would be waited for without end
        raise FileError(path, "not an ordinary file")
    return about.st_size


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()

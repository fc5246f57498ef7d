"""Opening a model folder: `peek` reads headers only, `load` makes the arrays.

A Hugging Face folder or one in TransformerLens' layout: config.json and safetensors, or else a
state dict of torch, one file or shards. Nothing is trusted: a file may be cut off, may lie about
its shapes, may hold NaN or a program, may name files outside the folder; each is a FileError that
says what to do.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import FileError
from engine.model import safetensors_file, torch_file
from engine.model.config import ModelConfig
from engine.model.config_file import Fields, read_json, shown
from engine.model.families import layout_of
from engine.model.layout import Layout, Slots, assemble, resolve
from engine.model.safetensors_file import Header, TensorInfo, map_file
from engine.model.weights import Weights

SINGLE, INDEX, CONFIG = "model.safetensors", "model.safetensors.index.json", "config.json"
TOKENIZER_FILES = ("tokenizer.json", "vocab.json")
TORCH_SINGLE, TORCH_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
TORCH_USUAL = (TORCH_SINGLE, "model.pt", "model.pth", "pytorch_model.pt")
NOT_WEIGHTS = re.compile(r"(optimizer|scheduler|training_args|rng_state|scaler)\b.*|rng_state_.*")
"""Files that Trainer leaves beside the weights, in the same format."""
DIGEST_BYTES = 4 << 20  # read at once: a few milliseconds between two looks at `watch`
INDEX_LIMIT = 100_000_000


@dataclass(frozen=True)
class Peek:
    """What a model folder holds, from its headers alone.

    memory_bytes: what will be resident once loaded and used, mapped pages included.
    header_digest: SHA-256 of config.json and of the headers; `digest` covers the weights too.
    ignored: tensors of the file that this architecture does not use.
    """

    folder: Path
    name: str
    config: ModelConfig
    tensors: tuple[TensorInfo, ...]
    n_params: int
    file_bytes: int
    memory_bytes: int
    has_tokenizer: bool
    header_digest: str
    ignored: tuple[str, ...]
    layout: Layout = field(repr=False, compare=False)
    slots: Slots = field(repr=False, compare=False)

    @property
    def files(self) -> tuple[Path, ...]:
        """The weight files, in the order of their names."""
        return tuple(sorted({tensor.file for tensor in self.tensors}))


def peek(path: str | Path) -> Peek:
    """Read and check config.json and every header of a folder (or of a file's folder)."""
    path = Path(path).expanduser()
    try:
        return _peek(*_folder(path))
    except OSError as error:
        raise FileError(path, f"cannot be read ({error.strerror})") from None


def _peek(folder: Path, chosen: Path | None) -> Peek:
    config_path = folder / CONFIG
    if not config_path.is_file():
        raise FileError(
            folder, f"holds no {CONFIG}; open the folder that holds {CONFIG} and {SINGLE}"
        )
    data, raw_config = read_json(config_path)
    if not isinstance(data, dict):
        raise FileError(config_path, "is not a JSON object; fetch the file again")
    fields = Fields(config_path, data)
    headers = _headers(folder, chosen)
    tensors = {name: t for header in headers for name, t in header.tensors.items()}
    layout = layout_of(fields, tensors)
    slots, ignored = resolve(layout, tensors, folder)
    digest = hashlib.sha256(raw_config)
    for header in headers:
        digest.update(header.raw)
    used = {piece.tensor.name: piece.tensor for pieces in slots.values() for piece in pieces}
    n_params = sum(tensor.size for tensor in used.values())
    return Peek(
        folder=folder,
        name=model_name(folder),
        config=layout.config,
        tensors=tuple(tensors.values()),
        n_params=n_params,
        file_bytes=sum(header.file_bytes for header in headers),
        memory_bytes=4 * n_params,  # float32: a mapped view and a converted copy weigh the same
        has_tokenizer=any((folder / name).is_file() for name in TOKENIZER_FILES),
        header_digest=digest.hexdigest(),
        ignored=ignored,
        layout=layout,
        slots=slots,
    )


def load(
    found: Peek,
    watch: Callable[[], None] | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Weights:
    """Every weight as float32; float32 files are mapped, not copied.

    `watch` is called between tensors and may raise to stop; `report(done, total)` counts bytes.
    """
    free = available_memory()
    if free is not None and found.memory_bytes > free:
        raise FileError(
            found.folder,
            f"needs {_gb(found.memory_bytes)} of memory and {_gb(free)} are free; close other "
            "programs, or open a smaller model",
        )
    ready = 0

    def done(nbytes: int) -> None:
        nonlocal ready
        ready += nbytes
        if report is not None:
            report(ready, found.memory_bytes)
        if watch is not None:
            watch()

    mapped = {}
    for file in found.files:
        mapped[file] = map_file(file)  # [byte]
        last = max(t.end for t in found.tensors if t.file == file)
        if len(mapped[file]) < last:
            raise FileError(file, "has changed since it was opened; open the model again")
    return assemble(found.layout, found.slots, mapped, done)


def digest(found: Peek, watch: Callable[[], None] | None = None) -> str:
    """SHA-256 of config.json and of every byte of the weight files: a model's identity.

    Takes a second or two per GB: meant for the background.
    """
    total = hashlib.sha256()
    for file in (found.folder / CONFIG, *found.files):
        try:
            with file.open("rb") as stream:
                while piece := stream.read(DIGEST_BYTES):
                    total.update(piece)
                    if watch is not None:
                        watch()
        except OSError as error:
            raise FileError(file, f"cannot be read ({error.strerror})") from None
    return total.hexdigest()


def model_name(folder: Path) -> str:
    """The folder's name; for a snapshot in the Hugging Face cache the repository's."""
    folder = folder.absolute()
    if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return folder.name


def _folder(path: Path) -> tuple[Path, Path | None]:
    """The folder, and the weight file if one was pointed at."""
    if path.is_dir():
        return path, None
    if not path.is_file():
        raise FileError(path, "there is no such folder")
    if path.suffix in (".safetensors", *torch_file.SUFFIXES):
        return path.parent, path
    if path.suffix == ".json":
        return path.parent, None
    raise FileError(path, "is not a folder; open the folder that holds the model's config.json")


def _headers(folder: Path, chosen: Path | None) -> list[Header]:
    """The headers of the weights: of the file that was pointed at, else safetensors before torch's.

    A shard that was pointed at stands for all of them.
    """
    for single, index in ((SINGLE, INDEX), (TORCH_SINGLE, TORCH_INDEX)):
        if (folder / single).is_file() and (chosen is None or chosen.name == single):
            return [_header(folder / single)]
        if (folder / index).is_file():
            shards = _shards(folder / index, read_json(folder / index, INDEX_LIMIT)[0])
            if chosen is None or chosen.name in shards:
                return [_shard(folder / name, shards[name], index) for name in sorted(shards)]
        if chosen is None and (only := _only(folder, single, index)) is not None:
            return [_header(only)]
    if chosen is not None:
        return [_header(chosen)]
    raise FileError(folder, f"holds no {SINGLE}; fetch the weights")


def _only(folder: Path, single: str, index: str) -> Path | None:
    """The one file of weights of a kind, whatever its name; None where there is none."""
    if single == SINGLE:
        present = sorted(file for file in folder.glob("*.safetensors") if file.is_file())
    else:
        usual = [folder / name for name in TORCH_USUAL if (folder / name).is_file()]
        present = usual[:1] or sorted(
            file for file in folder.iterdir()
            if file.suffix in torch_file.SUFFIXES and not NOT_WEIGHTS.fullmatch(file.name)
            and file.is_file()
        )  # fmt: skip
    if len(present) > 1:
        listed = ", ".join(file.name for file in present[:4])
        raise FileError(
            folder, f"holds {listed} and no {index} that says which belong together; fetch {index}"
        )
    return present[0] if present else None


def _header(file: Path) -> Header:
    return (torch_file if file.suffix in torch_file.SUFFIXES else safetensors_file).read_header(
        file
    )


def _shards(index: Path, content: Any) -> dict[str, set[str]]:
    """File name -> the tensors in it. A name in the index may not lead out of the folder."""
    table = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(table, dict) or not table:
        raise FileError(index, "has no weight_map; fetch the file again")
    suffixes = (".safetensors",) if index.name == INDEX else torch_file.SUFFIXES
    shards: dict[str, set[str]] = {}
    for tensor, name in table.items():
        if not isinstance(name, str) or not _is_plain(name, suffixes):
            raise FileError(
                index,
                f"tensor {shown(tensor)} is in {shown(name)}, which is no name of a file in this "
                "folder; the index is refused",
            )
        shards.setdefault(name, set()).add(tensor)
    for name in sorted(shards):
        # Links inside the folder are followed: the Hugging Face cache consists of them.
        if not (index.parent / name).is_file():
            raise FileError(
                index.parent,
                f"{index.name} asks for {name}, which is not there; finish the download",
            )
    return shards


def _is_plain(name: str, suffixes: tuple[str, ...]) -> bool:
    return name.endswith(suffixes) and not any(c in name for c in "/\\:\0") and name[0] != "."


def _shard(file: Path, names: set[str], index: str) -> Header:
    header = _header(file)
    for name in sorted(names):
        if name not in header.tensors:
            raise FileError(
                file, f"the tensor {name!r} is not in it, though {index} says so; fetch it again"
            )
    own = {name: header.tensors[name] for name in header.tensors if name in names}
    return Header(file, own, header.raw, header.file_bytes)


def available_memory() -> int | None:
    """Bytes that can be used without swapping; None where the system does not say.

    Linux: MemAvailable, or what is left of the control group's limit (a container) if less.
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        try:
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):
            return None
    try:
        group = Path("/sys/fs/cgroup")
        limit, taken = ((group / f"memory.{x}").read_text() for x in ("max", "current"))
        stat = dict(x.split() for x in (group / "memory.stat").read_text().splitlines())
        reclaimable = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
        return min(free, int(limit) - int(taken) + reclaimable)
    except (OSError, ValueError):
        return free


def _gb(nbytes: int) -> str:
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 5e7 else f"{nbytes / 1e9:.3f} GB"

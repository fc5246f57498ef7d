"""Five hundred tampered files of torch: none runs anything, crashes, or reads out of place."""

from __future__ import annotations

import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import FileError
from engine.model import torch_file
from engine.model.safetensors_file import READABLE, map_file, view

FOLDER = Path(__file__).parents[1] / "data" / "torch"
BASES = ("kinds.pt", "kinds-1.6.pt", "kinds-older.pt", "gpt2-untied.bin", "lens-params.pt")
SECONDS = 5.0  # of one file, whatever it claims
FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect",
    "ctypes.dlopen", "pickle.find_class", "exec", "compile", "import",
)  # fmt: skip
PROGRAMS = (
    b"cos\nsystem\n", b"cposix\nsystem\n", b"cbuiltins\neval\n", b"c__builtin__\nexec\n",
    b"csubprocess\nPopen\n", b"ctorch\nload\n", b"cnumpy\nload\n", b"cimportlib\nimport_module\n",
    b"\x8c\x02os\x8c\x06system\x93", b"\x8c\x08builtins\x8c\x07getattr\x93",
    b"ctorch._utils\n_rebuild_wrapper_subclass\n", b"ctorch.hub\nload\n",
    b"crunpy\nrun_path\n", b"ctorch.storage\n_load_from_bytes\n", b"cshutil\nrmtree\n",
)  # fmt: skip
NAMES = (
    "../../etc/passwd", "/etc/passwd", "a/../../data.pkl", "C:\\x", "x\0y", "kinds/../data/0", "",
    "kinds/data.pkl", "kinds/data/0", "con", "a" * 5000,
)  # fmt: skip

Rng = np.random.Generator


def flipped(whole: bytes, rng: Rng) -> bytes:
    """A few bytes are others."""
    changed = bytearray(whole)
    for at in rng.integers(0, len(whole), int(rng.integers(1, 12))):
        changed[at] = int(rng.integers(256))
    return bytes(changed)


def cut(whole: bytes, rng: Rng) -> bytes:
    """Cut off, at either end."""
    at = int(rng.integers(len(whole)))
    return whole[:at] if rng.random() < 0.7 else whole[at:]


def absurd(whole: bytes, rng: Rng) -> bytes:
    """Somewhere a number is as large as numbers get."""
    changed = bytearray(whole)
    size = int(rng.choice([2, 4, 8]))
    at = int(rng.integers(max(1, len(whole) - size)))
    changed[at : at + size] = int(rng.choice([0xFF, 0x7F])).to_bytes(1, "little") * size
    return bytes(changed)


def doubled(whole: bytes, rng: Rng) -> bytes:
    """A stretch twice, or moved elsewhere."""
    first, last = sorted(rng.integers(0, len(whole), 2).tolist())
    to = int(rng.integers(len(whole)))
    return whole[:to] + whole[first:last] + whole[to:]


def program(whole: bytes, rng: Rng) -> bytes:
    """Somewhere in the list of tensors a program is called, with a mark as what it should do."""
    call = PROGRAMS[int(rng.integers(len(PROGRAMS)))] + b"X\x04\x00\x00\x00MARK\x85R"
    if whole[:2] != b"PK":
        at = int(rng.choice([0, whole.index(b"storage")]))
        return whole[:at] + b"\x80\x02" + call + (b"0" if rng.random() < 0.5 else b".") + whole[at:]

    def changed(name: str, old: bytes) -> bytes:
        if not name.endswith("data.pkl"):
            return old
        return rng.choice([b"\x80\x02" + call + b".", b"\x80\x02" + call + b"0" + old[2:],
                           old[:-1] + call + b"."])  # fmt: skip

    return rezipped(whole, changed)


def renamed(whole: bytes, rng: Rng) -> bytes:
    """Entries have names that would lead elsewhere, or names of others."""
    if whole[:2] != b"PK":
        return flipped(whole, rng)
    name = NAMES[int(rng.integers(len(NAMES)))]
    return rezipped(whole, lambda _, old: old, name=name, at=int(rng.integers(6)))


def rezipped(
    whole: bytes, change: Callable[[str, bytes], Any], name: str | None = None, at: int = -1
) -> bytes:
    import io

    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(target, "w") as new:
        for index, entry in enumerate(old.infolist()):
            title = entry.filename if name is None or index != at else name
            new.writestr(zipfile.ZipInfo(title), bytes(change(entry.filename, old.read(entry))))
    return target.getvalue()


TAMPERING = (flipped, flipped, cut, absurd, absurd, doubled, program, program, program, renamed)


class Watching:
    """Sees every audited event while it listens."""

    def __init__(self) -> None:
        self.listening, self.seen = False, Counter[str]()
        sys.addaudithook(self.hook)

    def hook(self, event: str, _arguments: Any) -> None:
        if self.listening and event.startswith(FORBIDDEN):
            self.seen[event] += 1


@pytest.fixture(scope="module")
def watching() -> Watching:
    return Watching()  # an audit hook is never taken away again, so only one


@pytest.mark.parametrize("files", [40, pytest.param(500, marks=pytest.mark.hard)])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_tampered_files_do_no_harm(
    files: int, seed: int, say: Callable[[str], None], tmp_path: Path, watching: Watching
) -> None:
    count: Counter[str] = Counter()
    slowest, wrong = 0.0, []
    for name in BASES:  # whatever is imported on first use
        torch_file.read_header(FOLDER / name)
    with suppress(FileError):
        torch_file.read_header(FOLDER / "module.pt")
    for case in range(files):
        rng = np.random.default_rng([seed, case])
        spoil = TAMPERING[case % len(TAMPERING)]
        base = BASES[int(rng.integers(len(BASES)))]
        file = tmp_path / "case.pt"
        with suppress(FileNotFoundError):
            file.unlink()
        file.write_bytes(spoil((FOLDER / base).read_bytes(), rng))
        about = f"MECHANOSCOPE_SEED={seed} case {case}: {base} {spoil.__name__}"
        started = time.perf_counter()
        watching.listening = True
        try:
            header = torch_file.read_header(file)
            data = map_file(file)
            for tensor in header.tensors.values():
                assert 0 <= tensor.begin <= tensor.end <= len(data), about
                if tensor.dtype in READABLE:
                    assert view(data, tensor).shape == tensor.shape, about
            count["opened"] += 1
            if spoil is program:
                wrong.append(f"{about}: opened with a program inside")
        except FileError as error:
            count["refused"] += 1
            if len(str(error)) > 2000:
                wrong.append(f"{about}: {len(str(error))} characters of reason")
        finally:
            watching.listening = False
        slowest = max(slowest, time.perf_counter() - started)
    say(f"{files} tampered files of seed {seed}: {dict(count)}; slowest {slowest:.2f} s")
    assert not wrong, "\n".join(wrong)
    assert not watching.seen
    assert not (tmp_path / "MARK").exists()
    assert count["refused"] > files / 2
    assert slowest < SECONDS

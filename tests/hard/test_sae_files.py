"""Five hundred tampered SAEs: none runs anything, crashes or reads elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import FileError
from engine.sae import files

FOLDER = Path(__file__).parents[1] / "data" / "saes"
GEMMA = "gemma-scope-2b-pt-res/layer_3/width_16k/average_l0_5"
BASES = (
    "standard", "batchtopk-checkpoint", "gated", "flat-finetuned", "half", GEMMA,
    "dictionary-AutoEncoderTopK",
)  # fmt: skip
SECONDS = 5.0  # of one folder, whatever it claims
FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect",
    "ctypes.dlopen", "pickle.find_class", "exec", "compile", "os.remove", "os.rename", "os.mkdir",
)  # fmt: skip
ABSURD = (
    -1, 0, 1, 2**31, 2**63, 1e308, -0.5, True, None, "", "6", "../../x", [], [1], {}, {"k": {}},
    "x" * 100_000, [[[[1]]]],
)  # fmt: skip
NAMES = (b"../../../etc/passwd", b"/etc/hostname", b"a\0b", b"C:\\x")

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
    """Somewhere a number is as large as numbers get; in JSON a field holds what no field holds."""
    try:
        fields: Any = json.loads(whole)
    except ValueError:
        changed = bytearray(whole)
        size = int(rng.choice([2, 4, 8]))
        at = int(rng.integers(max(1, len(whole) - size)))
        changed[at : at + size] = int(rng.choice([0xFF, 0x7F])).to_bytes(1, "little") * size
        return bytes(changed)
    inside = [value for value in fields.values() if isinstance(value, dict) and value]
    owner = inside[0] if inside and rng.random() < 0.4 else fields
    name = list(owner)[int(rng.integers(len(owner)))]
    owner[name] = ABSURD[int(rng.integers(len(ABSURD)))]
    return json.dumps(fields).encode()


def doubled(whole: bytes, rng: Rng) -> bytes:
    """A stretch twice, or moved elsewhere."""
    first, last = sorted(rng.integers(0, len(whole), 2).tolist())
    to = int(rng.integers(len(whole)))
    return whole[:to] + whole[first:last] + whole[to:]


def renamed(whole: bytes, rng: Rng) -> bytes:
    """A tensor or an array has a name that would lead elsewhere."""
    name = NAMES[int(rng.integers(len(NAMES)))]
    return whole.replace(b"W_enc", name) if rng.random() < 0.5 else whole.replace(b"b_dec", name)


TAMPERING = (flipped, flipped, cut, absurd, absurd, absurd, doubled, renamed)


class Watching:
    """Sees every audited event while it listens: deeds, and files that are opened elsewhere."""

    def __init__(self) -> None:
        self.listening, self.seen = False, Counter[str]()
        self.allowed: tuple[str, ...] = ()
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: Any) -> None:
        if not self.listening:
            return
        if event.startswith(FORBIDDEN):
            self.seen[event] += 1
        if event == "open" and isinstance(arguments[0], str | bytes | Path):
            path = str(arguments[0])
            if not path.startswith(self.allowed):
                self.seen[f"open {path}"] += 1


@pytest.fixture(scope="module")
def watching() -> Watching:
    return Watching()  # an audit hook is never taken away again, so only one


@pytest.mark.parametrize("cases", [48, pytest.param(500, marks=pytest.mark.hard)])
def test_tampered_saes_do_no_harm(
    cases: int, seed: int, say: Callable[[str], None], tmp_path: Path, watching: Watching
) -> None:
    count: Counter[str] = Counter()
    slowest, wrong = 0.0, []
    watching.allowed = (str(tmp_path), "/proc/meminfo", "/sys/fs/cgroup/memory.")
    for name in BASES:  # whatever is imported on first use
        files.load(FOLDER / name)
    for case in range(cases):
        rng = np.random.default_rng([seed, case])
        spoil = TAMPERING[case % len(TAMPERING)]
        base = BASES[int(rng.integers(len(BASES)))]
        at = Path(shutil.copytree(FOLDER / base, tmp_path / f"case-{case}"))
        inside = sorted(at.iterdir())
        file = inside[int(rng.integers(len(inside)))]
        file.write_bytes(spoil(file.read_bytes(), rng))
        about = f"MECHANOSCOPE_SEED={seed} case {case}: {base} {file.name} {spoil.__name__}"
        started = time.perf_counter()
        watching.listening = True
        try:
            sae = files.load(at)
            watching.listening = False
            count["opened"] += 1
            arrays = [sae.W_enc, sae.W_dec, sae.b_dec, sae.b_enc, sae.threshold, sae.r_mag]
            if not all(array is None or np.isfinite(array).all() for array in arrays):
                wrong.append(f"{about}: opened with numbers that are not finite")
            if sae.W_dec.shape != sae.W_enc.shape[::-1]:
                wrong.append(f"{about}: opened with {sae.W_enc.shape} and {sae.W_dec.shape}")
        except FileError as error:
            count["refused"] += 1
            if len(str(error)) > 2000:
                wrong.append(f"{about}: {len(str(error))} characters of reason")
        finally:
            watching.listening = False
        slowest = max(slowest, time.perf_counter() - started)
    say(f"{cases} tampered SAEs of seed {seed}: {dict(count)}; slowest {slowest:.2f} s")
    assert not wrong, "\n".join(wrong)
    assert not watching.seen
    assert count["refused"] > cases / 3
    assert count["opened"]
    assert slowest < SECONDS

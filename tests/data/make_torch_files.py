"""Makes tests/data/torch: state dicts and a tuned lens as torch writes them, for tests/engine.

    pip install torch==2.13.0 safetensors
    python tests/data/make_torch_files.py

Run from the top of the repository. What is stored is drawn from one seed; values.safetensors holds
the same numbers in the other format. The model is families/gpt2-untied, the lens is for it.
"""

from __future__ import annotations

import json
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

FOLDER = Path(__file__).parent / "torch"
MODEL = Path(__file__).parent / "families" / "gpt2-untied"
LIMIT = 200_000  # bytes of all of it


def kinds() -> OrderedDict[str, Any]:
    """One tensor of every dtype that is read, and of every way to lie in a storage."""
    draw = torch.Generator().manual_seed(0)
    whole = torch.randn(6, 5, generator=draw)
    found: OrderedDict[str, Any] = OrderedDict()
    for name in ("float32", "float64", "float16", "bfloat16"):
        found[name] = torch.randn(3, 4, generator=draw).to(getattr(torch, name))
    for name in ("int64", "int32", "int16", "int8", "uint8", "bool"):
        found[name] = torch.randint(0, 2, (2, 3), generator=draw).to(getattr(torch, name))
    found["transposed"] = whole.T
    found["part"] = whole[2:4, 1:4]
    found["shared"] = whole
    found["scalar"] = torch.tensor(1.5)
    found["empty"] = torch.zeros(0, 3)
    found["parameter"] = torch.nn.Parameter(torch.randn(2, 2, generator=draw))
    return found


def without(source: Path, target: Path, *names: str) -> None:
    """The same zip without some entries, as older versions of torch wrote it."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            if not entry.filename.endswith(names):
                new.writestr(entry.filename, old.read(entry))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    values = kinds()
    torch.save(values, FOLDER / "kinds.pt")
    torch.save(values, FOLDER / "kinds-older.pt", _use_new_zipfile_serialization=False)
    without(FOLDER / "kinds.pt", FOLDER / "kinds-1.6.pt", "byteorder", "serialization_id",
            ".format_version", ".storage_alignment")  # fmt: skip
    plain = {name: value.detach().contiguous().clone() for name, value in values.items()}
    save_file(plain, FOLDER / "values.safetensors")
    model = OrderedDict(load_file(MODEL / "model.safetensors"))
    torch.save(model, FOLDER / "gpt2-untied.bin")
    torch.save({"step": 3, "state_dict": model}, FOLDER / "gpt2-untied-older.pth",
               _use_new_zipfile_serialization=False)  # fmt: skip
    torch.save(torch.nn.Linear(2, 2), FOLDER / "module.pt")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(FOLDER / "script.pt"))
    config = json.loads((MODEL / "config.json").read_text())
    lens = torch.nn.ModuleList(
        torch.nn.Linear(config["n_embd"], config["n_embd"]) for _ in range(config["n_layer"])
    )
    torch.save(lens.state_dict(), FOLDER / "lens-params.pt")
    size = sum(file.stat().st_size for file in FOLDER.iterdir())
    assert size < LIMIT, size
    for file in sorted(FOLDER.iterdir()):
        print(f"{file.stat().st_size:8,} {file.name}")  # what goes into the repository


if __name__ == "__main__":
    torch.manual_seed(0)
    main()

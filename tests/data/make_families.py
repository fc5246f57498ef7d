"""Makes tests/data/families: tiny random models of every family the engine reads.

Run from the top of the repository by an interpreter that has the peers:

    pip install torch==2.13.0 transformers==5.23.0 transformer_lens==3.9.0
    HF_HUB_OFFLINE=1 python tests/data/make_families.py
    HF_HUB_OFFLINE=1 python tests/data/make_patching.py

The files in the repository were made with exactly these versions (NumPy 2.4.6, safetensors
0.8.0, CPU). Each folder holds one model and golden.npz: `input_ids` [batch, pos], `logits` and
activations under TransformerLens hook names, float32, eager attention. `config.older.json` is
the same configuration in the spelling of files from before transformers 5; it must give the
same logits. Weights stored in float16 or bfloat16 have references computed in float32 from the
rounded weights.

The script checks its own work: every array agrees with a float64 run of the same weights, every
tensor of a file moves the logits, and the older spellings load to the same model.
"""

from __future__ import annotations

import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import reference_hf
import reference_hooked
import torch
import transformers

FAMILIES = Path(__file__).parent / "families"
LIMIT = 1_300_000  # bytes, everything under families/
FLOAT64_TOLERANCE = 3e-6  # of an array's largest finite value
TELLING = 1e-3  # of the largest logit: the least that a change of any tensor must move


def largest(values: np.ndarray) -> float:
    """Largest finite magnitude, so that masked scores (-inf, -1e5) do not set the scale."""
    finite = values[np.isfinite(values) & (values > reference_hooked.MASKED)]
    return float(np.abs(finite).max())


def check_precision(name: str, seen: dict[str, Any], exact: dict[str, Any]) -> float:
    """Largest deviation of the float32 run from the float64 run; too much is an error."""
    worst = 0.0
    for key, value in seen.items():
        single, double = value.numpy(), exact[key].numpy()
        usable = np.isfinite(double)
        assert np.array_equal(usable, np.isfinite(single)), (name, key)
        off = np.abs(single[usable] - double[usable]).max() / largest(double)
        worst = max(worst, float(off))
    assert worst < FLOAT64_TOLERANCE, (name, worst)
    return worst


def check_telling(name: str, model: Any, logits_of: Any, silent: set[str]) -> None:
    """Without any one tensor (a gain: with 1 in its place) the logits are clearly different."""
    base = logits_of()
    for key, value in model.named_parameters():
        kept = value.detach().clone()
        is_gain = value.ndim == 1 and key.endswith(("weight", ".w"))
        with torch.no_grad():
            value.fill_(1.0 if is_gain else 0.0)
            moved = float((logits_of() - base).abs().max() / base.abs().max())
            value.copy_(kept)
        if (moved > TELLING) == (key in silent):
            raise AssertionError(f"{name}: {key} moves the logits by {moved:.1e}")


def write(folder: Path, tokens: torch.Tensor, seen: dict[str, Any]) -> None:
    """golden.npz: the ids and every activation as float32."""
    arrays = {name: value.to(torch.float32).numpy() for name, value in seen.items()}
    np.savez_compressed(folder / "golden.npz", input_ids=tokens.numpy(), **arrays)


def make_hf(case: reference_hf.Case) -> float:
    """One Hugging Face folder."""
    seed = zlib.crc32(case.name.encode())
    model, tokens = reference_hf.build(case, seed), reference_hf.prompts(seed)
    folder = FAMILIES / case.name
    seen = reference_hf.run(case, model, tokens)
    reference_hf.save(case, model, folder)
    write(folder, tokens, seen)

    def logits_of() -> torch.Tensor:
        with torch.no_grad():
            return model(tokens, use_cache=False).logits

    check_telling(case.name, model, logits_of, silent=set())
    for config in ("config.json", "config.older.json"):
        if not (folder / config).exists():
            continue
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            shutil.copy(folder / config, Path(copy) / "config.json")
            again = transformers.AutoModelForCausalLM.from_pretrained(
                copy, attn_implementation="eager", dtype=torch.float32, local_files_only=True
            )
            with torch.no_grad():
                logits = again(tokens, use_cache=False).logits
            assert torch.equal(logits, seen["logits"]), (case.name, config)
    exact = reference_hf.run(case, model.to(torch.float64), tokens)
    return check_precision(case.name, seen, exact)


def make_hooked(case: reference_hooked.HookedCase) -> float:
    """One folder in the TransformerLens layout."""
    seed = zlib.crc32(case.name.encode())
    model = reference_hooked.build(case, seed)
    tokens = reference_hf.prompts(seed, model.cfg.d_vocab)
    if case.mask_token is not None:
        tokens[0, 6:], tokens[1, [2, 5]] = case.mask_token, case.mask_token
    folder = FAMILIES / case.name
    seen = reference_hooked.run(case, model, tokens)
    reference_hooked.save(case, model, folder)
    write(folder, tokens, seen)
    # Without rotary positions a key bias adds the same to every score of a row: no effect.
    silent = {name for name, _ in model.named_parameters() if name.endswith("b_K")}
    if model.cfg.positional_embedding_type == "rotary":
        silent = set()

    def logits_of() -> torch.Tensor:
        return reference_hooked.run(case, model, tokens)["logits"]

    check_telling(case.name, model, logits_of, silent)
    exact = reference_hooked.run(case, reference_hooked.in_float64(case, model), tokens)
    return check_precision(case.name, seen, exact)


def main() -> None:
    """Remakes every folder and reports sizes."""
    torch.set_num_threads(1)
    shutil.rmtree(FAMILIES, ignore_errors=True)
    transformers.utils.logging.disable_progress_bar()
    made = [(case.name, make_hf(case)) for case in reference_hf.CASES]
    made += [(case.name, make_hooked(case)) for case in reference_hooked.CASES]
    for name, worst in made:
        size = sum(file.stat().st_size for file in (FAMILIES / name).iterdir())
        print(f"{name:22s} {size / 1000:6.0f} kB   float32 against float64 {worst:.1e}")
    for file in FAMILIES.rglob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes them readable by their owner alone
    total = sum(file.stat().st_size for file in FAMILIES.rglob("*") if file.is_file())
    print(f"{'total':22s} {total / 1000:6.0f} kB of {LIMIT / 1000:.0f}")
    assert total < LIMIT, "the families grew too large"


if __name__ == "__main__":
    main()

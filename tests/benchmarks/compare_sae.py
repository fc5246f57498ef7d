"""SAE files against SAELens, live and both ways: what each writes, the other must compute alike.

    .venv-bench/bin/python tests/benchmarks/compare_sae.py [FOLDER ...]

Run from the top of the repository by an interpreter that has the peers (`make bench` makes one).
Ours: every architecture as our Trainer leaves it, with and without scales and norms to fold.
Theirs: every architecture for inference and as a training saves it. Folders that are named are read
by both. Prints the largest deviations of features and reconstruction, each relative to the largest
value; exit code 1 if any is above LIMIT.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sae_lens import SAE as PeerSAE
from sae_lens import __version__
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.gated_sae import GatedTrainingSAE, GatedTrainingSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the checkout itself, where it is not installed

from engine.sae import files  # noqa: E402
from engine.sae.sae import ARCHITECTURES  # noqa: E402
from engine.sae.step import Settings, Trainer  # noqa: E402

LIMIT = 1e-5
D_IN, D_SAE, ROWS, BATCH, STEPS, K, SCALE = 64, 512, 512, 256, 60, 8, 1.75
TRAININGS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "standard": (StandardTrainingSAE, StandardTrainingSAEConfig, {}),
    "topk": (TopKTrainingSAE, TopKTrainingSAEConfig, {"k": K}),
    "batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {"k": K}),
    "jumprelu": (JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig, {}),
    "gated": (GatedTrainingSAE, GatedTrainingSAEConfig, {}),
}
NORMALISED = ("none", "expected_average_only_in", "layer_norm", "constant_norm_rescale")


def data(rows: int, d_in: int, seed: int) -> np.ndarray:
    """Sparse sums of directions, off centre [row, d_in]: what an SAE is for."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(0).standard_normal((2 * d_in, d_in))  # [feature, d_in]
    active = (rng.random((rows, 2 * d_in)) < 0.05) * rng.exponential(1.0, (rows, 2 * d_in))
    return (active @ directions + 0.3).astype(np.float32)


def ours() -> Iterator[tuple[str, Any]]:
    """SAEs as our Trainer leaves them: nothing folded."""
    for architecture in ARCHITECTURES:
        for normalised in NORMALISED:
            per_row = normalised in ("layer_norm", "constant_norm_rescale")
            settings = Settings(
                architecture=architecture, k=K, lr=3e-3, n_steps=STEPS, l1=0.02, aux_k=0.0,
                normalize_activations=normalised, init_threshold=0.1,
                scaling=SCALE if normalised == "expected_average_only_in" else None,
                apply_b_dec_to_input=not per_row,
            )  # fmt: skip
            trainer = Trainer(settings, D_IN, D_SAE, seed=1)
            for step in range(STEPS):
                trainer.step(data(BATCH, D_IN, 100 + step))
            yield f"{architecture} {normalised}", trainer.sae()


def theirs(at: Path) -> Iterator[tuple[str, Path, Path]]:
    """Name, a folder of SAELens, and the folder whose values it must give."""
    torch.manual_seed(0)
    for architecture, (kind, config, fields) in TRAININGS.items():
        for normalised in NORMALISED:
            metadata = SAEMetadata(model_name="gpt2", hook_name="blocks.0.hook_resid_post")
            sae = kind(
                config(D_IN, D_SAE, normalize_activations=normalised, metadata=metadata, **fields)
            )
            for name, parameter in sae.named_parameters():
                drawn = 0.4 * torch.randn_like(parameter)
                parameter.data = drawn.abs() if name == "threshold" else drawn
            if architecture == "batchtopk":
                sae.topk_threshold = torch.tensor(1.1, dtype=torch.double)
            name = f"{architecture} {normalised}".replace(" ", "-")
            checkpoint, end = at / f"{name}-checkpoint", at / f"{name}-end"
            sae.save_model(checkpoint)
            at_the_end = copy.deepcopy(sae)
            if normalised == "expected_average_only_in":
                (checkpoint / "activation_scaler.json").write_text(
                    json.dumps({"scaling_factor": SCALE})
                )
                at_the_end.fold_activation_norm_scaling_factor(SCALE)
            at_the_end.save_inference_model(end)
            yield f"{architecture} {normalised}, checkpoint", checkpoint, end
            yield f"{architecture} {normalised}, at the end", end, end


@torch.inference_mode()
def peer_values(folder: Path, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [row, d_sae] and reconstruction [row, d_in] by SAELens."""
    sae = PeerSAE.load_from_disk(folder)
    f = sae.encode(torch.as_tensor(x))
    return f.numpy(), sae.decode(f).numpy()


def deviation(mine: np.ndarray, other: np.ndarray) -> float:
    """Largest difference relative to the largest value."""
    return float(np.abs(mine - other).max() / np.abs(other).max())


def told(name: str, sae: Any, values: tuple[np.ndarray, np.ndarray], x: np.ndarray) -> float:
    """One line, and the worst of the two deviations."""
    f, x_hat = values
    found = deviation(sae.encode(x), f), deviation(sae.reconstruct(x), x_hat)
    l0 = (f > 0).sum(axis=1).mean()
    print(f"  {name:48s} L0 {l0:6.1f}   features {found[0]:.1e}   reconstruction {found[1]:.1e}")
    return max(*found, 0.0 if 0 < l0 < f.shape[1] else np.inf)  # nothing fires: nothing is shown


def main() -> int:
    """Compares everything; the exit code says whether all agree."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="*", help="SAELens folders for both to read")
    given = parser.parse_args()
    worst, seen = 0.0, 0
    x = data(ROWS, D_IN, 7)
    with tempfile.TemporaryDirectory() as place:
        at = Path(place)
        print(f"written by us, read by sae_lens {__version__}:")
        for name, sae in ours():
            folder = at / name.replace(" ", "-")
            files.save(sae, folder)
            values = peer_values(folder, x)
            worst = max(worst, told(name, sae, values, x))  # nothing folded against the file
            worst = max(worst, told(f"{name}, reopened", files.load(folder), values, x))
            seen += 1
        print(f"written by sae_lens {__version__}, read by us:")
        for name, folder, end in theirs(at):
            worst = max(worst, told(name, files.load(folder), peer_values(end, x), x))
            seen += 1
    for folder in given.folders:
        sae = files.load(folder)
        inputs = data(ROWS, sae.d_in, 7)
        worst = max(worst, told(str(folder), sae, peer_values(folder, inputs), inputs))
        seen += 1
    print(f"{seen} SAEs, largest deviation {worst:.1e} of the largest value (limit {LIMIT:.0e})")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    sys.exit(main())

"""Makes tests/data/sae_steps.npz: a few training steps of SAELens, for every architecture.

Run from the top of the repository by an interpreter that has the peers:

    pip install torch==2.13.0 sae_lens==6.54.12
    python tests/data/make_sae_steps.py

SAELens' own `SAETrainer.step` on CPU, float32, from decoder rows of length 0.5 and an encoder that
is their transpose. Of each case: `CASE.losses` [step], `CASE.threshold` of BatchTopK, and the
parameters after the last step under SAELens' names. `x` [step, row, d_in] and `W_dec`
[d_sae, d_in] are what all cases start from. Latents count as dead after two steps, so that the
losses of dead latents are in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sae_lens import (
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    GatedTrainingSAE,
    GatedTrainingSAEConfig,
    JumpReLUTrainingSAE,
    JumpReLUTrainingSAEConfig,
    StandardTrainingSAE,
    StandardTrainingSAEConfig,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
)
from sae_lens.config import LoggingConfig, SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer

D_IN, D_SAE, ROWS, STEPS = 8, 32, 48, 12
PARAMETERS = ("W_enc", "W_dec", "b_dec", "b_enc", "threshold", "b_gate", "b_mag", "r_mag")
JUMP: dict[str, Any] = {"jumprelu_bandwidth": 0.3, "jumprelu_init_threshold": 0.1}
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "standard": (
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        {"l1_coefficient": 0.2, "l1_warm_up_steps": 5},
    ),
    "standard_rows": (
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        {"l1_coefficient": 0.2, "normalize_activations": "constant_norm_rescale"},
    ),
    "standard_layer_norm": (
        StandardTrainingSAE,
        StandardTrainingSAEConfig,
        {"l1_coefficient": 0.2, "normalize_activations": "layer_norm"},
    ),
    "topk": (TopKTrainingSAE, TopKTrainingSAEConfig, {"k": 3}),
    "batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {"k": 3.0}),
    "jumprelu_step": (
        JumpReLUTrainingSAE,
        JumpReLUTrainingSAEConfig,
        {"l0_coefficient": 0.1, **JUMP},
    ),
    "jumprelu_tanh": (
        JumpReLUTrainingSAE,
        JumpReLUTrainingSAEConfig,
        {"l0_coefficient": 0.1, "jumprelu_sparsity_loss_mode": "tanh",
         "pre_act_loss_coefficient": 0.3, "jumprelu_ste_to_input": True, **JUMP,
         "jumprelu_init_threshold": 1.5},
    ),
    "jumprelu_quadratic": (
        JumpReLUTrainingSAE,
        JumpReLUTrainingSAEConfig,
        {"l0_coefficient": 0.02, "jumprelu_sparsity_loss_mode": "quadratic", "target_l0": 4.0,
         **JUMP},
    ),
    "gated": (GatedTrainingSAE, GatedTrainingSAEConfig, {"l1_coefficient": 0.2}),
}  # fmt: skip


def main() -> None:
    rng = np.random.default_rng(0)
    W_dec = rng.standard_normal((D_SAE, D_IN))
    W_dec = (0.5 * W_dec / np.linalg.norm(W_dec, axis=1, keepdims=True)).astype(np.float32)
    hidden = rng.standard_normal((20, D_IN))
    active = (rng.random((STEPS, ROWS, 20)) < 0.1) * rng.exponential(1, (STEPS, ROWS, 20))
    x = (active @ hidden + 0.05 * rng.standard_normal((STEPS, ROWS, D_IN))).astype(np.float32)
    found: dict[str, Any] = {"x": x, "W_dec": W_dec}
    for name, (kind, config, options) in CASES.items():
        sae = kind(config(d_in=D_IN, d_sae=D_SAE, **options))
        sae.W_dec.data = torch.tensor(W_dec)
        sae.W_enc.data = torch.tensor(W_dec.T.copy())
        trainer = SAETrainer(
            SAETrainerConfig(
                total_training_samples=STEPS * ROWS,
                train_batch_size_samples=ROWS,
                lr=0.01,
                lr_end=0.01,
                lr_warm_up_steps=3,
                lr_decay_steps=4,
                dead_feature_window=2,
                logger=LoggingConfig(log_to_wandb=False),
            ),
            sae,
            data_provider=iter(()),
        )
        losses, parts = [], set()
        for step in range(STEPS):
            output = trainer.step(torch.tensor(x[step]))
            trainer.n_training_steps += 1
            losses.append(output.loss.item())
            parts |= {part for part, loss in output.losses.items() if float(loss)}
        found[f"{name}.losses"] = np.array(losses)
        if name == "batchtopk":
            found[f"{name}.threshold"] = np.array(sae.topk_threshold.item())
        state = dict(sae.named_parameters())
        for parameter in PARAMETERS:
            if parameter in state:
                found[f"{name}.{parameter}"] = state[parameter].detach().numpy()
        print(f"{name:20} {losses[0]:.4f} -> {losses[-1]:.4f}, {sorted(parts)}")
    np.savez_compressed(Path(__file__).parent / "sae_steps.npz", **found)


if __name__ == "__main__":
    main()

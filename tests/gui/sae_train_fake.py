"""SAEs that nobody trained: a result shaped like a real one, with curves that fall and rise."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.techniques.train_sae import TrainSAEResult

SITE = "blocks.2.hook_resid_post"
METRICS = ("loss", "mse", "sparsity", "auxiliary", "explained_variance", "l0", "dead")


def result(
    k: tuple[float, ...] = (32,), step: int = 2000, d_in: int = 64, d_sae: int = 512,
    architecture: str = "topk", read: bool = True, **about: Any,
) -> TrainSAEResult:  # fmt: skip
    """read: whether held-out text was read already."""
    rng = np.random.default_rng(len(k))
    n, records = len(k), 80
    values = np.array(k, float)
    topk = "topk" in architecture
    steps = np.linspace(0, step, records).astype(int)
    rise = 1 - np.exp(-np.linspace(0, 5, records))[:, None]  # [record, 1]
    explained_end = 1 - 0.55 / (1 + values / 4)  # [variant]
    noise = rng.normal(0, 0.006, (records, n))
    explained = rise * explained_end + noise  # [record, variant]
    mse = d_in * (1 - explained)
    l0 = np.broadcast_to(values, explained.shape) if topk else 8 + 240 * (1 - rise) + 0 * values
    dead = np.round(40 * np.clip(rise - 0.3, 0, 1) + 2 * np.arange(n))
    curves = {"loss": mse * 1.05, "mse": mse, "sparsity": np.full_like(mse, np.nan),
              "auxiliary": 0.05 * mse, "explained_variance": explained, "l0": l0,
              "dead": dead}  # fmt: skip
    W_dec = rng.normal(size=(n, d_sae, d_in)).astype(np.float32)
    W_dec /= np.linalg.norm(W_dec, axis=-1, keepdims=True)
    density = 10 ** rng.normal(-1.9, 0.6, (n, d_sae)).clip(-4.4, 0)
    density[:, :17] = 0
    edges = np.linspace(-6, 0, 49)
    counts = np.stack([np.histogram(np.log10(d[d > 0]), edges)[0] for d in density])
    near = np.clip(rng.beta(3, 5, (n, d_sae)) + 0.1, 0, 0.99)
    cosine_edges = np.linspace(0, 1, 41)
    checks = np.arange(200, step + 1, 200)
    grown = 1 - np.exp(-checks / step * 5)[:, None]  # [check, 1]
    nan = np.full(n, np.nan)
    recovered = 1 - 0.4 / (1 + values / 5)
    named: dict[str, Any] = {
        "step": step, "variant_names": tuple(f"{'k' if topk else 'l1'} = {v:g}" for v in k),
        "variant_value": values, "architecture": architecture, "hook": SITE, "hook_head": -1,
        "source": "the little world", "model_name": "world-4l", "model_digest": "a1" * 32,
        "normalize": "none", "scaling": float("nan"), "apply_b_dec_to_input": True,
        "rescale_acts_by_decoder_norm": topk, "context": 64,
        "W_enc": W_dec.transpose(0, 2, 1).copy(), "W_dec": W_dec,
        "b_dec": np.zeros((n, d_in), np.float32), "b_enc": np.zeros((n, d_sae), np.float32),
        "threshold": np.zeros((n, 0), np.float32), "b_gate": np.zeros((n, 0), np.float32),
        "b_mag": np.zeros((n, 0), np.float32), "r_mag": np.zeros((n, 0), np.float32),
        "metric_names": METRICS, "history_step": steps,
        "history": np.stack([curves[name] for name in METRICS]),
        "history_lr": np.full(records, 1e-3), "density": density, "density_edges": edges,
        "density_counts": counts, "silent": (density == 0).sum(axis=1), "n_density": 40_960,
        "check_step": checks if read else checks[:0],
        "check_recovered": (grown * recovered)[: len(checks) if read else 0],
        "check_explained": (grown * (explained_end - 0.02))[: len(checks) if read else 0],
        "check_l0": np.broadcast_to(l0[-1], (len(checks), n))[: len(checks) if read else 0],
        "ce_clean": 1.62 if read else np.nan, "ce_zero": 5.31 if read else np.nan,
        "ce_spliced": 5.31 - recovered * 3.69 if read else nan,
        "recovered": recovered if read else nan,
        "explained_variance": explained_end - 0.02 if read else nan,
        "l0": l0[-1].astype(float) if read else nan,
        "alive": np.full(n, d_sae - 21) if read else np.full(n, -1),
        "nearest_cosine": near, "cosine_edges": cosine_edges,
        "cosine_counts": np.stack([np.histogram(c, cosine_edges)[0] for c in near]),
        "n_activations": step * 2048, "n_text": 180_000, "n_held_out": 4096,
        "store_bytes": 46 << 20, "spill_bytes": 0, "checkpoint_step": np.arange(500, step + 1, 500),
    }  # fmt: skip
    return TrainSAEResult(**(named | about))

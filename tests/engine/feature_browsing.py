"""What the tests of the feature browser stand on: a text, an SAE of random directions."""

from typing import Any

import numpy as np

from engine.sae.sae import SAE

HOOK = "blocks.1.hook_resid_post"
PROMPT = "Karl gave a ring to Maria ."
TEXT: Any = {"n_tokens": 2500, "context": 24, "ranks": 5, "top": 6, "window": 3}


def made(world, architecture="standard", hook=HOOK, d_in=0, **about: Any) -> SAE:
    """An SAE of random directions; latent 3 is dead, latent 5 is rare."""
    rng = np.random.default_rng(4)
    d_in = d_in or world.config.d_model
    W_dec = rng.standard_normal((40, d_in)).astype(np.float32)  # [latent, d_in]
    W_dec *= rng.uniform(0.5, 2, (40, 1)).astype(np.float32)
    b_enc = np.full(40, -2.0, np.float32)
    b_enc[3], b_enc[5] = -1e6, -15
    return SAE(
        architecture, 0.2 * W_dec.T.copy(), W_dec, rng.standard_normal(d_in).astype(np.float32),
        b_enc=b_enc, k=4 if architecture == "topk" else None, hook_name=hook,
        model_digest=world.digest, model_name=world.name, **about,
    )  # fmt: skip


def stream(world, found, hook=HOOK):
    """Activations [sequence, pos, width] of all that was read."""
    run = world.forward(found.sequence_tokens, names=[hook], logits="none")
    value = run.cache[hook]
    return value.reshape(*value.shape[:2], -1)

"""Results of the lenses and of attribution, made up: large enough, and with known answers."""

import numpy as np

from engine.techniques.direct_logit_attribution import DirectLogitAttributionResult
from engine.techniques.logit_lens import LogitLensResult
from engine.techniques.tuned_lens import TunedLensResult

LAYERS, HEADS, TOKENS, WORDS = 12, 12, 15, 40
ANSWER, WRONG = 7, 8


def row_names(detail="blocks", layers=LAYERS):
    """(names, hooks) of the rows."""
    if detail == "blocks":
        names = ["embed", *(str(layer) for layer in range(layers))]
        hooks = [f"blocks.{layer}.hook_resid_post" for layer in range(layers)]
    else:
        names = ["embed", *(f"{at // 2}.{('attn', 'mlp')[at % 2]}" for at in range(2 * layers))]
        kinds = ("resid_mid", "resid_post")
        hooks = [f"blocks.{at // 2}.hook_{kinds[at % 2]}" for at in range(2 * layers)]
    return tuple(names), ("blocks.0.hook_resid_pre", *hooks)


def lens(
    detail="blocks", tokens=TOKENS, watch=(), tuned=False, done=True, layers=LAYERS, k=10,
    warnings=(),
):  # fmt: skip
    """The answer of every position leads from two thirds of the rows on, at odd ones once before.

    At the last position it settles with the last row only. done False: the lower half is to come.
    """
    names, hooks = row_names(detail, layers)
    n, rng = len(names), np.random.default_rng(3)
    final = 10 + np.arange(tokens) % (WORDS - 12)  # [pos]
    final[-1] = ANSWER
    depth = np.arange(n) / (n - 1)  # [layer]
    top = 9 + (
        np.arange(n)[:, None, None] + np.arange(tokens)[None, :, None] * 3 + np.arange(k)
    ) % (WORDS - 10)  # [layer, pos, k]
    leads = np.repeat(depth[:, None] > 2 / 3, tokens, axis=1)  # [layer, pos]
    leads[n // 3, 1::2] = True
    leads[:, -1] = depth == 1.0
    top[..., 0] = np.where(leads, final, top[..., 0])
    high = np.clip(0.15 + 0.7 * depth + (0.2 if tuned else 0.0), 0, 0.96)[:, None]  # [layer, 1]
    best = np.broadcast_to(high * (0.8 + 0.2 * rng.random((n, tokens))), (n, tokens))
    shares = 0.5 ** np.arange(1, k)  # [k - 1]
    chances = np.concatenate([best[..., None], (1 - best)[..., None] * shares], axis=-1)
    target = np.where(leads, best, 0.3 * best)  # [layer, pos]
    rank = np.where(leads, 0, np.rint(1e4 ** (1 - depth))[:, None]).astype(int)  # [layer, pos]
    kl = np.where(depth[:, None] < 1, 6 * (1 - depth[:, None]) * (0.4 if tuned else 1.0), 0.0)
    kl = np.repeat(kl, tokens, axis=1)  # [layer, pos]
    entropy = np.repeat(8 - 6 * depth[:, None], tokens, axis=1)  # [layer, pos]
    watched = (
        np.stack([np.clip(depth ** (1 + at), 0, 1) for at in range(len(watch))])
        if watch
        else np.zeros((0, n))
    )  # [watch, layer]
    p = np.repeat(watched[..., None] * 0.8, tokens, axis=2)  # [watch, layer, pos]
    ranks = np.rint((1 - p) * 900).astype(int)  # [watch, layer, pos]
    logit = 20 * p - 4  # [watch, layer, pos]
    own = 12 * depth[:, None] * np.ones(tokens)  # [layer, pos]
    if not done:
        lower = slice(0, n // 2)
        top[lower], rank[lower], ranks[:, lower] = -1, -1, -1
        chances[lower], target[lower], kl[lower], entropy[lower] = (np.nan,) * 4
        p[:, lower], logit[:, lower], own[lower] = (np.nan,) * 3
    by = ["tuned lens" if tuned and not name.endswith("attn") else "logit lens" for name in names]
    return LogitLensResult(
        tokens=np.arange(tokens) % WORDS, top_ids=top, top_probabilities=chances,
        target_ids=final, target_probability=target, target_rank=rank, entropy=entropy, kl=kl,
        target_logit=own, row_names=names, row_hooks=hooks, read_by=(*by[:-1], "the model itself"),
        warnings=warnings,
        watched_ids=np.array(watch, int), watched_logit=logit, watched_probability=p,
        watched_rank=ranks,
    )  # fmt: skip


def training(step=250, layers=LAYERS, of=250):
    """KL of the logit lens falls with depth; half of it is gone after training."""
    depth = np.arange(layers) / layers  # [layer]
    before = 6 * (1 - depth) + 0.3  # [layer]
    records = np.arange(0, step + 1, 10)  # [record]
    share = 0.4 + 0.6 * np.exp(-records / of * 6)  # [record]
    return TunedLensResult(
        step=step, source="the little world", layers=np.arange(layers),
        W=np.zeros((layers, 4, 4), np.float32), b=np.zeros((layers, 4), np.float32),
        history_step=records, history_kl=before * share[:, None], held_out_step=step,
        held_out_kl=before * share[-1] * 1.05, lens_kl=before, n_trained=step * 1024,
        n_text=180_000, n_held_out=20_000, model_name="made up", model_digest="0" * 64,
    )  # fmt: skip


def attribution(
    unit="component", tokens=TOKENS, weights="raw", wrong=WRONG, off=0.0, layers=LAYERS
):
    """Head 9.6 writes the answer, 10.7 against it; the bars sum to 3.2 at the last position."""
    rng, heads = np.random.default_rng(5), np.zeros((layers, HEADS, tokens))
    heads += rng.normal(0, 0.02, heads.shape)  # [layer, head, pos]
    heads[-3, 6, -1], heads[-2, 7, -1] = 3.4, -1.5
    mlp = rng.normal(0, 0.25, (layers, tokens))  # [layer, pos]
    attn = heads.sum(axis=1)  # [layer, pos]
    rows = [("embed", "embed", "hook_embed", -1, -1, rng.normal(0, 0.1, tokens))]
    for layer in range(layers):
        block = f"blocks.{layer}"
        if unit == "layer":
            rows.append((str(layer), "layer", "", layer, -1, attn[layer] + mlp[layer]))
            continue
        if unit == "head":
            rows += [(f"{layer}.{head}", "head", f"{block}.attn.hook_z", layer, head,
                      heads[layer, head]) for head in range(HEADS)]  # fmt: skip
        else:
            rows.append((f"{layer}.attn", "attn", f"{block}.hook_attn_out", layer, -1, attn[layer]))
        if unit == "neuron":
            own = 0.7 * mlp[layer]  # [pos]
            rows.append((f"{layer}.n5", "neuron", f"{block}.mlp.hook_post", layer, 5, own))
            rows.append((f"{layer}.mlp rest", "rest", "", layer, -1, mlp[layer] - own))
        else:
            rows.append((f"{layer}.mlp", "mlp", f"{block}.hook_mlp_out", layer, -1, mlp[layer]))
    rows.append(("final norm bias", "bias", "", -1, -1, np.full(tokens, 0.12)))
    rows.append(("b_U", "bias", "", -1, -1, np.full(tokens, -0.05)))
    value = np.stack([row[-1] for row in rows])  # [component, pos]
    value[0] += 3.2 - value[:, -1].sum()
    total = value.sum(axis=0)  # [pos]
    names, hooks = row_names("sublayers", layers)
    stream = np.concatenate([value[:1], np.stack([attn, mlp], 1).reshape(-1, tokens)])
    return DirectLogitAttributionResult(
        tokens=np.arange(tokens) % WORDS, answer_id=ANSWER, wrong_id=wrong, position=tokens - 1,
        unit=unit, weights=weights, names=tuple(row[0] for row in rows),
        kinds=tuple(row[1] for row in rows), hooks=tuple(row[2] for row in rows),
        layers=np.array([row[3] for row in rows]), indices=np.array([row[4] for row in rows]),
        value=value, logit=total - off, total=total, deviation=np.full(tokens, off),
        scale=np.full(tokens, 8.4), heads=heads, neuron_layer=np.arange(20) % layers,
        neuron_index=np.arange(20) * 17, neuron_value=1.2 * 0.8 ** np.arange(20)
        * np.where(np.arange(20) % 3, 1, -1), row_names=names, row_hooks=hooks,
        accumulated=np.cumsum(stream, axis=0), constant=0.07,
    )  # fmt: skip

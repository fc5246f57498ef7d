"""Trains the SAE that travels with world-4l: topk, on the stream after the third of four blocks.

    python resources/models/world-4l/sae/make_sae.py [--seed 0] [--out FOLDER] [--sites]
        [--measure]

Some minutes on two cores. Its text is made anew from a seed, so there is nothing to fetch; same
seed, same machine, same file. Writes the SAE as a SAELens folder named after its hook, and
metrics.json: what it costs the model, what its latents stand for beside what the units of the same
hook stand for, and what happens when one of them is held. With --sites the four streams are
compared by short trainings: that is how the hook was chosen. With --measure nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import blas
from engine.data.world import BEHAVIOURS, cases, corpus, labelled, write_corpus
from engine.model import Intervention, Transformer, open_model, ops
from engine.refs import Ref, of_file
from engine.sae import files
from engine.sae.sae import SAE
from engine.techniques.train_sae import TrainSAE

MODEL = Path(__file__).parents[1]
HOOK = "blocks.2.hook_resid_post"
DOCUMENTS, TEXT_SEED = 24_000, 3  # other sentences than the model's own
LABELLED, LABEL_SEED = 4_000, 5
CASES = 300
SPEC: dict[str, Any] = {
    "architecture": "topk", "d_sae": 1024, "k": (16,), "normalize": "expected_average_only_in",
    "lr": 1e-3, "warm_up": 100, "decay": 700, "batch": 1024, "n_steps": 2000, "dead_window": 200,
    "n_tokens": 500_000, "context": 64, "n_held_out": 16_384, "check_every": 1000,
    "checkpoint_every": 10_000_000,
}  # fmt: skip
SHORT = {"n_steps": 1000, "decay": 250, "check_every": 1000}
FRACTIONS = (0.0, 0.1, 0.25, 0.5)  # of a latent's largest activation: where it counts as on
RARE = 30  # positions that a concept needs in each half of the sentences


def train(model: Transformer, text: Ref, hook: str, seed: int, **changes: Any) -> Any:
    """The result of a whole training at one hook."""
    spec = TrainSAE(data=text, hook=hook, seed=seed, **{**SPEC, **changes})
    update, started, said = None, time.perf_counter(), 0
    with blas.limit(spec.blas_for(model)):
        for update in spec.steps(model):
            if update.step >= said:
                seconds = time.perf_counter() - started
                print(f"{hook}, step {update.step}, {seconds:.0f} s", flush=True)
                said += 500
    assert update is not None
    return update.snapshot()


# --- what latents stand for -----------------------------------------------------------------------


@dataclass(frozen=True)
class Labelled:
    """x [row, d_in] at the words of sentences; concept -> rows [row]; half [row] of the two."""

    x: np.ndarray
    concepts: dict[str, np.ndarray]
    half: np.ndarray


def read_labelled(model: Transformer, hook: str) -> Labelled:
    """Every word but <bos> of documents whose labels are known, those of one length together."""
    by_length = defaultdict(list)
    for document in corpus(LABELLED, seed=LABEL_SEED):
        if len(document.words) < model.config.n_ctx:
            by_length[len(document.words)].append(document)
    rows, halves, columns, after = [], [], defaultdict(list), defaultdict(list)
    for documents in by_length.values():
        for first in range(0, len(documents), 64):
            some = documents[first : first + 64]
            ids = np.stack([model.tokens(document.text) for document in some])  # [batch, pos]
            run = model.forward(ids, names=[hook], logits="none")
            rows.append(run.cache[hook][:, 1:].reshape(-1, model.config.d_model))
            for number, document in enumerate(some, first):
                halves += [number % 2] * len(document.words)
                for name, values in labelled(document).items():
                    columns[name] += map(str, values)
                    after[name] += [*map(str, values[1:]), ""]
    now = {name: np.array(values) for name, values in columns.items()}  # each [row]
    soon = {name: np.array(values) for name, values in after.items()}  # each [row]
    return Labelled(np.concatenate(rows), concepts_of(now, soon), np.array(halves))


def concepts_of(now: dict[str, Any], soon: dict[str, Any]) -> dict[str, np.ndarray]:
    """What a word is, what it does in its sentence, and what comes next."""
    answer, kind = soon["role"] == "answer", now["behaviour"]
    found = {f"a sentence of the kind {name}": kind == name for name in np.unique(kind)}
    for column, words in (
        ("role", "the word whose role is {}"), ("entity", "entity: {}"),
        ("bracket_depth", "depth {}"), ("sentiment", "a {} quality"),
        ("part_of_speech", "part of speech: {}"),
    ):  # fmt: skip
        for value in np.unique(now[column]):
            if value not in ("", "0", "other"):
                found.setdefault(words.format(value), now[column] == value)
    found["a plural"] = now["number"] == "plural"
    found["next: whoever is given something"] = answer & (kind == "giving")
    found["next: a verb for a singular"] = (
        answer & (kind == "agreement") & (soon["number"] != "plural")
    )
    found["next: a verb for plurals"] = (
        answer & (kind == "agreement") & (soon["number"] == "plural")
    )
    found["next: the word of the first list"] = answer & (kind == "repetition")
    found["next: an argument again"] = answer & (kind == "arguments")
    found["next: the later year"] = answer & (kind == "lasting")
    for entity in ("city", "country", "language"):
        found[f"next: a {entity}"] = answer & (soon["entity"] == entity)
    for word in ("liked", "hated", "good", "bad", "she", "he", ")", "]", "}"):
        found[f"next: {word}"] = answer & (soon["word"] == word)
    return found


def best(f: np.ndarray, data: Labelled) -> dict[str, tuple[int, float]]:
    """Concept -> (column of f [row, column], F1): chosen on one half, told of the other."""
    names, largest = list(data.concepts), f.max(axis=0)  # [column]
    told = np.stack([data.concepts[name] for name in names]).astype(np.float32)  # [concept, row]
    halves = [data.half == number for number in (0, 1)]
    counts = np.stack([told[:, half].sum(axis=1) for half in halves])  # [half, concept]
    scores = np.zeros((2, len(FRACTIONS), len(names), f.shape[1]))  # [half, fraction, concept, ..]
    for place, fraction in enumerate(FRACTIONS):
        on = (f > fraction * largest).astype(np.float32)  # [row, column]
        for number, half in enumerate(halves):
            both = 2 * (told[:, half] @ on[half])  # [concept, column]
            total = on[half].sum(axis=0) + counts[number][:, None]
            scores[number, place] = both / np.maximum(total, 1)
    found = {}
    for row, name in enumerate(names):
        if counts[:, row].min() >= RARE:
            place, column = np.unravel_index(scores[0, :, row].argmax(), scores[0, :, row].shape)
            found[name] = int(column), float(scores[1, place, row, column])
    return found


def units_of(data: Labelled) -> np.ndarray:
    """[row, 2 d_in]: each unit of the hook above and below its mean, the same search's rival."""
    off = data.x - data.x.mean(axis=0)  # [row, d_in]
    return np.maximum(np.concatenate([off, -off], axis=1), 0)


def named_latents(sae: SAE, data: Labelled) -> dict[str, Any]:
    ours, units = best(sae.encode(data.x), data), best(units_of(data), data)
    table = {
        name: {"latent": latent, "F1": round(score, 3), "best unit F1": round(units[name][1], 3)}
        for name, (latent, score) in ours.items()
    }
    order = sorted(table, key=lambda name: -table[name]["F1"])
    return {name: table[name] for name in order}


# --- what happens when one is held ----------------------------------------------------------------


def right_share(model: Any, behaviour: Any, drawn: list[Any], change: Any = None) -> float:
    """Cases in which the right words are more likely than the wrong ones, at the last position."""
    won, views = 0, {}
    for case in drawn:
        ids = model.tokens(" ".join(case.prompt))  # [pos]
        if len(ids) not in views:
            views[len(ids)] = model.under([change(len(ids) - 1)] if change else [])
        row = views[len(ids)].forward(ids, logits="last").logits[0, -1].astype(np.float64)
        p = np.exp(ops.log_softmax(row))  # [d_vocab]
        right, wrong = ([model.token(word) for word in words] for words in (case.right, case.wrong))
        if behaviour.strict:
            won += int(p.argmax()) in right
        else:
            won += float(p[right].sum()) > float(p[wrong].sum())
    return won / len(drawn)


EFFECTS = (
    ("giving", "next: whoever is given something"), ("arguments", "next: an argument again"),
    ("repetition", "next: the word of the first list"), ("lasting", "next: the later year"),
)  # fmt: skip
VERDICTS = ("next: good", "next: bad")


def effects(model: Transformer, sae: SAE, ref: Ref, named: dict[str, Any]) -> dict[str, Any]:
    """What ablating a latent costs the behaviour it is named after, and what holding one turns."""
    found: dict[str, Any] = {}
    by_name = {behaviour.name: behaviour for behaviour in BEHAVIOURS}

    def held(latent: int, action: Any, factor: float = 0.0) -> Callable[[int], Intervention]:
        return lambda at: Intervention(
            HOOK, action, factor, positions=(at,), units=(latent,), sae=ref
        )

    for kind, concept in EFFECTS:
        drawn, latent = cases(by_name[kind], CASES), named[concept]["latent"]
        found[f"zero {latent}, {concept}"] = {
            "asked": by_name[kind].title, "right before": right_share(model, by_name[kind], drawn),
            "right after": right_share(model, by_name[kind], drawn, held(latent, "zero")),
        }  # fmt: skip
    opinion = by_name["opinion"]
    drawn = [case for case in cases(opinion, 4 * CASES) if case.right <= {"good", "bad"}][:CASES]
    good, bad = (named[name]["latent"] for name in VERDICTS)
    before = _good_share(model, drawn)
    for latent, other, word in ((good, bad, "good"), (bad, good, "bad")):
        top = _largest(model, sae, drawn, latent)

        def both(at: int, on: int = latent, off: int = other, top: float = top) -> list[Any]:
            return [held(on, "clamp", top)(at), held(off, "zero")(at)]

        found[f"clamp {latent} to {top:.1f} and zero {other}"] = {
            "asked": f"verdicts: share where '{word}' is the likelier of good and bad",
            "before": before if word == "good" else 1 - before,
            "after": _good_share(model, drawn, both)
            if word == "good"
            else 1 - _good_share(model, drawn, both),
        }
    return found


def _good_share(model: Any, drawn: list[Any], changes: Any = None) -> float:
    good, bad = model.token("good"), model.token("bad")
    won, views = 0, {}
    for case in drawn:
        ids = model.tokens(" ".join(case.prompt))  # [pos]
        if len(ids) not in views:
            views[len(ids)] = model.under(changes(len(ids) - 1) if changes else [])
        row = views[len(ids)].forward(ids, logits="last").logits[0, -1]  # [d_vocab]
        won += row[good] > row[bad]
    return float(won) / len(drawn)


def _largest(model: Any, sae: SAE, drawn: list[Any], latent: int) -> float:
    """The largest activation of a latent at the last position of these prompts."""
    rows = np.stack([
        model.forward(model.tokens(" ".join(case.prompt)), names=[HOOK], logits="none")
        .cache[HOOK][0, -1] for case in drawn
    ])  # [case, d_in]  # fmt: skip
    return round(float(sae.encode(rows)[:, latent].max()), 1)


# --- all of it ------------------------------------------------------------------------------------


def mean_score(table: dict[str, Any]) -> float:
    return round(float(np.mean([row["F1"] for row in table.values()])), 3)


def compare(model: Transformer, text: Ref, seed: int) -> dict[str, Any]:
    """The same short training at each stream, and how well its best latents fit the concepts."""
    found = {}
    for layer in range(model.config.n_layers):
        hook = f"blocks.{layer}.hook_resid_post"
        result = train(model, text, hook, seed, **SHORT)
        table = named_latents(result.sae(), read_labelled(model, hook))
        found[hook] = {
            "mean F1 over concepts": mean_score(table),
            "concepts with F1 of 0.8": sum(row["F1"] >= 0.8 for row in table.values()),
            "recovered": round(float(result.recovered[0]), 4),
        }
        print(hook, found[hook], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--sites", action="store_true", help="compare the four streams too")
    parser.add_argument("--measure", action="store_true", help="train nothing: what is in --out")
    given = parser.parse_args()
    model, kept = open_model(MODEL), given.out / "metrics.json"
    metrics = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    if not given.measure:
        with tempfile.TemporaryDirectory() as work:
            text, _labels = write_corpus(Path(work), DOCUMENTS, TEXT_SEED)
            result = train(model, text, HOOK, given.seed)
        files.save(result.sae(), given.out / HOOK)
        metrics = {**trained(result, given.seed), "sites": metrics.get("sites", {})}
        write(kept, metrics)
    sae, ref = files.load(given.out / HOOK), of_file(files.KIND, given.out / HOOK)
    metrics |= meanings(sae, read_labelled(model, HOOK))
    write(kept, metrics)
    metrics["effects"] = effects(model, sae, ref, metrics["concepts"])
    write(kept, metrics)
    if given.sites:
        with tempfile.TemporaryDirectory() as work:
            text, _labels = write_corpus(Path(work), DOCUMENTS, TEXT_SEED)
            metrics["sites"] = compare(model, text, given.seed)
        write(kept, metrics)


def trained(result: Any, seed: int) -> dict[str, Any]:
    """What the training says of itself, on text that it held out."""
    return {
        "hook": HOOK, "seed": seed, "architecture": str(result.architecture),
        "d_sae": SPEC["d_sae"], "k": SPEC["k"][0], "steps": int(result.step),
        "activations": int(result.n_activations),
        "explained variance": round(float(result.explained_variance[0]), 4),
        "L0": round(float(result.l0[0]), 2), "alive": int(result.alive[0]),
        "loss, nats": {
            "clean": round(float(result.ce_clean), 4), "zero": round(float(result.ce_zero), 4),
            "spliced": round(float(result.ce_spliced[0]), 4),
        },
        "recovered": round(float(result.recovered[0]), 4),
    }  # fmt: skip


def meanings(sae: SAE, data: Labelled) -> dict[str, Any]:
    table = named_latents(sae, data)
    units = [row["best unit F1"] for row in table.values()]
    return {
        "mean F1 over concepts": mean_score(table),
        "mean F1 of the best units": round(float(np.mean(units)), 3), "concepts": table,
    }  # fmt: skip


def write(file: Path, metrics: dict[str, Any]) -> None:
    file.write_text(json.dumps(_rounded(metrics), indent=1) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()

"""Prompt pairs to begin with: from resources/prompts, and one that every model can do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.data.prompt_table import PromptRow
from engine.errors import RunError
from engine.refs import Ref
from gui.focus import PromptPair
from resources import path

REPEATED = 8  # tokens of the repeated sequence, at most
SMALL, SAMPLE = 64, 6  # a vocabulary so small is shown by its first words


@dataclass(frozen=True)
class Example:
    title: str
    pair: PromptPair
    note: str = ""


def pair_of(row: PromptRow, role: str, ref: Ref) -> PromptPair:
    """A row of a table as the desk holds it, with what it came from."""
    return PromptPair(row.clean, row.corrupted, row.answer, row.wrong, row.bos, {role: ref})


def row_of(pair: PromptPair, title: str) -> PromptRow:
    """A pair as a row that can be kept."""
    return PromptRow(pair.clean, pair.corrupted, pair.answer, pair.wrong, pair.bos, title)


def for_model(model: Any) -> list[Example]:
    """Those whose answers are single tokens here and whose prompts are equally long."""
    found = [example for example in _bundled(model.name) if _fits(model, example.pair)]
    repeated = _repeated(model)
    if repeated is not None and _fits(model, repeated.pair):
        found.append(repeated)
    return found


def hint(model: Any) -> str:
    """What may be written: ids without a tokenizer, else the first words of a small vocabulary."""
    size = model.config.d_vocab
    if model.tokenizer is None:
        return f"token ids, 0 to {size - 1:,}"
    return f"such as {model.tokenizer.decode(range(min(SAMPLE, size)))}" if size <= SMALL else ""


def _bundled(name: str) -> list[Example]:
    folder = path("prompts")
    found = []
    for file in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        for entry in json.loads(file.read_text(encoding="utf-8")):
            models = entry.get("models")
            if models is None or any(name.endswith(known) for known in models):
                keys = ("clean", "corrupted", "answer", "wrong", "bos")
                pair = PromptPair(**{key: entry[key] for key in keys if key in entry})
                found.append(Example(entry["title"], pair, entry.get("note", "")))
    return found


def _fits(model: Any, pair: PromptPair) -> bool:
    try:
        clean = model.tokens(pair.clean, pair.bos)
        corrupted = model.tokens(pair.corrupted, pair.bos)
        for token in (pair.answer, pair.wrong):
            if token is not None:
                model.token(token)
    except RunError:
        return False
    unknown = getattr(model.tokenizer, "unk_id", None)
    return len(clean) == len(corrupted) and (unknown is None or unknown not in clean)


def _repeated(model: Any) -> Example | None:
    """x1 .. xn x1 .. x(n-1): what comes next is xn, wherever induction heads have formed.

    Corrupted differs in the first xn alone, so that the answer hangs on one place.
    """
    config = model.config
    special = {config.bos_token_id, *getattr(config, "eos_token_ids", ())}
    ids = np.array([i for i in range(config.d_vocab) if i not in special])  # [d_vocab]
    length = min(REPEATED, (config.n_ctx - 1) // 2, len(ids) - 1)
    if length < 3:
        return None
    rng = np.random.default_rng(0)
    drawn = [int(token) for token in rng.choice(ids, length + 1, replace=False)]
    start = [] if config.bos_token_id is None else [int(config.bos_token_id)]
    first, other = drawn[:length], drawn[length]
    clean = (*start, *first, *first[:-1])
    corrupted = (*start, *first[:-1], other, *first[:-1])
    answers = [_word(model, token) for token in (first[-1], other)]
    texts = [_text(model, ids) for ids in (clean, corrupted)]
    prompts = texts if all(texts) else (clean, corrupted)
    pair = PromptPair(prompts[0] or clean, prompts[1] or corrupted, answers[0], answers[1])
    return Example("Repeated tokens", pair, "What followed the last token before?")


def _text(model: Any, ids: tuple[int, ...]) -> str:
    """The ids as text, where the tokenizer reads that text as the same ids again; else ""."""
    decode = getattr(model.tokenizer, "decode", None)
    if decode is None:
        return ""
    text = decode(ids)
    try:
        return text if tuple(int(i) for i in model.tokens(text)) == ids else ""
    except RunError:
        return ""


def _word(model: Any, token: int) -> str | int:
    word = model.pieces([token])[0]
    try:
        return word if model.token(word) == token else token
    except RunError:
        return token

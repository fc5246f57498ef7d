"""Text for a lens to be trained on: prompts of one length, cut from a file or the little world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.induction import repeated_blocks
from engine.data.world.corpus import corpus
from engine.data.world.lexicon import START
from engine.errors import FileError, RunError
from engine.model.weights import Ids
from engine.refs import Ref, locate, nbytes
from engine.train import text_file

WORLD, RANDOM = "the little world's text", "repeated random tokens"
DOCUMENTS = 100  # of the little world between two looks at Stop
SOME = 8  # tokens
SEED = 20_011  # of the little world's text: the same for every run


def prompts(model: Any, data: Ref | None, n_tokens: int, context: int) -> tuple[Ids, str]:
    """Prompts [prompt, pos] of `context` tokens, in the order of the text, and what text it is.

    About n_tokens in all, fewer where the text ends. A prompt begins with BOS: where the text has
    one, or with one put before it if the tokenizer's own file says so. Without a file the little
    world's text is read, and by a model that does not know its words repeated random tokens.
    RunError where a file is not a text that this model reads, or too short for two prompts. Of a
    folder every .txt is read, by name.
    """
    if data is None:
        found = _world(model, n_tokens)
        if found is None:
            return _random(model, n_tokens, context), RANDOM
        return _cut(model, found, context, WORLD), WORLD
    path = _path(data, model)
    return _cut(model, _encoded(model, _file(model, path), n_tokens), context, path.name), path.name


def _path(data: Ref, model: Any) -> Path:
    if model.tokenizer is None or model.tokenizer.kind == "ids":
        raise RunError(
            f"{model.name} has no tokenizer that reads text: leave out the file, and repeated "
            "random tokens are taken"
        )
    if data.where:
        try:
            size = nbytes(Path(data.where))
        except FileError:
            size = 0  # `locate` says what is wrong
        if size > text_file.LIMIT:
            raise RunError(
                f"{data.name} has {size / 1e6:,.0f} MB, the limit is {text_file.LIMIT / 1e6:,.0f} "
                "MB: cut a part of it (head -c 50000000 FILE > PART)"
            )
    path = locate(data, model.listen, "data")
    if not _texts(path):
        raise RunError(f"{data.name} holds no .txt file: choose a text file, or a folder of them")
    return path


def _texts(path: Path) -> list[Path]:
    """The file itself, or every .txt in a folder and below, by name."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*.txt") if file.is_file())


def _file(model: Any, path: Path) -> Iterator[list[int]]:
    for file in _texts(path):
        for piece in text_file.pieces(file, model.listen):
            yield model.tokenizer.encode(piece, "no")


def _encoded(model: Any, pieces: Iterable[list[int]], n_tokens: int) -> Ids:
    """Token ids of the first pieces, up to n_tokens of them: [token]."""
    parts: list[Ids] = []
    count = 0
    for ids in pieces:
        model.listen()
        parts.append(np.asarray(ids, np.int64))
        count += len(ids)
        if count >= n_tokens:
            break
    return np.concatenate(parts)[:n_tokens] if parts else np.zeros(0, np.int64)


def _world(model: Any, n_tokens: int) -> Ids | None:
    """The little world's documents one after the other, or None where its words are unknown."""
    tokenizer = model.tokenizer
    if tokenizer is None or tokenizer.kind == "ids":
        return None
    try:
        text = next(corpus(1, SEED)).text
        same = "".join(tokenizer.decode(tokenizer.encode(text, "no")).split()) == text.replace(
            " ", ""
        )
    except RunError:  # a list of other words
        return None
    if not same:  # read as unknown words
        return None
    start = f"{START} " if START in set(model.vocabulary()) else ""

    def pieces() -> Iterator[list[int]]:
        documents = corpus(n_tokens, SEED)  # each has more than one token
        while some := list(islice(documents, DOCUMENTS)):
            yield tokenizer.encode(" ".join(start + one.text for one in some), "no")

    return _encoded(model, pieces(), n_tokens)


def _cut(model: Any, text: Ids, context: int, name: str) -> Ids:
    """text [token] -> prompts [prompt, pos]; the rest at the end, shorter than one, is left out."""
    tokenizer = model.tokenizer
    bos = tokenizer.bos_id
    at = np.flatnonzero(text == bos) if bos is not None else np.zeros(0, np.int64)  # [begin]
    if len(at):
        starts = _apart(at, context, len(text))
        rows = text[starts[:, None] + np.arange(context)]  # [prompt, pos]
    else:
        some = tokenizer.decode(text[:SOME])
        adds = bos is not None and len(text) and tokenizer.encode(some, "auto")[:1] == [bos]
        size = context - bool(adds)
        rows = text[: len(text) // size * size].reshape(-1, size)  # [prompt, pos]
        if adds:
            rows = np.concatenate([np.full((len(rows), 1), bos), rows], axis=1)
    if len(rows) < 2:
        raise RunError(
            f"{name} has {len(text):,} tokens, which is less than two prompts of {context}: one is "
            "held out; choose a longer text or a smaller context"
        )
    return rows


def _apart(at: Ids, context: int, end: int) -> Ids:
    """The first of the places `at`, then each first one behind the prompt before."""
    chosen, free = [], 0
    for place in at.tolist():
        if place >= free and place + context <= end:
            chosen.append(place)
            free = place + context
    return np.array(chosen, np.int64)


def _random(model: Any, n_tokens: int, context: int) -> Ids:
    """Blocks of random tokens, of random length, repeated: [prompt, pos]."""
    rng = np.random.default_rng(SEED)
    high = max(1, context // 2)
    count = max(2, n_tokens // context)
    low = max(1, high // 4)
    return repeated_blocks(rng, count, context, model.config.d_vocab, low, high)[0]

"""Labelled texts as a model reads them: token ids, and which positions carry which label.

They come from a table, from the little world (where the model reads its words), or, for a model
that reads neither, from random tokens, of which only token and position can be asked. A word of
several tokens carries its label on the last of them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.labelled_table import LabelledRow, LabelledTable
from engine.data.world import Document, corpus, labelled
from engine.errors import RunError, SpecError

Ids = npt.NDArray[np.integer]

TOKEN, NEXT_TOKEN, POSITION = "token", "next_token", "position"
OF_IDS = (TOKEN, NEXT_TOKEN, POSITION)
"""Labels that any token ids have."""
OF_WORLD = (
    "part_of_speech", "number", "sentiment", "entity", "role", "bracket_depth", "behaviour",
    "subject_number", "opinion",
)  # fmt: skip
BUILT_IN = (*OF_WORLD, *OF_IDS)
DOCUMENTS = 40_000  # of the little world, read at most for labels that are rare
TRIED = 20  # documents that must come back from the tokenizer as they were
RANDOM_TEXTS, RANDOM_LENGTH = 20_000, 24
_CHOICE = 3  # a stream of random numbers of the seed


@dataclass(frozen=True, slots=True)
class LabelledText:
    """ids [pos] with `start` tokens that the tokenizer puts before; labels by position.

    label: of the whole text, "" where tokens have their own.
    """

    ids: Ids
    start: int
    text: str
    label: str = ""
    at: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    group: str = ""


class Reader:
    """Texts and words as one model's tokenizer reads them."""

    def __init__(self, model: Any, bos: str) -> None:
        self.model, self.bos = model, bos
        self._seen: dict[str, tuple[int, ...]] = {}  # a word with its blank -> its ids

    def text(self, text: str) -> tuple[Ids, int]:
        """ids [pos] of a text, and how many of them stand before its own."""
        tokenizer = self.model.tokenizer
        if tokenizer is None:
            return self.model.tokens(text, self.bos), 0
        plain = list(tokenizer.encode(text, "no"))
        whole = list(tokenizer.encode(text, self.bos))
        start = next(
            (at for at in range(len(whole) - len(plain) + 1)
             if whole[at : at + len(plain)] == plain), 0,
        )  # fmt: skip
        return np.array(whole, np.int64), start

    def words(self, words: Sequence[str | int]) -> tuple[Ids, int, list[int]]:
        """ids [pos], how many stand before, and the position of each word's last token."""
        if words and isinstance(words[0], int):
            return np.array(words, np.int64), 0, list(range(len(words)))
        texts = [str(word) for word in words]
        ids, start = self.text(" ".join(texts))
        if self.model.tokenizer is None:
            raise RunError(f"{self.model.name} has no tokenizer; write words as token ids")
        plain = self.model.tokenizer.encode(" ".join(texts), "no")
        for blank in (" ", ""):
            parts = [self._ids(f"{blank if at else ''}{word}") for at, word in enumerate(texts)]
            if [token for part in parts for token in part] == list(plain):
                ends = list(accumulate(map(len, parts)))
                break
        else:  # words that run into each other: what each beginning of the text takes
            ends = [
                len(self.model.tokenizer.encode(" ".join(texts[: at + 1]), "no"))
                for at in range(len(texts))
            ]
        return ids, start, [start + end - 1 for end in ends]

    def _ids(self, word: str) -> tuple[int, ...]:
        if word not in self._seen:
            try:
                self._seen[word] = tuple(self.model.tokenizer.encode(word, "no"))
            except RunError:
                self._seen[word] = ()
        return self._seen[word]


def reads_world(model: Any) -> bool:
    """Whether documents of the little world come back from this model's tokenizer as they were."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        return False
    try:
        return all(
            tokenizer.decode(tokenizer.encode(document.text, "no")).split() == document.words
            for document in corpus(TRIED)
        )
    except RunError:
        return False


def of_world(model: Any, column: str, seed: int, bos: str) -> Generator[LabelledText]:
    """Documents of the little world that have labels of this column, from the seed."""
    reader = Reader(model, bos)
    for number, document in enumerate(corpus(DOCUMENTS, seed)):
        if number % 50 == 0:
            model.listen()
        labels = _world_labels(document, column) if column not in OF_IDS else []
        if column not in OF_IDS and not any(labels):
            continue
        ids, start, ends = reader.words(document.words)
        made = LabelledText(ids, start, document.text, group=str(number))
        if column in OF_IDS:
            yield by_ids(made, column)
        else:
            told = [(at, label) for at, label in zip(ends, labels, strict=True) if label]
            yield replace(made, at=tuple(at for at, _ in told),
                          labels=tuple(label for _, label in told))  # fmt: skip


def of_table(
    model: Any, table: LabelledTable, column: str, seed: int, bos: str, left_out: list[str]
) -> Generator[LabelledText]:
    """Rows of a table in random order; `left_out` gets a reason for each that cannot be read."""
    reader = Reader(model, bos)
    order = np.random.default_rng([seed, _CHOICE]).permutation(len(table.rows))
    for number, index in enumerate(order):
        if number % 50 == 0:
            model.listen()
        row = table.rows[index]
        group = row.group or row.text  # the same text twice is in one part
        if column not in OF_IDS and not any(row.labels.get(column, "")):
            left_out.append("has no label")
            continue
        try:
            made, ends = _read(reader, row, group)
            model.check(made.ids[: model.config.n_ctx])
        except RunError as error:
            left_out.append(f"(line {row.line}) {error}")
            continue
        label = row.labels.get(column, "")
        if column in OF_IDS and column not in table.columns:
            yield by_ids(made, column)
        elif isinstance(label, str):
            yield replace(made, label=label)
        else:
            told = [(at, one) for at, one in zip(ends, label, strict=True) if one]
            yield replace(made, at=tuple(at for at, _ in told),
                          labels=tuple(one for _, one in told))  # fmt: skip


def of_random_tokens(model: Any, column: str, seed: int) -> Generator[LabelledText]:
    """Random token ids of any model's vocabulary, labelled by token, next token or position."""
    rng, cfg = np.random.default_rng([seed, _CHOICE]), model.config
    for number in range(RANDOM_TEXTS):
        ids = rng.integers(cfg.d_vocab, size=min(RANDOM_LENGTH, cfg.n_ctx))  # [pos]
        text = "".join(model.pieces(ids)) if model.tokenizer is not None else ""
        yield by_ids(LabelledText(ids, 0, text or " ".join(map(str, ids)), group=str(number)),
                     column)  # fmt: skip


def by_ids(text: LabelledText, column: str) -> LabelledText:
    """The text with its tokens, next tokens or positions as labels (ids and places as text)."""
    after = 1 if column == NEXT_TOKEN else 0
    at = tuple(range(text.start, len(text.ids) - after))
    told = tuple(str(place - text.start if column == POSITION else int(text.ids[place + after]))
                 for place in at)  # fmt: skip
    return replace(text, at=at, labels=told)


def table_column(table: LabelledTable, column: str) -> str:
    """The column of a table that is asked for; SpecError names those that there are."""
    if column in table.columns or column in OF_IDS:
        return column
    if column == "label" and len(table.columns) == 1:
        return table.columns[0]
    have = ", ".join((*table.columns, *OF_IDS))
    raise SpecError("column", f"{table.name} has no labels called {column!r}; it has {have}")


def _read(reader: Reader, row: LabelledRow, group: str) -> tuple[LabelledText, list[int]]:
    if row.words:
        ids, start, ends = reader.words(row.words)
    else:
        (ids, start), ends = reader.text(row.text), []
    return LabelledText(ids, start, row.text, group=group), ends


def _world_labels(document: Document, column: str) -> list[str]:
    """A label for each word, "" for none."""
    table = labelled(document)
    match column:
        case "subject_number":
            return _carried(document, "agreement", "subject", table["number"])
        case "opinion":
            return _opinions(document)
        case "bracket_depth":  # elsewhere it is 0 and says nothing
            inside = [kind in ("brackets", "arguments") for kind in table["behaviour"]]
            return [str(deep) if here else ""
                    for deep, here in zip(table[column], inside, strict=True)]  # fmt: skip
    if column not in table:
        raise SpecError("column", f"the little world has no labels called {column!r}; it has "
                        f"{', '.join(BUILT_IN)}")  # fmt: skip
    return [str(label) for label in table[column]]


def _carried(document: Document, kind: str, role: str, values: Sequence[str | int]) -> list[str]:
    """What one word of a sentence says, at the words after it and before the answer."""
    told, at = [""] * len(values), 0
    for sentence in document.sentences:
        end = at + len(sentence.words)
        if sentence.kind == kind and {role, "answer"} <= set(sentence.roles):
            first, answer = sentence.roles.index(role), sentence.roles.index("answer")
            told[at + first + 1 : at + answer] = [str(values[at + first])] * (answer - first - 1)
        at = end
    return told


def _opinions(document: Document) -> list[str]:
    """Good or bad as the sentence means it, "not" heard, from its quality to before the answer."""
    told: list[str] = []
    for sentence in document.sentences:
        here = [""] * len(sentence.words)
        if sentence.kind == "opinion":
            first, answer = sentence.roles.index("sentiment"), sentence.roles.index("answer")
            good = sentence.words[answer] in ("liked", "good")
            here[first:answer] = ["good" if good else "bad"] * (answer - first)
        told += here
    return told

"""Text to token ids and back: Hugging Face tokenizers, toy vocabularies, or bare ids.

`piece` is how ONE token is shown: with its real leading space, bytes that are no whole character
as \\xE2. `decode` is the proper text of many tokens; the two differ where a character is spread
over several tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from engine.errors import FileError, RunError
from engine.model.config import ModelConfig
from engine.model.config_file import read_json, repeated, shown

Bos = Literal["auto", "yes", "no"]
FILE_LIMIT = 200_000_000  # bytes; the largest tokenizer.json in use has 35 MB
SHOWN = 6  # entries of a vocabulary that a message names


class Tokenizer:
    """What every model can do with text. This one knows only ids: "5 17 3"."""

    kind = "ids"

    def __init__(self, folder: Path, d_vocab: int, bos_id: int | None = None) -> None:
        self.folder = folder
        self.d_vocab = d_vocab
        self.bos_id = bos_id if bos_id is not None and bos_id < d_vocab else None

    @staticmethod
    def from_folder(folder: str | Path, config: ModelConfig | None = None) -> Tokenizer:
        """The tokenizer of a model folder; one of bare ids where there is none."""
        return _from_folder(Path(folder), config)

    def encode(self, text: str, bos: Bos = "auto") -> list[int]:
        """Token ids. `auto` adds what the tokenizer's own file adds, `yes` the BOS id once."""
        if bos == "auto":
            return self._checked(self._encode_as_the_file_says(text), text)
        ids = self._checked(self._encode(text), text)
        if bos == "no":
            return ids
        if self.bos_id is None:
            raise RunError("this model's files name no BOS token; switch BOS off")
        return ids if ids[:1] == [self.bos_id] else [self.bos_id, *ids]

    def piece(self, token: int) -> str:
        """The display text of one token, with its real leading space."""
        return self._piece(self._id(token))

    def pieces(self, tokens: Iterable[int]) -> list[str]:
        """The display text of each token."""
        return [self.piece(int(token)) for token in tokens]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of these tokens together."""
        return self._decode([self._id(int(token)) for token in tokens])

    def vocabulary(self) -> list[str]:
        """The display text of every token, in the order of ids."""
        return list(self._vocabulary)

    def token(self, text: str | int) -> int:
        """The one token that is shown as `text` (or has this id); RunError if it takes several."""
        if not isinstance(text, str):
            return self._id(int(text))
        exact = self._by_piece.get(text)
        if exact is not None:
            return exact
        if not text:
            raise RunError("an empty text is no token")
        ids = self._checked(self._encode(text), text)
        if len(ids) == 1 and self.piece(ids[0]) == text:
            return ids[0]
        parts = " + ".join(repr(piece) for piece in self.pieces(ids))
        spaced = f" {text}"
        hint = "choose one of them"
        if spaced in self._by_piece:
            hint = f"write it with its leading space, {spaced!r}"
        if len(ids) == 1:
            raise RunError(f"{text!r} is no token, {parts} is; {hint}")
        raise RunError(f"{text!r} is {len(ids)} tokens, {parts}; {hint}")

    @cached_property
    def _vocabulary(self) -> tuple[str, ...]:
        return tuple(self._piece(token) for token in range(self.d_vocab))

    @cached_property
    def _by_piece(self) -> Mapping[str, int]:
        """Display text -> id; of tokens that look alike no bare byte, then what encoding gives."""
        table: dict[str, int] = {}
        for token, piece in enumerate(self._vocabulary):
            old = table.get(piece)
            if old is not None and self._is_byte(token):
                continue
            if old is None or self._is_byte(old) or self._encode(piece) == [token]:
                table[piece] = token
        return table

    def _id(self, token: int) -> int:
        if not 0 <= token < self.d_vocab:
            raise RunError(f"token id {token} is not in 0..{self.d_vocab - 1}, the vocabulary")
        return token

    def _checked(self, ids: list[int], text: str) -> list[int]:
        for token in ids:
            if not 0 <= token < self.d_vocab:
                raise RunError(
                    f"{text!r}: token id {token} is not in 0..{self.d_vocab - 1}, the vocabulary"
                )
        return ids

    def _encode_as_the_file_says(self, text: str) -> list[int]:
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        ids = []
        for word in re.split(r"[\s,]+", text.strip()):
            if re.fullmatch(r"\d{1,12}", word):
                ids.append(int(word))
            elif word:
                why = "this model has no tokenizer"
                if (self.folder / "tokenizer.model").is_file():
                    why = (
                        "this model's tokenizer.model is not read (save tokenizer.json beside it "
                        "with AutoTokenizer.from_pretrained(folder).save_pretrained(folder))"
                    )
                raise RunError(f"{word!r} is no token id: {why}; write token ids, like '5 17 3'")
        return ids

    def _is_byte(self, _token: int) -> bool:
        return False

    def _piece(self, token: int) -> str:
        return str(token)

    def _decode(self, tokens: list[int]) -> str:
        return " ".join(self._piece(token) for token in tokens)


class ToyTokenizer(Tokenizer):
    """A short list of pieces: text is split at blanks, then by the longest entry that fits."""

    kind = "toy"

    def __init__(
        self, folder: Path, d_vocab: int, ids: Mapping[str, int], bos_id: int | None = None
    ) -> None:
        super().__init__(folder, d_vocab, bos_id)
        self.ids = ids
        self.text_of = {token: piece for piece, token in ids.items()}
        self.longest = max(map(len, ids))
        self.has_blanks = any(re.search(r"\s", piece) for piece in ids)

    def _encode(self, text: str) -> list[int]:
        words = [text] if self.has_blanks else text.split()
        return [token for word in words for token in self._split(word)]

    def _split(self, word: str) -> Iterable[int]:
        at = 0
        while at < len(word):
            for length in range(min(self.longest, len(word) - at), 0, -1):
                token = self.ids.get(word[at : at + length])
                if token is not None:
                    yield token
                    at += length
                    break
            else:
                some = " ".join(list(self.ids)[:SHOWN])
                more = " ..." if len(self.ids) > SHOWN else ""
                raise RunError(
                    f"{word[at:]!r} is not in this model's vocabulary of {len(self.ids)}: "
                    f"{some}{more}"
                )

    def _piece(self, token: int) -> str:
        return self.text_of.get(token, f"[{token}]")

    def _decode(self, tokens: list[int]) -> str:
        return ("" if self.has_blanks else " ").join(map(self._piece, tokens))


def _from_folder(folder: Path, config: ModelConfig | None) -> Tokenizer:
    d_vocab = None if config is None else config.d_vocab
    settings = _settings(folder)
    name = settings.get("bos_token")
    bos = name.get("content") if isinstance(name, dict) else name
    if not isinstance(bos, str):
        bos = None if config is None else config.bos_token_id
    has_json, has_vocabulary = ((folder / f"{n}.json").is_file() for n in ("tokenizer", "vocab"))
    if has_json or (has_vocabulary and (folder / "merges.txt").is_file()):
        from engine.model import tokenizer_hf  # brings the library

        if has_json:
            adds_bos = settings.get("add_bos_token") is True
            return tokenizer_hf.open_json(folder, d_vocab, bos, adds_bos)
        ids = _vocabulary_file(folder / "vocab.json")
        return tokenizer_hf.open_bpe(folder, d_vocab, bos, ids, settings)
    if not has_vocabulary:
        return Tokenizer(folder, d_vocab or 0, None if isinstance(bos, str) else bos)
    ids = _vocabulary_file(folder / "vocab.json")
    if any(piece.startswith("Ġ") for piece in ids):
        raise FileError(
            folder, "holds the vocab.json of a byte-level tokenizer and no merges.txt; fetch "
            "merges.txt or tokenizer.json"
        )  # fmt: skip
    size = max(ids.values()) + 1
    if d_vocab is not None and size > d_vocab:
        raise FileError(
            folder / "vocab.json", f"has ids up to {size - 1}, and the model has {d_vocab} tokens"
        )
    return ToyTokenizer(folder, d_vocab or size, ids, ids.get(bos) if isinstance(bos, str) else bos)


def _settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json over special_tokens_map.json."""
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            data, _ = read_json(folder / name)
            if not isinstance(data, dict):
                raise FileError(folder / name, "is not a JSON object; fetch the file again")
            found |= {key: value for key, value in data.items() if value is not None}
    return found


def _vocabulary_file(file: Path) -> dict[str, int]:
    """A list of pieces, or an object piece -> id."""
    data, _ = read_json(file, FILE_LIMIT)
    if isinstance(data, list) and data and all(isinstance(piece, str) for piece in data):
        if (twice := repeated(data)) is not None:
            raise FileError(file, f"the piece {shown(twice)} appears twice")
        data = {piece: token for token, piece in enumerate(data)}
    if not isinstance(data, dict) or not data or not all(data):
        raise FileError(file, "is neither a list of pieces nor an object piece -> id")
    for piece, token in data.items():
        if type(token) is not int or token < 0:
            raise FileError(
                file, f"the piece {shown(piece)} has the id {shown(token)}, which is no count"
            )
    if len(set(data.values())) < len(data):
        raise FileError(file, "two pieces have the same id")
    return data

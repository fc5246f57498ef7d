"""Tokenizers that the `tokenizers` library runs: tokenizer.json, or vocab.json with merges.txt.

The library is imported when the first one is opened: it costs a noticeable part of the start-up of
a window that has no model yet.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import FileError, RunError
from engine.model.config_file import read_json, shown
from engine.model.tokenizer import FILE_LIMIT, SHOWN, Tokenizer

BYTE = re.compile("<0x[0-9A-F]{2}>")  # how SentencePiece vocabularies name a bare byte


class HuggingFaceTokenizer(Tokenizer):
    """A tokenizer.json, read by the library it was made with."""

    kind = "hugging face"

    def __init__(
        self,
        folder: Path,
        d_vocab: int | None,
        inner: Any,
        spec: Mapping[str, Any],
        bos_id: int | None = None,
        adds_bos: bool = False,
    ) -> None:
        """inner: a `tokenizers.Tokenizer`; spec: its JSON; adds_bos: what its config asks for."""
        size = 1 + max(inner.get_vocab().values(), default=-1) if d_vocab is None else d_vocab
        super().__init__(folder, size, bos_id)
        self.inner = inner
        self.adds_bos = adds_bos
        self.literal = {entry["id"] for entry in spec.get("added_tokens") or ()}
        self.unknown = self._ordinary_unknown(spec.get("model"))
        marks = _marks(spec)
        self.bytewise = "ByteLevel" in marks
        self.byte_of = _byte_of_character()
        self.blank = "▁" if "▁" in marks else ""

    def _ordinary_unknown(self, model: Any) -> int | None:
        if not isinstance(model, dict) or model.get("type") != "WordLevel":
            return None
        token = self.inner.token_to_id(str(model.get("unk_token")))
        return None if token in self.literal else token

    def _encode(self, text: str) -> list[int]:
        return self._known(text, special=False)

    def _encode_as_the_file_says(self, text: str) -> list[int]:
        ids = self._known(text, special=True)
        if self.adds_bos and self.bos_id is not None and ids[:1] != [self.bos_id]:
            return [self.bos_id, *ids]
        return ids

    def _known(self, text: str, special: bool) -> list[int]:
        """Toy tokenizers name an ordinary token as their "unknown": that would be a silent lie."""
        with _library(self.folder / "tokenizer.json", "cannot read this text"):
            encoding = self.inner.encode(text, add_special_tokens=special)
        if self.unknown is None:
            return encoding.ids
        for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            if token == self.unknown and text[start:end] != self.inner.id_to_token(token):
                some = " ".join(self.vocabulary()[:SHOWN])
                raise RunError(f"{text[start:end]!r} is not in this model's vocabulary: {some} ...")
        return encoding.ids

    def _is_byte(self, token: int) -> bool:
        return BYTE.fullmatch(self.inner.id_to_token(token) or "") is not None

    def _piece(self, token: int) -> str:
        raw = self.inner.id_to_token(token)
        if raw is None:  # rows of the embedding beyond the tokenizer's last entry
            return f"[{token}]"
        if token in self.literal:
            return raw
        if self.bytewise:
            if all(character in self.byte_of for character in raw):
                return _shown(bytes(self.byte_of[character] for character in raw))
            return raw
        if BYTE.fullmatch(raw):
            return _shown(bytes.fromhex(raw[3:5]))
        return raw.replace(self.blank, " ") if self.blank else raw

    def _decode(self, tokens: list[int]) -> str:
        return self.inner.decode(tokens, skip_special_tokens=True)


def _shown(raw: bytes) -> str:
    r"""Bytes as text; those that are no whole UTF-8 character as \xE2."""
    return "".join(
        f"\\x{ord(c) - 0xDC00:02X}" if 0xDC80 <= ord(c) <= 0xDCFF else c
        for c in raw.decode("utf-8", "surrogateescape")
    )


def _byte_of_character() -> dict[str, int]:
    """The printable character that byte-level BPE writes for each byte, reversed.

    Printable Latin-1 stands for itself, the other 68 bytes for U+0100 on (Radford et al. 2019).
    """
    itself = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in itself]
    return {chr(b): b for b in itself} | {chr(256 + i): b for i, b in enumerate(others)}


def _nodes(spec: Mapping[str, Any], *keys: str) -> Iterator[Any]:
    """Every object and value inside these parts of a tokenizer.json."""
    waiting: list[Any] = [spec.get(key) for key in keys]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
            continue
        if isinstance(node, dict):
            waiting.extend(node.values())
        yield node


def _marks(spec: Mapping[str, Any]) -> set[str]:
    """Which ways of writing bytes and blanks a tokenizer.json uses: "ByteLevel", "▁"."""
    found: set[str] = set()
    for node in _nodes(spec, "normalizer", "pre_tokenizer", "decoder"):
        kind = node.get("type") if isinstance(node, dict) else ""
        found |= {"ByteLevel"} if kind == "ByteLevel" else set()
        found |= {"▁"} if kind == "Metaspace" or node == "▁" else set()
    return found


def _refuse_panics(file: Path, spec: Mapping[str, Any]) -> None:
    """FileError for what the library would not refuse but fall over, in the worst case aborting."""
    for node in _nodes(spec, "normalizer", "pre_tokenizer", "post_processor"):
        kind = node.get("type") if isinstance(node, dict) else ""
        if kind == "Precompiled" and not _is_charsmap(node.get("precompiled_charsmap")):
            raise FileError(file, "its table of characters is cut off; fetch the file again")
        if kind == "TemplateProcessing":
            known = node.get("special_tokens") or ()
            for piece in _nodes(node, "single", "pair"):
                inner = piece.get("SpecialToken") if isinstance(piece, dict) else None
                if isinstance(inner, dict) and inner.get("id") not in known:
                    why = f"its template uses {shown(inner.get('id'))}, which it does not define"
                    raise FileError(file, f"{why}; fetch the file again")


def _is_charsmap(text: Any) -> bool:
    """Four bytes of length (little-endian), a table of so many bytes, text (SentencePiece)."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        return False
    return len(raw) > 4 and 4 <= int.from_bytes(raw[:4], "little") <= len(raw) - 4


@contextmanager
def _library(file: Path, what: str) -> Iterator[None]:
    """What the library raises, its panics (which are no Exception) among it, as a FileError."""
    try:
        yield
    except BaseException as error:  # the library knows no narrower type
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise FileError(file, f"{what} ({error}); fetch it again") from error


def open_json(
    folder: Path, d_vocab: int | None, bos: str | int | None, adds_bos: bool
) -> HuggingFaceTokenizer:
    """tokenizer.json; bos: the text of the BOS token, or its id; adds_bos: what the config says."""
    file = folder / "tokenizer.json"
    spec, raw = read_json(file, FILE_LIMIT)
    if not isinstance(spec, dict):
        raise FileError(file, "is not a JSON object; fetch the file again")
    _refuse_panics(file, spec)
    inner = _library_tokenizer(file, raw.decode("utf-8-sig"))
    return HuggingFaceTokenizer(folder, d_vocab, inner, spec, _id_of(inner, bos), adds_bos)


def open_bpe(
    folder: Path,
    d_vocab: int | None,
    bos: str | int | None,
    ids: dict[str, int],
    settings: Mapping[str, Any],
) -> HuggingFaceTokenizer:
    """vocab.json and merges.txt, as GPT-2 published them."""
    inner, spec = _byte_level_bpe(folder, ids, settings)
    adds_bos = settings.get("add_bos_token") is True
    return HuggingFaceTokenizer(folder, d_vocab, inner, spec, _id_of(inner, bos), adds_bos)


def _id_of(inner: Any, bos: str | int | None) -> int | None:
    return inner.token_to_id(bos) if isinstance(bos, str) else bos


def _library_tokenizer(file: Path, text: str) -> Any:
    import tokenizers

    with _library(file, "is not a tokenizer file"):
        inner = tokenizers.Tokenizer.from_str(text)
        inner.no_truncation()
        inner.no_padding()
    return inner


def _byte_level_bpe(
    folder: Path, ids: dict[str, int], settings: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    file = folder / "merges.txt"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(file, f"cannot be read ({error})") from None
    merges = []
    for number, line in enumerate(lines, 1):
        if not line or (number == 1 and line.startswith("#version")):
            continue
        left, _, right = line.partition(" ")
        if not left or not right or left + right not in ids:
            raise FileError(file, f"line {number}, {line!r}, merges no two pieces into a third")
        merges.append((left, right))
    with _library(file, "does not fit vocab.json"):
        inner = Tokenizer(models.BPE(vocab=ids, merges=merges))
    prefix = settings.get("add_prefix_space") is True
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    inner.decoder = decoders.ByteLevel()
    named = [settings.get(f"{kind}_token") for kind in ("bos", "eos", "unk", "pad")]
    special = {entry.get("content") if isinstance(entry, dict) else entry for entry in named}
    found = sorted({text for text in special if isinstance(text, str) and text in ids})
    inner.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in found])
    added = [{"id": ids[text]} for text in found]
    return inner, {"decoder": {"type": "ByteLevel"}, "added_tokens": added}

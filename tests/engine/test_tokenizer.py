"""Text to ids and back, for tokenizers of every kind that a model folder may hold."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.errors import FileError, RunError
from engine.model.config import ModelConfig
from engine.model.tokenizer import Tokenizer

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}


def config(d_vocab: int, **fields: Any) -> ModelConfig:
    sizes = {"n_layers": 1, "d_model": 2, "n_heads": 1, "d_head": 2, "n_key_value_heads": 1}
    return ModelConfig(n_ctx=8, d_vocab=d_vocab, d_vocab_out=d_vocab, **sizes, **fields)


def put(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture
def bytewise(tmp_path: Path) -> Path:
    """A byte-level BPE like GPT-2's: "Ġ" is the blank, "Ã" and "¯" the two bytes of ï."""
    pieces = ["<|end|>", "M", "a", "r", "y", "Ġ", "Ã", "¯", "ar", "ary", "Mary", "ĠMary", "Ċ"]
    merges = ["a r", "ar y", "M ary", "Ġ Mary"]
    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": merges, "dropout": None}
    end = {"id": 0, "content": "<|end|>", "special": True, "single_word": False}
    end |= {"lstrip": False, "rstrip": False, "normalized": False}
    spec = {"version": "1.0", "added_tokens": [end], "pre_tokenizer": BYTE_LEVEL, "model": model}
    put(tmp_path, tokenizer={**spec, "decoder": BYTE_LEVEL, "post_processor": BYTE_LEVEL})
    return put(tmp_path, tokenizer_config={"bos_token": "<|end|>"})


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """A vocabulary like SentencePiece's: "▁" is the blank, bare bytes come first."""
    pieces = ["<unk>", "<s>", "<0x0A>", "<0xC3>", "<0x61>", "▁", "a", "▁b", "▁a"]
    model = {"type": "BPE", "vocab": {p: i for i, p in enumerate(pieces)}, "unk_token": "<unk>"}
    model |= {"merges": ["▁ a"], "byte_fallback": True, "fuse_unk": True, "dropout": None}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": i, "content": p, "special": True, **flags} for i, p in enumerate(pieces[:2])]
    blank = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prepend = {"type": "Prepend", "prepend": "▁"}
    back = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    template = {"type": "TemplateProcessing", "pair": []}
    template["single"] = [start, {"Sequence": {"id": "A", "type_id": 0}}]
    template["special_tokens"] = {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}
    decoders = [back, {"type": "ByteFallback"}, {"type": "Fuse"}, strip]
    spec = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [prepend, blank]},
        "post_processor": template,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": model,
    }
    return put(tmp_path, tokenizer=spec, special_tokens_map={"bos_token": {"content": "<s>"}})


# --- pieces ----------------------------------------------------------------------------------


def test_bytewise_pieces_show_their_blank_and_incomplete_bytes(bytewise: Path) -> None:
    t = Tokenizer.from_folder(bytewise)
    assert t.vocabulary()[5:] == [
        *(" ", "\\xC3", "\\xAF", "ar", "ary", "Mary", " Mary", "\n"),
    ]
    assert t.pieces(t.encode("Mary Maryï")) == ["Mary", " Mary", "\\xC3", "\\xAF"]
    assert t.decode(t.encode("Mary Maryï")) == "Mary Maryï"
    assert t.piece(0) == "<|end|>"


def test_sentence_pieces_show_their_blank_and_bare_bytes(sentences: Path) -> None:
    t = Tokenizer.from_folder(sentences)
    assert t.vocabulary() == ["<unk>", "<s>", "\n", "\\xC3", "a", " ", "a", " b", " a"]
    assert t.encode("a\n") == [1, 8, 2]
    assert t.decode([1, 8, 2]) == "a\n"
    assert t.token("a") == 6  # the letter, not the bare byte that looks alike


# --- the beginning of the text ---------------------------------------------------------------


def test_bos_follows_the_file_or_the_wish(sentences: Path) -> None:
    t = Tokenizer.from_folder(sentences)
    assert t.bos_id == 1
    assert t.encode("a") == [1, 8]
    assert t.encode("a", "no") == [8]
    assert t.encode("a", "yes") == [1, 8]
    assert t.encode("<s>", "yes") == [1, *t.encode("<s>", "no")[1:]]


def test_bos_of_a_file_that_adds_none(bytewise: Path) -> None:
    t = Tokenizer.from_folder(bytewise)
    assert t.encode("Mary") == [10]
    assert t.encode("Mary", "yes") == [0, 10]
    assert t.encode("<|end|>Mary", "yes") == [0, 10]
    put(bytewise, tokenizer_config={"bos_token": "<|end|>", "add_bos_token": True})
    t = Tokenizer.from_folder(bytewise)
    assert t.encode("Mary") == [0, 10]
    assert t.encode("<|end|>Mary") == [0, 10]
    assert t.encode("Mary", "no") == [10]


def test_the_models_own_config_may_name_the_bos_token(bytewise: Path) -> None:
    (bytewise / "tokenizer_config.json").unlink()
    assert Tokenizer.from_folder(bytewise, config(13, bos_token_id=0)).bos_id == 0
    none = Tokenizer.from_folder(bytewise, config(13))
    with pytest.raises(RunError, match="name no BOS token"):
        none.encode("Mary", "yes")


# --- one token -------------------------------------------------------------------------------


def test_a_single_token_is_found_by_what_is_shown(bytewise: Path) -> None:
    t = Tokenizer.from_folder(bytewise)
    assert (t.token("Mary"), t.token(" Mary"), t.token(7), t.token("<|end|>")) == (10, 11, 7, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Marya", r"'Marya' is 2 tokens, 'Mary' \+ 'a'; choose one of them"),
        ("", "an empty text is no token"),
        (13, r"token id 13 is not in 0..12"),
        (-1, r"token id -1 is not in 0..12"),
    ],
)
def test_what_is_not_one_token_says_why(text: Any, message: str, bytewise: Path) -> None:
    with pytest.raises(RunError, match=message):
        Tokenizer.from_folder(bytewise).token(text)


def test_a_forgotten_leading_space_is_pointed_out(sentences: Path) -> None:
    with pytest.raises(RunError, match=r"write it with its leading space, ' b'"):
        Tokenizer.from_folder(sentences).token("b")


def test_rows_beyond_the_tokenizers_last_entry_have_a_name(bytewise: Path) -> None:
    t = Tokenizer.from_folder(bytewise, config(15))
    assert t.vocabulary()[12:] == ["\n", "[13]", "[14]"]


def test_a_tokenizer_that_knows_more_tokens_than_the_model(bytewise: Path) -> None:
    t = Tokenizer.from_folder(bytewise, config(11))
    assert t.encode("Mary") == [10]
    with pytest.raises(RunError, match=r"' Mary': token id 11 is not in 0..10"):
        t.encode(" Mary")


# --- GPT-2's two files, toys, and none at all ------------------------------------------------


def test_vocab_and_merges_are_the_same_tokenizer(bytewise: Path, tmp_path: Path) -> None:
    spec = json.loads((bytewise / "tokenizer.json").read_text(encoding="utf-8"))
    reference = Tokenizer.from_folder(bytewise)
    (bytewise / "tokenizer.json").unlink()
    put(bytewise, vocab=spec["model"]["vocab"])
    merges = "#version: 0.2\n" + "\n".join(spec["model"]["merges"]) + "\n"
    (bytewise / "merges.txt").write_text(merges, encoding="utf-8")
    t = Tokenizer.from_folder(bytewise)
    text = "Mary Mary<|end|>ïM"
    assert t.vocabulary() == reference.vocabulary()
    assert t.encode(text) == reference.encode(text)
    assert t.decode(t.encode("Mary ï")) == "Mary ï"
    (bytewise / "merges.txt").write_text("M z\n", encoding="utf-8")
    with pytest.raises(FileError, match="line 1, 'M z', merges no two pieces"):
        Tokenizer.from_folder(bytewise)
    (bytewise / "merges.txt").unlink()
    with pytest.raises(FileError, match=r"byte-level tokenizer and no merges.txt"):
        Tokenizer.from_folder(bytewise)


def test_a_toy_vocabulary_is_split_at_blanks_then_by_the_longest_entry(tmp_path: Path) -> None:
    t = Tokenizer.from_folder(put(tmp_path, vocab=["[start]", "(", ")", "1", "12", "2"]))
    assert t.encode("[start](()) 12 1 2") == [0, 1, 1, 2, 2, 4, 3, 5]
    assert t.decode([0, 1, 4]) == "[start] ( 12"
    assert t.encode(t.decode([0, 1, 4])) == [0, 1, 4]
    assert (t.token("12"), t.vocabulary()[0]) == (4, "[start]")
    with pytest.raises(RunError, match=r"'x2' is not in this model's vocabulary of 6: \[start\] "):
        t.encode("(x2")


def test_a_toy_vocabulary_may_give_ids_and_hold_blanks(tmp_path: Path) -> None:
    t = Tokenizer.from_folder(put(tmp_path, vocab={"a": 3, " b": 0, "b": 1}), config(5))
    assert t.encode("a bb") == [3, 0, 1]
    assert t.decode([3, 0, 1]) == "a bb"
    assert t.vocabulary() == [" b", "b", "[2]", "a", "[4]"]


def test_an_unknown_word_does_not_silently_become_an_ordinary_token(tmp_path: Path) -> None:
    model = {"type": "WordLevel", "vocab": {"A": 0, "B": 1}, "unk_token": "A"}
    spec = {"version": "1.0", "model": model, "pre_tokenizer": {"type": "WhitespaceSplit"}}
    t = Tokenizer.from_folder(put(tmp_path, tokenizer=spec))
    assert t.encode("B A") == [1, 0]
    with pytest.raises(RunError, match="'X' is not in this model's vocabulary: A B"):
        t.encode("B X")


def test_without_a_tokenizer_text_is_token_ids(tmp_path: Path) -> None:
    t = Tokenizer.from_folder(tmp_path, config(20))
    assert t.encode(" 5 17,3 ") == [5, 17, 3]
    assert (t.pieces([5, 17]), t.decode([5, 17]), t.token("17")) == (["5", "17"], "5 17", 17)
    with pytest.raises(RunError, match="'Mary' is no token id: this model has no tokenizer"):
        t.encode("Mary")
    with pytest.raises(RunError, match=r"token id 20 is not in 0..19"):
        t.encode("5 20")
    (tmp_path / "tokenizer.model").write_bytes(b"\n\x0e")
    with pytest.raises(RunError, match=r"save tokenizer\.json beside it"):
        t.encode("Mary")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer", "{", "is not valid JSON"),
        ("tokenizer", "[]", "is not a JSON object"),
        ("tokenizer", '{"version": "1.0", "model": {"type": "Magic"}}', "is not a tokenizer file"),
        ("vocab", "[1, 2]", "neither a list of pieces"),
        ("vocab", "[]", "neither a list of pieces"),
        ("vocab", '["a", ""]', "neither a list of pieces"),
        ("vocab", '["a", "b", "a"]', "the piece 'a' appears twice"),
        ("vocab", '{"a": -1}', "the piece 'a' has the id -1"),
        ("vocab", '{"a": 1, "b": 1}', "two pieces have the same id"),
        ("vocab", '["a", "b", "c", "d"]', "ids up to 3, and the model has 3 tokens"),
        ("tokenizer_config", "[]", "is not a JSON object"),
    ],
)
def test_a_bad_tokenizer_file_is_refused_by_name(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / f"{name}.json").write_text(content)
    with pytest.raises(FileError, match=message) as caught:
        Tokenizer.from_folder(tmp_path, config(3))
    assert f"{name}.json" in str(caught.value)


def test_the_library_is_imported_only_when_a_tokenizer_needs_it() -> None:
    code = "import engine.model, sys; sys.exit('tokenizers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- real ones -------------------------------------------------------------------------------


def test_stories_round_trip(shared_models: Path) -> None:
    t = Tokenizer.from_folder(shared_models / "stories260k")
    text = "Once upon a time, Lily naïvely ate a 🎈.\nThe end"
    ids = t.encode(text)
    assert ids[:3] == [1, 403, 407]
    assert t.pieces(ids[:3]) == ["<s>", " Once", " upon"]
    assert t.decode(ids) == text


def test_gpt2s_own_tokenizer(shared_models: Path, tmp_path: Path) -> None:
    folder = shared_models.parent / "tokenizers" / "gpt2"
    t = Tokenizer.from_folder(folder)
    assert t.piece(5335) == " Mary"
    assert (t.token(" Mary"), t.token("Mary"), t.bos_id) == (5335, 24119, 50256)
    text = "When Mary and John went to the 🎈<|endoftext|>\n\tnaïve  x"
    ids = t.encode(text)
    assert "".join(t.pieces(ids)[:4]) == "When Mary and John"
    assert t.decode(ids) == text.replace("<|endoftext|>", "")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(folder / name, tmp_path)
    other = Tokenizer.from_folder(tmp_path)
    assert other.encode(text) == ids
    assert other.vocabulary() == t.vocabulary()

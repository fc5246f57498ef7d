"""Text files: any bytes, words to ids as the tokenizers library does, and the task made of them."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as LibraryTokenizer

from engine import refs
from engine.errors import Cancelled, RunError
from engine.model.tokenizer import Tokenizer
from engine.train import text_file, words
from engine.train.text import open_text

TALE = "The cat sat on the mat. The dog, who sat by the door, saw the cat! "


def file_of(folder: Path, content: str | bytes, name: str = "tale.txt") -> refs.Ref:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return refs.of_file("text", path)


def refused(ref: refs.Ref) -> str:
    with pytest.raises(RunError) as caught:
        open_text(ref, None, n_ctx=8, d_vocab=50)
    return str(caught.value)


def test_words_are_ordered_by_frequency_then_alphabet_and_rare_ones_are_unknown(
    tmp_path: Path,
) -> None:
    task = open_text(file_of(tmp_path, TALE * 20), None, n_ctx=8, d_vocab=9)
    assert task.words == ("<unk>", "the", ",", "The", "cat", "sat", "!", ".", "by")
    assert task.d_vocab == task.d_vocab_out == 9
    assert 0.1 < task.unknown_share < 0.4


def test_the_last_tenth_is_neither_trained_on_nor_counted(tmp_path: Path) -> None:
    text = "a b c d " * 225 + "x y z w " * 25
    task = open_text(file_of(tmp_path, text), None, n_ctx=8, d_vocab=50)
    assert task.words == ("<unk>", "a", "b", "c", "d")
    tokens, targets = task.batch(np.random.default_rng(0), 500)
    assert tokens.min() > 0
    assert (task.held_out[: task.windows] == 0).all()
    assert np.array_equal(tokens[:, 1:], targets[:, :-1])


@pytest.mark.parametrize(
    "text",
    [
        TALE,
        "It's 3.14_pi -- 'quoted' (x+1)\tand\x1cmore\r\n\x0b",
        "naïve café, été; Größe «Straße» – “don’t” … Привет, мир! λόγος",
        "नमस्ते दुनिया ½ ² 日本語、テスト। e\u0301 a\u200db ⒜ 🙂 x",
        "a <unk> b<unk>c <<unk>> <unk",
        "ÀÿĀɏ×÷ΆϿЀҁ\u2010\u2027",
    ],
)
def test_text_is_split_as_the_library_will_split_it(text: str) -> None:
    vocabulary = ("<unk>", *sorted(set(words.split(text)) - {"<unk>"}))
    inner = LibraryTokenizer.from_str(words.tokenizer_json(vocabulary))
    number = {word: token for token, word in enumerate(vocabulary)}
    assert inner.encode(text).ids == [number[word] for word in words.split(text)]


def test_every_character_taken_for_plain_is_split_alike_by_python_and_the_library() -> None:
    plain = [chr(code) for code in range(0x3000) if words.ALIKE.fullmatch(chr(code))]
    text = " ".join(f"a{sign}b" for sign in plain)
    inner = words._library_split()
    assert words.split(text) == [word for word, _ in inner.pre_tokenize_str(text)]
    assert len(plain) > 600


def test_a_saved_vocabulary_reads_new_text_as_it_was_trained(tmp_path: Path) -> None:
    task = open_text(file_of(tmp_path, TALE * 20), None, n_ctx=8, d_vocab=9)
    (tmp_path / "tokenizer.json").write_text(task.tokenizer, encoding="utf-8")
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tuple(tokenizer.vocabulary()) == task.words
    assert tokenizer.encode("The bird sat, sat!") == [3, 0, 5, 2, 5, 6]
    assert tokenizer.encode(TALE) == task.trained[: len(words.split(TALE))].tolist()


def test_the_same_words_whatever_the_slabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = file_of(tmp_path, "\ufeff" + TALE * 20 + "naïve 日本 “don’t” " * 30)
    whole = open_text(ref, None, n_ctx=8, d_vocab=50)
    for slab in (64, 77, 101):
        monkeypatch.setattr(text_file, "SLAB", slab)
        again = open_text(ref, None, n_ctx=8, d_vocab=50)
        assert again.words == whole.words
        assert np.array_equal(again.trained, whole.trained)
    assert "\ufeff" not in "".join(whole.words)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (TALE.encode() * 3 + b"caf\xe9 au lait", len(TALE) * 3 + 3),
        ("größe".encode("latin-1"), 2),
        (TALE.encode("utf-16"), 0),
        (b"cut off \xe6\x97", 8),
        (b"word " * 400_000 + b"\xff", 2_000_000),
    ],
)
def test_a_wrong_encoding_is_named_with_its_byte(
    tmp_path: Path, content: bytes, place: int
) -> None:
    message = refused(file_of(tmp_path, content))
    assert message.startswith(f"tale.txt is not UTF-8: byte {place:,} is 0x{content[place]:02X}")
    assert "save it as UTF-8" in message


def test_what_is_no_text_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "byte 4 is 0" in refused(file_of(tmp_path, b"abcd\0ef"))
    assert "UTF-16" in refused(file_of(tmp_path, TALE.encode("utf-16-le")))
    assert "has no words" in refused(file_of(tmp_path, b""))
    assert "has no words" in refused(file_of(tmp_path, b" \n\t "))
    assert "only 20 tokens; 8 positions" in refused(file_of(tmp_path, TALE))
    assert "has no blank in" in refused(file_of(tmp_path, b"x" * 3_000_000))
    monkeypatch.setattr(words, "MOST_WORDS", 1000)
    many = " ".join(map(str, range(2000)))
    assert "more than 1,000 different words" in refused(file_of(tmp_path, many))
    monkeypatch.setattr(text_file, "LIMIT", 100)
    assert "cut a part of it" in refused(file_of(tmp_path, TALE * 9))


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        # Holes: nothing is written, and reading it would take an hour; Windows makes none unasked.
        file.truncate(10**12 if os.name == "posix" else 10**9)
    with pytest.raises(RunError, match="1,000,000 MB" if os.name == "posix" else "1,000 MB"):
        open_text(refs.Ref("text", "0" * 64, str(path)), None, n_ctx=8, d_vocab=50)


def test_reading_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    looks = 0

    def watch() -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        open_text(file_of(tmp_path, TALE * 50_000), None, n_ctx=8, d_vocab=50, watch=watch)


def test_a_given_tokenizer_says_what_a_token_is(tmp_path: Path) -> None:
    by_words = open_text(file_of(tmp_path, TALE * 20), None, n_ctx=8, d_vocab=9)
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(by_words.tokenizer, encoding="utf-8")
    corpus = file_of(tmp_path, TALE * 20)
    for path in (folder, folder / "tokenizer.json"):
        task = open_text(corpus, refs.of_file("tokenizer", path), n_ctx=8, d_vocab=4)
        assert task.words == by_words.words
        assert np.array_equal(task.trained, by_words.trained)
    with pytest.raises(RunError, match="is no tokenizer"):
        open_text(corpus, corpus, n_ctx=8, d_vocab=4)


def test_knowing_frequencies_only_is_the_baseline(tmp_path: Path) -> None:
    task = open_text(file_of(tmp_path, "a b " * 2000), None, n_ctx=8, d_vocab=50)
    look: Any = SimpleNamespace(logits=np.zeros((*task.held_out.shape, 3)), patterns=None)
    found = task.measure(look)
    assert found["unigram_loss"] == pytest.approx(np.log(2), abs=0.001)
    assert found["held_out_loss"] == pytest.approx(np.log(3))
    assert np.isfinite(task.position_loss(look)).all()


def test_a_long_context_and_a_large_vocabulary_take_fewer_held_out_prompts(tmp_path: Path) -> None:
    task = open_text(file_of(tmp_path, TALE * 900), None, n_ctx=1024, d_vocab=50)
    assert task.held_out.shape[0] <= 4
    assert task.length == 20


def test_a_text_that_names_its_bos_token_is_read_from_documents_beginnings(tmp_path: Path) -> None:
    from engine.data.world import corpus, lexicon, tokenizer

    folder = tokenizer.write_tokenizer(tmp_path / "tokenizer")
    text = "".join(f"{lexicon.START} {document.text}\n" for document in corpus(300))
    given = refs.of_file("tokenizer", folder / "tokenizer.json")
    task = open_text(file_of(tmp_path, text), given, n_ctx=24, d_vocab=50)
    tokens, targets = task.batch(np.random.default_rng(0), 200)
    start = lexicon.VOCABULARY.index(lexicon.START)
    assert (tokens[:, 0] == start).all()
    assert len({tuple(row) for row in tokens}) > 100
    assert np.array_equal(tokens[:, 1:], targets[:, :-1])
    assert (task.prompt[0], task.words) == (start, lexicon.VOCABULARY)

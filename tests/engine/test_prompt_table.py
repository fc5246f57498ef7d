"""Prompt tables: every way people write them, and every way they go wrong, by line and reason."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from engine.data import prompt_table
from engine.data.prompt_table import PromptRow, parse_table, read_table, to_line
from engine.errors import Cancelled, FileError
from engine.refs import locate

PAIR = PromptRow("The cat", "The dog", " sat", " ran", "auto", "", 2)


def parsed(text: str | bytes, name: str = "pairs.csv") -> prompt_table.PromptTable:
    return parse_table(text if isinstance(text, bytes) else text.encode(), name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("clean,corrupted,answer,wrong\nThe cat,The dog, sat, ran\n", "pairs.csv"),
        ("clean;corrupted;answer;wrong\r\nThe cat;The dog; sat; ran\r\n", "pairs.csv"),
        ("sep=;\r\nclean;corrupted;answer;wrong\r\nThe cat;The dog; sat; ran", "pairs.csv"),
        ("clean\tcorrupted\tanswer\twrong\nThe cat\tThe dog\t sat\t ran", "pairs.csv"),
        ("clean\tcorrupted\tanswer\twrong\nThe cat\tThe dog\t sat\t ran", "pairs.tsv"),
        ("clean,corrupted,answer,wrong\rThe cat,The dog, sat, ran\r", "pairs.csv"),
        ("\ufeffPrompt, Corrupted ,ANSWER,wrong\nThe cat,The dog, sat, ran\n", "pairs.CSV"),
        ('"wrong","answer","corrupted","clean"\n" ran"," sat","The dog","The cat"', "pairs.csv"),
        (
            '\n{"clean":"The cat","corrupted":"The dog","answer":" sat","wrong":" ran"}\n\n',
            "pairs.jsonl",
        ),
    ],
    ids=["comma", "semicolon", "sep=", "tab", "tsv", "old mac", "bom", "quoted", "jsonl"],
)
def test_a_table_is_read_however_it_was_exported(text: str, name: str) -> None:
    table = parsed(text, name)
    row = table.rows[0]
    assert len(table.rows) == 1
    assert (row.clean, row.corrupted, row.answer, row.wrong) == PAIR_FIELDS
    assert not table.left_out
    assert not table.unused


PAIR_FIELDS = ("The cat", "The dog", " sat", " ran")


def test_a_file_is_read_with_the_digest_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_bytes(b"clean\nThe cat\n")
    table = read_table(file)
    assert table.ref.digest == hashlib.sha256(b"clean\nThe cat\n").hexdigest()
    assert (table.ref.kind, table.ref.where) == ("prompt pairs", str(file))
    assert table.name == "pairs.csv"
    assert table.role(2) == "prompts, row 3"
    assert locate(table.ref) == file


def test_texts_keep_their_blanks_commas_quotes_and_lines() -> None:
    clean = '  "No,"\nsaid the cat;  '
    table = parsed('clean,answer\n"  ""No,""\nsaid the cat;  ", sat\nnext,\n')
    assert [(row.clean, row.answer, row.line) for row in table.rows] == [
        (clean, " sat", 2),
        ("next", None, 4),
    ]


def test_json_lines_may_hold_token_ids() -> None:
    table = parsed('{"clean": [5, 6], "corrupted": [5, 7], "answer": 3}\n', "ids.jsonl")
    assert table.rows == (PromptRow((5, 6), (5, 7), 3, line=1),)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("", "auto"), ("auto", "auto"), ("YES", "yes"), ("FALSE", "no"), ("True", "yes")],
)
def test_bos_is_read_as_people_and_spreadsheets_write_it(said: str, meant: str) -> None:
    assert parsed(f"clean,bos\nThe cat,{said}\n").rows[0].bos == meant


@pytest.mark.parametrize("said", ["true", '"yes"'])
def test_bos_in_json_may_be_a_truth_value(said: str) -> None:
    assert parsed(f'{{"clean": "x", "bos": {said}}}', "a.jsonl").rows[0].bos == "yes"


def test_bad_rows_are_left_out_by_line_and_the_others_stay() -> None:
    table = parsed(
        'clean,bos\nThe cat,\n  ,yes\n"a" b,\nThe dog,maybe\nWhen Mary, and John, went\n'
        f"{'x' * 100_001},\nlast,no\n"
    )
    assert [row.clean for row in table.rows] == ["The cat", "last"]
    assert [line for line, _ in table.left_out] == [3, 4, 5, 6, 7]
    reasons = [why for _, why in table.left_out]
    assert reasons[0] == "the clean prompt is empty"
    assert "must be written twice" in reasons[1]
    assert "'maybe' is not one of auto, yes, no" in reasons[2]
    assert "3 cells where the first line names 2 columns" in reasons[3]
    assert "comma needs" in reasons[3]
    assert "more than 100,000 characters" in reasons[4]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "not an object"),
        ('{"clean": 5}', "clean is not a text"),
        ('{"clean": null}', "empty"),
        ('{"clean": []}', "empty"),
        ('{"clean": [1, -2]}', "-2 is not a token id"),
        ('{"clean": [1, true]}', "True is not a token id"),
        ('{"clean": [1, 2.5]}', "2.5 is not a token id"),
        ('{"clean": "x", "answer": 99999999999}', "99999999999 is not a token id"),
        ('{"clean": "x", "answer": {}}', "answer is not a text"),
        ('{"clean": "\\ud800"}', "lone surrogate"),
        ('{"clean": "x", "bos": 3}', "'3' is not one of auto"),
    ],
)
def test_a_line_of_json_that_is_no_pair_says_why(line: str, why: str) -> None:
    table = parsed(f'{{"clean": "good"}}\n{line}\n', "a.jsonl")
    assert [row.clean for row in table.rows] == ["good"]
    assert table.left_out[0][0] == 2
    assert why in table.left_out[0][1]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_columns_that_mean_nothing_are_named(name: str) -> None:
    text = "clean,corupted,note\na,b,c\n" if name == "a.csv" else '{"clean":"a","corupted":"b"}'
    assert parsed(text, name).unused[0] == "corupted"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"The cat,The dog\n", "names no column 'clean'; begin the file with a line such as"),
        (b"", "names no column 'clean'"),
        (b"clean,clean\na,b\n", "two columns are called clean"),
        (b"clean,prompt\na,b\n", "two columns are called clean"),
        (b"clean\n", "no row with a prompt"),
        (b"clean\n \n", "no row with a prompt"),
        (b"clean,bos\n,yes\n", "no row with a prompt; line 2: the clean prompt is empty"),
        ("clean\nThe cat\nD\xe9j\xe0 vu\n".encode("latin-1"), "line 3 is not UTF-8 .perhaps Latin"),
        ("clean\nThe cat\n".encode("utf-16"), "line 1 holds a zero byte"),
        (b'clean\n"The cat\nThe dog\nThe cow\n', 'line 2: a quote " is opened and never closed'),
        (b"clean\n" + b"x\n" * 100_001, "more than 100,000 rows"),
        (b"clean\n" + b'"' + b"x\n" * 70_000 + b'"', "line 2: a cell has more than 100,000"),
    ],
)
def test_a_file_that_cannot_be_a_table_is_refused_whole(text: bytes, why: str) -> None:
    with pytest.raises(FileError, match=why):
        parsed(text)


def test_a_file_that_is_too_large_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_table, "MAX_BYTES", 2**20)
    with (tmp_path / "a.csv").open("wb") as file:
        file.truncate(2**40 if os.name == "posix" else 2**21)
    with pytest.raises(FileError, match="larger than 1 MB; split the table"):
        read_table(tmp_path / "a.csv")


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.csv: no such file"):
        read_table(tmp_path / "gone.csv")
    with pytest.raises(FileError, match="not a file"):
        read_table(tmp_path)


def test_reading_reports_rows_and_can_be_stopped() -> None:
    content = b"clean\n" + b"The cat\n" * 2_500
    told: list[tuple[int, int]] = []
    parse_table(content, "a.csv", report=lambda *now: told.append(now))
    assert told == [(1000, 0), (2000, 0)]

    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        parse_table(content, "a.csv", watch=stop)


@pytest.mark.parametrize(
    "row",
    [
        PromptRow("The cat", "The dog", " sat", " ran", "no", "Mine", 1),
        PromptRow((5, 6), (5, 7), 0, None, line=1),
        PromptRow("D\xe9j\xe0\u2028 vu\r\nonce\n", line=1),
    ],
)
def test_a_kept_pair_comes_back_exactly(row: PromptRow) -> None:
    line = to_line(row)
    assert json.loads(line)
    assert parse_table(line, "kept.jsonl").rows == (row,)

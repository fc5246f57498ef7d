"""Labelled texts from files: what is read, what is left out, what is refused and why."""

import json

import pytest

from engine.data.labelled_table import parse_labelled, read_labelled
from engine.data.world import corpus, labelled, write_corpus
from engine.errors import Cancelled, FileError


def parsed(text, name="a.csv"):
    return parse_labelled(text if isinstance(text, bytes) else text.encode(), name)


def refused(text, name="a.csv"):
    with pytest.raises(FileError) as caught:
        parsed(text, name)
    return caught.value.why


def test_one_label_for_a_text_and_the_group_it_belongs_to():
    table = parsed('text,label,group,source\n"Yes, good",pos,a,web\nbad,neg,b,book\n')
    assert [(row.text, row.labels["label"], row.group) for row in table.rows] == [
        ("Yes, good", "pos", "a"), ("bad", "neg", "b"),
    ]  # fmt: skip
    assert table.columns == ("label", "source")
    assert not table.per_word
    assert [row.line for row in table.rows] == [2, 3]


def test_the_columns_label_and_text_have_other_spellings_and_separators():
    for name, text in (("a.csv", "sentence;class\nx y;1\n"), ("a.tsv", "prompt\tlabel\nx y\t1\n"),
                       ("a.jsonl", '{"text": "x y", "label": 1}\n')):  # fmt: skip
        table = parsed(text, name)
        assert (table.rows[0].text, table.rows[0].labels) == ("x y", {"label": "1"}), name


def test_the_worlds_own_labels_are_read_word_for_word(tmp_path):
    _, ref = write_corpus(tmp_path, 5)
    table = read_labelled(ref.where)
    assert table.ref.digest == ref.digest
    assert table.per_word == set(table.columns) >= {"part_of_speech", "role", "bracket_depth"}
    for row, document in zip(table.rows, corpus(5), strict=True):
        wanted = labelled(document)
        assert list(row.words) == document.words
        assert row.labels["role"] == tuple(wanted["role"])
        assert row.labels["bracket_depth"] == tuple(map(str, wanted["bracket_depth"]))


def test_token_ids_stand_for_words():
    table = parsed('{"tokens": [5, 0, 7], "label": ["a", "", null]}\n', "a.jsonl")
    assert table.rows[0].words == (5, 0, 7)
    assert table.rows[0].labels["label"] == ("a", "", "")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"words": ["a", "b"], "label": ["x"]}, "1 labels for 2 words"),
        ({"text": "a b", "label": ["x", "y"]}, "no words stand beside it"),
        ({"words": ["a", 3], "label": ["x", "y"]}, "texts and token ids"),
        ({"words": ["a b"], "label": ["x"]}, "not one word"),
        ({"words": [-1], "label": ["x"]}, "not a token id"),
        ({"text": "  ", "label": "x"}, "the text is empty"),
        ({"text": "a", "label": {"x": 1}}, "not a text"),
        ({"text": "a", "label": "x" * 300}, "300 characters"),
    ],
)
def test_a_row_that_cannot_be_read_is_left_out_by_its_line(row, why):
    lines = [json.dumps(one) for one in ({"text": "fine", "label": "x"}, row)]
    table = parsed("\n".join(lines), "a.jsonl")
    assert len(table.rows) == 1
    assert table.left_out[0][0] == 2
    assert why in table.left_out[0][1]


def test_latin_1_is_refused_with_its_byte_and_how_to_convert_it():
    why = refused(b"text,label\nfine,1\ncaf" + b"\xe9,2\n")
    assert "line 3, byte 22 of the file (0xE9) is not UTF-8" in why
    assert "iconv -f WINDOWS-1252 -t UTF-8 a.csv" in why


def test_what_is_no_table_of_labels_is_refused_with_the_way_out():
    assert "text,label" in refused("a,b\n1,2\n")
    assert "no column holds labels" in refused("text,group\nx,1\n")
    assert "no row with a text; line 2: the text is empty" in refused("text,label\n ,1\n")
    assert ".csv, .tsv, .jsonl" in refused("text,label\nx,1\n", "a.txt")
    mixed = '{"text": "a", "label": "x"}\n{"words": ["a"], "label": ["x"]}\n'
    assert "line 1: label is one label here" in refused(mixed, "a.jsonl")


def test_stop_is_heard_between_rows():
    def stop():
        raise Cancelled

    body = "text,label\n" + "a,b\n" * 1500
    with pytest.raises(Cancelled):
        parse_labelled(body.encode(), "a.csv", stop)

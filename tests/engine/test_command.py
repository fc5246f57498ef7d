"""A run as a line for a terminal: what is typed is read back as the same values."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

import pytest

from engine.errors import SpecError
from engine.export import read_change, read_intervention, read_value, to_command
from engine.model import Intervention
from engine.technique import Ref, Technique, param
from engine.techniques.logit_lens import LogitLens


@dataclass(frozen=True, kw_only=True)
class _Fields(Technique):
    """A technique without a model, with every kind of field."""

    n: int = param(5, "steps")
    speed: float = param(0.1, "metres per step", live=True)
    text: str = param("", "any text")
    prompt: str | tuple[int, ...] = param("", "text or ids")
    flag: bool = param(False, "yes or no")
    answer: str | int | None = param(None, "a token")
    start: Ref | None = param(None, "where to begin")


TEXTS = [
    "",
    "plain",
    " leading",
    "5",
    "5.5",
    "true",
    "null",
    '"quoted"',
    "[1, 2]",
    "a=b 'c'\n",
    "é",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("name", ["text", "prompt", "answer"])
def test_a_text_survives_the_command_line(name: str, text: str) -> None:
    spec = _Fields(**{name: text})  # pyright: ignore[reportArgumentType]
    words = shlex.split(to_command(spec))
    pairs = [words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--set"]
    read = {key: read_value(_Fields, key, value) for key, value in pairs}
    assert _Fields(**read) == spec


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n", "7", 7),
        ("speed", "7", 7.0),
        ("speed", "1e-3", 0.001),
        ("flag", "true", True),
        ("text", "7", "7"),
        ("text", '"7"', "7"),
        ("prompt", "[1, 2]", (1, 2)),
        ("prompt", "The cat", "The cat"),
        ("prompt", "7", "7"),
        ("answer", "7", 7),
        ("answer", '"7"', "7"),
        ("answer", "null", None),
        ("start", '{"kind": "sae", "digest": "ab"}', Ref("sae", "ab")),
    ],
)
def test_a_value_is_json_where_that_fits_the_field_and_text_else(
    name: str, text: str, value: object
) -> None:
    assert read_value(_Fields, name, text) == value


def test_live_changes_and_interventions_survive_the_command_line() -> None:
    changes = [(2, {"speed": 0.7}), (4, {"speed": 0.1})]
    entries = (
        Intervention("blocks.0.attn.hook_z", "scale", 0.5, head=1, positions=(0, 2)),
        Intervention("hook_embed"),
    )
    words = shlex.split(to_command(LogitLens(prompt=(1,)), interventions=entries))
    typed = [words[at + 1] for at, word in enumerate(words) if word == "--intervene"]
    assert tuple(map(read_intervention, typed)) == entries
    words = shlex.split(to_command(_Fields(), changes=changes))
    typed = [words[at + 1] for at, word in enumerate(words) if word == "--change"]
    assert [read_change(_Fields, text) for text in typed] == changes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON object: write it as"),
        ("[]", "is no JSON object"),
        ('{"nam": "hook_embed"}', "has no 'nam'; did you mean name?"),
        ('{"action": "zero"}', "missing required field `name`"),
        ('{"name": "hook_embed", "action": "nil"}', "Invalid enum value 'nil'"),
        ('{"name": "hook_embed", "head": "one"}', "Expected `int | null`"),
        ('{"name": "hook_embed", "factor": NaN}', "not a finite number"),
    ],
)
def test_an_intervention_that_makes_no_sense_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        read_intervention(text)
    assert caught.value.field == "--intervene"


@pytest.mark.parametrize("text", ["", "2", "2:speed", "speed=1", "-1:speed=1", "x:speed=1"])
def test_a_change_is_typed_as_step_field_and_value(text: str) -> None:
    with pytest.raises(SpecError, match="write it as step:field=value"):
        read_change(_Fields, text)


@pytest.mark.parametrize("text", ["two\nlines", "a\0b", "\t", "\x1b[2J"])
def test_a_command_is_one_line_that_any_terminal_takes(text: str) -> None:
    line = to_command(_Fields(text=text))
    assert line.isprintable()
    word = next(word for word in shlex.split(line) if word.startswith("text="))
    assert read_value(_Fields, "text", word.removeprefix("text=")) == text

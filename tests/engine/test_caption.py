"""Captions and details: whole, minimal and hostile provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.caption import caption, details, interventions_in_words, short_digest, token_text
from engine.model import Intervention
from engine.session import ModelRef, Run
from engine.technique import Ref
from engine.techniques.activation_patching import ActivationPatching
from engine.techniques.logit_lens import LogitLens

DIGEST = "0123456789abcdef" * 4
WHOLE = Run(
    spec=ActivationPatching(clean=" Mary sat", corrupted=" John sat", component="z", position=2),
    model=ModelRef("gpt2", DIGEST, "/models/gpt2"),
    title="Which heads",
    note="for the appendix",
    status="cancelled",
    started="2026-02-03T04:05:06.000+00:00",
    seconds=1.5,
    blas_threads=2,
    interventions=(
        Intervention("blocks.0.hook_attn_out", positions=(1, 2)),
        Intervention("blocks.1.attn.hook_z", "scale", 0.5, head=3),
    ),
    changes=((7, {"lr": 0.5}),),
    metrics={"loss": 0.25},
    versions={"mechanoscope": "0.1.0", "numpy": "2.4", "python": "3.11"},
    tokens={"clean_tokens": (5, 6), "corrupted_tokens": (7, 6)},
    words={5: " Mary", 6: " sat"},
    inputs={"prompts, row 3": Ref("prompt pairs", "ab" * 32, "/data/pairs.csv")},
    digest="cd" * 32,
)


def test_a_caption_says_all_that_a_reader_needs_in_four_lines() -> None:
    about = {**WHOLE.provenance(), "seed": 3}
    assert caption(about).splitlines() == [
        "Which heads. Activation patching of gpt2 (weights 0123456789ab), stopped before its end.",
        "Tokens clean: ·Mary ·sat; corrupted: 7 ·sat.",
        "Settings: component = z, position = 2. Interventions: zero blocks.0.hook_attn_out at "
        "positions 1, 2; scale blocks.1.attn.hook_z by 0.5 of head 3. Changed while it ran: "
        "lr = 0.5 from step 7. Seed 3.",
        "Mechanoscope 0.1.0, 2026-02-03.",
    ]


def test_a_caption_from_a_file_is_the_same() -> None:
    about = WHOLE.provenance()
    assert caption(json.loads(json.dumps(about))) == caption(about)
    assert details(json.loads(json.dumps(about))) == details(about)


def test_settings_at_their_defaults_are_left_out() -> None:
    run = Run(spec=LogitLens(prompt=(1, 2)), tokens={"tokens": (1, 2)}, versions={})
    assert caption(run.provenance()) == "Logit lens.\nTokens read: 1 2."
    run = Run(spec=LogitLens(prompt=(1, 2)), versions={})
    assert caption(run.provenance()) == "Logit lens.\nSettings: prompt = 1, 2."


def test_details_hold_everything() -> None:
    rows = dict(details(WHOLE.provenance()))
    expected = {
        "Technique": "Activation patching",
        "Title": "Which heads",
        "Note": "for the appendix",
        "Model": "gpt2",
        "Digest of the weights": DIGEST,
        "Folder": "/models/gpt2",
        "Tokens, clean": "·Mary ·sat (2)",
        "Tokens, clean, ids": "5, 6",
        "Tokens, corrupted": "7 ·sat (2)",
        "component": "z",
        "direction": "denoise",
        "answer": "none",
        "Live changes": "lr = 0.5 from step 7",
        "Input, prompts, row 3": f"prompt pairs, {'ab' * 32}, /data/pairs.csv",
        "Status": "cancelled",
        "Started": "2026-02-03T04:05:06.000+00:00",
        "Duration": "1.500 s",
        "BLAS threads": "2",
        "Metric, loss": "0.25",
        "NumPy": "2.4",
        "Digest of the result": "cd" * 32,
    }
    assert expected.items() <= rows.items()
    assert "Seed" not in rows
    assert "Digest of the header" in dict(details({"model": {"digest": "header:ab"}}))


def test_a_long_prompt_loses_its_middle_in_a_caption_only() -> None:
    ids = tuple(range(100))
    words = {token: f" w{token}" for token in ids}
    run = Run(spec=LogitLens(prompt=ids), tokens={"tokens": ids}, words=words)
    line = caption(run.provenance()).splitlines()[1]
    assert line.startswith("Tokens read: ·w0 ·w1 ")
    assert line.endswith(" ·w98 ·w99.")
    assert "… (76 more) …" in line
    rows = dict(details(run.provenance()))
    assert rows["Tokens"].count("·w") == 100
    long = Run(spec=LogitLens(prompt="word " * 1000), title="t" * 5000)
    assert max(map(len, caption(long.provenance()).splitlines())) < 500


def test_many_interventions_are_counted() -> None:
    entries = tuple(Intervention("hook_embed", positions=(at,)) for at in range(9))
    run = Run(spec=LogitLens(prompt=(1,)), interventions=entries)
    assert "at position 3; and 5 more." in caption(run.provenance())
    assert dict(details(run.provenance()))["Interventions"].count("zero") == 9


HOSTILE: list[Any] = [
    {},
    {"spec": None, "model": None, "tokens": None, "versions": None},
    {"spec": {"kind": "No such technique", "x": [1, {"y": None}]}, "seed": "seven"},
    {"spec": {"kind": 5}, "model": "gpt2", "interventions": 3, "changes": "abc", "inputs": [1]},
    {"interventions": [None, 1, {}, {"name": "a", "positions": "xy", "action": "scale"}]},
    {"changes": [1, [2], [3, 4], [5, {"a": {"b": [float("nan")]}}]]},
    {"tokens": {"tokens": 3, "x_tokens": {"ids": [1, 2], "texts": [None]}, "y": {"texts": [1]}}},
    {"title": "a\x1b[2J\nb\u202e", "model": {"name": "\n\r\t\x00", "digest": "header:"}},
    {"status": ["finished"], "started": 7, "seconds": 10**400, "blas_threads": None},
    {"inputs": {"a": {"kind": 1}, "b": None}, "metrics": {"m": None}, "digest": 4},
]


@pytest.mark.parametrize("about", HOSTILE)
def test_what_is_missing_or_makes_no_sense_is_left_out(about: dict[str, Any]) -> None:
    told = caption(about)
    assert all(c.isprintable() or c == "\n" for c in told)
    assert len(told.splitlines()) <= 4
    for name, value in details(about):
        assert name
        assert all(c.isprintable() for c in name + value)


def test_a_technique_that_is_not_known_here_tells_all_its_settings() -> None:
    about = {"spec": {"kind": "Later", "version": 2, "depth": 3}, "model": {"name": "gpt2"}}
    assert caption(about) == "Later of gpt2.\nSettings: depth = 3."


def test_interventions_in_words() -> None:
    entry = Intervention("hook_embed", "scale", 2.0, positions=(4,))
    assert interventions_in_words([entry]) == ["scale hook_embed by 2.0 at position 4"]
    assert interventions_in_words([msgspec.to_builtins(entry)]) == interventions_in_words([entry])


def test_a_digest_is_short_and_says_of_what() -> None:
    assert short_digest(DIGEST) == "weights 0123456789ab"
    assert short_digest(f"header:{DIGEST}") == "header 0123456789ab"
    assert short_digest("") == ""


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" Mary", "·Mary"),
        ("  ", "··"),
        ("a ", "a·"),
        ("\n", "↵"),
        ("a b", "a b"),
        ("\x00", "\\x00"),
    ],
)
def test_blanks_of_a_token_are_seen(token: str, shown: str) -> None:
    assert token_text(token) == shown


def test_no_window_is_needed_for_a_caption(project: Path) -> None:
    assert "gui" not in (project / "engine" / "caption.py").read_text(encoding="utf-8")


def test_an_empty_setting_is_named_as_such() -> None:
    about = Run(spec=LogitLens(prompt=""), status="failed", error="the prompt is empty")
    assert "Settings: prompt = empty." in caption(about.provenance())

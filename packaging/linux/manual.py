"""The manual page mechanoscope(1): mechanoscope.1 beside this, with the words of the parser.

Commands and options are taken from engine/arguments.py, so none can be missing.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parser() -> argparse.ArgumentParser:
    """The program's own; the engine's arguments import nothing but the standard library."""
    root = str(HERE.parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    from engine import arguments

    return arguments.parser()


def roff(text: str) -> str:
    """A text with nothing in it that the typesetter would take for its own."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("~", r"\(ti")
    text = text.replace("^", r"\(ha").replace("`", "").replace("'", r"\(aq").replace('"', r"\(dq")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def commands(whole: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Every command by its name."""
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise ValueError("the parser has no commands")


def _words(action: argparse.Action) -> str:
    """How an option or an argument is typed: `--seeds N`."""
    value = action.metavar
    if value is None and action.choices is not None and action.nargs != 0:
        value = "|".join(map(str, action.choices))
    if isinstance(value, tuple):
        value = " ".join(value)
    if not action.option_strings:
        return rf"\fI{roff(value or action.dest)}\fP"
    names = ", ".join(rf"\fB{roff(name)}\fP" for name in action.option_strings)
    return names if action.nargs == 0 else rf"{names} \fI{roff(value or action.dest.upper())}\fP"


def _explained(whole: argparse.ArgumentParser, one: argparse.Action) -> str:
    """The help of an option, and what it may be where that is a choice."""
    text = (one.help or "").replace("%(prog)s", whole.prog)
    choices = ", ".join(map(str, one.choices or ()))
    if choices and one.metavar is not None and choices not in text:
        text = f"{text} ({choices})" if text else choices
    return text


def _entries(whole: argparse.ArgumentParser) -> Iterator[str]:
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction) or "--help" in action.option_strings:
            continue
        text = _explained(whole, action)
        if text or action.option_strings:
            yield f".TP\n{_words(action)}\n{roff(text) or chr(92) + '&'}"


def _synopsis(name: str, one: argparse.ArgumentParser) -> str:
    """A command with what it cannot do without."""
    parts = [rf"\fBmechanoscope {roff(name)}\fP"]
    for action in one._actions:
        if not action.option_strings:
            rest = action.nargs == argparse.REMAINDER
            parts.append(f"[{_words(action)} ...]" if rest else _words(action))
        elif action.required:
            parts.append(_words(action))
    if any(not a.required and "--help" not in a.option_strings and a.option_strings
           for a in one._actions):  # fmt: skip
        parts.append(r"[\fIOPTION\fP ...]")
    return " ".join(parts)


def page(version: str, when: date, home: str) -> str:
    """The whole page, as groff and mandoc read it."""
    whole = parser()
    opened = "[FOLDER | FILE.mscope]"
    top = (opened, f"--window | --new-window {opened}", "COMMAND ...")
    synopsis = "\n.br\n".join(rf"\fBmechanoscope\fP {roff(line)}" for line in top)
    told = []
    for name, one in commands(whole).items():
        told += [f".SS {roff(name)}", _synopsis(name, one), ".PP", roff(one.description or "")]
        told += _entries(one)
    every = [".TP", r"\fB\-h\fP, \fB\-\-help\fP", "what can be typed, after a command: for it"]
    values = {
        "DATE": when.isoformat(), "VERSION": version, "HOME": home, "SYNOPSIS": synopsis,
        "OPTIONS": "\n".join([*every, *_entries(whole)]),
        "COMMANDS": "\n".join(told),
    }  # fmt: skip
    text = (HERE / "mechanoscope.1").read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda found: values[found[1]], text)

"""RunLine: one run of the history in words, for a table, a button and a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import date, datetime, timedelta
from functools import cache, cached_property
from html import escape
from pathlib import Path
from typing import Any

from engine.refs import Ref
from gui import memory
from gui.form import desk_field, set_fields
from gui.kinds import panels

SIGNS = {
    "finished": ("circle-check", "good", "finished"),
    "cancelled": ("history", "warn", "stopped"),
    "failed": ("circle-x", "bad", "failed"),
}
PROMPTS = ("clean", "corrupted")
MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
TIP_LINES = 16
WORDS_SHOWN = 200  # characters of a prompt: no cell is wider


@cache
def _panel_words() -> dict[str, Mapping[str, str]]:
    """How each kind's panel names fields and choices."""
    return {panel.kind: panel.words for panel in panels() if panel.kind}


class RunLine:
    """An entry of Records in words; each is made when it is first asked for."""

    def __init__(self, entry: Any) -> None:
        self.entry = entry
        self.run = entry.run

    @property
    def title(self) -> str:
        return self.entry.title

    @cached_property
    def kind(self) -> str:
        """The technique's own title; that of an unreadable run is what the file calls it."""
        return self.run.spec.title or self.run.kind if self.run else self.entry.title

    @property
    def sign(self) -> tuple[str, str, str]:
        """Icon, colour and word of how it ended."""
        if self.run is None:
            return "triangle-alert", "warn", "unreadable"
        return SIGNS.get(self.run.status, SIGNS["failed"])

    @property
    def model(self) -> str:
        return self.run.model.name if self.run and self.run.model else ""

    @cached_property
    def prompt(self) -> str:
        """The clean prompt, or the only one; token ids as numbers; the name of a set."""
        if (pairs := self._pairs) is not None:
            return f"Set: {Path(pairs.name).stem or pairs.short}"
        return prompt_words(self._prompts.get("clean", ""))

    @property
    def _pairs(self) -> Ref | None:
        """The set that was run over, in place of prompts."""
        spec = self.run.spec if self.run else None
        held = set_fields(type(spec)) if spec is not None else ()
        return next((getattr(spec, name) for name in held), None)

    @property
    def _prompts(self) -> dict[str, Any]:
        """Both prompts, or the only one, as the spec has them."""
        spec = self.run.spec if self.run else None
        named = {desk_field(item): item.name for item in (fields(spec) if spec else ())}
        return {role: getattr(spec, named[role]) for role in PROMPTS if role in named}

    @cached_property
    def settings(self) -> str:
        """What is not default, but for the prompts; live changes and interventions, counted."""
        if self.run is None:
            return ""
        own, answers = [], []
        known = _panel_words().get(self.run.kind, {})
        for item in fields(self.run.spec):
            value = getattr(self.run.spec, item.name)
            of_set = self._pairs is not None and value == self._pairs
            if desk_field(item) in PROMPTS or of_set or value == default_of(item):
                continue
            name = known.get(item.name, item.name.replace("_", " "))
            said = f"{name} {_value(value, known)}"
            (answers if desk_field(item) else own).append(said)
        changes, edits = len(self.run.changes), len(self.run.interventions)
        many = ((changes, "live change"), (edits, "intervention"))
        counted = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in many if n]
        return ", ".join((*own, *answers, *counted))

    @cached_property
    def moment(self) -> datetime | None:
        """When it began, in local time."""
        try:
            return datetime.fromisoformat(self.run.started).astimezone() if self.run else None
        except (ValueError, OverflowError, OSError):  # a stranger's file may say anything
            return None

    @property
    def when(self) -> str:
        return when(self.moment) if self.moment else ""

    @property
    def seconds(self) -> float:
        return self.run.seconds if self.run else 0.0

    @property
    def took(self) -> str:
        return duration(self.seconds) if self.run else ""

    @property
    def nbytes(self) -> int:
        return self.entry.size

    @property
    def size(self) -> str:
        return memory.size(self.entry.size) if self.entry.size else ""

    @property
    def state(self) -> str:
        """Where its result is: "saving", "saved", "in memory", "unreadable"."""
        return "in memory" if self.entry.state == "memory" else self.entry.state

    @property
    def note(self) -> str:
        """The user's own note, all of it."""
        return self.run.note if self.run else ""

    @property
    def remark(self) -> str:
        """The note's first line; without one, what went wrong."""
        error = self.run.error if self.run else ""
        said: tuple[str, ...] = (*self.note.splitlines(), error, self.entry.note)
        return next((line.strip() for line in said if line.strip()), "")

    @cached_property
    def searched(self) -> str:
        """Everything that the search looks through, in small letters."""
        error = self.run.error if self.run else ""
        prompts = [prompt_words(prompt, most=None) for prompt in self._prompts.values()]
        parts = (self.title, self.kind, self.note, self.model, *prompts, error, self.entry.note)
        return " \n".join(part for part in parts if part).casefold()

    def has(self, words: tuple[str, ...]) -> bool:
        """Whether every word, in small letters, occurs somewhere."""
        return all(word in self.searched for word in words)

    @property
    def tip(self) -> str:
        """How it ended, of which model, when, what went wrong; escaped, or Qt would read markup."""
        if self.run is None:
            return _escaped([self.entry.note])
        ended = f"{self.sign[2]} after {self.took}" if self.sign[2] != "finished" else self.took
        facts = ", ".join(part for part in (ended, self.model, self.when, self.state) if part)
        prompts = [prompt_words(prompt) for prompt in self._prompts.values()]
        said = (self.settings, self.run.error, *self.note.splitlines(), self.entry.note)
        return _escaped([self.title, facts, *prompts, *said])

    @property
    def brief(self) -> str:
        """How long it took, for a button."""
        if self.run is None:
            return "unreadable"
        words = {"cancelled": "stopped after ", "failed": "failed after "}
        return words.get(self.run.status, "") + self.took


def _escaped(lines: list[str]) -> str:
    """Lines as a tooltip that shows every character as it is."""
    shown = [escape(line[:WORDS_SHOWN]) for line in lines if line.strip()]
    return f"<p>{'<br>'.join(shown[:TIP_LINES])}</p>"


def prompt_words(prompt: Any, most: int | None = WORDS_SHOWN) -> str:
    """A prompt on one line; token ids as numbers."""
    text = prompt if isinstance(prompt, str) else " ".join(map(str, prompt[:most]))
    return " ".join(text[:most].split())


def default_of(item: Any) -> Any:
    if item.default_factory is not MISSING:
        return item.default_factory()
    return item.default


def _value(value: Any, known: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(getattr(value, "where", "") or getattr(value, "kind", "") or value)
    return known.get(text, " ".join(text.split()))[:WORDS_SHOWN]


def duration(seconds: float) -> str:
    """4 ms, 0.4 ms, 1.24 s, 38 s, 5 min 12 s, 2 h 5 min."""
    if not seconds < float("inf"):
        return ""
    if seconds < 0.9995:
        milli = seconds * 1e3
        return f"{milli:.0f} ms" if milli >= 0.95 or not milli else f"{milli:.1g} ms"
    if seconds < 59.5:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def when(moment: datetime, today: date | None = None) -> str:
    """today 21:40, yesterday 9:05, 3 Nov 21:40, 3 Nov 2025 21:40."""
    today = today or datetime.now(moment.tzinfo).date()
    clock = f"{moment.hour}:{moment.minute:02}"
    if moment.date() == today:
        return f"today {clock}"
    if moment.date() == today - timedelta(days=1):
        return f"yesterday {clock}"
    month = MONTHS[3 * moment.month - 3 : 3 * moment.month]
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment.day} {month}{year} {clock}"

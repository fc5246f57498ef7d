"""Records as JSON text in a bounded length, both ways: what is larger belongs in an array."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LONGEST_JSON = 4 << 20  # characters; reading a spec of that many takes a second
LONGEST_PLAIN = 1 << 20  # bytes of a title or a note


def plain_text(text: str) -> str:
    """A title or a name as UTF-8 can hold it; half a character, as in some paths, is escaped."""
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) > LONGEST_PLAIN:
        raise ValueError(
            f"{len(encoded):,} bytes of text are more than {LONGEST_PLAIN:,}: shorten it"
        )
    return encoded.decode()


def strict_json(value: Any, indent: int | None = None) -> str:
    """JSON that every reader takes, of JSON values: a number that is not finite becomes null."""
    return json.dumps(json.loads(json.dumps(value), parse_constant=lambda _: None), indent=indent)


def to_text(value: Any) -> str:
    text = json.dumps(value)
    if len(text) > LONGEST_JSON:
        raise ValueError(f"a record of {len(text):,} characters is too long for a session")
    return text


def from_text(text: str) -> Any:
    if len(text) > LONGEST_JSON:
        raise ValueError(f"a record has {len(text):,} characters")
    return json.loads(text)


def from_object(text: str) -> Mapping[str, Any]:
    value = from_text(text)
    if not isinstance(value, dict):
        raise ValueError("a record is not a JSON object")
    return value

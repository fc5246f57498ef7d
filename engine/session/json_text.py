"""Records as JSON text in a bounded length, both ways: what is larger belongs in an array."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

LONGEST_JSON = 4 << 20  # characters; reading a spec of that many takes a second


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

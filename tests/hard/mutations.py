"""Session files as damage and strangers leave them: each function spoils one copy in one way.

A function takes the copy and a generator, and says what it did.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.hard.claims import (
    giant_claims,
    sealed_by_a_stranger,
    too_many,
    wrong_bytes_in_texts,
    wrong_values,
)  # fmt: skip
from tests.hard.damage import (
    chained_pages,
    flipped_bits,
    flipped_bits_in_the_tables,
    longer_than_the_disk,
    of_another_kind,
    of_another_program,
    of_the_future,
    swapped_pages,
    truncated,
    wrong_header,
    zeroed_pages,
)  # fmt: skip
from tests.hard.spoiling import Rng
from tests.hard.strangers import (
    changed_tables,
    foreign_journal,
    foreign_log,
    hidden_in_the_schema,
    links,
    more_in_the_schema,
    swapped_roots,
)  # fmt: skip

MUTATIONS: tuple[Callable[[Path, Rng], str], ...] = (
    flipped_bits, flipped_bits_in_the_tables, truncated, zeroed_pages, swapped_pages, chained_pages,
    wrong_header, of_another_program, of_the_future, longer_than_the_disk, wrong_values,
    wrong_values, wrong_bytes_in_texts, sealed_by_a_stranger, sealed_by_a_stranger, giant_claims,
    giant_claims, too_many, more_in_the_schema, hidden_in_the_schema, hidden_in_the_schema,
    changed_tables, swapped_roots, of_another_kind, foreign_log, foreign_journal, links,
)  # fmt: skip
"""Tried in turn; those with many variants more often."""
FORGERIES = (sealed_by_a_stranger,)
"""After these a file may tell what nobody ever stored: no seal is a signature."""

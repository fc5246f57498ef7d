"""Sessions: a user's runs in one SQLite file (`*.mscope`), and the thread that writes them."""

from engine.session.data import ArtifactRow, DataRow
from engine.session.rows import RunRow
from engine.session.run import ModelRef, Run, pack, tokens_of, unpack, versions
from engine.session.store import Session
from engine.session.writer import Done, Edit, Saved, Writer

__all__ = [
    "ArtifactRow",
    "DataRow",
    "Done",
    "Edit",
    "ModelRef",
    "Run",
    "RunRow",
    "Saved",
    "Session",
    "Writer",
    "pack",
    "tokens_of",
    "unpack",
    "versions",
]

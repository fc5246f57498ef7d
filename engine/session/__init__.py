"""Sessions: a user's runs in one SQLite file (`*.mscope`), and the thread that writes them."""

from engine.session.rows import RunRow
from engine.session.run import ModelRef, Run, pack, unpack, versions
from engine.session.store import Session
from engine.session.writer import Saved, Writer

__all__ = ["ModelRef", "Run", "RunRow", "Saved", "Session", "Writer", "pack", "unpack", "versions"]

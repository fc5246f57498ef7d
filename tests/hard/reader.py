"""The process that is handed spoiled session files and does with each what a window would do.

    python -m tests.hard.reader FOLDER BASE...

It is told {"seed", "case"} and answers how long the longest call took, how much memory was needed
and everything that went wrong. After a crash or a hang it answers nothing.
"""

from __future__ import annotations

import faulthandler
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import FileError
from engine.session import Run, Session
from engine.technique import to_json
from engine.techniques.logit_lens import LogitLens
from tests.hard import work
from tests.hard.child import say, told
from tests.hard.mutations import FORGERIES, MUTATIONS
from tests.hard.spoiling import MARK

try:
    import resource
except ImportError:  # Windows: the memory is not measured there
    resource = None

STATUS = Path("/proc/self/status")
HANG_SECONDS = 20.0  # by the clock, then the process ends itself and says where it stood
ROOM = 1 << 30  # bytes of address space that reading may ask for
LOADED = 40
LONGEST_WHY = 1000  # characters of a reason, as a dialog or a line of the list can show it
OURS = "ours, after all"
EDITS = ("describe", "view", "keep", "delete", "restore")
"""They may also say that there is no such run, or that what they would change is damaged."""
FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect",
    "ctypes.dlopen", "pickle.find_class", "sqlite3.load_extension", "sqlite3.enable_load_extension",
)  # fmt: skip


class Case:
    """One spoiled file and what is found wrong with how it is treated."""

    def __init__(self, folder: Path, bases: list[Path], known: set[str], titles: set[str]) -> None:
        self.folder, self.bases, self.known, self.titles = folder, bases, known, titles
        self.wrong: list[str] = []
        self.about, self.refused, self.longest = "", "", (0.0, "")
        self._listening = self._forged = False
        sys.addaudithook(self._audit)

    def run(self, seed: int, number: int) -> dict[str, Any]:
        rng = np.random.default_rng([seed, number])
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.wrong, self.refused, self.longest = [], "", (0.0, "")
        base = self.bases[int(rng.integers(len(self.bases)))]
        path = self.folder / f"a {base.name}"
        for file in base.parent.glob(f"{base.name}*"):
            shutil.copyfile(file, self.folder / f"a {file.name}")
        precious = self.folder / "PRECIOUS"
        precious.write_text("precious")
        spoil = MUTATIONS[number % len(MUTATIONS)]
        self._forged = spoil in FORGERIES
        self.about = f"{base.name}: {spoil.__name__}: {spoil(path, rng)}"
        before, self._listening = fresh_peak(), True
        self.use(path)
        self._listening = False
        if not precious.is_file() or precious.read_text() != "precious":
            self.wrong.append("a file beside the session was changed")
        for file in self.folder.iterdir():
            if file.is_file() and holds(file, MARK):
                self.wrong.append(f"SQL of the stranger was run: its mark is in {file.name}")
            if file.name.endswith(".part") and not file.is_symlink():
                self.wrong.append(f"{file.name} was left behind")
        return {
            "about": self.about, "refused": self.refused, "seconds": self.longest[0],
            "longest": self.longest[1], "grown": peak() - before, "wrong": self.wrong,
        }  # fmt: skip

    def use(self, path: Path) -> None:
        """Open, list, load, describe, delete, restore, compact, copy, and open the copy."""
        session = self.tried("open", lambda: Session.open(path))
        if session is None:
            return
        self.read(session)
        rows = self.tried("list", session.runs) or []
        numbers = [row.id for row in rows if row.id][:3]
        run = Run(spec=LogitLens(prompt=(1, 2)), title=OURS)
        copy = path.with_name(f"copy of {path.name}")
        self.tried("add", lambda: session.add(run))
        self.tried("put", lambda: session.put("corpus", b"words", origin="a test", rows=1))
        self.tried("learn", lambda: session.learn("0" * 64, "1" * 64))
        for number in numbers:
            self.tried("describe", lambda at=number: session.describe(at, title=OURS, note=OURS))
            self.tried("view", lambda at=number: session.describe(at, view={"panel": {}}))
            self.tried("keep", lambda at=number: session.keep_artifact("lens", b"1", run=at))
        self.tried("delete", lambda: session.delete(numbers))
        self.tried("restore", lambda: session.restore(numbers[1:]))
        self.tried("save_as", lambda: session.save_as(copy))
        self.tried("compact", session.compact)
        self.read(session)
        self.tried("close", session.close)
        for again in (path, copy):
            if again.exists() and (
                session := self.tried("open again", lambda at=again: Session.open(at))
            ):
                self.read(session)
                self.tried("close", session.close)

    def read(self, session: Session) -> None:
        rows: list[Any] = []
        for deleted in (False, True):
            rows += self.tried("list", lambda which=deleted: session.runs(deleted=which)) or []
        for row in rows:
            self.clear(row.unreadable, "a reason")
            if row.run is not None:
                self.familiar(row.run)
        for row in rows[:LOADED]:
            run = self.tried("load", lambda at=row.id: session.load(at))
            if run is not None:
                self.familiar(run)
                if run.result is not None and work.mark(run.result) not in self.known:
                    self.wrong.append(f"run {row.id} has a result that was never stored")
        for found in (self.tried("data", session.data) or [])[:LOADED]:
            self.tried("content", lambda ref=found.ref: session.content(ref))
        for found in (self.tried("artifacts", session.artifacts) or [])[:LOADED]:
            self.tried("content", lambda ref=found.ref: session.content(ref))
        self.tried("nbytes", lambda: session.nbytes)

    def familiar(self, run: Run) -> None:
        """What a damaged file tells is what was stored, or it is not told."""
        if self._forged:
            return
        if settings(run) not in self.known:
            self.wrong.append(
                f"run {run.id} has settings that were never stored: {run.spec!r:.200}"
            )
        if run.title not in self.titles:
            self.wrong.append(f"run {run.id} has a title that was never given: {run.title!r:.200}")

    def clear(self, why: str, what: str) -> None:
        if len(why) > LONGEST_WHY:
            self.wrong.append(f"{what} of {len(why):,} characters: {why[:100]!r}")

    def tried(self, what: str, do: Callable[[], Any]) -> Any:
        """What it returned; None if it was refused in the way it may be."""
        began = time.perf_counter()
        try:
            return do()
        except FileError as error:
            if what == "open":
                self.refused = error.why
            self.clear(str(error), f"{what}: a message")
        except (LookupError, ValueError) as error:
            if what not in EDITS:
                self.failed(what, error)
            self.clear(str(error), f"{what}: a message")
        except Exception as error:  # noqa: BLE001  # whatever else there is, is what is looked for
            self.failed(what, error)
        finally:
            self.longest = max(self.longest, (time.perf_counter() - began, what))
        return None

    def failed(self, what: str, error: Exception) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        self.wrong.append(f"{what}: {type(error).__name__}: {str(error)[:200]} at {where}")

    def _audit(self, event: str, values: tuple[Any, ...]) -> None:
        if not self._listening:
            return
        if event in FORBIDDEN or (event == "open" and "PRECIOUS" in str(values[0])):
            self.wrong.append(f"{event}{str(values)[:200]}")


def settings(run: Run) -> str:
    return f"{to_json(run.spec)} {run.status} {run.seconds} {run.started} {run.interventions}"


def holds(file: Path, mark: bytes) -> bool:
    """Whether a file has these bytes anywhere in its first GB; read in pieces."""
    with file.open("rb") as stream:
        end = b""
        for _ in range(1024):
            piece = stream.read(1 << 20)
            if mark in end + piece:
                return True
            if not piece:
                return False
            end = piece[-len(mark) :]
    return False


def peak() -> int:
    """The most memory that this process had, in bytes; since `fresh_peak` where that works."""
    if STATUS.exists():
        lines = STATUS.read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    if resource is None:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def fresh_peak() -> int:
    """Forget the largest so far; the memory in use now, in bytes."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def limit_memory() -> None:
    """Let this process have `ROOM` more of address space and no more, where the system can."""
    about = Path("/proc/self/statm")
    if resource is not None and about.exists():
        used = int(about.read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, most))


def main() -> None:
    folder, bases = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    known, titles = {settings(Run(spec=LogitLens(prompt=(1, 2))))}, {"", OURS}
    case = Case(folder, bases, known, titles)
    for base in bases:  # what is true, and everything that is imported late is imported
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in base.parent.glob(f"{base.name}*"):
            shutil.copyfile(file, folder / file.name)
        with Session.open(folder / base.name) as session:
            for row in [*session.runs(), *session.runs(deleted=True)]:
                run = session.load(row.id)
                known |= {settings(run), work.mark(run.result)}
                titles.add(run.title)
        case.use(folder / base.name)
    limit_memory()
    say(ready=True)
    while (order := told()) is not None:
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        say(**case.run(order["seed"], order["case"]))
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()

"""The command `mechanoscope`: opens the window, or runs the same techniques without one.

Exit code 0; 1 for a run that failed or a model that is not readable; 2 for wrong arguments. What
went wrong is one line on stderr. No subcommand but `tour` imports Qt.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.arguments import ARRAYS, EXPORTS, WINDOW_FLAGS, WrongArguments, parser
from engine.errors import FileError, RunError, SpecError

_WIDEST = 40  # characters; a longer title moves its own row only


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line asks and give the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(argv)
    except KeyboardInterrupt:
        return _fail(1, "stopped; nothing was written")
    except BrokenPipeError:  # as in `mechanoscope describe KIND | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SystemExit as done:  # argparse, after --help or --version
        return int(done.code or 0)
    except Exception as error:  # noqa: BLE001  (a terminal's last resort, as gui/app.py is a window's)
        return _failure(error)


def _failure(error: BaseException, more: str = "") -> int:
    """Say what went wrong on one line and give the exit code."""
    if isinstance(error, WrongArguments | SpecError):
        return _fail(2, f"{error}{more}")
    if isinstance(error, FileError | RunError):
        return _fail(1, f"{error}{more}")
    if isinstance(error, MemoryError):
        return _fail(1, f"there is too little memory for this{more}")
    return _fail(1, f"unexpected {type(error).__name__}: {error}; {_log(error)}{more}")


def _fail(code: int, message: str) -> int:
    print("mechanoscope:", _shown(message), file=sys.stderr)
    return code


def _shown(text: str) -> str:
    """One line. What a file says of itself cannot steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _log(error: BaseException) -> str:
    """Keep a traceback for who wants to report it; where it is."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get("MECHANOSCOPE_DEBUG"):
        print(text, file=sys.stderr)
        return "the traceback is above"
    import platformdirs

    path = platformdirs.user_log_path("mechanoscope", appauthor=False) / "mechanoscope.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"{datetime.now().isoformat()}\n{text}\n")
    except OSError:
        return "MECHANOSCOPE_DEBUG=1 shows the traceback"
    return f"the traceback is in {path}"


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in WINDOW_FLAGS or argv[0].startswith("file://"):
        return _window(argv)
    if argv[0].startswith("-") or argv[0] in _COMMANDS:
        arguments = parser().parse_args(argv)
        with warnings.catch_warnings():
            # What is not finite is an error of its own, in one line; NumPy's words would be others.
            warnings.simplefilter("ignore", RuntimeWarning)
            return _COMMANDS[arguments.command](arguments)
    if not Path(argv[0]).exists():
        close = difflib.get_close_matches(argv[0], _COMMANDS, 1)
        hint = f"; did you mean {close[0]}?" if close else "; see mechanoscope --help"
        raise WrongArguments(f"there is no command, folder or file {argv[0]!r}{hint}")
    if len(argv) > 1:
        raise WrongArguments("give one folder or one session file")
    return _window(argv)


def _window(argv: list[str]) -> int:
    return _gui("app")(argv)


def _gui(module: str) -> Callable[[Any], int]:
    # By name: the engine knows no window, it only opens the door to one.
    return importlib.import_module(f"gui.{module}").main


# --- techniques ----------------------------------------------------------------------------------


def _technique(kind: str) -> Any:
    from engine import technique

    table = technique.kinds()
    if kind not in table:
        close = difflib.get_close_matches(kind, table, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(table)}"
        raise WrongArguments(f"no technique is called {kind!r}; {hint}")
    return table[kind]


def _techniques(_: argparse.Namespace) -> int:
    from engine import technique

    table = technique.kinds()
    width = max(map(len, table), default=0)
    for kind, cls in table.items():
        print(f"{kind:<{width}}  {cls.summary}")
    return 0


def _describe(arguments: argparse.Namespace) -> int:
    from engine import technique

    _technique(arguments.kind)
    print(json.dumps(technique.describe(arguments.kind), indent=2))
    return 0


def _spec(arguments: argparse.Namespace) -> Any:
    """The spec that --spec and --set describe; WrongArguments or SpecError if they do not."""
    from engine import technique
    from engine.export import read_value

    cls, values = _technique(arguments.kind), {}
    if arguments.spec is not None:
        try:
            values = json.loads(Path(arguments.spec).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise WrongArguments(f"--spec {arguments.spec} is not readable: {error}") from None
        if not isinstance(values, dict):
            raise WrongArguments(f"--spec {arguments.spec} holds no JSON object")
        if (kind := values.pop("kind", arguments.kind)) != arguments.kind:
            raise WrongArguments(f"--spec {arguments.spec} is for {kind}, not {arguments.kind}")
    typed = {}
    for entry in arguments.set:
        name, equals, text = entry.partition("=")
        if not equals:
            raise WrongArguments(f"--set {entry}: write it as field=value")
        typed[name] = read_value(cls, name, text)
    return replace(technique.from_json(values, arguments.kind), **typed)


def _changes(spec: Any, typed: list[str]) -> list[tuple[int, dict[str, Any]]]:
    """The live changes that --change describes, in the order of their steps."""
    from engine.export import read_change

    changes = sorted((read_change(type(spec), text) for text in typed), key=lambda one: one[0])
    for _, change in changes:
        spec = spec.changed(change)
    return changes


def _run(arguments: argparse.Namespace) -> int:
    from engine.export import read_intervention
    from engine.headless import check_session, run_to_file

    spec = _spec(arguments)
    changes = _changes(spec, arguments.change)
    interventions = [read_intervention(text) for text in arguments.intervene]
    if not arguments.out and not arguments.session:
        raise WrongArguments("say where the result goes: --out FILE.npz, --session FILE.mscope")
    out = _writable(arguments.out) if arguments.out else None
    if out is not None and out.suffix.lower().removeprefix(".") not in ARRAYS:
        raise WrongArguments(f"--out {out}: let it end in .npz, or in .csv for a table")
    session = Path(arguments.session) if arguments.session else None
    if out is not None and session is not None and out.resolve() == session.resolve():
        raise WrongArguments("--out and --session name the same file: give each its own")
    _check_model(spec, arguments)
    if interventions and not (spec.needs and spec.takes_interventions):
        raise WrongArguments(f"{arguments.kind} takes no interventions: leave --intervene out")
    if session is not None:
        try:
            check_session(session)
        except FileError as error:
            raise WrongArguments(f"--session {error}") from None
    run, error = run_to_file(
        spec, arguments.model, out, sys.stderr,
        changes=changes, interventions=interventions, session=session,
        checkpoints=_checkpoints(arguments.checkpoints),
    )  # fmt: skip
    kept_as = None if session is None else f"{session} as run {run.id}"
    places = " and ".join(str(place) for place in (out, kept_as) if place is not None)
    if run.status == "finished":
        print(f"{places}: {run.seconds:.1f} s", file=sys.stderr)
        return 0
    kept = "" if kept_as is None else f"; the run, without a result, is in {kept_as}"
    if run.result is not None:
        kept = f"; what was computed until then is in {places}"
    if error is None:
        return _fail(1, f"stopped{kept or '; nothing was written'}")
    return _failure(error, kept)


def _check_model(spec: Any, arguments: argparse.Namespace) -> None:
    if spec.needs and not arguments.model:
        raise WrongArguments(f"{arguments.kind} reads a model: add --model FOLDER")
    if arguments.model and not spec.needs:
        raise WrongArguments(f"{arguments.kind} reads no model: leave --model out")


def _sweep(arguments: argparse.Namespace) -> int:
    from engine.headless import read_grid, sweep_to_file
    from engine.refs import Ref
    from engine.sweep import Sweep, executor_of, model_ref

    spec, out = _spec(arguments), _writable(arguments.out)
    _check_model(spec, arguments)
    executor = executor_of(arguments.executor, arguments.workers)
    unread = Ref("model", "", arguments.model) if arguments.model else None
    grid = read_grid(arguments.grid)
    sweep = Sweep(spec, grid, arguments.seeds, unread, arguments.keep, executor)
    if unread is not None:  # not before the rest was found to be right: it reads every byte
        sweep = replace(sweep, model=model_ref(arguments.model))
    result, error = sweep_to_file(sweep, out, sys.stderr, arguments.executor)
    kept, told = "; nothing was written", ""
    if result is not None:
        first = result.failures[0] if result.failures else None
        more = f", {len(result.failures)} failed" if first else ""
        told = f"{out}: {result.finished} of {result.total} cells{more}"
        told += f"; the first one, {first.cell}: {first.message}" if first else ""
        if not result.values and not result.results:
            told += "; nothing in them is one number: add --keep results"
        kept = f"; what was computed until then is in {told}"
    if error is not None:
        return _failure(error, kept)
    if result is None or result.finished + len(result.failures) < result.total:
        return _fail(1, f"stopped{kept}")
    if not result.finished:
        return _fail(1, told)
    print(_shown(told), file=sys.stderr)
    return 0


def _writable(path: str) -> Path:
    from engine.export import check_writable

    try:
        check_writable(path)
    except FileError as error:
        raise WrongArguments(f"--out {error}") from None
    return Path(path)


# --- sessions ------------------------------------------------------------------------------------


def _row(run: Mapping[str, Any]) -> list[str]:
    """A run as a line of the list."""
    first = [str(run["id"]), run["kind"]]
    if "unreadable" in run:
        return [*first, f"not readable: {run['unreadable']}", "", "", "", "", ""]
    kept = "" if run["kept"] or not run["size"] else ", not kept"
    started = run["started"][:19].replace("T", " ")
    size = f"{run['size'] / 1e6:.2f}{kept}"
    return [*first, run["title"], run["model"], run["status"], started,
            f"{run['seconds']:.2f}", size]  # fmt: skip


def _session(arguments: argparse.Namespace) -> int:
    from engine.headless import about_session

    runs = about_session(Path(arguments.file))
    if arguments.json:
        print(json.dumps(runs, indent=2))
        return 0
    heads = ["id", "kind", "title", "model", "status", "started (UTC)", "seconds", "MB"]
    rows = [heads, *map(_row, runs)]
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*cells, strict=True)]
    for row in cells:
        pairs = zip(row, widths, strict=True)
        print("  ".join(f"{cell:<{width}}" for cell, width in pairs).rstrip())
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from engine.headless import export_run

    out = _writable(arguments.out)
    how = arguments.how or out.suffix.lower().removeprefix(".")
    if how not in EXPORTS:
        raise WrongArguments(f"--out {out}: say what it is with --as {'|'.join(EXPORTS)}")
    export_run(Path(arguments.file), arguments.run, how, out)
    print(out, file=sys.stderr)
    return 0


# --- models --------------------------------------------------------------------------------------


def _cache(arguments: argparse.Namespace) -> int:
    from engine.headless import cache_to_file

    prompt = arguments.prompt
    if arguments.tokens is not None:
        if arguments.bos:
            raise WrongArguments("--bos goes with --prompt; --tokens are read as they are")
        try:
            prompt = [int(token) for token in arguments.tokens.split(",")]
        except ValueError:
            raise WrongArguments(f"--tokens {arguments.tokens}: write ids as 1,2,3") from None
    out, bos = _writable(arguments.out), arguments.bos or "auto"
    told = cache_to_file(arguments.model, prompt, bos, arguments.names, out)
    print(f"{out}: {told}", file=sys.stderr)
    return 0


def _checkpoints(typed: str | None) -> Path | None:
    """The folder of --checkpoints, made if it is not there; none may be in it already."""
    if typed is None:
        return None
    folder = Path(typed)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if next(folder.glob("step-*.safetensors"), None) is not None:
            raise WrongArguments(f"--checkpoints {typed}: it holds those of another run already")
    except OSError as error:
        raise WrongArguments(f"--checkpoints {typed}: {error.strerror or error}") from None
    return folder


def _save(arguments: argparse.Namespace) -> int:
    from engine.train.checkpoint import save_model

    folder = save_model(Path(arguments.checkpoint), Path(arguments.folder), arguments.layout)
    print(f"{folder}: `mechanoscope {folder}` opens it", file=sys.stderr)
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    from engine.inspecting import inspected, told

    about = inspected(arguments.folder)
    print(json.dumps(about, indent=2) if arguments.json else told(about))
    check = about.get("self_check", {"passed": True})
    if not check["passed"]:
        return _fail(1, f"the self-check failed: {check['summary']}")
    return 0


def _script(arguments: argparse.Namespace) -> int:
    from engine.program import run_script

    if not Path(arguments.file).is_file():
        raise WrongArguments(f"there is no file {arguments.file!r}")
    return run_script(arguments.file, arguments.arguments)


def _tour(arguments: argparse.Namespace) -> int:
    return _gui("tour")(arguments.out)


_COMMANDS = {
    "techniques": _techniques,
    "describe": _describe,
    "run": _run,
    "sweep": _sweep,
    "session": _session,
    "export": _export,
    "save": _save,
    "cache": _cache,
    "inspect": _inspect,
    "script": _script,
    "tour": _tour,
}

COMMANDS = tuple(_COMMANDS)

if __name__ == "__main__":
    sys.exit(main())

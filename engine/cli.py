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
from typing import Any, NoReturn

import engine
from engine.errors import FileError, RunError, SpecError


class _WrongArguments(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _WrongArguments(f"{message}; see {self.prog} --help")


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
    if isinstance(error, _WrongArguments | SpecError):
        return _fail(2, f"{error}{more}")
    if isinstance(error, FileError | RunError):
        return _fail(1, f"{error}{more}")
    if isinstance(error, MemoryError):
        return _fail(1, f"there is too little memory for this{more}")
    return _fail(1, f"unexpected {type(error).__name__}: {error}; {_log(error)}{more}")


def _fail(code: int, message: str) -> int:
    print("mechanoscope:", " ".join(message.split()), file=sys.stderr)
    return code


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
    if not argv:
        return _window([])
    if argv[0].startswith("-") or argv[0] in _COMMANDS:
        arguments = _parser().parse_args(argv)
        with warnings.catch_warnings():
            # What is not finite is an error of its own, in one line; NumPy's words would be others.
            warnings.simplefilter("ignore", RuntimeWarning)
            return _COMMANDS[arguments.command](arguments)
    if not Path(argv[0]).exists():
        close = difflib.get_close_matches(argv[0], _COMMANDS, 1)
        hint = f"; did you mean {close[0]}?" if close else "; see mechanoscope --help"
        raise _WrongArguments(f"there is no command, folder or file {argv[0]!r}{hint}")
    if len(argv) > 1:
        raise _WrongArguments("give one folder or one session file")
    return _window(argv)


def _window(argv: list[str]) -> int:
    return _gui("app")(argv)


def _gui(module: str) -> Callable[[Any], int]:
    # By name: the engine knows no window, it only opens the door to one.
    return importlib.import_module(f"gui.{module}").main


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mechanoscope",
        usage="mechanoscope [FOLDER | FILE.mscope]\n       mechanoscope COMMAND ...",
        description="Open a neural network and read it. Without a command: the window.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mechanoscope {engine.__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog="mechanoscope"
    )

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, allow_abbrev=False)

    command("techniques", "List the techniques.")
    one = command("describe", "A technique's fields, limits, defaults and result, as JSON.")
    one.add_argument("kind", metavar="KIND")
    one = command("run", "Run a technique and write its result.")
    one.add_argument("kind", metavar="KIND")
    one.add_argument("--model", metavar="FOLDER", help="the network to read")
    one.add_argument("--spec", metavar="FILE.json", help="values of fields, as JSON")
    one.add_argument(
        "--set", metavar="FIELD=VALUE", action="append", default=[],
        help="one field; the value is JSON if that fits the field, else text; wins over --spec",
    )  # fmt: skip
    one.add_argument("--out", metavar="FILE.npz", required=True, help="where the arrays go")
    one = command("cache", "Run a model once and write its activations.")
    one.add_argument("--model", metavar="FOLDER", required=True)
    prompt = one.add_mutually_exclusive_group(required=True)
    prompt.add_argument("--prompt", metavar="TEXT")
    prompt.add_argument("--tokens", metavar="1,2,3", help="token ids instead of text")
    one.add_argument("--bos", choices=("yes", "no"), help="default: as the tokenizer's file says")
    one.add_argument(
        "--names", metavar="PATTERN", action="append", default=[],
        help="hook names to keep, such as 'blocks.*.attn.hook_pattern'; default: all",
    )  # fmt: skip
    one.add_argument("--out", metavar="FILE.npz", required=True, help="where the arrays go")
    one = command("inspect", "A model's architecture, size, memory need and self-check.")
    one.add_argument("folder", metavar="FOLDER")
    one.add_argument("--json", action="store_true", help="the same as JSON")
    one = command("tour", "The guided tour without a display: pictures and report.html.")
    one.add_argument("--out", metavar="DIR", required=True, help="the folder for them")
    return parser


# --- techniques ----------------------------------------------------------------------------------


def _technique(kind: str) -> Any:
    from engine import technique

    table = technique.kinds()
    if kind not in table:
        close = difflib.get_close_matches(kind, table, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(table)}"
        raise _WrongArguments(f"no technique is called {kind!r}; {hint}")
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
    """The spec that --spec and --set describe; _WrongArguments or SpecError if they do not."""
    from engine import technique
    from engine.script import read_value

    cls, values = _technique(arguments.kind), {}
    if arguments.spec is not None:
        try:
            values = json.loads(Path(arguments.spec).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise _WrongArguments(f"--spec {arguments.spec} is not readable: {error}") from None
        if not isinstance(values, dict):
            raise _WrongArguments(f"--spec {arguments.spec} holds no JSON object")
        if (kind := values.pop("kind", arguments.kind)) != arguments.kind:
            raise _WrongArguments(f"--spec {arguments.spec} is for {kind}, not {arguments.kind}")
    typed = {}
    for entry in arguments.set:
        name, equals, text = entry.partition("=")
        if not equals:
            raise _WrongArguments(f"--set {entry}: write it as field=value")
        typed[name] = read_value(cls, name, text)
    return replace(technique.from_json(values, arguments.kind), **typed)


def _run(arguments: argparse.Namespace) -> int:
    from engine.headless import run_to_file

    spec = _spec(arguments)
    out = _writable(arguments.out)
    if spec.needs and not arguments.model:
        raise _WrongArguments(f"{arguments.kind} reads a model: add --model FOLDER")
    if arguments.model and not spec.needs:
        raise _WrongArguments(f"{arguments.kind} reads no model: leave --model out")
    run, error = run_to_file(spec, arguments.model, out, sys.stderr)
    if run.status == "finished":
        print(f"{out}: {run.seconds:.1f} s", file=sys.stderr)
        return 0
    kept = "" if run.result is None else f"; what was computed until then is in {out}"
    if error is None:
        return _fail(1, f"stopped{kept or '; nothing was written'}")
    return _failure(error, kept)


def _writable(path: str) -> Path:
    from engine.script import check_writable

    try:
        check_writable(path)
    except FileError as error:
        raise _WrongArguments(f"--out {error}") from None
    return Path(path)


# --- models --------------------------------------------------------------------------------------


def _cache(arguments: argparse.Namespace) -> int:
    from engine.headless import cache_to_file

    prompt = arguments.prompt
    if arguments.tokens is not None:
        if arguments.bos:
            raise _WrongArguments("--bos goes with --prompt; --tokens are read as they are")
        try:
            prompt = [int(token) for token in arguments.tokens.split(",")]
        except ValueError:
            raise _WrongArguments(f"--tokens {arguments.tokens}: write ids as 1,2,3") from None
    out, bos = _writable(arguments.out), arguments.bos or "auto"
    told = cache_to_file(arguments.model, prompt, bos, arguments.names, out)
    print(f"{out}: {told}", file=sys.stderr)
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    from engine.headless import about_model

    about = about_model(arguments.folder)
    if arguments.json:
        print(json.dumps(about, indent=2))
    else:
        _print_model(about)
    if not about["self_check"]["passed"]:
        return _fail(1, f"the self-check failed: {about['self_check']['summary']}")
    return 0


def _print_model(about: Mapping[str, Any]) -> None:
    print(f"{about['name']}: {about['architecture'] or 'a transformer'} in {about['folder']}")
    print(f"  parameters   {about['parameters']:,}")
    print(f"  files        {about['file_bytes'] / 1e6:,.1f} MB")
    print(f"  memory       {about['memory_bytes'] / 1e6:,.1f} MB")
    for name, value in about["config"].items():
        if value not in (None, "", []) and value is not False and name != "architecture":
            print(f"  {name:<28} {value}")
    print(f"  self-check   {'passed' if about['self_check']['passed'] else 'FAILED'}")
    for one in about["self_check"]["checks"]:
        mark = "ok" if one["passed"] else "NO"
        print(f"    {mark}  {one['name']:<44} {one['deviation']:.1e} (limit {one['limit']:.0e})")


def _tour(arguments: argparse.Namespace) -> int:
    return _gui("tour")(arguments.out)


_COMMANDS = {
    "techniques": _techniques,
    "describe": _describe,
    "run": _run,
    "cache": _cache,
    "inspect": _inspect,
    "tour": _tour,
}

if __name__ == "__main__":
    sys.exit(main())

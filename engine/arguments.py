"""What may be typed after `mechanoscope`: the commands, their options and one line of help each."""

from __future__ import annotations

import argparse
from typing import NoReturn

import engine

ARRAYS = ("npz", "csv")
"""What `run --out` writes."""
EXPORTS = (*ARRAYS, "py", "ipynb", "sh", "json")
"""What a run may leave a session as."""
_ALONE = {
    "--window": "open the window; what is wrong with a path is said there",
    "--new-window": "a window of its own, where one is open already",
    "--self-test": "try every panel and every technique without a display; takes a minute",
}
WINDOW_FLAGS = tuple(_ALONE)
"""What may stand before the window's paths; gui/app.py reads it."""


class WrongArguments(Exception):
    """What was typed makes no sense; exit code 2."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise WrongArguments(f"{message}; see {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """Every command with its words; it raises WrongArguments where argparse would exit."""
    whole = _Parser(
        prog="mechanoscope",
        usage="mechanoscope [FOLDER | FILE.mscope]\n"
        "       mechanoscope --window | --new-window [FOLDER | FILE.mscope]\n"
        "       mechanoscope COMMAND ...",
        description="Open a neural network and read it. Without a command: the window.",
        allow_abbrev=False,
    )
    for flag, words in _ALONE.items():
        whole.add_argument(flag, action="store_true", help=words)
    whole.add_argument("--version", action="version", version=f"mechanoscope {engine.__version__}")
    commands = whole.add_subparsers(
        dest="command", metavar="COMMAND", required=True, prog="mechanoscope"
    )

    def command(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, allow_abbrev=False)

    command("techniques", "List the techniques.")
    one = command("describe", "A technique's fields, limits, defaults and result, as JSON.")
    one.add_argument("kind", metavar="KIND", help="a name that `techniques` lists")
    one = command("run", "Run a technique and keep its result: --out, --session or both.")
    _what_runs(one)
    one.add_argument(
        "--change", metavar="STEP:FIELD=VALUE", action="append", default=[],
        help="change a field that `describe` calls live when that step is done; may be repeated",
    )  # fmt: skip
    one.add_argument(
        "--intervene", metavar="JSON", action="append", default=[],
        help='change an activation, such as {"name": "blocks.0.hook_attn_out", "action": "zero", '
        '"head": null, "positions": [1, 2]}; action scale takes a factor; may be repeated',
    )  # fmt: skip
    one.add_argument("--out", metavar="FILE.npz", help="where the arrays go; .csv: as a table")
    one.add_argument(
        "--session", metavar="FILE.mscope",
        help="add the run to this session, made if it is not there; `export` writes it from there",
    )  # fmt: skip
    one.add_argument(
        "--checkpoints", metavar="FOLDER",
        help="keep what a training writes on its way: start from one with --set start=..., or make "
        "a model of one with `save`",
    )  # fmt: skip
    one = command("sweep", "Run a technique for every combination of field values and seeds.")
    _what_runs(one)
    one.add_argument(
        "--grid", metavar="FIELD=[VALUE, ...]", action="append", default=[],
        help="a field and the values it takes, as JSON; each one is an axis of the arrays",
    )  # fmt: skip
    one.add_argument(
        "--seeds", metavar="N", type=int, default=1,
        help="seeds of every combination, counted from the spec's own; default: 1",
    )  # fmt: skip
    one.add_argument(
        "--keep", choices=("metrics", "results"), default="metrics",
        help="metrics: every metric and every result that is one number; results: all arrays too",
    )  # fmt: skip
    one.add_argument(
        "--executor", metavar="WHERE", default="processes",
        help="processes (of this machine; the default), inline (one after the other), or "
        "dask://host:port (needs the extra `dask`; whoever controls that scheduler can run any "
        "code on this machine and on the workers: name your own alone); the numbers are the same",
    )  # fmt: skip
    one.add_argument(
        "--workers", metavar="N", type=int, default=0, help="processes; default: one per core"
    )
    one.add_argument("--out", metavar="FILE.npz", required=True, help="where the arrays go")
    one = command("session", "List the runs of a session file.")
    one.add_argument("file", metavar="FILE.mscope")
    one.add_argument("--json", action="store_true", help="the same as JSON")
    one = command("export", "Write one run of a session: arrays, table, script, notebook.")
    one.add_argument("file", metavar="FILE.mscope")
    one.add_argument("run", metavar="RUN", type=int, help="its id, as `session` lists it")
    one.add_argument(
        "--as", dest="how", metavar="FORM", choices=EXPORTS,
        help="npz or csv: the result; py, ipynb or sh: the script, notebook or command that "
        "computes it again; json: where it comes from; default: as --out ends",
    )  # fmt: skip
    one.add_argument("--out", metavar="FILE", required=True, help="where it goes")
    one = command("save", "Write a checkpoint of a training as a model folder.")
    one.add_argument("checkpoint", metavar="CHECKPOINT", help="a file that `--checkpoints` kept")
    one.add_argument("folder", metavar="FOLDER", help="a folder that is empty or not there")
    one.add_argument(
        "--layout", choices=("hooked", "huggingface"), default="hooked",
        help="hooked: TransformerLens' layout (the default); huggingface: as `transformers` opens",
    )  # fmt: skip
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
    one = command("inspect", "What a model is, with its self-check, or a sparse autoencoder.")
    one.add_argument("folder", metavar="FOLDER")
    one.add_argument("--json", action="store_true", help="the same as JSON")
    one = command("script", "Run a Python script, such as one that `export` wrote.")
    one.add_argument("file", metavar="FILE.py")
    one.add_argument(
        "arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="what the script is given"
    )
    one = command("tour", "The guided tour without a display: pictures and report.html.")
    one.add_argument("--out", metavar="DIR", required=True, help="the folder for them")
    return whole


def _what_runs(command: argparse.ArgumentParser) -> None:
    """The technique, the model and the values of its fields."""
    command.add_argument("kind", metavar="KIND", help="a name that `techniques` lists")
    command.add_argument("--model", metavar="FOLDER", help="the network to read")
    command.add_argument(
        "--spec", metavar="FILE.json",
        help="values of fields by name, as JSON; `describe KIND` tells which there are",
    )  # fmt: skip
    command.add_argument(
        "--set", metavar="FIELD=VALUE", action="append", default=[],
        help="one field; the value is JSON if that fits the field, else text; wins over --spec; "
        "may be repeated",
    )  # fmt: skip

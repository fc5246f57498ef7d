"""The tour as one file: pictures inside, no scripts, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from html import escape
from pathlib import Path

import pyqtgraph
import PySide6
from PySide6.QtCore import qVersion

from engine import blas, export
from engine.refs import placed, refs_in
from engine.session import Run, versions
from engine.technique import to_json
from gui import theme
from gui.focus import Opened
from gui.tour.walk import Photo, Step
from resources import path

MODELS = "resources/models"
TITLE = "A guided tour of Mechanoscope"
INTRODUCTION = (
    "Mechanoscope opens a neural network and reads it: which words it considers, where it looks, "
    "which of its parts decide. These pictures were made a moment ago by the program itself, in "
    "its real window, from a small model that comes with it. The sentences in the boxes are what "
    "the program computed; the scripts give the same numbers again."
)
STYLE = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--window); color: var(--text);
  font: 15px/1.55 Inter, system-ui, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 1120px; margin: 0 auto; padding: 48px 24px 96px; }
h1 { font-size: 28px; font-weight: 600; margin: 0 0 12px; }
h2 { font-size: 20px; font-weight: 600; margin: 0 0 8px; }
p { max-width: 72ch; margin: 0 0 16px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
section, nav { margin-top: 56px; }
nav ol { columns: 2; column-gap: 32px; margin: 0; padding-left: 24px; }
.number { color: var(--accent); margin-right: 8px; }
.muted, figcaption, summary { color: var(--muted); font-size: 13px; }
.said { background: var(--panel); border: 1px solid var(--line);
  border-left: 3px solid var(--accent); border-radius: 4px; padding: 8px 16px; margin: 0 0 8px; }
.said b { font-weight: 600; margin-right: 8px; }
.problem { border-left-color: var(--bad); }
figure { margin: 16px 0; }
img { display: block; max-width: 100%; height: auto; border: 1px solid var(--line);
  border-radius: 6px; }
figcaption { margin-top: 4px; }
.panels { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: flex-start; }
.panels figure { margin: 8px 0; max-width: 100%; }
details { margin: 8px 0; }
summary { cursor: pointer; padding: 4px 0; }
pre { font: 12px/1.5 "JetBrains Mono", ui-monospace, monospace; background: var(--panel);
  border: 1px solid var(--line); border-radius: 4px; padding: 12px 16px;
  margin: 4px 0 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 8px 0 24px; font-size: 14px; }
th, td { text-align: left; padding: 4px 24px 4px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--muted); font-weight: 500; }
td.figure { text-align: right; }
.good { color: var(--good); } .bad { color: var(--bad); }
@media (max-width: 720px) { nav ol { columns: 1; } }
"""


def write_report(file: Path, steps: Sequence[Step], opened: Opened | None, problem: str) -> None:
    """The whole tour as one page of HTML."""
    seen: dict[bytes, int] = {}
    parts = [f"<h1>{escape(TITLE)}</h1>", f"<p>{escape(INTRODUCTION)}</p>"]
    if problem:
        parts.append(f'<p class="said problem"><b>Stopped</b>{escape(problem)}</p>')
    entries = (f'<li><a href="#step-{s.number}">{escape(s.title)}</a></li>' for s in steps)
    total = sum(step.seconds for step in steps)
    parts.append(f'<p class="muted">{len(steps)} steps in {total:.1f} s</p>')
    parts.append(f"<nav><ol>{''.join(entries)}</ol></nav>")
    parts += [_section(step, seen) for step in steps]
    parts.append(f'<section id="versions"><h2>Versions</h2>{_versions()}</section>')
    if opened is not None and opened.check is not None:
        parts.append(_self_check(opened))
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(TITLE)}'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_fonts()}{_colours()}{STYLE}</style></head>\n<body><main>\n"
    )
    file.write_text(page + "\n".join(parts) + "\n</main></body></html>\n", encoding="utf-8")


def _fonts() -> str:
    """The program's own typeface, so that the page looks the same everywhere."""
    faces = []
    for file, weight in (("Inter-Regular.ttf", 400), ("Inter-SemiBold.ttf", 600)):
        data = base64.b64encode(path("fonts", file).read_bytes()).decode("ascii")
        faces.append(
            f"@font-face {{ font-family: Inter; font-weight: {weight}; "
            f"src: url(data:font/ttf;base64,{data}); }}\n"
        )
    return "".join(faces)


def _colours() -> str:
    def tokens(now: theme.Theme) -> str:
        wanted = ("window", "panel", "text", "muted", "line", "accent", "good", "bad")
        return "".join(f"--{name}: {asdict(now)[name]}; " for name in wanted)

    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {tokens(theme.DARK)}}} }}"
    return f":root {{ color-scheme: light dark; {tokens(theme.LIGHT)}}}\n{dark}"


def _section(step: Step, seen: dict[bytes, int]) -> str:
    parts = [
        f'<section id="step-{step.number}"><h2><span class="number">{step.number}</span>'
        f"{escape(step.title)}</h2><p>{escape(step.words)}</p>"
    ]
    parts += [
        f'<p class="said"><b>{escape(title)}</b>{escape(text)}</p>' for title, text in step.said
    ]
    parts += [_figure(photo) for photo in step.windows]
    fresh = [photo for photo in step.panels if seen.setdefault(photo.png, step.number)]
    fresh = [photo for photo in fresh if seen[photo.png] == step.number]
    if fresh:
        rest = len(step.panels) - len(fresh)
        same = f" ({rest} others look as before)" if rest else ""
        pictures = "".join(_figure(photo) for photo in fresh)
        parts.append(
            f"<details><summary>Panel by panel{same}</summary>"
            f'<div class="panels">{pictures}</div></details>'
        )
    parts += [_run(run) for run in step.runs]
    parts.append(f'<p class="muted">{step.seconds:.1f} s for this step</p></section>')
    return "".join(parts)


def _figure(photo: Photo) -> str:
    data = base64.b64encode(photo.png).decode("ascii")
    return (
        f'<figure><img width="{photo.width}" height="{photo.height}" alt="{escape(photo.title)}" '
        f'src="data:image/png;base64,{data}"><figcaption>{escape(photo.title)}, {photo.file}'
        "</figcaption></figure>"
    )


def _run(run: Run) -> str:
    run = _nowhere(run)
    name = run.model.name if run.model is not None else ""
    folder = f"{MODELS}/{name}"
    title = run.spec.title or run.kind
    how = {"finished": "took", "cancelled": "stopped after", "failed": "failed after"}[run.status]
    fields = {k: v for k, v in to_json(run.spec).items() if k not in ("kind", "version")}
    rows = _rows((name, "none" if value is None else str(value)) for name, value in fields.items())
    return (
        f"<details><summary>{escape(title)} {how} {run.seconds:.3f} s: settings, script, command"
        f"</summary><table>{rows}</table>"
        f"<pre>{escape(export.to_script(run, folder))}</pre>"
        f"<pre>{escape(export.to_command(run, folder))}</pre></details>"
    )


def _nowhere(run: Run) -> Run:
    """With its files at places that are no folder of this machine's."""
    shipped = path(".").resolve()
    places = {}
    for ref in refs_in((run.spec, tuple(run.interventions))):
        where = Path(ref.where)
        ours = where.is_relative_to(shipped)
        places[ref.digest] = (
            f"resources/{where.relative_to(shipped).as_posix()}" if ours else ref.name
        )
    if not places:
        return run
    return replace(
        run, spec=placed(run.spec, places), interventions=placed(run.interventions, places)
    )


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in pairs)


def _versions() -> str:
    own = versions()
    found = {
        "Mechanoscope": own["mechanoscope"],
        "Python": own["python"],
        "NumPy": own["numpy"],
        "PySide6": PySide6.__version__,
        "Qt": qVersion(),
        "pyqtgraph": pyqtgraph.__version__,
        "System": f"{platform.system()} on {platform.machine()}, {blas.cores()} cores",
    }
    return f"<table>{_rows(found.items())}</table>"


def _self_check(opened: Opened) -> str:
    rows = ["<tr><th>Identity</th><th>Largest deviation</th><th>Limit</th><th></th></tr>"]
    for entry in opened.check.checks:
        tone, word = ("good", "passed") if entry.passed else ("bad", "failed")
        rows.append(
            f'<tr><td>{escape(entry.name)}</td><td class="figure">{entry.deviation:.1e}</td>'
            f'<td class="figure">{entry.limit:.0e}</td><td class="{tone}">{word}</td></tr>'
        )
    return (
        f'<section id="self-check"><h2>Self-check of {escape(opened.name)}</h2><p>Each identity '
        "holds for every transformer; a deviation would mean a fault in the reading of this model."
        f"</p><table>{''.join(rows)}</table></section>"
    )

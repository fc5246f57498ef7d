"""`--self-test`: open the bundled model in the real window and run every panel once."""

from __future__ import annotations

import sys
from typing import Any

from gui import library
from gui.app import run_until

SECONDS = 60.0


def self_test(window: Any) -> int:
    """0 when the window opened a model and every panel drew a result; else 1, saying which."""
    problems: list[str] = []
    models = library.bundled()
    if models:
        window.open_path(models[0])
        if not run_until(lambda: window.desk.model is not None, SECONDS):
            problems.append(f"{models[0].name} did not open")
    ready = window.desk.model is not None
    readings = [window.panel(kind) for kind in window.kinds if kind.kind and ready]
    for panel in readings:
        panel.form.make_quick()
    idle = [panel for panel in readings if panel.run() is None]
    problems += [f"{panel.title} did not start: {panel.message.text.text()}" for panel in idle]
    if not run_until(lambda: not any(panel.running for panel in window.panels), SECONDS):
        problems.append("a run did not end")
    blank = [panel for panel in readings if panel.result is None]
    problems += [f"{panel.title} drew nothing: {panel.message.text.text()}" for panel in blank]
    window.grab()
    said = "; ".join(problems) or f"self-test passed: {len(window.kinds)} panels"
    sys.stderr.write(f"mechanoscope: {said}\n")
    return 1 if problems else 0

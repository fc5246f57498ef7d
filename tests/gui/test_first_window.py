"""The first picture comes early: it waits for nothing that it does not show."""

import json
import subprocess
import sys

HEAVY = (
    "scipy", "tokenizers", "safetensors", "pyqtgraph",  # 0.1 to 0.3 s each
    "asyncio", "concurrent", "email", "http", "multiprocessing", "unittest", "xml",
    "gui.guide", "gui.making_sets", "gui.self_test", "gui.tour",
)  # fmt: skip
FIRST_PAINT = """
import json, sys
from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication
from gui.app import main, run_until

class Watch(QObject):
    modules = None

    def eventFilter(self, thing, event):
        if self.modules is None and event.type() == QEvent.Type.Paint:
            self.modules, self.panels = list(sys.modules), [p.title for p in window.panels]
        return False

def look(*_):
    global window
    app, watch = QApplication.instance(), Watch()
    window = next(widget for widget in app.topLevelWidgets() if hasattr(widget, "welcome"))
    window.welcome.installEventFilter(watch)
    if not run_until(lambda: window.current is not None, 10):
        return 1
    made = [panel.title for panel in window.panels]
    print(json.dumps([watch.modules, watch.panels, made, list(window.welcome.tiles)]))
    return 0

QApplication.exec = look
sys.exit(main(["--new-window"]))
"""


def test_the_first_picture_waits_for_nothing_that_it_does_not_show(project, home):
    command = [sys.executable, "-c", FIRST_PAINT]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    modules, panels, made, tiles = json.loads(done.stdout)
    heavy = [name for name in modules if name.startswith(tuple(f"{one}." for one in HEAVY))]
    assert not [*heavy, *(set(HEAVY) & set(modules))]
    assert not panels
    assert tiles
    assert {"Model", "Prompts", "Runs"} < set(made)  # right after it, without being asked for

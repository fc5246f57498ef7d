"""No settings file, no home and no stream that is missing stops the start."""

import ast
import json
import logging
import os
import random
import re
import subprocess
import sys
import warnings
from itertools import cycle, islice
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from engine import technique
from gui import app, recovery, settings_file
from gui.exporting import remembered as export_layout
from gui.form import Form
from gui.kinds import panels
from gui.looks import theme_from_settings
from gui.sae_browse.labels import labels_of
from gui.settings import opened_at, read, read_bytes, remember, remembered, settings, write
from gui.settings import write_bytes as write_state
from gui.window import Window
from tests.gui.made_runs import made, settle

GOOD = (
    b'[General]\ntheme="\\"dark\\""\n\n[window]\narrangement=\\"Train\\"\n'
    b"geometry=@ByteArray(\\x1\\xd9)\n"
)
DAMAGE = {
    "random bytes": bytes(random.Random(0).randbytes(3000)),
    "zeros": bytes(600),
    "another text": b"Dear Sir,\nthis is a letter\n",
    "cut off in a key": GOOD + b"\n[form]\nLogitL",
    "cut off in a section": GOOD + b"\n[wind",
    "cut off in a string": GOOD + b'\n[form]\nLogitLens="{\\"a\\"',
    "cut off in bytes": GOOD[:-6],
    "an object of Qt": GOOD + b"x=@Variant(\\0\\0\\0\\t\\x7f\\xff\\xff\\xff)\n",
    "an object in disguise": GOOD + b"x=\\x40Variant(\\0\\0\\0\\t\\x7f\\xff\\xff\\xff)\n",
    "another encoding": GOOD.decode().encode("utf-16"),
    "no UTF-8": GOOD + b"x=\xe9\xff\n",
}
WICKED = [
    "{", "null", "true", "NaN", "1e999", "-1", str(10**40), '""', '"\\u0000"', '"\\ud800"',
    "[" * 9000, "[]", "[1, null, {}]", '["", "\\u0000", "gone", 7]', "{}", '{"a": "b"}',
    '{"gone": 1e300, "b": -1}', '{"3": 4, "x": "y"}', '"no such thing"', "12345", "plain", "",
]  # fmt: skip
"""Values of settings as they stand in the file."""
READERS = {"read", "read_bytes", "write", "write_bytes", "remember", "remembered", "opened_at"}
COMPUTED = {
    "window.py: f'window/{name}/{key}'": [
        f"window/{name}/{key}" for name in ("Read a model", "gone") for key in ("outer", "centre")
    ],
    "form.py: f'form/{self.kind.__name__}'": [],  # all of them are tried below
    "dialogs.py: key": [],  # by what is read there
    "labels.py: key": ["labels/0123"],
    "settings.py: f'{key} times'": ["recent/models times", "recent/sessions times"],
    "settings.py: key": [],
}
"""Names of settings that are put together while the program runs: one place in the code each."""


def keys(project):
    """Every name of a setting that the code reads or writes."""
    found, computed = set(), set()
    for path in sorted((project / "gui").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name != "settings.py" and not re.search(
            r"import.*\bsettings\b|gui.settings", source
        ):
            continue
        tree = ast.parse(source)
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        ours = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "gui.settings"
            for alias in node.names
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            do, first = node.func, node.args[0]
            mine = isinstance(do, ast.Name) and (
                do.id in READERS and (do.id in ours or path.name == "settings.py")
            )
            through = isinstance(do, ast.Attribute) and (
                ast.unparse(do.value) in ("settings", "settings()", "stored")
                and do.attr in {*READERS, "value", "setValue"}
            )
            if not mine and not through:
                continue
            if isinstance(first, ast.Constant):
                found.add(first.value)
            elif isinstance(first, ast.Name) and first.id in constants:
                found.add(constants[first.id])
            else:
                computed.add(f"{path.name}: {ast.unparse(first)}")
    return found, computed


@pytest.fixture
def file(home):
    path = settings_file.place()
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def nowhere(home, monkeypatch):
    """A home that cannot be written, whoever asks: what should be folders are below a file."""
    (home / "file").touch()
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home / "file" / name))
    place = str(home / "file" / "settings")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, place)
    return home / "file"


def test_the_file_is_where_qt_has_it(file):
    write("theme", "dark")
    assert str(file) == settings().fileName()
    assert file.is_file()


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_kept_and_what_is_whole_in_it_goes_on(file, content):
    file.write_bytes(content)
    assert settings_file.look_over() == (
        "The settings file was damaged; it is kept as Mechanoscope.ini.damaged"
    )
    assert file.with_name("Mechanoscope.ini.damaged").read_bytes() == content
    assert settings_file.look_over() == ""  # said once
    assert settings().allKeys() is not None
    assert settings().status() == QSettings.Status.NoError
    whole = content.startswith(GOOD[:40])
    assert read("theme", "light") == ("dark" if whole else "light")


def test_a_second_damaged_file_does_not_replace_the_first(file):
    for content in (b"one", b"two"):
        file.write_bytes(content)
        settings_file.look_over()
    kept = [path.read_bytes() for path in sorted(file.parent.glob("*.damaged*"))]
    assert kept == [b"one", b"two"]


def test_a_sound_file_stays_as_it_is(file):
    rng = random.Random(1)
    letters = "ab \\/\"'=;,#@[]{}%\t\n\x01ä漢😀"
    texts = ["".join(rng.choices(letters, k=30)) for _ in range(40)]
    for number, text in enumerate(texts):
        write(f"labels/{text[:9]}{number}".replace("\n", ""), {text: text})
        write_state(f"window/{number}", QByteArray(rng.randbytes(90)))
    write("note", texts)
    settings().sync()
    before = file.read_bytes()
    assert settings_file.look_over() == ""
    assert file.read_bytes() == before
    assert read("note", []) == texts


def test_a_folder_in_the_files_place_is_moved_aside(file):
    (file / "inside").mkdir(parents=True)
    assert "kept as Mechanoscope.ini.damaged" in settings_file.look_over()
    assert (file.parent / "Mechanoscope.ini.damaged" / "inside").is_dir()
    write("theme", "dark")
    assert read("theme", "light") == "dark"


def test_damage_that_cannot_be_moved_is_never_read(file, monkeypatch):
    content = DAMAGE["an object of Qt"]
    file.write_bytes(content)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refused)
    assert "cannot be moved (Permission denied)" in settings_file.look_over()
    assert read("theme", "light") == "light"
    write("theme", "dark")
    assert file.read_bytes() == content


def test_a_place_that_cannot_be_written_is_said(nowhere):
    assert "Settings cannot be read" in settings_file.look_over()
    write("theme", "dark")  # lost, but no error


def test_a_changed_byte_of_a_windows_state_is_noticed():
    state = QByteArray(random.Random(2).randbytes(60))
    write_state("window/geometry", state)
    assert read_bytes("window/geometry") == state
    stored = bytes(settings().value("window/geometry").data())
    for at in range(len(stored)):
        changed = stored[:at] + bytes([stored[at] ^ 4]) + stored[at + 1 :]
        settings().setValue("window/geometry", QByteArray(changed))
        assert read_bytes("window/geometry") is None
    settings().setValue("window/geometry", "text")
    assert read_bytes("window/geometry") is None


def test_every_setting_that_the_code_reads_is_tried_here(project):
    found, computed = keys(project)
    assert {"theme", "window/geometry", "recent/models", "export/layout"} <= found
    assert computed == set(COMPUTED)


@pytest.mark.parametrize(
    "shift",
    [0, *(pytest.param(n, marks=pytest.mark.hard) for n in range(1, len(WICKED)))],
)
def test_a_window_opens_whatever_the_settings_hold(qtbot, project, shift):
    found, _ = keys(project)
    names = sorted({*found, *(name for more in COMPUTED.values() for name in more)})
    for name, value in zip(names, islice(cycle(WICKED), shift, None), strict=False):
        settings().setValue(name, value)
    theme_from_settings()
    window = Window()
    qtbot.addWidget(window)
    window.show()
    window.furnish()
    window.menus._fill_models(window.menus.addMenu("models"))
    window.menus._fill_sessions(window.menus.addMenu("sessions"))
    assert window.isVisible()
    window.close()


def test_lists_times_and_layouts_take_any_value():
    for value in WICKED:
        for key in ("recent/models", "recent/sessions", "export/layout", "export/dpi", "labels/0"):
            settings().setValue(key, value)
            settings().setValue(f"{key} times", value)
            assert all(isinstance(entry, str) and entry for entry in remembered(key))
            assert all(recovery.when(at) is not None for at in opened_at(key).values())
        places = (*recovery.recent_models(), *recovery.recent_sessions(), *recovery.unclosed())
        assert all(isinstance(place, recovery.Place | Path) for place in places)
        assert export_layout()[1] > 0
        assert isinstance(labels_of("labels/0"), dict)
        remember("recent/models", "new")
        assert remembered("recent/models")[0] == "new"


@pytest.mark.parametrize(
    "part", [0, *(pytest.param(n, marks=pytest.mark.hard) for n in range(1, 4))]
)
def test_a_form_takes_any_value_that_is_stored_for_it(qtbot, part):
    parent = QWidget()
    qtbot.addWidget(parent)
    kinds = {panel.kind for panel in panels() if panel.kind}
    for name in sorted(kinds)[part::4]:
        form = Form(technique.of(name))
        form.setParent(parent)
        usual = form.standing()
        for text in WICKED[:12]:
            settings().setValue(f"form/{name}", text)
            form.restore(settings())
        for text in ("null", "-1", str(10**40), "1e999", '"no such"', "[[1]]", '{"kind": 3}'):
            values = f"{{{', '.join(f'{json.dumps(key)}: {text}' for key in form.entries)}}}"
            settings().setValue(f"form/{name}", values)
            form.restore(settings())
        form.save(settings())
        assert type(usual) is type(form.kind()) or usual is None


def test_a_window_on_a_screen_that_is_gone_comes_back_in_sight(qtbot):
    lost = QWidget()
    qtbot.addWidget(lost)
    lost.setGeometry(9000, 7000, 1200, 900)
    for geometry in (lost.saveGeometry(), QByteArray(b"nonsense")):
        write_state("window/geometry", geometry)
        window = Window()
        qtbot.addWidget(window)
        window.show()
        free = QGuiApplication.primaryScreen().availableGeometry()
        assert free.intersected(window.frameGeometry()).height() > 100
        assert window.frameGeometry().top() >= free.top()
        window.close()
    window.move(-5000, -5000)
    window._come_in_sight()
    assert free.contains(window.frameGeometry().center())


def test_a_home_that_cannot_be_written_is_said_and_runs_stay_in_memory(
    qtbot, nowhere, counting, tmp_path
):
    hooks = app.Hooks(lambda error: None)
    hooks.remove()  # no log file is no error
    window = Window()
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: "memory only" in window.status.session.text(), timeout=2000)
    assert "Save session as…" in window.status.session.toolTip()
    window.records.add(made(counting))
    qtbot.waitUntil(lambda: "In memory only" in window.status.session.text(), timeout=2000)
    window.records.save_as(tmp_path / "kept.mscope")
    settle(qtbot, window.records)
    assert window.status.session.text() == "kept  ·  saved"
    window.close()


def test_a_program_without_a_console_logs_and_warns_without_failing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    app._tell("nobody reads this")
    hooks = app.Hooks(lambda error: None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            logging.captureWarnings(True)
            warnings.warn("something", UserWarning, stacklevel=1)
        app.log.error("a line")
    finally:
        hooks.remove()
    assert "a line" in app.log_file().read_text(encoding="utf-8")
    app.log.error("after the end")


@pytest.mark.hard
@pytest.mark.parametrize("name", ["an object of Qt", "random bytes", "zeros"])
def test_the_whole_program_starts_on_a_damaged_file_and_says_so(project, tmp_path, name):
    place = tmp_path / "Mechanoscope" / "Mechanoscope.ini"
    place.parent.mkdir()
    place.write_bytes(DAMAGE[name])
    code = (
        "import sys; out = sys.stdout; sys.stdout = sys.stderr = None\n"
        "from gui import app; from gui.given import Application; from gui.window import Window\n"
        "from PySide6.QtWidgets import QApplication\n"
        "def look():\n"
        "    window = next(w for w in QApplication.topLevelWidgets() if isinstance(w, Window))\n"
        "    said = lambda: 'damaged' in window.status.offered.text()\n"
        "    out.write(str(app.run_until(said, 20)) + window.status.offered.text())\n"
        "    return 0\n"
        "Application.exec = staticmethod(look)\n"
        "raise SystemExit(app.main(['--window']))\n"
    )
    surroundings = {
        **os.environ, "PYTHONPATH": str(project), "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("TrueThe settings file was damaged")

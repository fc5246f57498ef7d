"""The About box and the licences: what they say is true, can be copied, and every text is there."""

import platform
import sys
from importlib import metadata

import numpy as np
import pytest
from PySide6.QtCore import Qt, qVersion
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit, QPushButton, QWidget

import engine
from engine import licences, versions
from engine.licences import Part
from gui import about, preferences, theme
from gui.about import About
from gui.licences import Licences


@pytest.fixture
def parent(qtbot):
    made = QWidget()
    qtbot.addWidget(made)
    made.resize(1600, 1000)
    made.show()
    return made


@pytest.fixture
def box(parent):
    made = About(parent)
    made.show()
    return made


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Three parts in a packaged program: reading all that is installed is tested once."""
    (tmp_path / "licences").mkdir()
    (tmp_path / "licences" / "index.json").write_text(
        '[{"name": "Mechanoscope", "version": "1", "licence": "MIT", "files": ["m.txt"]},'
        ' {"name": "scipy", "version": "9.8.7", "licence": "BSD", "files": ["s.txt", "gone.txt"]},'
        ' {"name": "Lucide icons", "version": "", "licence": "", "files": []}]'
    )
    (tmp_path / "licences" / "m.txt").write_text("Permission is hereby granted")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    versions._bundled.cache_clear()
    yield tmp_path / "licences"
    versions._bundled.cache_clear()


def said(row):
    return dict(about.facts())[row]


def click(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_the_box_names_the_versions_that_really_run():
    assert said("Python") == platform.python_version()
    assert said("Qt").startswith(qVersion())
    assert said("NumPy") == np.__version__ == versions.version_of("numpy")
    assert all(versions.version_of(name) for name in versions.LIBRARIES)
    assert "not found" not in dict(about.facts()).values()
    assert platform.machine() in said("Machine")
    assert said("Started").startswith("from source, ")


def test_scipys_version_is_told_without_importing_it(monkeypatch):
    # Half of a second, for a number that stands in a file.
    monkeypatch.setitem(sys.modules, "scipy", None)  # an import would fail
    assert said("SciPy") == versions.version_of("scipy")


def test_the_blas_is_numpys_own_with_kernels_and_threads(monkeypatch):
    loaded = [
        {"filepath": "/x/scipy.libs/b.so", "internal_api": "openblas", "num_threads": 9},
        {
            "filepath": "/x/numpy.libs/a.so", "internal_api": "openblas", "version": "0.3.31",
            "architecture": "Haswell", "num_threads": 1,
        },
    ]  # fmt: skip
    told(monkeypatch, loaded)
    assert str(versions.blas_library()) == "OpenBLAS 0.3.31, Haswell kernels, 1 thread"


def test_a_blas_that_is_not_told_is_named_as_numpy_was_built(monkeypatch):
    told(monkeypatch, [])
    for built, words in (
        ("accelerate", "Apple Accelerate"),
        ("blis", "blis 1.2"),
        (None, "unknown"),
    ):
        config = {"Build Dependencies": {"blas": {"name": built, "version": "1.2"}}}
        config = config if built else {}
        monkeypatch.setattr(np, "show_config", lambda mode, config=config: config)
        assert str(versions.blas_library()) == words


def told(monkeypatch, libraries):
    class Controller:
        def select(self, **_):
            return self

        def info(self):
            return libraries

    monkeypatch.setattr(versions, "ThreadpoolController", Controller)


def test_everything_in_it_can_be_selected_and_copied(qtbot, box):
    for name, value in [*about.facts(), *about.places()]:
        shown = box.values[name]
        assert shown.text() == str(value)
        if not isinstance(shown, QLineEdit):
            assert shown.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
    click(qtbot, box.copy_button)
    text = QApplication.clipboard().text()
    assert text.startswith(f"Mechanoscope {engine.__version__}\nPython: ")
    assert all(f"{name}: {value}" in text for name, value in about.places())
    assert box.said.text() == "Copied."


def test_a_folder_that_is_there_opens_and_the_others_say_why_not(qtbot, parent, monkeypatch):
    opened = []
    monkeypatch.setattr(preferences, "open_folder", lambda folder: opened.append(folder))
    where = dict(about.places())["Sessions"]
    assert not any(button.isEnabled() for button in folders(About(parent)))
    where.mkdir(parents=True)
    box = About(parent)
    box.show()
    sessions, _, log = folders(box)
    click(qtbot, sessions)
    assert opened == [where]
    assert "No file browser" in box.said.text()  # what open_folder gave was None
    assert not log.isEnabled()
    assert "when something is written" in log.toolTip()


def folders(box):
    buttons = box.findChildren(QPushButton)
    return [button for button in buttons if button.accessibleName().startswith("Open folder")]


@pytest.mark.parametrize("zoom", [1.0, 1.3])
@pytest.mark.parametrize("look", [theme.LIGHT, theme.DARK])
def test_it_fits_a_small_screen_and_cuts_no_word(qapp, parent, look, zoom):
    theme.apply(qapp, look, zoom)
    box = About(parent)
    box.show()
    box.grab()
    assert box.width() <= 1366
    assert box.height() <= 768 - 48  # a laptop's screen, less a bar
    for shown in box.values.values():
        if not isinstance(shown, QLineEdit):
            assert shown.height() >= shown.heightForWidth(shown.width())
    theme.apply(qapp, theme.LIGHT)


def test_the_packaged_program_reads_its_own_list(qtbot, box, few, monkeypatch):
    def gone(_):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", gone)
    assert said("Started") == "the packaged program"
    assert said("SciPy") == "9.8.7"
    assert said("tokenizers") == "not found"
    click(qtbot, box.licences_button)
    viewer = box.licences
    assert [part.name for part in viewer.parts] == ["Mechanoscope", "scipy", "Lucide icons"]
    assert viewer.text.toPlainText() == "Permission is hereby granted"
    choose(viewer, 1)
    assert viewer.heading.text() == "SciPy 9.8.7"
    assert "s.txt: No such file" in viewer.text.toPlainText()
    choose(viewer, 2)
    assert "no text of this licence" in viewer.text.toPlainText()
    (few / "index.json").write_text("[{}]")
    assert "cannot be read" in Licences(box).heading.text()


def choose(viewer, row):
    viewer.list.setCurrentItem(viewer.list.topLevelItem(row))


def test_from_source_the_texts_are_those_of_what_is_installed(parent):
    viewer = Licences(parent)
    assert isinstance(viewer, QDialog)
    assert not viewer.isModal()
    found = {part.name: part for part in viewer.parts}
    assert [part.name for part in viewer.parts][:2] == ["Mechanoscope", "PySide6_Essentials"]
    asked = {
        "Python",
        "numpy",
        "scipy",
        "tokenizers",
        "pyqtgraph",
        "shiboken6",
        "Inter",
        "colorama",
    }
    assert asked <= found.keys()
    assert [part.name for part in viewer.parts if not part.files] == []
    assert "MIT License" in viewer.text.toPlainText()
    choose(viewer, 1)
    text = viewer.text.toPlainText()
    assert "separate files in the program's folder and can be\nreplaced" in text
    assert f"Qt {qVersion()} and" in text
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in text
    assert not viewer.text.document().isModified()
    viewer.grab()


def test_a_text_says_its_version_only_in_our_own_notice(tmp_path):
    for name in ("notice.txt", "LICENSE"):
        (tmp_path / name).write_text("{version}", "utf-8")
    files = tuple(str(tmp_path / name) for name in ("notice.txt", "LICENSE"))
    part = Part(name="x", version="7", licence="", files=files)
    assert part.texts() == [("notice.txt", "7"), ("LICENSE", "{version}")]


def test_the_window_opens_it_from_its_menu(parent):
    from gui.looks import Looks

    Looks.show_about(parent)  # all it asks of a window is to be one
    assert parent.about.isVisible()
    assert not parent.about.isModal()


def test_a_name_of_the_index_is_compared_as_the_index_does():
    assert licences.normal("PySide6_Essentials") == licences.normal("pyside6.essentials")

"""A model that knows nothing and a technique that counts: what the window needs and no more."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pytest
from PySide6.QtCore import Qt

from engine import technique
from engine.errors import RunError
from engine.technique import Technique, Update, array, param
from gui import examples, theme
from gui.focus import Desk, Opened
from gui.jobs import Jobs
from gui.thumbnails import Thumbnails
from tests.gui.every_panel import READINGS
from tests.gui.left_behind import frozen_imports, nothing_left_behind  # noqa: F401
from tests.gui.panel_kit import CountingPanel, make_quick

SHARED_OUT = {
    "test_figures.py": 12, "test_panels_compared.py": 12, "test_exporting.py": 12,
    "test_panels.py": 3,
}  # fmt: skip
"""Of the pairs of a test and a panel in these files one in so many runs; `make hard` runs all."""

AT_EVERY_SIZE = {
    "test_a_caption_spells_tokens_as_the_picture_does",
    "test_a_figure_holds_every_plot_and_nothing_to_press",
    "test_a_figure_holds_every_plot_as_text_and_nothing_to_press",
    "test_all_parts_stay_in_the_room_and_none_lies_over_another",
    "test_each_number_of_dimensions_has_its_picture",
    "test_every_head_has_its_own_place",
    "test_it_folds_without_overlap_at_every_size",
    "test_small_multiples_fit_or_are_chosen_one_by_one",
    "test_the_chosen_head_is_always_among_the_losses_that_have_room",
    "test_three_maps_stand_beside_each_other_at_every_size",
}
"""Of the cases of these tests a third runs, always the same; `make hard` runs all."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The tour first: it takes as long as fifty others, and a worker left with it holds up all.

    What these files test is one piece of code for all panels. So every test meets a part of the
    panels at each change, and every panel a part of the tests, always the same ones; all of them
    would take half of the gate's time.
    """
    items.sort(key=lambda item: "test_tour" not in item.nodeid)
    for item in items:
        if item.path.name in SHARED_OUT and "make" in getattr(item, "fixturenames", ()):
            pair = item.nodeid.rpartition("::")[2]
            if "[" in pair and zlib.crc32(pair.encode()) % SHARED_OUT[item.path.name]:
                item.add_marker(pytest.mark.hard)
        if (
            getattr(item, "originalname", "") in AT_EVERY_SIZE
            and zlib.crc32(item.nodeid.rpartition("::")[2].encode()) % 3
        ):
            item.add_marker(pytest.mark.hard)


@dataclass(frozen=True)
class FakeConfig:
    n_layers: int = 2
    n_heads: int = 2
    n_ctx: int = 16
    d_vocab: int = 8
    bos_token_id: int = 0


class FakeModel:
    """Eight words; forward passes take no time."""

    name, digest, n_params, tokenizer = "fake", "0" * 64, 1234, None

    def __init__(self, folder):
        self.folder = folder
        self.config = FakeConfig()
        self.words = ["<bos>", " the", " cat", " dog", " sat", " mat", "s", "."]

    def under(self, interventions=(), watch=None):
        self.watch = watch
        return self

    def vocabulary(self):
        return self.words

    def pieces(self, ids):
        return [self.words[int(i)] for i in ids]

    def token(self, text):
        if isinstance(text, int) or str(text).isdigit():
            return int(text)
        if text not in self.words:
            raise RunError(f"{text!r} is not one token")
        return self.words.index(text)

    def tokens(self, prompt, bos="auto"):
        if isinstance(prompt, tuple):
            return np.array(prompt, np.int64)
        if not prompt:
            raise RunError("the prompt is empty")
        start = [0] if bos != "no" else []
        return np.array(start + [self.token(f" {word}") for word in prompt.split()])  # [pos]


@pytest.fixture
def fake_model(tmp_path):
    return FakeModel(tmp_path / "fake")


@pytest.fixture
def counting():
    """A technique of 5 steps, or of very many; fails or is refused on request."""

    @dataclass(frozen=True)
    class CountingResult:
        count: int = array("", "how far it came")

    @dataclass(frozen=True, kw_only=True)
    class Counting(Technique):
        Result = CountingResult
        title = "Counting"
        steps_wanted: int = param(5, "how far to count", low=1, high=1_000_000_000)
        speed: float = param(1.0, "how fast", low=0.0, high=2.0, live=True)
        mode: str = param("plain", "what happens", choices=("plain", "fail", "bug", "stubborn"))
        note: str = param("", "a word", advanced=True)
        clean: str = param("", "a prompt", role="clean")

        def steps(self, model):
            for index in range(self.steps_wanted):
                if self.mode == "fail" and index == 2:
                    raise RunError("loss is NaN at step 2; lower lr")
                if self.mode == "bug":
                    raise ZeroDivisionError("a bug")
                change = yield Update(
                    index + 1,
                    self.steps_wanted,
                    lambda count=index + 1: CountingResult(count),
                    {"speed": self.speed},
                )
                self = change or self

    yield Counting
    technique._KINDS.pop("Counting")


@pytest.fixture
def panel(qtbot, desk, jobs, counting, fake_model):
    desk.put_model(Opened(fake_model.folder, None, fake_model))
    kind = type("CountingPanel", (CountingPanel,), {"kind": "Counting"})
    made = kind(desk, jobs)
    qtbot.addWidget(made)
    made.resize(480, 320)
    made.show()
    return made


@pytest.fixture(autouse=True)
def dressed(qapp):
    """The light theme, applied again only where a test changed it."""
    if qapp.property("theme") != "light" or not qapp.styleSheet():
        theme.apply(qapp, theme.LIGHT)


@pytest.fixture(autouse=True)
def plain_tiles(monkeypatch):
    """The welcome page without its pictures: a third of what a window costs.

    A module whose tests look at them has a fixture of this name that does nothing.
    """
    monkeypatch.setattr(Thumbnails, "begin", lambda self: None)


@pytest.fixture(scope="session")
def bundled():
    """The smallest model that travels with the program, opened once."""
    from engine.model import open_model
    from gui import library

    return open_model(library.bundled_model("induction-2l"))


@pytest.fixture
def window(qtbot):
    """The whole window, shown; closed like a user would."""
    from gui.window import Window

    made = Window()
    qtbot.addWidget(made)
    made.show()
    yield made
    made.close()


@pytest.fixture
def reading(qtbot, window, bundled):
    """The window with the bundled model open and its first prompts on the desk."""
    window.open_path(bundled.folder)
    qtbot.waitUntil(lambda: window.desk.model is not None, timeout=5000)
    return window


@pytest.fixture
def open_panel(qtbot, desk, jobs, bundled):
    """Make a panel, or the first there is, with the bundled model and its first example."""

    def build(make=READINGS[0]):
        panel = make(desk, jobs)
        qtbot.addWidget(panel)
        panel.resize(640, 420)
        panel.show()
        desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
        desk.set_prompts(examples.for_model(bundled)[0].pair)
        if make.kind:
            make_quick(panel)
        return panel

    return build


@pytest.fixture
def run(qtbot, open_panel):
    """Make a panel that shows its result."""

    def build(make=READINGS[0]):
        panel = open_panel(make)
        qtbot.mouseClick(panel.header.run_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: not panel.running, timeout=5000)
        assert panel.result is not None, panel.message.text.text()
        return panel

    return build


@pytest.fixture
def jobs(qapp):
    made = Jobs()
    yield made
    assert made.stop_all(2.0)


@pytest.fixture
def desk(qapp):
    return Desk()

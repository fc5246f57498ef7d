"""The guided tour: every panel photographed, one report that needs nothing else."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from engine.errors import RunError
from gui.kinds import panels
from gui.settings import settings
from gui.tour import guide, main
from gui.tour.stops import STOPS, Stop
from gui.tour.walk import blank

INLINE = re.compile(r"data:[a-z]+/[a-z]+;base64,([A-Za-z0-9+/=]+)")


@pytest.fixture
def plain_tiles():
    """With their pictures."""


def files_below(folder: Path) -> list[str]:
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    return [name for name in found if "fontconfig" not in name]  # the system's, not ours


def test_the_tour_photographs_every_panel_into_a_report_that_stands_alone(
    tmp_path, home, project, capsys
):
    stored = settings().fileName()
    assert main(tmp_path / "out") == 0
    assert capsys.readouterr().err == ""

    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert not [picture.name for picture in pictures if blank(QImage(str(picture)))]
    last = {picture.name[:2] for picture in pictures}
    assert last == {f"{number:02}" for number in range(1, len(STOPS) + 1)}
    for panel in panels():
        place = panel.__module__.rpartition(".")[2].replace("_", "-")
        assert any(picture.name.endswith(f"-{place}.png") for picture in pictures), panel.title

    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    inside = [base64.b64decode(data) for data in INLINE.findall(page)]
    assert (tmp_path / "out" / "09-window.png").read_bytes() in inside
    figure = next((tmp_path / "out").glob("*-figure.png"))
    assert figure.read_bytes() in inside
    assert figure.with_suffix(".svg").read_text(encoding="utf-8").count("<text") > 10
    assert figure.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    words = INLINE.sub("", page)
    for stop in STOPS:
        assert stop.title in words
    assert "<script" not in words
    assert "://" not in words
    for place in (home, tmp_path, project, Path.home()):
        assert str(place) not in words
    assert "passed</td>" in words
    assert "spec.run(model)" in words

    assert files_below(home) == [], "the tour left something in the user's home"
    assert settings().fileName() == stored


def test_a_step_that_fails_is_named_on_one_line_and_the_report_shows_it(
    tmp_path, monkeypatch, capsys
):
    def fail(walk):
        raise RunError("the lamp\nis out")

    monkeypatch.setattr(guide, "STOPS", (Stop("A dark room", "Nothing to see.", fail),))
    assert main(tmp_path) == 1
    said = capsys.readouterr().err
    assert said == "mechanoscope: the tour stopped: step 1, A dark room: the lamp is out\n"
    assert "the lamp is out" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_an_error_inside_a_slot_of_the_window_fails_the_step(tmp_path, monkeypatch, capsys):
    def stumble(walk):
        walk.window.desk.focus_changed.connect(lambda focus: 1 / 0)
        walk.window.desk.turn(layer=0)

    monkeypatch.setattr(guide, "STOPS", (Stop("A bug", "It stumbles.", stumble),))
    assert main(tmp_path) == 1
    assert "step 1, A bug: division by zero" in capsys.readouterr().err


def test_a_panel_that_no_step_has_run_fails_the_tour(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(guide, "STOPS", STOPS[:2])
    assert main(tmp_path) == 1
    assert "no step photographed a result of Logit lens" in capsys.readouterr().err

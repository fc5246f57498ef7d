"""Form: one declaration of a field gives its widget, its limits, its tooltip and its error."""

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLineEdit, QSpinBox

from engine import technique
from engine.errors import SpecError
from engine.technique import from_json, to_json
from gui.focus import PromptPair
from gui.form import Form
from gui.settings import settings
from gui.slider import Slider, Steps

KINDS = ("ActivationPatching", "AttentionPatterns", "LogitLens")
PAIR = PromptPair("the cat", "the dog", " sat", None, "no")


@pytest.fixture
def form(qtbot, counting):
    made = Form(counting)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_every_technique_makes_its_default_spec(qtbot, kind):
    made = Form(technique.of(kind))
    qtbot.addWidget(made)
    spec = made.spec(PromptPair())
    assert from_json(to_json(spec)) == spec


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_desk_knows_is_not_asked_again(qtbot, kind):
    made = Form(technique.of(kind))
    qtbot.addWidget(made)
    assert not {"prompt", "clean", "corrupted", "answer", "wrong", "bos"} & set(made.entries)
    spec = made.spec(PAIR)
    assert to_json(spec)["bos"] == "no"
    assert "the cat" in (getattr(spec, "prompt", None), getattr(spec, "clean", None))


def test_each_type_has_its_widget_and_its_help(form):
    controls = {name: type(entry.control) for name, entry in form.entries.items()}
    assert issubclass(controls["steps_wanted"], QSpinBox)
    assert issubclass(controls["mode"], QComboBox)
    assert issubclass(controls["note"], QLineEdit)
    assert not any(issubclass(kind, QCheckBox) for kind in controls.values())
    assert form.entries["speed"].control.toolTip() == "how fast"


def test_a_value_out_of_range_marks_its_field_with_the_reason(form):
    form.entries["speed"].control.setValue(3.0)
    with pytest.raises(SpecError):
        form.spec(PromptPair())
    entry = form.entries["speed"]
    assert entry.control.property("invalid")
    assert "above 2" in entry.reason.text()
    form.entries["speed"].control.setValue(1.5)
    assert to_json(form.spec(PromptPair()))["speed"] == 1.5
    assert not entry.control.property("invalid")


def test_arrows_stay_within_the_limits(form):
    control = form.entries["steps_wanted"].control
    control.setValue(1)
    control.stepBy(-1)
    assert control.value() == 1


def test_advanced_fields_are_folded(form):
    assert form.entries["note"].isHidden()
    form.unfold(True)
    assert form.entries["note"].isVisible()


def test_values_survive_a_restart_and_damage_does_not_matter(qtbot, form, counting):
    form.entries["steps_wanted"].control.setValue(42)
    form.entries["mode"].value = "fail"
    stored = settings()
    form.save(stored)
    again = Form(counting)
    qtbot.addWidget(again)
    again.restore(stored)
    assert again.spec(PromptPair()) == form.spec(PromptPair())
    stored.setValue("form/Counting", '{"steps_wanted": "many", "mode": "gone", "speed": 0.5}')
    other = Form(counting)
    qtbot.addWidget(other)
    other.restore(stored)
    values = to_json(other.spec(PromptPair()))
    assert (values["speed"], values["steps_wanted"]) == (0.5, 5)
    stored.setValue("form/Counting", "not json")
    other.restore(stored)


def test_a_spec_can_be_shown(form, counting):
    spec = counting(steps_wanted=7, speed=0.25, mode="bug", note="x", clean="the cat")
    form.show_spec(spec)
    assert form.spec(PromptPair(clean="the cat")) == spec


def test_choices_alone_take_one_row_and_their_tooltips_name_them(qtbot):
    from engine import technique

    form = Form(technique.of("ActivationPatching"))
    qtbot.addWidget(form)
    form.resize(380, 100)
    form.show()
    entries = [form.entries[name] for name in ("component", "metric", "direction")]
    assert not any(entry.caption.isVisible() for entry in entries)
    assert len({entry.y() for entry in entries}) == 1
    assert entries[1].control.toolTip().startswith("Metric: ")
    assert all(entry.control.accessibleName() for entry in entries)
    form.unfold(True)
    assert all(entry.caption.isVisible() for entry in entries)


# sliders


def test_a_live_number_with_both_limits_is_a_slider_and_can_be_typed(qtbot, form):
    control = form.entries["speed"].control
    assert isinstance(control, Slider)
    assert not isinstance(form.entries["steps_wanted"].control, Slider)
    heard = []
    form.changed.connect(lambda: heard.append(form.entries["speed"].value))
    qtbot.keyClick(control.track, Qt.Key.Key_Right)
    qtbot.keyClick(control.track, Qt.Key.Key_PageDown)
    qtbot.keyClick(control.track, Qt.Key.Key_End)
    assert heard[0] == pytest.approx(1.02)
    assert heard[1] < 1.0
    assert heard[2] == 2.0
    control.spin.selectAll()
    qtbot.keyClicks(control.spin, "0.123")
    assert form.entries["speed"].value == 0.123
    assert control.track.value() == control.steps.position(0.123)
    assert control.spin.accessibleName() == "Speed"
    assert control.track.accessibleName() == "Speed, slider"
    assert control.track.accessibleDescription() == "0.123"


def test_a_press_goes_where_it_is(qtbot, form):
    control = form.entries["speed"].control
    track = control.track
    qtbot.mouseClick(track, Qt.MouseButton.LeftButton, pos=QPoint(track.width() - 2, 9))
    assert control.value() == 2.0
    qtbot.mouseClick(track, Qt.MouseButton.LeftButton, pos=QPoint(track.width() // 2, 9))
    assert control.value() == pytest.approx(1.0, abs=0.05)


def test_the_wheel_moves_a_slider_only_where_the_keyboard_is(qtbot, form):
    control = form.entries["speed"].control

    def turn(widget):
        where = QPointF(5, 5)
        event = QWheelEvent(
            where, widget.mapToGlobal(where), QPoint(), QPoint(0, 120),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)

    form.entries["mode"].control.setFocus()
    for widget in (control.track, control.spin):
        turn(widget)
    assert control.value() == 1.0
    control.track.setFocus()
    qtbot.waitUntil(control.track.hasFocus, timeout=2000)
    turn(control.track)
    assert control.value() > 1.0


@pytest.mark.parametrize(
    ("low", "high", "whole"), [(0.001, 1.0, False), (1e-6, 100.0, False), (1, 1_000_000, True)]
)
def test_a_logarithmic_slider_goes_in_equal_factors_to_round_values(low, high, whole):
    steps = Steps(low, high, log=True, whole=whole)
    assert (steps.value(0), steps.value(steps.last)) == (low, high)
    middle = steps.value(steps.last // 2)
    assert middle == pytest.approx((low * high) ** 0.5, rel=0.1)
    for position in range(steps.last + 1):
        value = steps.value(position)
        assert low <= value <= high
        assert value == float(f"{value:.1e}")  # two digits
        assert not whole or value == int(value)
    assert steps.position(low / 10) == 0
    assert steps.position(high * 10) == steps.last


def test_every_value_of_a_toy_model_comes_back_from_its_form(qtbot):
    kind = technique.of("ToyModel")
    made = Form(kind)
    qtbot.addWidget(made)
    spec = kind(density=0.0123, lr=1.5e-6, importance_decay=0.937, n_features=80, n_steps=123_456)
    made.show_spec(spec)
    assert made.spec(PromptPair()) == spec
    assert {name for name, each in made.entries.items() if isinstance(each.control, Slider)} == {
        "n_features", "d_hidden", "density", "importance_decay", "lr", "n_steps"
    }  # fmt: skip

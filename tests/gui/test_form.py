"""Form: one declaration of a field gives its widget, its limits, its tooltip and its error."""

import pytest
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSpinBox

from engine import technique
from engine.errors import SpecError
from engine.technique import from_json, to_json
from gui.focus import PromptPair
from gui.form import Form
from gui.settings import settings

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

"""A learned input in a form: chosen, read off this thread, refused, moved, restored."""

from dataclasses import dataclass

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QFileDialog

from engine import technique
from engine.errors import SpecError
from engine.refs import MissingInput, Ref, of_file
from engine.technique import Technique, Update, array, from_json, param, to_json
from gui.focus import PromptPair
from gui.form import Form
from gui.jobs import Job
from gui.ref_field import RefField
from gui.settings import settings


@pytest.fixture
def steering():
    """A technique with three learned inputs, one of which it cannot do without."""

    @dataclass(frozen=True)
    class SteeringResult:
        shift: float = array("", "what the direction did")

    @dataclass(frozen=True, kw_only=True)
    class Steering(Technique):
        Result = SteeringResult
        title = "Steering"
        direction: Ref | None = param(None, "what is added", role="direction")
        table: Ref | None = param(None, "where prompts are", role="file")
        dictionary: Ref = param(Ref("sae", "0" * 64, "/gone"), "features", role="sae")
        scale: float = param(1.0, "how much", low=0.0)

        def steps(self, model):
            yield Update(1, 1, lambda: SteeringResult(0.0))

    yield Steering
    technique._KINDS.pop("Steering")


@pytest.fixture
def form(qtbot, steering, jobs):
    made = Form(steering, None, jobs)
    qtbot.addWidget(made)
    made.resize(380, 240)
    made.show()
    return made


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "truth.npz"
    made.write_bytes(b"numbers")
    return made


def control(form, name="direction") -> RefField:
    return form.entries[name].control


def reading(field, path) -> Job:
    job = field.read(path)
    assert job is not None
    return job


def test_a_file_that_is_chosen_becomes_a_reference(qtbot, form, file):
    field = control(form)
    assert field.title.text() == "none"
    assert not field.clear.isVisible()
    action = field.choose.menu().actions()[0]
    action.trigger()
    dialog = form.findChild(QFileDialog)
    assert dialog is not None
    assert dialog.isVisible(), "it is open, and nothing waits for it"
    dialog.fileSelected.emit(str(file))
    dialog.close()
    with pytest.raises(SpecError, match=r"truth\.npz is still being read"):
        form.spec(PromptPair())
    qtbot.waitUntil(lambda: field.ref is not None, timeout=2000)
    assert form.spec(PromptPair()).direction == of_file("direction", file)
    assert field.title.text() == "truth.npz"
    assert field.digest.text() == of_file("direction", file).digest[:8]
    assert str(file) in field.title.toolTip()
    qtbot.mouseClick(field.clear, Qt.MouseButton.LeftButton)
    assert form.spec(PromptPair()).direction is None


def test_a_file_or_folder_only_is_asked_for_at_once(qtbot, form, file):
    field = control(form, "table")
    assert field.choose.menu() is None
    assert field.kind == "table", "a role that only says where names no kind"
    qtbot.mouseClick(field.choose, Qt.MouseButton.LeftButton)
    dialog = form.findChild(QFileDialog)
    assert dialog.fileMode() == QFileDialog.FileMode.ExistingFile
    dialog.close()


def test_a_dropped_file_is_chosen(qtbot, form, file):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    control(form).dropEvent(
        QDropEvent(QPointF(4, 4), Qt.DropAction.CopyAction, data, buttons, keys)
    )
    qtbot.waitUntil(lambda: control(form).ref is not None, timeout=2000)


def test_what_cannot_be_read_is_said_at_the_field_until_something_else_is_chosen(
    qtbot, form, tmp_path
):
    field = control(form)
    field.read(tmp_path / "gone.npz")
    qtbot.waitUntil(lambda: field.problem != "", timeout=2000)
    with pytest.raises(SpecError):
        form.spec(PromptPair())
    assert "gone.npz: no such file" in form.entries["direction"].reason.text()
    qtbot.mouseClick(field.clear, Qt.MouseButton.LeftButton)
    form.spec(PromptPair())
    assert not form.entries["direction"].reason.isVisible()


def test_the_newest_choice_wins_and_x_stops_the_reading(qtbot, form, file, tmp_path):
    other = tmp_path / "other.npz"
    other.write_bytes(b"others")
    field = control(form)
    first, second = reading(field, file), reading(field, other)
    qtbot.waitUntil(lambda: first.done and second.done, timeout=2000)
    assert first.state == "cancelled"
    assert field.ref == of_file("direction", other)
    job = reading(field, file)
    qtbot.mouseClick(field.clear, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: job.done, timeout=2000)
    assert field.value is None


def test_an_input_that_is_needed_is_asked_for(form):
    control(form, "dictionary").show_ref(None)
    with pytest.raises(SpecError, match="choose a sae first"):
        form.spec(PromptPair())


def test_an_input_that_moved_is_taken_up_where_it_is_now(qtbot, form, file, steering):
    old = Ref("direction", of_file("direction", file).digest, "/where/it/was.npz")
    form.show_spec(steering(direction=old))
    with qtbot.waitSignal(form.replace_ref(old, str(file)).finished, timeout=2000) as placed:
        pass
    assert placed.args[0] == old
    assert form.spec(PromptPair()).direction.where == str(file)


def test_other_bytes_are_not_taken_for_what_is_missing(qtbot, form, file, steering):
    old = Ref("direction", "3f" * 32, "/where/it/was.npz")
    form.show_spec(steering(direction=old))
    with qtbot.waitSignal(form.replace_ref(old, str(file)).failed, timeout=2000) as told:
        pass
    assert isinstance(told.args[0], MissingInput)
    with pytest.raises(SpecError, match="is not what lies at"):
        form.spec(PromptPair())
    assert getattr(control(form).ref, "where", "") == "/where/it/was.npz"
    assert form.replace_ref(Ref("lens", "00"), str(file)) is None


def test_references_live_through_specs_settings_and_scripts(qtbot, form, file, steering, jobs):
    spec = steering(direction=of_file("direction", file), dictionary=Ref("sae", "ab", "/sae"))
    form.show_spec(spec)
    assert from_json(to_json(form.spec(PromptPair()))) == spec
    form.save(settings())
    again = Form(steering, None, jobs)
    qtbot.addWidget(again)
    again.restore(settings())
    assert again.spec(PromptPair()) == spec
    assert again.spec(PromptPair()).refs()[0].where == str(file)


def test_a_form_that_is_saved_while_a_file_is_read_keeps_the_rest(qtbot, form, file, steering):
    form.entries["scale"].value = 2.0
    job = reading(control(form), file)
    form.save(settings())
    assert "scale" in settings().value("form/Steering")
    qtbot.waitUntil(lambda: job.done, timeout=2000)


def test_a_field_fits_a_narrow_dock(form):
    form.resize(272, 300)
    form.layout().activate()
    assert all(entry.geometry().right() < 272 for entry in form.entries.values())

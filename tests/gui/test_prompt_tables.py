"""Tables of prompts in the workshop, pairs of one's own, runs that know where they came from."""

from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QObject, QPoint, QPointF, Qt, QUrl, Signal, qVersion
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QTextCursor
from PySide6.QtWidgets import QFileDialog

from engine import technique
from engine.refs import of_bytes, of_file
from engine.session import Session
from gui.example_box import KEPT
from gui.focus import Opened, PromptPair
from gui.form import Form
from gui.kept_pairs import KIND
from gui.panels.prompts import PromptsPanel

TABLE = "clean,corrupted,answer\nthe cat,the dog, sat\nthe dog,the cat,\nthe mat,the cat,.\n"


class FakeRecords(QObject):
    """The records of a session, as far as kept pairs know them."""

    changed, data_changed = Signal(), Signal()

    def __init__(self, path):
        super().__init__()
        self.path, self.rows = path, []

    def put_data(self, kind, content, origin):
        with Session.open(self.path) as session:
            ref = session.put(kind, content, origin=origin)
            self.rows = session.data()
        self.data_changed.emit()
        return ref

    def data(self):
        return self.rows


@pytest.fixture
def panel(qtbot, desk, jobs, fake_model):
    made = PromptsPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(304, 420)
    made.show()
    desk.put_model(Opened(fake_model.folder, None, fake_model))
    return made


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "pairs.csv"
    made.write_text(TABLE, encoding="utf-8")
    return made


@pytest.fixture
def table(qtbot, panel, file):
    panel.open_file(file)
    qtbot.waitUntil(panel.table.isVisible, timeout=2000)
    return panel.table


def records_in(tmp_path):
    path = tmp_path / "mine.mscope"
    Session.create(path).close()
    return FakeRecords(path)


def test_a_table_puts_its_first_row_on_the_desk_and_says_where_it_is_from(panel, table, desk, file):
    assert desk.prompts == PromptPair("the cat", "the dog", " sat")
    assert desk.prompts.inputs == {"prompts, row 1": of_file("prompt pairs", file)}
    assert panel.clean.toPlainText() == "the cat"
    assert panel.answer.text() == "·sat"
    assert table.place.text().strip() == "1 of 3"
    assert table.name.text() == "pairs.csv"
    assert panel.example.box.currentText() == "Row 1 of pairs.csv"


def test_the_arrows_go_from_row_to_row_and_stop_at_the_ends(qtbot, panel, table, desk):
    assert not table.back.isEnabled()
    qtbot.mouseClick(table.ahead, Qt.MouseButton.LeftButton)
    assert desk.prompts == PromptPair("the dog", "the cat")
    qtbot.mouseClick(table.ahead, Qt.MouseButton.LeftButton)
    assert not table.ahead.isEnabled()
    assert list(desk.prompts.inputs) == ["prompts, row 3"]
    qtbot.mouseClick(table.back, Qt.MouseButton.LeftButton)
    assert table.place.text().strip() == "2 of 3"


def test_a_row_is_found_by_a_word_or_its_number(qtbot, table, desk):
    qtbot.mouseClick(table.place, Qt.MouseButton.LeftButton)
    assert table.list.isVisible()
    qtbot.keyClicks(table.list.filter, "MAT")
    assert table.list.count.text() == "1 of 3"
    qtbot.keyClick(table.list.filter, Qt.Key.Key_Return)
    assert not table.list.isVisible()
    assert desk.prompts.clean == "the mat"
    qtbot.mouseClick(table.place, Qt.MouseButton.LeftButton)
    assert table.list.filter.text() == ""
    qtbot.keyClicks(table.list.filter, "1")
    qtbot.keyClick(table.list.filter, Qt.Key.Key_Return)
    assert desk.prompts.clean == "the cat"
    qtbot.mouseClick(table.place, Qt.MouseButton.LeftButton)
    qtbot.keyClick(table.list.filter, Qt.Key.Key_Down)
    qtbot.keyClick(table.list.filter, Qt.Key.Key_Return)
    assert desk.prompts.clean == "the dog"
    qtbot.mouseClick(table.place, Qt.MouseButton.LeftButton)
    qtbot.keyClick(table.list, Qt.Key.Key_Escape)
    assert not table.list.isVisible()


def test_a_large_table_is_searched_a_little_at_a_time(qtbot, table, monkeypatch):
    monkeypatch.setattr("gui.table_bar.SLICE_SECONDS", 0.0)
    monkeypatch.setattr("gui.table_bar.STRIDE", 1)
    table.list.set_rows(table.table.rows * 20)
    table.list.filter.setText("mat")
    assert table.list.count.text().endswith(" so far")
    qtbot.waitUntil(lambda: table.list.count.text() == "20 of 60", timeout=2000)
    table.list.filter.setText("the dog")
    qtbot.keyClick(table.list.filter, Qt.Key.Key_Return)  # waits for what it chooses from
    assert table.row == 0


def test_editing_by_hand_drops_the_origin(qtbot, panel, table, desk):
    panel.corrupted.moveCursor(QTextCursor.MoveOperation.End)
    qtbot.keyClicks(panel.corrupted, " sat")
    qtbot.waitUntil(lambda: not desk.prompts.inputs, timeout=2000)
    assert desk.prompts.corrupted == "the dog sat"
    assert table.place.text().strip() == "– of 3"
    assert panel.example.box.currentText() == "Your own"
    qtbot.mouseClick(table.ahead, Qt.MouseButton.LeftButton)
    assert list(desk.prompts.inputs) == ["prompts, row 1"]


def test_reading_the_panel_again_keeps_the_origin(panel, table, desk):
    panel.read()
    assert desk.prompts.inputs


def test_an_equal_pair_of_another_origin_reaches_everybody(qtbot, panel, table, desk):
    with qtbot.waitSignal(desk.prompts_changed, timeout=500):
        desk.set_prompts(PromptPair("the cat", "the dog", " sat"))
    assert not desk.prompts.inputs
    assert table.place.text().strip() == "– of 3"


def test_closing_a_table_leaves_the_prompts(qtbot, panel, table, desk):
    qtbot.mouseClick(table.close_button, Qt.MouseButton.LeftButton)
    assert not table.isVisible()
    assert desk.prompts.clean == "the cat"
    assert list(desk.prompts.inputs) == ["prompts, row 1"]


def test_a_table_is_asked_for_without_blocking(panel, file, qtbot):
    panel.ask_table()
    dialog = panel.findChild(QFileDialog)
    assert dialog.isVisible()
    assert "*.tsv" in dialog.nameFilters()[0]
    dialog.fileSelected.emit(str(file))
    dialog.close()
    qtbot.waitUntil(panel.table.isVisible, timeout=2000)


def test_a_table_is_opened_where_it_is_dropped(qtbot, panel, file):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    data.setText(str(file))
    mouse, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    # Qt 6.12 wants a point between the pixels, and before there was no such thing.
    newer = tuple(map(int, qVersion().split("."))) >= (6, 12)
    place: Any = QPointF(9, 9) if newer else QPoint(9, 9)
    entered = QDragEnterEvent(place, Qt.DropAction.CopyAction, data, mouse, keys)
    panel.dragEnterEvent(entered)
    assert entered.isAccepted()
    dropped = QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, mouse, keys)
    panel.dropEvent(dropped)
    qtbot.waitUntil(panel.table.isVisible, timeout=2000)
    assert not panel.clean.canInsertFromMimeData(data), "its name is not a prompt"


def test_what_was_left_out_of_a_table_is_said(qtbot, panel, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("clean,corupted,bos\nthe cat,,\nthe dog,,maybe\n", encoding="utf-8")
    panel.open_file(bad)
    qtbot.waitUntil(panel.message.isVisible, timeout=2000)
    said = panel.message.text.text()
    assert "bad.csv: 1 row is left out (line 3: bos: 'maybe'" in said
    assert "Not used: corupted." in said


def test_a_table_that_cannot_be_read_says_why_and_leaves_the_desk(qtbot, panel, desk, tmp_path):
    before = desk.prompts
    bad = tmp_path / "bad.csv"
    bad.write_bytes("clean\nd\xe9j\xe0\n".encode("latin-1"))
    panel.open_file(bad)
    qtbot.waitUntil(panel.message.isVisible, timeout=2000)
    assert "line 2 is not UTF-8" in panel.message.text.text()
    assert desk.prompts == before


def test_a_pair_of_ones_own_is_kept_under_a_name_and_chosen_again(qtbot, panel, desk, tmp_path):
    records = records_in(tmp_path)
    panel.watch_records(records)
    mine = PromptPair("the cat sat", "the dog sat", ".", 4, "no")
    desk.set_prompts(mine)
    qtbot.mouseClick(panel.pin, Qt.MouseButton.LeftButton)
    assert panel.example.currentWidget() is panel.example.name
    assert panel.example.name.text() == "the cat sat"
    panel.example.name.selectAll()
    qtbot.keyClicks(panel.example.name, "Cats sit")
    qtbot.keyClick(panel.example.name, Qt.Key.Key_Return)
    assert panel.example.currentWidget() is panel.example.box
    assert panel.example.box.currentText() == "Cats sit"
    assert not panel.pin.isEnabled()
    assert "Cats sit" in panel.pin.toolTip()
    (row,) = records.rows
    assert (row.ref.kind, row.origin, row.inside) == (KIND, "typed", True)
    box = panel.example.box
    heading = box.findText(KEPT)
    assert heading >= 0
    assert not box.model().item(heading).isEnabled()
    desk.set_prompts(PromptPair("the cat", "the dog"))
    assert panel.pin.isEnabled()
    box.setCurrentIndex(heading + 1)
    box.activated.emit(heading + 1)
    assert desk.prompts == mine
    assert desk.prompts.inputs == {"prompts, Cats sit": row.ref}


def test_escape_keeps_nothing(qtbot, panel, desk):
    desk.set_prompts(PromptPair("the cat", "the dog"))
    panel.ask_name()
    qtbot.keyClick(panel.example.name, Qt.Key.Key_Escape)
    assert panel.example.currentWidget() is panel.example.box
    assert not panel.kept.listed


def test_kept_pairs_come_back_with_their_session(qtbot, panel, desk, jobs, tmp_path):
    records = records_in(tmp_path)
    panel.watch_records(records)
    desk.set_prompts(PromptPair((1, 2, 3), (1, 3, 3)))
    panel.kept.keep(desk.prompts, "Ids")
    other = PromptsPanel(desk, jobs)
    qtbot.addWidget(other)
    again = FakeRecords(records.path)
    again.rows = records.rows
    other.watch_records(again)
    qtbot.waitUntil(lambda: bool(other.kept.listed), timeout=2000)
    assert [each.title for each in other.kept.listed] == ["Ids"]
    assert other.kept.listed[0].pair == PromptPair((1, 2, 3), (1, 3, 3))
    again.rows = []
    again.data_changed.emit()
    assert not other.kept.listed, "another session has its own"


def test_a_kept_pair_that_is_damaged_is_said_and_hides_no_other(qtbot, panel, tmp_path):
    records = records_in(tmp_path)
    with Session.open(records.path) as session:
        session.put(KIND, b"not a pair", origin="")
        session.put(KIND, b'{"clean": "the cat", "title": "Good"}', origin="")
        records.rows = session.data()
    panel.watch_records(records)
    qtbot.waitUntil(lambda: bool(panel.kept.listed), timeout=2000)
    assert [each.title for each in panel.kept.listed] == ["Good"]
    damaged = of_bytes(KIND, b"not a pair").short
    assert f"sha {damaged}" in panel.message.text.text()


@pytest.mark.parametrize(
    "prompt",
    [
        (1, 2, 3),
        "the cat",
        "the\u00a0cat",
        "the\r\ncat",
        "the cat\n",
        "the\u2029cat \u2028",
        "\x0bcat",
    ],
)
def test_a_stored_run_brings_back_its_exact_prompts(qtbot, panel, desk, prompt):
    kind = technique.of("ActivationPatching")
    form = Form(kind)
    qtbot.addWidget(form)
    source = of_bytes("prompt pairs", b"a table")
    spec = kind(clean=prompt, corrupted=prompt, answer=" sat")
    desk.set_prompts(PromptPair("the dog", inputs={"prompts, row 2": source}))
    said = form.prompts_of(spec, {"prompts, row 3": source})
    desk.set_prompts(PromptPair(**said))
    qtbot.wait(200)
    panel.read()
    assert desk.prompts.clean == desk.prompts.corrupted == prompt
    assert type(desk.prompts.clean) is type(prompt)
    assert form.spec(desk.prompts) == spec
    assert desk.prompts.inputs == {"prompts, row 3": source}
    assert form.prompts_of(spec)["inputs"] == {}


def test_a_pair_without_a_counterpart_survives_the_opening_of_a_model(panel, desk, fake_model):
    panel.examples = []
    desk.set_prompts(PromptPair("the cat"))
    assert panel._readable(fake_model, desk.prompts)

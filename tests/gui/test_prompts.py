"""The prompt workshop: typing, tokens, where lengths part, pickers of single tokens."""

import time

import pytest
from PySide6.QtCore import Qt

from gui import examples
from gui.focus import Opened, PromptPair
from gui.panels.prompts import PromptsPanel
from gui.token_field import TokenField, plain


@pytest.fixture
def panel(qtbot, desk, jobs, bundled):
    made = PromptsPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(304, 460)
    made.show()
    desk.put_model(Opened(bundled.folder, None, bundled))
    return made


@pytest.fixture
def fake(qtbot, desk, jobs, fake_model):
    made = PromptsPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(304, 460)
    made.show()
    desk.put_model(Opened(fake_model.folder, None, fake_model))
    return made


def write(qtbot, edit, text):
    edit.selectAll()
    qtbot.keyClicks(edit, text)


def test_a_model_begins_with_an_example_that_it_can_answer(panel, desk, bundled):
    pair = desk.prompts
    assert pair == examples.for_model(bundled)[0].pair
    clean, corrupted = bundled.tokens(pair.clean), bundled.tokens(pair.corrupted)
    assert len(clean) == len(corrupted)
    assert (clean != corrupted).sum() == 1
    assert "one differs" in panel.summary.text()


def test_the_logit_difference_of_both_prompts_appears(qtbot, panel):
    qtbot.waitUntil(lambda: panel.next_token.difference.isVisible(), timeout=5000)
    said = panel.next_token.difference.text()
    assert "clean <b>+" in said
    assert "corrupted <b>−" in said


def test_typing_reaches_the_desk_once_it_rests(qtbot, fake, desk):
    write(qtbot, fake.clean, "the cat sat")
    write(qtbot, fake.corrupted, "the dog sat")
    qtbot.waitUntil(lambda: desk.prompts.corrupted == "the dog sat", timeout=2000)
    assert desk.prompts.clean == "the cat sat"
    assert fake.strip.chips.clean == ["<bos>", " the", " cat", " sat"]
    assert "position 2" in fake.summary.text()


def test_prompts_of_unequal_length_say_where_they_part(qtbot, fake, desk):
    write(qtbot, fake.clean, "the cat sat")
    write(qtbot, fake.corrupted, "the dog")
    qtbot.waitUntil(lambda: "part at position" in fake.summary.text(), timeout=2000)
    assert fake.summary.property("tone") == "warn"


def test_a_prompt_that_cannot_be_read_says_why(qtbot, fake, desk):
    write(qtbot, fake.clean, "zebra")
    qtbot.waitUntil(lambda: "not one token" in fake.summary.text(), timeout=2000)
    assert fake.summary.property("tone") == "bad"


def test_bos_is_a_choice_and_visible(qtbot, fake, desk):
    write(qtbot, fake.clean, "the cat")
    fake.bos.setCurrentIndex(fake.bos.findData("no"))
    fake.bos.activated.emit(2)
    qtbot.waitUntil(lambda: desk.prompts.bos == "no", timeout=2000)
    qtbot.waitUntil(lambda: fake.strip.chips.clean == [" the", " cat"], timeout=2000)


def test_a_token_clicked_is_the_focus_and_its_id_is_said(qtbot, fake, desk):
    desk.set_prompts(PromptPair("the cat sat", "the dog sat"))
    where = fake.strip.chips.box_of(2).center()
    qtbot.mouseClick(fake.strip.chips, Qt.MouseButton.LeftButton, pos=where)
    assert desk.focus.position == 2
    assert fake.where.text() == "Focus ·cat, position 2, token id 2"


def test_enter_asks_for_a_run_of_everything(qtbot, fake, desk):
    with qtbot.waitSignal(desk.asked, timeout=1000) as asked:
        qtbot.keyClick(fake.clean, Qt.Key.Key_Return)
    assert asked.args[0] == "run all"


def test_prompts_from_elsewhere_are_shown_without_an_echo(qtbot, fake, desk):
    heard = []
    desk.prompts_changed.connect(heard.append)
    desk.set_prompts(PromptPair("the cat", "the dog", " sat", 5, "yes"))
    qtbot.wait(200)
    assert len(heard) == 1
    assert fake.answer.text() == "·sat"
    assert fake.wrong.text() == "·mat"


def test_ids_stay_ids(qtbot, fake, desk):
    pair = PromptPair((1, 2, 3), (1, 3, 3))
    desk.set_prompts(pair)
    qtbot.wait(200)
    assert desk.prompts == pair
    assert fake.clean.toPlainText() == "1 2 3"


@pytest.fixture
def field(qtbot, fake_model):
    made = TokenField("Answer")
    qtbot.addWidget(made)
    made.set_model(fake_model, fake_model.vocabulary())
    made.show()
    return made


def test_an_answer_completes_over_the_vocabulary(qtbot, field):
    qtbot.keyClicks(field, "s")
    assert {piece for _, piece in field._matches.rows} == {"s", " sat"}
    qtbot.keyClicks(field, "at")
    popup = field.completer().popup()
    qtbot.waitUntil(lambda: popup.isVisible(), timeout=2000)
    entered = []
    field.returnPressed.connect(lambda: entered.append(True))
    qtbot.keyClick(popup, Qt.Key.Key_Down)
    qtbot.keyClick(popup, Qt.Key.Key_Return)
    assert field.chosen == " sat"
    assert not entered, "picking a completion is not yet a wish to run"
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert entered
    assert not field.problem


def test_an_answer_of_several_tokens_is_refused_with_the_reason(qtbot, field):
    qtbot.keyClicks(field, "zebra")
    assert field.property("invalid")
    assert "not one token" in field.toolTip()
    field.clear()
    qtbot.keyClick(field, Qt.Key.Key_Backspace)
    field.choose(None)
    assert not field.property("invalid")


def test_fifty_thousand_tokens_are_filtered_while_one_types(field):
    class Large:
        def token(self, text):
            return 0

    field.set_model(Large(), [f" word{i}" for i in range(50_000)])
    asked = time.perf_counter()
    found = field.matches("word4")
    assert time.perf_counter() - asked < 0.1
    assert len(found) == 40
    assert found[0][1] == " word4"


@pytest.mark.parametrize("piece", [" Mary", "Mary", "  two", "s"])
def test_display_text_and_token_are_the_same_thing(piece):
    from gui.plots import token_text

    assert plain(token_text(piece)) == piece


def test_tab_goes_from_prompt_to_prompt_to_tokens_to_answers(qtbot, fake, desk):
    desk.set_prompts(PromptPair("the cat", "the dog"))
    fake.activateWindow()
    fake.clean.setFocus()
    qtbot.waitUntil(fake.clean.hasFocus, timeout=1000)
    for widget in (fake.corrupted, fake.strip.chips, fake.answer, fake.wrong):
        qtbot.keyClick(fake.window().focusWidget(), Qt.Key.Key_Tab)
        assert fake.window().focusWidget() is widget


def test_an_empty_prompt_is_no_mistake_and_says_what_may_be_written(fake, desk):
    desk.set_prompts(PromptPair())
    assert "tokens will be here" in fake.summary.text()
    assert not fake.summary.property("tone")
    assert fake.clean.placeholderText() == "token ids, 0 to 7"

"""The bar of interventions: its chips and form, and that every run is made under what is on."""

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

from engine.model import Intervention, open_model
from gui import examples, library, theme
from gui.buttons import Button
from gui.focus import Edit, Focus, Opened
from gui.interventions.bar import Bar
from gui.interventions.listed_numbers import numbers_of, text_of
from gui.interventions.starting import ACTIONS

LEFT = Qt.MouseButton.LeftButton
HEAD = Intervention("blocks.1.attn.hook_z", head=1)
MLP = Intervention("blocks.0.hook_attn_out", "scale", 0.5)


@pytest.fixture
def bar(qtbot, desk, jobs, bundled):
    """A bar over the bundled model and its first prompts, in a room of its own."""
    room = QWidget()
    made = Bar(desk, jobs, room)
    box = QVBoxLayout(room)
    box.addStretch(1)
    box.addWidget(made)
    qtbot.addWidget(room)
    room.resize(1600, 700)
    room.show()
    desk.put_model(Opened(bundled.folder, None, bundled), activate=True)
    desk.set_prompts(examples.for_model(bundled)[0].pair)
    yield made
    made.end_card()


# the bar


def test_folded_it_is_one_line_that_counts_and_unfolds(qtbot, reading):
    status, bar = reading.status.interventions, reading.middle.bar
    assert status.text().endswith("No interventions")
    assert not bar.isVisible()
    reading.middle.ledger.add(HEAD)
    reading.middle.ledger.add(MLP)
    reading.middle.ledger.switch(0, False)
    assert status.text().endswith("1 of 2 interventions on")
    qtbot.mouseClick(status, LEFT)
    assert bar.isVisible()
    said = [chip.words.accessibleName() for chip in bar.chips]
    assert said == ["ablate head 1.1 (zero)", "scale attn_out 0 by 0.5"]
    qtbot.mouseClick(bar.fold, LEFT)
    assert not bar.isVisible()


def test_it_is_not_there_on_the_welcome_page_and_without_a_model(window):
    window.middle.unfold(True)
    assert not window.middle.bar.isVisible()
    assert not window.status.interventions.isVisible()
    window.middle.begin("Ablate")
    assert window.middle.bar.card is None


def test_a_tick_puts_it_in_force_and_a_cross_takes_it_away(qtbot, bar):
    desk = bar.desk
    heard = []
    desk.interventions_changed.connect(heard.append)
    bar.ledger.add(HEAD)
    assert desk.interventions == (HEAD,)
    bar.chips[0].tick.click()
    assert desk.interventions == ()
    assert desk.edits == (Edit(HEAD, False),)
    bar.chips[0].tick.click()
    qtbot.mouseClick(bar.chips[0].cross, LEFT)
    assert desk.edits == ()
    assert heard == [(HEAD,), (), (HEAD,), ()]


def test_undo_takes_back_each_change_and_redo_makes_it_again(qtbot, bar):
    bar.ledger.add(HEAD)
    bar.ledger.add(MLP)
    bar.ledger.only(1)
    bar.chips[0].cross.setFocus()
    qtbot.mouseClick(bar.chips[0].cross, LEFT)
    assert [edit.entry for edit in bar.desk.edits] == [MLP]
    focused = QApplication.focusWidget()
    assert bar.isAncestorOf(focused)  # the keyboard stays, so that the keys undo
    qtbot.keyClick(focused, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert bar.desk.edits == (Edit(HEAD, False), Edit(MLP, True))
    qtbot.mouseClick(bar.undo, LEFT)
    assert bar.desk.interventions == (HEAD, MLP)
    assert bar.ledger.redo()
    assert bar.desk.interventions == (MLP,)
    while bar.ledger.undo():
        pass
    assert bar.desk.edits == ()
    assert not bar.undo.isEnabled()


def test_the_same_one_twice_is_one(bar):
    bar.ledger.add(HEAD)
    bar.ledger.switch(0, False)
    bar.ledger.add(HEAD)
    assert bar.desk.edits == (Edit(HEAD, True),)


@pytest.mark.parametrize("tokens", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_many_chips_scroll_and_narrow_the_five_are_one_button(qapp, bar, tokens):
    theme.apply(qapp, tokens)
    for number in range(9):
        bar.ledger.add(Intervention("blocks.0.hook_resid_pre", "scale", 2.0, positions=(number,)))
    for width, roomy in ((1600, True), (1100, False)):
        bar.window().resize(width, 700)
        assert not bar.window().grab().isNull()
        assert bar.height() <= 90
        assert bar.buttons["Steer"].isVisible() == roomy
        assert bar.adding.isVisible() != roomy


# the form


def test_ablate_begins_at_the_head_that_is_looked_at(qtbot, bar):
    bar.desk.turn(layer=1, head=1)
    qtbot.mouseClick(bar.buttons["Ablate"], LEFT)
    card = bar.card
    assert card.said.text() == "Ablate head 1.1 (zero)."
    assert card.hook.text() == "blocks.1.attn.hook_z"
    qtbot.mouseClick(card.button, LEFT)
    assert card.ended
    assert bar.desk.interventions == (HEAD,)


@pytest.mark.parametrize("title", ACTIONS)
def test_each_begins_with_something_that_this_model_takes(bar, title):
    for focus in (
        Focus(),
        Focus(layer=1, head=0, position=3),
        Focus(hook="blocks.1.hook_resid_pre", layer=1, position=2),
        Focus(component="blocks.0.attn", layer=0),
        Focus(layer=99, head=99),
    ):
        bar.desk.set_focus(focus)
        bar.begin(title)
        assert bar.card.button.isEnabled(), bar.card.reason.text()
    bar.end_card()


def test_the_form_shows_what_the_activation_has_and_reads_every_one(bar):
    bar.begin("Scale")
    fields, seen = bar.card.fields, set()
    for index in range(fields.site.count()):
        fields.site.setCurrentIndex(index)
        assert fields.boxes["head"].isHidden() != ("head" in " ".join(fields.axes))
        assert bar.card.button.isEnabled(), bar.card.reason.text()
        seen.add(fields.entry().name)
    assert len(seen) == fields.site.count()
    fields.site.setCurrentIndex(fields.site.findData("blocks.*.attn.hook_pattern"))
    assert fields.captions["units"].text() == "Keys"
    assert fields.boxes["along"].isHidden()
    bar.end_card()


def test_what_the_model_refuses_is_said_in_the_form(qtbot, bar):
    bar.desk.turn(layer=0, head=0)
    bar.begin("Ablate")
    card = bar.card
    card.fields.positions.clear()
    qtbot.keyClicks(card.fields.positions, "9999")
    assert "position 9999 is not in 0.." in card.reason.text()
    assert not card.button.isEnabled()
    card.fields.positions.clear()
    qtbot.keyClicks(card.fields.positions, "x")
    assert "'x' is no number" in card.reason.text()
    card.fields.positions.clear()
    qtbot.keyClicks(card.fields.positions, "2, 4-6")
    assert card.reason.isHidden()
    assert card.fields.entry().positions == (2, 4, 5, 6)
    qtbot.keyClick(card.fields.positions, Qt.Key.Key_Return)
    assert bar.desk.interventions[0].positions == (2, 4, 5, 6)


def test_steering_by_nothing_is_refused_and_escape_goes_away(qtbot, bar):
    bar.begin("Steer")
    card = bar.card
    card.fields.factor.setValue(0.0)
    assert "to steer by 0 changes nothing" in card.reason.text()
    qtbot.keyClick(card, Qt.Key.Key_Escape)
    assert card.ended
    assert bar.desk.edits == ()


def test_an_ablation_by_a_mean_takes_the_prompts_that_lie_there(bar):
    bar.desk.turn(layer=1, head=1)
    bar.begin("Ablate")
    fields = bar.card.fields
    fields.how.setCurrentIndex(fields.how.findData("mean"))
    entry = fields.entry()
    assert entry.action == "mean"
    assert entry.source == bar.desk.prompts.corrupted
    assert bar.card.said.text().endswith("The mean counts every position, BOS too.")
    fields.source.setCurrentIndex(fields.source.findData("data"))
    assert not bar.card.button.isEnabled()
    assert "Choose a table" in bar.card.reason.text()
    bar.end_card()


def test_a_chip_is_edited_in_its_place(qtbot, bar):
    bar.ledger.add(MLP)
    bar.ledger.add(HEAD)
    qtbot.mouseClick(bar.chips[0].words, LEFT)
    bar.card.fields.factor.setValue(3.0)
    bar.card.take()
    assert bar.desk.interventions == (replace(MLP, factor=3.0), HEAD)
    bar.edit(0, copy=True)
    bar.card.fields.factor.setValue(4.0)
    bar.card.take()
    assert [entry.factor for entry in bar.desk.interventions] == [3.0, 0.0, 4.0]


def test_a_direction_of_both_prompts_is_computed_and_named(qtbot, bar, bundled):
    bar.begin("Steer")
    card = bar.card
    card.fields.along.setCurrentIndex(card.fields.along.findData("pair"))
    assert "clean − corrupted" in card.said.text()
    card.take()
    qtbot.waitUntil(lambda: card.ended, timeout=3000)
    (entry,), prompts = bar.desk.interventions, bar.desk.prompts
    ends = [
        bundled.forward(bundled.tokens(text, prompts.bos), names=[entry.name]).cache[entry.name]
        for text in (prompts.clean, prompts.corrupted)
    ]  # [batch, pos, d_model]
    np.testing.assert_allclose(entry.direction, ends[0][0, -1] - ends[1][0, -1], atol=1e-5)
    assert bar.chips[0].words.accessibleName().endswith("along clean − corrupted")


def test_numbers_are_typed_as_people_do():
    assert numbers_of("") is None
    assert numbers_of(" all ") is None
    assert numbers_of("3, 5-7 9") == (3, 5, 6, 7, 9)
    assert text_of((3, 5, 6, 7, 9)) == "3, 5-7, 9"
    assert text_of(None) == ""
    assert numbers_of(text_of((1, 2, 4))) == (1, 2, 4)
    for wrong in ("a", "3-", "7-5", "1.5", "-3"):
        with pytest.raises(ValueError, match=r"is no (number|range)"):
            numbers_of(wrong)


# models


def test_each_model_has_its_own_and_a_new_one_gets_those_that_fit_switched_off(bar, bundled):
    desk, ledger, small = bar.desk, bar.ledger, bundled.folder.with_name("another")
    said = []
    ledger.said.connect(said.append)
    world = open_model(library.bundled_model("world-4l"))
    assert world.folder is not None
    desk.put_model(Opened(world.folder, None, world), activate=True)
    deep = Intervention("blocks.3.hook_mlp_out")
    ledger.add(HEAD)
    ledger.add(deep)
    desk.put_model(Opened(small, None, replace(bundled, folder=small)), activate=True)
    assert desk.edits == (Edit(HEAD, False),)
    assert desk.interventions == ()
    assert said == [
        f"1 intervention came along, switched off; 1 intervention does not fit {bundled.name} "
        "and was dropped"
    ]
    ledger.remove(0)
    desk.activate(world.folder)
    assert desk.interventions == (HEAD, deep)
    desk.activate(small)
    assert desk.edits == ()


def test_enter_on_cancel_cancels(qtbot, bar):
    bar.begin("Ablate")
    cancel = next(each for each in bar.card.findChildren(Button) if each.text() == "Cancel")
    cancel.setFocus()
    qtbot.keyClick(cancel, Qt.Key.Key_Return)
    assert bar.desk.edits == ()
    assert bar.card.ended


# features


@pytest.fixture
def saes(tmp_path, bundled):
    """Two SAEs on disk: of a hook of the bundled model, and of a hook that it does not have."""
    from engine.sae import files
    from engine.sae.sae import SAE

    d_in, rng, found = bundled.config.d_model, np.random.default_rng(0), []
    for hook in ("blocks.1.hook_resid_pre", "blocks.77.hook_mlp_out"):
        W = rng.standard_normal((d_in, 24)).astype(np.float32)  # [d_in, d_sae]
        sae = SAE("standard", W, W.T.copy(), np.zeros(d_in, np.float32),
                  b_enc=np.zeros(24, np.float32), hook_name=hook)  # fmt: skip
        found.append(files.save(sae, tmp_path / f"{hook}-sae"))
    return found


def choose_features(qtbot, bar, ref, text):
    """The form of "Clamp" with features of an SAE chosen, after the SAE has been looked into."""
    bar.begin("Clamp")
    fields = bar.card.fields
    fields.along.setCurrentIndex(fields.along.findData("features"))
    assert not bar.card.button.isEnabled()
    with qtbot.waitSignal(fields.sae.looked, timeout=10_000):
        fields.sae.show_ref(ref)
    qtbot.keyClicks(fields.units, text)
    return fields


def test_features_of_an_sae_are_clamped_at_the_hook_it_reads(qtbot, bar, saes):
    fields = choose_features(qtbot, bar, saes[0], "12")
    card = bar.card
    assert card.reason.isHidden(), card.reason.text()
    assert card.hook.text() == "blocks.1.hook_resid_pre"
    assert fields.captions["units"].text() == "Features"
    fields.factor.setValue(8.0)
    name = saes[0].name
    assert card.said.text() == f"Clamp feature 12 of {name} to 8."
    qtbot.mouseClick(card.button, LEFT)
    entry = Intervention("blocks.1.hook_resid_pre", "clamp", 8.0, units=(12,), sae=saes[0])
    assert [replace(each, bos="auto") for each in bar.desk.interventions] == [entry]
    bar.edit(0)
    again = bar.card.fields
    assert again.along.currentData() == "features"
    assert again.units.text() == "12"
    assert again.entry().sae == saes[0]
    bar.end_card()


def test_a_feature_that_the_sae_has_not_and_a_hook_of_another_model_are_refused(qtbot, bar, saes):
    choose_features(qtbot, bar, saes[0], "24")
    assert bar.card.reason.text() == "Feature 24 is not in 0..23 of this SAE."
    assert not bar.card.button.isEnabled()
    bar.end_card()
    choose_features(qtbot, bar, saes[1], "1")
    assert "reads blocks.77.hook_mlp_out" in bar.card.reason.text()
    bar.end_card()


def test_the_sae_that_lies_beside_a_model_is_offered(qtbot, bar):
    world = open_model(library.bundled_model("world-4l"))
    (beside,) = library.saes_beside(world.folder)
    bar.desk.put_model(Opened(world.folder, None, world), activate=True)
    bar.begin("Scale")
    fields = bar.card.fields
    with qtbot.waitSignal(fields.sae.looked, timeout=10_000):
        fields.along.setCurrentIndex(fields.along.findData("features"))
    assert fields.sae.ref is not None
    assert fields.sae.ref.where == str(beside)
    assert fields.name == beside.name
    bar.end_card()

"""The feature browser: its table, a feature's page, labels, what it hands to the window, files."""

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, Qt, QUrl

from engine.model.interventions import Intervention
from engine.sae import files
from engine.sae.pages import page
from engine.sae.sae import SAE
from engine.techniques.features import Features
from engine.techniques.features_on_prompt import FeaturesOnPrompt
from gui import library, theme
from gui.focus import Focus, Opened
from gui.panels.features import FeaturesPanel
from gui.panels.features_on_prompt import FeaturesOnPromptPanel
from gui.sae_browse import acts, labels, story
from gui.sae_browse.board import PAGE, TABLE
from tests.gui.features_fake import (
    CITY,
    DEAD,
    HOOK,
    LATENTS,
    NAMES,
    SAE_REF,
    STRONG,
    Reader,
    browsed,
    on_prompt,
)


@pytest.fixture
def reader(tmp_path, desk):
    made = Reader(tmp_path)
    desk.put_model(Opened(made.folder, None, made), activate=True)
    return made


@pytest.fixture
def panel(qtbot, desk, jobs, reader):
    made = FeaturesPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(1300, 800)
    made.show()
    made.show_result(browsed(), Features(sae=SAE_REF), reader)
    return made


# the table


def test_the_strongest_comes_first_and_what_is_dead_last(panel):
    order = panel.board.table.order
    assert order[0] == STRONG
    assert order[-1] == DEAD
    assert len(order) == LATENTS


def test_a_click_on_a_column_sorts_by_it_and_another_turns_it_round(qtbot, panel):
    table = panel.board.table
    table.settle()
    at = next(left for column, left, _ in table._columns if column.key == "density")
    for falling in (True, False):
        qtbot.mouseClick(table, Qt.MouseButton.LeftButton, pos=QPoint(at + 20, 8))
        assert (table.sort, table.falling) == ("density", falling)
        known = panel.result.density[table.order]
        assert (np.diff(known if not falling else -known) >= 0).all()


def test_words_sort_by_the_alphabet_and_blanks_come_last(panel):
    table = panel.board.table
    table.sort_by("top", False)
    words = [NAMES[i] for i in panel.result.top_ids[table.order] if i >= 0]
    assert words == sorted(words, key=str.lower)
    assert table.order[-1] == DEAD


def test_a_click_turns_every_panel_to_the_feature(qtbot, panel):
    table = panel.board.table
    table.settle()
    qtbot.mouseClick(table, Qt.MouseButton.LeftButton, pos=QPoint(20, table.head + 2 * table.row))
    wanted = int(table.order[2])
    focus = panel.desk.focus
    assert (focus.feature, focus.hook, focus.layer) == (wanted, HOOK, 1)
    assert panel.board.page.title.text() == f"Feature {wanted}"


def test_the_keyboard_goes_through_the_table_and_sorts_it(qtbot, panel):
    table = panel.board.table
    qtbot.keyClick(table, Qt.Key.Key_Down)
    assert panel.desk.focus.feature == table.order[1]
    qtbot.keyClick(table, Qt.Key.Key_End)
    assert panel.desk.focus.feature == DEAD
    assert "Never active" in panel.board.page.facts.text()
    qtbot.keyClick(table, Qt.Key.Key_Left)
    assert (table.sort, table.falling) == ("density", True)
    qtbot.keyClick(table, Qt.Key.Key_Space)
    assert not table.falling


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [("dead", "", [DEAD]), ("all", "12", [12]), ("all", "paris", None), ("labelled", "", [8, 12]),
     ("labelled", "verb", [8]), ("active", "nowhere to be found", [])],
)  # fmt: skip
def test_a_filter_leaves_a_kind_a_number_a_label_or_a_token(panel, kind, text, wanted):
    result = browsed()
    named = {8: "after a verb", 12: "stop"}
    kept = story.listed(result, kind, text, named, panel.pieces)
    if wanted is None:
        wanted = np.flatnonzero(result.top_ids == CITY).tolist()
        assert STRONG in wanted
    assert kept is not None
    assert kept.tolist() == wanted


def test_what_is_typed_is_listed_at_once(qtbot, panel):
    board = panel.board
    qtbot.keyClicks(board.filter, "paris")
    assert set(panel.result.top_ids[board.table.order]) == {CITY}
    qtbot.keyClick(board.filter, Qt.Key.Key_Escape)
    assert len(board.table.order) == LATENTS
    board.kind.setCurrentIndex(2)
    assert board.table.order.tolist() == [DEAD]


# a feature's page


def test_the_page_shows_each_band_with_the_token_it_is_about(panel):
    text = panel.board.page.text
    assert [row.group for row in text.rows if row.group] == [
        "Highest", "75 % to 100 %", "50 % to 75 %"]  # fmt: skip
    assert all(row.words[row.at] == " Paris" for row in text.rows[:10])
    assert text.most == pytest.approx(9.5)
    first = panel.board.page.examples[0]
    told = text.describe(0, first.at)
    assert "·Paris" in told
    assert "9.5" in told


def test_what_its_examples_share_is_counted(panel):
    assert "“·Paris” in 4 of 4 (highest)" in panel.board.page.verdict.text()


def test_arrows_on_the_page_follow_the_order_of_the_table(qtbot, panel):
    panel.board.page.after.click()
    assert panel.desk.focus.feature == panel.board.table.order[1]
    panel.board.page.before.click()
    assert panel.desk.focus.feature == STRONG


def test_a_neighbour_is_gone_to(panel):
    panel.board.page.nearest.choose(1, 0)
    assert panel.desk.focus.feature == page(browsed(), STRONG).nearest[1][0]


def test_the_focus_of_other_panels_turns_the_page_and_one_that_is_not_there_does_not(panel):
    panel.desk.set_focus(Focus(feature=9))
    assert panel.board.page.title.text() == "Feature 9"
    panel.desk.set_focus(Focus(feature=10_000))
    assert panel.board.page.title.text() == "Feature 9"


def test_a_neuron_stands_beside_the_feature_on_the_same_tokens(qtbot, panel):
    text = panel.board.page.text
    assert not text.double
    qtbot.mouseClick(panel.board.page.compare, Qt.MouseButton.LeftButton)
    assert text.double
    found = page(panel.result, STRONG)
    assert text.titles == (f"Feature {STRONG}", f"Neuron {found.unit}, same text")
    np.testing.assert_array_equal(text.rows[0].beside, found.bands[0][1][0].beside)
    assert panel.board.page.r.text() == story.together(found)
    assert panel.view()["beside"]


def test_units_have_no_neuron_beside_them(panel, reader):
    panel.show_result(browsed(basis="neurons"), Features(hook=HOOK), reader)
    assert panel.board.page.compare.isHidden()
    assert panel.board.page.title.text().startswith("Neuron")


def test_an_example_becomes_the_prompt_in_words_where_these_are_its_tokens(panel):
    found = panel.board.page.examples[0]
    panel.board.page.text.choose(0, found.at + 2)
    prompt = panel.desk.prompts
    assert isinstance(prompt.clean, str)
    ids = panel.result.sequence_tokens[found.sequence]
    np.testing.assert_array_equal(panel.desk.model.tokens(prompt.clean, prompt.bos), ids)
    assert panel.desk.focus.position == found.position + 2


def test_every_state_is_painted_in_both_themes_small_and_large(qapp, panel, reader):
    states = [browsed(), browsed(done=False, warnings=("the text is short",)),
              browsed(basis="neurons")]  # fmt: skip
    for tokens, size in ((theme.DARK, (420, 300)), (theme.LIGHT, (1300, 800))):
        theme.apply(qapp, tokens)
        panel.resize(*size)
        for result in states:
            panel.show_result(result, Features(sae=SAE_REF), reader)
            for view in (TABLE, PAGE) if size[0] < 700 else (TABLE,):
                panel.board.set_view(view)
                assert not panel.grab().isNull()


def test_one_direction_has_a_page_and_no_table(panel, reader):
    whole = browsed()
    one: dict[str, Any] = {name: value[:1] for name, value in vars(whole).items()
           if isinstance(value, np.ndarray) and len(value) == LATENTS}  # fmt: skip
    panel.show_result(browsed(basis="direction", **one), Features(direction=(1.0,) * 8), reader)
    assert panel.board.table.isHidden()
    assert panel.board.page.isVisible()
    assert "is active at" in panel.line.text()


# words


def test_the_sentence_counts_the_dead_and_names_the_strongest(panel):
    assert panel.line.text() == (
        "64 features on 100,000 tokens: 1 never active, 7.4 active at a token. Strongest is "
        "feature 3, 9.50 at ·Paris."
    )
    assert "half" not in story.detail(browsed())
    assert "50,000 of 100,000 tokens read" in story.detail(browsed(done=False))


def test_two_runs_differ_most_where_the_density_does():
    more = browsed().density.copy()
    more[4] += 0.5
    said = story.difference(browsed(), browsed(density=more))
    assert said.startswith("Density differs most of feature 4")
    assert story.difference(browsed(), browsed(basis_digest="", density=more)) == ""


# labels


def write(qtbot, panel, text):
    line = panel.board.page.label
    line.setFocus()
    line.selectAll()
    qtbot.keyClicks(line, text)
    qtbot.keyClick(line, Qt.Key.Key_Return)


def test_a_label_is_kept_by_the_digest_of_the_sae_and_found_again(qtbot, panel, desk, jobs, reader):
    write(qtbot, panel, "capital cities")
    assert labels.labels_of("labels/" + "ab" * 32) == {STRONG: "capital cities"}
    assert panel.board.table.rows.labels == {STRONG: "capital cities"}
    other = FeaturesOnPromptPanel(desk, jobs)
    qtbot.addWidget(other)
    other.show_result(on_prompt(), FeaturesOnPrompt(prompt="x", sae=SAE_REF), reader)
    assert other.board.map.row_labels[0] == f"capital cities  {STRONG}"
    panel.show_result(browsed(basis_digest="ef" * 32), Features(sae=SAE_REF), reader)
    assert panel.board.table.rows.labels == {}
    panel.show_result(browsed(), Features(sae=SAE_REF), reader)
    write(qtbot, panel, " ")
    assert labels.labels_of("labels/" + "ab" * 32) == {}


def test_a_double_click_or_f2_goes_to_the_label(qtbot, panel):
    panel.resize(560, 420)
    qtbot.keyClick(panel.board.table, Qt.Key.Key_F2)
    assert panel.board.view == PAGE
    assert panel.board.page.label.isVisible()


def test_the_labels_of_a_stored_run_are_shown_and_yield_to_what_is_written(qtbot, panel):
    panel.set_view({"labels": {"7": "given", str(STRONG): "old", "x": "no", "9": 4}})
    assert panel.board.table.rows.labels == {7: "given", STRONG: "old"}
    write(qtbot, panel, "new")
    assert panel.board.table.rows.labels == {7: "given", STRONG: "new"}
    assert panel.view()["labels"] == {"7": "given", str(STRONG): "new"}


@pytest.mark.parametrize("value", [None, 3, [1], {"1": 2, "-4": "a", "b": "c"}])
def test_labels_from_a_damaged_file_are_none(value):
    assert labels.checked(value) == {}


# interventions


def test_acts_change_one_feature_of_the_sae_and_say_so(panel):
    for what in ("ablate", "scale", "clamp"):
        panel.board.page.acts.buttons[what].click()
    wanted = [
        Intervention(HOOK, "zero", 0.0, units=(STRONG,), sae=SAE_REF),
        Intervention(HOOK, "scale", 2.0, units=(STRONG,), sae=SAE_REF),
        Intervention(HOOK, "clamp", 9.5, units=(STRONG,), sae=SAE_REF),
    ]
    assert [edit.entry for edit in panel.desk.edits] == wanted
    assert len(panel.desk.interventions) == 3
    assert "feature 3" in panel.message.text.text()


def test_a_neuron_of_a_head_and_a_direction_are_changed_as_what_they_are(reader):
    on_z = browsed(basis="neurons", hook="blocks.1.attn.hook_z")
    made = acts.intervention("ablate", on_z, Features(), 19, 1.0, reader)
    assert (made.head, made.units, made.sae) == (2, (3,), None)
    spec = Features(direction=(0.0, 1.0))
    made = acts.intervention("clamp", browsed(basis="direction"), spec, 0, 4.0, reader)
    assert (made.direction, made.factor, made.units) == ((0.0, 1.0), 4.0, None)


def test_nothing_is_changed_in_a_model_that_is_not_the_runs(panel, reader, tmp_path):
    other = Reader(tmp_path / "other", "other", "ff" * 32)
    panel.desk.put_model(Opened(other.folder, None, other), activate=True)
    button = panel.board.page.acts.buttons["clamp"]
    assert not button.isEnabled()
    assert button.toolTip() == "Open this run's model to change its features."


def test_a_feature_is_asked_for_on_the_prompt_with_its_own_basis(panel):
    asked = []
    panel.desk.asked.connect(lambda what, about: asked.append((what, about)))
    panel.board.page.on_prompt.click()
    kind, values = asked[0][1]
    assert (asked[0][0], kind) == ("run", "FeaturesOnPrompt")
    assert (values["sae"], values["latents"]) == (SAE_REF, (STRONG,))


def test_components_say_why_they_cannot_be_changed(reader):
    why = acts.why_not(browsed(basis="components"), Features(), reader, reader)
    assert "does not keep its components" in why


# an SAE from a file


@pytest.fixture
def folder(tmp_path, bundled):
    """A small SAE of the bundled model's stream."""
    rng = np.random.default_rng(0)
    d = bundled.config.d_model
    W = rng.normal(0, 0.2, (d, 96)).astype(np.float32)  # [d_in, d_sae]
    sae = SAE("standard", W, W.T.copy(), np.zeros(d, np.float32),
              np.full(96, -0.5, np.float32), hook_name="blocks.1.hook_resid_post",
              model_digest=bundled.digest, model_name=bundled.name)  # fmt: skip
    files.save(sae, tmp_path / "my-sae")
    return tmp_path / "my-sae"


def test_a_dropped_sae_is_read_and_browsed(qtbot, open_panel, folder):
    panel = open_panel(FeaturesPanel)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(folder.parent))])
    assert panel.opening.dropped(data) is None
    data.setUrls([QUrl.fromLocalFile(str(folder))])
    assert panel.opening.dropped(data) == folder
    panel.open_file(folder)
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=5000)
    assert len(panel.result.density) == 96
    assert panel.result.basis == "SAE"
    assert panel.drawn[0].sae.name == "my-sae"
    assert not panel.message.isVisible()
    assert panel.board.page.acts.buttons["clamp"].isEnabled()


def test_a_model_that_comes_with_an_sae_offers_it_in_one_click(
    qtbot, open_panel, folder, monkeypatch
):
    monkeypatch.setattr(library, "saes_beside", lambda _: [folder])
    panel = open_panel(FeaturesPanel)
    assert panel.message.isVisible()
    assert "comes with an SAE" in panel.message.text.text()
    panel.message.action.click()
    qtbot.waitUntil(lambda: panel.result is not None and not panel.running, timeout=5000)
    assert panel.result.basis_digest == panel.drawn[0].sae.digest


def test_the_offer_goes_with_its_model(open_panel, folder, monkeypatch, reader):
    monkeypatch.setattr(library, "saes_beside", lambda at: [] if at == reader.folder else [folder])
    panel = open_panel(FeaturesPanel)
    assert panel.message.isVisible()
    panel.desk.activate(reader.folder)
    assert not panel.message.isVisible()

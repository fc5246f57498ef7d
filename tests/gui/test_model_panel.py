"""The model panel: header at once, weights later, the badge, the tree as a way to the Focus."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt

from engine.model import peek
from engine.model.self_check import Check, SelfCheck
from gui import theme
from gui.focus import Opened
from gui.panels.model import ModelPanel, components


@pytest.fixture
def panel(qtbot, desk, jobs):
    made = ModelPanel(desk, jobs)
    qtbot.addWidget(made)
    made.resize(300, 420)
    made.show()
    return made


@pytest.fixture
def header(bundled):
    return peek(bundled.folder)


def names(panel):
    return [item.data(0, Qt.ItemDataRole.UserRole) for item in panel._items()]


def test_the_tree_stands_before_the_weights_are_there(panel, desk, header):
    desk.put_model(Opened(header.folder, header))
    assert panel.name.text() == header.name
    assert "blocks.1.attn" in names(panel)
    assert panel.badge.word.text() == "Loading weights"


def test_the_badge_tells_a_pass_and_a_failure_with_a_word(panel, desk, header, bundled):
    opened = Opened(header.folder, header, bundled)
    desk.put_model(opened)
    assert "Self-check" in panel.badge.word.text()
    good = SelfCheck((Check("sum", 2.9e-6, 1e-4), Check("slope", 1e-3, 2e-2)))
    desk.put_model(replace(opened, check=good))
    assert panel.badge.word.text() == "Self-check passed"
    assert panel.badge.rest.text() == "2 of 2, worst 2.9e−6"
    desk.put_model(replace(opened, check=SelfCheck((Check("sum", 0.5, 1e-4),))))
    assert panel.badge.word.text() == "Self-check failed"
    assert "sum" in panel.badge.rest.text()


def test_a_click_in_the_tree_sets_the_focus(qtbot, panel, desk, header):
    desk.put_model(Opened(header.folder, header))
    item = next(i for i in panel._items() if i.data(0, Qt.ItemDataRole.UserRole) == "blocks.1.attn")
    panel.tree.scrollToItem(item)
    where = panel.tree.visualItemRect(item).center()
    qtbot.mouseClick(panel.tree.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert (desk.focus.component, desk.focus.layer) == ("blocks.1.attn", 1)


def test_the_tree_follows_a_head_chosen_elsewhere(panel, desk, header):
    desk.put_model(Opened(header.folder, header))
    desk.turn(layer=0, head=3)
    assert panel.tree.currentItem().data(0, Qt.ItemDataRole.UserRole) == "blocks.0.attn"
    assert desk.focus.head == 3


def test_shapes_stay_readable_when_the_theme_turns(qapp, panel, desk, header):
    desk.put_model(Opened(header.folder, header))
    theme.apply(qapp, theme.DARK)
    assert panel._items()[0].foreground(1).color() == theme.DARK.color("muted")
    theme.apply(qapp, theme.LIGHT)


def test_several_models_can_be_open_and_one_is_active(qtbot, panel, desk, header, tmp_path):
    desk.put_model(Opened(header.folder, header))
    desk.put_model(Opened(tmp_path, replace(header, name="other")), activate=True)
    assert panel.choice.isVisible()
    assert panel.choice.currentText() == "other"
    panel.choice.activated.emit(0)
    assert desk.active.folder == header.folder
    desk.drop_model(tmp_path)
    assert not panel.choice.isVisible()


def test_grouped_heads_gated_mlps_and_tied_embeddings_are_named():
    config = SimpleNamespace(
        n_layers=1, d_vocab=512, d_vocab_out=512, d_model=64, n_ctx=256, n_heads=8, d_head=8,
        n_key_value_heads=4, d_attn=64, d_kv=32, attn_only=False, gated_mlp=True, d_mlp=172,
        normalization_type="RMS", positional_embedding_type="rotary", tied=True,
    )  # fmt: skip
    shapes = dict(components(config))
    assert "pos_embed" not in shapes
    assert shapes["blocks.0.attn"] == "8/4 heads × 8"
    assert shapes["blocks.0.mlp"] == "64 → 172"
    assert shapes["unembed"] == "tied to embed"

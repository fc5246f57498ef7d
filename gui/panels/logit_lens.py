"""Logit lens: the predicted token at every layer and position, and the answer's rise at one."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QRect
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from engine.refs import Ref
from engine.techniques.logit_lens import LogitLens, LogitLensResult, settled
from gui import dialogs, theme
from gui.focus import Focus
from gui.lens import rows, said
from gui.lens.page import TABLE, TEXT, VIEWS, WATCH, LensPage
from gui.lens.reading import cell_words, read, top_words
from gui.panel import Panel
from gui.plots import Key, Line, figure, token_text

KEYS = {
    "border": Key("border", "from here the final answer stays"),
    "thin": Key("thin", "it settles only in the last layer"),
    "corner": Key("corner", "it leads here first"),
}
MOST_WATCHED = 8  # one Okabe-Ito colour each
TRAIN, CARD = "TunedLens", 10


class LogitLensPanel(Panel):
    """Rows are layers, columns positions; gold marks where the final answer is found."""

    kind = "LogitLens"
    title = "Logit lens"
    icon = "layers"
    place = "centre-top"
    order = 10
    words = {  # noqa: RUF012
        "top_k": "Tokens in a cell",
        "detail": "Rows",
        "blocks": "after each block",
        "sublayers": "after each attention and MLP",
    }
    question = ("Read a sentence layer by layer", "What would each layer answer, and from where "
                "does the answer stay?")  # fmt: skip
    empty = (
        "Here each layer says which token it would predict at each position. "
        "Write a clean prompt and press Run."
    )

    def build(self) -> QWidget:
        outer = QWidget()
        self.page = LensPage()
        self.map, self.curve, self.legend = self.page.map, self.page.curve, self.page.legend
        self.legend.set_keys([Key("ramp", "probability"), KEYS["border"]])
        box = QVBoxLayout(outer)
        box.setContentsMargins(16, 8, 16, 4)
        box.addWidget(self.page)
        self._texts: dict[int, str] = {}
        self._warned: tuple[str, ...] = ()  # said already, and perhaps dismissed
        if self.form is not None:
            self.form.entries["top_k"].value = CARD  # the card over a cell lists so many
        page = self.page
        for picture in (page.map, page.text):
            picture.words_of = self._cell_words
            picture.clicked.connect(self._turn)
            picture.asked.connect(self._show_card)
            picture.hovered.connect(self._hovered)
        page.curve.clicked.connect(lambda row, _col: self._turn(row, self._position()))
        page.watch.clicked.connect(lambda _row, col: self._turn(col, self._position()))
        page.turned.connect(self._draw_again)
        page.watch_button.clicked.connect(lambda: self.watch_chosen())
        page.lens_menu.aboutToShow.connect(self._fill_lenses)
        return outer

    def menu(self) -> QMenu:
        menu = super().menu()
        self.sized = QAction("Size tokens by probability", menu, checkable=True)
        self.sized.toggled.connect(lambda _on: self._draw_again())
        menu.addSeparator()
        menu.addAction(self.sized)
        for view in VIEWS:  # a low panel has no room for the switch
            menu.addAction(f"Show as {view.lower()}", lambda view=view: self.page.show_view(view))
        menu.addAction("Watch the chosen cell's token", lambda: self.watch_chosen())
        menu.addAction("Watch no token", lambda: self.watch(()))
        menu.addSeparator()
        menu.addAction("Train a tuned lens", lambda: self.desk.ask("reveal", TRAIN))
        return menu

    def view(self) -> dict[str, Any]:
        page = self.page
        return {"sized": self.sized.isChecked(), "view": page.view, "cells": page.show_,
                "quantity": page.quantity}  # fmt: skip

    def set_view(self, view: dict[str, Any]) -> None:
        self.page.show_view(str(view.get("view", TABLE)), told=False)
        self.page.show_cells(str(view.get("cells", "token")))
        self.page.show_quantity(str(view.get("quantity", "P")))
        self.sized.setChecked(view.get("sized") is True)

    def become_twin(self) -> None:
        super().become_twin()
        self.page.bare = True

    # drawing

    def draw(self, result: LogitLensResult) -> None:
        known = np.unique(result.top_ids[..., 0])  # [id]
        known = known[known >= 0].tolist()
        self._texts = dict(zip(known, self.pieces(known), strict=True))
        text = top_words(result.top_ids[..., 0], self._texts)
        reading = read(result, self.page.show_, text)
        stays, appears = settled(result.top_ids)
        n, last = len(result.row_names), len(result.row_names) - 1
        borders = _at(np.where(stays < last, stays, -1), n)
        corners = _at(np.where(appears < stays, appears, -1), n)
        words = self.pieces(result.tokens)
        page = self.page
        page.watches = bool(len(result.watched_ids))
        page.map.set_data(
            reading.values, result.row_names, words,
            col_sublabels=[str(at) for at in range(len(words))], scale=reading.scale,
            limits=reading.limits, text=reading.text,
            text_size_by=self._sizes(result), borders=borders,
            thin=_at(np.where(stays == last, stays, -1), n), corners=corners,
            axis_title="layer", unit=reading.unit, tokens="cols",
        )  # fmt: skip
        if page.view == TEXT:
            page.text.set_data(
                reading.values, result.row_names, words, text, scale=reading.scale,
                limits=reading.limits, borders=borders, corners=corners,
            )  # fmt: skip
        seen = {
            "border": (stays >= 0) & (stays < last),
            "thin": stays == last,
            "corner": (appears >= 0) & (appears < stays),
        }
        keys = [KEYS[kind] for kind, where in seen.items() if where.any()]
        ramp = reading.key
        if ramp is None and page.view == TEXT:
            ends = [figure(end, 1) for end in page.text.limits]
            ramp = Key("ramp", reading.unit, *ends, scale=reading.scale)
        page.legend.set_keys([*([ramp] if ramp is not None else []), *keys])
        self._name_lens(result)
        self._draw_curves(result)
        page.arrange()
        if result.warnings and result.warnings != self._warned and not self._twin:
            self.say(" ".join(result.warnings))
        self._warned = result.warnings

    def _sizes(self, result: LogitLensResult) -> Any:
        """Probabilities [layer, pos] that size the tokens, where that is wanted."""
        token = self.page.show_ == "token"
        return result.top_probabilities[..., 0] if token and self.sized.isChecked() else None

    def _name_lens(self, result: LogitLensResult) -> None:
        tuned = "tuned lens" in result.read_by
        self.page.lens_button.set_text("Tuned lens" if tuned else "Logit lens")
        self.page.lens_button.setToolTip(said.about_lens(result, self._lens_of()))

    def _draw_curves(self, result: LogitLensResult) -> None:
        """The tracked token at the chosen position with its runner-up, and the watched ones."""
        at = self._position()
        name = self.pieces([int(result.target_ids[at])])[0] if result.target_ids[at] >= 0 else ""
        lines = [Line(name, result.target_probability[:, at], "accent", token=True)]
        rival = result.top_probabilities[:, at, 0]  # [layer]
        other = result.top_ids[:, at, 0] != result.target_ids[at]  # [layer]
        if other.any() and np.isfinite(rival[other]).any():
            lines.append(Line("best", rival, "faint", dashed=True))
        labels = list(result.row_names)
        self.curve.set_lines(lines, title=f"P at {at}", limits=(0.0, 1.0), labels=labels)
        if self.page.watches or self.page.view == WATCH:
            self._draw_watch(result, at, name)

    def _draw_watch(self, result: LogitLensResult, at: int, name: str) -> None:
        quantity = self.page.quantity
        own, watched = {
            "P": (result.target_probability, result.watched_probability),
            "rank": (_from_one(result.target_rank), _from_one(result.watched_rank)),
            "logit": (result.target_logit, result.watched_logit),
        }[quantity]
        ids = result.watched_ids.tolist()
        words = self.pieces(ids)
        lines = [
            Line(word, watched[index, :, at], f"okabe:{index}", token=True)
            for index, word in enumerate(words[:MOST_WATCHED])
        ]
        if int(result.target_ids[at]) not in ids:
            lines.insert(0, Line(name, own[:, at], "accent", token=True))
        word = token_text(self.pieces([int(result.tokens[at])])[0])
        titles = {"P": "Probability", "rank": "Rank, 1 on top", "logit": "Logit"}
        self.page.watch.set_lines(
            lines, result.row_names, title=f"{titles[quantity]} after {word} ({at}), by layer",
            ranks=quantity == "rank", limits=(0.0, 1.0) if quantity == "P" else None,
        )  # fmt: skip

    def _draw_again(self) -> None:
        if self.result is not None:
            self.draw(self.result)
            self.look_at(self.desk.focus)

    def sentence(self, result: LogitLensResult) -> str:
        found = settled(result.top_ids)
        return said.settles(result, self._position(), *found, self.pieces)

    def difference(self, result_a: LogitLensResult, result_b: LogitLensResult) -> str:
        other = "" if self.comparison is None else _name_of(self.comparison.run.spec)
        names = [said.lens_name(result_a, self._lens_of()), said.lens_name(result_b, other)]
        stays = [settled(each.top_ids)[0] for each in (result_a, result_b)]
        return said.compared(result_a, result_b, names, stays)

    def labels(self, axis: str, n: int) -> tuple[list[str], bool]:
        if self.result is not None and axis == "layer" and len(self.result.row_names) == n:
            return list(self.result.row_names), False
        if self.result is not None and axis == "watch" and len(self.result.watched_ids) == n:
            return self.pieces(self.result.watched_ids), False
        return super().labels(axis, n)

    def _lens_of(self) -> str:
        return _name_of(self.drawn[0])

    # where one looks

    def look_at(self, focus: Focus) -> None:
        if self.result is None:
            return
        result = self.result
        self._draw_curves(result)
        row = rows.row_of(focus, result.row_names, result.row_hooks)
        self.map.set_focus(row, self._position())
        self.page.text.set_focus(row, self._position())
        self.curve.set_focus(row)
        self.page.watch.set_focus(row)
        self.line.setText(self.sentence(result))

    def _position(self) -> int:
        """The Focus' position, or the last one."""
        n = len(self.result.tokens) if self.result is not None else 1
        at = self.desk.focus.position
        return at if at is not None and 0 <= at < n else n - 1

    def _turn(self, row: int, position: int) -> None:
        names, hooks = self.result.row_names, self.result.row_hooks
        self.desk.turn(position=position, **rows.focus_fields(names[row], hooks[row]))

    # what a cell holds

    def _cell_words(self, row: int, col: int) -> str:
        result = self.result
        if int(tracked := result.target_ids[col]) >= 0:
            self._texts[int(tracked)] = self.pieces([int(tracked)])[0]
        word = self.pieces([int(result.tokens[col])])[0]
        name = rows.in_words(result.row_names[row])
        return cell_words(result, row, col, self._texts, (name, word))

    def _show_card(self, row: int, col: int) -> None:
        """The likeliest tokens of a cell; one that holds nothing yet takes the card away."""
        result, page = self.result, self.page
        if row < 0 or result is None or theme.paper() or result.top_ids[row, col, 0] < 0:
            page.card.hide()
            return
        ids = result.top_ids[row, col].tolist()
        tracked = int(result.target_ids[col])
        found = zip(self.pieces(ids), result.top_probabilities[row, col], ids, strict=True)
        top = [(word, float(chance), each == tracked) for word, chance, each in found]
        word = token_text(self.pieces([int(result.tokens[col])])[0])
        entropy, kl = (figure(float(each[row, col]), 2) for each in (result.entropy, result.kl))
        rank = ""
        if tracked >= 0 and tracked not in ids[:10]:
            name = token_text(self.pieces([tracked])[0])
            rank = f"{name} is at rank {int(result.target_rank[row, col]) + 1:,}"
        head = rows.in_words(result.row_names[row])
        by = result.read_by[row] if "tuned lens" in result.read_by else ""
        by = f"read by the {by}" if by.endswith("lens") else ""
        foot = (rank, by, f"entropy {entropy}, KL to the end {kl} nats")
        page.card.show_top(f"{head[:1].upper()}{head[1:]} after {word} ({col})", top, foot)
        picture = page.text if page.view == TEXT else page.map
        cell = page.text.box_of(row, col) if page.view == TEXT else _cell(page.map, row, col)
        page.card.stand_beside(cell.translated(picture.pos()))

    def _hovered(self, row: int, col: int) -> None:
        if self.page.card.isVisible():
            self._show_card(row, col)

    # watched tokens, and the lens

    def watch_chosen(self) -> None:
        """Follow the top token of the cell that is looked at."""
        result = self.result
        if result is None or self.running or self._twin:
            return
        focus = self.desk.focus
        row = rows.row_of(focus, result.row_names, result.row_hooks)
        token = int(result.top_ids[-1 if row is None else row, self._position(), 0])
        known = self._watched()
        if token >= 0 and token not in known:
            self.watch((*known, token)[-MOST_WATCHED:])

    def _watched(self) -> tuple[str | int, ...]:
        spec = self.drawn[0]
        return spec.watch if isinstance(spec, LogitLens) else ()

    def watch(self, tokens: tuple[str | int, ...]) -> None:
        """Follow these tokens and no others: a run of its own, as cheap as the first."""
        if self.form is not None and not self.running:
            self.form.entries["watch"].value = tokens
            self.run()

    def _fill_lenses(self) -> None:
        menu = self.page.lens_menu
        menu.clear()
        spec = self.drawn[0]
        tuned = spec.lens if isinstance(spec, LogitLens) else None
        menu.addAction("Logit lens", lambda: self.use_lens(None))
        if tuned is not None:
            menu.addAction(tuned.name or "Tuned lens", lambda: self.use_lens(tuned))
        menu.addSeparator()
        menu.addAction("Open a tuned lens…", self._ask_lens)
        menu.addAction("Train a tuned lens", lambda: self.desk.ask("reveal", TRAIN))

    def use_lens(self, lens: Ref | None) -> None:
        """Read again, through another lens."""
        if self.form is not None and not self.running:
            self.form.entries["lens"].value = lens
            self.run()

    def _ask_lens(self) -> None:
        field: Any = self.form.entries["lens"].control if self.form is not None else None

        def chosen(folder: Any) -> None:
            job = field.read(folder)
            if job is not None:
                job.finished.connect(lambda _: self.run())

        dialogs.choose_folder(self.window(), "Open the folder of a tuned lens", chosen)


def _cell(picture: Any, row: int, col: int) -> QRect:
    return picture.cells.cell_rect(row, col)


def _name_of(spec: Any) -> str:
    lens = spec.lens if isinstance(spec, LogitLens) else None
    return lens.name if lens is not None else ""


def _from_one(rank: np.ndarray) -> np.ndarray:
    """Ranks from 0, -1 = not computed yet -> from 1, NaN."""
    return np.where(rank >= 0, rank + 1.0, np.nan)


def _at(stages: np.ndarray, n_layers: int) -> np.ndarray:
    """One True per column at its row [pos] -> [layer, pos]; -1 marks none."""
    return stages[None, :] == np.arange(n_layers)[:, None]

"""LensFields: the form of a tuned lens in groups of two columns, the advanced ones folded away."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from gui.buttons import Button, label
from gui.column import Column
from gui.form import Form
from gui.ref_field import RefField
from gui.slider import Slider

WIDTH, GAP = 272, 8  # px
GROUPS = {
    "Text": ("data", "n_tokens", "context", "held_out"),
    "Training": ("n_steps", "lr", "optimizer", "batch", "seed"),
}
ADVANCED = ("weight_decay", "clip", "layers")
MORE = "Advanced: decay, clip, layers"


class LensFields(QWidget):
    """Belongs to a form, whose entries it lays out."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form, self._open = form, False
        self._folded = [form.entries[name] for name in ADVANCED if name in form.entries]
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(6)
        for name, names in GROUPS.items():
            heading = label(name, "panel")
            heading.setContentsMargins(0, 6 if box.count() else 0, 0, 0)
            box.addWidget(heading)
            box.addLayout(self._grid(names))
        self.more = Button(MORE, "chevron-right", lambda: self.unfold(not self._open), flat=True)
        self.more.setProperty("align", "left")
        box.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        box.addLayout(self._grid(ADVANCED))
        form.take_over(self)
        self.unfold(False)

    def _grid(self, names: tuple[str, ...]) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(GAP)
        grid.setVerticalSpacing(6)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        at = 0
        for name in names:
            entry = self.form.entries[name]
            entry.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            entry.control.setMinimumWidth(40)
            entry.caption.setMinimumWidth(40)
            if isinstance(entry.control, Slider | RefField):
                at += at % 2
                grid.addWidget(entry, at // 2, 0, 1, 2)
                at += 2
            else:
                grid.addWidget(entry, at // 2, at % 2)
                at += 1
        return grid

    def unfold(self, on: bool) -> None:
        """Show the advanced fields too; a refused one is never hidden."""
        self._open = on
        self.more.set_icon("chevron-down" if on else "chevron-right")
        for entry in self._folded:
            entry.setVisible(on or bool(entry.reason.text()))
        self.form.updateGeometry()

    def sizeHint(self) -> QSize:
        return QSize(WIDTH - 24, super().sizeHint().height())


class LensSide(Column):
    """The form at the left of the picture; it scrolls."""

    def __init__(self, form: Form) -> None:
        super().__init__((0, 4, 0, 8), 4)
        self.setFixedWidth(WIDTH)
        self.fields = LensFields(form)
        self.box.addWidget(form)
        self.box.addStretch(1)

    def minimumSizeHint(self) -> QSize:
        return QSize(WIDTH, 80)

"""Options: what is exported and how large, as a column of fields with one signal."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from gui import exporting
from gui.buttons import label
from gui.figures import DOUBLE, LEAST_PT, MIDDLE, SINGLE, Layout

NAMES = {
    "png": "Picture (PNG)",
    "svg": "Drawing (SVG)",
    "pdf": "Page (PDF)",
    "csv": "Table of the numbers (CSV)",
    "npz": "Arrays (NPZ)",
    "py": "Python script",
    "ipynb": "Notebook",
}
COLUMNS = {
    "Single column, 89 mm": SINGLE,
    "One and a half, 120 mm": MIDDLE,
    "Double column, 183 mm": DOUBLE,
    "As on screen": None,
}
OWN = "Own width"


class Options(QWidget):
    """`suffix`, `layout_` and `dpi` as the user has chosen them; fields without effect are gone."""

    changed = Signal()

    def __init__(self, layout: Layout, dpi: int, suffix: str) -> None:
        super().__init__()
        self.format = QComboBox()
        for index, (ending, name) in enumerate(NAMES.items()):
            self.format.addItem(name, ending)
            if index in (2, 4):
                self.format.insertSeparator(self.format.count())
        self.column = QComboBox()
        for name, width in COLUMNS.items():
            self.column.addItem(name, width)
        self.column.addItem(OWN, -1.0)
        self.width_mm = _millimetres("Width of the figure")
        self.height_mm = _millimetres("Height of the figure")
        self.height_mm.setMinimum(0.0)
        self.height_mm.setSpecialValueText("as the content wants")
        self.pt = QDoubleSpinBox(minimum=LEAST_PT, maximum=14.0, singleStep=0.5, decimals=1)
        self.pt.setSuffix(" pt")
        self.pt.setToolTip("Size of the labels in print; journals ask for 6 to 8 points.")
        self.dots = QSpinBox(minimum=exporting.DPI[0], maximum=exporting.DPI[2], singleStep=50)
        self.dots.setSuffix(" dpi")
        self.dots.setToolTip("Dots per inch; journals ask for 300 and more.")
        self.caption = QCheckBox("Caption: what this is and what made it")
        self.marks = QCheckBox("Mark what is selected")
        self._rows: dict[QWidget, QWidget] = {}
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(8)
        for name, field in (
            ("What", self.format), ("Width", self.column), ("Own width", self.width_mm),
            ("Height", self.height_mm), ("Labels", self.pt), ("Resolution", self.dots),
        ):  # fmt: skip
            box.addWidget(self._row(name, field))
        box.addWidget(self.caption)
        box.addWidget(self.marks)
        self._fill(layout, dpi, suffix)
        self.setFocusProxy(self.format)
        for signal in (
            self.format.currentIndexChanged, self.column.currentIndexChanged,
            self.width_mm.valueChanged, self.height_mm.valueChanged, self.pt.valueChanged,
            self.dots.valueChanged, self.caption.toggled, self.marks.toggled,
        ):  # fmt: skip
            signal.connect(self._changed)
        self._fit()

    @property
    def suffix(self) -> str:
        return self.format.currentData()

    @property
    def dpi(self) -> int:
        return self.dots.value()

    @property
    def layout_(self) -> Layout:
        """With Qt's own name taken by QWidget.layout."""
        width = self.column.currentData()
        return Layout(
            width_mm=self.width_mm.value() if width == -1.0 else width,
            height_mm=self.height_mm.value() or None,
            pt=self.pt.value(),
            caption=self.caption.isChecked(),
            marks=self.marks.isChecked(),
        )

    def choose(self, suffix: str) -> None:
        self.format.setCurrentIndex(self.format.findData(suffix))

    def _row(self, name: str, field: QWidget) -> QWidget:
        row = QWidget()
        box = QVBoxLayout(row)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        caption = label(name, "caption")
        caption.setBuddy(field)
        field.setAccessibleName(name)
        box.addWidget(caption)
        box.addWidget(field)
        self._rows[field] = row
        return row

    def _fill(self, layout: Layout, dpi: int, suffix: str) -> None:
        self.choose(suffix)
        widths = list(COLUMNS.values())
        known = layout.width_mm in widths
        self.column.setCurrentIndex(widths.index(layout.width_mm) if known else len(widths))
        self.width_mm.setValue(layout.width_mm or SINGLE)
        self.height_mm.setValue(layout.height_mm or 0.0)
        self.pt.setValue(layout.pt)
        self.dots.setValue(dpi)
        self.caption.setChecked(layout.caption)
        self.marks.setChecked(layout.marks)

    def _changed(self) -> None:
        self._fit()
        self.changed.emit()

    def _fit(self) -> None:
        """Show the fields that the chosen format has."""
        picture = self.suffix in exporting.PICTURES
        screen = self.column.currentData() is None
        for field, wanted in (
            (self.column, picture),
            (self.width_mm, picture and self.column.currentText() == OWN),
            (self.height_mm, picture and not screen),
            (self.pt, picture and not screen),
            (self.dots, self.suffix == "png"),
        ):
            self._rows[field].setVisible(wanted)
        self.caption.setVisible(picture)
        self.marks.setVisible(picture)


def _millimetres(tip: str) -> QDoubleSpinBox:
    made = QDoubleSpinBox(decimals=1, singleStep=1.0)
    made.setRange(exporting.LEAST_MM, exporting.MOST_MM)
    made.setSuffix(" mm")
    made.setToolTip(tip)
    return made

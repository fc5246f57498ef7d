"""Acts: a feature taken out, scaled or held, as an intervention under which every panel runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from engine.errors import RunError
from engine.model.interventions import Action, Intervention
from engine.refs import Ref
from gui import theme
from gui.buttons import Button
from gui.flow import Flow
from gui.sae_browse.words import one

ABLATE, SCALE, CLAMP = "ablate", "scale", "clamp"
TWICE = 2.0  # what Scale begins with; the chip in the bar changes it
_ACTS = (
    (ABLATE, "Ablate", "scissors", "Take it out, at every position"),
    (SCALE, "Scale × 2", "sliders-horizontal", "Double it, at every position"),
    (CLAMP, "Clamp", "pin", "Hold it at its largest activation, at every position"),
)
_CHANGES: dict[str, tuple[Action, float]] = {
    ABLATE: ("zero", 0.0), SCALE: ("scale", TWICE), CLAMP: ("clamp", 0.0)
}  # fmt: skip
_MORE = "an intervention under which every panel runs. Its chip in the bar changes the number."


class Acts(QWidget):
    """Three buttons; `acted` gives one of ABLATE, SCALE, CLAMP."""

    acted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        flow = Flow(self, gap=8)
        self.buttons: dict[str, Button] = {}
        for name, word, icon, tip in _ACTS:
            button = Button(word, icon, lambda name=name: self.acted.emit(name))
            button.setToolTip(f"{tip}: {_MORE}")
            self.buttons[name] = button
            flow.addWidget(button)
        if theme.paper():
            self.hide()

    def buttons_width(self) -> int:
        """Pixels of the buttons in one line."""
        hints = [button.sizeHint().width() for button in self.buttons.values()]
        return sum(hints) + 8 * (len(hints) - 1)

    def buttons_height(self) -> int:
        """Pixels of one line of them."""
        return max(button.sizeHint().height() for button in self.buttons.values())

    def allow(self, why_not: str) -> None:
        """why_not: why nothing can be changed, as the tooltip says it; "" where it can be."""
        for name, _word, _icon, tip in _ACTS:
            self.buttons[name].setEnabled(not why_not)
            self.buttons[name].setToolTip(why_not or f"{tip}: {_MORE}")


def why_not(result: Any, spec: Any, model: Any, drawn: Any) -> str:
    """Why a latent of a result cannot be changed in the open model; "" where it can be."""
    if drawn is None or model is None or model.digest != drawn.digest:
        return "Open this run's model to change its features."
    if str(result.hook) not in model.hooks():
        return f"{model.name} has no activation {result.hook}."
    if str(result.basis) == "components":
        return "A run does not keep its components: read one as a direction to change along it."
    if str(result.basis) == "SAE" and getattr(spec, "sae", None) is None:
        return "This run does not say which SAE it read: run it again with one chosen."
    return ""


def intervention(
    what: str, result: Any, spec: Any, latent: int, highest: float, model: Any
) -> Intervention:
    """The change of one latent. highest: what Clamp holds it at."""
    clamp = float(round(highest, 3)) if highest == highest else 1.0
    action, factor = _CHANGES[what]
    factor = clamp if action == "clamp" else factor
    hook, basis = str(result.hook), str(result.basis)
    if basis == "SAE":
        return Intervention(hook, action, factor, units=(latent,), sae=spec.sae)
    if basis == "direction":
        along = spec.direction if isinstance(spec.direction, Ref) else tuple(spec.direction)
        return Intervention(hook, action, factor, direction=along)
    if basis != "neurons":
        raise RunError(f"a {one(result)} cannot be changed: a run does not keep its components")
    head, unit = _place(hook, latent, model)
    return Intervention(hook, action, factor, head=head, units=(unit,))


def _place(hook: str, latent: int, model: Any) -> tuple[int | None, int]:
    """(head, unit of it) where heads stand one after the other, else (None, unit)."""
    axes = model.hooks()[hook].split()
    if axes[-2:] not in (["head", "d_head"], ["kv_head", "d_head"]):
        return None, latent
    return tuple(int(each) for each in np.divmod(latent, model.config.d_head))  # pyright: ignore[reportReturnType]

"""The stops about toy models: a pentagon, dense against sparse, a phase diagram, dimensionality."""

from __future__ import annotations

from typing import Any

from engine.errors import RunError
from engine.toy import reading
from engine.toy.presets import PRESETS
from gui import theme
from gui.tour.stop import Stop
from gui.tour.walk import Walk

ARRANGEMENT = "Toy models"
PENTAGON, DENSE = "Pentagon, p 0.1", "Dense against sparse"
PHASE = {"case": "2 in 1", "columns": 6, "rows": 6, "best_of": 4, "n_steps": 1000}
AGREE = 0.85  # of the cells of that diagram; single runs of it agree in about two thirds
CURVE = {"n_features": 60, "d_hidden": 6, "lowest": 1.2, "highest": 20.0, "count": 8,
         "n_steps": 1000}  # fmt: skip
HALF = 0.05  # how near to 1/2 D* comes where opposite pairs rule


def preset(walk: Walk, name: str) -> Any:
    """Run a preset by a click on its row; its result, which must be as expected."""
    panel: Any = walk.panel("ToyModel")
    at = [each.name for each in PRESETS].index(name)
    panel.side.presets.choose(at, 0)
    walk.wait(lambda: not panel.running, f"the preset {name!r}")
    if panel.result is None or panel.job is None or panel.job.state != "finished":
        raise RunError(f"the preset {name!r} has no result: {panel.message.text.text()}")
    row = panel.side.presets.rows[at]
    if not row.agrees:
        raise RunError(f"{name}: expected {row.expected}, measured {row.measured or 'nothing'}")
    return panel.result


def pentagon(walk: Walk) -> None:
    """By the segment in the top bar, without any model."""
    walk.window.top.segments.buttons[ARRANGEMENT].click()
    walk.settle()
    preset(walk, PENTAGON)


def dense_and_sparse(walk: Walk) -> None:
    preset(walk, DENSE)


def diagram(walk: Walk) -> None:
    """A small one, and the best model of a cell in superposition opened in the wheel."""
    window, panel, wheel = walk.window, walk.panel("PhaseDiagram"), walk.panel("ToyModel")
    window.reveal(panel)
    walk.choose("PhaseDiagram", **PHASE)
    result = walk.run("PhaseDiagram")
    if not result.agreement >= AGREE:
        raise RunError(f"training agrees with the closed form in {result.agreement:.0%} of the "
                       f"cells, {AGREE:.0%} were expected")  # fmt: skip
    walk.look("window-diagram")
    cells = (result.trained == 1).nonzero()  # rows, columns in superposition
    if not len(cells[0]):
        raise RunError("no cell of the diagram is in superposition")
    before = wheel.result
    panel.maps.choose(int(cells[0][-1]), int(cells[1][-1]))  # pyright: ignore[reportAttributeAccessIssue]
    if wheel.result is before or not wheel.isVisible():
        raise RunError("a click on a cell did not open its model in the wheel")
    seen = reading.frame(wheel.result, None, 0)
    if int(seen.recovered.sum()) != 2:
        raise RunError(f"the wheel shows {int(seen.recovered.sum())} features of that cell, not 2")


def dimensionality(walk: Walk) -> None:
    panel = walk.panel("FeatureDimensionality")
    walk.window.reveal(panel)
    walk.choose("FeatureDimensionality", **CURVE)
    result = walk.run("FeatureDimensionality")
    nearest = float(abs(result.D_star - 0.5).min())
    if not nearest <= HALF or not result.D_star[-1] < result.D_star[0]:
        raise RunError(f"D* stays {nearest:.2f} away from 1/2, or does not fall")


def toys_in_the_dark(walk: Walk) -> None:
    """The same on a small screen and in the other theme, and back to reading as it was."""
    window = walk.window
    wheel: Any = walk.panel("ToyModel")
    window.reveal(wheel)
    window.top.theme_button.click()
    if not theme.current().dark:
        raise RunError("the theme did not change")
    walk.settle()
    walk.look("window-dark")
    window.top.theme_button.click()
    before = window.host.arrangement
    window.top.segments.buttons["Read a model"].click()
    walk.settle()
    lens = walk.panel("LogitLens")
    if not lens.isVisible() or wheel.isVisible():
        raise RunError(f"the panels of {before!r} stayed when reading was chosen")


TOYS = (
    Stop(
        "Watch superposition emerge",
        "Another arrangement of the window, which needs no model: it trains its own. Eight "
        "features, of which few are active at a time, have to pass through two dimensions. The "
        "model keeps five of them, at even angles, and lets the three least important go. The "
        "number that was published stands beside the one that was measured just now.",
        pentagon,
    ),
    Stop(
        "Dense against sparse",
        "The same model twice. Where nine of ten features are active, two get a dimension each, "
        "as in a principal component analysis; where few are, five share the plane.",
        dense_and_sparse,
    ),
    Stop(
        "Find the border of superposition",
        "Two features, one dimension. Every cell is another importance of the second feature and "
        "another density; at the left what the best of several trainings does, at the right what "
        "is cheapest on paper. A click on a cell opens its model: two features that share one "
        "line, in opposite directions.",
        diagram,
    ),
    Stop(
        "Measure how much of a dimension a feature gets",
        "Sixty features in six dimensions, at eight densities. The line is the number of "
        "dimensions per feature; each dot is one feature. They gather where features form small "
        "regular solids: at one half are opposite pairs.",
        dimensionality,
    ),
    Stop(
        "Toy models in the dark, and back to reading",
        "Both arrangements come back as they were left.",
        toys_in_the_dark,
    ),
)

"""The stops about the SAE that comes with the model: a feature with a name, and one prompt."""

from __future__ import annotations

import json
from typing import Any

from engine.errors import RunError
from gui import library
from gui.tour.stop import Stop
from gui.tour.walk import Walk

CONCEPT = "next: a city"  # of those that the SAE's metrics name a latent for
PROMPT = "people visited Rome in Italy . people visited"  # the next word is a city


def name_one(walk: Walk) -> None:
    """The model's own SAE by the offer's way, and the latent of a concept called by its name."""
    window, model = walk.window, library.bundled()[0]
    walk.open(model)
    own = library.saes_beside(model)[0]
    known = json.loads((own.parent / "metrics.json").read_text(encoding="utf-8"))
    latent = int(known["concepts"][CONCEPT]["latent"])
    panel: Any = walk.panel("Features")
    window.reveal(panel)
    walk.choose("Features", n_tokens=8_000)
    panel.open_file(own)
    size = int(known["d_sae"])

    def there() -> bool:
        return not panel.running and panel.result is not None and len(panel.result.density) == size

    walk.wait(there, "the features of the SAE that comes with the model")
    walk.settle()
    window.desk.turn(feature=latent)
    line = panel.board.page.label
    line.setText(CONCEPT)
    line.editingFinished.emit()
    panel.board.page.compare.click()
    walk.settle()
    if panel.labelling.labels.get(latent) != CONCEPT or not panel.board.page.text.double:
        raise RunError(f"feature {latent} has no label, or no neuron beside it")


def on_the_prompt(walk: Walk) -> None:
    """The same feature beside all others that are active on a prompt."""
    window, features = walk.window, walk.panel("Features")
    window.desk.set_prompts(type(window.desk.prompts)(clean=PROMPT))
    walk.settle()
    page: Any = features.board.page  # pyright: ignore[reportAttributeAccessIssue]
    page.on_prompt.click()
    panel: Any = walk.panel("FeaturesOnPrompt")
    walk.wait(lambda: not panel.running and panel.result is not None, "features on the prompt")
    if int(panel.result.latents[0]) != window.desk.focus.feature:
        raise RunError("the feature that was asked for does not come first")
    window.desk.turn(position=len(panel.result.tokens) - 1)


BROWSING = (
    Stop(
        "Give a feature a name",
        "The SAE that comes with the model, with every latent in one table: how often it is "
        "active, the word at which it is most, and a label that you write. On its page are its "
        "activations, the words that it promotes, and examples from the highest down through its "
        "quantiles; beside them the neuron nearest to it, on the very same words. Where the "
        "feature says one thing, the neuron says many.",
        name_one,
    ),
    Stop(
        "Features by words",
        "The same feature on a prompt, beside the others that are active there, word by word, and "
        "under them what all of them leave out. A click on a cell turns every panel to it; Ablate, "
        "Scale and Clamp are interventions under which every other reading runs.",
        on_the_prompt,
    ),
)

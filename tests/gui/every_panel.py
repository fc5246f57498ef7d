"""Every panel by what it needs, and its runs as a session keeps them."""

from dataclasses import fields, replace

import pytest

from engine import technique
from engine.session import Run, Session
from gui.comparison import FOCUS
from gui.form import desk_field
from gui.kinds import panels
from gui.showing import is_ids

ALL = pytest.mark.parametrize("make", panels(), ids=lambda make: make.__name__)
READINGS = [make for make in panels() if make.kind]
EVERY = pytest.mark.parametrize("make", READINGS, ids=lambda make: make.__name__)
OF_A_MODEL = [make for make in READINGS if technique.of(make.kind).needs]
EVERY_OF_A_MODEL = pytest.mark.parametrize("make", OF_A_MODEL, ids=lambda make: make.__name__)
OF_A_PROMPT = [make for make in OF_A_MODEL if any(
    desk_field(item) not in ("", "bos") for item in fields(technique.of(make.kind))
)]  # fmt: skip
EVERY_OF_A_PROMPT = pytest.mark.parametrize("make", OF_A_PROMPT, ids=lambda make: make.__name__)
LINKED = [make for make in READINGS if set(FOCUS) & {
    axis for name, about in technique.result_fields(technique.of(make.kind)).items()
    for axis in about["axes"].split() if not is_ids(name)  # which differ, and by no number
}]  # fmt: skip
EVERY_LINKED = pytest.mark.parametrize("make", LINKED, ids=lambda make: make.__name__)
ALONE = [make for make in READINGS if make not in OF_A_MODEL]
EVERY_ALONE = pytest.mark.parametrize("make", ALONE, ids=lambda make: make.__name__)


def kept(panel):
    """The run in the picture as a session keeps it."""
    worker, view = panel.job.worker, panel.state_of_view()
    made = Run.of(worker, panel.result, words=panel.words_shown(), inputs=panel.inputs(), view=view)
    panel.run_shown = made
    return made


def through_a_file(made, folder):
    """The same run, written to a session and read again."""
    path = folder / "kept.mscope"
    with Session.create(path) as session:
        number = session.add(made)
    with Session.open(path) as session:
        return session.load(number)


def other_run(qtbot, panel):
    """A run of other prompts, equally long, or of another seed; the panel shows the first again."""
    first, pair = kept(panel), panel.desk.prompts
    if type(panel) not in OF_A_PROMPT:
        seed = panel.form.entries["seed"]
        seed.value = seed.value + 1
    words = pair.clean.split()
    swap = {words[1]: words[2], words[2]: words[1]}
    texts = [" ".join(swap.get(word, word) for word in text.split())
             for text in (pair.clean, pair.corrupted)]  # fmt: skip
    panel.desk.set_prompts(replace(pair, clean=texts[0], corrupted=texts[1]))
    panel.run()
    qtbot.waitUntil(lambda: not panel.running, timeout=5000)
    other = kept(panel)
    panel.show_run(first)
    return other


def settled(panel):
    """The picture's pixels, once what is said below it has its room."""
    panel.layout().activate()
    panel.canvas.clearFocus()
    return panel.canvas.grab().toImage()

"""The stops of the tour, in order: what each is called, what it says, what it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from engine.errors import RunError
from engine.model.saving import save_hooked
from engine.techniques.activation_patching import carriers
from gui import library, theme
from gui.tour.browsing import BROWSING
from gui.tour.census import HEADS
from gui.tour.features import FEATURES
from gui.tour.kept import KEPT
from gui.tour.lenses import LENSES
from gui.tour.patching import PATCHING
from gui.tour.points import POINTS
from gui.tour.probing import PROBING
from gui.tour.prompts import GIVER, NAME, UNEVEN
from gui.tour.stop import Stop
from gui.tour.toy_sae import TOY_SAE
from gui.tour.toys import TOYS
from gui.tour.training import TRAINING
from gui.tour.untrained import untrained
from gui.tour.walk import Walk

TAKER, GIVES, END = 4, 10, 14  # positions of Anton, of the second Mike, of the last word
DEEP = {"layers": 12, "width": 32, "heads": 4, "mlp": 6144, "context": 64}
LARGE, SMALL = (1600, 1000), (1366, 768)


def first_page(walk: Walk) -> None:
    welcome, drawn = walk.window.welcome, set()
    welcome.thumbnails.made.connect(lambda kind, _picture: drawn.add(kind))
    walk.resize(*LARGE)
    walk.wait(lambda: drawn >= set(welcome.tiles), "the small pictures of the first page")


def open_model(walk: Walk) -> None:
    """With what it can do, and then its parts again."""
    walk.open(library.bundled()[0])
    walk.resize(*LARGE)
    walk.settle()
    panel = next(panel for panel in walk.window.panels if panel.title == "Model")
    if panel.tabs.isHidden():
        raise RunError("the model panel does not say what the model can do")
    panel.tabs.setCurrentIndex(1)
    walk.settle()
    walk.look("window-abilities")
    panel.tabs.setCurrentIndex(0)
    walk.resize(*LARGE)


def two_prompts(walk: Walk) -> None:
    walk.window.desk.set_prompts(GIVER)


def layer_by_layer(walk: Walk) -> None:
    walk.run("LogitLens")


def heads(walk: Walk) -> None:
    walk.run("AttentionPatterns")


def what_decides(walk: Walk) -> None:
    moves(walk.run("ActivationPatching"), GIVES)


def moves(result: Any, start: int) -> None:
    """What decides must begin at a position and end at the last word, as the words say."""
    path = carriers(result.places)  # [layer]
    if (int(path[0]), int(path[-1])) != (start, END):
        raise RunError(f"what decides goes from {path[0]} to {path[-1]}, not {start} to {END}")


def which_heads(walk: Walk) -> None:
    walk.choose("ActivationPatching", component="z")
    walk.run("ActivationPatching")


def which_name(walk: Walk) -> None:
    walk.window.desk.set_prompts(NAME)
    walk.settle()
    walk.choose("ActivationPatching", component="resid_pre")
    moves(walk.run("ActivationPatching"), TAKER)


def one_head(walk: Walk) -> None:
    result = walk.panel("AttentionPatterns").result
    looks = result.pattern[:, :, END, TAKER]  # [layer, head]
    layer, head = (int(at) for at in np.unravel_index(int(looks.argmax()), looks.shape))
    at = f"blocks.{layer}.attn"
    walk.window.desk.turn(
        layer=layer, head=head, query=END, key=TAKER, position=END, component=at,
        hook=f"{at}.hook_pattern",
    )  # fmt: skip


def in_the_dark(walk: Walk) -> None:
    walk.window.top.theme_button.click()
    if not theme.current().dark:
        raise RunError("the theme did not change")
    walk.window.show_welcome()
    walk.settle()
    walk.look("first-page")
    walk.window.pages.setCurrentWidget(walk.window.host)


def small_screen(walk: Walk) -> None:
    walk.window.top.theme_button.click()
    walk.window.show_welcome()
    walk.resize(*SMALL)
    walk.look("first-page")
    walk.window.pages.setCurrentWidget(walk.window.host)
    walk.resize(*SMALL)


def what_goes_wrong(walk: Walk) -> None:
    walk.resize(*LARGE)
    walk.window.desk.set_prompts(UNEVEN)
    walk.settle()
    panel = walk.start("ActivationPatching")
    walk.wait(lambda: not panel.running, "the refusal")
    if panel.job is None or panel.job.state != "failed" or not panel.message.isVisible():
        raise RunError("prompts of unequal length were not refused in the panel")


def while_it_fills(walk: Walk) -> None:
    """A run that is held after its first rows, as a large model would show it for a while."""
    words = walk.window.desk.model.vocabulary()
    folder = walk.home / "untrained-12l"
    save_hooked(untrained(folder.name, words=len(words), **DEEP), folder, words)
    walk.window.desk.set_prompts(GIVER)
    walk.open(folder)
    walk.run("LogitLens")
    walk.run("AttentionPatterns")
    jobs, let_go = walk.window.jobs, SimpleQueue()

    def hold(watch: Callable[[], None], report: Any) -> None:
        while True:
            watch()
            with suppress(Empty):
                return let_go.get(timeout=0.02)

    holding = jobs.do(hold, "Holding the queue", heavy=True)
    panel = walk.start("ActivationPatching")
    if panel.job is None or panel.job.state != "waiting":
        raise RunError("the run did not wait for the one before it")
    panel.job.worker.pause()  # it will stop by itself after its first update
    before = panel.result
    let_go.put(None)
    walk.wait(lambda: holding.done and panel.result is not before, "the first rows of the grid")
    filled = np.isfinite(panel.result.value)
    if filled.all() or not filled.any():
        raise RunError("the grid was not half-filled when it was held")
    walk.breathe()
    walk.look("window-running")
    panel.header.run_button.click()
    walk.wait(lambda: not panel.running, "Stop")
    if panel.job.state != "cancelled" or not np.isfinite(panel.result.value).any():
        raise RunError("Stop did not keep what was computed")


STOPS = (
    Stop(
        "The first page",
        "Nothing is open yet, so the window says what can be done: open a folder, read one of the "
        "models that are ready, or start with a question. The small pictures are the real panels, "
        "drawn a moment ago from the bundled model.",
        first_page,
    ),
    Stop(
        "Open a model, and check that it is read correctly",
        "The bundled model has four layers and knows 611 words: those of a little world that was "
        "written for it, with names, facts, verbs that agree, lists, brackets and opinions. Six "
        "identities that hold for every transformer are measured on it at once, and the largest "
        "deviation is shown beside its name. What it can do stands in a table: on cases that its "
        "training never had, beside chance and beside what two shortcuts would get.",
        open_model,
    ),
    Stop(
        "Write two prompts that differ in one word",
        "Mike and Anton went somewhere, and Mike passed a kite to: Anton. In the corrupted prompt "
        "Anton is the one who passes it, so the answer is Mike. Everything else is equal; whatever "
        "changes in the answer comes from that one word. Small letters above the tokens say which "
        "part each name plays, as in the paper on indirect object identification: the subject's "
        "first and second mention, S1 and S2, and the indirect object, IO.",
        two_prompts,
    ),
    Stop(
        "Ask every layer for its answer",
        "The logit lens reads the model after each layer, as if it ended there. Each cell holds "
        "the word it would say next; a gold border marks the layer from which the final answer "
        "stays.",
        layer_by_layer,
    ),
    Stop(
        "See where every head looks",
        "Attention moves information between words. Each small square is one head: rows are the "
        "words that look, columns the words looked at. A letter marks heads that do one of the "
        "textbook things on this prompt.",
        heads,
    ),
    Stop(
        "Find the place that decides the answer",
        "Activation patching runs the corrupted prompt again and again, each time with one place "
        "taken from the clean run. 1 means that this place alone brings the answer back, 0 that "
        "it does nothing.",
        what_decides,
    ),
    Stop(
        "Find the heads that carry it",
        "The same with the output of one head at a time, at all positions: which heads write what "
        "decides between the two answers?",
        which_heads,
    ),
    Stop(
        "Change the question: where does the name come from?",
        "Now the corrupted prompt has Oscar in Anton's place. The same person gives in both, so "
        "what decides is which name is there to be taken. It waits at its own place and is fetched "
        "to the last word in later layers, while the question who gives was settled early: two "
        "parts of one circuit.",
        which_name,
    ),
    Stop(
        "Look closely at one head",
        "One click on the head that looks most from the last word to the name that it has to say, "
        "and every panel turns to it: the tree, the lens, the grid, the large pattern, and the "
        "inspector with all its scores.",
        one_head,
    ),
    Stop(
        "The same in the dark theme",
        "For a lecture hall or a late evening. Numbers and arrangement stay.",
        in_the_dark,
    ),
    Stop(
        "The same on a small screen",
        "1366 × 768 points, the size of an older laptop.",
        small_screen,
    ),
    Stop(
        "What happens when something is wrong",
        "The corrupted prompt lost a word, so positions no longer match. The panel says what is "
        "wrong and where the prompts part; what was computed before stays in the picture.",
        what_goes_wrong,
    ),
    Stop(
        "Watch a larger model while it is computed, and stop it",
        "This network has twelve layers and was never trained; it is here because it takes a "
        "moment. Its grid fills from the last layer down and was held after the first rows: what "
        "is not computed yet is hatched, and Run has become Stop. Pressing it keeps what is there, "
        "and the list of runs below says so.",
        while_it_fills,
    ),
    *PATCHING,
    *HEADS,
    *LENSES,
    *PROBING,
    *POINTS,
    *FEATURES,
    *BROWSING,
    *KEPT,
    *TOYS[:-1],
    *TOY_SAE,
    TOYS[-1],
    *TRAINING,
)

"""Sentences about a training: true of made-up results whose curves are known."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.train import reading

STEPS = np.arange(0, 1501, 5)
CHECKPOINTS = np.arange(0, 1501, 50)
CHANCE = float(np.log(64))


def logistic(middle: float, width: float, steps: np.ndarray = STEPS) -> np.ndarray:
    return 1 / (1 + np.exp(-(steps - middle) / width))


def result(task: str, curves: dict[str, np.ndarray], **changes: Any) -> Any:
    """A result of two layers of four heads that do nothing, with these curves."""
    names = {"sorting": ("answer", "duplicate"), "addition": ()}
    scored = names.get(task, ("previous", "duplicate", "induction"))
    fields: dict[str, Any] = {
        "task": task, "step": 1500, "chance_loss": CHANCE, "history_step": STEPS,
        "history_loss": np.full(len(STEPS), 2.0), "curve_names": tuple(curves),
        "curves": np.stack(list(curves.values())), "score_names": scored,
        "scores": np.full((len(scored), len(STEPS), 2, 4), 0.03),
        "score_null": np.full(len(scored), 0.034), "pattern": np.zeros((2, 4, 40, 40)),
        "prompt": np.arange(40) % 20,
        "checkpoint_pattern": np.zeros((len(CHECKPOINTS), 2, 4, 40, 40), np.float16),
        "checkpoint_step": CHECKPOINTS, "checkpoint_spectrum": np.zeros((len(CHECKPOINTS), 0)),
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def induction(final: float = 0.1, **more: np.ndarray) -> Any:
    second = CHANCE + 0.4 - (CHANCE + 0.4 - final) * logistic(400, 20)
    return result("induction", {
        "first_half": np.full(len(STEPS), 4.4), "second_half": second,
        "accuracy": np.exp(-second), **more,
    })  # fmt: skip


def addition(train: np.ndarray, test: np.ndarray, share: np.ndarray) -> Any:
    return result("addition", {
        "train_loss": 4 * (1 - train), "test_loss": 4 * (1 - test), "train_accuracy": train,
        "test_accuracy": test, "restricted_loss": np.full(len(STEPS), 0.25),
        "excluded_loss": np.full(len(STEPS), 3.5),
    }, checkpoint_spectrum=np.tile(share, (len(CHECKPOINTS), 1)))  # fmt: skip


def test_induction_is_told_with_its_steps_head_and_null() -> None:
    made = induction()
    made.scores[2, :, 1, 2] = 0.03 + 0.85 * logistic(400, 20)
    made.scores[2, :, 1, 3] = 0.03 + 0.5 * logistic(400, 20)
    made.scores[0, :, 0, 1] = 0.05 + 0.6 * logistic(800, 20)
    said = reading.sentence(made)
    assert said.startswith("Induction forms at steps 3")
    assert said.endswith(
        "; head 1.2 attends to the token after the match (0.88 of its attention; uniform 0.03)."
    )
    more = reading.details(made)
    assert "Held-out loss 0.10 in the second half, 4.40 in the first" in more
    assert "Head 0.1 learns the previous token, fastest at steps 7" in more
    assert "Head 1.3 attends to the token after the match too." in more
    found = reading.roles(made)
    assert {head: role.letter for head, role in found.items()} == {
        (0, 1): "P", (1, 2): "I", (1, 3): "I",
    }  # fmt: skip
    assert found[1, 2].score == pytest.approx(0.88)


def test_a_sentence_about_a_checkpoint_knows_nothing_of_what_came_later() -> None:
    made = induction()
    made.scores[2, :, 1, 2] = 0.03 + 0.85 * logistic(400, 20)
    assert reading.sentence(made, 0) == (
        "Before the first step: the loss is 4.56, knowing nothing gives 4.16."
    )
    assert reading.sentence(made, 5).startswith("No induction yet: in the second copy the loss is")
    assert reading.sentence(made, 8).startswith("Induction is forming: head 1.2 puts 0.45") or (
        "forms" in reading.sentence(made, 8)
    )
    assert reading.sentence(made, 20).startswith("Induction forms at steps 3")
    assert reading.roles(made, 5) == {}
    assert list(reading.roles(made, 20)) == [(1, 2)]


def test_the_control_has_no_induction_and_says_why() -> None:
    made = induction(final=3.4)
    made.scores = made.scores[:, :, :1]
    said = reading.sentence(made)
    assert said == (
        "No induction yet: in the second copy the loss is 3.40, knowing nothing gives 4.16, and no "
        "head looks for a match (best 0.03, uniform 0.03)."
    )
    assert "With one layer no head can use what another has found." in reading.details(made)


def test_a_fixed_period_is_told_by_the_scores_not_by_the_setting() -> None:
    other = np.full(len(STEPS), 7.0)
    cheat = induction(other_period=other)
    assert (
        "no head looks for a match (best 0.03, uniform 0.03): with a fixed period position is"
        in (reading.sentence(cheat))
    )
    assert "On blocks of another length the loss is 7.00." in reading.details(cheat)
    honest = induction(other_period=np.full(len(STEPS), 0.2))
    honest.scores[2, :, 1, 2] = 0.9
    assert reading.sentence(honest).startswith("Induction forms at steps 3")
    assert "position" not in reading.sentence(induction())


def test_heads_that_share_the_work_are_not_called_position() -> None:
    made = induction()
    made.scores[2, :, 1] = 0.3
    assert "several share it, or it is not sharp yet" in reading.sentence(made)


def test_grokking_is_told_in_its_three_states() -> None:
    even = np.full(29, 1 / 29)
    half, memory = np.full(len(STEPS), 0.44), np.minimum(1, 0.01 + logistic(80, 8))
    assert reading.sentence(addition(half, half / 10, even)) == (
        "Learning by heart: 44 % of the training pairs are right, 4 % of the held-out ones."
    )
    known = addition(memory, np.full(len(STEPS), 0.42), even)
    assert reading.sentence(known) == (
        "All training pairs have been right since step 120, held-out 42 %: known by heart, no "
        "rule yet."
    )
    assert "No frequency stands out in the embedding." in reading.details(known)
    keyed = np.full(29, 0.2 / 26)
    keyed[[2, 9, 25]] = 0.8 / 3
    told = addition(memory, 0.3 + 0.7 * logistic(900, 20), keyed)
    assert reading.sentence(told).startswith("Memorised at step 120, generalised at step 9")
    more = reading.details(told)
    assert "Key frequencies 3, 10 and 26 hold 80 % of the embedding's power." in more
    assert (
        "With them alone the held-out loss is 0.25, without them the training loss is 3.50" in more
    )
    assert reading.sentence(told, 10).startswith("All training pairs have been right since")
    gapless = addition(memory, memory, keyed)
    assert reading.sentence(gapless).startswith("Learnt without a gap")


def test_sorting_counts_whole_lists_and_names_the_head() -> None:
    ones = np.ones(len(STEPS))
    made = result("sorting", {
        "sorted_loss": ones * 0.02, "accuracy": ones * 0.9996, "whole_list": ones * 0.984,
    })  # fmt: skip
    made.scores[0, :, 1, 3] = 0.64
    assert reading.sentence(made) == (
        "98 % of the held-out lists are sorted without a mistake, 99.9 % of their numbers are "
        "right."
    )
    assert "Head 1.3 attends to the number to write next (0.64" in reading.details(made)
    assert reading.roles(made)[1, 3].letter == "A"


def test_text_is_compared_with_word_frequencies_and_with_its_own_best() -> None:
    ones = np.ones(len(STEPS))

    def text(loss: np.ndarray) -> Any:
        curves = {"held_out_loss": loss, "accuracy": ones * 0.2, "unigram_loss": ones * 5.0}
        return result("text", curves, chance_loss=7.6)

    falls = text(7 - 3 * logistic(200, 50))
    assert "context is worth 1.00" in reading.sentence(falls)
    assert "90 % of what context is worth was there by step 370" in reading.details(falls)
    assert "no head looks for the match (best 0.03" in reading.details(falls)
    assert "Nothing beyond word frequencies yet" in reading.sentence(text(ones * 6))
    overfit = 7 - 3 * logistic(200, 50) + np.maximum(0, STEPS - 700) / 1000
    assert "best at step 6" in reading.sentence(text(overfit))
    assert "learns the text by heart" in reading.sentence(text(overfit))


def test_a_head_that_copies_in_the_text_alone_is_told_with_its_steps_and_null() -> None:
    ones = np.ones(len(STEPS))
    curves = {"held_out_loss": 7 - 3 * logistic(200, 50), "accuracy": ones * 0.2,
              "unigram_loss": ones * 5.0}  # fmt: skip
    made = result("text", curves, chance_loss=7.6)
    share = 0.6 / (1 + np.exp(-(CHECKPOINTS - 800) / 60))  # [checkpoint]
    query = np.arange(20, 40)
    made.checkpoint_pattern[:, 1, 2, query, query - 19] = share[:, None]
    made.pattern = made.checkpoint_pattern[-1]
    said, more = reading.sentence(made), reading.details(made)
    assert "head 1.2 learns to look for the match between steps 700 and 900" in said
    assert "head 1.2 puts 0.60 of its attention on the token after the match" in more
    assert "on random words none does (best 0.03)" in more
    assert "learns to look" not in reading.sentence(made, 10)
    assert [(p.name, p.first, p.last) for p in reading.phases_of(made)] == [
        ("1.2 copies", 700, 900)
    ]
    null = np.mean([1 / (q + 1) for q in query])
    assert f"uniform {null:.2f})" in reading.details(made)


def test_divergence_is_told_with_the_last_good_step() -> None:
    made = induction()
    made.curves[:, STEPS > 340] = np.nan
    assert reading.sentence(made) == (
        "Training diverged after step 340: the loss is no number any more."
    )
    assert reading.details(made) == ""
    assert "No induction yet" in reading.sentence(made, 4)
    made.curves[:] = np.nan
    assert reading.sentence(made) == "The loss is no number."


@pytest.mark.parametrize("task", ["induction", "addition", "sorting", "text", "cycle"])
def test_the_first_record_and_none_at_all_have_a_sentence(task: str) -> None:
    names = {
        "induction": ("first_half", "second_half", "accuracy"),
        "addition": ("train_loss", "test_loss", "train_accuracy", "test_accuracy"),
        "sorting": ("sorted_loss", "accuracy", "whole_list"),
        "text": ("held_out_loss", "accuracy", "unigram_loss"),
        "cycle": ("train_loss", "train_accuracy", "probability"),
    }[task]
    for count in (0, 1, 2, 3):
        made = result(task, {name: np.full(count, 0.5) for name in names})
        made.history_step, made.history_loss = STEPS[:count], np.ones(count)
        made.scores = made.scores[:, :count]
        made.checkpoint_step = CHECKPOINTS[: min(count, 1)]
        made.checkpoint_spectrum = np.zeros((min(count, 1), 0))
        assert reading.sentence(made).endswith(".")
        assert "nan" not in reading.sentence(made) + reading.details(made)
        assert reading.phases_of(made) == ()
        assert reading.roles(made) == {}

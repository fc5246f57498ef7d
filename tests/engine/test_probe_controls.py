"""Splits, control tasks, baselines, intervals and codelength of probes, on labels made by hand."""

import numpy as np
import pytest

from engine.errors import RunError
from engine.probes import codelength as coding
from engine.probes.controls import (
    control_labels,
    identity_accuracy,
    leakage,
    majority_accuracy,
    shuffled_labels,
)  # fmt: skip
from engine.probes.fitting import Problems, classes_of, finish, fit, predict
from engine.probes.intervals import interval
from engine.probes.problems import Kind
from engine.probes.splitting import split

RNG = np.random.default_rng


def test_a_group_is_never_parted_and_every_row_is_in_one_part() -> None:
    groups = RNG(0).integers(0, 80, 1000)
    parts = split(groups, 3)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together) == list(range(1000))
    names = [set(groups[part]) for part in (parts.train, parts.validation, parts.test)]
    assert not names[0] & names[1]
    assert not names[0] & names[2]
    assert not names[1] & names[2]
    assert abs(len(parts.train) / 1000 - 0.6) < 0.05
    assert parts.mask("test", 1000).nonzero()[0].tolist() == parts.test.tolist()


def test_a_split_is_decided_by_its_seed() -> None:
    first, again, other = (split(np.arange(50), seed) for seed in (1, 1, 2))
    assert first.train.tolist() == again.train.tolist()
    assert first.train.tolist() != other.train.tolist()


def test_every_class_is_in_the_training_part() -> None:
    labels = np.zeros(100, int)
    labels[[7, 55]], labels[13] = 1, 2
    labels[90:] = -1
    for seed in range(20):
        parts = split(np.arange(100), seed, labels=labels, class_names=("a", "b", "c"))
        assert set(labels[parts.train]) == {0, 1, 2}
        assert len(parts.train) + len(parts.validation) + len(parts.test) == 90


@pytest.mark.parametrize("sizes", [(100, 1, 1), (1, 1, 100), (1, 100, 1), (40, 40, 40)])
def test_no_part_is_empty_however_uneven_the_groups(sizes: tuple[int, ...]) -> None:
    for seed in range(6):
        parts = split(np.repeat([5, 6, 7], sizes), seed)
        assert min(len(parts.train), len(parts.validation), len(parts.test)) > 0


def test_what_cannot_be_split_is_named() -> None:
    with pytest.raises(RunError, match=r"9 labelled examples in 2 group\(s\)"):
        split([1, 1, 1, 1, 2, 2, 2, 2, 2], 0)
    with pytest.raises(RunError, match="0 labelled examples"):
        split([], 0)
    with pytest.raises(RunError, match="no example of class verb"):
        split(np.arange(9), 0, labels=np.zeros(9, int), class_names=("noun", "verb"))
    with pytest.raises(RunError, match="no examples are left for"):
        split(np.arange(4), 0, labels=np.arange(4))


def test_a_control_task_gives_each_type_one_label_of_the_right_distribution() -> None:
    types = RNG(0).integers(0, 3000, 20_000)
    labels = RNG(1).choice(4, 20_000, p=[0.5, 0.3, 0.2, 0.0])
    labels[:100] = -1
    control = control_labels(types, labels, 5)
    assert (control[:100] == -1).all()
    own = {}
    for name, label in zip(types[100:], control[100:], strict=True):
        assert own.setdefault(name, label) == label
    share = np.bincount(list(own.values()), minlength=4) / len(own)
    np.testing.assert_allclose(share, [0.5, 0.3, 0.2, 0.0], atol=0.03)
    assert (control != control_labels(types, labels, 6)).any()


def test_a_control_label_does_not_depend_on_the_order_or_on_other_types() -> None:
    types, labels = RNG(0).integers(0, 50, 400), RNG(1).integers(0, 2, 400)
    control = control_labels(types, labels, 1)
    order = RNG(2).permutation(400)
    assert (control_labels(types[order], labels[order], 1) == control[order]).all()
    more = control_labels(np.append(types, [99, 99]), np.append(labels, [0, 1]), 1)
    assert (more[:400] == control).mean() > 0.95  # the distribution has moved a little


def test_a_control_task_has_two_classes_even_of_two_types() -> None:
    for seed in range(30):
        assert len(set(control_labels([1, 2, 1, 2], [0, 1, 1, 0], seed))) == 2


def test_shuffled_labels_keep_each_part_and_its_counts() -> None:
    labels, parts = RNG(0).integers(-1, 4, 500), RNG(1).integers(0, 3, 500)
    shuffled = shuffled_labels(labels, parts, 0)
    assert ((shuffled < 0) == (labels < 0)).all()
    for part in range(3):
        assert sorted(shuffled[parts == part]) == sorted(labels[parts == part])
    assert (shuffled != labels).mean() > 0.4


def test_baselines_are_counted_by_hand() -> None:
    #                 train            | test
    labels = np.array([0, 0, 1, 1, 1, 0, 0, 1, 1, -1])
    types = np.array([5, 5, 5, 6, 6, 7, 5, 6, 9, 5])
    train, test = np.arange(6), np.arange(6, 10)
    assert majority_accuracy(labels, train, test) == pytest.approx(1 / 3)  # a tie goes to class 0
    # 5 -> 0 right, 6 -> 1 right, 9 is new -> the majority 0, wrong
    assert identity_accuracy(types, labels, train, test) == pytest.approx(2 / 3)
    assert np.isnan(majority_accuracy(labels, train, [9]))


def test_a_token_that_decides_the_label_is_told() -> None:
    types = np.repeat(np.arange(301), 4)
    labels = types % 2
    labels[:48] = np.arange(48) % 2
    (sentence,) = leakage(types, labels)
    assert sentence.startswith("Of 1,204 examples, 96 % have a token that decides the label alone")
    assert leakage(types, RNG(0).integers(0, 2, len(types))) == []
    assert leakage(np.arange(500), np.arange(500) % 2) == []  # each token once: nothing to know
    assert leakage(types, np.zeros(len(types), int)) == []
    assert leakage([], []) == []


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, held = RNG(0), 0
    for trial in range(200):
        difficulty = rng.beta(4, 1, 150)  # each example has its own chance, mean .8
        correct = [rng.random(150) < difficulty for _ in range(5)]
        found = interval(correct, [np.arange(150)] * 5, seed=trial, draws=100)
        held += bool(found.low <= 0.8 <= found.high)
    assert 0.93 <= held / 200 <= 1.0


def test_an_interval_is_wider_where_examples_come_in_groups() -> None:
    rng = RNG(0)
    groups = np.repeat(np.arange(20), 10)
    correct = [(rng.random(20) < 0.7)[groups]] * 2
    together, apart = (interval(correct, [g] * 2) for g in (groups, np.arange(200)))
    assert together.mean == apart.mean
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_a_difference_is_resampled_in_pairs_and_not_clipped() -> None:
    correct = RNG(0).random((3, 2, 400)) < 0.9  # [seed, site, row]
    names = [np.arange(400)] * 3
    same = interval(list(correct), names, against=list(correct))
    np.testing.assert_array_equal([same.mean, same.low, same.high], np.zeros((3, 2)))
    worse = interval(list(correct), names, against=list(np.ones((3, 2, 400))))
    assert (worse.low < worse.mean).all()
    assert (worse.mean < 0).all()
    nothing = interval([], [])
    assert np.isnan(nothing.mean)


def test_an_online_code_is_short_for_what_can_be_read_and_long_for_noise() -> None:
    rng = RNG(0)
    X = rng.standard_normal((800, 10)).astype(np.float32)
    y = (X @ rng.standard_normal((10, 4))).argmax(axis=1)
    labels = np.stack([y, rng.permutation(y), np.where(np.arange(800) < 400, y, -1)])
    steps = coding.codelength(X, labels, np.arange(800), 4, 1e-2)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            code = end.value
            break
    np.testing.assert_allclose(code.uniform, [1600, 1600, 800])
    assert code.compression[0] > 2
    assert 0.6 < code.compression[1] < 1.05
    assert 1.5 < code.compression[2] < code.compression[0]


def test_blocks_of_the_code_end_where_groups_do() -> None:
    groups = RNG(0).integers(0, 60, 1000)
    order, ends = coding.blocks(groups, 0)
    assert sorted(order) == list(range(1000))
    assert ends[-1] == 1000
    for end in ends[:-1]:
        assert groups[order[end - 1]] != groups[order[end]]
        assert not set(groups[order[:end]]) & set(groups[order[end:]])


def accuracies(kind: Kind, seed: int) -> tuple[float, float]:
    """Test accuracy of task and control on a language whose control task can be memorised.

    150 words of 5 parts of speech; a word's activation is its own vector in 24 units, which holds
    its part of speech along a few directions, plus what its context adds.
    """
    rng = RNG(seed)
    part_of = rng.integers(0, 5, 150)  # [word]
    E = rng.standard_normal((150, 24)) + 1.5 * rng.standard_normal((5, 24))[part_of]
    words = rng.integers(0, 150, 3000)  # [row]
    X = (E[words] + 0.15 * rng.standard_normal((3000, 24))).astype(np.float32)
    labels = np.stack([part_of[words], control_labels(words, part_of[words], seed)])
    parts = split(np.arange(3000), seed, labels=labels[0])
    train = np.broadcast_to(parts.mask("train", 3000), labels.shape)
    problems = Problems.crossed(labels, train, 5, [1e-4])
    found = finish(fit(kind, X, problems, hidden_units=128, seed=seed))
    said = classes_of(predict(found, X, parts.test))  # [task, row]
    task, control = (said == labels[:, parts.test]).mean(axis=1)
    return float(task), float(control)


def test_a_hidden_layer_memorises_the_control_task_and_a_linear_probe_does_not() -> None:
    linear, control = accuracies("logistic", 0)
    hidden, memorised = accuracies("hidden", 0)
    assert linear > 0.9
    assert hidden > 0.95
    assert linear - control > 0.35  # selectivity: what the representation itself makes easy
    assert 0 <= hidden - memorised < 0.1
    assert (linear - control) - (hidden - memorised) > 0.3

"""Examples: labelled places in texts (or points of a task), chosen and ready to be read.

One example is one activation: a token, the mean of a text, or a point. Groups are texts unless the
data names others. Classes with too few examples are left out and named.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.data.labelled_table import read_labelled
from engine.errors import FileError, RunError, SpecError
from engine.mlp import tasks
from engine.probes.labels import (
    BUILT_IN,
    NEXT_TOKEN,
    OF_IDS,
    OF_WORLD,
    POSITION,
    TOKEN,
    LabelledText,
    of_random_tokens,
    of_table,
    of_world,
    reads_world,
    table_column,
)
from engine.refs import Ref, locate

__all__ = ["BUILT_IN", "READS", "Asked", "Examples", "gather"]

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.floating]

Texts = Generator[LabelledText]

READS = ("auto", "every", "last", "position", "mean")
FEWEST, FEWEST_GROUPS = 5, 3  # examples and groups of a class; a split into three needs them
SMALL_CLASS = 20  # examples below which a warning says so
NAMED = 6  # classes or reasons that a warning names
LONGEST_TEXT = 2_000  # characters of a text that a result shows
MEAN = -1  # `where` of an example that is the mean of its text
POINTS_SEED = 100  # a stream of points that no training drew


class Asked(Protocol):
    """The fields of a technique that say which examples."""

    @property
    def data(self) -> Ref | None: ...
    @property
    def column(self) -> str: ...
    @property
    def read(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def n_examples(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def bos(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Examples:
    """label, text, where, types and groups [example]; texts by index; points [example, d_in].

    types: what a control task gives a random label to: the token that is read, the whole text where
    that says nothing, the cell of a point. by_text: a text has one label.
    """

    column: str
    data_name: str
    classes: tuple[str, ...]
    label: Ints
    text: Ints
    where: Ints
    types: Ints
    groups: Ints
    texts: tuple[LabelledText, ...] = ()
    points: Floats | None = None
    by_text: bool = False
    warnings: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.label)

    def shown(self, model: Any, chosen: Ints) -> dict[str, Any]:
        """The fields of a result that show the chosen examples: texts, words, places, tokens."""
        if self.points is not None:
            words = tuple(f"({x:.2f}, {y:.2f})" for x, y in self.points[chosen, :2])
            return {
                "example_text": words, "example_words": words,
                "example_where": np.zeros(len(chosen), np.int64),
                "example_prompt_tokens": np.zeros((len(chosen), 0), np.int64),
            }  # fmt: skip
        texts = [self.texts[at] for at in self.text[chosen]]
        longest = max((len(text.ids) for text in texts), default=0)
        tokens = np.full((len(chosen), longest), -1, np.int64)  # [example, pos]
        for row, text in zip(tokens, texts, strict=True):
            row[: len(text.ids)] = text.ids
        where = self.where[chosen]  # [example]
        words = tuple(
            "" if at == MEAN else model.pieces([text.ids[at]])[0]
            for text, at in zip(texts, where, strict=True)
        )
        return {
            "example_text": tuple(text.text[:LONGEST_TEXT] for text in texts),
            "example_words": words, "example_where": where, "example_prompt_tokens": tokens,
        }  # fmt: skip


def gather(asked: Asked, model: Any) -> Examples:
    """The examples that are asked for, as this model reads them.

    RunError where there are none, or of one class only; SpecError where a field does not fit.
    """
    if getattr(model, "inputs", "tokens") == "points":
        return _points(asked, model)
    warnings: list[str] = []
    column, data_name, texts = _source(asked, model, warnings)
    chosen: list[LabelledText] = []
    found: list[tuple[int, int, str]] = []  # text, where, label
    cut = short = 0
    for text in texts:
        cut += len(text.ids) > model.config.n_ctx
        places = _places(asked, _cut(text, model.config.n_ctx))
        if not places:
            short += 1
            continue
        found += [(len(chosen), at, label) for at, label in places]
        chosen.append(_cut(text, model.config.n_ctx))
        if len(found) >= asked.n_examples:
            break
    texts.close()  # now it says what it left out
    if cut:
        warnings.append(f"{cut:,} texts are longer than the {model.config.n_ctx} tokens that "
                        f"{model.name} reads and are cut there")  # fmt: skip
    if short:
        warnings.append(f"{short:,} texts have no label where they are read")
    if not found:
        raise RunError(f"no example has a label in {column!r} of {data_name}"
                       + (f": {warnings[-1]}" if warnings else ""))  # fmt: skip
    made = _classes(found[: asked.n_examples], chosen, model, column, data_name, warnings)
    return _whole_types(made, asked)


def _source(asked: Asked, model: Any, warnings: list[str]) -> tuple[str, str, Texts]:
    """The column, the name of the data and its texts."""
    if asked.data is not None:
        path = locate(asked.data, model.listen, "data")
        try:
            table = read_labelled(path, model.listen)
        except FileError as error:
            raise RunError(str(error)) from None
        column = table_column(table, asked.column)
        if table.left_out:
            line, why = table.left_out[0]
            warnings.append(f"{_rows(len(table.left_out))} of {table.name} cannot be read and are "
                            f"left out: line {line}: {why}")  # fmt: skip
        left_out: list[str] = []
        texts = of_table(model, table, column, asked.seed, asked.bos, left_out)
        return column, table.name, _counting(texts, left_out, table.name, warnings)
    if reads_world(model):
        column = "part_of_speech" if asked.column == "label" else asked.column
        _known(column, BUILT_IN, "the little world")
        texts = of_world(model, column, asked.seed, asked.bos)
        return column, "texts of the little world", texts
    column = POSITION if asked.column == "label" else asked.column
    if column in OF_WORLD:
        raise RunError(f"{model.name} does not read the words of the little world, whose labels "
                       f"{column} are: choose labelled texts in Data")  # fmt: skip
    _known(column, OF_IDS, "random tokens")
    warnings.append(f"{model.name} does not read the little world: these are random tokens")
    return column, "random tokens", of_random_tokens(model, column, asked.seed)


def _known(column: str, names: Sequence[str], data: str) -> None:
    if column not in names:
        raise SpecError("column", f"{data}: no labels are called {column!r}; there are "
                        f"{', '.join(names)}")  # fmt: skip


def _counting(texts: Texts, left_out: list[str], name: str, warnings: list[str]) -> Texts:
    """The texts; a warning counts the rows that were passed over, however many are read."""
    try:
        yield from texts
    finally:
        bare = sum(why == "has no label" for why in left_out)
        if bare:
            warnings.append(f"{_rows(bare)} of {name} without a label left out")
        others = [why for why in left_out if why != "has no label"]
        if others:
            warnings.append(f"{_rows(len(others))} of {name} left out: {others[0]}")


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"


def _cut(text: LabelledText, n_ctx: int) -> LabelledText:
    if len(text.ids) <= n_ctx:
        return text
    kept = [(at, label) for at, label in zip(text.at, text.labels, strict=True) if at < n_ctx]
    return LabelledText(
        text.ids[:n_ctx], text.start, text.text, text.label,
        tuple(at for at, _ in kept), tuple(label for _, label in kept), text.group,
    )  # fmt: skip


def _places(asked: Asked, text: LabelledText) -> list[tuple[int, str]]:
    """(position, label) of what is read of one text; [] where it is too short or has no label."""
    last = len(text.ids) - 1
    if text.start > last:
        return []
    at = asked.position if asked.position >= 0 else last + 1 + asked.position
    if not text.label:
        by_place = dict(zip(text.at, text.labels, strict=True))
        if asked.read == "mean":
            raise SpecError("read", "tokens have labels of their own here, which no mean has: "
                            "choose every, last or position")  # fmt: skip
        if asked.read in ("auto", "every"):
            return list(by_place.items())
        at = last if asked.read == "last" else at
        return [(at, by_place[at])] if at in by_place else []
    if asked.read == "every":
        return [(place, text.label) for place in range(text.start, last + 1)]
    if asked.read == "mean":
        return [(MEAN, text.label)]
    if asked.read == "position":
        return [(at, text.label)] if 0 <= at <= last else []
    return [(last, text.label)]


def _classes(
    found: list[tuple[int, int, str]], texts: list[LabelledText], model: Any, column: str,
    data_name: str, warnings: list[str],
) -> Examples:  # fmt: skip
    """Examples of all classes that have enough of them."""
    text, where = (np.array([one[axis] for one in found], np.int64) for axis in (0, 1))  # [example]
    names, label = np.unique([one[2] for one in found], return_inverse=True)
    group_names = [texts[at].group for at in text]
    groups = np.unique(group_names, return_inverse=True)[1]  # [example]
    counts = np.bincount(label, minlength=len(names))  # [class]
    pairs = np.unique(np.stack([label, groups]), axis=1)[0]
    enough = (counts >= FEWEST) & (np.bincount(pairs, minlength=len(names)) >= FEWEST_GROUPS)
    shown = _names(names, model, column)
    if len(names) == 1:
        raise RunError(f"all {len(found):,} labels in {column!r} of {data_name} are {shown[0]!r}: "
                       "a probe needs two classes")  # fmt: skip
    if enough.sum() < 2:
        raise RunError(
            f"{len(names):,} classes in {column!r} of {data_name}, and fewer than two of them have "
            f"{FEWEST} examples in {FEWEST_GROUPS} groups among the {len(found):,} read: raise "
            "Examples, or choose another column"
        )
    if not enough.all():
        few = [f"{shown[at]} ({counts[at]})" for at in np.flatnonzero(~enough)]
        warnings.append(
            f"{len(few):,} of {len(names):,} classes have fewer than {FEWEST} examples in "
            f"{FEWEST_GROUPS} groups and are left out: {', '.join(few[:NAMED])}"
            + (", ..." if len(few) > NAMED else "")
        )
    kept = np.array(sorted(np.flatnonzero(enough), key=lambda at: _order(names[at])), np.int64)
    small = [f"{shown[at]} ({counts[at]})" for at in kept if counts[at] < SMALL_CLASS]
    if small:
        more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
        warnings.append(f"few examples of {', '.join(small[:NAMED])}{more}")
    number = np.full(len(names), -1, np.int64)  # [old class]
    number[kept] = np.arange(len(kept))
    rows = np.flatnonzero(number[label] >= 0)  # [example]
    tokens = np.array([texts[at].ids[place] for at, place in zip(text, where, strict=True)])
    return Examples(
        column, data_name, tuple(shown[at] for at in kept), number[label[rows]], text[rows],
        where[rows], tokens[rows], groups[rows], tuple(texts),
        by_text=bool(texts[0].label), warnings=tuple(warnings),
    )  # fmt: skip


def _whole_types(made: Examples, asked: Asked) -> Examples:
    """Control types: the whole text where the token that is read says (next to) nothing."""
    few = len(np.unique(made.types)) < 2 * len(made.classes)
    if not made.by_text or (asked.read != "mean" and not few):
        return made
    texts = {text.ids.tobytes(): at for at, text in enumerate(made.texts)}
    types = np.array([texts[made.texts[at].ids.tobytes()] for at in made.text])  # [example]
    warning = "the control task gives a random label to each text, as the token read is no word"
    known = {name: getattr(made, name) for name in made.__dataclass_fields__}
    return Examples(**{**known, "types": types, "warnings": (*made.warnings, warning)})


def _names(names: Any, model: Any, column: str) -> list[str]:
    """Classes as people read them: tokens by their texts."""
    if column not in (TOKEN, NEXT_TOKEN):
        return [str(name) for name in names]
    pieces = model.pieces([int(name) for name in names])
    return [piece if pieces.count(piece) == 1 else f"{piece} ({name})"
            for piece, name in zip(pieces, names, strict=True)]  # fmt: skip


def _order(name: str) -> tuple[int, float, str]:
    """Numbers by size, then the rest by the alphabet."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def _points(asked: Asked, model: Any) -> Examples:
    """Fresh points of the task that an MLP was trained on."""
    task = model.config.task
    if asked.data is not None:
        raise SpecError("data", f"{model.name} reads points, not texts: leave it empty")
    if not task:
        raise RunError(f"{model.name} does not say which task it was trained on")
    if asked.column != "label":
        raise SpecError("column", f"points of {task!r} have one label: write label")
    points, label = tasks.draw(task, asked.n_examples, (asked.seed, POINTS_SEED))
    if len(np.unique(label)) < 2:
        raise RunError(f"all {len(label):,} points of {task!r} are of one class: read more")
    each = np.arange(len(label))  # [example]
    return Examples(
        "label", f"points of {task}", ("0", "1"), label, each, np.zeros(len(label), np.int64),
        tasks.cells(points), each, points=points,
    )  # fmt: skip

"""Searches a language model for units that track a property of the text."""

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor

from conveyor.errors import DataError, counted
from conveyor.inspect.overview import overview
from conveyor.inspect.tracking import Tracking, unit_that_tracks
from conveyor.pages.words import Words, counted_words, same
from conveyor.tasks.text.language_model import UNIT_WORDS, LanguageModel
from conveyor.tasks.text.text_properties import PROPERTIES
from conveyor.tasks.tracked_property import TrackedProperty, UnitSearch

# So many characters are read: what a unit does shows in some pages of text, and each takes memory.
MOST_CHARACTERS = 20_000
# Two halves of so many characters are too few for a correlation to mean anything.
LEAST_CHARACTERS = 200
# So many characters of the second half are shown, coloured by the unit.
SHOWN = 600


def search_units(model: LanguageModel, text: str, say: Callable[[str], None]) -> UnitSearch:
    """Return for each property of a text the unit of a language model that tracks it best.

    Args:
        model: the language model.
        text: in normal form C; one that the model has not learned from.
        say: called with each line for the user.

    Raises:
        DataError: the text is too short.
    """
    if len(text) > MOST_CHARACTERS:
        say(f"of the text's characters the first {MOST_CHARACTERS:,} are read")
        text = text[:MOST_CHARACTERS]
    if len(text) < LEAST_CHARACTERS:
        raise DataError(
            f"the text has {counted(len(text), 'character')}; expected {LEAST_CHARACTERS} or more."
        )
    labels = tuple(model.vocabulary.labels(text))
    with torch.no_grad():
        inputs = model.embedding(model.vocabulary.encode(text).unsqueeze(1))
    values, places = _states(model, inputs)
    # What a network that reads words knows after a word is the property at its last character; a
    # sign of no width, as a space that begins what is spelled, is told what the one before was.
    ends = [max(end - 1, 0) for end in accumulate(map(len, labels))]
    tracked, skipped = [], []
    half = len(labels) // 2
    # What is shown begins with a line, if one begins soon.
    begin = next((n for n in range(half, half + SHOWN // 2) if labels[n : n + 1] == ("\n",)), None)
    begin = half if begin is None else begin + 1
    for one in PROPERTIES:
        best = unit_that_tracks(values, torch.tensor(one.of(text))[ends])
        if best is None:
            skipped.append(one.name)
            continue
        deviation = values[:, best.unit] - values[:, best.unit].mean()
        shown = deviation[begin : begin + SHOWN]
        most = float(deviation.abs().max()) or 1.0
        place, number = places[best.unit]
        tracked.append(
            TrackedProperty(
                one.name,
                place,
                Tracking(number, best.score, best.control),
                labels[begin : begin + SHOWN],
                tuple((shown / most).tolist()),
            )
        )
    vocabulary = model.vocabulary
    vietnamese = UNIT_WORDS[vocabulary.unit].vi
    count = counted_words(len(labels), vocabulary.unit_name, vietnamese)
    tracked.sort(key=lambda one: -abs(one.tracking.score))
    return UnitSearch(tuple(tracked), tuple(skipped), len(labels), values.shape[1], count)


def _states(model: LanguageModel, inputs: Tensor) -> tuple[Tensor, list[tuple[Words, int]]]:
    """Return the states of all layers side by side, [steps, units], and where each unit is."""
    tensors, places = [], []
    several = model.recurrent.num_layers > 1
    for one in overview(model.recurrent, inputs):
        for name in dict.fromkeys((one.memory, "h")):
            if name not in one.values:
                continue
            tensors.append(one.values[name])
            place = same(name)
            if several:
                place = Words(f"{name}, layer {one.layer + 1}", f"{name}, tầng {one.layer + 1}")
            places += [(place, unit) for unit in range(one.values[name].shape[1])]
    return torch.cat(tensors, 1), places

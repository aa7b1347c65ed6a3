"""A text or a series as a classifier reads it, for a look inside."""

import torch
from torch import Tensor

from conveyor.pages.words import Words, same
from conveyor.tasks.classify.classifier import Classifier
from conveyor.tasks.classify.text_reader import TextReader
from conveyor.tasks.read_sequence import MOST_LINES, ReadSequence

# A text longer than this is shortened where it is a title.
_TITLE = 60


def sequence_of(
    network: Classifier, encoded: Tensor, title: str, *, given: str | None
) -> ReadSequence:
    """Return a sequence as a network reads it."""
    reader = network.reader
    best = int(network.log_probabilities([encoded])[0].argmax())
    name = network.classes[best]
    with torch.no_grad():
        inputs = network.vectors(encoded.unsqueeze(1))
    lines: dict[Words, tuple[float, ...]] = {}
    is_text = isinstance(reader, TextReader)
    if isinstance(reader, TextReader):
        labels = tuple(reader.tokens(title))
    else:
        labels = tuple(map(str, range(1, len(encoded) + 1)))
        if reader.features <= MOST_LINES:
            lines = {
                same(each): tuple(encoded[:, place].tolist())
                for place, each in enumerate(reader.names)
            }
    return ReadSequence(
        title=same(title if len(title) <= _TITLE else title[:_TITLE].rstrip() + "…"),
        inputs=inputs,
        labels=labels,
        answer=lambda output: network.of_outputs(output)[:, best],
        asked=Words(
            f"the log-probability of ‘{name}’, the predicted class",
            f"log xác suất của ‘{name}’, lớp mà mạng chọn",
        ),
        symbols=is_text,
        features=lines,
        repeat={"text": given if given is not None else title} if is_text and given else {},
    )

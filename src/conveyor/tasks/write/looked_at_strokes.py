"""Strokes as a writer reads them, for a look inside."""

import torch
from torch import Tensor

from conveyor.data.padded import before_each
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.write.pen_examples import PenExamples
from conveyor.tasks.write.writer import Writer


def looked_at_strokes(network: Writer, examples: PenExamples) -> ReadSequence:
    """Return a text as the lowest layer of the cell reads it. The answer is the logarithm of the
    density of all its movements.

    Args:
        network: the network.
        examples: the text, one.
    """
    batch = examples[0]
    movements = batch.movements
    before = before_each(movements)
    with torch.no_grad():
        below, beside, weights = network.first_of(
            before, batch.lengths, batch.characters, batch.character_counts, traced=True
        )
        inputs = torch.cat([*below[-1:], *beside], -1)
    text = examples.texts[0]
    if weights is None:
        labels = [f"{number}" for number in range(1, len(movements) + 1)]
    else:
        # The end of a text is no letter: what is drawn there belongs to the last one.
        letters = weights[:, 0, : len(text)].argmax(1).tolist()
        labels = [text[place] for place in letters]

    def log_density(output: Tensor) -> Tensor:
        rows = output.shape[1]
        others = [each.expand(-1, rows, -1) for each in below]
        read = network.rest_of([*others, output], [each.expand(-1, rows, -1) for each in beside])
        losses = network.head.losses(network.head(read), movements.expand(-1, rows, -1))
        return -losses.sum(0)

    return ReadSequence(
        title=same(text or examples.places[0]),
        inputs=inputs,
        labels=tuple(labels),
        answer=log_density,
        asked=Words("the logarithm of the density of all movements", "log mật độ của mọi bước bút"),
    )

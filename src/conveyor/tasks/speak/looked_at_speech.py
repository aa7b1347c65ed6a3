"""A recording as a voice speaks it, for a look inside."""

import torch
from torch import Tensor

from conveyor.layers.places import Places
from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.speak.spoken_examples import SpokenExamples
from conveyor.tasks.speak.voice import Voice


def looked_at_speech(network: Voice, examples: SpokenExamples) -> ReadSequence:
    """Return a recording as the lowest layer of the cell speaks it, where the frames before are
    known. The answer is how near it comes to all its frames: minus the sum of their errors.

    Args:
        network: the network.
        examples: the recording, one.
    """
    batch, text = examples[0], examples.texts[0]
    with torch.no_grad():
        steps, counts = network.steps(batch.frames, batch.lengths)
        memory = Places(network.memory(batch.letters, batch.letter_counts), batch.letter_counts)
        read = network.read(steps, batch.speakers)
        below, beside, weights = network.first_of(read, counts, memory, traced=True)
        inputs = torch.cat([below[-1], *beside], -1)
    assert weights is not None
    tokens = network.speller.tokens(text)
    # The end of a text is no letter: what is spoken there belongs to the last one.
    letters = weights[:, 0, : len(tokens)].argmax(1).tolist()

    def nearness(output: Tensor) -> Tensor:
        rows = output.shape[1]
        said = network.rest_of(
            [*(each.expand(-1, rows, -1) for each in below), output],
            [each.expand(-1, rows, -1) for each in beside],
        )
        return -(said[..., :-1] - steps).abs().mean(-1).sum(0)

    return ReadSequence(
        title=same(text),
        inputs=inputs,
        labels=tuple(tokens[place] for place in letters),
        answer=nearness,
        asked=Words(
            "the closeness to the recording's frames (minus the sum of the errors)",
            "độ gần với các khung của bản ghi âm (trừ tổng sai số)",
        ),
    )

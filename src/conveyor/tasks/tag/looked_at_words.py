"""A sentence as a tagger reads it, for a look inside."""

from collections.abc import Sequence

import torch
from torch import Tensor

from conveyor.pages.words import Words, same
from conveyor.tasks.read_sequence import ReadSequence
from conveyor.tasks.tag.sentence_reader import normal
from conveyor.tasks.tag.tagger import Tagger

# A sentence longer than this is shortened where it is a title.
_TITLE = 60


def sentence_of(network: Tagger, words: Sequence[str], *, given: str | None) -> ReadSequence:
    """Return a sentence as a network reads it. The answer is the logarithm of the probability of
    the tag that it was least sure of."""
    (answer,) = network.answer([words], sure=True)
    doubtful = min(range(len(words)), key=lambda place: answer.probabilities[place])
    tag = network.tags.index(answer.tags[doubtful])
    spelled = network.reader.spelled([normal(word) for word in words])
    with torch.no_grad():
        inputs = network.vectors(spelled, torch.arange(len(words))[:, None])
    title, word = " ".join(words), words[doubtful]

    def log_chance(output: Tensor) -> Tensor:
        scores: Tensor = network.head(output)
        if network.crf is None:
            return scores.log_softmax(-1)[doubtful, :, tag]
        # Of all tags of the sentence those that hold this one, to all that there may be.
        others = torch.full_like(scores, 0.0)
        others[doubtful] = torch.finfo(scores.dtype).min / 4
        others[doubtful, :, tag] = 0.0
        return network.crf.log_partition(scores + others) - network.crf.log_partition(scores)

    return ReadSequence(
        title=same(title if len(title) <= _TITLE else title[:_TITLE].rstrip() + "…"),
        inputs=inputs,
        labels=tuple(words),
        answer=log_chance,
        asked=Words(
            f"the log-probability of ‘{answer.tags[doubtful]}’ for ‘{word}’, the tag with the "
            "lowest confidence",
            f"log xác suất của nhãn ‘{answer.tags[doubtful]}’ cho từ ‘{word}’, nhãn mà mạng kém "
            "chắc nhất",
        ),
        symbols=True,
        answers=answer.tags,
        repeat={"text": given} if given else {},
    )

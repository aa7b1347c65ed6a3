"""A tag after every word: a tagger that reads one word at a time."""

from dataclasses import dataclass
from typing import Any

import torch

from conveyor.errors import SettingError, named
from conveyor.networks.crf_stream import CRFStream
from conveyor.tasks.tag.sentence_reader import normal


@dataclass(frozen=True)
class TaggedWord:
    """What a word is taken for, when nothing after it is known.

    Attributes:
        word: the word.
        tag: its tag.
        probability: of that tag.
    """

    word: str
    tag: str
    probability: float


class TagStream:
    """Reads a sentence word by word. The tag of a word is the last one that the network gives the
    sentence up to that word.

    With a CRF later words may change what is best for earlier ones: ``tags`` are the best of the
    sentence so far. What was answered before is not taken back.

        >>> stream = run.stream()
        >>> for word in ["Tôi", "yêu", "Huế"]:
        ...     print(stream.read(word).tag)

    Args:
        network: a ``Tagger`` in evaluation mode.

    Raises:
        SettingError: the network reads from both ends, so that it must know the end first.
    """

    def __init__(self, network: Any) -> None:
        if network.recurrent.bidirectional:
            raise SettingError(
                "the network reads from the end, too, and cannot answer before it. Fit it with "
                f"{named('bidirectional', False)}."
            )
        self._network = network
        self.restart()

    def restart(self) -> None:
        """Begin a new sentence."""
        crf = self._network.crf
        self._state: Any = None
        self._chosen: list[int] = []
        self._field = None if crf is None else CRFStream(crf)

    @torch.no_grad()
    def read(self, word: str) -> TaggedWord:
        """Return the tag of one more word."""
        network = self._network
        spelled = network.reader.spelled([normal(word)])
        vectors = network.vectors(spelled, torch.zeros(1, dtype=torch.long))
        output, self._state = network.encoder.step(vectors, self._state)
        scores = network.head(output)[0].float()
        if self._field is None:
            chances = scores.softmax(-1)
            tag = int(chances.argmax())
            self._chosen.append(tag)
        else:
            self._field.add(scores)
            tag, chances = self._field.tag, self._field.chances
        return TaggedWord(word, network.tags[tag], float(chances[tag]))

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of the sentence so far, as the network gives them to it whole."""
        numbers = self._chosen if self._field is None else self._field.tags
        return tuple(self._network.tags[number] for number in numbers)

"""Sentences with tags to learn from, as batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from conveyor.data.tagged_sentences import TaggedSentence
from conveyor.tasks.tag.sentence_reader import SentenceReader, Spelled, Spellings


class TagBatch(NamedTuple):
    """Sentences and their tags: the different words, ``places`` [T, B] of them, ``lengths`` [B],
    ``tags`` [T, B], 0 after the last word, and ``intents`` [B], 0 where there are none."""

    spelled: Spelled
    places: Tensor
    lengths: Tensor
    tags: Tensor
    intents: Tensor


@dataclass(frozen=True, eq=False)
class TagExamples(Dataset[TagBatch]):
    """Sentences with tags.

    Attributes:
        sentences: as they were read, with words in normal form.
        spellings: of their words.
        numbers: the words of each, as the spellings number them, [T].
        tags: of each, [T].
        intents: of each, [N]; zeros where there are none.
    """

    sentences: list[TaggedSentence]
    spellings: Spellings
    numbers: list[Tensor]
    tags: list[Tensor]
    intents: Tensor

    @staticmethod
    def of(
        sentences: Sequence[TaggedSentence],
        reader: SentenceReader,
        tags: Sequence[str],
        intents: Sequence[str],
    ) -> "TagExamples":
        """Return sentences as a network reads them.

        Args:
            sentences: with words in normal form.
            reader: spells their words.
            tags: all that there are, in order.
            intents: all that there are, in order; empty for none.
        """
        tag_numbers = {tag: number for number, tag in enumerate(tags)}
        intent_numbers = {intent: number for number, intent in enumerate(intents)}
        spellings = Spellings(reader, [sentence.words for sentence in sentences])
        return TagExamples(
            list(sentences),
            spellings,
            [spellings.numbers(sentence.words) for sentence in sentences],
            [torch.tensor([tag_numbers[tag] for tag in each.tags]) for each in sentences],
            torch.tensor([intent_numbers.get(sentence.intent, 0) for sentence in sentences]),
        )

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, number: int) -> TagBatch:
        return self.__getitems__([number])

    def __getitems__(self, numbers: Sequence[int]) -> TagBatch:
        """A batch, whole: what a DataLoader asks for where it is there."""
        spelled, places = self.spellings.batch([self.numbers[number] for number in numbers])
        tags = pad_sequence([self.tags[number] for number in numbers])
        lengths = torch.tensor([len(self.tags[number]) for number in numbers])
        return TagBatch(spelled, places, lengths, tags, self.intents[torch.tensor(numbers)])

    @property
    def lengths(self) -> list[int]:
        """The words of each sentence."""
        return [len(sentence.words) for sentence in self.sentences]

    @property
    def words(self) -> list[list[str]]:
        """The words of each sentence."""
        return [sentence.words for sentence in self.sentences]

    def by_length(self) -> "TagExamples":
        """Return the same in the order of their length, so that batches hold little padding."""
        order = sorted(range(len(self)), key=lambda number: len(self.numbers[number]))
        return TagExamples(
            [self.sentences[number] for number in order],
            self.spellings,
            [self.numbers[number] for number in order],
            [self.tags[number] for number in order],
            self.intents[torch.tensor(order, dtype=torch.long)],
        )

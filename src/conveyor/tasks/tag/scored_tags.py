"""What a tagger answered on sentences whose tags are known."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from conveyor.data.tagged_sentences import TaggedSentence
from conveyor.tasks.tag.tagger import TaggedWords, Tagger


@dataclass(frozen=True)
class ScoredTags:
    """What a tagger answered.

    Attributes:
        network: the tagger.
        sentences: with words in normal form, and their tags.
        answers: of each.
        leaks: how many of the sentences were learned from.
    """

    network: Tagger
    sentences: Sequence[TaggedSentence]
    answers: Sequence[TaggedWords]
    leaks: int = 0

    @property
    def iob2(self) -> bool:
        """Whether tags mark spans."""
        return self.network.iob2

    @cached_property
    def gold(self) -> list[list[str]]:
        """The tags of each sentence."""
        return [sentence.tags for sentence in self.sentences]

    @cached_property
    def predicted(self) -> list[list[str]]:
        """The tags that were said."""
        return [list(answer.tags) for answer in self.answers]

    @cached_property
    def known(self) -> list[list[bool]]:
        """Of each word, whether the training set held it."""
        reader = self.network.reader
        return [[reader.knows(word) for word in sentence.words] for sentence in self.sentences]

    @cached_property
    def pairs(self) -> Counter[tuple[str, str]]:
        """How often each tag was taken for each, true tag first."""
        return Counter(
            pair
            for true, said in zip(self.gold, self.predicted, strict=True)
            for pair in zip(true, said, strict=True)
        )

    @property
    def intents_right(self) -> float | None:
        """The share of sentences whose intent is right; None where there are none."""
        if not self.network.intents or not any(each.intent for each in self.sentences):
            return None
        right = [
            sentence.intent == answer.intent
            for sentence, answer in zip(self.sentences, self.answers, strict=True)
        ]
        return sum(right) / len(right)

    def by_tag(self) -> dict[str, tuple[float, float, float, int]]:
        """Return precision, recall, F1 and number of each tag, the commonest first. Where none was
        predicted, precision is 0; where there is none, recall is."""
        true: Counter[str] = Counter()
        said: Counter[str] = Counter()
        for (tag, other), count in self.pairs.items():
            true[tag] += count
            said[other] += count
        table = {}
        for tag in sorted(true | said, key=lambda tag: (-true[tag], tag)):
            right = self.pairs[tag, tag]
            table[tag] = (
                right / max(said[tag], 1),
                right / max(true[tag], 1),
                2 * right / (true[tag] + said[tag]),
                true[tag],
            )
        return table

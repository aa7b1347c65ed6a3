"""Methods without a network that reply, or that score replies."""

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from torch import Tensor

from conveyor.data.tokens import Tokenizer
from conveyor.data.turns import TURN
from conveyor.tasks.chat.reply_counts import ReplyCounts, counted_text
from conveyor.tasks.chat.true_among import Numbers, Trial, found_among
from conveyor.tasks.pairs.nearest_source import NearestSource, TfIdf, cosine, words_and_pairs
from conveyor.tasks.pairs.pair_examples import PairExamples
from conveyor.tasks.pairs.pair_reader import PairReader
from conveyor.tasks.pairs.prepared_pairs import PairRow

RETRIEVAL, KNESER_NEY, FREQUENT = "retrieval", "Kneser-Ney", "most frequent reply"

_WORDS = Tokenizer("word", lower=True)


class ReplyBaselines:
    """What simple methods learn from the training set.

    Args:
        rows: of the training set.
        targets: their replies as the network reads them.
        reader: of the network.
    """

    def __init__(
        self, rows: Sequence[PairRow], targets: Sequence[Tensor], reader: PairReader
    ) -> None:
        self._rows = rows
        self._targets, self._reader = targets, reader

    @cached_property
    def counts(self) -> ReplyCounts:
        """The n-gram model of replies."""
        return ReplyCounts(counted_text(self._targets, self._reader.begin), self._reader)

    @cached_property
    def commonest(self) -> str:
        """What is replied most often; of equally frequent ones the first."""
        return Counter(row.target for row in self._rows).most_common(1)[0][0]

    @cached_property
    def _nearest(self) -> NearestSource:
        return NearestSource([words_and_pairs(_words(row.source)) for row in self._rows])

    def retrieved(self, said: str) -> str:
        """Return what was replied to the most similar turns of the training set."""
        return self._rows[self._nearest.find(words_and_pairs(_words(said)))].target

    @cached_property
    def _tf_idf(self) -> TfIdf:
        """The weights of words, by the turns of the training set, each once."""
        return TfIdf(_words(text) for row in self._rows for text in turns_once(row))

    def found(self, pairs: PairExamples, trials: Sequence[Trial]) -> Numbers:
        """Return whether the true reply is the one most like what was said, by the cosine of TF-IDF
        weights (Lowe et al. 2015, The Ubuntu dialogue corpus), [N]."""
        said = [self._tf_idf.weights(_words(source)) for source, _ in pairs.shown]
        replies = [self._tf_idf.weights(_words(target)) for _, target in pairs.shown]
        return found_among(trials, lambda asked, one: cosine(said[asked], replies[one]))

    def found_by_counts(self, pairs: PairExamples, trials: Sequence[Trial]) -> Numbers:
        """Return whether the true reply has the greatest log P per token by ``counts``, which do
        not know what was said, [N]."""
        per_token = self.counts.log_probabilities(pairs.targets) / [
            len(target) - 1 for target in pairs.targets
        ]
        return found_among(trials, lambda _, one: float(per_token[one]))


def _words(text: str) -> list[str]:
    return _WORDS.tokens(text.replace(TURN, " "))


def turns_once(row: PairRow) -> list[str]:
    """Return the turns of a pair that no other pair has as its reply: its reply, and what began the
    dialogue if nothing was said before."""
    opening = [row.source] if row.key == row.group else []
    return [*opening, row.target]

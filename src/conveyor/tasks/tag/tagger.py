"""The tagger: a recurrent network that reads a sentence and gives each word a tag."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import dropout as dropped

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import padded_batches
from conveyor.data.records import fits, shown, to_record
from conveyor.data.token_vocabulary import TokenVocabulary
from conveyor.errors import RunError
from conveyor.layers.drop_in import LSTM
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.composed_words import ComposedWords
from conveyor.networks.crf import CRF, Transitions
from conveyor.networks.encoder import Encoder
from conveyor.networks.network import Loss, Network, Sizes, projection_of
from conveyor.networks.output_heads import ClassHead
from conveyor.networks.pooling import pooled
from conveyor.networks.word_embedding import WordEmbedding
from conveyor.tasks.tag.sentence_reader import SentenceReader, Spelled, Spellings, normal
from conveyor.tasks.tag.tag_examples import TagBatch
from conveyor.tasks.tag.tag_scores import SentenceCounts
from conveyor.tasks.tag.tag_stream import TagStream

# What is answered at once has so many words at most, with padding.
_WORDS_AT_ONCE, _SENTENCES_AT_ONCE = 1 << 14, 256


@dataclass(frozen=True, kw_only=True)
class TaggerSizes(Sizes):
    """The sizes of a tagger, see ``Tagger``."""

    words: int = 0
    syllables: int = 0
    characters: int = 0
    bidirectional: bool = True
    crf: bool = True
    unknown: float = 0.0
    word_dropout: float = 0.0


@dataclass(frozen=True)
class TaggedWords:
    """What a tagger says of a sentence.

    Attributes:
        words: of the sentence.
        tags: of each word.
        probabilities: of each tag, as the network says.
        intent: what the sentence is about; None where the run knows no intents.
        intent_probability: of that.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    probabilities: tuple[float, ...]
    intent: str | None = None
    intent_probability: float | None = None


def _embedding(
    vocabulary: TokenVocabulary, features: int, sizes: TaggerSizes, word_dropout: float = 0.0
) -> WordEmbedding:
    return WordEmbedding(
        len(vocabulary),
        features,
        rare_from=vocabulary.rare_from,
        unknown=sizes.unknown,
        word_dropout=word_dropout,
    )


def _composed(reader: SentenceReader, sizes: TaggerSizes) -> ComposedWords:
    """Return what makes vectors of words."""
    words = syllables = characters = None
    if sizes.words:
        words = _embedding(reader.words, sizes.words, sizes, sizes.word_dropout)
    if sizes.syllables:
        syllables = _embedding(reader.syllables, sizes.syllables, sizes, sizes.word_dropout)
    if sizes.characters:
        units = sizes.characters
        characters = Encoder(
            LSTM(units, units, bidirectional=True),
            _embedding(reader.characters, units, sizes),
            pooling="last",
        )
    return ComposedWords(words, syllables, characters)


class Tagger(Network):
    """Sentences in, the scores of tags out.

    Args:
        cell: see ``conveyor.Recurrent``.
        reader: makes numbers of words.
        tags: what there is to say of a word, in order.
        intents: what there is to say of a sentence, in order; empty for nothing.
        iob2: whether tags mark spans, so that some may not follow others.
        sizes: all of them.
    """

    def __init__(
        self,
        cell: str | Cell | Program,
        reader: SentenceReader,
        tags: tuple[str, ...],
        intents: tuple[str, ...],
        *,
        iob2: bool,
        sizes: TaggerSizes,
    ) -> None:
        super().__init__()
        self.reader, self.tags, self.intents, self.iob2 = reader, tags, intents, iob2
        self.sizes = sizes
        self.words = _composed(reader, sizes)
        layer = Recurrent(
            cell,
            self.words.features,
            sizes.hidden,
            sizes.layers,
            dropout=sizes.dropout,
            bidirectional=sizes.bidirectional,
            sizes=projection_of(cell, sizes.projection),
        )
        self.encoder = Encoder(layer)
        self.head = ClassHead(layer.output_size, len(tags), dropout=sizes.dropout)
        self.crf: CRF | None = None
        if sizes.crf:
            self.crf = CRF(len(tags), Transitions.iob2(tags) if iob2 else None)
        self.intent: ClassHead | None = None
        if intents:
            self.intent = ClassHead(layer.output_size, len(intents), dropout=sizes.dropout)

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The part that walks over time."""
        return cast(Recurrent, self.encoder.layer)

    @property
    def title(self) -> str:
        """What tables call it: the name of its cell, and whether a CRF chooses."""
        return super().title + (" with CRF" if self.crf is not None else "")

    def vectors(self, spelled: Spelled, places: Tensor) -> Tensor:
        """Return what the recurrent layer reads, [T, B, features].

        Args:
            spelled: different words.
            places: which of them stands where, [T, B].
        """
        words, syllables, characters = spelled
        vectors = self.words(words, syllables=syllables, characters=characters)[places]
        return dropped(vectors, self.sizes.dropout, self.training)

    def forward(self, spelled: Spelled, places: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the score of each tag at each word, [T, B, tags].

        Args:
            spelled: different words.
            places: which of them stands where, [T, B].
            lengths: the words of each sentence, [B]; None for all.
        """
        scores: Tensor = self.head(
            self.encoder.read(self.vectors(spelled, places), lengths=lengths)[0]
        )
        return scores

    def loss(self, batch: TagBatch, state: Any = None) -> Loss:
        """Return the loss in nats: of the tags, the mean over the words of a batch; with intents
        that of the intents, the mean over its sentences, is added."""
        lengths = batch.lengths
        output = self.encoder.read(self.vectors(batch.spelled, batch.places), lengths=lengths)[0]
        scores, count = self.head(output).float(), int(lengths.sum())
        if self.crf is not None:
            value = self.crf.loss(scores, batch.tags, lengths=lengths)
        else:
            steps = torch.arange(len(scores), device=scores.device)[:, None]
            value = self.head.loss(scores, batch.tags, steps < lengths)
        if self.intent is not None:
            logits = self.intent(pooled(output, lengths, "max"))
            value = value + self.intent.loss(logits.float(), batch.intents)
        found = None if self.training else self._found(scores.detach(), batch)
        return Loss(value, count, found=found)

    @property
    def decided_by(self) -> str:  # type: ignore[override]
        """By what the epochs of a fit are told apart: what a tagger is scored on."""
        return "span F1" if self.iob2 else "accuracy"

    def _found(self, scores: Tensor, batch: TagBatch) -> Tensor:
        """Return how many tags, or spans, a batch holds, how many are said, and how many of these
        are right, [3]."""
        lengths = batch.lengths.tolist()
        chosen = scores.argmax(-1)
        if self.crf is not None:
            chosen = self.crf(scores, lengths=batch.lengths)[0]
        counts = SentenceCounts.of(
            self._named(batch.tags, lengths), self._named(chosen, lengths), iob2=self.iob2
        )
        return torch.tensor([counts.gold.sum(), counts.said.sum(), counts.right.sum()])

    def _named(self, tags: Tensor, lengths: list[int]) -> list[list[str]]:
        """Return the names of tags [T, B] of each sentence."""
        rows = zip(tags.T.tolist(), lengths, strict=True)
        return [[self.tags[tag] for tag in row[:length]] for row, length in rows]

    def description(self) -> dict[str, Any]:
        """Return the sizes, the tags and how words are read."""
        return {
            "network": asdict(self.sizes),
            "tags": list(self.tags),
            "intents": list(self.intents),
            "iob2": self.iob2,
            "reader": self.reader.description(),
        }

    @classmethod
    def described(cls, program: Program, description: Mapping[str, Any], where: str) -> "Tagger":
        """Return the tagger of a description; see ``Network.described``."""
        tags, intents, iob2 = (description[name] for name in ("tags", "intents", "iob2"))
        for name, values, least in (("tags", tags, 1), ("intents", intents, 0)):
            if not fits(values, tuple[str, ...]) or len(set(values)) < max(len(values), least):
                raise RunError(f"{where}: {name} is {shown(values)}; expected different names.")
        if not isinstance(iob2, bool):
            raise RunError(f"{where}: iob2 is {shown(iob2)}; expected true or false.")
        reader = SentenceReader.described(description["reader"], where)
        sizes = to_record(TaggerSizes, description["network"], where)
        return cls(program, reader, tuple(tags), tuple(intents), iob2=iob2, sizes=sizes)

    @torch.no_grad()
    def answer(
        self, sentences: Sequence[Sequence[str]], *, sure: bool = False
    ) -> list[TaggedWords]:
        """Return what the tagger says of sentences.

        Args:
            sentences: the words of each; none of one that is empty.
            sure: whether the probability of each tag is worked out, too; else it is 1.
        """
        was_training = self.training
        self.eval()
        normalised = [[normal(word) for word in words] for words in sentences]
        answers = [TaggedWords((), (), ())] * len(sentences)
        spellings = Spellings(self.reader, normalised)
        for numbers in padded_batches(
            [len(words) for words in sentences], _SENTENCES_AT_ONCE, _WORDS_AT_ONCE, empty=False
        ):
            encoded = [spellings.numbers(normalised[number]) for number in numbers]
            lengths = torch.tensor([len(each) for each in encoded])
            vectors = self.vectors(*spellings.batch(encoded))
            of_batch = self._of_vectors(vectors, lengths, sure=sure)
            for number, (tags, chances, intent, chance) in zip(numbers, of_batch, strict=True):
                answers[number] = TaggedWords(
                    tuple(sentences[number]),
                    tuple(self.tags[tag] for tag in tags),
                    tuple(chances),
                    self.intents[intent] if self.intents else None,
                    chance if self.intents else None,
                )
        self.train(was_training)
        return answers

    def _of_vectors(
        self, vectors: Tensor, lengths: Tensor, *, sure: bool
    ) -> Iterator[tuple[list[int], list[float], int, float]]:
        """Yield the tags of each sentence, how sure they are, its intent and how sure that is."""
        output = self.encoder.read(vectors, lengths=lengths)[0]
        scores = self.head(output).float()
        tags = scores.argmax(-1) if self.crf is None else self.crf(scores, lengths=lengths)[0]
        chosen = torch.ones(tags.shape)
        if sure:
            chances = self.chances(scores, lengths)
            chosen = chances.gather(2, tags.clamp(min=0).unsqueeze(2)).squeeze(2)
        intents, sureness = torch.zeros(len(lengths), dtype=torch.long), torch.ones(len(lengths))
        if self.intent is not None:
            best = self.intent(pooled(output, lengths, "max")).float().softmax(-1).max(-1)
            intents, sureness = best.indices, best.values
        for row, length in enumerate(lengths.tolist()):
            yield (
                tags[:length, row].tolist(),
                chosen[:length, row].tolist(),
                int(intents[row]),
                float(sureness[row]),
            )

    def chances(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the probability of each tag at each word, [T, B, tags].

        Args:
            scores: what ``forward`` gives.
            lengths: the words of each sentence, [B]; None for all.
        """
        if self.crf is None:
            return scores.softmax(-1)
        return self.crf.marginals(scores, lengths=lengths)

    def stream(self) -> TagStream:
        """Return what reads one word at a time, and says after each what its tag is so far.

        Raises:
            SettingError: the network reads from both ends.
        """
        return TagStream(self.eval())

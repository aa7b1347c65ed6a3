"""The network that turns one sequence into another: an encoder that reads, and a decoder that looks
at what was read while it writes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.padded import padded, padded_batches
from conveyor.data.records import shown, to_record
from conveyor.data.token_vocabulary import PAD, UNK, TokenVocabulary
from conveyor.errors import RunError, SettingError
from conveyor.layers.recurrent import Recurrent
from conveyor.networks.attention import Attention, Scoring
from conveyor.networks.attention_decoder import AttentionDecoder, BahdanauDecoder, LuongDecoder
from conveyor.networks.beam_search import beam_search
from conveyor.networks.encoder import Encoder
from conveyor.networks.encoder_decoder import EncoderDecoder
from conveyor.networks.network import Loss, Network, Sizes, projection_of
from conveyor.networks.search import Hypothesis
from conveyor.networks.word_embedding import WordEmbedding
from conveyor.tasks.pairs.pair_examples import PairBatch, PairExamples
from conveyor.tasks.pairs.pair_reader import PairReader
from conveyor.tasks.pairs.pair_settings import ATTENTIONS

# What is written at once has so many tokens of sources at most, with padding, and so many logits of
# a step: some hundred megabytes.
_STEPS_AT_ONCE, _ROWS_AT_ONCE, _LOGITS_AT_ONCE = 1 << 14, 128, 1 << 22

# A target has at most so many tokens for each token of its source, its end counted, and some more.
LENGTH_FACTOR, LENGTH_ROOM = 2, 10


@dataclass(frozen=True, kw_only=True)
class TranslatorSizes(Sizes):
    """The sizes of a translator, see ``Translator``."""

    embedding: int = 0
    bidirectional: bool = True
    attention: str = "general"
    feed: bool = False
    tie: bool = True
    smoothing: float = 0.0
    unknown: float = 0.0


@dataclass(frozen=True)
class Written:
    """What was written of a source.

    Attributes:
        text: of the target.
        tokens: that it is made of.
        log_probability: of the tokens and the end.
        finished: whether it was ended, not cut off.
        attention: the weights of the source's tokens for each token and the end, [T, S], where
            they were asked for.
        copied: how many of the tokens were unknown, and stand here as copies of the source's.
    """

    text: str
    tokens: tuple[str, ...]
    log_probability: float
    finished: bool
    attention: Tensor | None = None
    copied: int = 0


NOTHING = Written("", (), 0.0, True)


@dataclass(frozen=True)
class Copying:
    """What stands for unknown tokens: the source's token that was looked at most, or what a
    dictionary says of it.

    Args:
        texts: the sources, one for each that is written of.
        dictionary: target tokens by source tokens.
    """

    texts: Sequence[str]
    dictionary: Mapping[str, str]


def attention_in_words(source: Sequence[str], written: Written) -> str:
    """Return where the network looked most while it wrote each token: "Hund<dog 0.93"."""
    if written.attention is None:
        return ""
    return " ".join(
        f"{token}<{source[int(weights.argmax())]} {float(weights.max()):.2f}"
        for token, weights in zip(written.tokens, written.attention, strict=False)
    )


class Translator(Network):
    """Sources in, targets out.

    Args:
        cell: of encoder and decoder, see ``conveyor.Recurrent``.
        reader: makes numbers of sources and targets.
        sizes: all of them.
        room: tokens that a target may have beyond twice those of its source, its end counted.
    """

    sizes_type: ClassVar[type[TranslatorSizes]] = TranslatorSizes

    def __init__(
        self,
        cell: str | Cell | Program,
        reader: PairReader,
        sizes: TranslatorSizes,
        room: int = LENGTH_ROOM,
    ) -> None:
        super().__init__()
        if sizes.attention not in ATTENTIONS:
            raise SettingError(f"attention is {sizes.attention!r}; expected one of {ATTENTIONS}.")
        self.reader, self.sizes, self.room = reader, sizes, room
        features = sizes.embedding

        def embedding(symbols: int) -> WordEmbedding:
            # What is unknown is drawn here, for the symbols at the edges of a target never are.
            return WordEmbedding(symbols, features, unknown=0, dropout=sizes.dropout)

        def layer(inputs: int, hidden: int, *, bidirectional: bool = False) -> Recurrent:
            return Recurrent(
                cell,
                inputs,
                hidden,
                sizes.layers,
                dropout=sizes.dropout,
                bidirectional=bidirectional,
                sizes=projection_of(cell, sizes.projection),
            )

        words = embedding(reader.symbols)
        read = words if reader.shared else embedding(len(reader.source))
        half = -(-sizes.hidden // 2) if sizes.bidirectional else sizes.hidden
        encoder = Encoder(layer(features, half, bidirectional=sizes.bidirectional), read)
        width = features if sizes.tie else sizes.hidden
        memory = encoder.output_size
        reads = features
        if sizes.attention == "bahdanau":
            reads += memory
        elif sizes.feed:
            reads += width
        writes = layer(reads, sizes.hidden)
        scoring = "concat" if sizes.attention == "bahdanau" else sizes.attention
        attention = Attention(writes.output_size, memory, cast(Scoring, scoring))
        decoder: AttentionDecoder
        if sizes.attention == "bahdanau":
            decoder = BahdanauDecoder(
                writes, words, attention, features=width, dropout=sizes.dropout
            )
        else:
            decoder = LuongDecoder(
                writes,
                words,
                attention,
                features=width,
                input_feeding=sizes.feed,
                dropout=sizes.dropout,
            )
        head: Any = decoder.head
        nn.init.zeros_(head.bias)
        if sizes.tie:
            head.weight = words.weight
        self.model = EncoderDecoder(encoder, decoder)

    @property
    def recurrent(self) -> Recurrent:  # type: ignore[override]
        """The part that reads."""
        return cast(Recurrent, self.model.encoder.layer)

    def forward(self, sources: Tensor, symbols: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the logits of what comes after each symbol of targets, [T, B, symbols].

        Args:
            sources: the numbers of their tokens, [S, B].
            symbols: of targets, [T, B], the first begins each.
            lengths: how many tokens of each source count, [B], 1 to S; None for all.
        """
        logits: Tensor = self.model(sources, symbols, lengths=lengths)[0]
        return logits

    def loss(self, batch: PairBatch, state: Any = None) -> Loss:
        """Return the cross-entropy in nats, the mean over the true symbols of targets, the end
        counted. Only in training it is smoothed."""
        count = int((batch.target_lengths - 1).sum())
        sources, targets = batch.sources, batch.targets
        smoothing = 0.0
        if self.training:
            smoothing = self.sizes.smoothing
            sources = self._some_unknown(sources, self.reader.source)
        read = self._some_unknown(targets, self.reader.target) if self.training else targets
        following = torch.arange(1, len(targets), device=targets.device)[:, None]
        counted = following < batch.target_lengths
        logits = self(sources, read[:-1], batch.source_lengths)
        value = cross_entropy(
            logits[counted].float(), targets[1:][counted], label_smoothing=smoothing
        )
        return Loss(value, count)

    def _some_unknown(self, symbols: Tensor, vocabulary: TokenVocabulary) -> Tensor:
        """Return symbols, of which tokens seen once are unknown now and then."""
        rare = (symbols >= vocabulary.rare_from) & (symbols < len(vocabulary))
        if not self.sizes.unknown or not rare.any():
            return symbols
        drawn = torch.rand(symbols.shape, device=symbols.device) < self.sizes.unknown
        return symbols.masked_fill(rare & drawn, UNK)

    def longest(self, source_lengths: Tensor) -> Tensor:
        """Return how many tokens a target may have, its end counted, for each length of a source,
        [B]."""
        return LENGTH_FACTOR * source_lengths + self.room

    def description(self) -> dict[str, Any]:
        """Return the sizes, how pairs are read, and how long a target may be."""
        return {
            "network": asdict(self.sizes),
            "reader": self.reader.description(),
            "room": self.room,
        }

    @classmethod
    def described(
        cls, program: Program, description: Mapping[str, Any], where: str
    ) -> "Translator":
        """Return the translator of a description; see ``Network.described``."""
        room = description["room"]
        if not isinstance(room, int) or room < 1:
            raise RunError(f"{where}: room is {shown(room)}; expected 1 or more.")
        reader = PairReader.described(description["reader"], where)
        sizes = to_record(cls.sizes_type, description["network"], where)
        return cls(program, reader, sizes, room)

    @property
    def never(self) -> tuple[int, ...]:
        """The symbols that are never written."""
        return PAD, UNK, self.reader.begin

    def begin_writing(self, sources: Tensor, lengths: Tensor | None = None) -> Any:
        """Return the state before targets are written.

        Args:
            sources: the numbers of their tokens, [S, B].
            lengths: how many of them count, [B]; None for all.
        """
        return self.model.begin(sources, lengths=lengths)

    def step(self, state: Any, symbols: Tensor) -> tuple[Tensor, Any]:
        """Read a symbol of each target; see ``AttentionDecoder.step``.

        Args:
            state: see ``begin_writing``.
            symbols: [B].
        """
        return self.model.step(state, symbols)

    @torch.no_grad()
    def hypotheses(
        self,
        sources: Sequence[Tensor],
        *,
        beam: int,
        n_best: int = 1,
        length_penalty: float = 1.0,
        attention: bool = False,
        unknown: bool = False,
    ) -> list[list[Hypothesis]]:
        """Return the best targets of each source, the best first; none of a source without a token.

        Args:
            sources: as the reader encodes them.
            beam: hypotheses that live at each step.
            n_best: how many are returned, at most ``beam``.
            length_penalty: α, see ``beam_search``.
            attention: whether hypotheses hold the attention of each symbol.
            unknown: whether a target may hold the symbol of what is unknown.
        """
        was_training = self.training
        self.eval()
        answers: list[list[Hypothesis]] = [[] for _ in sources]
        most = max(1, min(_ROWS_AT_ONCE, _LOGITS_AT_ONCE // (beam * self.reader.symbols)))
        for numbers in padded_batches(
            [len(source) for source in sources], most, _STEPS_AT_ONCE, empty=False
        ):
            inputs, lengths = padded([sources[number] for number in numbers])
            hypotheses = beam_search(
                self.step,
                self.begin_writing(inputs, lengths),
                inputs.new_full((len(numbers),), self.reader.begin),
                end=self.reader.end,
                longest=self.longest(lengths),
                beam=beam,
                n_best=n_best,
                length_penalty=length_penalty,
                attention=(lambda state: state.attention) if attention else None,
                source_lengths=lengths if attention else None,
                forbidden=[each for each in self.never if not (unknown and each == UNK)],
            )
            for number, best in zip(numbers, hypotheses, strict=True):
                answers[number] = best
        self.train(was_training)
        return answers

    def write(
        self,
        sources: Sequence[Tensor],
        *,
        beam: int,
        n_best: int = 1,
        attention: bool = False,
        copying: Copying | None = None,
    ) -> list[list[Written]]:
        """Return what is written of each source, the best first; the empty text of a source without
        a token.

        Args:
            sources, beam, n_best, attention: see ``hypotheses``.
            copying: what stands for unknown tokens; None to write none.
        """
        copies = copying is not None
        every = self.hypotheses(
            sources, beam=beam, n_best=n_best, attention=attention or copies, unknown=copies
        )
        if copying is None:
            return [[self.written(each) for each in best] or [NOTHING] for best in every]
        return [
            [self._copied(each, text, copying, attention) for each in best] or [NOTHING]
            for best, text in zip(every, copying.texts, strict=True)
        ]

    def _copied(
        self, hypothesis: Hypothesis, text: str, copying: Copying, attention: bool
    ) -> Written:
        """Return what was found as text, copies in the place of unknown tokens (Luong et al. 2015,
        Addressing the rare word problem in neural machine translation, with attention as what
        aligns the words)."""
        written, source = self.written(hypothesis), self.reader.source_tokens(text)
        tokens, weights = list(written.tokens), hypothesis.attention
        assert weights is not None
        places = [place for place, symbol in enumerate(hypothesis.tokens) if symbol == UNK]
        for place in places:
            word = source[int(weights[place, : len(source)].argmax())]
            tokens[place] = copying.dictionary.get(word, word)
        return replace(
            written,
            text=self.reader.text_of(tokens),
            tokens=tuple(tokens),
            copied=len(places),
            attention=weights if attention else None,
        )

    def written(self, hypothesis: Hypothesis) -> Written:
        """Return what was found as text."""
        tokens = self.reader.target_tokens(hypothesis.tokens)
        return Written(
            self.reader.text_of(tokens),
            tuple(tokens),
            hypothesis.log_probability,
            hypothesis.finished,
            hypothesis.attention,
        )

    def log_probabilities(self, examples: PairExamples) -> Tensor:
        """Return log P of each target given its source, its end counted, float64 [N] (teacher
        forcing)."""
        sums = [each.sum() for each in self.token_log_probabilities(examples)]
        return torch.stack(sums) if sums else torch.zeros(0, dtype=torch.float64)

    @torch.no_grad()
    def token_log_probabilities(self, examples: PairExamples) -> list[Tensor]:
        """Return log P of each token of each target and of its end, float64 [T] for each (teacher
        forcing)."""
        was_training = self.training
        self.eval()
        answers = [torch.zeros(0, dtype=torch.float64)] * len(examples)
        longest = [
            max(map(len, pair)) for pair in zip(examples.sources, examples.targets, strict=True)
        ]
        for numbers in padded_batches(longest, _ROWS_AT_ONCE, _STEPS_AT_ONCE, empty=False):
            batch = examples.__getitems__(numbers)
            logits = self(batch.sources, batch.targets[:-1], batch.source_lengths)
            losses = cross_entropy(
                logits.flatten(0, 1).double(), batch.targets[1:].flatten(), reduction="none"
            ).view(logits.shape[:2])
            for row, number in enumerate(numbers):
                answers[number] = -losses[: int(batch.target_lengths[row]) - 1, row]
        self.train(was_training)
        return answers

"""The network that replies: it reads the last turns of a dialogue, and writes the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from conveyor.cells.definition import Cell
from conveyor.compiler.program import Program
from conveyor.data.records import shown
from conveyor.data.token_vocabulary import PAD
from conveyor.errors import RunError
from conveyor.networks.attention_decoder import DecoderState
from conveyor.networks.network import Loss
from conveyor.networks.search import Hypothesis, sample, select_batch
from conveyor.tasks.chat.chat_reading import ChatReading
from conveyor.tasks.chat.reply_mixture import (
    NETWORK_ALONE,
    ReplyMixture,
    Weights,
    turn_symbols,
)
from conveyor.tasks.pairs.pair_examples import PairBatch, PairExamples
from conveyor.tasks.pairs.pair_reader import PairReader
from conveyor.tasks.pairs.translator import (
    LENGTH_ROOM,
    NOTHING,
    Translator,
    TranslatorSizes,
    Written,
)

# What is read where nothing was said: one step without a token.
NOTHING_SAID = torch.tensor([PAD])


@dataclass(frozen=True, kw_only=True)
class ReplierSizes(TranslatorSizes):
    """The sizes of a network that replies, see ``Replier``.

    Args:
        blind: share of replies that are learned without a source.
        mixture: whether the network is mixed with counts and what was said, see ``ReplyMixture``.
    """

    blind: float = 0.0
    mixture: bool = False


class MixedState(NamedTuple):
    """The state of a mixture while it writes.

    Attributes:
        network: the state of the network.
        said: what the words that were said add to the probability of each symbol, [1, B, symbols].
        share: of the network in it, [B].
    """

    network: DecoderState
    said: Tensor
    share: Tensor

    @property
    def attention(self) -> Tensor:
        """The attention of the step before, [B, S]."""
        return self.network.attention


class Chances(NamedTuple):
    """The probability of each token of a reply and of its end, by each part of a mixture, [T]."""

    network: Tensor
    counts: Tensor
    said: Tensor

    def log_probability(self, weights: Weights) -> float:
        """Return log P of the reply by a mixture."""
        mixed = sum(weight * part for weight, part in zip(weights, self, strict=True))
        assert isinstance(mixed, Tensor)
        return float(mixed.log().sum())


def reply_score(
    log_probability: float, log_probability_alone: float, length: int, generic: float
) -> float:
    """Return what a reply T to S is ranked by, (log P(T|S) - λ log P(T)) / |T|.

    >>> reply_score(-6.0, -8.0, 4, 0.5)
    -0.5

    Args:
        log_probability: log P(T|S).
        log_probability_alone: log P(T).
        length: |T|, tokens with the end.
        generic: λ.
    """
    return (log_probability - generic * log_probability_alone) / length


def unasked(targets: Sequence[Tensor]) -> PairExamples:
    """Return replies as examples before which nothing was said.

    Args:
        targets: as the reader encodes them.
    """
    count = len(targets)
    return PairExamples([NOTHING_SAID] * count, list(targets), [("", "")] * count, [""] * count)


class Replier(Translator):
    """The last turns in, a reply out.

    Args:
        cell, reader, sizes: see ``Translator``.
        room: tokens that a reply may have, its end counted.
        turns: that are read before a reply, at most.
    """

    sizes_type: ClassVar[type[TranslatorSizes]] = ReplierSizes

    def __init__(
        self,
        cell: str | Cell | Program,
        reader: PairReader,
        sizes: TranslatorSizes,
        room: int = LENGTH_ROOM,
        turns: int = 1,
    ) -> None:
        super().__init__(cell, reader, sizes, room)
        self.turns = turns
        self.mixture: ReplyMixture | None = None

    def longest(self, source_lengths: Tensor) -> Tensor:
        """Return how many tokens a reply may have, however much was said before."""
        return torch.full_like(source_lengths, self.room)

    @property
    def never(self) -> tuple[int, ...]:
        """The symbols that are never written: what parts turns is one of them."""
        return (*super().never, *turn_symbols(self.reader))

    @property
    def weights(self) -> Weights:
        """How much the network and what was said are worth, where replies are written."""
        return NETWORK_ALONE if self.mixture is None else self.mixture.weights

    def mix(self, train: PairExamples, validation: PairExamples) -> None:
        """Mix the network with what was said, and for scores with counts of replies, as it makes
        a validation set likeliest.

        Args:
            train: what was learned from.
            validation: what weights are chosen on.
        """
        self.mixture = ReplyMixture.of(train.targets, self.reader)
        parts = [torch.cat(each) for each in zip(*self.chances(validation), strict=True)]
        self.mixture.weigh(*parts)

    def chances(self, examples: PairExamples) -> list[Chances]:
        """Return how likely each token of each reply is by the network, by counts and as a word of
        what was said. Where no word was said the network stands in, and without a mixture for
        both."""
        by_network = self.token_log_probabilities(examples)
        mixture = self.mixture
        if mixture is None:
            return [Chances(*[each.exp()] * 3) for each in by_network]
        by_counts = mixture.counts.probabilities(examples.targets)
        answers = []
        for number, (logs, counts) in enumerate(zip(by_network, by_counts, strict=True)):
            said = mixture.said(examples.sources[number])
            network = logs.exp()
            repeated = network if said is None else said[examples.targets[number][1:]]
            answers.append(Chances(network, torch.from_numpy(counts), repeated))
        return answers

    def log_probabilities(self, examples: PairExamples) -> Tensor:
        """Return log P of each target given its source, its end counted, float64 [N]; by the
        mixture, if there is one."""
        if self.mixture is None:
            return super().log_probabilities(examples)
        weights = self.weights
        return torch.tensor(
            [each.log_probability(weights) for each in self.chances(examples)], dtype=torch.float64
        )

    def begin_writing(self, sources: Tensor, lengths: Tensor | None = None) -> Any:
        """Return the state before a reply; see ``Translator.begin_writing``."""
        begun = super().begin_writing(sources, lengths)
        mixture = self.mixture
        if mixture is None:
            return begun
        rows = sources.shape[1]
        said = torch.zeros(1, rows, self.reader.symbols, dtype=torch.float64)
        share = torch.ones(rows, dtype=torch.float64)
        for row in range(rows):
            count = len(sources) if lengths is None else int(lengths[row])
            repeated = mixture.said(sources[:count, row])
            if repeated is not None:
                share[row] = mixture.weights.network
                said[0, row] = mixture.weights.said * repeated
        return MixedState(begun, said, share)

    def step(self, state: Any, symbols: Tensor) -> tuple[Tensor, Any]:
        """Read a symbol of each reply; see ``Translator.step``."""
        if self.mixture is None:
            return super().step(state, symbols)
        logs, after = super().step(state.network, symbols)
        mixed = state.share[:, None] * logs.double().exp() + state.said[0]
        return mixed.log(), state._replace(network=after)

    def loss(self, batch: PairBatch, state: Any = None) -> Loss:
        """Return the cross-entropy in nats; see ``Translator.loss``. In training, some replies are
        learned without what was said, so that the network knows P(T), too."""
        blind = self.sizes.blind if isinstance(self.sizes, ReplierSizes) else 0.0
        if self.training and blind:
            lengths = batch.source_lengths
            drawn = torch.rand(lengths.shape, device=lengths.device) < blind
            batch = batch._replace(
                sources=batch.sources.masked_fill(drawn, PAD),
                source_lengths=lengths.masked_fill(drawn, 1),
            )
        return super().loss(batch, state)

    def alone(self, targets: Sequence[Tensor]) -> Tensor:
        """Return log P of replies where nothing was said, float64 [N].

        Args:
            targets: as the reader encodes them.
        """
        return self.log_probabilities(unasked(targets))

    def description(self) -> dict[str, Any]:
        """Return what ``Translator.description`` does, how many turns are read, and what the
        network is mixed with."""
        mixed = {} if self.mixture is None else {"mixture": self.mixture.description()}
        return {**super().description(), "turns": self.turns, **mixed}

    @classmethod
    def described(cls, program: Program, description: Mapping[str, Any], where: str) -> "Replier":
        """Return the network of a description; see ``Network.described``."""
        turns = description.get("turns")
        if not isinstance(turns, int) or turns < 1:
            raise RunError(f"{where}: turns is {shown(turns)}; expected 1 or more.")
        network = super().described(program, description, where)
        assert isinstance(network, Replier)
        network.turns = turns
        if "mixture" in description:
            network.mixture = ReplyMixture.described(description["mixture"], where, network.reader)
        return network

    def replies(self, source: Tensor, how: ChatReading) -> list[Written]:
        """Return replies, the best first; one that is empty to a source without a token.

        Args:
            source: as the reader encodes it.
            how: they are found.
        """
        if not len(source):
            return [NOTHING]
        was_training = self.training
        self.eval()
        if how.beam is None:
            found = self._drawn(source, how)
        else:
            found = self.hypotheses([source], beam=how.beam, n_best=how.beam)[0]
        best = self._ranked(found, how.generic)[: how.n_best]
        self.train(was_training)
        replies = [self.written(each) for each in best]
        return self.looked_at(source, replies) if how.explain else replies

    @torch.no_grad()
    def _drawn(self, source: Tensor, how: ChatReading) -> list[Hypothesis]:
        # What is drawn depends on nothing but the source and the seed.
        generator = torch.Generator().manual_seed(how.seed)
        state = self.begin_writing(source[:, None])
        return sample(
            self.step,
            select_batch(state, torch.zeros(how.drawn, dtype=torch.long)),
            torch.full((how.drawn,), self.reader.begin),
            end=self.reader.end,
            longest=self.room,
            forbidden=self.never,
            temperature=how.temperature,
            top_p=how.top_p,
            generator=generator,
        )

    def _target(self, hypothesis: Hypothesis) -> Tensor:
        """Return the symbols of what was found, with those that begin and end it."""
        return torch.tensor([self.reader.begin, *hypothesis.tokens, self.reader.end])

    def _ranked(self, found: Sequence[Hypothesis], generic: float) -> list[Hypothesis]:
        """Return the different ones, the best first; those that say nothing, or have no end, come
        last."""
        different = list({each.tokens: each for each in found}.values())
        targets = [self._target(each) for each in different]
        alone = self.alone(targets).tolist() if generic else [0.0] * len(targets)
        scored = [
            replace(
                each,
                score=reply_score(each.log_probability, by_itself, len(target) - 1, generic),
            )
            for each, by_itself, target in zip(different, alone, targets, strict=True)
        ]
        return sorted(scored, key=lambda each: (not each.tokens, not each.finished, -each.score))

    @torch.no_grad()
    def looked_at(self, source: Tensor, replies: Sequence[Written]) -> list[Written]:
        """Return replies with where the network looked while it wrote them.

        Args:
            source: as the reader encodes it.
            replies: to it.
        """
        was_training = self.training
        self.eval()
        looked = []
        for each in replies:
            symbols = self.reader.encode_target(each.tokens)
            _, weights = self.model(source[:, None], symbols[:-1, None])
            looked.append(replace(each, attention=weights[:, 0]))
        self.train(was_training)
        return looked

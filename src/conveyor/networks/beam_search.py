"""Beam search: the best of many sequences that a model may write (Graves 2012, Sequence
transduction; with the penalties of Wu et al. 2016, Google's neural machine translation system).

A hypothesis Y is scored with log P(Y)/lp(Y) + cp(Y), where |Y| counts the token that ends it:

    lp(Y) = ((5 + |Y|) / 6)^α
    cp(Y) = β Σ_i log min(Σ_t p_ti, 1)

over the true places i of the source, with p_ti the attention at step t. cp counts when a hypothesis
is ended, and not before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from conveyor.errors import SettingError, ShapeError
from conveyor.layers.checks import check_whole
from conveyor.networks.search import Hypothesis, Limits, Select, State, Step, select_batch


def length_normaliser(length: int, alpha: float) -> float:
    """Return lp, which the log-probability of a hypothesis of so many tokens is divided by.

    >>> round(length_normaliser(20, 0.6), 4)
    2.3544
    """
    return float(((5 + length) / 6) ** alpha)


@dataclass(frozen=True)
class _Ranking:
    """How hypotheses are ranked, see ``beam_search``."""

    beam: int
    n_best: int
    alpha: float
    beta: float

    def check(self) -> None:
        check_whole(beam=self.beam, n_best=self.n_best)
        if self.n_best > self.beam:
            raise SettingError(f"n_best is {self.n_best}; expected {self.beam} or less, the beam.")
        for name, value in (("length_penalty", self.alpha), ("coverage_penalty", self.beta)):
            if not 0 <= value < torch.inf:
                raise SettingError(f"{name} is {value}; expected a number from 0.")

    def score(self, log_probability: float, length: int, attention: Tensor | None) -> float:
        """Return the score of a hypothesis.

        Args:
            log_probability: of its tokens and its end.
            length: tokens, the end counted.
            attention: of the true places of the source, [length, S].
        """
        score = log_probability / length_normaliser(length, self.alpha)
        if self.beta and attention is not None:
            score += self.beta * float(attention.double().sum(0).clamp(max=1).log().sum())
        return score


@dataclass
class _Sentence:
    """What is known of one sequence of the batch."""

    ranking: _Ranking
    longest: int
    places: int | None  # true places of its source
    finished: list[Hypothesis] = field(default_factory=list)

    def add(
        self, tokens: list[int], log_probability: float, ended: bool, attention: Tensor | None
    ) -> None:
        """Add a hypothesis."""
        if attention is not None:
            attention = attention[:, : self.places]
        score = self.ranking.score(log_probability, len(tokens) + ended, attention)
        self.finished.append(Hypothesis(tuple(tokens), log_probability, score, ended, attention))

    @property
    def best(self) -> list[Hypothesis]:
        """The best hypotheses; of equal scores those that were finished first."""
        ranked = sorted(self.finished, key=lambda hypothesis: -hypothesis.score)
        return ranked[: self.ranking.n_best]

    def is_over(self, best_live: float) -> bool:
        """Return whether no live hypothesis can still be among the best.

        Args:
            best_live: the greatest log-probability of those that live. It can only fall, and what
                it is divided by is largest for the longest.
        """
        ranking = self.ranking
        if len(self.finished) < ranking.beam:
            return False
        bound = best_live / length_normaliser(self.longest, ranking.alpha)
        return bound <= self.best[-1].score


class _Live(NamedTuple):
    """The hypotheses that live: k of each of A sentences.

    Args:
        log_probabilities: [A, k]; minus infinity where there are fewer.
        tokens: what each has written, [A, k, t].
        attention: of each, [A, k, t, S]; None if nobody asks.
    """

    log_probabilities: Tensor
    tokens: Tensor
    attention: Tensor | None

    def taken(self, sentences: Tensor, parents: Tensor) -> "_Live":
        """Return those of some sentences [N], [N, k] parents of each."""
        where = sentences[:, None], parents
        attention = None if self.attention is None else self.attention[where]
        return _Live(self.log_probabilities[where], self.tokens[where], attention)


class _Candidates(NamedTuple):
    """The best candidates of each sentence, in order, [A, m]."""

    log_probabilities: Tensor
    parents: Tensor
    tokens: Tensor


def first_sorted(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the greatest of each row in falling order, and where they stand; of equal values the
    first. A stable sort of whole rows gives the same, but takes long.

    Args:
        values: [A, N].
        count: how many, 1 to N.
    """
    least = values.topk(count).values[:, -1:]
    above, equal = values > least, values == least
    room = count - above.sum(1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(1) <= room))
    places = chosen.nonzero()[:, 1].view(len(values), count)
    ordered, order = values.gather(1, places).sort(dim=1, descending=True, stable=True)
    return ordered, places.gather(1, order)


@dataclass
class _Beam(Generic[State]):
    """A search that is under way."""

    step: Step[State]
    select: Select[State]
    read_attention: Callable[[State], Tensor] | None
    limits: Limits
    end: int
    ranking: _Ranking
    sentences: list[_Sentence]

    def run(self, state: State, begin: Tensor) -> None:
        """Search until no sentence is left.

        Args:
            state: of the model, a row for each sentence.
            begin: the token that each sentence begins with, [B].
        """
        going = list(range(len(begin)))  # sentences whose search is not over
        live = _Live(
            torch.zeros(len(begin), 1, dtype=torch.float64, device=begin.device),
            begin.new_zeros(len(begin), 1, 0),
            None,
        )
        read, length = begin, 0
        while going:
            length += 1
            log_probabilities, state = self.step(state, read)
            live = self._with_attention(live, state)
            best = self._candidates(live, log_probabilities, length)
            ends = best.tokens.eq(self.end)
            rank = torch.arange(ends.shape[1], device=ends.device)
            possible = best.log_probabilities > -torch.inf
            # Among the first K, or a beam of one would not be greedy.
            self._finish(live, best, ends & possible & (rank < self.ranking.beam), going)
            live, parents = self._living(live, best, possible & ~ends)
            kept = self._kept(live, going, length)
            if not kept:
                return
            going = [going[index] for index in kept]
            chosen = torch.tensor(kept, device=begin.device)
            width = log_probabilities.shape[0] // len(ends)
            rows = (chosen[:, None] * width + parents[chosen]).flatten()
            live = live.taken(chosen, torch.arange(parents.shape[1], device=begin.device)[None])
            state, read = self.select(state, rows), live.tokens[:, :, -1].flatten()

    def _with_attention(self, live: _Live, state: State) -> _Live:
        """Return the live hypotheses with the attention of the step that was just done."""
        if self.read_attention is None:
            return live
        sentences, width, _ = live.tokens.shape
        weights = self.read_attention(state).view(sentences, width, 1, -1)
        before = live.attention
        after = weights if before is None else torch.cat([before, weights], 2)
        return live._replace(attention=after)

    def _candidates(self, live: _Live, log_probabilities: Tensor, length: int) -> _Candidates:
        """Return the best 2K of all that hypotheses and a further token may be."""
        allowed = self.limits.allowed(log_probabilities, length)
        symbols = allowed.shape[1]
        sums = (live.log_probabilities.view(-1, 1) + allowed).view(len(live.tokens), -1)
        values, places = first_sorted(sums, min(2 * self.ranking.beam, sums.shape[1]))
        return _Candidates(values, places // symbols, places % symbols)

    def _finish(self, live: _Live, best: _Candidates, ended: Tensor, going: list[int]) -> None:
        """Add the candidates that are ended to what their sentences have finished."""
        for sentence, rank in ended.nonzero().tolist():
            parent = best.parents[sentence, rank]
            self.sentences[going[sentence]].add(
                live.tokens[sentence, parent].tolist(),
                float(best.log_probabilities[sentence, rank]),
                True,
                None if live.attention is None else live.attention[sentence, parent],
            )

    def _living(self, live: _Live, best: _Candidates, open_: Tensor) -> tuple[_Live, Tensor]:
        """Return the best K candidates of each sentence that live on, and their parents [A, k]."""
        width = max(1, min(self.ranking.beam, int(open_.sum(1).max())))
        order = (~open_).long().sort(dim=1, stable=True).indices[:, :width]
        parents, tokens = best.parents.gather(1, order), best.tokens.gather(1, order)
        values = best.log_probabilities.gather(1, order)
        values = values.masked_fill(~open_.gather(1, order), -torch.inf)
        after = live.taken(torch.arange(len(order), device=order.device), parents)
        written = torch.cat([after.tokens, tokens.unsqueeze(2)], 2)
        return after._replace(log_probabilities=values, tokens=written), parents

    def _kept(self, live: _Live, going: list[int], length: int) -> list[int]:
        """Return which of the sentences go on. Of one that is cut off with nothing finished, all
        that live are its hypotheses."""
        kept = []
        best_live = live.log_probabilities.amax(1).tolist()
        for index, (number, value) in enumerate(zip(going, best_live, strict=True)):
            sentence = self.sentences[number]
            if value > -torch.inf and length < sentence.longest and not sentence.is_over(value):
                kept.append(index)
            elif not sentence.finished:
                for rank, log_probability in enumerate(live.log_probabilities[index].tolist()):
                    if log_probability > -torch.inf:
                        attention = None if live.attention is None else live.attention[index, rank]
                        tokens = live.tokens[index, rank].tolist()
                        sentence.add(tokens, log_probability, False, attention)
        return kept


@torch.no_grad()
def beam_search(
    step: Step[State],
    state: State,
    begin: Tensor,
    *,
    end: int,
    longest: int | Tensor,
    beam: int = 5,
    n_best: int = 1,
    length_penalty: float = 0.0,
    coverage_penalty: float = 0.0,
    attention: Callable[[State], Tensor] | None = None,
    source_lengths: Tensor | None = None,
    shortest: int = 0,
    forbidden: Sequence[int] = (),
    select: Select[State] = select_batch,
) -> list[list[Hypothesis]]:
    """Return the best sequences for each of a batch, the best first.

        >>> hypotheses = beam_search(model.step, state, begin, end=3, longest=50, beam=5)
        >>> hypotheses[0][0].tokens  # the best one of the first sequence

    1. Candidates are all live hypotheses with every token, in the order of log P, then of the
       parent, then of the token: what is equal is not left to chance.
    2. Of the best 2K, one that ends is finished if it is among the first K; the best K others live
       on.
    3. A search is over when K are finished and none that lives can be among the best ``n_best``:
       log P only falls, and is divided by lp of the longest at most.
    4. What is cut off at the longest takes part only if nothing was finished.

    The result does not depend on the batch. A beam of 1 without penalties is ``greedy_search``.

    Args:
        step: the model: ``step(state, tokens [N]) -> (log_probabilities [N, V], state)``.
        state: of the model before the first step; its batch is that of ``begin``.
        begin: the token that each sequence begins with, [B]; it is not written.
        end: the token that ends a sequence.
        longest: tokens of a sequence at most, its end counted: a number, or one for each, [B].
        beam: hypotheses that live, K.
        n_best: how many are returned, at most K.
        length_penalty: α, from 0; the larger, the longer.
        coverage_penalty: β, from 0; the larger, the more of the source is attended to. It needs
            ``attention`` and ``source_lengths``.
        attention: gives the weights of the last step, [N, S], of the state after it. Hypotheses
            hold them then.
        source_lengths: true places of each source, [B]; None for all.
        shortest: tokens of a sequence at least, its end counted.
        forbidden: tokens that are never written, such as padding.
        select: gives the state of some of the batch, see ``select_batch``.

    Raises:
        ShapeError: a tensor does not fit.
        SettingError: a number is out of its range, the model gives no log-probabilities, or no
            token may be written.
    """
    ranking = _Ranking(beam, n_best, length_penalty, coverage_penalty)
    ranking.check()
    if coverage_penalty and (attention is None or source_lengths is None):
        raise SettingError(
            "coverage_penalty is given without attention or source_lengths. Give both: it counts "
            "the attention to true places."
        )
    if source_lengths is not None and source_lengths.shape != begin.shape:
        raise ShapeError(
            f"source_lengths is {list(source_lengths.shape)}; expected one for each sequence, "
            f"{list(begin.shape)}."
        )
    limits = Limits(end, longest, shortest, forbidden)
    places = [None] * len(begin) if source_lengths is None else source_lengths.tolist()
    sentences = [
        _Sentence(ranking, most, true_places)
        for most, true_places in zip(limits.of_each(begin).tolist(), places, strict=True)
    ]
    _Beam(step, select, attention, limits, end, ranking, sentences).run(state, begin)
    for number, sentence in enumerate(sentences):
        if not sentence.finished:
            raise SettingError(f"nothing may be written for sequence {number}. Forbid fewer.")
    return [sentence.best for sentence in sentences]

"""The linear-chain conditional random field: tags of a sequence, chosen together (Lafferty,
McCallum & Pereira 2001, Conditional random fields; in recurrent networks Huang, Xu & Yu 2015).

The score of tags y of a sequence of L steps, with emissions e of a network, is

    s(y) = start[y_1] + Σ_t e_t[y_t] + Σ_{t≥2} transitions[y_{t-1}, y_t] + end[y_L]

and their probability exp(s(y) - log Z), where Z is the sum of exp(s) over all tags that there may
be. Z and its gradient are found by the forward-backward algorithm, the best tags by that of Viterbi
(Rabiner 1989, A tutorial on hidden Markov models).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from conveyor.data.iob2 import may_begin, may_follow
from conveyor.errors import DataError, SettingError, ShapeError, counted
from conveyor.layers.checks import check_whole
from conveyor.layers.lengths import read_lengths

# What is added to the score of a transition that is not allowed. It is finite: gold tags that break
# the rules have a large loss, not an infinite one.
FORBIDDEN = -1e4


@dataclass(frozen=True)
class Transitions:
    """Which tags may begin a sequence, follow each other, and end it.

    Args:
        start: of each tag, whether a sequence may begin with it.
        between: of each tag, whether each tag may follow it.
        end: of each tag, whether a sequence may end with it.
    """

    start: tuple[bool, ...]
    between: tuple[tuple[bool, ...], ...]
    end: tuple[bool, ...]

    @staticmethod
    def iob2(names: Sequence[str]) -> "Transitions":
        """Return the transitions of the scheme IOB2: ``I-x`` only after ``B-x`` and ``I-x``.

        Args:
            names: of the tags, as ``["O", "B-PER", "I-PER"]``.

        Raises:
            DataError: a name is none of the scheme.
        """
        return Transitions(
            tuple(may_begin(name) for name in names),
            tuple(tuple(may_follow(before, after) for after in names) for before in names),
            (True,) * len(names),
        )


class TransitionScores(NamedTuple):
    """The scores of beginning [K], of transitions [K, K] from row to column, and of ending [K]."""

    start: Tensor
    between: Tensor
    end: Tensor


def _forward_scores(emissions: Tensor, scores: TransitionScores, active: Tensor) -> Tensor:
    """Return α [T, B, K]: the log of the sum over all tags up to a step that end with a tag. At
    padding it is that of the last step that counts."""
    alpha = scores.start + emissions[0]
    alphas = [alpha]
    for emission, counts in zip(emissions[1:], active[1:], strict=True):
        following = emission + (alpha.unsqueeze(2) + scores.between).logsumexp(1)
        alpha = torch.where(counts, following, alpha)
        alphas.append(alpha)
    return torch.stack(alphas)


class _Marginals(NamedTuple):
    """Probabilities of each tag at each step, [T, B, K], 0 at padding; and the sums over all
    sequences, each times its weight, of the probabilities of beginnings, transitions and ends."""

    steps: Tensor
    start: Tensor
    between: Tensor
    end: Tensor


def _marginals(
    emissions: Tensor, scores: TransitionScores, active: Tensor, alphas: Tensor, weight: Tensor
) -> _Marginals:
    """Run the backward half of the forward-backward algorithm.

    Args:
        emissions: [T, B, K].
        scores: of the transitions.
        active: which steps count, [T, B, 1].
        alphas: of ``_forward_scores``.
        weight: what the probabilities of a sequence are multiplied by, [B].
    """
    steps = len(emissions)
    log_z = (alphas[-1] + scores.end).logsumexp(1)
    beta = scores.end.expand_as(emissions[0])
    probabilities = [beta] * steps
    between = torch.zeros_like(scores.between)
    weights = weight[:, None]
    after_last = torch.zeros_like(active[0])
    ends = torch.zeros_like(beta)
    for step in range(steps - 1, -1, -1):
        probability = (alphas[step] + beta - log_z[:, None]).exp() * weights
        probability = torch.where(active[step], probability, 0.0)
        probabilities[step] = probability
        ends = torch.where(active[step] & ~after_last, probability, ends)
        after_last = active[step]
        if step == 0:
            break
        # Of the step before by row, of this one by column.
        pairs = scores.between + (emissions[step] + beta).unsqueeze(1)
        both = (alphas[step - 1].unsqueeze(2) + pairs - log_z[:, None, None]).exp()
        counts = active[step]
        between = between + torch.where(counts.unsqueeze(2), both * weights.unsqueeze(2), 0.0).sum(
            0
        )
        beta = torch.where(counts, pairs.logsumexp(2), beta)
    return _Marginals(torch.stack(probabilities), probabilities[0].sum(0), between, ends.sum(0))


class _LogPartition(torch.autograd.Function):
    """log Z of each sequence, whose gradient by emissions and transitions are the marginals. It
    keeps α, [T, B, K], for them; recording T logsumexps would keep [T, B, K, K]."""

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, active: Tensor, *scores: Tensor) -> Tensor:
        alphas = _forward_scores(emissions, TransitionScores(*scores), active)
        ctx.save_for_backward(emissions, active, alphas, *scores)
        return (alphas[-1] + TransitionScores(*scores).end).logsumexp(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        emissions, active, alphas, *of_transitions = ctx.saved_tensors
        scores = TransitionScores(*of_transitions)
        if torch.is_grad_enabled():  # a gradient of the gradient is asked for: α must have one, too
            alphas = _forward_scores(emissions, scores, active)
        by_emissions, *by_scores = _marginals(emissions, scores, active, alphas, gradients[0])
        return by_emissions, None, *by_scores


class CRF(nn.Module):
    """A linear-chain conditional random field on the emissions of a network.

        >>> emissions = head(encoder(words, lengths=lengths)[0])  # [T, B, tags]
        >>> loss = crf.loss(emissions, gold, lengths=lengths)
        >>> tags, scores = crf(emissions, lengths=lengths)  # the best tags

    All tensors have time first. The steps of a sequence that count come first: leave words out that
    bear no tag, such as the later pieces of a word, before. There are no weights of classes, for
    the loss is one of whole sequences.

    Args:
        tags: how many there are.
        allowed: which may follow each other, see ``Transitions.iob2``; None for all. Tags that are
            predicted obey it.
        constrain_loss: whether the loss, too, is that among allowed tags only; gold tags must obey
            then. False learns from any.

    Raises:
        SettingError: an argument is out of its range.
    """

    def __init__(
        self, tags: int, allowed: Transitions | None = None, *, constrain_loss: bool = False
    ) -> None:
        check_whole(tags=tags)
        super().__init__()
        self.tags, self.constrained, self.constrain_loss = tags, allowed is not None, constrain_loss
        self.start = nn.Parameter(torch.zeros(tags))
        self.transitions = nn.Parameter(torch.zeros(tags, tags))
        self.end = nn.Parameter(torch.zeros(tags))
        if allowed is None:
            if constrain_loss:
                raise SettingError("constrain_loss is True and allowed is None. Give allowed.")
            return
        rows = (allowed.start, *allowed.between, allowed.end)
        if len(rows) != tags + 2 or any(len(row) != tags for row in rows):
            raise SettingError(
                f"allowed is of {counted(len(allowed.start), 'tag')}; tags is {tags}. Expected one "
                "value for each tag in start and end, and for each pair of tags in between."
            )
        for name, values in vars(allowed).items():
            penalties = torch.where(torch.tensor(values), 0.0, FORBIDDEN)
            self.register_buffer(f"penalty_{name}", penalties)

    def _penalties(self) -> TransitionScores:
        return TransitionScores(
            *(self.get_buffer(f"penalty_{name}") for name in TransitionScores._fields)
        )

    def _scores(self, constrained: bool) -> TransitionScores:
        scores = TransitionScores(self.start, self.transitions, self.end)
        if not constrained or not self.constrained:
            return scores
        pairs = zip(scores, self._penalties(), strict=True)
        return TransitionScores(*(score + penalty for score, penalty in pairs))

    def allowed_scores(self) -> TransitionScores:
        """Return the scores by which tags are predicted: what is not allowed has about
        ``FORBIDDEN``."""
        return self._scores(constrained=True)

    def _read(
        self, emissions: Tensor, lengths: Tensor | list[int] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return emissions that are 0 at padding, which steps count [T, B], and lengths [B].

        Raises:
            ShapeError: a tensor does not fit.
        """
        if emissions.dim() != 3 or emissions.shape[2] != self.tags:
            raise ShapeError(
                f"emissions is {list(emissions.shape)}; expected [T, B, {self.tags}], time first."
            )
        if not emissions.is_floating_point():
            raise ShapeError(f"emissions is of {emissions.dtype}; expected floating point.")
        steps, batch, _ = emissions.shape
        counts = torch.full((batch,), steps)
        if lengths is not None:
            counts = torch.from_numpy(read_lengths(lengths, steps, batch))
        counts = counts.to(emissions.device)
        active = torch.arange(steps, device=emissions.device)[:, None] < counts
        return emissions.masked_fill(~active.unsqueeze(2), 0), active, counts

    def _check_tags(self, tags: Tensor, emissions: Tensor, active: Tensor) -> Tensor:
        """Return tags [T, B] that are 0 at padding.

        Raises:
            ShapeError: there is not one for each step.
            DataError: one is not among those that there are.
        """
        shape = list(emissions.shape[:2])
        whole = not tags.is_floating_point() and not tags.is_complex() and tags.dtype != torch.bool
        if list(tags.shape) != shape or not whole:
            raise ShapeError(
                f"tags is {list(tags.shape)} of {tags.dtype}; expected {shape} whole numbers."
            )
        filled = tags.long().masked_fill(~active, 0)
        wrong = (filled < 0) | (filled >= self.tags)
        if wrong.any():
            step, row = cast(list[int], wrong.nonzero()[0].tolist())
            raise DataError(
                f"the tag of sequence {row} at step {step} is {int(filled[step, row])}; expected "
                f"0 to {self.tags - 1}. Steps that do not count come after the others: see lengths."
            )
        return filled

    def _check_allowed(self, tags: Tensor, active: Tensor, counts: Tensor) -> None:
        """Check that gold tags obey the rules.

        Raises:
            DataError: some do not.
        """
        penalties = self._penalties()
        last = (counts - 1).clamp(min=0)
        rows = torch.arange(len(counts), device=tags.device)
        broken = torch.zeros_like(active)
        broken[0] = penalties.start[tags[0]] < 0
        broken[1:] |= penalties.between[tags[:-1], tags[1:]] < 0
        broken[last, rows] |= penalties.end[tags[last, rows]] < 0
        broken &= active
        if broken.any():
            step, row = cast(list[int], broken.nonzero()[0].tolist())
            tag, before = int(tags[step, row]), int(tags[max(step - 1, 0), row])
            if step == 0 and penalties.start[tag] < 0:
                where = "at the beginning"
            elif step > 0 and penalties.between[before, tag] < 0:
                where = f"after {before}"
            else:
                where = "at the end"
            raise DataError(
                f"sequence {row} has tag {tag} {where}, step {step}, where it is not allowed. "
                "Correct the tags, or give constrain_loss=False."
            )

    def log_partition(
        self, emissions: Tensor, *, lengths: Tensor | list[int] | None = None
    ) -> Tensor:
        """Return log Z of each sequence, [B]; 0 of a sequence of no steps.

        Args:
            emissions: the scores of each tag at each step, [T, B, tags].
            lengths: how many steps of each sequence count, [B], 0 to T; None for all.

        Raises:
            ShapeError: a tensor does not fit.
        """
        read, active, counts = self._read(emissions, lengths)
        return self._log_partition(read, active, counts, self._scores(constrained=True))

    @staticmethod
    def _log_partition(
        emissions: Tensor, active: Tensor, counts: Tensor, scores: TransitionScores
    ) -> Tensor:
        if not len(emissions):
            return emissions.new_zeros(len(counts))
        log_z = cast(
            Tensor,
            _LogPartition.apply(  # type: ignore[no-untyped-call]
                emissions, active.unsqueeze(2), *scores
            ),
        )
        return log_z.masked_fill(counts == 0, 0)

    def log_likelihood(
        self, emissions: Tensor, tags: Tensor, *, lengths: Tensor | list[int] | None = None
    ) -> Tensor:
        """Return the logarithm of the probability of tags, [B], among all tags, or among those that
        are allowed with ``constrain_loss``; 0 of a sequence of no steps.

        Args:
            emissions: the scores of each tag at each step, [T, B, tags].
            tags: numbers of tags, [T, B]; anything at padding.
            lengths: how many steps of each sequence count, [B], 0 to T; None for all.

        Raises:
            ShapeError: a tensor does not fit.
            DataError: a tag is not among those that there are, or not allowed with
                ``constrain_loss``.
        """
        read, active, counts = self._read(emissions, lengths)
        gold = self._check_tags(tags, read, active)
        if not len(read):
            return read.new_zeros(len(counts))
        if self.constrain_loss:
            self._check_allowed(gold, active, counts)
        scores = self._scores(self.constrain_loss)
        return self._score(read, gold, active, counts, scores) - self._log_partition(
            read, active, counts, scores
        )

    @staticmethod
    def _score(
        emissions: Tensor, tags: Tensor, active: Tensor, counts: Tensor, scores: TransitionScores
    ) -> Tensor:
        """Return s(y) of each sequence, [B]."""
        steps = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)  # 0 at padding
        between = scores.between[tags[:-1], tags[1:]].masked_fill(~active[1:], 0)
        rows = torch.arange(len(counts), device=tags.device)
        ends = scores.start[tags[0]] + scores.end[tags[(counts - 1).clamp(min=0), rows]]
        return steps.sum(0) + between.sum(0) + ends.masked_fill(counts == 0, 0)

    def loss(
        self, emissions: Tensor, tags: Tensor, *, lengths: Tensor | list[int] | None = None
    ) -> Tensor:
        """Return the negative log-likelihood of all sequences, divided by the number of their
        steps, so that its size depends neither on the batch nor on lengths.

        Args:
            emissions: the scores of each tag at each step, [T, B, tags].
            tags: numbers of tags, [T, B]; anything at padding.
            lengths: how many steps of each sequence count, [B], 0 to T; None for all.

        Raises:
            ShapeError: a tensor does not fit, or no step counts.
            DataError: see ``log_likelihood``.
        """
        nats = -self.log_likelihood(emissions, tags, lengths=lengths).sum()
        count = int(self._read(emissions, lengths)[2].sum())
        if not count:
            raise ShapeError("no sequence of the batch has a step that counts, so it has no loss.")
        return nats / count

    def marginals(self, emissions: Tensor, *, lengths: Tensor | list[int] | None = None) -> Tensor:
        """Return the probability of each tag at each step, [T, B, tags], 0 at padding; among
        allowed tags.

        Args:
            emissions: the scores of each tag at each step, [T, B, tags].
            lengths: how many steps of each sequence count, [B], 0 to T; None for all.

        Raises:
            ShapeError: a tensor does not fit.
        """
        read, active, counts = self._read(emissions, lengths)
        if not len(read):
            return read
        scores, counting = self._scores(constrained=True), active.unsqueeze(2)
        alphas = _forward_scores(read, scores, counting)
        return _marginals(read, scores, counting, alphas, read.new_ones(len(counts))).steps

    def forward(
        self, emissions: Tensor, *, lengths: Tensor | list[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the most likely allowed tags of each sequence (Viterbi 1967). Of several with the
        same score it is those with the lowest number at the last step, and then at each step
        before.

        Args:
            emissions: the scores of each tag at each step, [T, B, tags].
            lengths: how many steps of each sequence count, [B], 0 to T; None for all.

        Returns:
            The tags, [T, B], -1 at padding; and their scores s(y), [B], 0 of no steps.

        Raises:
            ShapeError: a tensor does not fit.
        """
        read, active, counts = self._read(emissions, lengths)
        if not len(read):
            return read.new_zeros(read.shape[:2], dtype=torch.long), read.new_zeros(len(counts))
        scores, counting = self._scores(constrained=True), active.unsqueeze(2)
        best = scores.start + read[0]
        stay = torch.arange(self.tags, device=read.device).expand(len(counts), -1)
        pointers = []
        for emission, counted_rows in zip(read[1:], counting[1:], strict=True):
            values, before = (best.unsqueeze(2) + scores.between).max(1)
            best = torch.where(counted_rows, values + emission, best)
            pointers.append(torch.where(counted_rows, before, stay))
        score, tag = (best + scores.end).max(1)
        tags = [tag]
        for pointer in reversed(pointers):
            tag = pointer.gather(1, tag.unsqueeze(1)).squeeze(1)
            tags.append(tag)
        path = torch.stack(tags[::-1])
        return path.masked_fill(~active, -1), score.masked_fill(counts == 0, 0)

    def extra_repr(self) -> str:
        """Return what ``repr`` shows inside the brackets."""
        rules = f", constrained=True, constrain_loss={self.constrain_loss}" * self.constrained
        return f"tags={self.tags}{rules}"

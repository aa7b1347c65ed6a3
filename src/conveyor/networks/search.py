"""Writing sequences with a model that gives the next token's probabilities: the likeliest token at
each step, or one that is drawn. A search over several is in ``beam_search``.

A model is any function ``step(state, tokens) -> (log_probabilities, state)``: it reads one token of
each of N sequences, [N], and gives the logarithms of the probabilities of what comes next, [N, V],
with its state after reading.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from conveyor.errors import SettingError, ShapeError
from conveyor.layers.checks import check_whole
from conveyor.networks.random_numbers import chosen

State = TypeVar("State")
Step = Callable[[State, Tensor], tuple[Tensor, State]]
Select = Callable[[State, Tensor], State]

# Above 0 by more than this, what a model gives is no logarithm of a probability.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that was written.

    Attributes:
        tokens: what was written, without the token that ends it.
        log_probability: of the tokens and the end.
        score: what the search ranked it by; the log-probability where nothing else counts.
        finished: whether it was ended, not cut off.
        attention: the weights of the source's places for each token and the end, where they were
            asked for.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    finished: bool
    attention: Tensor | None = None


def select_batch(state: Any, rows: Tensor) -> Any:
    """Return the state of some of the sequences of a batch.

    Args:
        state: a tensor, or tuples, lists and mappings of tensors, or None. The batch is the second
            axis, as in the states of layers and in sequences [T, B, width]; that of tensors [B] is
            the first.
        rows: which sequences, [N].

    Raises:
        SettingError: the state holds something else.
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.index_select(min(state.dim() - 1, 1), rows)
    if isinstance(state, Mapping):
        return {name: select_batch(each, rows) for name, each in state.items()}
    if isinstance(state, tuple) and hasattr(state, "_fields"):
        return type(state)(*(select_batch(each, rows) for each in state))
    if isinstance(state, list | tuple):
        return type(state)(select_batch(each, rows) for each in state)
    raise SettingError(
        f"the state holds a {type(state).__name__}; expected tensors, or tuples, lists and "
        "mappings of them. Give select=, a function of a state and the rows to keep."
    )


@dataclass(frozen=True)
class Limits:
    """What sequences may be written.

    Args:
        end: the token that ends one; None if there is none.
        longest: tokens of a sequence at most, its end counted: a number, or one for each, [B].
        shortest: tokens of a sequence at least, its end counted.
        forbidden: tokens that are never written, such as padding.
    """

    end: int | None
    longest: int | Tensor
    shortest: int = 0
    forbidden: Sequence[int] = ()

    def of_each(self, begin: Tensor) -> Tensor:
        """Return the greatest length of each sequence, [B].

        Args:
            begin: the first token of each, [B].

        Raises:
            ShapeError: there is not one for each sequence.
            SettingError: a number is out of its range.
        """
        if begin.dim() != 1 or begin.is_floating_point():
            raise ShapeError(
                f"begin is {list(begin.shape)} of {begin.dtype}; expected one whole number for "
                "each sequence, [B]."
            )
        check_whole(0, shortest=self.shortest)
        if not isinstance(self.longest, Tensor):
            check_whole(longest=self.longest)
            return begin.new_full(begin.shape, self.longest)
        if self.longest.shape != begin.shape:
            raise ShapeError(
                f"longest is {list(self.longest.shape)}; expected a number, or one for each "
                f"sequence, {list(begin.shape)}."
            )
        if self.longest.numel():
            check_whole(longest=int(self.longest.min()))
        return self.longest.to(begin.device)

    def allowed(self, log_probabilities: Tensor, length: int) -> Tensor:
        """Return log-probabilities [N, V] in float64, minus infinity for what may not be written.

        Args:
            log_probabilities: what a model gave, [N, V].
            length: tokens of the sequences with the one that is to come.

        Raises:
            SettingError: they are no log-probabilities, or a token is not among them.
        """
        values = log_probabilities.to(torch.float64, copy=True)
        if values.isnan().any() or (values > _ROUNDING).any():
            raise SettingError(
                "step gave what is no logarithm of a probability: NaN, or a number above 0. Give "
                "logits.log_softmax(-1)."
            )
        never = list(self.forbidden)
        if self.end is not None and length < self.shortest:
            never.append(self.end)
        symbols = values.shape[-1]
        for token in (*never, *([] if self.end is None else [self.end])):
            if not 0 <= token < symbols:
                raise SettingError(
                    f"token {token} is forbidden or the end; step knows tokens 0 to {symbols - 1}."
                )
        if never:
            values[:, never] = -torch.inf
        return values


def sampling_distribution(
    log_probabilities: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Tensor:
    """Return the probabilities that tokens are drawn with, [..., V]: sharpened by the temperature,
    then cut to the ``top_k`` likeliest (Fan, Lewis & Dauphin 2018), and of these to the fewest that
    hold ``top_p`` (the nucleus of Holtzman et al. 2020). Of equal ones the first are kept. They add
    up to what was kept.

    Args:
        log_probabilities: or logits, [..., V].
        temperature: above 0; below 1 is safer, above 1 more varied.
        top_k: how many tokens are kept; 0 for all.
        top_p: the share that is kept, above 0 up to 1.

    Raises:
        SettingError: a number is out of its range.
    """
    if not 0 < temperature < torch.inf or not 0 < top_p <= 1:
        raise SettingError(
            f"temperature is {temperature}, top_p {top_p}; expected temperature above 0, top_p "
            "above 0 up to 1."
        )
    check_whole(0, top_k=top_k)
    logits = log_probabilities.double()
    # No temperature overflows it.
    sharpened = (logits - logits.amax(-1, keepdim=True)) / temperature
    ordered, places = torch.softmax(sharpened, -1).sort(dim=-1, descending=True, stable=True)
    if top_k:
        ordered = ordered.clone()
        ordered[..., top_k:] = 0
        ordered /= ordered.sum(-1, keepdim=True)
    # A token is kept while those before it hold less than top_p: one is always kept.
    kept = ordered.cumsum(-1) - ordered < top_p
    chances = torch.zeros_like(ordered).scatter(-1, places, ordered * kept)
    return chances.to(log_probabilities.dtype)


def draw_tokens(
    log_probabilities: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return a token for each row, [N], drawn from ``sampling_distribution``.

    Args:
        log_probabilities: or logits, [N, V].
        temperature: above 0; below 1 is safer, above 1 more varied.
        top_k: how many of the likeliest tokens may be drawn; 0 for all.
        top_p: the share of the likeliest tokens that may be drawn, above 0 up to 1.
        generator: draws; None for torch's own.

    Raises:
        SettingError: a number is out of its range.
    """
    chances = sampling_distribution(
        log_probabilities, temperature=temperature, top_k=top_k, top_p=top_p
    )
    return chosen(chances, generator)


def greedy_search(
    step: Step[State],
    state: State,
    begin: Tensor,
    *,
    end: int | None,
    longest: int | Tensor,
    shortest: int = 0,
    forbidden: Sequence[int] = (),
    select: Select[State] = select_batch,
) -> list[Hypothesis]:
    """Return a sequence for each of a batch, of the likeliest token at each step; of equal ones the
    one with the lowest number.

    Args:
        step: the model, see the head of this file.
        state: of the model before the first step; its batch is that of ``begin``.
        begin: the token that each sequence begins with, [B]; it is not written.
        end: the token that ends a sequence; None if there is none.
        longest: tokens of a sequence at most, its end counted: a number, or one for each, [B].
        shortest: tokens of a sequence at least, its end counted.
        forbidden: tokens that are never written, such as padding. They keep their probability:
            nothing is scaled up for them.
        select: gives the state of some of the batch, see ``select_batch``.

    Raises:
        ShapeError: a tensor does not fit.
        SettingError: a number is out of its range, or the model gives no log-probabilities.
    """
    limits = Limits(end, longest, shortest, forbidden)
    return _written(step, state, begin, lambda values: values.argmax(-1), limits, select)


def sample(
    step: Step[State],
    state: State,
    begin: Tensor,
    *,
    end: int | None,
    longest: int | Tensor,
    shortest: int = 0,
    forbidden: Sequence[int] = (),
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    select: Select[State] = select_batch,
) -> list[Hypothesis]:
    """Return a sequence for each of a batch, each token of which is drawn. Its log-probability is
    that of the model, without temperature and cuts.

    Args:
        step: the model, see the head of this file.
        state: of the model before the first step; its batch is that of ``begin``.
        begin: the token that each sequence begins with, [B]; it is not written.
        end: the token that ends a sequence; None if there is none.
        longest: tokens of a sequence at most, its end counted: a number, or one for each, [B].
        shortest: tokens of a sequence at least, its end counted.
        forbidden: tokens that are never written, such as padding.
        temperature: above 0; below 1 is safer, above 1 more varied.
        top_k: how many of the likeliest tokens may be drawn; 0 for all.
        top_p: the share of the likeliest tokens that may be drawn, above 0 up to 1.
        generator: draws; None for torch's own. The same one gives the same sequences.
        select: gives the state of some of the batch, see ``select_batch``.

    Raises:
        ShapeError: a tensor does not fit.
        SettingError: a number is out of its range, or the model gives no log-probabilities.
    """

    def draw(values: Tensor) -> Tensor:
        return draw_tokens(
            values, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator
        )

    return _written(step, state, begin, draw, Limits(end, longest, shortest, forbidden), select)


@torch.no_grad()
def _written(  # noqa: PLR0917  (of this file alone)
    step: Step[State],
    state: State,
    begin: Tensor,
    choose: Callable[[Tensor], Tensor],
    limits: Limits,
    select: Select[State],
) -> list[Hypothesis]:
    """Return the sequences whose tokens ``choose`` takes of log-probabilities [N, V]."""
    longest = limits.of_each(begin)
    tokens: list[list[int]] = [[] for _ in begin]
    sums, finished = [0.0] * len(begin), [False] * len(begin)
    rows, read, length = torch.arange(len(begin), device=begin.device), begin, 0
    while len(rows):
        length += 1
        log_probabilities, state = step(state, read)
        values = limits.allowed(log_probabilities, length)
        if (values.amax(-1) == -torch.inf).any():
            raise SettingError(f"no token may be written at step {length}. Forbid fewer.")
        read = choose(values)
        chosen = values.gather(1, read[:, None]).squeeze(1).tolist()
        for row, token, value in zip(rows.tolist(), read.tolist(), chosen, strict=True):
            sums[row] += value
            finished[row] = token == limits.end
            if not finished[row]:
                tokens[row].append(token)
        going = length < longest[rows]
        if limits.end is not None:
            going &= read != limits.end
        if not going.all():
            kept = going.nonzero().squeeze(1)
            rows, read, state = rows[kept], read[kept], select(state, kept)
    return [
        Hypothesis(tuple(written), total, total, ended)
        for written, total, ended in zip(tokens, sums, finished, strict=True)
    ]

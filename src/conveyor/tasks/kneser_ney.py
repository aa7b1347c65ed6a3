"""An n-gram model with interpolated, modified Kneser-Ney smoothing (Chen & Goodman 1999, An
empirical study of smoothing techniques for language modeling; Kneser & Ney 1995).

    p(w|h) = max(c(hw) - D(c(hw)), 0) / c(h) + (D1 N1(h) + D2 N2(h) + D3 N3(h)) / c(h) · p(w|h⁻)

h⁻ is h without its first symbol, and N1(h), N2(h), N3(h) are how many symbols came once, twice and
more often after h. Of the longest h, c counts; of shorter ones, c(hw) is the number of different
symbols that came before hw. The shortest is interpolated with 1/V. With n_k grams of an order that
have c = k:

    Y = n1 / (n1 + 2 n2),  D1 = 1 - 2 Y n2/n1,  D2 = 2 - 3 Y n3/n2,  D3 = 3 - 4 Y n4/n3
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conveyor.errors import DataError, SettingError
from conveyor.layers.checks import check_whole

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]

# Discounts where a text has too few grams to estimate them.
_FALLBACK = (0.5, 1.0, 1.5)

# Symbols that are scored at once.
_AT_ONCE = 1_000_000


def discounts(counts: Integers) -> Numbers:
    """Return what is taken off counts of 0, 1, 2 and 3 or more: 0, D1, D2, D3, each between 0 and
    the count. Where no gram has a count that the formula divides by, or it leaves nothing to
    others, as where a text holds much twice, it is 0.5, 1 or 1.5.

    Args:
        counts: of all grams of an order.
    """
    n1, n2, n3, n4 = (int((counts == count).sum()) for count in (1, 2, 3, 4))
    values: list[float] = [0.0, *_FALLBACK]
    if n1 and n2:
        y = n1 / (n1 + 2 * n2)
        values[1], values[2] = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2
        if n3:
            values[3] = 3 - 4 * y * n4 / n3
    fallback = np.array([0.0, *_FALLBACK])
    estimates = np.array(values)
    return np.where(estimates > 0, estimates, fallback).clip(0, [0, 1, 2, 3])


def _find(keys: Integers, asked: Integers) -> Integers:
    """Return where keys stand in sorted ones, -1 for those that do not."""
    if not len(keys):
        return np.full(len(asked), -1)
    places = np.searchsorted(keys, asked).clip(max=len(keys) - 1)
    return np.where(keys[places] == asked, places, -1)


@dataclass(frozen=True)
class _Order:
    """The grams of one length.

    Args:
        contexts: sorted keys of the contexts h: the number of h⁻ among those of the order below,
            times V, plus the first symbol of h.
        grams: sorted keys: the number of h times V, plus w.
        counts: c(hw) of each gram.
        totals: c(h) of each context; 0 of one that only the end of a gram has.
        reserved: D1 N1(h) + D2 N2(h) + D3 N3(h).
        discounts: of counts 0, 1, 2, 3 and more.
    """

    contexts: Integers
    grams: Integers
    counts: Integers
    totals: Integers
    reserved: Numbers
    discounts: Numbers


class KneserNey:
    """An n-gram model of a text, of any units.

    Args:
        numbers: the text as symbols from 0, [N].
        order: the symbol and those before it, 1 or more.
        symbols: how many there are, V.

    Raises:
        DataError: the text is shorter than a gram, or has a symbol that is none.
        SettingError: a number is out of its range.
    """

    def __init__(self, numbers: ArrayLike, order: int, symbols: int) -> None:
        check_whole(order=order, symbols=symbols)
        text = self._read(numbers, symbols)
        if len(text) < order:
            raise DataError(
                f"the text has {len(text)} symbols; expected {order} or more, the order."
            )
        self.order, self.symbols = order, symbols
        self._orders = self._counted(text)

    @staticmethod
    def _read(numbers: ArrayLike, symbols: int) -> Integers:
        text = np.asarray(numbers)
        if text.ndim != 1 or not (np.issubdtype(text.dtype, np.integer) or not text.size):
            raise SettingError(
                f"numbers is {text.shape} of {text.dtype}; expected whole ones, [N]."
            )
        text = text.astype(np.int64)
        if len(text) and not 0 <= text.min() <= text.max() < symbols:
            raise DataError(
                f"the text has symbols from {text.min()} to {text.max()}; expected 0 to "
                f"{symbols - 1}."
            )
        return text

    def _contexts(self, text: Integers) -> tuple[list[Integers], Integers]:
        """Return the keys of the contexts of each length from 0, see ``_Order``; and the numbers of
        the longest ones, before each symbol that has so many before it."""
        keys, numbers = [np.zeros(1, dtype=np.int64)], np.zeros(len(text), dtype=np.int64)
        for length in range(1, self.order):
            longer = numbers[1:] * self.symbols + text[: len(text) - length]
            unique, numbers = np.unique(longer, return_inverse=True)
            keys.append(unique)
        return keys, numbers

    def _numbered(self, text: Integers) -> list[Integers]:
        """Return for each length the number of the context before every symbol, -1 where the
        training text has it not."""
        numbers = [np.zeros(len(text), dtype=np.int64)]
        for length in range(1, self.order):
            before = numbers[-1]
            keys = before[length:] * self.symbols + text[: max(len(text) - length, 0)]
            longer = np.full(len(text), -1)
            longer[length:] = np.where(
                before[length:] < 0, -1, _find(self._orders[length].contexts, keys)
            )
            numbers.append(longer)
        return numbers

    def _counted(self, text: Integers) -> list[_Order]:
        """Return the grams of each length from 1, the longest counted first."""
        symbols, length = self.symbols, self.order - 1
        contexts, numbers = self._contexts(text)
        grams, counts = np.unique(numbers * symbols + text[length:], return_counts=True)
        orders = []
        while True:
            orders.append(_order(contexts[length], grams, counts, symbols))
            if length == 0:
                return orders[::-1]
            # Each gram is one symbol that came before the gram without its first.
            shorter_contexts = contexts[length][grams // symbols] // symbols
            grams, counts = np.unique(
                shorter_contexts * symbols + grams % symbols, return_counts=True
            )
            length -= 1

    def probabilities(self, numbers: ArrayLike) -> Numbers:
        """Return the probability of each symbol of a text after those before it, [N].

        Args:
            numbers: the text, [N].

        Raises:
            DataError: the text has a symbol that is none.
        """
        text = self._read(numbers, self.symbols)
        return self._mixed(self._numbered(text), text)

    def _mixed(self, contexts: list[Integers], text: Integers) -> Numbers:
        """Return the probability of symbols [N] after contexts, whose numbers are given for each
        length, [N]; -1 for those that the training text has not."""
        chances = np.full(len(text), 1 / self.symbols)
        for order, numbers in zip(self._orders, contexts, strict=True):
            places = _find(order.grams, numbers * self.symbols + text)
            counts = np.where(places < 0, 0, order.counts[places])
            totals = np.where(numbers < 0, 0, order.totals[numbers])
            rest = np.maximum(counts - order.discounts[counts.clip(max=3)], 0)
            mixed = rest + order.reserved[numbers] * chances
            chances = np.where(totals > 0, mixed / totals.clip(min=1), chances)
        return chances

    def distribution(self, context: ArrayLike) -> Numbers:
        """Return the probability of every symbol after a context, [V]; they add up to 1.

        Args:
            context: symbols, of which the last ``order`` - 1 count.

        Raises:
            DataError: the context has a symbol that is none.
        """
        text = np.append(self._read(context, self.symbols), 0)
        contexts = [np.repeat(numbers[-1], self.symbols) for numbers in self._numbered(text)]
        return self._mixed(contexts, np.arange(self.symbols))

    def nats(self, numbers: ArrayLike) -> float:
        """Return the mean of -ln p over a text without its first symbol.

        Args:
            numbers: the text, two symbols or more.

        Raises:
            DataError: the text has a symbol that is none, or fewer than two.
        """
        text = self._read(numbers, self.symbols)
        if len(text) < 2:
            raise DataError("the text has fewer than 2 symbols, so that nothing is predicted.")
        total = 0.0
        # In parts, each with what stands before it, or a long text would take much memory.
        for begin in range(1, len(text), _AT_ONCE):
            first = max(begin - self.order + 1, 0)
            chances = self.probabilities(text[first : begin + _AT_ONCE])[begin - first :]
            total -= float(np.log(chances).sum())
        return total / (len(text) - 1)


def _order(contexts: Integers, grams: Integers, counts: Integers, symbols: int) -> _Order:
    off = discounts(counts)
    context = grams // symbols
    totals = np.bincount(context, weights=counts, minlength=len(contexts)).astype(np.int64)
    taken: Numbers = off[counts.clip(max=3)]
    reserved: Numbers = np.bincount(context, weights=taken, minlength=len(contexts)).astype(float)
    return _Order(contexts, grams, counts, totals, reserved, off)


def bits_per_character(nats_per_symbol: float, symbols: int, characters: int) -> float:
    """Return a score that texts in different units share: bits per character.

    Args:
        nats_per_symbol: the mean of -ln p.
        symbols: how many were predicted.
        characters: how many characters they spell, spaces and line ends included.
    """
    return nats_per_symbol * symbols / (characters * log(2))

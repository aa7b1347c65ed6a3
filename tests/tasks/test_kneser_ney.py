"""Kneser-Ney smoothing beside a model of dictionaries, which is written from the equations."""

import math
from collections import Counter
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from conveyor.errors import DataError, SettingError
from conveyor.tasks.kneser_ney import KneserNey, bits_per_character, discounts

V = 5


def drawn(length: int, seed: int = 0, symbols: int = V) -> list[int]:
    """Return a text in which some symbols are much more frequent than others."""
    source = np.random.default_rng(seed)
    return [int(x) for x in (source.random(length) ** 2.5 * symbols)]


class ByHand:
    """Interpolated modified Kneser-Ney smoothing, gram by gram."""

    def __init__(self, text: list[int], order: int, symbols: int) -> None:
        self.order, self.symbols = order, symbols
        grams = [tuple(text[i : i + order]) for i in range(len(text) - order + 1)]
        self.counts = {order: Counter(grams)}
        for length in range(order - 1, 0, -1):
            longer = self.counts[length + 1]
            self.counts[length] = Counter(gram[1:] for gram in longer)  # of different ones
        self.off = {}
        for length, counted in self.counts.items():
            n = Counter(counted.values())
            y = n[1] / (n[1] + 2 * n[2])
            self.off[length] = [
                0,
                1 - 2 * y * n[2] / n[1],
                2 - 3 * y * n[3] / n[2],
                3 - 4 * y * n[4] / n[3],
            ]
            assert all(0 < self.off[length][count] < count for count in (1, 2, 3))

    def probability(self, context: tuple[int, ...], symbol: int) -> float:
        context = context[max(0, len(context) - self.order + 1) :]
        shorter = self.probability(context[1:], symbol) if context else 1 / self.symbols
        counted, off = self.counts[len(context) + 1], self.off[len(context) + 1]
        after = [counted[(*context, w)] for w in range(self.symbols)]
        if sum(after) == 0:
            return shorter
        count = counted[(*context, symbol)]
        reserved = sum(off[min(each, 3)] for each in after)
        return (max(count - off[min(count, 3)], 0) + reserved * shorter) / sum(after)


def zipfian(length: int, seed: int, symbols: int) -> list[int]:
    """Return a text with symbols of all frequencies, as words have them."""
    weights = 1 / np.arange(1, symbols + 1)
    source = np.random.default_rng(seed)
    return [int(x) for x in source.choice(symbols, length, p=weights / weights.sum())]


# Its grams of every order have all counts that discounts are made of.
SYMBOLS = 60
TEXT = zipfian(400, 11, SYMBOLS)


@pytest.mark.parametrize("order", [2, 3])
def test_it_is_the_model_of_dictionaries(order: int) -> None:
    model, expected = KneserNey(TEXT, order, SYMBOLS), ByHand(TEXT, order, SYMBOLS)
    for context in [(), (0,), (1,), (59,), (3, 0), (0, 0), (59, 59), (1, 0, 0)]:
        chances = [expected.probability(context, symbol) for symbol in range(SYMBOLS)]
        np.testing.assert_allclose(model.distribution(context), chances)
    asked = zipfian(60, 999, SYMBOLS)
    chances = [
        expected.probability(tuple(asked[max(0, i - order + 1) : i]), asked[i])
        for i in range(len(asked))
    ]
    np.testing.assert_allclose(model.probabilities(asked), chances)
    assert model.nats(asked) == pytest.approx(-np.log(chances[1:]).mean())


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("text", [drawn(200), [0, 1, 2, 3, 4] * 3, [1] * 30, [2, 0, 1, 1, 3, 2]])
def test_it_is_a_distribution_after_every_context(order: int, text: list[int]) -> None:
    model = KneserNey(text, order, V)
    contexts = [(), *product(range(V), repeat=1), *product(range(V), repeat=2), (4, 4, 4, 4, 4)]
    contexts += [tuple(text[i : i + 4]) for i in range(3)]
    for context in contexts:
        chances = model.distribution(context)
        assert chances.sum() == pytest.approx(1)
        assert (chances > 0).all()


def test_a_symbol_that_comes_after_one_other_only_is_rare_elsewhere() -> None:
    """San Francisco: Francisco (2) is as frequent as glasses (3), but only after San (1). So its
    share of the lowest order is that of one kind of bigram."""
    san, francisco, glasses = 1, 2, 3
    text = []
    for other in range(4, 14):
        text += [san, francisco, other, glasses]
    model = KneserNey(text, 2, 14)
    bigrams = len({*pairwise(text)})
    lowest = model._orders[0]
    shares = dict(zip(lowest.grams.tolist(), lowest.counts.tolist(), strict=True))
    assert (shares[francisco], shares[glasses]) == (1, 10)
    assert lowest.totals.tolist() == [bigrams]
    unseen = model.distribution([0])
    assert unseen[francisco] < unseen[glasses] / 4
    assert model.distribution([san])[francisco] > 0.8


def test_what_was_never_seen_is_possible_where_all_stands_twice() -> None:
    """n1 = n2 = 1, n3 = 9: D2 = 2 - 3 · 1/3 · 9 is below 0, and would leave nothing to others."""
    counts = np.array([1, 2, *[3] * 9])
    np.testing.assert_allclose(discounts(counts)[1:3], [1 - 2 / 3, 1.0])
    text = [0, 1, 2, 0, 1, 2, 3, 4, 3, 4, 3, 4, 5, 6, 5, 6, 5, 6, 7]
    model = KneserNey(text, 3, 9)
    assert model.distribution([0, 1]).min() > 0


def test_discounts() -> None:
    """n1 to n4 are 4, 3, 2, 1: Y = 4/10, D1 = 1 - .8·3/4, D2 = 2 - 1.2·2/3, D3 = 3 - 1.6/2."""
    counts = np.array([1] * 4 + [2] * 3 + [3] * 2 + [4] + [9] * 5)
    np.testing.assert_allclose(discounts(counts), [0, 0.4, 1.2, 2.2])
    np.testing.assert_allclose(discounts(np.array([5, 6])), [0, 0.5, 1, 1.5])
    few = discounts(np.array([1, 2, 2, 2, 3, 3]))
    assert (few >= 0).all()
    assert (few <= [0, 1, 2, 3]).all()


def test_it_is_better_than_shorter_contexts_where_they_are_too_short() -> None:
    text = [0, 1, 2, 0, 2, 1] * 60
    known, asked = text[:300], text[300:]
    nats = [KneserNey(known, order, 3).nats(asked) for order in (1, 2, 3)]
    assert nats[0] > nats[1] > nats[2]
    assert nats[0] == pytest.approx(math.log(3), abs=0.05)


def test_bits_per_character_do_not_depend_on_the_unit() -> None:
    """Ten symbols of 1 bit each that spell 20 characters are half a bit each."""
    assert bits_per_character(math.log(2), 10, 20) == pytest.approx(0.5)
    assert bits_per_character(2 * math.log(2), 5, 20) == pytest.approx(0.5)


def test_a_megabyte_is_counted_in_seconds() -> None:
    """A million symbols: a loop of Python over all grams would take a minute and more."""
    source = np.random.default_rng(0)
    text = (source.random(1_000_000) ** 2 * 60).astype(np.int64)
    model = KneserNey(text[:950_000], 5, 60)
    assert 3 < model.nats(text[950_000:]) < math.log(60)


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (([0, 1], 3, 2), DataError, "the text has 2 symbols; expected 3 or more"),
        (([0, 2], 1, 2), DataError, "symbols from 0 to 2; expected 0 to 1"),
        (([0, 1], 0, 2), SettingError, "order is 0"),
        (([0.5, 1.0], 1, 2), SettingError, r"numbers is \(2,\) of float64; expected whole ones"),
    ],
)
def test_what_it_refuses(arguments: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind, match=text):
        KneserNey(*arguments)
    with pytest.raises(DataError, match="fewer than 2 symbols"):
        KneserNey([0, 1, 1], 2, 2).nats([1])

"""Counting language models: what a recurrent one has to beat."""

from collections import Counter, defaultdict
from math import log


class Ngram:
    """An n-gram model with Witten-Bell interpolation (Witten & Bell 1991).

    P(c | context) = (count + kinds * P(c | shorter context)) / (total + kinds), where ``kinds``
    is how many different characters followed the context. Under the shortest context stands
    the uniform distribution over ``vocabulary`` characters.
    """

    def __init__(self, numbers: list[int], order: int, vocabulary: int) -> None:
        self.order, self.vocabulary = order, vocabulary
        self.counts: list[defaultdict[tuple[int, ...], Counter[int]]] = []
        for length in range(order):
            following: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
            for place in range(length, len(numbers)):
                following[tuple(numbers[place - length : place])][numbers[place]] += 1
            self.counts.append(following)
        self._totals = [
            {context: sum(counted.values()) for context, counted in following.items()}
            for following in self.counts
        ]

    def probability(self, context: tuple[int, ...], character: int) -> float:
        """P(character | the last ``order`` - 1 characters)."""
        chance = 1 / self.vocabulary
        for length, following in enumerate(self.counts):
            if length > len(context):
                break
            shorter = context[len(context) - length :]
            counted = following.get(shorter)
            if counted is None:
                break
            kinds = len(counted)
            chance = (counted[character] + kinds * chance) / (self._totals[length][shorter] + kinds)
        return chance

    def nats(self, numbers: list[int]) -> float:
        """The mean of -ln P over a text, the first character left out."""
        chances = (
            self.probability(tuple(numbers[max(0, place - self.order + 1) : place]), numbers[place])
            for place in range(1, len(numbers))
        )
        return -sum(log(chance) for chance in chances) / (len(numbers) - 1)

"""Language models that count: the baselines that a recurrent network has to beat."""

from collections import Counter, defaultdict
from math import log


class Ngram:
    """An n-gram model with Witten-Bell interpolation (Witten & Bell 1991).

    P(c | context) = (count + kinds * P(c | shorter context)) / (total + kinds), where ``kinds``
    is the number of different characters that followed the context. The shortest context is
    interpolated with the uniform distribution over ``vocabulary`` characters.
    """

    def __init__(self, numbers: list[int], order: int, vocabulary: int) -> None:
        self.order, self.vocabulary = order, vocabulary
        self.counts: list[defaultdict[tuple[int, ...], Counter[int]]] = []
        for length in range(order):
            following: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
            for index in range(length, len(numbers)):
                following[tuple(numbers[index - length : index])][numbers[index]] += 1
            self.counts.append(following)
        self._totals = [
            {context: sum(counted.values()) for context, counted in following.items()}
            for following in self.counts
        ]

    def probability(self, context: tuple[int, ...], character: int) -> float:
        """Return P(character | the last ``order`` - 1 characters)."""
        probability = 1 / self.vocabulary
        for length, following in enumerate(self.counts):
            if length > len(context):
                break
            shorter = context[len(context) - length :]
            counted = following.get(shorter)
            if counted is None:
                break
            kinds, total = len(counted), self._totals[length][shorter]
            probability = (counted[character] + kinds * probability) / (total + kinds)
        return probability

    def nats(self, numbers: list[int]) -> float:
        """Return the mean of -ln P over a text without its first character."""
        probabilities = (
            self.probability(tuple(numbers[max(0, index - self.order + 1) : index]), numbers[index])
            for index in range(1, len(numbers))
        )
        return -sum(log(probability) for probability in probabilities) / (len(numbers) - 1)

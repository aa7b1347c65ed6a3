"""How varied answers are: a network that has learned little answers the same to everything."""

from collections import Counter
from collections.abc import Sequence

from conveyor.data.tokens import Tokenizer

# Words in small letters, whatever a network reads, so that runs compare.
_WORDS = Tokenizer("word", lower=True)


def distinct(answers: Sequence[str], length: int) -> float:
    """Return distinct-n: how many different runs of n words there are, by how many there are at all
    (Li et al. 2016, A diversity-promoting objective function for neural conversation models).

    >>> distinct(["I see .", "I do"], 1)  # i, see, ., do of 5
    0.8

    Args:
        answers: all answers. More of them have fewer different runs: compare as many.
        length: n.
    """
    runs: Counter[tuple[str, ...]] = Counter()
    for answer in answers:
        tokens = _WORDS.tokens(answer)
        runs.update(
            tuple(tokens[place : place + length]) for place in range(len(tokens) - length + 1)
        )
    return len(runs) / max(runs.total(), 1)


def commonest_share(answers: Sequence[str]) -> float:
    """Return the share of answers that are the most frequent one."""
    return max(Counter(answers).values(), default=0) / max(len(answers), 1)

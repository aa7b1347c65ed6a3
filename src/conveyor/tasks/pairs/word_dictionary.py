"""A dictionary learned from pairs, by which a source is translated token by token."""

from collections.abc import Mapping, Sequence

import numpy as np

from conveyor.errors import RunError
from conveyor.tasks.known_keys import FITTED_ON

# Rounds of EM, and links between tokens that are looked at, at most: pairs beyond are left out.
ROUNDS, MOST_LINKS = 5, 4_000_000


class WordDictionary:
    """The likeliest target token of each source token, by IBM's model 1 (Brown et al. 1993, The
    mathematics of statistical machine translation; with an empty word in each source):

        p(t | s) ∝ Σ over pairs, over each t of the target: p(t | s) / Σ_{s'} p(t | s')

    Args:
        words: the target token of each source token that is known.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = dict(words)

    @staticmethod
    def of(
        sources: Sequence[Sequence[str]],
        targets: Sequence[Sequence[str]],
        rounds: int = ROUNDS,
    ) -> "WordDictionary":
        """Return the dictionary that is learned from pairs.

        Args:
            sources, targets: the tokens of each pair, one or more on each side.
            rounds: of EM.
        """
        from_: dict[str, int] = {"": 0}  # the empty word
        to: dict[str, int] = {}
        firsts, seconds, groups, links, count = [], [], [], 0, 0
        for source, target in zip(sources, targets, strict=True):
            links += (len(source) + 1) * len(target)
            if links > MOST_LINKS and count:
                break
            one = [0, *(from_.setdefault(token, len(from_)) for token in source)]
            other = [to.setdefault(token, len(to)) for token in target]
            firsts.append(np.tile(one, len(other)))
            seconds.append(np.repeat(other, len(one)))
            groups.append(np.repeat(np.arange(count, count + len(other)), len(one)))
            count += len(other)
        first, group = np.concatenate(firsts), np.concatenate(groups)
        keys = first * len(to) + np.concatenate(seconds)
        known, cell = np.unique(keys, return_inverse=True)
        of_source = known // len(to)
        chances = np.ones(len(known))
        for _ in range(rounds):
            each = chances[cell]
            shares = each / np.bincount(group, each)[group]
            counts = np.bincount(cell, shares, len(known))
            chances = counts / np.bincount(of_source, counts, len(from_))[of_source]
        names = list(to)
        # The last that is written for a source token is its likeliest; of equal ones the first.
        order = np.lexsort((-known, chances))
        best = {int(of_source[n]): names[int(known[n]) % len(names)] for n in order}
        return WordDictionary({token: best[number] for token, number in from_.items() if token})

    @staticmethod
    def described(described: object) -> "WordDictionary":
        """Return the dictionary of a run's record, which holds ``words``.

        Raises:
            RunError: the record is corrupt.
        """
        if not isinstance(described, dict) or not all(
            isinstance(token, str) for token in described.values()
        ):
            raise RunError(f"{FITTED_ON} is corrupt: the dictionary.")
        return WordDictionary(described)

    def __getitem__(self, token: str) -> str:
        """The target token of a source token; itself where it is not known."""
        return self.words.get(token, token)

    def translate(self, tokens: Sequence[str]) -> list[str]:
        """Return the target token of each source token, in order."""
        return [self[token] for token in tokens]

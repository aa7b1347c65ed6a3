"""What each letter sounds like most often: a pronunciation without a network."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from conveyor.errors import RunError
from conveyor.tasks.known_keys import FITTED_ON

# A letter stands for so many phonemes at most: x for K S.
_MOST = 2
# Rounds of alignment, and words that are aligned, at most.
ROUNDS, MOST_WORDS = 4, 8_000
# What is counted of what was never seen.
_UNSEEN = 0.1

_Sound = tuple[str, ...]


class LetterSounds:
    """The most frequent sound of each letter, of none, one or two phonemes.

    Letters and phonemes are aligned in order by hard EM: the likeliest alignment of each word is
    counted, and the counts are the chances of the next round. At first a phoneme is counted for all
    letters of its word, the more the nearer they stand.

    Args:
        best: the phonemes that each letter stands for.
    """

    def __init__(self, best: Mapping[str, Sequence[str]]) -> None:
        self.best = {letter: tuple(sound) for letter, sound in best.items()}

    @staticmethod
    def of(
        words: Sequence[Sequence[str]],
        phonemes: Sequence[Sequence[str]],
        rounds: int = ROUNDS,
    ) -> "LetterSounds":
        """Return the sounds that are learned from words.

        Args:
            words: the letters of each word.
            phonemes: of each word.
            rounds: of EM.
        """
        pairs = [
            (letters, sounds)
            for letters, sounds in zip(words, phonemes, strict=True)
            if len(sounds) <= _MOST * len(letters)
        ][:MOST_WORDS]
        counts: dict[str, dict[_Sound, float]] = defaultdict(lambda: defaultdict(float))
        for letters, sounds in pairs:
            for place, letter in enumerate(letters):
                middle = (place + 0.5) * len(sounds) / len(letters) - 0.5
                counts[letter][()] += 0.2
                for other, sound in enumerate(sounds):
                    counts[letter][sound,] += 1 / (1 + 4 * abs(other - middle) ** 2)
        for _ in range(rounds):
            chances = {
                letter: (seen, math.log(sum(seen.values()) + 1)) for letter, seen in counts.items()
            }
            counts = defaultdict(lambda: defaultdict(float))
            for letters, sounds in pairs:
                aligned = _aligned(letters, sounds, chances)
                for letter, chunk in zip(letters, aligned, strict=True):
                    counts[letter][chunk] += 1
        best: dict[str, _Sound] = {
            letter: min(seen, key=lambda chunk: (-seen[chunk], chunk))
            for letter, seen in counts.items()
        }
        return LetterSounds(best)

    @staticmethod
    def described(described: object) -> "LetterSounds":
        """Return the sounds of a run's record, which holds ``best``.

        Raises:
            RunError: the record is corrupt.
        """
        if not isinstance(described, dict) or not all(
            isinstance(sound, list | tuple) and all(isinstance(each, str) for each in sound)
            for sound in described.values()
        ):
            raise RunError(f"{FITTED_ON} is corrupt: the sounds of letters.")
        return LetterSounds(described)

    def pronounce(self, letters: Sequence[str]) -> list[str]:
        """Return the phonemes of a word, letter by letter; none for a letter never seen."""
        return [sound for letter in letters for sound in self.best.get(letter, ())]


def _aligned(
    letters: Sequence[str],
    sounds: Sequence[str],
    chances: dict[str, tuple[dict[_Sound, float], float]],
) -> list[_Sound]:
    """Return the sound of each letter in the likeliest alignment; of equal ones that of the fewer
    phonemes for the later letters."""
    best = [0.0] + [-math.inf] * len(sounds)
    back: list[list[int]] = []
    for letter in letters:
        seen, total = chances[letter]
        after, taken = [-math.inf] * len(best), [0] * len(best)
        for end in range(len(best)):
            for number in range(min(_MOST, end) + 1):
                sound = tuple(sounds[end - number : end])
                value = best[end - number] + math.log(seen.get(sound, 0) + _UNSEEN) - total
                if value > after[end]:
                    after[end], taken[end] = value, number
        best = after
        back.append(taken)
    answer, end = [], len(sounds)
    for taken in reversed(back):
        answer.append(tuple(sounds[end - taken[end] : end]))
        end -= taken[end]
    return answer[::-1]

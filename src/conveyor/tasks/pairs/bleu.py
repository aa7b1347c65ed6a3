"""BLEU and chrF of translations, from counts of each sentence: so that a sample of sentences has a
score without being read again."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from conveyor.tasks.bootstrap import Counts

# The longest runs of words of BLEU, and of characters of chrF.
WORDS, CHARACTERS = 4, 6
# What a text may hold for a sign, and where 13a puts blanks around signs.
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_SIGNS = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)

# How much more recall counts than precision in chrF2.
_BETA = 2.0


def words_of(text: str) -> list[str]:
    """Return the words of a text by the rules of mteval-v13a: signs stand by themselves, but for
    points and commas between digits and for apostrophes and hyphens in words."""
    for mark, sign in _ENTITIES:
        text = text.replace(mark, sign)
    text = f" {text} "
    for pattern, spaced in _SIGNS:
        text = pattern.sub(spaced, text)
    return text.split()


def _word_runs(words: Sequence[str]) -> list[Counter[tuple[str, ...]]]:
    return [
        Counter(tuple(words[place : place + length]) for place in range(len(words) - length + 1))
        for length in range(1, WORDS + 1)
    ]


def bleu_counts(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
    """Return what BLEU is made of, for each answer [N, 10]: n-grams that match and all of them, for
    1 to 4 words, and the words of the answer and of the reference nearest in length, of equally
    near ones the shorter.

    Words are those of ``words_of``, with capitals, as in sacreBLEU (Post 2018, A call for clarity
    in reporting BLEU scores).

    Args:
        answers: N texts.
        references: of each, one or more.
    """
    counts = np.zeros((len(answers), 2 * WORDS + 2))
    for row, (answer, right) in enumerate(zip(answers, references, strict=True)):
        words, others = words_of(answer), [words_of(text) for text in right]
        runs, theirs = _word_runs(words), [_word_runs(other) for other in others]
        for length, ours in enumerate(runs):
            most: Counter[tuple[str, ...]] = Counter()
            for each in theirs:
                most |= each[length]
            counts[row, length] = (ours & most).total()
            counts[row, WORDS + length] = ours.total()
        nearest = min((abs(len(other) - len(words)), len(other)) for other in others)
        counts[row, -2:] = len(words), nearest[1]
    return counts


def bleu_of(sums: Counts) -> Counts:
    """Return BLEU, 0 to 100, of sums of ``bleu_counts``, [..., 10] (Papineni et al. 2002).

    Where no n-gram of a length matches, its share is taken for 1/2 of one match, then 1/4 and so
    on, as sacreBLEU does (``exp``); where the answers have none, BLEU is 0.
    """
    matches, all_, answered, right = (
        sums[..., :WORDS],
        sums[..., WORDS:-2],
        sums[..., -2],
        sums[..., -1],
    )
    none = matches == 0
    smoothed = np.where(none, 0.5 ** none.cumsum(-1), matches)
    shares = smoothed / np.maximum(all_, 1)
    brevity = np.exp(np.minimum(0, 1 - right / np.maximum(answered, 1e-9)))
    score = 100 * brevity * np.exp(np.log(shares).mean(-1))
    is_none = (all_ == 0).any(-1) | (matches == 0).all(-1)
    return np.where(is_none, 0.0, np.minimum(score, 100.0))


def _runs(text: str, length: int) -> Counter[str]:
    return Counter(text[place : place + length] for place in range(len(text) - length + 1))


def chrf_counts(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
    """Return what chrF is made of, for each answer [N, 18]: runs of characters that match, those of
    the answer and those of the reference that fits best, for 1 to 6 characters without blanks
    (Popović 2015, chrF: character n-gram F-score for automatic MT evaluation).

    Args:
        answers: N texts.
        references: of each, one or more.
    """
    counts = np.zeros((len(answers), 3 * CHARACTERS))
    for row, (answer, right) in enumerate(zip(answers, references, strict=True)):
        ours = [_runs("".join(answer.split()), length + 1) for length in range(CHARACTERS)]
        best = -1.0
        for reference in right:
            theirs = [_runs("".join(reference.split()), each + 1) for each in range(CHARACTERS)]
            pairs = list(zip(ours, theirs, strict=True))
            candidate = np.array(
                [(one & other).total() for one, other in pairs]
                + [one.total() for one in ours]
                + [other.total() for other in theirs],
                dtype=float,
            )
            score = float(chrf_of(candidate))
            if score > best:
                best, counts[row] = score, candidate
    return counts


def chrf_of(sums: Counts) -> Counts:
    """Return chrF2, 0 to 100, of sums of ``chrf_counts``, [..., 18]: F2 of the mean precision and
    the mean recall over the lengths of which there are runs on both sides, as sacreBLEU has it."""
    matches, ours, theirs = np.split(sums, 3, axis=-1)
    there = (ours > 0) & (theirs > 0)
    lengths = np.maximum(there.sum(-1), 1)
    precision = (there * matches / np.maximum(ours, 1)).sum(-1) / lengths
    recall = (there * matches / np.maximum(theirs, 1)).sum(-1) / lengths
    weighted = _BETA**2 * precision + recall
    score: Counts = 100 * (1 + _BETA**2) * precision * recall / np.maximum(weighted, 1e-16)
    return score

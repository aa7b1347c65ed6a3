"""Scores of pairs: BLEU, chrF, edits, baselines and intervals, beside values from elsewhere."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from torchmetrics.text import SacreBLEUScore

from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.drawn_parts import TEST, TRAIN, VALIDATION, split_by_source
from conveyor.tasks.pairs.bleu import bleu_counts, bleu_of, chrf_counts, chrf_of, words_of
from conveyor.tasks.pairs.edit_distance import edit_distance
from conveyor.tasks.pairs.nearest_source import NearestSource
from conveyor.tasks.pairs.word_dictionary import WordDictionary
from conveyor.tasks.pronounce.letter_sounds import LetterSounds
from conveyor.tasks.pronounce.pronunciation_judge import PronunciationJudge

CAT = "the cat is on the mat"


def bleu(answers: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    return float(bleu_of(bleu_counts(answers, references).sum(0)))


@pytest.mark.parametrize(
    ("answers", "references", "expected"),
    [  # by sacrebleu 2.6.0, tokenize 13a, smooth_method exp
        ([f"{CAT} ."], [[f"{CAT} ."]], 100.0),
        (["the cat sat on the mat ."], [[f"{CAT} ."]], 48.8923),
        (["the cat is on"], [[f"{CAT} ."]], 47.2367),  # 100·e^(1 − 7/4)
        (["the the the the the the the"], [[CAT]], 7.8098),
        ([""], [[CAT]], 0.0),
        # Counts of all sentences together: 100·e^(1 − 10/9).
        ([f"{CAT} .", "a dog"], [[f"{CAT} ."], ["a dog runs"]], 89.4839),
    ],
)
def test_bleu_is_that_of_sacrebleu(
    answers: list[str], references: list[list[str]], expected: float
) -> None:
    assert bleu(answers, references) == pytest.approx(expected, abs=5e-5)
    assert bleu(answers, references) <= 100


def test_bleu_of_several_references_is_that_of_torchmetrics() -> None:
    draw = random.Random(0)
    answers = [" ".join(draw.choices("abcd,.", k=draw.randint(5, 12))) for _ in range(30)]
    references = [
        [answer[2:] + " e" * extra for extra in range(draw.randint(1, 3))] for answer in answers
    ]
    theirs = float(SacreBLEUScore()(answers, references))
    assert bleu(answers, references) == pytest.approx(100 * theirs, rel=1e-5)
    assert 0.2 < theirs < 0.9


def test_words_are_those_of_mteval() -> None:
    """Beside torchmetrics' own: a text is right if all of its words and their order are."""
    draw = random.Random(0)
    alphabet = "aB1 2.,-'’/&()[]{}%$:;!?äế\"@#*+=<>_~^`|\\"
    for _ in range(300):
        text = "".join(draw.choices(alphabet, k=12)) + " so and so on"
        split = " ".join(words_of(text))
        assert float(SacreBLEUScore()([text], [[split]])) == pytest.approx(1), text
        assert SacreBLEUScore()([split], [[text]]) == pytest.approx(1), text
    assert words_of("3.5 &amp; 1-2, isn't?") == ["3.5", "&", "1", "-", "2", ",", "isn't", "?"]


def test_capitals_and_punctuation_count() -> None:
    assert bleu(["The cat is on the mat."], [["The cat is on the mat ."]]) == 100
    assert bleu(["the cat is on the mat ."], [["The cat is on the mat ."]]) < 90


def test_chrf_is_that_of_sacrebleu() -> None:
    counts = chrf_counts(["the cat sat on the mat ."], [[f"{CAT} ."]])
    assert float(chrf_of(counts[0])) == pytest.approx(67.1727, abs=5e-5)
    best = chrf_counts(["a dog"], [["quite another"], ["a dog"]][::-1][:1])
    assert float(chrf_of(best[0])) == pytest.approx(100)
    assert float(chrf_of(chrf_counts(["a dog"], [["x", "a dog"]])[0])) == pytest.approx(100)
    assert float(chrf_of(chrf_counts([""], [["x"]])[0])) == 0


def slow_distance(one: str, other: str) -> int:
    """The same by trying everything."""
    if not one or not other:
        return len(one) + len(other)
    return min(
        slow_distance(one[1:], other) + 1,
        slow_distance(one, other[1:]) + 1,
        slow_distance(one[1:], other[1:]) + (one[0] != other[0]),
    )


def test_edits_are_those_that_trying_everything_finds() -> None:
    texts = ["".join(letters) for n in range(4) for letters in itertools.product("ab", repeat=n)]
    for one, other in itertools.product(texts, repeat=2):
        assert edit_distance(one, other) == slow_distance(one, other)
    assert edit_distance(["a", "x", "c", "d", "e"], ["a", "b", "c", "d"]) == 2


def test_a_word_is_right_if_any_of_its_pronunciations_is_written() -> None:
    judge = PronunciationJudge()
    references = [["R IY D", "R EH D"], ["K AE T"], ["AH"]]
    assert judge.row(["R EH D", "K AE T", "AH"], references) == (0, 0)
    # One edit of 3 phonemes, two of 3, and three of 1, of 7 in all.
    wrong, edits = judge.row(["R EH D D", "T AE K", "B B B"], references)
    assert wrong == 1
    assert edits == pytest.approx((1 + 2 + 3) / 7)
    assert judge.quality("R EH D", references[0]) > judge.quality("R", references[0])


def test_an_interval_holds_the_score_and_narrows_with_more_sentences() -> None:
    judge = PronunciationJudge()
    widths = []
    for number in (50, 800):
        answers = ["A" if place % 4 else "B" for place in range(number)]
        low, high = judge.interval(answers, [["A"]] * number)
        assert low < 0.25 < high
        widths.append(high - low)
    # Of a share of 1/4: 2 · 1.96 · √(3/16 / N).
    assert widths[0] == pytest.approx(2 * 1.96 * (3 / 16 / 50) ** 0.5, rel=0.15)
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.2)
    assert interval_of((bootstrap_draws(3) @ np.ones((3, 1)))[:, 0]) == (3, 3)


def test_a_dictionary_is_that_of_model_one_by_hand() -> None:
    """EM written out as in Brown et al. 1993, on the example of Knight 1999 and an empty word."""
    pairs = [("the house", "das haus"), ("the book", "das buch"), ("a book", "ein buch")]
    split = [(["", *source.split()], target.split()) for source, target in pairs]
    chance: dict[tuple[str, str], float] = {
        (source, target): 1.0 for one, other in split for source in one for target in other
    }
    for _ in range(5):
        counts: Counter[tuple[str, str]] = Counter()
        totals: Counter[str] = Counter()
        for one, other in split:
            for target in other:
                whole = sum(chance[source, target] for source in one)
                for source in one:
                    share = chance[source, target] / whole
                    counts[source, target] += share  # type: ignore[assignment]
                    totals[source] += share  # type: ignore[assignment]
        chance = {pair: counts[pair] / totals[pair[0]] for pair in counts}
    dictionary = WordDictionary.of([one[1:] for one, _ in split], [other for _, other in split])
    for source in ("the", "house", "a", "book"):
        best = max((pair for pair in chance if pair[0] == source), key=lambda pair: chance[pair])
        assert dictionary[source] == best[1]
    assert dictionary.translate(["a", "house", "unseen"]) == ["ein", "haus", "unseen"]


def test_the_nearest_source_has_the_rarest_words_in_common() -> None:
    sources = [text.split() for text in ("a red dog", "a blue cat", "a blue dog", "a a a a")]
    nearest = NearestSource(sources)
    assert nearest.find(["the", "red", "one"]) == 0
    assert nearest.find(["blue", "cat"]) == 1
    assert nearest.find(["a"]) == 3
    assert nearest.find(["nothing", "known"]) == 0


def test_letters_are_aligned_with_the_sounds_that_they_stand_for() -> None:
    sounds = {"a": "AA", "b": "B", "x": "K S", "e": ""}  # x is two, e is silent
    draw = random.Random(0)
    words = ["".join(draw.choices("abxe", k=draw.randint(2, 6))) for _ in range(80)]
    said = [" ".join(sounds[letter] for letter in word).split() for word in words]
    learned = LetterSounds.of(words, said)
    assert learned.best == {"a": ("AA",), "b": ("B",), "x": ("K", "S"), "e": ()}
    assert learned.pronounce("exa?") == ["K", "S", "AA"]


def test_no_source_stands_in_two_parts() -> None:
    keys = [f"{number % 40}" for number in range(120)]
    parts = split_by_source(keys, [None] * 120, (0.8, 0.1, 0.1), 3)
    by_key: dict[str, set[int]] = {}
    for key, part in zip(keys, parts, strict=True):
        by_key.setdefault(key, set()).add(part)
    assert all(len(its) == 1 for its in by_key.values())
    assert Counter(parts) == {TRAIN: 96, VALIDATION: 12, TEST: 12}
    assert parts == split_by_source(keys, [None] * 120, (0.8, 0.1, 0.1), 3)
    assert parts != split_by_source(keys, [None] * 120, (0.8, 0.1, 0.1), 4)


def test_a_part_that_is_given_stays_and_is_not_drawn() -> None:
    given = [None] * 18 + [TEST, TEST]
    keys = [f"{number}" for number in range(20)]
    parts = split_by_source(keys, given, (0.8, 0.1, 0.1), 0)
    assert parts[18:] == [TEST, TEST]
    assert Counter(parts) == {TRAIN: 16, VALIDATION: 2, TEST: 2}

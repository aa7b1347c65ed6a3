"""Scores of tags against counting by hand, and baselines against enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch

from conveyor.networks.crf import Transitions
from conveyor.tasks.answer_counts import chance_of
from conveyor.tasks.bootstrap import bootstrap_draws, interval_of
from conveyor.tasks.known_keys import long_hash
from conveyor.tasks.span_scores import span_scores
from conveyor.tasks.tag import feature_crf
from conveyor.tasks.tag.feature_crf import FeatureCRF, features_of
from conveyor.tasks.tag.frequent_tag import FrequentTag
from conveyor.tasks.tag.tag_scores import (
    SentenceCounts,
    row_of,
)

GOLD = [["B-x", "I-x", "O"], ["O", "B-y", "O"], ["O", "O"]]
SAID = [["B-x", "I-x", "O"], ["I-y", "I-y", "O"], ["B-x", "O"]]


def test_a_row_of_scores_by_hand() -> None:
    known = [[True, True, False], [True, False, True], [True, True]]
    f1, accuracy, of_known, of_unknown, sentences = row_of(GOLD, SAID, known, iob2=True)
    # Two spans there, three said, one right.
    assert f1 == pytest.approx(2 / 5)
    assert accuracy == pytest.approx(5 / 8)
    assert of_known == pytest.approx(4 / 6)
    assert of_unknown == pytest.approx(1 / 2)
    assert sentences == pytest.approx(1 / 3)
    assert len(row_of(GOLD, SAID, known, iob2=False)) == 4


def test_counts_of_sentences_add_up_to_the_score() -> None:
    counts = SentenceCounts.of(GOLD, SAID, iob2=True)
    assert counts.score == pytest.approx(span_scores(GOLD, SAID).whole.f1)
    once = np.ones((1, 3), dtype=np.int64)
    assert counts.drawn(once)[0] == pytest.approx(counts.score)
    twice_the_first = np.array([[3, 0, 0]])
    assert counts.drawn(twice_the_first)[0] == 1.0
    words = SentenceCounts.of(GOLD, SAID, iob2=False)
    assert words.score == pytest.approx(5 / 8)


def test_sentences_are_drawn_and_not_words() -> None:
    """Words of a sentence are right or wrong together here, so the interval is that of 50 draws,
    not of 500."""
    gold = [["a"] * 10] * 50
    said = [["a" if number % 2 else "b"] * 10 for number in range(50)]
    draws = bootstrap_draws(50)
    assert (draws.sum(1) == 50).all()
    low, high = interval_of(SentenceCounts.of(gold, said, iob2=False).drawn(draws))
    half = 1.96 * math.sqrt(0.25 / 50)
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.03)


def test_a_difference_that_chance_makes_and_one_that_it_does_not() -> None:
    draw = np.random.default_rng(0)
    gold = [["a"] * 5 for _ in range(200)]

    def tagger(share: float) -> SentenceCounts:
        said = [[("a", "b")[draw.random() > share] for _ in range(5)] for _ in gold]
        return SentenceCounts.of(gold, said, iob2=False)

    draws = bootstrap_draws(200)
    first, second, far = (tagger(share).drawn(draws) for share in (0.8, 0.8, 0.6))
    assert chance_of(first, second) > 0.05
    assert chance_of(first, far) < 0.01
    assert chance_of(first, first) == 1.0


# The most frequent tag -------------------------------------------------------------------------


def test_the_most_frequent_tag_of_known_and_unknown_words() -> None:
    words = [["the", "the", "walking", "Peter", "running", "xe đạp", "xe máy", "bike"]]
    tags = [["D", "X", "V", "P", "V", "N", "N", "N"]]
    frequent = FrequentTag.of(words, tags)
    assert frequent.tag("the") == "D"  # as often as X, which comes later
    assert frequent.tag("talking") == "V"  # -king was seen once, -ing twice
    assert frequent.tag("tàu đạp") == "N"  # same last syllable
    assert frequent.tag("Zoë") == "P"  # a capital
    assert frequent.tag("9") == "N"  # most words seen once
    again = FrequentTag.described(frequent.description())
    assert again.tags(["the", "going"]) == frequent.tags(["the", "going"])


# The CRF on features ---------------------------------------------------------------------------

SENTENCES = [["a", "b"], ["b", "c", "a"], ["c"], ["a", "c", "b"]] * 6
TAGS = [torch.tensor([["abc".index(word) % 2 for word in words]][0]) for words in SENTENCES]


def test_features_of_a_word_are_as_many_for_all() -> None:
    rows = list(features_of(["Hồ Chí Minh", "đi", "2.000"]))
    assert len({len(row) for row in rows}) == 1
    assert "shape 9.9" in rows[2]
    assert "last syllable minh" in rows[0]
    assert "pair before | hồ chí minh" in rows[0]
    assert "around hồ chí minh 2.000" in rows[1]
    assert "syllables 3" in rows[0]


def test_the_answer_is_the_best_of_all_taggings() -> None:
    """Sums of weights and transitions by hand, over all 2^3 taggings."""
    field = FeatureCRF.fit(SENTENCES, TAGS, 2)
    field.requires_grad_(False)
    words = ["b", "z", "a"]
    weights = {key: field.weights.weight[place].tolist() for key, place in field.places.items()}
    crf = field.crf

    def score(tags: tuple[int, ...]) -> float:
        total = float(crf.start[tags[0]] + crf.end[tags[-1]])
        for names, tag in zip(features_of(words), tags, strict=True):
            keys = map(long_hash, names)
            total += sum(weights[key][tag] for key in keys if key in weights)
        return total + sum(float(crf.transitions[a, b]) for a, b in itertools.pairwise(tags))

    best = max(itertools.product(range(2), repeat=3), key=score)
    assert field.answer([words, ["a"]]) == [list(best), [0]]


def test_it_learns_and_is_the_same_again() -> None:
    first, second = (FeatureCRF.fit(SENTENCES, TAGS, 2) for _ in range(2))
    assert first.answer(SENTENCES) == [tags.tolist() for tags in TAGS]
    assert torch.equal(first.weights.weight, second.weights.weight)
    assert not first.weights.weight[0].any()  # features that are not known say nothing


def test_a_penalty_keeps_weights_small(monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    for penalty in (0.0, 1.0):
        monkeypatch.setattr(feature_crf, "_PENALTY", penalty)
        norms.append(float(FeatureCRF.fit(SENTENCES, TAGS, 2).weights.weight.detach().norm()))
    assert norms[1] < 0.9 * norms[0]


def test_answers_obey_the_scheme() -> None:
    tags = ("B-x", "I-x", "O")
    field = FeatureCRF.fit([["a"]], [torch.tensor([1])], 3, allowed=Transitions.iob2(tags))
    assert field.answer([["a"]]) == [[0]]

"""Spans of IOB2 tags, and their scores."""

from typing import Any

import pytest

from conveyor.data.iob2 import Span, may_begin, may_follow, spans
from conveyor.errors import DataError
from conveyor.tasks.span_scores import SpanScore, span_scores

GOLD = ["B-PER", "I-PER", "O", "B-LOC"]


@pytest.mark.parametrize(
    ("predicted", "repaired", "strict"),
    [
        ("I-PER I-PER O I-LOC", 1.0, 0.0),
        ("B-PER B-PER O B-LOC", 0.4, 0.4),
        ("B-PER I-LOC O B-LOC", 0.4, 0.5),
        ("B-PER I-PER O B-LOC", 1.0, 1.0),
        ("O O O O", 0.0, 0.0),
    ],
)
def test_f1_by_conllevals_rule_and_strictly(predicted: str, repaired: float, strict: float) -> None:
    assert span_scores([GOLD], [predicted.split()]).whole.f1 == pytest.approx(repaired)
    assert span_scores([GOLD], [predicted.split()], strict=True).whole.f1 == pytest.approx(strict)


def test_spans() -> None:
    tags = ["I-A", "I-A", "B-A", "I-B", "O", "I-B", "I-B", "B-C"]
    assert spans(tags) == [
        *(Span("A", 0, 2), Span("A", 2, 3), Span("B", 3, 4), Span("B", 5, 7), Span("C", 7, 8))
    ]
    assert spans(tags, strict=True) == [Span("A", 2, 3), Span("C", 7, 8)]
    assert spans(["B-A-1", "I-A-1"]) == [Span("A-1", 0, 2)]  # the type begins after one hyphen
    assert spans([]) == []


def test_what_continues_a_span_that_is_left_out_is_left_out() -> None:
    assert spans(["O", "I-A", "I-A", "B-A", "I-A"], strict=True) == [Span("A", 3, 5)]


def test_scores_by_type_and_together() -> None:
    gold = [GOLD, ["B-LOC", "O", "O"]]
    predicted = [["B-PER", "I-PER", "O", "B-ORG"], ["B-LOC", "O", "B-LOC"]]
    scores = span_scores(gold, predicted)
    assert scores.whole == SpanScore(gold=3, predicted=4, right=2)
    assert scores.whole.precision == 0.5
    assert scores.whole.recall == pytest.approx(2 / 3)
    assert scores.by_type == {
        "LOC": SpanScore(2, 2, 1),
        "ORG": SpanScore(0, 1, 0),
        "PER": SpanScore(1, 1, 1),
    }
    assert scores.by_type["ORG"].recall == 0  # and no division by 0
    assert SpanScore(0, 0, 0).f1 == SpanScore(0, 0, 0).precision == 0


def test_which_tags_may_follow() -> None:
    assert may_begin("O")
    assert may_begin("B-A")
    assert not may_begin("I-A")
    allowed = {"O": "O B-A B-B", "B-A": "O B-A B-B I-A", "I-A": "O B-A B-B I-A"}
    for before, after in allowed.items():
        tags = ["O", "B-A", "I-A", "B-B", "I-B"]
        assert {tag for tag in tags if may_follow(before, tag)} == {*after.split()}


@pytest.mark.parametrize("tag", ["", "PER", "B", "B-", "E-PER", "b-PER", "O-PER"])
def test_a_tag_of_no_such_scheme(tag: str) -> None:
    with pytest.raises(DataError, match="is no tag of the scheme IOB2; expected O, or B- or I-"):
        spans([tag])


@pytest.mark.parametrize(
    ("gold", "predicted", "text"),
    [
        ([GOLD], [], "tags of 1 sentence and predicted tags of 0"),
        ([GOLD, ["O"]], [GOLD, []], "sentence 1 has 1 tag and 0 predicted ones"),
    ],
)
def test_numbers_that_differ(gold: Any, predicted: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        span_scores(gold, predicted)

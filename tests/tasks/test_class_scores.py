"""Scores of classes by hand, and the regression that they are beside."""

import math
from fractions import Fraction

import pytest
import torch

from conveyor.tasks.classify.bag_of_words import BagOfWords
from conveyor.tasks.classify.class_scores import (
    ClassTable,
    accuracy_interval,
    calibration_error,
    mcnemar,
    row_of,
)
from conveyor.tasks.classify.logistic_regression import LogisticRegression, best_regression
from conveyor.tasks.confusion import confusion_of

# Three classes, of which the last is never predicted and one more has no example.
PREDICTED = torch.tensor([0, 0, 1, 1, 1, 0])
TARGETS = torch.tensor([0, 0, 0, 1, 1, 2])


def test_a_confusion_matrix_has_truths_in_rows() -> None:
    assert confusion_of(PREDICTED, TARGETS, 4).tolist() == [
        [2, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0],
    ]  # fmt: skip


def test_macro_f1_is_over_the_classes_of_the_truth() -> None:
    table = ClassTable.of(confusion_of(PREDICTED, TARGETS, 4))
    assert table.precision.tolist() == pytest.approx([2 / 3, 2 / 3, 0, 0])
    assert table.recall.tolist() == pytest.approx([2 / 3, 1, 0, 0])
    assert table.f1.tolist() == pytest.approx([2 / 3, 4 / 5, 0, 0])
    assert table.support.tolist() == [3, 2, 1, 0]
    assert table.macro_f1 == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


def test_scores_of_probabilities() -> None:
    chances = torch.tensor([[0.7, 0.3], [0.4, 0.6], [0.9, 0.1]], dtype=torch.float64)
    targets = torch.tensor([0, 1, 1])
    accuracy, _, surprise, _ = row_of(chances.log(), targets)
    assert accuracy == pytest.approx(2 / 3)
    assert surprise == pytest.approx(-(math.log(0.7) + math.log(0.6) + math.log(0.1)) / 3)


def test_calibration_is_measured_in_ranges_of_the_probability() -> None:
    """.9 said four times and right three times; .6 said twice and right both times."""
    said = torch.tensor([[0.9, 0.1]] * 4 + [[0.6, 0.4]] * 2)
    targets = torch.tensor([0, 0, 0, 1, 0, 0])
    expected = (4 * abs(0.9 - 3 / 4) + 2 * abs(0.6 - 1)) / 6
    assert calibration_error(said, targets) == pytest.approx(expected, abs=1e-6)
    assert calibration_error(torch.tensor([[1.0, 0.0]]), torch.tensor([0])) == 0


def test_an_interval_is_that_of_a_share() -> None:
    right = torch.arange(400) % 4 != 0
    low, high = accuracy_interval(right)
    spread = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - spread, 0.75 + spread), abs=0.006)
    assert accuracy_interval(torch.ones(9, dtype=torch.bool)) == (1, 1)


@pytest.mark.parametrize(("only_ours", "only_theirs"), [(0, 0), (1, 5), (5, 1), (7, 7), (2, 11)])
def test_mcnemar_counts_what_only_one_got_right(only_ours: int, only_theirs: int) -> None:
    """By the definition: coins, as uneven as these or more, at both ends."""
    count = only_ours + only_theirs
    apart = abs(only_ours - only_theirs)
    uneven = [math.comb(count, k) for k in range(count + 1) if abs(count - 2 * k) >= apart]
    expected = float(Fraction(sum(uneven), 2**count))
    ours = torch.tensor([True] * (only_ours + 3) + [False] * only_theirs)
    theirs = torch.tensor([False] * only_ours + [True] * (3 + only_theirs))
    assert mcnemar(ours, theirs) == pytest.approx(expected)


# The regression --------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
def test_the_regression_is_where_its_gradient_is_zero(sparse: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(40, 3, generator=draw, dtype=torch.float64)
    targets = torch.randint(3, (40,), generator=draw)
    given = features.to_sparse() if sparse else features
    fitted = LogisticRegression.fit(given, targets, 3, strength=2.0)
    weights = fitted.weights.clone().requires_grad_()
    biases = fitted.biases.clone().requires_grad_()
    logits = features @ weights + biases
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    (loss + weights.square().sum() / 4).backward()  # type: ignore[no-untyped-call]
    assert weights.grad is not None
    assert biases.grad is not None
    assert float(weights.grad.abs().max()) < 1e-3
    assert float(biases.grad.abs().max()) < 1e-3
    torch.testing.assert_close(fitted.log_probabilities(given), logits.detach().log_softmax(-1))


def test_a_stronger_penalty_makes_smaller_weights_and_validation_chooses() -> None:
    features = torch.eye(4, dtype=torch.float64).repeat(5, 1)
    targets = torch.tensor([0, 1, 0, 1]).repeat(5)
    sizes = [
        float(LogisticRegression.fit(features, targets, 2, strength).weights.norm())
        for strength in (0.1, 10.0)
    ]
    assert sizes[0] < sizes[1]
    best = best_regression((features, targets), (features, targets), 2, (0.1, 10.0))
    assert float(best.weights.norm()) == pytest.approx(sizes[1], rel=0.01)


def test_a_bag_weighs_rare_runs_more() -> None:
    texts = [["a", "b"], ["a", "c", "b"]]
    bag = BagOfWords.of(texts, 2)
    assert list(bag.names) == ["a", "b", "a b", "a c", "c", "c b"]
    rare = math.log(3 / 2) + 1  # in one of two texts; in both: 1
    assert bag.weights.tolist() == pytest.approx([1, 1, rare, rare, rare, rare])
    features = bag.features([["b", "a", "a", "b", "z"], ["z"]]).to_dense()
    norm = math.sqrt(2**2 + 2**2 + rare**2)  # a twice, b twice, "a b" once
    assert features[0].tolist() == pytest.approx([2 / norm, 2 / norm, rare / norm, 0, 0, 0])
    assert not features[1].any()

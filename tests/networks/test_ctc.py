"""CTC beside sums over all paths, path counts and finite differences."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from conveyor.errors import DataError, ShapeError
from conveyor.networks.ctc import best_path, collapse, ctc_alignment, ctc_loss, steps_needed


def _collapsed(path: tuple[int, ...]) -> tuple[int, ...]:
    """Written apart: merge runs, then drop blanks."""
    merged = [s for n, s in enumerate(path) if n == 0 or path[n - 1] != s]
    return tuple(s for s in merged if s)


def _by_trying(log_probabilities: Tensor) -> dict[tuple[int, ...], float]:
    """The probability of all labels, by all paths."""
    steps, symbols = log_probabilities.shape
    sums: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(symbols), repeat=steps):
        chance = math.exp(sum(float(log_probabilities[t, s]) for t, s in enumerate(path)))
        labels = _collapsed(path)
        sums[labels] = sums.get(labels, 0.0) + chance
    return sums


def _loss(logits: Tensor, labels: list[int]) -> Tensor:
    targets = torch.tensor(labels, dtype=torch.long).view(-1, 1)
    return ctc_loss(
        logits.unsqueeze(1), targets, torch.tensor([len(logits)]), torch.tensor([len(labels)])
    )[0]


def _logits(steps: int, symbols: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(steps, symbols, dtype=torch.float64, generator=draw)


@pytest.mark.parametrize(
    ("steps", "labels", "expected"),
    [
        (4, [1, 2], 1.686398953570229),
        (5, [1, 1], 2.785011242238339),
        (6, [1, 2, 1], 2.160856933165345),
        (3, [], 3.295836866004329),
    ],
)
def test_of_equal_chances_the_loss_counts_paths(
    steps: int, labels: list[int], expected: float
) -> None:
    loss = float(_loss(torch.zeros(steps, 3, dtype=torch.float64), labels))
    assert loss == pytest.approx(expected, abs=1e-12)
    repeats = sum(a == b for a, b in itertools.pairwise(labels))
    paths = math.comb(steps + len(labels) - repeats, 2 * len(labels))
    assert loss == pytest.approx(steps * math.log(3) - math.log(paths), abs=1e-12)


def test_the_loss_is_that_of_all_paths_together() -> None:
    logits = _logits(4, 3)
    every = _by_trying(logits.log_softmax(-1))
    assert sum(every.values()) == pytest.approx(1, abs=1e-12)
    for labels, chance in every.items():
        assert float(_loss(logits, list(labels))) == pytest.approx(-math.log(chance), abs=1e-9)


def test_the_gradient_is_that_of_finite_differences() -> None:
    logits = _logits(5, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: _loss(x, [1, 1, 2]), (logits,), atol=1e-7)
    (gradient,) = torch.autograd.grad(_loss(logits, [1, 1, 2]), logits)
    torch.testing.assert_close(gradient.sum(1), torch.zeros(5, dtype=torch.float64))


def test_backwards_in_time_the_loss_is_the_same() -> None:
    logits = _logits(6, 4)
    torch.testing.assert_close(_loss(logits, [1, 3, 3]), _loss(logits.flip(0), [3, 3, 1]))


def test_padding_counts_for_nothing() -> None:
    short, long = _logits(4, 3, 1), _logits(7, 3, 2)
    for filling in (0.0, 9.0, -3.0):
        logits = torch.full((7, 2, 3), filling, dtype=torch.float64)
        logits[:4, 0], logits[:, 1] = short, long
        targets = torch.tensor([[1, 2], [99, 2], [-5, 1]])
        losses = ctc_loss(logits, targets, torch.tensor([4, 7]), torch.tensor([1, 3]))
        torch.testing.assert_close(losses, torch.stack([_loss(short, [1]), _loss(long, [2, 2, 1])]))


def test_logits_need_not_be_normalised() -> None:
    logits = _logits(5, 3)
    torch.testing.assert_close(_loss(logits + 7, [1, 2]), _loss(logits, [1, 2]))
    assert float(_loss(logits + 7, [1, 2])) > 0


def test_no_step_holds_no_label() -> None:
    losses = ctc_loss(
        torch.zeros(3, 2, 2), torch.ones(1, 2).long(), torch.tensor([0, 3]), torch.tensor([0, 1])
    )
    assert losses[0] == 0
    assert losses[1] > 0


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ([1, 0, 2], "label 1 is the blank"),
        ([1, 3], "label 1 is 3; expected 1 to 2"),
        ([-1], "label 0 is -1"),
        ([1, 1, 1], "3 labels need 5 steps"),
        ([1, 2, 1, 2, 1], "5 labels need 5 steps"),
    ],
)
def test_what_torch_accepts_and_should_not_is_refused(labels: list[int], match: str) -> None:
    with pytest.raises(DataError, match=match):
        ctc_loss(
            torch.zeros(4, 1, 3),
            torch.tensor(labels).view(-1, 1),
            torch.tensor([4]),
            torch.tensor([len(labels)]),
            names=["a.wav"],
        )


def test_the_sequence_that_is_wrong_is_named() -> None:
    arguments = (torch.zeros(2, 2, 3), torch.tensor([[1, 1], [2, 1]]))
    lengths = torch.tensor([2, 2]), torch.tensor([2, 2])
    with pytest.raises(DataError, match=r"^b\.wav: 2 labels need 3 steps"):
        ctc_loss(*arguments, *lengths, names=["a.wav", "b.wav"])
    with pytest.raises(DataError, match=r"^sequence 1: "):
        ctc_loss(*arguments, *lengths)


def test_sizes_that_do_not_fit_are_refused() -> None:
    logits, targets = torch.zeros(4, 2, 3), torch.ones(2, 2).long()
    two = torch.tensor([2, 2])
    with pytest.raises(ShapeError, match="expected"):
        ctc_loss(logits, targets[:, :1], two, two)
    with pytest.raises(ShapeError, match=r"lengths are \[2, 5\]; expected 2 of 0 to 4"):
        ctc_loss(logits, targets, torch.tensor([2, 5]), two)
    with pytest.raises(ShapeError, match="target_lengths are"):
        ctc_loss(logits, targets, two, torch.tensor([2, 3]))


def test_fewest_steps() -> None:
    for labels in itertools.chain.from_iterable(
        itertools.product((1, 2), repeat=count) for count in range(5)
    ):
        least = next(
            steps
            for steps in range(10)
            if any(_collapsed(p) == labels for p in itertools.product(range(3), repeat=steps))
        )
        assert steps_needed(labels) == least


def test_collapsing() -> None:
    for path in itertools.product(range(3), repeat=5):
        assert tuple(collapse(path)) == _collapsed(path)
    assert best_path(torch.tensor([[0.0, 1.0], [2.0, 1.0], [1.0, 1.0]])) == [1, 0, 0]


@pytest.mark.parametrize("labels", [[], [1], [1, 1], [2, 1, 2], [1, 2, 2]])
def test_the_alignment_is_the_likeliest_of_all(labels: list[int]) -> None:
    for seed in range(5):
        scores = _logits(6, 3, seed).log_softmax(-1)
        paths = [p for p in itertools.product(range(3), repeat=6) if _collapsed(p) == tuple(labels)]
        best = max(paths, key=lambda p: sum(float(scores[t, s]) for t, s in enumerate(p)))
        assert ctc_alignment(scores, labels) == list(best)


def test_what_cannot_be_aligned_is_refused() -> None:
    with pytest.raises(DataError, match="2 labels need 3 steps; there are 2"):
        ctc_alignment(torch.zeros(2, 3), [1, 1])
    assert ctc_alignment(torch.zeros(0, 3), []) == []

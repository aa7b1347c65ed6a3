"""The CRF beside the enumeration of all tags, which is written from the equation of s(y)."""

from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import conveyor
from conveyor.errors import DataError, SettingError, ShapeError
from conveyor.networks import CRF, Transitions

# The field of two tags and its emissions of three steps whose numbers were computed by hand.
START, END, BETWEEN = [0.5, 0.0], [0.0, -0.4], [[0.2, -0.3], [0.7, 0.1]]
EMISSIONS = [[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]]
NAMES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
NO_RISE = Transitions((True, True), ((True, False), (True, True)), (True, True))


def filled(crf: CRF, start: Any, between: Any, end: Any) -> CRF:
    """Return the field in float64 with these scores."""
    crf.double()
    with torch.no_grad():
        crf.start.copy_(torch.as_tensor(start))
        crf.transitions.copy_(torch.as_tensor(between))
        crf.end.copy_(torch.as_tensor(end))
    return crf


def by_hand(allowed: Transitions | None = None) -> CRF:
    return filled(CRF(2, allowed), START, BETWEEN, END)


def drawn(tags: int, steps: int, batch: int, seed: int = 0) -> tuple[CRF, Tensor]:
    """Return a random field, and emissions [T, B, K]."""
    source = torch.Generator().manual_seed(seed)
    numbers = [
        torch.randn(*shape, generator=source, dtype=torch.float64)
        for shape in ((tags,), (tags, tags), (tags,), (steps, batch, tags))
    ]
    return filled(CRF(tags), *numbers[:3]), 2 * numbers[3]


def enumerated(crf: CRF, emissions: Tensor) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield all tags of one sequence, emissions [L, K], with their scores."""
    start, between, end = crf.start.tolist(), crf.transitions.tolist(), crf.end.tolist()
    rows = emissions.tolist()
    for tags in product(range(crf.tags), repeat=len(rows)):
        score = start[tags[0]] + end[tags[-1]]
        score += sum(row[tag] for row, tag in zip(rows, tags, strict=True))
        score += sum(between[i][j] for i, j in pairwise(tags))
        yield tags, score


# The numbers of tasks-text.md -----------------------------------------------------------------


@torch.no_grad()
def test_the_field_of_two_tags_in_a_padded_batch() -> None:
    crf, lengths = by_hand(), [3, 2, 1]
    emissions = torch.tensor(EMISSIONS, dtype=torch.float64)[:, None].repeat(1, 3, 1)
    log_z = crf.log_partition(emissions, lengths=lengths)
    expected = torch.tensor([5.2150924, 2.744131, 1.639387], dtype=torch.float64)
    torch.testing.assert_close(log_z, expected, rtol=0, atol=1e-6)
    marginals = crf.marginals(emissions, lengths=lengths)[:, 0, 0]
    expected = torch.tensor([0.744800, 0.284383, 0.492896], dtype=torch.float64)
    torch.testing.assert_close(marginals, expected, rtol=0, atol=1e-6)
    # In tenths, which are exact: 010 and 011 are a tie.
    tenths = filled(CRF(2), *(10 * torch.tensor(each) for each in (START, BETWEEN, END)))
    tags, scores = tenths(10 * emissions, lengths=lengths)
    assert tags.t().tolist() == [[0, 1, 0], [0, 1, -1], [0, -1, -1]]
    assert scores.tolist() == [39, 18, 15]
    assert crf(emissions, lengths=lengths)[1].tolist() == pytest.approx([3.9, 1.8, 1.5])
    paths = {"010": 3.9, "011": 3.9, "001": 3.0, "000": 2.9}
    paths |= {"111": 2.8, "110": 2.8, "101": 2.0, "100": 1.9}
    for path, score in paths.items():
        gold = torch.tensor([[int(tag)] for tag in path])
        likelihood = crf.log_likelihood(emissions[:, :1], gold)
        assert float(likelihood) == pytest.approx(score - float(log_z[0]))


@torch.no_grad()
def test_a_transition_that_is_forbidden() -> None:
    crf = by_hand(NO_RISE)
    emissions = torch.tensor(EMISSIONS, dtype=torch.float64)[:, None]
    assert float(crf.log_partition(emissions)) == pytest.approx(4.0561118, abs=1e-6)
    tags, score = crf(emissions)
    assert tags[:, 0].tolist() == [0, 0, 0]
    assert float(score) == pytest.approx(2.9)


# Beside enumeration ---------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize(("tags", "steps"), [(1, 4), (2, 5), (3, 4), (4, 5)])
def test_it_is_what_enumeration_finds(tags: int, steps: int) -> None:
    lengths = [steps, 1, max(steps - 2, 1), steps]
    crf, emissions = drawn(tags, steps, len(lengths))
    log_z = crf.log_partition(emissions, lengths=lengths)
    marginals = crf.marginals(emissions, lengths=lengths)
    best, scores = crf(emissions, lengths=lengths)
    for row, length in enumerate(lengths):
        every = dict(enumerated(crf, emissions[:length, row]))
        values = torch.tensor(list(every.values()), dtype=torch.float64)
        torch.testing.assert_close(log_z[row], values.logsumexp(0))
        chances = (values - log_z[row]).exp()
        expected = torch.zeros(length, tags, dtype=torch.float64)
        for path, chance in zip(every, chances, strict=True):
            for step, tag in enumerate(path):
                expected[step, tag] += chance
        torch.testing.assert_close(marginals[:length, row], expected)
        assert not marginals[length:, row].any()
        assert tuple(best[:length, row].tolist()) == max(every, key=lambda path: every[path])
        assert (best[length:, row] == -1).all()
        torch.testing.assert_close(scores[row], values.max())
        alone = emissions[:length, [row]].expand(-1, len(every), -1)
        total = crf.log_likelihood(alone, torch.tensor(list(every)).t()).exp().sum()
        assert float(total) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(20))
def test_of_equal_scores_the_lowest_numbers_from_the_end_are_chosen(seed: int) -> None:
    """Scores are small whole numbers, so that many are equal, exactly."""
    crf, emissions = drawn(3, 5, 4, seed)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.round_().clamp_(-1, 1)
    emissions = emissions.round().clamp(-1, 1)
    lengths = [5, 4, 2, 1]
    best, _ = crf(emissions, lengths=lengths)
    for row, length in enumerate(lengths):
        every = dict(enumerated(crf, emissions[:length, row]))
        expected = min(every, key=lambda path: (-every[path], path[::-1]))
        assert tuple(best[:length, row].tolist()) == expected


# Gradients ------------------------------------------------------------------------------------


def test_gradients_are_those_of_the_enumerated_sum() -> None:
    crf, emissions = drawn(3, 4, 1)
    emissions.requires_grad_()
    sources = [emissions, *crf.parameters()]
    own = torch.autograd.grad(crf.log_partition(emissions).sum(), sources)
    scores = torch.stack(
        [
            crf.start[tags[0]]
            + crf.end[tags[-1]]
            + sum((emissions[step, 0, tag] for step, tag in enumerate(tags)), torch.tensor(0.0))
            + sum(
                (crf.transitions[i, j] for i, j in pairwise(tags)),
                torch.tensor(0.0),
            )
            for tags in product(range(3), repeat=4)
        ]
    )
    expected = torch.autograd.grad(scores.logsumexp(0), sources)
    for gradient, value in zip(own, expected, strict=True):
        torch.testing.assert_close(gradient, value)
    torch.testing.assert_close(own[0], crf.marginals(emissions).detach())


@pytest.mark.parametrize("constrained", [False, True])
def test_gradients_of_the_loss_and_their_gradients(constrained: bool) -> None:
    allowed = Transitions.iob2(NAMES)
    crf, emissions = drawn(5, 3, 3)
    if constrained:
        numbers = [parameter.detach() for parameter in crf.parameters()]
        crf = filled(CRF(5, allowed, constrain_loss=True), *numbers)
    gold = torch.tensor([[1, 0, 3], [2, 1, 4], [0, 2, 1]])
    lengths = torch.tensor([3, 2, 0])

    def loss(emissions: Tensor, *parameters: Tensor) -> Tensor:
        given = dict(zip(dict(crf.named_parameters()), parameters, strict=True))
        call = {"lengths": lengths}
        likelihood: Tensor = torch.func.functional_call(
            _Likelihood(crf),
            {f"crf.{name}": each for name, each in given.items()},
            (emissions, gold),
            call,
        )
        return likelihood

    inputs = (emissions.requires_grad_(), *(p.detach().requires_grad_() for p in crf.parameters()))
    assert gradcheck(loss, inputs)
    assert gradgradcheck(loss, inputs)


class _Likelihood(torch.nn.Module):
    def __init__(self, crf: CRF) -> None:
        super().__init__()
        self.crf = crf

    def forward(self, emissions: Tensor, gold: Tensor, lengths: Tensor) -> Tensor:
        """Return the log-likelihood of each sequence."""
        return self.crf.log_likelihood(emissions, gold, lengths=lengths)


# Laws -----------------------------------------------------------------------------------------


def test_padding_changes_no_bit_and_may_hold_anything() -> None:
    crf, emissions = drawn(4, 5, 3)
    crf.float()
    emissions, lengths = emissions.float(), torch.tensor([5, 0, 3])
    gold = torch.randint(0, 4, (5, 3), generator=torch.Generator().manual_seed(1))
    results = []
    for more in (0, 1, 50):
        longer = torch.full((5 + more, 3, 4), torch.nan)
        tags = torch.full((5 + more, 3), -100)
        for row, length in enumerate(lengths.tolist()):
            longer[:length, row] = emissions[:length, row]
            tags[:length, row] = gold[:length, row]
        longer.requires_grad_()
        loss = crf.loss(longer, tags, lengths=lengths)
        gradients = torch.autograd.grad(loss, [longer, *crf.parameters()])
        assert not gradients[0][5:].any()
        best, scores = crf(longer, lengths=lengths)
        marginals = crf.marginals(longer, lengths=lengths)
        results.append([loss, gradients[0][:5], *gradients[1:], best[:5], scores, marginals[:5]])
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_without_transitions_steps_are_independent() -> None:
    crf, emissions = CRF(4).double(), drawn(4, 5, 3)[1]
    gold = torch.randint(0, 4, (5, 3), generator=torch.Generator().manual_seed(1))
    expected = torch.nn.functional.cross_entropy(emissions.flatten(0, 1), gold.flatten())
    torch.testing.assert_close(crf.loss(emissions, gold), expected)
    torch.testing.assert_close(crf.marginals(emissions), emissions.softmax(-1))
    assert torch.equal(crf(emissions)[0], emissions.argmax(-1))


def test_a_number_added_to_all_tags_of_a_step_changes_log_z_by_it_and_nothing_else() -> None:
    crf, emissions = drawn(4, 5, 3)
    gold = torch.randint(0, 4, (5, 3), generator=torch.Generator().manual_seed(1))
    higher = emissions.clone()
    higher[2] += 7.5
    torch.testing.assert_close(crf.log_partition(higher), crf.log_partition(emissions) + 7.5)
    likelihoods = [crf.log_likelihood(each, gold) for each in (emissions, higher)]
    torch.testing.assert_close(*likelihoods)
    torch.testing.assert_close(crf.marginals(higher), crf.marginals(emissions))
    assert torch.equal(crf(higher)[0], crf(emissions)[0])
    assert (likelihoods[0] <= 0).all()


def test_the_loss_does_not_depend_on_how_often_a_sequence_is_there() -> None:
    crf, emissions = drawn(4, 5, 2)
    gold = torch.randint(0, 4, (5, 2), generator=torch.Generator().manual_seed(1))
    once = crf.loss(emissions, gold, lengths=[5, 2])
    twice = crf.loss(emissions.repeat(1, 2, 1), gold.repeat(1, 2), lengths=[5, 2, 5, 2])
    torch.testing.assert_close(once, twice)
    expected = -crf.log_likelihood(emissions, gold, lengths=[5, 2]).sum() / 7
    torch.testing.assert_close(once, expected)


# Rules of IOB2 --------------------------------------------------------------------------------


def test_the_transitions_of_iob2() -> None:
    allowed = Transitions.iob2(NAMES)
    assert allowed.start == (True, True, False, True, False)
    assert allowed.end == (True,) * 5
    forbidden = {
        (before, after)
        for i, before in enumerate(NAMES)
        for j, after in enumerate(NAMES)
        if not allowed.between[i][j]
    }
    assert forbidden == {
        *(("O", "I-PER"), ("O", "I-LOC"), ("B-LOC", "I-PER"), ("I-LOC", "I-PER")),
        *(("B-PER", "I-LOC"), ("I-PER", "I-LOC")),
    }


def violations(allowed: Transitions, tags: Tensor) -> int:
    """Return how often tags [T, B] stand where they are not allowed."""
    rows = tags.t().tolist()
    begun = sum(not allowed.start[row[0]] for row in rows)
    return begun + sum(not allowed.between[i][j] for row in rows for i, j in pairwise(row))


def test_what_is_predicted_obeys_the_rules_and_the_loss_need_not() -> None:
    allowed = Transitions.iob2(NAMES)
    free, emissions = drawn(5, 8, 30)
    numbers = [parameter.detach() for parameter in free.parameters()]
    crf = filled(CRF(5, allowed), *numbers)
    strict = filled(CRF(5, allowed, constrain_loss=True), *numbers)
    assert violations(allowed, free(emissions)[0]) > 0
    assert violations(allowed, crf(emissions)[0]) == 0
    gold = torch.zeros(8, 30, dtype=torch.long)
    torch.testing.assert_close(crf.loss(emissions, gold), free.loss(emissions, gold))
    assert strict.loss(emissions, gold) < free.loss(emissions, gold)
    gold[3, 7] = 2
    assert crf.loss(emissions, gold).isfinite()
    with pytest.raises(DataError, match=r"sequence 7 has tag 2 after 0, step 3, where it is not"):
        strict.loss(emissions, gold)
    gold[3, 7], gold[0, 1] = 0, 4
    with pytest.raises(DataError, match=r"sequence 1 has tag 4 at the beginning, step 0"):
        strict.loss(emissions, gold)
    ending = filled(
        CRF(2, Transitions((True,) * 2, ((True,) * 2,) * 2, (True, False)), constrain_loss=True),
        START,
        BETWEEN,
        END,
    )
    with pytest.raises(DataError, match=r"sequence 0 has tag 1 at the end, step 0"):
        ending.loss(torch.zeros(2, 1, 2).double(), torch.tensor([[1], [0]]), lengths=[1])


# Errors and files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("emissions", "tags", "lengths", "kind", "text"),
    [
        ((5, 2, 3), (5, 2), None, ShapeError, r"emissions is \[5, 2, 3\]; expected \[T, B, 2\]"),
        ((5, 2), (5, 2), None, ShapeError, r"emissions is \[5, 2\]; expected"),
        (
            (5, 2, 2),
            (2, 5),
            None,
            ShapeError,
            r"tags is \[2, 5\] of torch.int64; expected \[5, 2\]",
        ),
        ((5, 2, 2), (5, 2), [5, 6], ShapeError, "lengths go from 5 to 6"),
        ((5, 2, 2), (5, 2), [0, 0], ShapeError, "no sequence of the batch has a step"),
    ],
)
def test_tensors_that_do_not_fit(
    emissions: Any, tags: Any, lengths: Any, kind: Any, text: str
) -> None:
    with pytest.raises(kind, match=text):
        CRF(2).loss(torch.zeros(emissions), torch.zeros(tags, dtype=torch.long), lengths=lengths)


def test_other_mistakes() -> None:
    crf, emissions = CRF(2), torch.zeros(3, 2, 2)
    with pytest.raises(DataError, match=r"the tag of sequence 1 at step 2 is 5; expected 0 to 1"):
        crf.loss(emissions, torch.tensor([[0, 0], [0, 0], [0, 5]]))
    with pytest.raises(ShapeError, match=r"of torch.float32; expected \[3, 2\] whole numbers"):
        crf.loss(emissions, torch.zeros(3, 2))
    with pytest.raises(ShapeError, match=r"emissions is of torch.int64"):
        crf(emissions.long())
    with pytest.raises(SettingError, match="tags is 0"):
        CRF(0)
    with pytest.raises(SettingError, match="allowed is of 2 tags; tags is 3"):
        CRF(3, NO_RISE)
    with pytest.raises(SettingError, match="constrain_loss is True and allowed is None"):
        CRF(3, constrain_loss=True)
    with pytest.raises(DataError, match="'PER' is no tag of the scheme IOB2"):
        Transitions.iob2(["O", "PER"])


def test_sequences_of_no_steps() -> None:
    crf = by_hand()
    tags, scores = crf(torch.zeros(0, 2, 2).double())
    assert tags.shape == (0, 2)
    assert scores.tolist() == [0, 0]
    emissions = torch.ones(2, 2, 2).double().requires_grad_()
    log_z = crf.log_partition(emissions, lengths=[0, 1])
    assert log_z[0].item() == 0
    assert not torch.autograd.grad(log_z.sum(), emissions)[0][:, 0].any()
    assert crf(emissions, lengths=[0, 1])[1][0].item() == 0


def test_rules_are_saved(tmp_path: Path) -> None:
    crf = filled(CRF(2, NO_RISE, constrain_loss=True), START, BETWEEN, END)
    conveyor.save(crf, tmp_path)
    loaded: Any = conveyor.load(tmp_path)
    emissions = torch.tensor(EMISSIONS, dtype=torch.float64)[:, None]
    assert torch.equal(loaded.log_partition(emissions), crf.log_partition(emissions))
    assert loaded.constrain_loss

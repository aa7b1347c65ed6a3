"""The classic tasks by name: what they give, what counts as right, and what not looking costs."""

import pytest
import torch
from torch import Tensor

from conveyor.data import synthetic
from conveyor.data.drawn_text import TEXTS, draw_text
from conveyor.data.synthetic import (
    ADDING_BASELINE,
    MULTIPLICATION_BASELINE,
    Batch,
    copying_baseline,
)
from conveyor.data.synthetic.timing import PERIODIC
from conveyor.errors import SettingError
from conveyor.tasks.classic.classics import CLASSICS, without_looking


def drawn(name: str, count: int, seed: int = 0, steps: int | None = None) -> Batch:
    """Sequences of a task, of the usual length."""
    task = CLASSICS[name]
    return task.draw(task.checked_steps(steps), count, torch.Generator().manual_seed(seed))


def perfect(batch: Batch, name: str) -> Tensor:
    """What a network would answer that knows."""
    task = CLASSICS[name]
    if task.wanted == "numbers":
        return batch.targets
    if task.wanted == "class":
        return 50 * torch.nn.functional.one_hot(batch.targets, task.outputs).float()
    return 100 * batch.targets - 50


@pytest.mark.parametrize("name", CLASSICS)
def test_a_task_gives_what_it_says(name: str) -> None:
    task, batch = CLASSICS[name], drawn(name, 20)
    assert batch.inputs.shape[1:] == (1 if task.single else 20, task.inputs)
    right = perfect(batch, name)
    assert right.shape[-1] == task.outputs
    assert task.costs_of(right, batch).mean == pytest.approx(0, abs=1e-6)
    assert task.costs_of(right[..., torch.arange(task.outputs) - 1] + 3, batch).mean > 0.1
    again = drawn(name, 20)
    assert all(torch.equal(one, other) for one, other in zip(batch, again, strict=True))


@pytest.mark.parametrize(
    ("name", "cost"),
    [
        ("adding", ADDING_BASELINE),
        ("multiplication", MULTIPLICATION_BASELINE),
        ("copying", copying_baseline(100)),
        ("adding_tcn", ADDING_BASELINE),
        # Half the sum of two numbers uniform in 0 to 1 is 0.2 or more from its mean: 2 (0.3²) 2.
        ("adding_pascanu", 0.36),
        # Of the sum of two uniform in ±1, over 4, more than 0.04 from it: (1 - 0.08)², but for
        # those whose first is at step 0 and counts 0: a tenth of firsts, one in 49 of seconds.
        ("adding_hochreiter", 0.846),
        ("copying_tcn", copying_baseline(100)),
        # Their variances, at ten steps a period.
        ("cosine", 1 / 8),
        ("triangle", 0.09),
        ("rectangle", 1 / 4),
        ("sines", 2),
        ("temporal_order", 0.75),
        ("two_sequence", 0.25),
        ("reber", 1.0),
    ],
)
def test_not_looking_costs_what_is_known_of_it(name: str, cost: float) -> None:
    known, asked = drawn(name, 3000), drawn(name, 3000, seed=1)
    blind = without_looking(known, asked, CLASSICS[name])
    assert CLASSICS[name].costs_of(blind, asked).mean == pytest.approx(cost, rel=0.05)


def test_not_looking_is_worked_out_of_what_counts() -> None:
    """Each case counts once more than seen, and padding does not."""
    known = Batch(torch.zeros(2, 3, 7), torch.zeros(2, 3, 7), torch.tensor([2, 1, 1]))
    known.targets[0, :2, 4] = 1.0
    known.targets[1, 0, 5] = 1.0
    known.targets[1, 1:, 6] = 1.0  # padding
    chance = without_looking(known, known, CLASSICS["reber"]).sigmoid()
    assert chance[0, 0, 4].item() == pytest.approx(3 / 5)
    assert chance[1, 0, 5].item() == pytest.approx(2 / 3)
    assert chance[1, 0, 6].item() == pytest.approx(1 / 3)
    classes = Batch(torch.zeros(2, 3, 8), torch.tensor([0, 0, 2]), torch.tensor([2, 2, 2]))
    shares = without_looking(classes, classes, CLASSICS["temporal_order"]).exp()
    torch.testing.assert_close(shares[0], torch.tensor([3, 1, 2, 1]) / 7)


def test_the_forms_are_those_of_the_generators() -> None:
    for name in ("tcn", "hochreiter", "pascanu"):
        draw = torch.Generator().manual_seed(0)
        batch = synthetic.adding(100, 5, draw, form=name)
        assert torch.equal(drawn(f"adding_{name}", 5).inputs, batch.inputs)
    tcn = synthetic.copying(100, 5, torch.Generator().manual_seed(0), form="tcn")
    assert torch.equal(drawn("copying_tcn", 5).inputs, tcn.inputs)
    for name in PERIODIC:
        assert torch.equal(drawn(name, 1).targets, synthetic.periodic(100, 10, form=name).targets)
    assert torch.equal(drawn("sines", 1, steps=50).targets, synthetic.sines(50).targets)


@pytest.mark.parametrize(("name", "most"), [("adding_hochreiter", 0.04), ("adding_pascanu", 0.2)])
def test_right_is_as_near_as_the_paper_says(name: str, most: float) -> None:
    batch = drawn(name, 4)
    away = torch.tensor([[0.0], [0.98], [1.02], [-1.02]]) * most
    assert CLASSICS[name].costs_of(batch.targets + away, batch).mean == 0.5


def test_even_chances_are_the_border_of_counting() -> None:
    batch = drawn("counting", 5)
    slightly = 0.2 * batch.targets - 0.1
    assert CLASSICS["counting"].costs_of(slightly, batch).mean == 0
    assert int(drawn("counting", 200, steps=3).lengths.max()) == 1 + 2 * 3


def test_steps_beyond_all_that_is_known_are_answered_as_the_last() -> None:
    known, asked = drawn("counting", 5, steps=2), drawn("counting", 40, seed=1, steps=6)
    blind = without_looking(known, asked, CLASSICS["counting"])
    assert blind.shape == asked.targets.shape
    assert torch.equal(blind[len(known.inputs) - 1], blind[-1])


def test_lengths_are_asked_for_where_there_is_a_choice() -> None:
    assert CLASSICS["adding"].checked_steps(None) == 100
    assert CLASSICS["adding"].checked_steps(7) == 7
    with pytest.raises(SettingError, match="have lengths of their own"):
        CLASSICS["reber"].checked_steps(7)
    with pytest.raises(SettingError, match="the largest n"):
        drawn("counting", 3, steps=0)


@pytest.mark.parametrize("name", TEXTS)
def test_texts_have_a_line_for_each(name: str) -> None:
    text = draw_text(name, 5000, torch.Generator().manual_seed(0))
    assert 5000 <= len(text) < 7000
    assert text.endswith("\n")
    lines = text.splitlines()
    if name == "arithmetic":
        assert all(line.count("=") == 1 and line.endswith(".") for line in lines)
    else:
        assert all(line.startswith("<") and line.endswith(">") for line in lines)
    assert text == draw_text(name, 5000, torch.Generator().manual_seed(0))

"""The adding and the multiplication problem: two marked numbers among many, to be remembered."""

from typing import Literal

import torch

from conveyor.data.synthetic.batch import (
    Batch,
    check_sizes,
    draw_between,
    equal_lengths,
    steps_that_count,
)
from conveyor.errors import SettingError, did_you_mean

Form = Literal["arjovsky", "tcn", "hochreiter", "pascanu"]
FORMS: tuple[Form, ...] = ("arjovsky", "tcn", "hochreiter", "pascanu")

# Mean squared errors of the best constant answer, which is the mean of the target. They are the
# variances of the sum, 1/6, and of the product, 1/9 - 1/16, of two numbers uniform in 0 to 1.
ADDING_BASELINE = 1 / 6
MULTIPLICATION_BASELINE = 1 / 9 - 1 / 16


def adding(steps: int, batch: int, draw: torch.Generator, *, form: str = "arjovsky") -> Batch:
    """Draw sequences of numbers and markers, [T, B, 2]. The target, at the end, is the sum of the
    two marked numbers, [B, 1].

    ``"arjovsky"``    numbers uniform in 0 to 1, one marker in each half, target X1 + X2 (Arjovsky,
                      Shah & Bengio 2016). Always answering 1 gives an error of 1/6.
    ``"tcn"``         the same with both markers anywhere (Bai, Kolter & Koltun 2018).
    ``"hochreiter"``  T to 1.1 T steps; numbers uniform in ±1; the marker is -1 at the first and
                      the last step; the first pair is among the first 10 steps, the second among
                      the first T/2 - 1; target 0.5 + (X1 + X2) / 4; a marked first step counts 0
                      (Hochreiter & Schmidhuber 1997, experiment 4). An error below 0.04 is right.
    ``"pascanu"``     T to 1.1 T steps; numbers uniform in 0 to 1; the markers are in the first
                      tenth and between there and the half, target (X1 + X2) / 2 (Pascanu, Mikolov &
                      Bengio 2013). A squared error below 0.04 is right.

    Args:
        steps: T, 2 or more; 24 or more in the forms that draw lengths.
        batch: B, the number of sequences.
        draw: the random generator.
        form: one of the four above.

    Raises:
        SettingError: ``form`` is unknown, or ``steps`` or ``batch`` is too small.
    """
    if form not in FORMS:
        raise SettingError(f"there is no form {form!r}. {did_you_mean(form, FORMS)}")
    draws_lengths = form in ("hochreiter", "pascanu")
    # In Hochreiter's form the first number is drawn from the first 10 steps and the second from the
    # first T/2 - 1. With T = 24 the latter are 11 steps, so that they include the former.
    check_sizes(steps, 24 if draws_lengths else 2, batch)
    if draws_lengths:
        lengths = draw_between(steps, steps + steps // 10 + 1, batch, draw)
    else:
        lengths = equal_lengths(steps, batch)
    longest = int(lengths.max()) if batch else steps
    numbers = torch.rand(longest, batch, generator=draw)
    if form == "hochreiter":
        numbers = 2 * numbers - 1
    first, second = _marked_steps(form, steps, lengths, batch, draw)
    sequence = torch.arange(batch)
    markers = torch.zeros(longest, batch)
    if form == "hochreiter":
        markers[0] = -1.0
        markers[lengths - 1, sequence] = -1.0
    markers[first, sequence] = markers[second, sequence] = 1.0
    one, two = numbers[first, sequence], numbers[second, sequence]
    if form == "hochreiter":
        one, two = (
            torch.where(step == 0, torch.zeros(()), number)
            for step, number in ((first, one), (second, two))
        )
        targets = 0.5 + (one + two) / 4
    else:
        targets = (one + two) / (2 if form == "pascanu" else 1)
    inputs = torch.stack([numbers, markers], -1)
    return Batch(_zero_padding(inputs, lengths), targets[:, None], lengths)


def multiplication(steps: int, batch: int, draw: torch.Generator) -> Batch:
    """Draw sequences as ``adding`` does in Arjovsky's form, with the product as target. Always
    answering 1/4 gives an error of 0.0486 (Hochreiter & Schmidhuber 1997, experiment 5).

    Raises:
        SettingError: ``steps`` is below 2.
    """
    sums = adding(steps, batch, draw)
    numbers, markers = sums.inputs.unbind(-1)
    product = torch.where(markers == 1, numbers, torch.ones(())).prod(0)
    return Batch(sums.inputs, product[:, None], sums.lengths)


def _marked_steps(
    form: str, steps: int, lengths: torch.Tensor, batch: int, draw: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the steps of the two marked numbers, each [B]."""
    match form:
        case "arjovsky":
            half = steps // 2
            return draw_between(0, half, batch, draw), draw_between(half, steps, batch, draw)
        case "tcn":
            first = draw_between(0, steps, batch, draw)
            second = draw_between(0, steps - 1, batch, draw)
        case "pascanu":
            tenth = (lengths * 0.1).long()
            first = draw_between(0, tenth, batch, draw)
            return first, draw_between(tenth, lengths // 2, batch, draw)
        case _:
            first = draw_between(0, 10, batch, draw)
            second = draw_between(0, steps // 2 - 2, batch, draw)
    # The second is drawn from one step fewer and moved past the first, so that they differ.
    return first, second + (second >= first).long()


def _zero_padding(inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Set what follows the end of each sequence to zero."""
    return inputs * steps_that_count(len(inputs), lengths)[..., None]

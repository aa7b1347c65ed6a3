"""The adding and the multiplication problem: two marked numbers among many, to be remembered."""

from typing import Literal

import torch

from conveyor.data.synthetic.batch import Batch, between, check_sizes, steps_that_count, whole
from conveyor.errors import SettingError, did_you_mean

Form = Literal["arjovsky", "tcn", "hochreiter", "pascanu"]
FORMS: tuple[Form, ...] = ("arjovsky", "tcn", "hochreiter", "pascanu")

# Mean squared errors of the best answer that does not look, the mean of the target, where numbers
# are uniform in 0 to 1: the variance of their sum is 1/6, of their product 1/9 - 1/16.
ADDING_BASELINE = 1 / 6
MULTIPLICATION_BASELINE = 1 / 9 - 1 / 16


def adding(steps: int, batch: int, draw: torch.Generator, *, form: str = "arjovsky") -> Batch:
    """Sequences of a number and a marker; at the end their sum is wanted, [B, 1].

    ``"arjovsky"``    numbers uniform in 0 to 1, one marker in each half, target X1 + X2 (Arjovsky,
                      Shah & Bengio 2016). Always answering 1 gives an error of 1/6.
    ``"tcn"``         as that, both markers anywhere (Bai, Kolter & Koltun 2018).
    ``"hochreiter"``  T to 1.1 T steps; numbers uniform in ±1; the marker is -1 at the first and
                      the last step; the first pair is among the first 10 steps, the second among
                      the first T/2 - 1; target 0.5 + (X1 + X2) / 4; a marked first step counts 0
                      (Hochreiter & Schmidhuber 1997, experiment 4). Right is within 0.04.
    ``"pascanu"``     T to 1.1 T steps; numbers uniform in 0 to 1; the markers are in the first
                      tenth and between there and the half, target (X1 + X2) / 2 (Pascanu, Mikolov &
                      Bengio 2013). Right is a squared error below 0.04.

    Raises:
        SettingError: ``form`` is unknown, or there are fewer than 24 steps where they are drawn, or
            2 else, or fewer than 0 sequences.
    """
    if form not in FORMS:
        raise SettingError(f"there is no form {form!r}. {did_you_mean(form, FORMS)}")
    drawn = form in ("hochreiter", "pascanu")
    # Of 24 steps, the first ten are all among the first half less one.
    check_sizes(steps, 24 if drawn else 2, batch)
    lengths = between(steps, steps + steps // 10 + 1, batch, draw) if drawn else whole(steps, batch)
    longest = int(lengths.max()) if batch else steps
    numbers = torch.rand(longest, batch, generator=draw)
    if form == "hochreiter":
        numbers = 2 * numbers - 1
    first, second = _marked(form, steps, lengths, batch, draw)
    each = torch.arange(batch)
    markers = torch.zeros(longest, batch)
    if form == "hochreiter":
        markers[0] = -1.0
        markers[lengths - 1, each] = -1.0
    markers[first, each] = markers[second, each] = 1.0
    one, two = numbers[first, each], numbers[second, each]
    if form == "hochreiter":
        one, two = (
            torch.where(at == 0, torch.zeros(()), number)
            for at, number in ((first, one), (second, two))
        )
        wanted = 0.5 + (one + two) / 4
    else:
        wanted = (one + two) / (2 if form == "pascanu" else 1)
    return Batch(_within(torch.stack([numbers, markers], -1), lengths), wanted[:, None], lengths)


def multiplication(steps: int, batch: int, draw: torch.Generator) -> Batch:
    """As ``adding`` in Arjovsky's form, with the product as target; always answering 1/4 gives an
    error of 0.0486 (Hochreiter & Schmidhuber 1997, experiment 5).

    Raises:
        SettingError: there are fewer than 2 steps.
    """
    made = adding(steps, batch, draw)
    numbers, markers = made.inputs.unbind(-1)
    product = torch.where(markers == 1, numbers, torch.ones(())).prod(0)
    return Batch(made.inputs, product[:, None], made.lengths)


def _marked(
    form: str, steps: int, lengths: torch.Tensor, batch: int, draw: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the two marked numbers are."""
    match form:
        case "arjovsky":
            half = steps // 2
            return between(0, half, batch, draw), between(half, steps, batch, draw)
        case "tcn":
            first = between(0, steps, batch, draw)
            second = between(0, steps - 1, batch, draw)
        case "pascanu":
            tenth = (lengths * 0.1).long()
            return between(0, tenth, batch, draw), between(tenth, lengths // 2, batch, draw)
        case _:
            first = between(0, 10, batch, draw)
            # Any step but the first one marked, which is drawn around.
            second = between(0, steps // 2 - 2, batch, draw)
    return first, second + (second >= first).long()


def _within(inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Zeros behind each sequence's end."""
    return inputs * steps_that_count(len(inputs), lengths)[..., None]

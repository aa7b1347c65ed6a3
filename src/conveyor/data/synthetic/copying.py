"""The copying problem: symbols are repeated after a long blank."""

import math

import torch

from conveyor.data.synthetic.batch import Batch, equal_lengths, one_hot
from conveyor.errors import SettingError

# Arjovsky, Shah & Bengio 2016: 10 symbols of 8 kinds.
LENGTH, KINDS = 10, 8


def copying_baseline(blank: int) -> float:
    """Return the mean cross-entropy, in nats, of an answer that knows all but the symbols:
    10 ln 8 / (T + 20)."""
    return LENGTH * math.log(KINDS) / (blank + 2 * LENGTH)


def copying(blank: int, batch: int, draw: torch.Generator, *, form: str = "arjovsky") -> Batch:
    """Draw sequences of 10 symbols of 8 kinds, blanks, and a delimiter after which the symbols are
    to be repeated. The targets are classes at each step, [T + 20, B].

    ``"arjovsky"``  T + 20 steps of 10 features: the symbols (features 0 to 7), T - 1 blanks (8),
                    a delimiter (9), 10 blanks. Targets: T + 10 blanks and the symbols (Arjovsky,
                    Shah & Bengio 2016).
    ``"tcn"``       the same, but blanks are feature 0, symbols 1 to 8, and the delimiter (9) is
                    repeated to the end, 11 times in all (Bai, Kolter & Koltun 2018).

    Args:
        blank: T, 1 or more.
        batch: B, the number of sequences.
        draw: the random generator.
        form: one of the two above.

    Raises:
        SettingError: ``form`` is unknown or ``blank`` below 1.
    """
    if form not in ("arjovsky", "tcn"):
        raise SettingError(f"there is no form {form!r}. There are: arjovsky, tcn.")
    if not isinstance(blank, int) or blank < 1:
        raise SettingError(f"blank is {blank!r}; expected a whole number from 1.")
    symbols = torch.randint(0, KINDS, (LENGTH, batch), generator=draw)
    nothing, shift = (KINDS, 0) if form == "arjovsky" else (0, 1)
    inputs = torch.full((blank + 2 * LENGTH, batch), nothing)
    targets = inputs.clone()
    inputs[:LENGTH] = symbols + shift
    last = len(inputs) if form == "tcn" else LENGTH + blank
    inputs[LENGTH + blank - 1 : last] = KINDS + 1
    targets[-LENGTH:] = symbols + shift
    return Batch(one_hot(inputs, KINDS + 2), targets, equal_lengths(len(inputs), batch))
